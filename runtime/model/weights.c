/* From mapped safetensors to the device: checked against the table, converted in blocks of rows,
 * uploaded block by block, so that the host never holds more than a few megabytes beside the
 * mapping.
 */
#include "weights.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4 << 20 };

rt_form rt_form_of(const rt_weight *weight, int rank, const int64_t *shape, ts_dtype dtype) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    if (weight->kind != RT_MATRIX) return (rt_form){TS_DTYPE_FP32, 1, count, count};
    return (rt_form){dtype, shape[0], count / shape[0],
                     rt_pitch(count / shape[0], rt_dtype_bytes(dtype))};
}

static bool is_absent(const rt_weight *weight, const rt_dim *dims) {
    return weight->when && rt_dims_value(dims, weight->when) == 0;
}

void rt_weights_place(const rt_weight *table, size_t count, const rt_dim *dims, ts_dtype dtype,
                      void *block, rt_layout *layout) {
    for (size_t i = 0; i < count; i++) {
        const void *place = NULL;
        if (!is_absent(&table[i], dims)) {
            int64_t shape[RT_TENSOR_RANK];
            int rank = rt_dims_shape(dims, table[i].shape, shape, RT_TENSOR_RANK);
            assert(rank > 0);
            rt_form f = rt_form_of(&table[i], rank, shape, dtype);
            place = rt_layout_take(layout, (size_t)(f.rows * f.pitch) * rt_dtype_bytes(f.dtype));
        }
        memcpy((char *)block + table[i].member, &place, sizeof place);
    }
}

void rt_weight_decay(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = -expf(values[i]);
}

static bool has_nan(const float *values, size_t count) {
    bool found = false;
    for (size_t i = 0; i < count; i++) found |= values[i] != values[i];
    return found;
}

/* Converts rows `first`..`first + rows` of the tensor to `out`, padding with zeros. A NaN would make
 * every logit NaN long after anybody could say where it came from, so it is looked for here, where
 * each value passes as a float anyway; false if there is one. */
static bool convert_rows(const rt_tensor *tensor, ts_dtype stored, const rt_form *f,
                         rt_weight_kind kind, int64_t first, int64_t rows, float *row,
                         unsigned char *out) {
    size_t columns = (size_t)f->columns, bytes = rt_dtype_bytes(f->dtype);
    const unsigned char *source = tensor->data;
    memset(out, 0, (size_t)(rows * f->pitch) * bytes);
    for (int64_t r = 0; r < rows; r++) {
        rt_to_fp32(stored, source + (size_t)(first + r) * columns * rt_dtype_bytes(stored), columns,
                   row);
        if (has_nan(row, columns)) return false;
        if (kind == RT_FLOATS_DECAY) rt_weight_decay(row, columns);
        rt_from_fp32(f->dtype, row, columns, out + (size_t)(r * f->pitch) * bytes);
    }
    return true;
}

static ts_status upload_tensor(const rt_tensor *tensor, const rt_weight *weight, void *place,
                               const rt_upload *upload, ts_err *err) {
    rt_form f = rt_form_of(weight, tensor->rank, tensor->shape, upload->dtype);
    size_t row_bytes = (size_t)f.pitch * rt_dtype_bytes(f.dtype);
    int64_t block = row_bytes < BLOCK_BYTES ? (int64_t)(BLOCK_BYTES / row_bytes) : 1;
    if (block > f.rows) block = f.rows;
    ts_dtype stored = TS_DTYPE_FP32;
    rt_tensor_dtype(tensor, &stored);
    float *row = malloc((size_t)f.columns * sizeof *row);
    unsigned char *rows = malloc((size_t)block * row_bytes);
    ts_status status = TS_STATUS_OK;
    if (!row || !rows) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: tensor %s: conversion buffer",
                         tensor->file, tensor->name);
    }
    for (int64_t first = 0; first < f.rows && status == TS_STATUS_OK; first += block) {
        int64_t count = f.rows - first < block ? f.rows - first : block;
        if (!convert_rows(tensor, stored, &f, weight->kind, first, count, row, rows)) {
            status = ts_fail(err, TS_STATUS_CORRUPT,
                             "%s: tensor %s holds NaN: the checkpoint is damaged, fetch it again",
                             tensor->file, tensor->name);
            break;
        }
        status = upload->device->ops->upload(upload->device, NULL,
                                             (char *)place + (size_t)first * row_bytes, rows,
                                             (size_t)count * row_bytes, err);
    }
    free(row);
    free(rows);
    return status;
}

static const rt_tensor *find(const rt_tensors *tensors, const char *prefix, const char *name) {
    ts_buf text = {0};
    if (!name) return NULL;
    ts_buf_printf(&text, "%s%s", prefix, name);
    const rt_tensor *tensor = text.failed ? NULL : rt_tensors_find(tensors, text.data);
    ts_buf_free(&text);
    return tensor;
}

static ts_status load_one(const rt_weight *weight, const char *prefix, void *place,
                          const rt_upload *upload, ts_err *err) {
    if (!upload->tensors) return rt_weight_make_up(weight, prefix, place, upload, err);
    const rt_tensor *tensor = find(upload->tensors, prefix, weight->name);
    if (!tensor) tensor = find(upload->tensors, prefix, weight->other_name);
    if (!tensor) {
        const char *file = rt_tensors_count(upload->tensors)
                               ? rt_tensors_at(upload->tensors, 0)->file
                               : "weights";
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: tensor %s%s is missing", file, prefix,
                       weight->name);
    }
    int64_t shape[RT_TENSOR_RANK];
    int rank = rt_dims_shape(upload->dims, weight->shape, shape, RT_TENSOR_RANK);
    TS_TRY(rt_tensor_check(tensor, rank, shape, err));
    upload->used[tensor - rt_tensors_at(upload->tensors, 0)] = true;
    return upload_tensor(tensor, weight, place, upload, err);
}

ts_status rt_weights_load(const rt_weight *table, size_t count, const char *prefix,
                          const void *block, const rt_upload *upload, ts_err *err) {
    for (size_t i = 0; i < count; i++) {
        void *place;
        memcpy(&place, (const char *)block + table[i].member, sizeof place);
        if (place) TS_TRY(load_one(&table[i], prefix, place, upload, err));
    }
    return TS_STATUS_OK;
}
