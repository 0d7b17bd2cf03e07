/* Weights of a model as a table: what each tensor is called, its shape, how it is kept on the
 * device. */
#ifndef RUNTIME_MODEL_WEIGHTS_H
#define RUNTIME_MODEL_WEIGHTS_H

#include "dims.h"
#include "dtype.h"
#include "run.h"
#include "safetensors.h"

typedef enum rt_weight_kind {
    RT_MATRIX,       /* [rows, columns] in the model's dtype, rows padded to rt_pitch */
    RT_FLOATS,       /* dense fp32 */
    RT_FLOATS_DECAY, /* dense fp32, stored as a logarithm, kept as -exp(value) */
} rt_weight_kind;

typedef struct rt_weight {
    const char *name;       /* after the prefix of its block */
    const char *other_name; /* also accepted; NULL for none */
    const char *shape;      /* "2E d", names of dims */
    rt_weight_kind kind;
    const char *when; /* only if this dim is not 0; NULL: always */
    size_t member;    /* offset of its pointer in the struct that the table describes */
} rt_weight;

/* Takes room for every tensor of the table and sets the pointers of `block`; absent ones become
 * NULL. */
void rt_weights_place(const rt_weight *table, size_t count, const rt_dim *dims, ts_dtype dtype,
                      void *block, rt_layout *layout);

typedef struct rt_upload {
    ts_device *device;
    const rt_tensors *tensors;
    bool *used; /* [rt_tensors_count], by index: which tensors the model asked for */
    ts_dtype dtype;
    const rt_dim *dims;
} rt_upload;

/* Checks, converts and uploads the tensors "PREFIXname" of the table to where rt_weights_place put
 * them. Errors name the tensor. */
ts_status rt_weights_load(const rt_weight *table, size_t count, const char *prefix,
                          const void *block, const rt_upload *upload, ts_err *err);

#endif
