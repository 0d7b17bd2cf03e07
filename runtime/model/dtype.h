/* Number formats of weights and activations, and conversion between them. */
#ifndef RUNTIME_MODEL_DTYPE_H
#define RUNTIME_MODEL_DTYPE_H

#include "../../db/base.h"
#include "../tunesmith.h"

/* Bytes of one element; AUTO has none (0). */
size_t rt_dtype_bytes(ts_dtype dtype);
/* Parses "fp32", "bfloat16", "torch.float16", ... False if it is none of the three formats. */
bool rt_dtype_parse(const char *text, ts_dtype *out);

/* `count` elements; source and destination may be unaligned and must not overlap. Rounds to nearest
 * even; values too large for fp16 become infinities; NaN stays NaN. */
void rt_to_fp32(ts_dtype from, const void *source, size_t count, float *out);
void rt_from_fp32(ts_dtype to, const float *source, size_t count, void *out);
/* Rounds fp32 values to what `dtype` can hold. */
void rt_round_to(ts_dtype dtype, float *values, size_t count);

#endif
