/* The caller's own embedding table, with an optional projection into the model's width. Vectors are
 * made on the host when an id is looked up; nothing of the table is copied. All values are checked
 * once at opening, so that a lookup in the middle of a text cannot meet a NaN.
 */
#include "embeds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"

struct ts_embeds {
    rt_tensors *tensors;
    const rt_tensor *table; /* [count, width] */
    ts_dtype stored;
    int32_t count;
    size_t width, hidden;
    float *projection; /* [hidden, width], NULL: width is hidden */
    float *bias;       /* [hidden], zeros where the file has none; NULL without projection */
};

enum { BLOCK = 256 }; /* values converted at a time */

static ts_status check_finite(const rt_tensor *tensor, ts_dtype dtype, ts_err *err) {
    float values[BLOCK];
    for (size_t done = 0; done < tensor->count; done += BLOCK) {
        size_t count = tensor->count - done < BLOCK ? tensor->count - done : BLOCK;
        rt_to_fp32(dtype, (const char *)tensor->data + done * rt_dtype_bytes(dtype), count, values);
        for (size_t i = 0; i < count; i++) {
            if (!isfinite(values[i])) {
                return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                               "%s: tensor %s: value %zu is not finite", tensor->file, tensor->name,
                               done + i);
            }
        }
    }
    return TS_STATUS_OK;
}

/* Checks shape, dtype and values, and converts all of it; *out: free(). */
static ts_status read_floats(const rt_tensor *tensor, int rank, const int64_t *shape, float **out,
                             ts_err *err) {
    ts_dtype dtype = TS_DTYPE_FP32;
    TS_TRY(rt_tensor_check(tensor, rank, shape, err));
    rt_tensor_dtype(tensor, &dtype);
    TS_TRY(check_finite(tensor, dtype, err));
    float *values = malloc(tensor->count * sizeof *values + 1);
    if (!values)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: tensor %s", tensor->file, tensor->name);
    rt_to_fp32(dtype, tensor->data, tensor->count, values);
    *out = values;
    return TS_STATUS_OK;
}

static ts_status read_projection(ts_embeds *e, const char *path, ts_err *err) {
    const rt_tensor *weight = rt_tensors_find(e->tensors, "projection.weight");
    const rt_tensor *bias = rt_tensors_find(e->tensors, "projection.bias");
    int64_t shape[2] = {(int64_t)e->hidden, (int64_t)e->width};
    if (!weight) {
        if (bias)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "%s: projection.bias without projection.weight", path);
        if (e->width == e->hidden) return TS_STATUS_OK;
        return ts_fail(
            err, TS_STATUS_INVALID_ARGUMENT,
            "%s: embeddings.weight has %zu columns, the model needs %zu, and there is no projection.weight",
            path, e->width, e->hidden);
    }
    TS_TRY(read_floats(weight, 2, shape, &e->projection, err));
    if (bias) return read_floats(bias, 1, shape, &e->bias, err);
    e->bias = calloc(e->hidden, sizeof *e->bias);
    return e->bias ? TS_STATUS_OK : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
}

static ts_status open_table(ts_embeds *e, const char *path, const ts_model_info *info,
                            ts_err *err) {
    TS_TRY(rt_tensors_open(path, &e->tensors, err));
    e->table = rt_tensors_find(e->tensors, "embeddings.weight");
    if (!e->table)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: tensor embeddings.weight is missing",
                       path);
    if (e->table->rank != 2 || !rt_tensor_dtype(e->table, &e->stored) ||
        e->table->shape[0] > INT32_MAX) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%s: embeddings.weight is not a matrix [ids, width] of F32, F16 or BF16",
                       path);
    }
    e->count = (int32_t)e->table->shape[0];
    e->width = (size_t)e->table->shape[1];
    e->hidden = (size_t)info->hidden;
    if (e->count < info->vocab) {
        return ts_fail(
            err, TS_STATUS_INVALID_ARGUMENT,
            "%s: embeddings.weight has %d rows, but the model may generate any of %d ids", path,
            e->count, info->vocab);
    }
    TS_TRY(check_finite(e->table, e->stored, err));
    return read_projection(e, path, err);
}

ts_status ts_embeds_open(const char *path, const ts_model *model, ts_embeds **out, ts_err *err) {
    ts_model_info info = ts_model_describe(model);
    ts_embeds *e = calloc(1, sizeof *e);
    if (!e) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
    ts_status status = open_table(e, path, &info, err);
    if (status != TS_STATUS_OK) {
        ts_embeds_close(e);
        return status;
    }
    *out = e;
    return TS_STATUS_OK;
}

void ts_embeds_close(ts_embeds *e) {
    if (!e) return;
    rt_tensors_close(e->tensors);
    free(e->projection);
    free(e->bias);
    free(e);
}

int32_t ts_embeds_count(const ts_embeds *e) { return e->count; }

/* vector += projection * (row's columns from `first` on). */
static void project_block(const ts_embeds *e, const float *values, size_t first, size_t count,
                          float *vector) {
    for (size_t j = 0; j < e->hidden; j++) {
        const float *weights = e->projection + j * e->width + first;
        float sum = 0;
        for (size_t i = 0; i < count; i++) sum += weights[i] * values[i];
        vector[j] += sum;
    }
}

ts_status ts_embeds_lookup(const ts_embeds *e, const int32_t *ids, size_t count, float *vectors,
                           ts_err *err) {
    for (size_t n = 0; n < count; n++) {
        if (ids[n] < 0 || ids[n] >= e->count) {
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: id %d is not in 0..%d",
                           e->table->file, ids[n], e->count - 1);
        }
    }
    for (size_t n = 0; n < count; n++) {
        size_t element = rt_dtype_bytes(e->stored);
        const char *row = (const char *)e->table->data + (size_t)ids[n] * e->width * element;
        float *vector = vectors + n * e->hidden, values[BLOCK];
        if (!e->projection) {
            rt_to_fp32(e->stored, row, e->width, vector);
            continue;
        }
        memcpy(vector, e->bias, e->hidden * sizeof *vector);
        for (size_t first = 0; first < e->width; first += BLOCK) {
            size_t columns = e->width - first < BLOCK ? e->width - first : BLOCK;
            rt_to_fp32(e->stored, row + first * element, columns, values);
            project_block(e, values, first, columns, vector);
        }
    }
    return TS_STATUS_OK;
}

ts_status rt_embeds_read_vectors(const char *path, int32_t hidden, float **vectors, size_t *count,
                                 ts_err *err) {
    rt_tensors *tensors = NULL;
    TS_TRY(rt_tensors_open(path, &tensors, err));
    const rt_tensor *tensor = rt_tensors_find(tensors, "inputs_embeds");
    ts_status status;
    if (!tensor) {
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s: tensor inputs_embeds is missing", path);
    } else {
        int64_t length = tensor->rank >= 2 ? tensor->shape[tensor->rank - 2] : 0;
        int64_t shape[3] = {1, length, hidden};
        int rank = tensor->rank == 3 ? 3 : 2;
        status = read_floats(tensor, rank, shape + (3 - rank), vectors, err);
        if (status == TS_STATUS_OK) *count = (size_t)length;
    }
    rt_tensors_close(tensors);
    return status;
}
