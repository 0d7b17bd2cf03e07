/* rt_boxed -> the driver's tensor map. Dimensions, fastest first: column of the part, row, part. */
#include "tensor_map.h"

#include <stdio.h>
#include <string.h>

#include "cuda_driver.h"

enum { RANK = 3 };

_Static_assert(sizeof(rt_tensor_map) == sizeof(CUtensorMap), "a parameter of the kernel");

static uint64_t pitch_bytes(const rt_boxed *matrix) {
    return (uint64_t)matrix->pitch * matrix->box.element_bytes;
}

/* `has_map` of templates/shared/tensor_map.cu.in, and what a kernel that has work need not ask. */
static bool can_be_mapped(const rt_boxed *matrix) {
    uint64_t pitch = pitch_bytes(matrix), at = (uintptr_t)matrix->data;
    return at && matrix->rows && matrix->parts && (at | pitch) % 16 == 0 &&
           pitch < UINT64_C(1) << 40;
}

static CUtensorMapSwizzle swizzle_of(const rt_box *box) {
    switch (box->columns * box->element_bytes) {
    case 32: return CU_TENSOR_MAP_SWIZZLE_32B;
    case 64: return CU_TENSOR_MAP_SWIZZLE_64B;
    default: return CU_TENSOR_MAP_SWIZZLE_128B;
    }
}

/* The numbers that the driver was given, for its refusal. */
static ts_status check(const rt_cuda_driver *driver, CUresult result, const rt_boxed *matrix,
                       ts_err *err) {
    const rt_box *box = &matrix->box;
    if (result == CUDA_SUCCESS) return TS_STATUS_OK;
    char object[200];
    snprintf(
        object, sizeof object,
        "%u parts of %u rows x %u columns of %u bytes, pitch %llu bytes, boxes of %u rows x %u",
        matrix->parts, matrix->rows, box->part, box->element_bytes,
        (unsigned long long)pitch_bytes(matrix), box->rows, box->columns);
    return rt_cuda_check(driver, result, "cuTensorMapEncodeTiled", object, err);
}

ts_status rt_tensor_map_encode(const rt_cuda_driver *driver, const rt_boxed *matrix,
                               rt_tensor_map *out, ts_err *err) {
    const rt_box *box = &matrix->box;
    if (!driver->cuTensorMapEncodeTiled)
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "the kernel takes tensor maps, which the NVIDIA driver has from CUDA 12.0 "
                       "(525) on: update it");
    memset(out, 0, sizeof *out);
    if (!can_be_mapped(matrix)) return TS_STATUS_OK;
    const uint64_t dimensions[RANK] = {box->part, matrix->rows, matrix->parts};
    const uint64_t pitch = pitch_bytes(matrix); /* a stride, too, where no second part is */
    const uint64_t strides[RANK - 1] = {
        pitch, matrix->parts > 1 ? (uint64_t)box->part * box->element_bytes : pitch};
    const uint32_t extents[RANK] = {box->columns, box->rows, 1}, every[RANK] = {1, 1, 1};
    CUresult result = driver->cuTensorMapEncodeTiled(
        (CUtensorMap *)out,
        box->element_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_UINT16 : CU_TENSOR_MAP_DATA_TYPE_UINT32,
        RANK, (void *)(uintptr_t)matrix->data, dimensions, strides, extents, every,
        CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(box), CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return check(driver, result, matrix, err);
}
