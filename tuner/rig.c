/* Device copies of a trial's slab: fresh before every verified launch, several of them for timing.
 *
 * The workspace holds garbage before a verified launch (a kernel may rely only on what its launch
 * data says is cleared), as does a CPU block's scratch, and it has guard bytes on both sides like every tensor. */
#include "rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORKSPACE_BYTE = 0xff }; /* NaN in every floating-point type: what is not set spreads */

ts_status tuner_rig_create(ts_device *device, void *stream, const tuner_trial *trial,
                           tuner_rig **out, ts_err *err) {
    tuner_rig *rig = calloc(1, sizeof *rig);
    if (!rig) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "rig");
    *rig = (tuner_rig){.device = device, .stream = stream, .trial = trial};
    rig->after = malloc(trial->image_bytes);
    rig->args = malloc((size_t)trial->binding.args_bytes);
    ts_status status = rig->after && rig->args
                           ? TS_STATUS_OK
                           : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "copy of the outputs");
    if (status == TS_STATUS_OK)
        status = device->ops->alloc(device, trial->image_bytes, &rig->slabs[0], err);
    if (status == TS_STATUS_OK) {
        rig->slab_count = 1;
        /* A race may be the first to launch on a rig: its inputs must be there, offsets above all. */
        status = device->ops->upload(device, stream, rig->slabs[0], trial->image,
                                     trial->image_bytes, err);
    }
    if (status == TS_STATUS_OK) {
        rig->clean = true;
        *out = rig;
    } else
        tuner_rig_free(rig);
    return status;
}

void tuner_rig_free(tuner_rig *rig) {
    if (!rig) return;
    for (size_t i = 0; i < rig->slab_count; i++) rig->device->ops->free(rig->device, rig->slabs[i]);
    if (rig->workspace) rig->device->ops->free(rig->device, rig->workspace);
    free(rig->after);
    free(rig->args);
    free(rig);
}

/* Cold: what leaves no useful part of the oldest copy in the cache. A CPU's forgets the oldest
 * first, so half as much again as it holds. What a GPU's forgets first is not documented: four
 * times is caution, and made no difference where both were timed (sdpa_decode on an H200). Warm: a
 * quarter of the cache, since outputs and workspaces take their part. */
static int64_t wanted_bytes(const tuner_rig *rig, bool warm) {
    const rt_device_info *info = &rig->device->info;
    if (warm) return info->l2_bytes / 4 - (int64_t)rig->trial->image_bytes;
    return info->is_cpu ? info->l2_bytes + info->l2_bytes / 2 : 4 * info->l2_bytes;
}

ts_status tuner_rig_widen(tuner_rig *rig, bool warm, int64_t max_bytes, ts_err *err) {
    enum { MAX_WARM_SLABS = 4 };
    ts_device *device = rig->device;
    size_t bytes = rig->trial->image_bytes, most = warm ? MAX_WARM_SLABS : TUNER_MAX_SLABS;
    int64_t wanted = wanted_bytes(rig, warm);
    if (wanted > max_bytes) wanted = max_bytes;
    while (rig->slab_count < most && (int64_t)(rig->slab_count * bytes) < wanted) {
        void *slab = NULL;
        TS_TRY(device->ops->alloc(device, bytes, &slab, err));
        rig->slabs[rig->slab_count++] = slab;
        TS_TRY(device->ops->upload(device, rig->stream, slab, rig->trial->image, bytes, err));
    }
    return TS_STATUS_OK;
}

static unsigned char *workspace_start(const tuner_rig *rig) {
    return rig->workspace ? (unsigned char *)rig->workspace + TUNER_GUARD_BYTES : NULL;
}

static void fill_args(tuner_rig *rig, size_t index) {
    tuner_trial_args(rig->trial, rig->slabs[index], workspace_start(rig), rig->args);
}

ts_status tuner_rig_reserve(tuner_rig *rig, const ts_kernel *kernel, ts_err *err) {
    const rt_device_ops *ops = rig->device->ops;
    fill_args(rig, 0);
    size_t bytes = ts_kernel_workspace_bytes(kernel, rig->args);
    if (bytes <= rig->workspace_bytes) return TS_STATUS_OK;
    if (rig->workspace) ops->free(rig->device, rig->workspace);
    rig->workspace = NULL;
    rig->workspace_bytes = 0;
    TS_TRY(ops->alloc(rig->device, bytes + 2 * TUNER_GUARD_BYTES, &rig->workspace, err));
    rig->workspace_bytes = bytes;
    return TS_STATUS_OK;
}

