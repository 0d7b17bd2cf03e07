/* The fake driver, which fake_device.h compiles as a shared object with the soname libcuda.so.1. */
#include "fake_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) fake_state fake = {
    .devices = 2,
    .major = 9,
    .minor = 0,
    .memory_bytes = 1 << 20,
    .driver_version = 13000,
};

struct CUctx_st {
    int device;
};
struct CUstream_st {
    int capturing;
};
struct CUevent_st {
    float ms;
};
struct CUmod_st {
    int unused;
};
struct CUfunc_st {
    char name[64];
    int fixed_shared, maps;
};
struct CUgraph_st {
    int nodes;
};
struct CUgraphExec_st {
    int nodes;
};

static struct CUctx_st contexts[4];
static struct CUfunc_st functions[3] = {{"plain", 0, 0}, {"fixed", 1024, 0}, {"mapped", 0, 2}};
static size_t allocated;
static CUevent captured[FAKE_MAX_EVENTS]; /* of the last capture; there is one graph at a time */
static float clock_ms;
static _Thread_local CUcontext current;
static _Thread_local int capture_mode = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
static _Thread_local int captures; /* streams that this thread captures */

#define EXPORT __attribute__((visibility("default"))) CUresult
#define NEED_CONTEXT()                             \
    do {                                           \
        if (!current) return FAKE_INVALID_CONTEXT; \
    } while (0)
/* A thread that captures may not make calls that could wait for the captured work. */
#define NEED_SAFE()                                                     \
    do {                                                                \
        NEED_CONTEXT();                                                 \
        if (captures && capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED) \
            return FAKE_CAPTURE_UNSUPPORTED;                            \
    } while (0)

/* ---- errors, devices, contexts ---- */

static const struct {
    CUresult code;
    const char *name, *text;
} errors[] = {
    {FAKE_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {FAKE_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {FAKE_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {FAKE_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {FAKE_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
};

EXPORT cuGetErrorName(CUresult error, const char **text) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].code == error) return *text = errors[i].name, CUDA_SUCCESS;
    return FAKE_INVALID_VALUE;
}
EXPORT cuGetErrorString(CUresult error, const char **text) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].code == error) return *text = errors[i].text, CUDA_SUCCESS;
    return FAKE_INVALID_VALUE;
}
EXPORT cuInit(unsigned int flags) { return flags ? FAKE_INVALID_VALUE : CUDA_SUCCESS; }
EXPORT cuDriverGetVersion(int *version) { return *version = fake.driver_version, CUDA_SUCCESS; }
EXPORT cuDeviceGetCount(int *count) { return *count = fake.devices, CUDA_SUCCESS; }
EXPORT cuDeviceGet(CUdevice *device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; }
EXPORT cuDeviceGetName(char *name, int bytes, CUdevice device) {
    return snprintf(name, (size_t)bytes, "Fake GPU %d", device), CUDA_SUCCESS;
}
EXPORT cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
    for (int i = 0; i < 16; i++) uuid->bytes[i] = (char)(i < 8 ? 0xa0 + i : 0xb0 + device);
    return CUDA_SUCCESS;
}
EXPORT cuDeviceGetPCIBusId(char *text, int bytes, CUdevice device) {
    return snprintf(text, (size_t)bytes, "0000:%02x:00.0", 0x3b + device), CUDA_SUCCESS;
}
EXPORT cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    return (void)device, *bytes = fake.memory_bytes, CUDA_SUCCESS;
}
EXPORT cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132 + device; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 1980000; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 50 << 20; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = fake.major; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        *value = fake.minor + (device ? fake.minor_step : 0);
        break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 232448; break;
    default: return FAKE_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
EXPORT cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    return fake.contexts++, *context = &contexts[device], CUDA_SUCCESS;
}
EXPORT cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    return (void)device, fake.contexts--, CUDA_SUCCESS;
}
EXPORT cuCtxSetCurrent(CUcontext context) { return current = context, CUDA_SUCCESS; }

/* ---- memory ---- */

