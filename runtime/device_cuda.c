/* A GPU through the NVIDIA driver alone.
 *
 * The device is opened through its primary context, the one that CUDA runtime users (PyTorch) work
 * in, so their pointers and streams can be passed in. Every call makes that context current first,
 * which costs tens of nanoseconds and lets any thread call.
 *
 * Streams made here do not synchronise with the legacy default stream. While a thread captures, the
 * driver forbids it whatever might wait for the captured work. Our allocations, copies,
 * synchronisations and module loads do not, so they run with the thread's capture mode relaxed
 * (relax, restore). A copy on the capturing stream itself is recorded and not waited for.
 */
#include "device_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JIT_LOG_BYTES = 700,               /* of the message of a refused module */
    DEFAULT_DYNAMIC_SHARED = 48 << 10, /* more needs the opt-in attribute */
};

static cuda_device *cuda(ts_device *device) { return (cuda_device *)device; }

static CUdeviceptr address(const void *memory) { return (CUdeviceptr)(uintptr_t)memory; }

/* Checks `d->driver->CALL ARGUMENTS` and returns on failure; `object` is the subject. */
#define CU_TRY(d, call, arguments, object, err) \
    TS_TRY(rt_cuda_check((d)->driver, (d)->driver->call arguments, #call, object, err))

/* The device as its context's user: every operation starts here. */
static ts_status enter(ts_device *device, cuda_device **out, ts_err *err) {
    cuda_device *d = cuda(device);
    CU_TRY(d, cuCtxSetCurrent, (d->context), d->base.info.name, err);
    *out = d;
    return TS_STATUS_OK;
}

static CUstreamCaptureMode relax(const cuda_device *d) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    d->driver->cuThreadExchangeStreamCaptureMode(&mode);
    return mode;
}

static void restore(const cuda_device *d, CUstreamCaptureMode mode) {
    d->driver->cuThreadExchangeStreamCaptureMode(&mode);
}

/* ---- memory ---- */

static ts_status cuda_memory_info(ts_device *device, int64_t *free_bytes, int64_t *total_bytes,
                                  ts_err *err) {
    cuda_device *d;
    size_t unused, total;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuMemGetInfo_v2, (&unused, &total), d->base.info.name, err);
    *free_bytes = (int64_t)unused;
    *total_bytes = (int64_t)total;
    return TS_STATUS_OK;
}

static ts_status cuda_alloc(ts_device *device, size_t bytes, void **out, ts_err *err) {
    cuda_device *d;
    CUdeviceptr memory = 0;
    TS_TRY(enter(device, &d, err));
    CUstreamCaptureMode mode = relax(d);
    CUresult result = d->driver->cuMemAlloc_v2(&memory, bytes ? bytes : 1); /* 256-byte aligned */
    restore(d, mode);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        int64_t unused = 0, total = 0;
        cuda_memory_info(device, &unused, &total, NULL);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY,
                       "no memory for %zu bytes on %s: %lld of %lld MiB are free", bytes,
                       d->base.info.name, (long long)(unused >> 20), (long long)(total >> 20));
    }
    TS_TRY(rt_cuda_check(d->driver, result, "cuMemAlloc", d->base.info.name, err));
    *out = (void *)(uintptr_t)memory;
    return TS_STATUS_OK;
}

static void cuda_free(ts_device *device, void *memory) {
    cuda_device *d;
    if (!memory || enter(device, &d, NULL) != TS_STATUS_OK) return;
    CUstreamCaptureMode mode = relax(d);
    d->driver->cuMemFree_v2(address(memory));
    restore(d, mode);
}

static ts_status cuda_alloc_host(ts_device *device, size_t bytes, void **out, ts_err *err) {
    cuda_device *d;
    void *memory = NULL;
    TS_TRY(enter(device, &d, err));
    CUstreamCaptureMode mode = relax(d);
    CUresult result = d->driver->cuMemAllocHost_v2(&memory, bytes ? bytes : 1);
    restore(d, mode);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY,
                       "no %zu bytes of page-locked memory for %s: the host's memory is short",
                       bytes, d->base.info.name);
    TS_TRY(rt_cuda_check(d->driver, result, "cuMemAllocHost", d->base.info.name, err));
    *out = memory;
    return TS_STATUS_OK;
}

