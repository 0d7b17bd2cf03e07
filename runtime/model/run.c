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

ts_status rt_run_launch(rt_run *run, const rt_group *group, void *args, size_t args_bytes,
                        ts_err *err) {
    if (run->measure) {
        size_t bytes = rt_group_workspace(group, args);
        if (bytes > run->workspace_bytes) run->workspace_bytes = bytes;
        return TS_STATUS_OK;
    }
    memcpy(args, &run->workspace, sizeof run->workspace);
    return rt_group_launch(group, run->stream, args, args_bytes, err);
}

ts_status rt_run_copy(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err) {
    if (run->measure || bytes == 0) return TS_STATUS_OK;
    return run->device->ops->copy(run->device, run->stream, to, from, bytes, err);
}
