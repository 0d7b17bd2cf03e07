/* A trial on a device: copies of its slab, a guarded workspace, and the launch of one kernel on
 * them. */
#ifndef TUNER_RIG_H
#define TUNER_RIG_H

#include "../runtime/kernel.h"
#include "nvml.h"
#include "trial.h"

enum { TUNER_MAX_SLABS = 64 };

typedef struct tuner_rig {
    ts_device *device;
    void *stream;
    const tuner_trial *trial; /* borrowed */
    const tuner_nvml *nvml;   /* borrowed; NULL: clocks are unknown */
    void *slabs[TUNER_MAX_SLABS];
    size_t slab_count;
    void *workspace; /* guard, workspace, guard */
    size_t workspace_bytes;
    unsigned char *after; /* downloaded slab */
    bool clean;           /* slab 0 holds the image's inputs */
    void *args;
} tuner_rig;

/* Allocates one slab copy; more for timing come with tuner_rig_widen. Free with tuner_rig_free. */
ts_status tuner_rig_create(ts_device *device, void *stream, const tuner_trial *trial,
                           tuner_rig **out, ts_err *err);
void tuner_rig_free(tuner_rig *rig);

/* Adds slab copies between which timed launches rotate, at most `max_bytes` or TUNER_MAX_SLABS of
 * them. Cold: until together they are so much larger than the device's last-level cache that a
 * launch finds its inputs in memory. Warm: no more than stay in that cache together. */
ts_status tuner_rig_widen(tuner_rig *rig, bool warm, int64_t max_bytes, ts_err *err);

/* Launches `kernel` on slab `index`, asynchronously on a GPU. The workspace must have been
 * reserved. */
ts_status tuner_rig_reserve(tuner_rig *rig, const ts_kernel *kernel, ts_err *err);
ts_status tuner_rig_launch(tuner_rig *rig, const ts_kernel *kernel, size_t index, ts_err *err);

typedef enum tuner_verdict {
    TUNER_RIGHT,
    TUNER_WRONG,
    TUNER_LAUNCH_FAILED,
    TUNER_CRASHED
} tuner_verdict;

/* Runs the kernel once on fresh data and checks what it left. `whole` also proves that the inputs
 * are untouched. `message` gets the reason of any verdict but TUNER_RIGHT; *error the worst
 * relative norm. */
tuner_verdict tuner_rig_verify(tuner_rig *rig, const ts_kernel *kernel, bool whole, ts_buf *message,
                               double *error);

#endif
