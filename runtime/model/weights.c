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
        if (table[i].at) continue; /* in the room of another row of the table */
        if (!is_absent(&table[i], dims)) {
            int64_t shape[RT_TENSOR_RANK];
            int rank = rt_dims_shape(dims, table[i].shape, shape, RT_TENSOR_RANK);
            assert(rank > 0);
            if (table[i].whole) shape[0] = rt_dims_value(dims, table[i].whole);
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

/* The tensors that one row of the table names. */
typedef struct sources {
    const rt_tensor *tensors[2]; /* the tensor and its mate, or NULL */
    ts_dtype stored[2];
    int count;
} sources;

/* Converts rows `first`..`first + rows` of the sources to `out`, rows of several in turn, padding
 * with zeros. A NaN would make every logit NaN long after anybody could say where it came from, so
 * it is looked for here, where each value passes as a float anyway; the tensor that has one, or
 * NULL. */
static const rt_tensor *convert_rows(const sources *from, const rt_form *f, rt_weight_kind kind,
                                     int64_t first, int64_t rows, float *row, unsigned char *out) {
    size_t columns = (size_t)f->columns, bytes = rt_dtype_bytes(f->dtype);
    memset(out, 0, (size_t)(from->count * rows * f->pitch) * bytes);
    for (int64_t r = 0; r < rows; r++) {
        for (int i = 0; i < from->count; i++) {
            const unsigned char *source = from->tensors[i]->data;
            size_t skipped = (size_t)(first + r) * columns * rt_dtype_bytes(from->stored[i]);
            rt_to_fp32(from->stored[i], source + skipped, columns, row);
            if (has_nan(row, columns)) return from->tensors[i];
            if (kind == RT_FLOATS_DECAY) rt_weight_decay(row, columns);
            rt_from_fp32(f->dtype, row, columns,
                         out + (size_t)((r * from->count + i) * f->pitch) * bytes);
        }
    }
    return NULL;
}

static ts_status upload_tensors(const sources *from, const rt_weight *weight, void *place,
                                const rt_upload *upload, ts_err *err) {
    const rt_tensor *tensor = from->tensors[0], *bad;
    rt_form f = rt_form_of(weight, tensor->rank, tensor->shape, upload->dtype);
    size_t row_bytes = (size_t)from->count * (size_t)f.pitch * rt_dtype_bytes(f.dtype);
    int64_t block = row_bytes < BLOCK_BYTES ? (int64_t)(BLOCK_BYTES / row_bytes) : 1;
    if (block > f.rows) block = f.rows;
    float *row = malloc((size_t)f.columns * sizeof *row);
    unsigned char *rows = malloc((size_t)block * row_bytes);
    ts_status status = TS_STATUS_OK;
    if (!row || !rows) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: tensor %s: conversion buffer",
                         tensor->file, tensor->name);
    }
    for (int64_t first = 0; first < f.rows && status == TS_STATUS_OK; first += block) {
        int64_t count = f.rows - first < block ? f.rows - first : block;
        if ((bad = convert_rows(from, &f, weight->kind, first, count, row, rows))) {
            status = ts_fail(err, TS_STATUS_CORRUPT,
                             "%s: tensor %s holds NaN: the checkpoint is damaged, fetch it again",
                             bad->file, bad->name);
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

/* Finds a tensor, checks its shape and adds it to the sources. */
static ts_status add_source(const rt_weight *weight, const char *prefix, const char *name,
                            const char *other_name, const rt_upload *upload, sources *out,
                            ts_err *err) {
    const rt_tensor *tensor = find(upload->tensors, prefix, name);
    if (!tensor) tensor = find(upload->tensors, prefix, other_name);
    if (!tensor) {
        const char *file = rt_tensors_count(upload->tensors)
                               ? rt_tensors_at(upload->tensors, 0)->file
                               : "weights";
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: tensor %s%s is missing", file, prefix,
                       name);
    }
    int64_t shape[RT_TENSOR_RANK];
    int rank = rt_dims_shape(upload->dims, weight->shape, shape, RT_TENSOR_RANK);
    TS_TRY(rt_tensor_check(tensor, rank, shape, err));
    upload->used[tensor - rt_tensors_at(upload->tensors, 0)] = true;
    out->tensors[out->count] = tensor;
    rt_tensor_dtype(tensor, &out->stored[out->count]);
    out->count++;
    return TS_STATUS_OK;
}

/* Where the tensor begins in the room that it shares. */
static void *part_of(const rt_weight *weight, void *place, const rt_upload *upload) {
    int64_t shape[RT_TENSOR_RANK];
    if (!weight->at) return place;
    int rank = rt_dims_shape(upload->dims, weight->shape, shape, RT_TENSOR_RANK);
    rt_form f = rt_form_of(weight, rank, shape, upload->dtype);
    int64_t row = weight->kind == RT_MATRIX ? f.pitch : 1;
    size_t skipped = (size_t)(rt_dims_value(upload->dims, weight->at) * row);
    return (char *)place + skipped * rt_dtype_bytes(f.dtype);
}

static ts_status load_one(const rt_weight *weight, const char *prefix, void *place,
                          const rt_upload *upload, ts_err *err) {
    sources from = {0};
    place = part_of(weight, place, upload);
    if (!upload->tensors) return rt_weight_make_up(weight, prefix, place, upload, err);
    TS_TRY(add_source(weight, prefix, weight->name, weight->other_name, upload, &from, err));
    if (weight->mate) TS_TRY(add_source(weight, prefix, weight->mate, NULL, upload, &from, err));
    return upload_tensors(&from, weight, place, upload, err);
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

ts_status rt_weights_check_tied(const rt_upload *upload, const char *head, const char *embedding,
                                const char *other_name, ts_err *err) {
    const rt_tensor *copy = rt_tensors_find(upload->tensors, head);
    if (!copy) return TS_STATUS_OK;
    const rt_tensor *table = rt_tensors_find(upload->tensors, embedding);
    if (!table && other_name) table = rt_tensors_find(upload->tensors, other_name);
    if (!table || copy->bytes != table->bytes ||
        memcmp(copy->data, table->data, copy->bytes) != 0) {
        return ts_fail(
            err, TS_STATUS_INVALID_ARGUMENT,
            "%s: tensor %s differs from the embedding, but tie_word_embeddings of config.json is "
            "not false",
            copy->file, head);
    }
    upload->used[copy - rt_tensors_at(upload->tensors, 0)] = true;
    return TS_STATUS_OK;
}
