/* Code of a GPU: modules, their functions, launches. An rt_module is a CUmodule. */
#include "device_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JIT_LOG_BYTES = 700,               /* of the message of a refused module */
    DEFAULT_DYNAMIC_SHARED = 48 << 10, /* more needs the opt-in attribute */
    DEPENDENT_DRIVER = 12030,          /* CUDA 12.3: dependent launches in captured graphs */
};

/* A cubin is loaded from where it lies; PTX is text, which the driver wants with a NUL behind it.
 */
static CUresult load_image(const cuda_device *d, const void *blob, size_t bytes,
                           char log[JIT_LOG_BYTES], CUmodule *module) {
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)(JIT_LOG_BYTES - 1)};
    char *text = NULL;
    if (memcmp(blob, "\177ELF", 4) != 0) {
        text = malloc(bytes + 1);
        if (!text) return CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(text, blob, bytes);
        text[bytes] = '\0';
    }
    CUresult result = d->driver->cuModuleLoadDataEx(module, text ? text : blob, 2, options, values);
    free(text);
    return result;
}

ts_status rt_cuda_module_load(ts_device *device, const void *blob, size_t bytes, rt_module **out,
                              ts_err *err) {
    cuda_device *d;
    CUmodule module = NULL;
    char log[JIT_LOG_BYTES] = "", object[JIT_LOG_BYTES + 200];
    /* The driver takes no size: it trusts the ELF header, so at least that must be there. */
    if (bytes < 64)
        return ts_fail(err, TS_STATUS_CORRUPT, "a GPU kernel of %zu bytes is neither cubin nor PTX",
                       bytes);
    TS_TRY(rt_cuda_enter(device, &d, err));
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    CUresult result = load_image(d, blob, bytes, log, &module);
    rt_cuda_restore(d, mode);
    snprintf(object, sizeof object, "%s%s%s", d->base.info.name, log[0] ? ", the log says: " : "",
             log);
    TS_TRY(rt_cuda_check(d->driver, result, "cuModuleLoadDataEx", object, err));
    *out = (rt_module *)module;
    return TS_STATUS_OK;
}

void rt_cuda_module_unload(ts_device *device, rt_module *module) {
    cuda_device *d;
    if (!module || rt_cuda_enter(device, &d, NULL) != TS_STATUS_OK) return;
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    d->driver->cuModuleUnload((CUmodule)module);
    rt_cuda_restore(d, mode);
}

/* Raises the limit of dynamic shared memory where the default is too low: to what is asked, or to
 * all that a block can have beside its static part. */
static ts_status allow_shared(const cuda_device *d, CUfunction function, size_t bytes,
                              const char *entry, ts_err *err) {
    int fixed = 0;
    if (bytes <= DEFAULT_DYNAMIC_SHARED) return TS_STATUS_OK;
    CU_TRY(d, cuFuncGetAttribute, (&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function), entry,
           err);
    int most = d->shared_optin_bytes - fixed;
    if (bytes != SIZE_MAX && bytes > (size_t)(most > 0 ? most : 0))
        return ts_fail(err, TS_STATUS_DEVICE,
                       "%s wants %zu + %d bytes of shared memory, %s has %d a block", entry, bytes,
                       fixed, d->base.info.name, d->shared_optin_bytes);
    int limit = bytes == SIZE_MAX ? most : (int)bytes;
    CU_TRY(d, cuFuncSetAttribute,
           (function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, limit), entry, err);
    return TS_STATUS_OK;
}

ts_status rt_cuda_function(ts_device *device, rt_module *module, const char *entry,
                           size_t shared_bytes, void **out, ts_err *err) {
    cuda_device *d;
    CUfunction function = NULL;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CUstreamCaptureMode mode = rt_cuda_relax(d); /* with lazy loading this is what loads the code */
    CUresult result = d->driver->cuModuleGetFunction(&function, (CUmodule)module, entry);
    rt_cuda_restore(d, mode);
    TS_TRY(rt_cuda_check(d->driver, result, "cuModuleGetFunction", entry, err));
    TS_TRY(allow_shared(d, function, shared_bytes, entry, err));
    *out = function;
    return TS_STATUS_OK;
}

ts_status rt_cuda_tensor_map(ts_device *device, const rt_boxed *matrix, rt_tensor_map *out,
                             ts_err *err) {
    cuda_device *d;
    TS_TRY(rt_cuda_enter(device, &d, err));
    return rt_tensor_map_encode(d->driver, matrix, out, err);
}

/* Programmatic dependent launch: the kernel waits by itself for the one before it, and is on the
 * chip by then. */
static CUresult launch_dependent(const cuda_device *d, void *stream, const rt_launch *launch,
                                 void **parameters) {
    const uint32_t *grid = launch->grid, *block = launch->block;
    CUlaunchAttribute early = {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
                               .value.programmaticStreamSerializationAllowed = 1};
    const CUlaunchConfig config = {
        grid[0], grid[1], grid[2], block[0], block[1], block[2], launch->shared_bytes,
        stream,  &early,  1};
    return d->driver->cuLaunchKernelEx(&config, launch->function, parameters, NULL);
}

ts_status rt_cuda_launch(ts_device *device, void *stream, const rt_launch *launch, ts_err *err) {
    cuda_device *d;
    const uint32_t *grid = launch->grid, *block = launch->block;
    if (!grid[0] || !grid[1] || !grid[2]) return TS_STATUS_OK;
    /* The struct by value, then the maps: the driver copies them before the call returns. */
    void *parameters[1 + RT_MAX_MAPS] = {(void *)(uintptr_t)launch->args};
    for (size_t i = 0; i < launch->map_count; i++)
        parameters[1 + i] = (void *)(uintptr_t)&launch->maps[i];
    TS_TRY(rt_cuda_enter(device, &d, err));
    bool dependent = launch->dependent && d->driver->cuLaunchKernelEx &&
                     d->base.info.driver_version >= DEPENDENT_DRIVER;
    CUresult result = dependent ? launch_dependent(d, stream, launch, parameters)
                                : d->driver->cuLaunchKernel(launch->function, grid[0], grid[1],
                                                            grid[2], block[0], block[1], block[2],
                                                            launch->shared_bytes, stream,
                                                            parameters, NULL);
    if (result == CUDA_SUCCESS) return TS_STATUS_OK;
    char object[200];
    snprintf(object, sizeof object, "%s (grid %u %u %u, block %u %u %u, shared %u)",
             d->base.info.name, grid[0], grid[1], grid[2], block[0], block[1], block[2],
             launch->shared_bytes);
    return rt_cuda_check(d->driver, result, dependent ? "cuLaunchKernelEx" : "cuLaunchKernel",
                         object, err);
}