static void cuda_free_host(ts_device *device, void *memory) {
    cuda_device *d;
    if (!memory || enter(device, &d, NULL) != TS_STATUS_OK) return;
    CUstreamCaptureMode mode = relax(d);
    d->driver->cuMemFreeHost(memory);
    restore(d, mode);
}

static ts_status wait_for(const cuda_device *d, void *stream, ts_err *err) {
    CUstreamCaptureMode mode = relax(d);
    CUresult result = d->driver->cuStreamSynchronize(stream);
    restore(d, mode);
    return rt_cuda_check(d->driver, result, "cuStreamSynchronize", d->base.info.name, err);
}

/* The default stream cannot capture, and asking about it is an error while some blocking stream of
 * another library captures. */
static ts_status is_capturing(const cuda_device *d, void *stream, bool *out, ts_err *err) {
    CUstreamCaptureStatus capturing = CU_STREAM_CAPTURE_STATUS_NONE;
    if (stream) CU_TRY(d, cuStreamIsCapturing, (stream, &capturing), d->base.info.name, err);
    *out = capturing != CU_STREAM_CAPTURE_STATUS_NONE;
    return TS_STATUS_OK;
}

/* Ends a copy to or from the host: waits, unless the copy was only recorded. */
static ts_status finish_copy(const cuda_device *d, void *stream, ts_err *err) {
    bool captured;
    TS_TRY(is_capturing(d, stream, &captured, err));
    return captured ? TS_STATUS_OK : wait_for(d, stream, err);
}

static ts_status cuda_send(ts_device *device, void *stream, void *dst, const void *src,
                           size_t bytes, ts_err *err) {
    cuda_device *d;
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(enter(device, &d, err));
    CUstreamCaptureMode mode = relax(d);
    CUresult result = d->driver->cuMemcpyHtoDAsync_v2(address(dst), src, bytes, stream);
    restore(d, mode);
    return rt_cuda_check(d->driver, result, "cuMemcpyHtoDAsync", d->base.info.name, err);
}

static ts_status cuda_upload(ts_device *device, void *stream, void *dst, const void *src,
                             size_t bytes, ts_err *err) {
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(cuda_send(device, stream, dst, src, bytes, err));
    return finish_copy(cuda(device), stream, err);
}

static ts_status cuda_download(ts_device *device, void *stream, void *dst, const void *src,
                               size_t bytes, ts_err *err) {
    cuda_device *d;
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(enter(device, &d, err));
    CUstreamCaptureMode mode = relax(d);
    CUresult result = d->driver->cuMemcpyDtoHAsync_v2(dst, address(src), bytes, stream);
    restore(d, mode);
    TS_TRY(rt_cuda_check(d->driver, result, "cuMemcpyDtoHAsync", d->base.info.name, err));
    return finish_copy(d, stream, err);
}

static ts_status cuda_copy(ts_device *device, void *stream, void *dst, const void *src,
                           size_t bytes, ts_err *err) {
    cuda_device *d;
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuMemcpyDtoDAsync_v2, (address(dst), address(src), bytes, stream), d->base.info.name,
           err);
    return TS_STATUS_OK;
}

static ts_status cuda_fill(ts_device *device, void *stream, void *dst, uint8_t byte, size_t bytes,
                           ts_err *err) {
    cuda_device *d;
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuMemsetD8Async, (address(dst), byte, bytes, stream), d->base.info.name, err);
    return TS_STATUS_OK;
}

/* ---- streams and events; an rt_event is a CUevent ---- */

static ts_status cuda_stream_create(ts_device *device, void **out, ts_err *err) {
    cuda_device *d;
    CUstream stream = NULL;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuStreamCreate, (&stream, CU_STREAM_NON_BLOCKING), d->base.info.name, err);
    *out = stream;
    return TS_STATUS_OK;
}

static void cuda_stream_destroy(ts_device *device, void *stream) {
    cuda_device *d;
    if (stream && enter(device, &d, NULL) == TS_STATUS_OK) d->driver->cuStreamDestroy_v2(stream);
}

