/* Launching and laying out. Measuring with the code that launches means that no second list of
 * buffers or launches has to be kept in step with the first.
 */
#include "run.h"

#include <string.h>

enum { PIECE_ALIGN = 256, ROW_ALIGN = 16 };

size_t rt_layout_bytes(size_t bytes) {
    return (bytes + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
}

void *rt_layout_take(rt_layout *layout, size_t bytes) {
    uintptr_t address = layout->base + layout->bytes;
    layout->bytes += rt_layout_bytes(bytes);
    return (void *)address;
}

int64_t rt_pitch(int64_t columns, size_t element_bytes) {
    int64_t step = ROW_ALIGN / (int64_t)element_bytes;
    return (columns + step - 1) / step * step;
}

/* ---- launches and copies, watched by the profile if there is one ---- */

static ts_status begin(rt_run *run, ts_err *err) {
    return run->profile ? rt_profile_begin(run->profile, run->stream, err) : TS_STATUS_OK;
}

static ts_status end(rt_run *run, const rt_profile_act *act, ts_err *err) {
    return run->profile ? rt_profile_end(run->profile, run->stream, act, err) : TS_STATUS_OK;
}

ts_status rt_run_launch(rt_run *run, const rt_used *used, void *args, size_t args_bytes,
                        ts_err *err) {
    if (run->measure) {
        size_t bytes = rt_group_workspace(used->group, args);
        if (bytes > run->workspace_bytes) run->workspace_bytes = bytes;
        return TS_STATUS_OK;
    }
    memcpy(args, &run->workspace, sizeof run->workspace);
    TS_TRY(begin(run, err));
    TS_TRY(rt_group_launch(used->group, run->stream, args, args_bytes, err));
    rt_profile_act act = {.used = used, .args = args, .args_bytes = args_bytes, .keys = run->keys};
    return end(run, &act, err);
}

ts_status rt_run_upload(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err) {
    TS_TRY(begin(run, err));
    TS_TRY(run->device->ops->upload(run->device, run->stream, to, from, bytes, err));
    return end(run, &(rt_profile_act){.part = "upload", .bytes = bytes}, err);
}

ts_status rt_run_send(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err) {
    TS_TRY(begin(run, err));
    TS_TRY(run->device->ops->send(run->device, run->stream, to, from, bytes, err));
    return end(run, &(rt_profile_act){.part = "upload", .bytes = bytes}, err);
}

ts_status rt_run_download(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err) {
    TS_TRY(begin(run, err));
    TS_TRY(run->device->ops->download(run->device, run->stream, to, from, bytes, err));
    return end(run, &(rt_profile_act){.part = "download", .bytes = bytes}, err);
}

ts_status rt_run_copy(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err) {
    if (run->measure || bytes == 0) return TS_STATUS_OK;
    TS_TRY(begin(run, err));
    TS_TRY(run->device->ops->copy(run->device, run->stream, to, from, bytes, err));
    return end(run, &(rt_profile_act){.bytes = bytes}, err);
}

ts_status rt_run_capture(rt_run *run, ts_err *err) {
    if (run->profile) rt_profile_capture(run->profile, true);
    return run->device->ops->graph_begin(run->device, run->stream, err);
}

ts_status rt_run_captured(rt_run *run, rt_graph **out, ts_err *err) {
    if (run->profile) rt_profile_capture(run->profile, false);
    return run->device->ops->graph_end(run->device, run->stream, out, err);
}

ts_status rt_run_replay(rt_run *run, rt_graph *graph, ts_err *err) {
    if (run->profile) TS_TRY(rt_profile_replay(run->profile, run->stream, run->keys, err));
    return run->device->ops->graph_launch(run->device, graph, run->stream, err);
}
