/* Where a model's launches go, and how its device memory is laid out. Both work in two passes over
 * the same code: a measuring one, that only adds up bytes, and the real one.
 */
#ifndef RUNTIME_MODEL_RUN_H
#define RUNTIME_MODEL_RUN_H

#include "profile.h"

/* Hands out pieces of one allocation. With a zero base it counts: the addresses are then
 * meaningless. */
typedef struct rt_layout {
    uintptr_t base;
    size_t bytes; /* handed out so far */
} rt_layout;

/* 256-byte aligned piece. */
void *rt_layout_take(rt_layout *layout, size_t bytes);
/* What a piece takes: `bytes` rounded up to the alignment. */
size_t rt_layout_bytes(size_t bytes);

/* Elements from row to row such that rows start 16-byte aligned. */
int64_t rt_pitch(int64_t columns, size_t element_bytes);

typedef struct rt_run {
    ts_device *device;
    void *stream;
    bool measure;    /* launch and copy nothing, note the workspace that would be needed */
    bool unfused;    /* attention with products and cache writes of their own, to compare */
    void *workspace; /* shared by all launches of the run: they follow each other on one stream */
    size_t workspace_bytes;
    rt_profile *profile; /* NULL: nobody asks where time goes */
    int64_t keys;        /* tokens that the present pass attends to, for the profile */
} rt_run;

/* Launches the kernel for `args`, an args struct, whose workspace member (the first) is set here. */
ts_status rt_run_launch(rt_run *run, const rt_used *used, void *args, size_t args_bytes,
                        ts_err *err);
/* To and from the host. */
ts_status rt_run_upload(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err);
/* rt_device_ops.send */
ts_status rt_run_send(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err);
ts_status rt_run_download(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err);
/* Between these two the stream is captured; the graph is there even where a launch between failed. */
ts_status rt_run_capture(rt_run *run, ts_err *err);
ts_status rt_run_captured(rt_run *run, rt_graph **out, ts_err *err);
ts_status rt_run_replay(rt_run *run, rt_graph *graph, ts_err *err);
/* Device to device. */
ts_status rt_run_copy(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err);

#endif