static ts_status cuda_sync(ts_device *device, void *stream, ts_err *err) {
    cuda_device *d;
    TS_TRY(enter(device, &d, err));
    return wait_for(d, stream, err);
}

static ts_status cuda_event_create(ts_device *device, rt_event **out, ts_err *err) {
    cuda_device *d;
    CUevent event = NULL;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuEventCreate, (&event, CU_EVENT_DEFAULT), d->base.info.name, err);
    *out = (rt_event *)event;
    return TS_STATUS_OK;
}

static void cuda_event_destroy(ts_device *device, rt_event *event) {
    cuda_device *d;
    if (event && enter(device, &d, NULL) == TS_STATUS_OK)
        d->driver->cuEventDestroy_v2((CUevent)event);
}

static ts_status cuda_event_record(ts_device *device, rt_event *event, void *stream, ts_err *err) {
    cuda_device *d;
    bool captured;
    TS_TRY(enter(device, &d, err));
    TS_TRY(is_capturing(d, stream, &captured, err));
    /* Without the flag a captured record is an edge of the graph and says no time. */
    unsigned flags = captured ? CU_EVENT_RECORD_EXTERNAL : 0;
    CU_TRY(d, cuEventRecordWithFlags, ((CUevent)event, stream, flags), d->base.info.name, err);
    return TS_STATUS_OK;
}

static ts_status cuda_event_wait(ts_device *device, rt_event *event, ts_err *err) {
    cuda_device *d;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuEventSynchronize, ((CUevent)event), d->base.info.name, err);
    return TS_STATUS_OK;
}

static ts_status cuda_event_elapsed(ts_device *device, rt_event *begin, rt_event *end, double *us,
                                    ts_err *err) {
    cuda_device *d;
    float ms = 0;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuEventSynchronize, ((CUevent)end), d->base.info.name, err);
    CU_TRY(d, cuEventElapsedTime, (&ms, (CUevent)begin, (CUevent)end), d->base.info.name, err);
    *us = (double)ms * 1e3;
    return TS_STATUS_OK;
}

/* ---- graphs; an rt_graph is a CUgraphExec ---- */

static ts_status cuda_graph_begin(ts_device *device, void *stream, ts_err *err) {
    cuda_device *d;
    if (!stream)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the default stream cannot be captured: create one");
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuStreamBeginCapture_v2, (stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
           d->base.info.name, err);
    return TS_STATUS_OK;
}

static ts_status cuda_graph_end(ts_device *device, void *stream, rt_graph **out, ts_err *err) {
    cuda_device *d;
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuStreamEndCapture, (stream, &graph), d->base.info.name, err);
    CUresult result = d->driver->cuGraphInstantiateWithFlags(&exec, graph, 0);
    d->driver->cuGraphDestroy(graph); /* the executable keeps what it needs */
    TS_TRY(rt_cuda_check(d->driver, result, "cuGraphInstantiateWithFlags", d->base.info.name, err));
    *out = (rt_graph *)exec;
    return TS_STATUS_OK;
}

static ts_status cuda_graph_launch(ts_device *device, rt_graph *graph, void *stream, ts_err *err) {
    cuda_device *d;
    TS_TRY(enter(device, &d, err));
    CU_TRY(d, cuGraphLaunch, ((CUgraphExec)graph, stream), d->base.info.name, err);
    return TS_STATUS_OK;
}

static void cuda_graph_destroy(ts_device *device, rt_graph *graph) {
    cuda_device *d;
    if (graph && enter(device, &d, NULL) == TS_STATUS_OK)
        d->driver->cuGraphExecDestroy((CUgraphExec)graph);
}

/* ---- code; an rt_module is a CUmodule ---- */

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

