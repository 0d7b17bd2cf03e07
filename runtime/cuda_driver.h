/* The part of the CUDA driver interface that the runtime calls, written down by hand: no toolkit
 * header is needed to build, and libcuda.so.1 is opened when the first GPU is asked for.
 *
 * Types have the driver's names and sizes; enumerations are int. Symbols are named as the library
 * exports them (`cuMemAlloc_v2` is what cuda.h calls cuMemAlloc).
 * tests/runtime/cuda_prototypes_test.sh compares every line with a toolkit's cuda.h where there is
 * one.
 */
#ifndef RUNTIME_CUDA_DRIVER_H
#define RUNTIME_CUDA_DRIVER_H

#include <stddef.h>

#include "../db/base.h"

#ifndef RT_CUDA_TYPES_FROM_TOOLKIT /* only the comparison sets it */
typedef int CUresult, CUdevice, CUdevice_attribute, CUfunction_attribute, CUjit_option,
    CUstreamCaptureMode, CUstreamCaptureStatus, CUtensorMapDataType, CUtensorMapInterleave,
    CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill, CUlaunchAttributeID;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUuuid_st {
    char bytes[16];
} CUuuid;
typedef struct CUtensorMap_st {
    _Alignas(64) uint64_t opaque[16];
} CUtensorMap;
typedef struct CUlaunchAttribute_st {
    CUlaunchAttributeID id;
    union {
        int programmaticStreamSerializationAllowed;
        uint64_t pad[8];
    } value;
} CUlaunchAttribute;
typedef struct CUlaunchConfig_st {
    unsigned int gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
    CUstream hStream;
    CUlaunchAttribute *attrs;
    unsigned int numAttrs;
} CUlaunchConfig;

enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NO_DEVICE = 100,

    CU_DEVICE_ATTRIBUTE_CLOCK_RATE = 13,
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,

    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,

    CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,

    CU_STREAM_NON_BLOCKING = 1,
    CU_EVENT_DEFAULT = 0,
    CU_EVENT_RECORD_EXTERNAL = 1,
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
    CU_STREAM_CAPTURE_MODE_RELAXED = 2,
    CU_STREAM_CAPTURE_STATUS_NONE = 0,

    CU_TENSOR_MAP_DATA_TYPE_UINT16 = 1,
    CU_TENSOR_MAP_DATA_TYPE_UINT32 = 2,
    CU_TENSOR_MAP_INTERLEAVE_NONE = 0,
    CU_TENSOR_MAP_SWIZZLE_32B = 1,
    CU_TENSOR_MAP_SWIZZLE_64B = 2,
    CU_TENSOR_MAP_SWIZZLE_128B = 3,
    CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2,
    CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0,

    CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};
#endif

