/* One kernel on one device: code loaded, launch data parsed, launched.
 *
 * A launch evaluates every formula first and starts work only when all of them gave usable numbers,
 * so an argument error leaves nothing half done. It takes no lock and allocates nothing here; the
 * CPU device queues launches behind each other.
 */
#include "loaded_kernel.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_GRID_X = INT32_MAX, /* CUDA's limits; a CPU grid keeps to the first one on every axis */
    MAX_GRID_YZ = 65535,
    MAX_BLOCK = 1024,
    MAX_MEMORY =
        1 << 30, /* shared memory or scratch of one block; the device says its real limit */
};

/* ---- making ---- */

/* Dynamic shared memory of a step, SIZE_MAX where it depends on the extents. */
static size_t most_shared_bytes(const rt_launch_data *data, const rt_step *step) {
    int64_t bytes;
    return rt_formula_constant(data, step->memory, &bytes) ? (size_t)bytes : SIZE_MAX;
}

static ts_status load_code(ts_kernel *kernel, const void *blob, size_t blob_bytes, ts_err *err) {
    ts_device *device = kernel->device;
    if (kernel->data.is_cpu != device->info.is_cpu)
        return ts_fail(err, TS_STATUS_CORRUPT, "a kernel for the %s cannot run on %s",
                       kernel->data.is_cpu ? "CPU" : "GPU", device->info.name);
    TS_TRY(device->ops->module_load(device, blob, blob_bytes, &kernel->module, err));
    for (size_t i = 0; i < kernel->data.step_count; i++) {
        const rt_step *step = &kernel->data.steps[i];
        TS_TRY(device->ops->function(device, kernel->module, step->entry,
                                     most_shared_bytes(&kernel->data, step), &kernel->functions[i],
                                     err));
    }
    return TS_STATUS_OK;
}

ts_status rt_kernel_create_named(ts_device *device, const void *blob, size_t blob_bytes,
                                 const char *launch, const char *variant, ts_kernel **out,
                                 ts_err *err) {
    ts_kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a kernel");
    kernel->device = device;
    kernel->variant = strdup(variant);
    kernel->launch_text = strdup(launch);
    ts_status status = !kernel->variant || !kernel->launch_text
                           ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a kernel")
                           : rt_launch_data_parse(launch, &kernel->data, err);
    if (status == TS_STATUS_OK) status = load_code(kernel, blob, blob_bytes, err);
    if (status == TS_STATUS_OK)
        *out = kernel;
    else
        rt_kernel_destroy(kernel);
    return status;
}

ts_status rt_kernel_create(ts_device *device, const void *blob, size_t blob_bytes,
                           const char *launch, ts_kernel **out, ts_err *err) {
    return rt_kernel_create_named(device, blob, blob_bytes, launch, "", out, err);
}

void rt_kernel_destroy(ts_kernel *kernel) {
    if (!kernel) return;
    if (kernel->module) kernel->device->ops->module_unload(kernel->device, kernel->module);
    free(kernel->variant);
    free(kernel->launch_text);
    free(kernel);
}

/* ---- launching ---- */

static void *workspace_of(const void *args) {
    void *workspace;
    memcpy(&workspace, args, sizeof workspace); /* always the first member */
    return workspace;
}

static ts_status eval_axes(const rt_launch_data *data, const rt_formula axes[3],
                           const rt_values *values, const int64_t limits[3], const char *what,
                           uint32_t out[3], ts_err *err) {
    for (size_t i = 0; i < 3; i++) {
        int64_t value;
        TS_TRY(rt_formula_eval(data, axes[i], values, limits[i], what, &value, err));
        out[i] = (uint32_t)value;
    }
    return TS_STATUS_OK;
}

static ts_status eval_step(const rt_launch_data *data, const rt_step *step, const rt_values *values,
                           rt_launch *out, ts_err *err) {
    static const int64_t cpu_grid[3] = {MAX_GRID_X, MAX_GRID_X, MAX_GRID_X};
    static const int64_t gpu_grid[3] = {MAX_GRID_X, MAX_GRID_YZ, MAX_GRID_YZ};
    static const int64_t block[3] = {MAX_BLOCK, MAX_BLOCK, MAX_BLOCK};
    int64_t bytes;
    TS_TRY(eval_axes(data, step->grid, values, data->is_cpu ? cpu_grid : gpu_grid, "grid",
                     out->grid, err));
    TS_TRY(rt_formula_eval(data, step->memory, values, MAX_MEMORY,
                           data->is_cpu ? "scratch" : "shared", &bytes, err));
    if (data->is_cpu) {
        out->scratch_bytes = (size_t)bytes;
        return TS_STATUS_OK;
    }
    out->shared_bytes = (uint32_t)bytes;
    return eval_axes(data, step->block, values, block, "block", out->block, err);
}