ts_status tuner_rig_launch(tuner_rig *rig, const ts_kernel *kernel, size_t index, ts_err *err) {
    fill_args(rig, index);
    return ts_kernel_launch(kernel, rig->stream, rig->args, (size_t)rig->trial->binding.args_bytes,
                            err);
}

/* Fresh bytes: everything after a failure, else what the last kernel may have written. */
static ts_status refresh(tuner_rig *rig, bool whole, ts_err *err) {
    const tuner_trial *trial = rig->trial;
    const rt_device_ops *ops = rig->device->ops;
    size_t from = whole || !rig->clean ? 0 : trial->writable_at;
    TS_TRY(ops->upload(rig->device, rig->stream, (unsigned char *)rig->slabs[0] + from,
                       trial->image + from, trial->image_bytes - from, err));
    rig->clean = true;
    if (!rig->workspace) return TS_STATUS_OK;
    return ops->fill(rig->device, rig->stream, rig->workspace, WORKSPACE_BYTE,
                     rig->workspace_bytes + 2 * TUNER_GUARD_BYTES, err);
}

static bool is_guard(const unsigned char *bytes) {
    for (size_t i = 0; i < TUNER_GUARD_BYTES; i++)
        if (bytes[i] != WORKSPACE_BYTE) return false;
    return true;
}

/* The guard after the workspace lies after the bytes that this kernel asked for. */
static ts_status check_workspace(tuner_rig *rig, const ts_kernel *kernel, bool *clean,
                                 ts_err *err) {
    const rt_device_ops *ops = rig->device->ops;
    unsigned char guard[TUNER_GUARD_BYTES];
    *clean = true;
    if (!rig->workspace) return TS_STATUS_OK;
    size_t bytes = ts_kernel_workspace_bytes(kernel, rig->args);
    TS_TRY(ops->download(rig->device, rig->stream, guard, rig->workspace, sizeof guard, err));
    *clean = is_guard(guard);
    TS_TRY(ops->download(rig->device, rig->stream, guard, workspace_start(rig) + bytes,
                         sizeof guard, err));
    *clean = *clean && is_guard(guard);
    return TS_STATUS_OK;
}

static ts_status collect(tuner_rig *rig, const ts_kernel *kernel, size_t from,
                         bool *workspace_clean, ts_err *err) {
    const rt_device_ops *ops = rig->device->ops;
    TS_TRY(ops->sync(rig->device, rig->stream, err));
    TS_TRY(check_workspace(rig, kernel, workspace_clean, err));
    return ops->download(rig->device, rig->stream, rig->after + from,
                         (unsigned char *)rig->slabs[0] + from, rig->trial->image_bytes - from,
                         err);
}

tuner_verdict tuner_rig_verify(tuner_rig *rig, const ts_kernel *kernel, bool whole, ts_buf *message,
                               double *error) {
    ts_err err = {0};
    size_t from = whole ? 0 : rig->trial->writable_at;
    bool workspace_clean = true;
    *error = NAN;
    ts_status status = tuner_rig_reserve(rig, kernel, &err);
    if (status == TS_STATUS_OK) status = refresh(rig, whole, &err);
    rig->device->spoil_scratch = true;
    if (status == TS_STATUS_OK) status = tuner_rig_launch(rig, kernel, 0, &err);
    rig->device->spoil_scratch = false;
    if (status != TS_STATUS_OK) {
        ts_buf_printf(message, "%s", err.message);
        return TUNER_LAUNCH_FAILED;
    }
    if (collect(rig, kernel, from, &workspace_clean, &err) != TS_STATUS_OK) {
        ts_buf_printf(message, "%s", err.message);
        return TUNER_CRASHED;
    }
    bool right = tuner_trial_check(rig->trial, rig->after + from, from, message, error);
    if (right && !workspace_clean) ts_buf_printf(message, "wrote outside its workspace");
    rig->clean = right;
    return right && workspace_clean ? TUNER_RIGHT : TUNER_WRONG;
}