EXPORT cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes) {
    NEED_SAFE();
    if (bytes > fake.memory_bytes - allocated) return CUDA_ERROR_OUT_OF_MEMORY;
    size_t *block = aligned_alloc(256, 256 + (bytes + 255) / 256 * 256);
    if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
    block[0] = bytes;
    allocated += bytes;
    fake.allocations++;
    return *memory = (CUdeviceptr)(size_t)block + 256, CUDA_SUCCESS;
}
EXPORT cuMemFree_v2(CUdeviceptr memory) {
    NEED_SAFE();
    size_t *block = (size_t *)(size_t)(memory - 256);
    allocated -= block[0];
    fake.allocations--;
    free(block);
    return CUDA_SUCCESS;
}
EXPORT cuMemAllocHost_v2(void **memory, size_t bytes) {
    NEED_SAFE();
    if (bytes > 64 << 20) return CUDA_ERROR_OUT_OF_MEMORY;
    return fake.host_allocations++, *memory = malloc(bytes), CUDA_SUCCESS;
}
EXPORT cuMemFreeHost(void *memory) {
    NEED_SAFE();
    return fake.host_allocations--, free(memory), CUDA_SUCCESS;
}
EXPORT cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    NEED_CONTEXT();
    return *free_bytes = fake.memory_bytes - allocated, *total_bytes = fake.memory_bytes,
           CUDA_SUCCESS;
}

/* A captured operation is counted and not done. */
static int record(CUstream stream) { return stream && stream->capturing ? ++fake.recorded : 0; }

static CUresult move(void *dst, const void *src, size_t bytes, CUstream stream) {
    NEED_CONTEXT();
    if (!record(stream)) memcpy(dst, src, bytes);
    return CUDA_SUCCESS;
}
EXPORT cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream) {
    return move((void *)(size_t)dst, src, bytes, stream);
}
EXPORT cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t bytes, CUstream stream) {
    return move(dst, (void *)(size_t)src, bytes, stream);
}
EXPORT cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
    return move((void *)(size_t)dst, (void *)(size_t)src, bytes, stream);
}
EXPORT cuMemsetD8Async(CUdeviceptr dst, unsigned char byte, size_t count, CUstream stream) {
    NEED_CONTEXT();
    if (!record(stream)) memset((void *)(size_t)dst, byte, count);
    return CUDA_SUCCESS;
}

/* ---- streams, events, graphs ---- */

EXPORT cuStreamCreate(CUstream *stream, unsigned int flags) {
    NEED_CONTEXT();
    if (flags != CU_STREAM_NON_BLOCKING) return FAKE_INVALID_VALUE;
    return fake.streams++, *stream = calloc(1, sizeof **stream), CUDA_SUCCESS;
}
EXPORT cuStreamDestroy_v2(CUstream stream) { return fake.streams--, free(stream), CUDA_SUCCESS; }
EXPORT cuStreamSynchronize(CUstream stream) {
    NEED_SAFE();
    if (stream && stream->capturing) return FAKE_CAPTURE_UNSUPPORTED;
    return fake.synchronised++, CUDA_SUCCESS;
}
EXPORT cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
    NEED_CONTEXT();
    return *status = stream->capturing, CUDA_SUCCESS;
}
EXPORT cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    NEED_CONTEXT();
    if (mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) return FAKE_INVALID_VALUE;
    return stream->capturing = 1, captures++, fake.recorded = fake.captured_events = 0,
           CUDA_SUCCESS;
}
EXPORT cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    NEED_CONTEXT();
    if (!stream->capturing) return FAKE_INVALID_VALUE;
    stream->capturing = 0;
    captures--;
    *graph = calloc(1, sizeof **graph);
    (*graph)->nodes = fake.recorded;
    return fake.graphs++, CUDA_SUCCESS;
}
EXPORT cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
    int before = capture_mode;
    return capture_mode = *mode, *mode = before, CUDA_SUCCESS;
}
EXPORT cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
    if (flags || graph->nodes == 0)
        return FAKE_INVALID_VALUE; /* an empty graph stands for a failure */
    *exec = calloc(1, sizeof **exec);
    (*exec)->nodes = graph->nodes;
    return fake.graphs++, CUDA_SUCCESS;
}
EXPORT cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    NEED_CONTEXT();
    for (int i = 0; i < fake.captured_events; i++) captured[i]->ms = clock_ms += 1.5f;
    return (void)stream, fake.launch.count += exec->nodes, CUDA_SUCCESS;
}
EXPORT cuGraphDestroy(CUgraph graph) { return fake.graphs--, free(graph), CUDA_SUCCESS; }
EXPORT cuGraphExecDestroy(CUgraphExec exec) { return fake.graphs--, free(exec), CUDA_SUCCESS; }
EXPORT cuEventCreate(CUevent *event, unsigned int flags) {
    NEED_CONTEXT();
    return (void)flags, fake.events++, *event = calloc(1, sizeof **event), CUDA_SUCCESS;
}
EXPORT cuEventDestroy_v2(CUevent event) { return fake.events--, free(event), CUDA_SUCCESS; }
/* In a capture only the flag makes a record a node that every replay runs. */
EXPORT cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags) {
    int capturing = stream && stream->capturing;
    NEED_CONTEXT();
    if (flags != (capturing ? CU_EVENT_RECORD_EXTERNAL : 0)) return FAKE_INVALID_VALUE;
    if (!capturing) return event->ms = clock_ms += 1.5f, CUDA_SUCCESS;
    if (fake.captured_events == FAKE_MAX_EVENTS) return CUDA_ERROR_OUT_OF_MEMORY;
    return captured[fake.captured_events++] = event, fake.recorded++, CUDA_SUCCESS;
}
EXPORT cuEventSynchronize(CUevent event) { return (void)event, fake.synchronised++, CUDA_SUCCESS; }
EXPORT cuEventElapsedTime(float *ms, CUevent begin, CUevent end) {
    return *ms = end->ms - begin->ms, CUDA_SUCCESS;
}

