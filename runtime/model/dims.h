/* Named sizes of a model, so that its tables of weights and kernels can be written as text: "2E d",
 * "m={m} n={2E} k={d}".
 */
#ifndef RUNTIME_MODEL_DIMS_H
#define RUNTIME_MODEL_DIMS_H

#include "../../db/base.h"

/* A list ends with a NULL name. */
typedef struct rt_dim {
    const char *name;
    int64_t value;
} rt_dim;

/* Parses "2E d" or "E 1 K" to sizes: names of `dims` or decimal numbers. Returns how many; -1 for
 * an unknown name or more than `capacity`. */
int rt_dims_shape(const rt_dim *dims, const char *text, int64_t *out, int capacity);
/* Appends `text` with every {name} replaced; {dtype} is `dtype`, {m} is `m`. False for an unknown
 * name. */
bool rt_dims_expand(const rt_dim *dims, const char *text, const char *dtype, int32_t m,
                    ts_buf *out);
/* The value of a name; 0 if it is unknown. */
int64_t rt_dims_value(const rt_dim *dims, const char *name);

#endif
