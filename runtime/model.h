/* What a model directory needs, told without loading weights: the tuner's --model and ts_plan read this. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "../db/base.h"

/* Calls `each` with every problem ("family field=value ...") that running the model of `dir` will look up:
 * decode with one sequence and prefill chunks, from config.json alone. `dtype`: "fp32", "bf16", "fp16", or
 * NULL for fp32 and the checkpoint's own. The same table drives the model's own look-ups, so the two cannot
 * drift apart. Errors name the config field. */
ts_status rt_model_problems(const char *dir, const char *dtype,
                            void (*each)(void *context, const char *problem), void *context,
                            ts_err *err);

#endif
