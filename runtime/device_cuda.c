/* A GPU through the NVIDIA driver alone: memory, streams, events, graphs. Code and its launches are
 * device_cuda_code.c's.
 *
 * The device is opened through its primary context, the one that CUDA runtime users (PyTorch) work
 * in, so their pointers and streams can be passed in. Every call makes that context current first,
 * which costs tens of nanoseconds and lets any thread call.
 *
 * Streams made here do not synchronise with the legacy default stream. While a thread captures, the
 * driver forbids it whatever might wait for the captured work. Our allocations, copies,
 * synchronisations and module loads do not, so they run with the thread's capture mode relaxed
 * (rt_cuda_relax, rt_cuda_restore). A copy on the capturing stream itself is recorded and not waited
 * for.
 */
#include "device_cuda.h"

#include <stdlib.h>

static cuda_device *cuda(ts_device *device) { return (cuda_device *)device; }

static CUdeviceptr address(const void *memory) { return (CUdeviceptr)(uintptr_t)memory; }

ts_status rt_cuda_enter(ts_device *device, cuda_device **out, ts_err *err) {
    cuda_device *d = cuda(device);
    CU_TRY(d, cuCtxSetCurrent, (d->context), d->base.info.name, err);
    *out = d;
    return TS_STATUS_OK;
}

CUstreamCaptureMode rt_cuda_relax(const cuda_device *d) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    d->driver->cuThreadExchangeStreamCaptureMode(&mode);
    return mode;
}

void rt_cuda_restore(const cuda_device *d, CUstreamCaptureMode mode) {
    d->driver->cuThreadExchangeStreamCaptureMode(&mode);
}

/* ---- memory ---- */

static ts_status cuda_memory_info(ts_device *device, int64_t *free_bytes, int64_t *total_bytes,
                                  ts_err *err) {
    cuda_device *d;
    size_t unused, total;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuMemGetInfo_v2, (&unused, &total), d->base.info.name, err);
    *free_bytes = (int64_t)unused;
    *total_bytes = (int64_t)total;
    return TS_STATUS_OK;
}

static ts_status cuda_alloc(ts_device *device, size_t bytes, void **out, ts_err *err) {
    cuda_device *d;
    CUdeviceptr memory = 0;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    CUresult result = d->driver->cuMemAlloc_v2(&memory, bytes ? bytes : 1); /* 256-byte aligned */
    rt_cuda_restore(d, mode);
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
    if (!memory || rt_cuda_enter(device, &d, NULL) != TS_STATUS_OK) return;
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    d->driver->cuMemFree_v2(address(memory));
    rt_cuda_restore(d, mode);
}

static ts_status cuda_alloc_host(ts_device *device, size_t bytes, void **out, ts_err *err) {
    cuda_device *d;
    void *memory = NULL;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    CUresult result = d->driver->cuMemAllocHost_v2(&memory, bytes ? bytes : 1);
    rt_cuda_restore(d, mode);
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
    if (!memory || rt_cuda_enter(device, &d, NULL) != TS_STATUS_OK) return;
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    d->driver->cuMemFreeHost(memory);
    rt_cuda_restore(d, mode);
}

static ts_status wait_for(const cuda_device *d, void *stream, ts_err *err) {
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    CUresult result = d->driver->cuStreamSynchronize(stream);
    rt_cuda_restore(d, mode);
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
    TS_TRY(rt_cuda_enter(device, &d, err));
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    CUresult result = d->driver->cuMemcpyHtoDAsync_v2(address(dst), src, bytes, stream);
    rt_cuda_restore(d, mode);
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
    TS_TRY(rt_cuda_enter(device, &d, err));
    CUstreamCaptureMode mode = rt_cuda_relax(d);
    CUresult result = d->driver->cuMemcpyDtoHAsync_v2(dst, address(src), bytes, stream);
    rt_cuda_restore(d, mode);
    TS_TRY(rt_cuda_check(d->driver, result, "cuMemcpyDtoHAsync", d->base.info.name, err));
    return finish_copy(d, stream, err);
}

static ts_status cuda_copy(ts_device *device, void *stream, void *dst, const void *src,
                           size_t bytes, ts_err *err) {
    cuda_device *d;
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuMemcpyDtoDAsync_v2, (address(dst), address(src), bytes, stream), d->base.info.name,
           err);
    return TS_STATUS_OK;
}

