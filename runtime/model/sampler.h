/* What a session asks of a sampler beside the public calls. */
#ifndef RUNTIME_MODEL_SAMPLER_H
#define RUNTIME_MODEL_SAMPLER_H

#include "../tunesmith.h"

/* True if the choice is the plain argmax of the logits (NULL is such a sampler): no logits need to
 * leave the device. */
bool rt_sampler_is_greedy(const ts_sampler *sampler);

#endif
