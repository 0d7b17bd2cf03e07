/* A stand-in for libcuda.so.1, so that device_cuda.c runs without a GPU: memory is the host's,
 * launches are written down, and the rules that bite on a real driver are kept (a current context,
 * capture modes).
 */
#ifndef TESTS_RUNTIME_FAKE_CUDA_H
#define TESTS_RUNTIME_FAKE_CUDA_H

#include "runtime/cuda_driver.h"

typedef struct fake_state {
    /* what the machine is; the test may change it before it opens a device */
    int devices, major, minor;
    int minor_step; /* GPU 1 has this much more than `minor`: a mixed host */
    size_t memory_bytes;
    int driver_version; /* CUDA's, as cuDriverGetVersion counts */
    /* what was done */
    int contexts, streams, events, modules, graphs, allocations, host_allocations, synchronised,
        recorded;
    int captured_events; /* records in the captured graph */
    int dynamic_limit;   /* last MAX_DYNAMIC_SHARED_SIZE_BYTES */
    struct {
        int count;
        unsigned grid[3], block[3], shared;
        CUstream stream;
        unsigned char args[64];
        CUtensorMap maps[2]; /* of `mapped` */
        bool dependent;      /* programmatic stream serialization */
    } launch;
    struct {
        int count;
        CUtensorMapDataType type;
        CUtensorMapInterleave interleave;
        CUtensorMapSwizzle swizzle;
        CUtensorMapL2promotion promotion;
        CUtensorMapFloatOOBfill fill;
        const void *memory;
        uint64_t dimensions[3], strides[2];
        uint32_t box[3], element_strides[3];
    } map; /* the last one */
} fake_state;

enum { FAKE_MAX_EVENTS = 64 };

/* Error numbers of cuda.h that the fake returns and the runtime needs no name for. */
enum {
    FAKE_INVALID_VALUE = 1,
    FAKE_INVALID_CONTEXT = 201,
    FAKE_INVALID_IMAGE = 200,
    FAKE_NOT_FOUND = 500,
    FAKE_CAPTURE_UNSUPPORTED = 900
};

#endif