static ts_status cuda_module_load(ts_device *device, const void *blob, size_t bytes,
                                  rt_module **out, ts_err *err) {
    cuda_device *d;
    CUmodule module = NULL;
    char log[JIT_LOG_BYTES] = "", object[JIT_LOG_BYTES + 200];
    /* The driver takes no size: it trusts the ELF header, so at least that must be there. */
    if (bytes < 64)
        return ts_fail(err, TS_STATUS_CORRUPT, "a GPU kernel of %zu bytes is neither cubin nor PTX",
                       bytes);
    TS_TRY(enter(device, &d, err));
    CUstreamCaptureMode mode = relax(d);
    CUresult result = load_image(d, blob, bytes, log, &module);
    restore(d, mode);
    snprintf(object, sizeof object, "%s%s%s", d->base.info.name, log[0] ? ", the log says: " : "",
             log);
    TS_TRY(rt_cuda_check(d->driver, result, "cuModuleLoadDataEx", object, err));
    *out = (rt_module *)module;
    return TS_STATUS_OK;
}

static void cuda_module_unload(ts_device *device, rt_module *module) {
    cuda_device *d;
    if (!module || enter(device, &d, NULL) != TS_STATUS_OK) return;
    CUstreamCaptureMode mode = relax(d);
    d->driver->cuModuleUnload((CUmodule)module);
    restore(d, mode);
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

static ts_status cuda_function(ts_device *device, rt_module *module, const char *entry,
                               size_t shared_bytes, void **out, ts_err *err) {
    cuda_device *d;
    CUfunction function = NULL;
    TS_TRY(enter(device, &d, err));
    CUstreamCaptureMode mode = relax(d); /* with lazy loading this is what loads the code */
    CUresult result = d->driver->cuModuleGetFunction(&function, (CUmodule)module, entry);
    restore(d, mode);
    TS_TRY(rt_cuda_check(d->driver, result, "cuModuleGetFunction", entry, err));
    TS_TRY(allow_shared(d, function, shared_bytes, entry, err));
    *out = function;
    return TS_STATUS_OK;
}

static ts_status cuda_launch(ts_device *device, void *stream, const rt_launch *launch,
                             ts_err *err) {
    cuda_device *d;
    const uint32_t *grid = launch->grid, *block = launch->block;
    if (!grid[0] || !grid[1] || !grid[2]) return TS_STATUS_OK;
    /* One parameter, the struct by value: the driver copies it before the call returns. */
    void *parameters[] = {(void *)(uintptr_t)launch->args};
    TS_TRY(enter(device, &d, err));
    CUresult result = d->driver->cuLaunchKernel(launch->function, grid[0], grid[1], grid[2],
                                                block[0], block[1], block[2], launch->shared_bytes,
                                                stream, parameters, NULL);
    if (result == CUDA_SUCCESS) return TS_STATUS_OK;
    char object[200];
    snprintf(object, sizeof object, "%s (grid %u %u %u, block %u %u %u, shared %u)",
             d->base.info.name, grid[0], grid[1], grid[2], block[0], block[1], block[2],
             launch->shared_bytes);
    return rt_cuda_check(d->driver, result, "cuLaunchKernel", object, err);
}

static void cuda_close(ts_device *device) {
    cuda_device *d = cuda(device);
    d->driver->cuDevicePrimaryCtxRelease_v2(d->device);
    free(d);
}

const rt_device_ops rt_cuda_ops = {
    .close = cuda_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .alloc_host = cuda_alloc_host,
    .free_host = cuda_free_host,
    .stream_create = cuda_stream_create,
    .stream_destroy = cuda_stream_destroy,
    .sync = cuda_sync,
    .upload = cuda_upload,
    .download = cuda_download,
    .send = cuda_send,
    .copy = cuda_copy,
    .fill = cuda_fill,
    .module_load = cuda_module_load,
    .module_unload = cuda_module_unload,
    .function = cuda_function,
    .launch = cuda_launch,
    .event_create = cuda_event_create,
    .event_destroy = cuda_event_destroy,
    .event_record = cuda_event_record,
    .event_wait = cuda_event_wait,
    .event_elapsed = cuda_event_elapsed,
    .graph_begin = cuda_graph_begin,
    .graph_end = cuda_graph_end,
    .graph_launch = cuda_graph_launch,
    .graph_destroy = cuda_graph_destroy,
    .memory_info = cuda_memory_info,
};
