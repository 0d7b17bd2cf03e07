/* Reading embeddings that a caller brings as a file. */
#ifndef RUNTIME_MODEL_EMBEDS_H
#define RUNTIME_MODEL_EMBEDS_H

#include "safetensors.h"

/* `inputs_embeds` [T, hidden] or [1, T, hidden] of a safetensors file as fp32; *vectors: free().
 * NOT_FOUND if the file has no tensor of that name. */
ts_status rt_embeds_read_vectors(const char *path, int32_t hidden, float **vectors, size_t *count,
                                 ts_err *err);

#endif