/* The matrix that a map is of, as these args have it. */
static ts_status eval_map(const rt_launch_data *data, const rt_map *map, const rt_values *values,
                          const void *args, rt_boxed *out, ts_err *err) {
    const unsigned char *members = args;
    int64_t columns, rows;
    TS_TRY(
        rt_formula_eval(data, map->columns, values, UINT32_MAX, "columns of a map", &columns, err));
    TS_TRY(rt_formula_eval(data, map->rows, values, UINT32_MAX, "rows of a map", &rows, err));
    rt_box box = map->box;
    if (!box.part) box.part = (uint32_t)columns;
    if (box.part && columns % box.part)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "columns of a map: %lld are no multiple of %u", (long long)columns,
                       box.part);
    *out = (rt_boxed){
        .rows = (uint32_t)rows, .parts = box.part ? (uint32_t)(columns / box.part) : 0, .box = box};
    memcpy(&out->data, members + map->tensor, sizeof out->data);
    memcpy(&out->pitch, members + map->pitch, sizeof out->pitch);
    return TS_STATUS_OK;
}

static ts_status make_maps(const ts_kernel *kernel, const rt_step *step, const rt_values *values,
                           rt_tensor_map maps[RT_MAX_MAPS], rt_launch *out, ts_err *err) {
    for (size_t i = 0; i < step->map_count; i++) {
        rt_boxed matrix;
        TS_TRY(eval_map(&kernel->data, &step->maps[i], values, out->args, &matrix, err));
        TS_TRY(kernel->device->ops->tensor_map(kernel->device, &matrix, &maps[i], err));
    }
    out->maps = maps;
    out->map_count = step->map_count;
    return TS_STATUS_OK;
}

static ts_status workspace_bytes(const rt_launch_data *data, const rt_values *values, int64_t *out,
                                 ts_err *err) {
    return rt_formula_eval(data, data->workspace, values, INT64_MAX, "workspace", out, err);
}

static ts_status clear_ranges(const ts_kernel *kernel, void *stream, const rt_values *values,
                              void *workspace, int64_t total, ts_err *err) {
    const rt_launch_data *data = &kernel->data;
    for (size_t i = 0; i < data->zero_count; i++) {
        int64_t offset, bytes;
        TS_TRY(rt_formula_eval(data, data->zeros[i].offset, values, total, "zero offset", &offset,
                               err));
        TS_TRY(rt_formula_eval(data, data->zeros[i].bytes, values, total - offset, "zero bytes",
                               &bytes, err));
        if (bytes)
            TS_TRY(kernel->device->ops->fill(kernel->device, stream,
                                             (unsigned char *)workspace + offset, 0, (size_t)bytes,
                                             err));
    }
    return TS_STATUS_OK;
}

ts_status ts_kernel_launch(const ts_kernel *kernel, void *stream, const void *args,
                           size_t args_bytes, ts_err *err) {
    const rt_launch_data *data = &kernel->data;
    ts_device *device = kernel->device;
    if (args_bytes != data->args_bytes)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%s: the args struct has %zu bytes, this kernel wants %zu", kernel->variant,
                       args_bytes, data->args_bytes);
    rt_values values;
    rt_launch launches[RT_MAX_STEPS];
    rt_tensor_map maps[RT_MAX_STEPS][RT_MAX_MAPS];
    int64_t workspace;
    TS_TRY(rt_launch_data_values(data, args, device->info.sm_count, &values, err));
    TS_TRY(workspace_bytes(data, &values, &workspace, err));
    if (workspace > 0 && !workspace_of(args))
        return ts_fail(
            err, TS_STATUS_INVALID_ARGUMENT,
            "%s: args.workspace is NULL, this kernel wants %lld bytes (ts_kernel_workspace_bytes)",
            kernel->variant, (long long)workspace);
    for (size_t i = 0; i < data->step_count; i++) {
        launches[i] = (rt_launch){.function = kernel->functions[i],
                                  .args = args,
                                  .args_bytes = args_bytes,
                                  .dependent = data->steps[i].dependent};
        TS_TRY(eval_step(data, &data->steps[i], &values, &launches[i], err));
        TS_TRY(make_maps(kernel, &data->steps[i], &values, maps[i], &launches[i], err));
    }
    TS_TRY(clear_ranges(kernel, stream, &values, workspace_of(args), workspace, err));
    for (size_t i = 0; i < data->step_count; i++) {
        const uint32_t *grid = launches[i].grid;
        if (grid[0] && grid[1] && grid[2])
            TS_TRY(device->ops->launch(device, stream, &launches[i], err));
    }
    return TS_STATUS_OK;
}

/* ---- what callers ask ---- */

size_t ts_kernel_workspace_bytes(const ts_kernel *kernel, const void *args) {
    rt_values values;
    int64_t bytes;
    bool known = rt_launch_data_values(&kernel->data, args, kernel->device->info.sm_count, &values,
                                       NULL) == TS_STATUS_OK &&
                 workspace_bytes(&kernel->data, &values, &bytes, NULL) == TS_STATUS_OK;
    return known ? (size_t)bytes : 0; /* the launch reports what is wrong with the args */
}

const char *ts_kernel_variant(const ts_kernel *kernel) { return kernel->variant; }

const char *ts_kernel_launch_data(const ts_kernel *kernel) { return kernel->launch_text; }