/* X(symbol, parameters): every function of the table, all return CUresult. */
// clang-format off
#define RT_CUDA_FUNCTIONS(X)                                                                      \
    X(cuInit, (unsigned int flags))                                                               \
    X(cuDriverGetVersion, (int *version))                                                         \
    X(cuGetErrorName, (CUresult error, const char **text))                                        \
    X(cuGetErrorString, (CUresult error, const char **text))                                      \
    X(cuDeviceGetCount, (int *count))                                                             \
    X(cuDeviceGet, (CUdevice *device, int ordinal))                                               \
    X(cuDeviceGetName, (char *name, int bytes, CUdevice device))                                  \
    X(cuDeviceGetUuid_v2, (CUuuid *uuid, CUdevice device))                                        \
    X(cuDeviceGetPCIBusId, (char *text, int bytes, CUdevice device))                              \
    X(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                      \
    X(cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice device))          \
    X(cuDevicePrimaryCtxRetain, (CUcontext *context, CUdevice device))                            \
    X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                            \
    X(cuCtxSetCurrent, (CUcontext context))                                                       \
    X(cuMemAlloc_v2, (CUdeviceptr *memory, size_t bytes))                                         \
    X(cuMemFree_v2, (CUdeviceptr memory))                                                         \
    X(cuMemAllocHost_v2, (void **memory, size_t bytes))                                           \
    X(cuMemFreeHost, (void *memory))                                                              \
    X(cuMemGetInfo_v2, (size_t *free_bytes, size_t *total_bytes))                                 \
    X(cuMemcpyHtoDAsync_v2, (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream))    \
    X(cuMemcpyDtoHAsync_v2, (void *dst, CUdeviceptr src, size_t bytes, CUstream stream))          \
    X(cuMemcpyDtoDAsync_v2, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream))    \
    X(cuMemsetD8Async, (CUdeviceptr dst, unsigned char byte, size_t count, CUstream stream))      \
    X(cuStreamCreate, (CUstream *stream, unsigned int flags))                                     \
    X(cuStreamDestroy_v2, (CUstream stream))                                                      \
    X(cuStreamSynchronize, (CUstream stream))                                                     \
    X(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus *status))                      \
    X(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                       \
    X(cuStreamEndCapture, (CUstream stream, CUgraph *graph))                                      \
    X(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode *mode))                             \
    X(cuGraphInstantiateWithFlags, (CUgraphExec *exec, CUgraph graph, unsigned long long flags))  \
    X(cuGraphLaunch, (CUgraphExec exec, CUstream stream))                                         \
    X(cuGraphDestroy, (CUgraph graph))                                                            \
    X(cuGraphExecDestroy, (CUgraphExec exec))                                                     \
    X(cuEventCreate, (CUevent *event, unsigned int flags))                                        \
    X(cuEventDestroy_v2, (CUevent event))                                                         \
    X(cuEventRecordWithFlags, (CUevent event, CUstream stream, unsigned int flags))               \
    X(cuEventSynchronize, (CUevent event))                                                        \
    X(cuEventElapsedTime, (float *ms, CUevent begin, CUevent end))                                \
    X(cuModuleLoadDataEx,                                                                         \
      (CUmodule *module, const void *image, unsigned int count, CUjit_option *options,            \
       void **values))                                                                            \
    X(cuModuleUnload, (CUmodule module))                                                          \
    X(cuModuleGetFunction, (CUfunction *function, CUmodule module, const char *name))             \
    X(cuFuncGetAttribute, (int *value, CUfunction_attribute attribute, CUfunction function))      \
    X(cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))       \
    X(cuLaunchKernel,                                                                             \
      (CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,        \
       unsigned int block_x, unsigned int block_y, unsigned int block_z,                          \
       unsigned int shared_bytes,                                                                 \
       CUstream stream, void **parameters, void **extra))

/* Likewise: functions that older drivers lack. NULL in the table then; who calls one asks. */
#define RT_CUDA_NEWER_FUNCTIONS(X)                                                                \
    X(cuTensorMapEncodeTiled, /* CUDA 12.0 */                                                     \
      (CUtensorMap *map, CUtensorMapDataType type, uint32_t rank, void *memory,                   \
       const uint64_t *dimensions, const uint64_t *strides, const uint32_t *box,                  \
       const uint32_t *element_strides, CUtensorMapInterleave interleave,                         \
       CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)) \
    X(cuLaunchKernelEx, /* CUDA 11.8 */                                                           \
      (const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra))
// clang-format on

#ifdef _WIN32
#error "the driver's calling convention is not the default one on Windows"
#endif

typedef struct rt_cuda_driver {
#define RT_CUDA_MEMBER(symbol, parameters) CUresult(*symbol) parameters;
    RT_CUDA_FUNCTIONS(RT_CUDA_MEMBER)
    RT_CUDA_NEWER_FUNCTIONS(RT_CUDA_MEMBER)
#undef RT_CUDA_MEMBER
} rt_cuda_driver;

/* The opened and initialised driver, one for the process, never closed. Any thread. NO_DEVICE: no
 * libcuda.so.1, one too old, or no usable GPU; the message says which. */
ts_status rt_cuda_driver_get(const rt_cuda_driver **out, ts_err *err);

/* OK for CUDA_SUCCESS; else fills the error "CALL failed on OBJECT: text (NAME)" and returns
 * OUT_OF_MEMORY or DEVICE. */
ts_status rt_cuda_check(const rt_cuda_driver *driver, CUresult result, const char *call,
                        const char *object, ts_err *err);

#endif
