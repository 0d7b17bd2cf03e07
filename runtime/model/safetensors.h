/* Reading of safetensors files: one, or the shards of a model directory. The data is mapped, never
 * copied. */
#ifndef RUNTIME_MODEL_SAFETENSORS_H
#define RUNTIME_MODEL_SAFETENSORS_H

#include "../../db/base.h"
#include "../tunesmith.h"

enum { RT_TENSOR_RANK = 8 };

/* Borrowed from its set. */
typedef struct rt_tensor {
    const char *name;
    const char *file;  /* path, for messages */
    const char *dtype; /* as stored: "BF16" */
    int rank;
    int64_t shape[RT_TENSOR_RANK];
    const void *data; /* row-major, little-endian, maybe unaligned */
    size_t bytes;
    size_t count; /* elements */
} rt_tensor;

typedef struct rt_tensors rt_tensors;

/* One file. NOT_FOUND, IO: the file. CORRUPT: what is wrong with which entry of its header. */
ts_status rt_tensors_open(const char *path, rt_tensors **out, ts_err *err);
/* DIR/model.safetensors, or what DIR/model.safetensors.index.json lists. NOT_FOUND says so when
 * there is only a pickle checkpoint. */
ts_status rt_tensors_open_dir(const char *dir, rt_tensors **out, ts_err *err);
void rt_tensors_close(rt_tensors *set); /* NULL is allowed */

size_t rt_tensors_count(const rt_tensors *set);
const rt_tensor *rt_tensors_at(const rt_tensors *set, size_t index);       /* sorted by name */
const rt_tensor *rt_tensors_find(const rt_tensors *set, const char *name); /* NULL if absent */

/* The format, if it is one that weights may have. False: integers, fp64, fp8. */
bool rt_tensor_dtype(const rt_tensor *tensor, ts_dtype *out);
/* INVALID_ARGUMENT unless the shape is as given and the dtype is F32, F16 or BF16; names both. */
ts_status rt_tensor_check(const rt_tensor *tensor, int rank, const int64_t *shape, ts_err *err);

#endif
