/* Tensor maps: how the TMA of a GPU knows a matrix, of which kernels copy boxes (templates/README.md).
 * A map is 128 bytes that only the driver and the GPU understand, and a parameter of the kernel.
 */
#ifndef RUNTIME_TENSOR_MAP_H
#define RUNTIME_TENSOR_MAP_H

#include "../db/base.h"

enum { RT_MAX_MAPS = 4 }; /* of a launch */

/* The driver's CUtensorMap, which wants this alignment. */
typedef struct rt_tensor_map {
    _Alignas(64) uint64_t opaque[16];
} rt_tensor_map;

/* What a kernel was compiled for. The matrix is seen as matrices of `part` columns side by side; a
 * box of one of them has columns * element_bytes of 32, 64 or 128, and is swizzled by as much. */
typedef struct rt_box {
    uint32_t element_bytes; /* 2 or 4 */
    uint32_t part;          /* part * element_bytes is a multiple of 16; 0: the whole row */
    uint32_t columns, rows;
} rt_box;

/* A matrix of a launch. */
typedef struct rt_boxed {
    const void *data; /* on the device; may be NULL */
    int64_t pitch;    /* elements from a row to the next */
    uint32_t rows, parts;
    rt_box box;
} rt_boxed;

struct rt_cuda_driver;

/* Encodes the map, or sets it to zeros where there can be none: no data, no rows, no parts, data or
 * pitch off 16 bytes, a pitch of 2^40 bytes or more. Kernels check that themselves. The caller's
 * context is current. UNSUPPORTED: the driver is older than CUDA 12.0. */
ts_status rt_tensor_map_encode(const struct rt_cuda_driver *driver, const rt_boxed *matrix,
                               rt_tensor_map *out, ts_err *err);

#endif
