/* Launches that models share: products, norms, embedding, the greedy choice. `groups` is the row of
 * the model's table of kernels for the operation; a pass over one row takes the kernels of the
 * decode phase. Matrices of weights have rows padded to rt_pitch; residual rows and logits are fp32
 * with rows padded likewise.
 */
#ifndef RUNTIME_MODEL_STAGES_H
#define RUNTIME_MODEL_STAGES_H

#include "run.h"
#include "uses.h"

#include "../../templates/gemm/args.h"

static inline rt_phase rt_phase_of(int32_t rows) { return rows == 1 ? RT_DECODE : RT_PREFILL; }

/* out = act(x * w^T + bias) + residual over g->m rows; w_pitch is set here. */
ts_status rt_stage_project(rt_run *run, const rt_used groups[RT_PHASES], ts_dtype dtype,
                           struct gemm_args *g, ts_err *err);
/* out [rows, d] of residual rows r [rows, d], out_pitch elements apart; bias NULL: none. */
typedef struct rt_norm_stage {
    const float *weight, *bias;
    int32_t d;
    float eps;
} rt_norm_stage;
ts_status rt_stage_norm(rt_run *run, const rt_used groups[RT_PHASES], const rt_norm_stage *norm,
                        const float *r, void *out, int64_t out_pitch, int32_t rows, ts_err *err);
/* r[i] = row ids[i] of the table [vocab, d]. */
ts_status rt_stage_embed(rt_run *run, const rt_used groups[RT_PHASES], ts_dtype dtype,
                         const void *table, int32_t vocab, int32_t d, const int32_t *ids, float *r,
                         int32_t rows, ts_err *err);
/* ids[i] = argmax of row i of logits [rows, vocab]. */
ts_status rt_stage_argmax(rt_run *run, const rt_used groups[RT_PHASES], const float *logits,
                          int32_t vocab, int32_t *ids, int32_t rows, ts_err *err);

#endif