static ts_status cuda_fill(ts_device *device, void *stream, void *dst, uint8_t byte, size_t bytes,
                           ts_err *err) {
    cuda_device *d;
    if (bytes == 0) return TS_STATUS_OK;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuMemsetD8Async, (address(dst), byte, bytes, stream), d->base.info.name, err);
    return TS_STATUS_OK;
}

/* ---- streams and events; an rt_event is a CUevent ---- */

static ts_status cuda_stream_create(ts_device *device, void **out, ts_err *err) {
    cuda_device *d;
    CUstream stream = NULL;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuStreamCreate, (&stream, CU_STREAM_NON_BLOCKING), d->base.info.name, err);
    *out = stream;
    return TS_STATUS_OK;
}

static void cuda_stream_destroy(ts_device *device, void *stream) {
    cuda_device *d;
    if (stream && rt_cuda_enter(device, &d, NULL) == TS_STATUS_OK)
        d->driver->cuStreamDestroy_v2(stream);
}

static ts_status cuda_sync(ts_device *device, void *stream, ts_err *err) {
    cuda_device *d;
    TS_TRY(rt_cuda_enter(device, &d, err));
    return wait_for(d, stream, err);
}

static ts_status cuda_event_create(ts_device *device, rt_event **out, ts_err *err) {
    cuda_device *d;
    CUevent event = NULL;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuEventCreate, (&event, CU_EVENT_DEFAULT), d->base.info.name, err);
    *out = (rt_event *)event;
    return TS_STATUS_OK;
}

static void cuda_event_destroy(ts_device *device, rt_event *event) {
    cuda_device *d;
    if (event && rt_cuda_enter(device, &d, NULL) == TS_STATUS_OK)
        d->driver->cuEventDestroy_v2((CUevent)event);
}

static ts_status cuda_event_record(ts_device *device, rt_event *event, void *stream, ts_err *err) {
    cuda_device *d;
    bool captured;
    TS_TRY(rt_cuda_enter(device, &d, err));
    TS_TRY(is_capturing(d, stream, &captured, err));
    /* Without the flag a captured record is an edge of the graph and says no time. */
    unsigned flags = captured ? CU_EVENT_RECORD_EXTERNAL : 0;
    CU_TRY(d, cuEventRecordWithFlags, ((CUevent)event, stream, flags), d->base.info.name, err);
    return TS_STATUS_OK;
}

static ts_status cuda_event_wait(ts_device *device, rt_event *event, ts_err *err) {
    cuda_device *d;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuEventSynchronize, ((CUevent)event), d->base.info.name, err);
    return TS_STATUS_OK;
}

static ts_status cuda_event_elapsed(ts_device *device, rt_event *begin, rt_event *end, double *us,
                                    ts_err *err) {
    cuda_device *d;
    float ms = 0;
    TS_TRY(rt_cuda_enter(device, &d, err));
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
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuStreamBeginCapture_v2, (stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
           d->base.info.name, err);
    return TS_STATUS_OK;
}

static ts_status cuda_graph_end(ts_device *device, void *stream, rt_graph **out, ts_err *err) {
    cuda_device *d;
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuStreamEndCapture, (stream, &graph), d->base.info.name, err);
    CUresult result = d->driver->cuGraphInstantiateWithFlags(&exec, graph, 0);
    d->driver->cuGraphDestroy(graph); /* the executable keeps what it needs */
    TS_TRY(rt_cuda_check(d->driver, result, "cuGraphInstantiateWithFlags", d->base.info.name, err));
    *out = (rt_graph *)exec;
    return TS_STATUS_OK;
}

static ts_status cuda_graph_launch(ts_device *device, rt_graph *graph, void *stream, ts_err *err) {
    cuda_device *d;
    TS_TRY(rt_cuda_enter(device, &d, err));
    CU_TRY(d, cuGraphLaunch, ((CUgraphExec)graph, stream), d->base.info.name, err);
    return TS_STATUS_OK;
}

static void cuda_graph_destroy(ts_device *device, rt_graph *graph) {
    cuda_device *d;
    if (graph && rt_cuda_enter(device, &d, NULL) == TS_STATUS_OK)
        d->driver->cuGraphExecDestroy((CUgraphExec)graph);
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
    .module_load = rt_cuda_module_load,
    .module_unload = rt_cuda_module_unload,
    .function = rt_cuda_function,
    .tensor_map = rt_cuda_tensor_map,
    .launch = rt_cuda_launch,
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
