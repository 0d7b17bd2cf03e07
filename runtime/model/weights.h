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

/* What a tensor holds before it has learnt anything (random_weights.c). */
typedef enum rt_weight_init {
    RT_INIT_UNIFORM, /* within 1/sqrt(fan) of 0 */
    RT_INIT_ONES,
    RT_INIT_TIME_STEP, /* a bias whose softplus is spread evenly, on a log scale, over 1e-3..1e-1 */
    RT_INIT_STATES,    /* log(n + 1) in column n */
} rt_weight_init;

typedef struct rt_weight {
    const char *name;       /* after the prefix of its block */
    const char *other_name; /* also accepted; NULL for none */
    const char *shape;      /* "2E d", names of dims */
    rt_weight_kind kind;
    const char *when; /* only if this dim is not 0; NULL: always */
    size_t member;    /* offset of its pointer in the struct that the table describes */
    rt_weight_init init;
    const char *fan; /* dims whose product is the fan of RT_INIT_UNIFORM; NULL: the columns */
    /* Tensors that are stored apart and multiplied by as one. `whole`: the dim that counts the rows
     * of the one, NULL: the tensor's own; `at`: the dim that is this tensor's first row there, NULL:
     * 0, which takes the room. `mate`: a second tensor of the same shape; row i of this one becomes
     * row 2i, row i of the mate row 2i + 1. */
    const char *whole, *at, *mate;
} rt_weight;

/* How a tensor lies on the device. Only matrices have rows; everything else is one dense run of
 * floats. */
typedef struct rt_form {
    ts_dtype dtype;
    int64_t rows, columns, pitch;
} rt_form;

rt_form rt_form_of(const rt_weight *weight, int rank, const int64_t *shape, ts_dtype dtype);

/* What RT_FLOATS_DECAY does to stored values. */
void rt_weight_decay(float *values, size_t count);

/* Takes room for every tensor of the table and sets the pointers of `block`; absent ones become
 * NULL. */
void rt_weights_place(const rt_weight *table, size_t count, const rt_dim *dims, ts_dtype dtype,
                      void *block, rt_layout *layout);

typedef struct rt_upload {
    ts_device *device;
    const rt_tensors *tensors; /* NULL: values are made up from `seed` */
    bool *used;                /* [rt_tensors_count], by index: which tensors the model asked for */
    uint64_t seed;
    ts_dtype dtype;
    const rt_dim *dims;
} rt_upload;

/* Checks (or makes up), converts and uploads the tensors "PREFIXname" of the table to where rt_weights_place put
 * them. Errors name the tensor. */
ts_status rt_weights_load(const rt_weight *table, size_t count, const char *prefix,
                          const void *block, const rt_upload *upload, ts_err *err);

/* A model whose head is its embedding may store the head all the same, but then as a copy: anything
 * else means that the config does not describe the file. Names of tensors; the embedding may have
 * either of two. */
ts_status rt_weights_check_tied(const rt_upload *upload, const char *head, const char *embedding,
                                const char *other_name, ts_err *err);

/* random_weights.c: fills one tensor with made-up values; `prefix` and `seed` say which. */
ts_status rt_weight_make_up(const rt_weight *weight, const char *prefix, void *place,
                            const rt_upload *upload, ts_err *err);

#endif