/* ---- code: an image that begins "\177ELFgood" or "// good" loads ---- */

EXPORT cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count,
                          CUjit_option *options, void **values) {
    NEED_SAFE();
    if (memcmp(image, "\177ELFgood", 8) == 0 ||
        strcmp(image, "// good PTX, which must end where its text ends, whatever the size says") ==
            0)
        return fake.modules++, *module = calloc(1, sizeof **module), CUDA_SUCCESS;
    if (count != 2 || options[0] != CU_JIT_ERROR_LOG_BUFFER ||
        options[1] != CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        return FAKE_INVALID_VALUE;
    snprintf(values[0], (size_t)values[1], "ptxas says line 7");
    return FAKE_INVALID_IMAGE;
}
EXPORT cuModuleUnload(CUmodule module) {
    NEED_SAFE();
    return fake.modules--, free(module), CUDA_SUCCESS;
}
EXPORT cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    NEED_SAFE();
    (void)module;
    for (int i = 0; i < 3; i++)
        if (strcmp(functions[i].name, name) == 0) return *function = &functions[i], CUDA_SUCCESS;
    return FAKE_NOT_FOUND;
}
EXPORT cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    if (attribute != CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES) return FAKE_INVALID_VALUE;
    return *value = function->fixed_shared, CUDA_SUCCESS;
}
EXPORT cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return FAKE_INVALID_VALUE;
    return (void)function, fake.dynamic_limit = value, CUDA_SUCCESS;
}
/* The map names its matrix: the address first, its rows last. */
EXPORT cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, uint32_t rank,
                              void *memory, const uint64_t *dimensions, const uint64_t *strides,
                              const uint32_t *box, const uint32_t *element_strides,
                              CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                              CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
    NEED_CONTEXT();
    if ((size_t)map % 64 || rank != 3 || box[1] > 256) return FAKE_INVALID_VALUE;
    fake.map.count++;
    fake.map.type = type, fake.map.interleave = interleave, fake.map.swizzle = swizzle;
    fake.map.promotion = promotion, fake.map.fill = fill, fake.map.memory = memory;
    memcpy(fake.map.dimensions, dimensions, sizeof fake.map.dimensions);
    memcpy(fake.map.strides, strides, sizeof fake.map.strides);
    memcpy(fake.map.box, box, sizeof fake.map.box);
    memcpy(fake.map.element_strides, element_strides, sizeof fake.map.element_strides);
    map->opaque[0] = (uint64_t)(size_t)memory;
    map->opaque[15] = dimensions[1];
    return CUDA_SUCCESS;
}
EXPORT cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
                      unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
                      CUstream stream, void **parameters, void **extra) {
    NEED_CONTEXT();
    if (!function || extra || !gx || !gy || !gz || !bx || !by || !bz) return FAKE_INVALID_VALUE;
    const unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    memcpy(fake.launch.grid, grid, sizeof grid);
    memcpy(fake.launch.block, block, sizeof block);
    memcpy(fake.launch.args, parameters[0], sizeof fake.launch.args);
    for (int i = 0; i < function->maps; i++)
        memcpy(&fake.launch.maps[i], parameters[1 + i], sizeof fake.launch.maps[i]);
    fake.launch.shared = shared;
    fake.launch.stream = stream;
    fake.launch.dependent = false;
    if (!record(stream)) fake.launch.count++;
    return CUDA_SUCCESS;
}
EXPORT cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                        void **extra) {
    CUresult result = cuLaunchKernel(function, config->gridDimX, config->gridDimY, config->gridDimZ,
                                     config->blockDimX, config->blockDimY, config->blockDimZ,
                                     config->sharedMemBytes, config->hStream, parameters, extra);
    for (unsigned i = 0; i < config->numAttrs; i++)
        if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
            fake.launch.dependent = config->attrs[i].value.programmaticStreamSerializationAllowed;
    return result;
}
