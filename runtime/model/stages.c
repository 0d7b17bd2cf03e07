/* Args structs of the operations that every model has. */
#include "stages.h"

#include "../../templates/argmax/args.h"
#include "../../templates/embedding/args.h"
#include "../../templates/gemv/args.h"
#include "../../templates/norm/args.h"
#include "dtype.h"

ts_status rt_stage_project(rt_run *run, const rt_used groups[RT_PHASES], ts_dtype dtype,
                           struct gemm_args *g, ts_err *err) {
    g->w_pitch = rt_pitch(g->k, rt_dtype_bytes(dtype));
    if (rt_phase_of(g->m) == RT_PREFILL || !groups[RT_DECODE].group)
        return rt_run_launch(run, &groups[RT_PREFILL], g, sizeof *g, err);
    struct gemv_args v = {.x = g->x,
                          .w = g->w,
                          .bias = g->bias,
                          .residual = g->residual,
                          .out = g->out,
                          .w_pitch = g->w_pitch,
                          .n = g->n,
                          .k = g->k};
    return rt_run_launch(run, &groups[RT_DECODE], &v, sizeof v, err);
}

ts_status rt_stage_norm(rt_run *run, const rt_used groups[RT_PHASES], const rt_norm_stage *norm,
                        const float *r, void *out, int64_t out_pitch, int32_t rows, ts_err *err) {
    const rt_used *used = &groups[rt_phase_of(rows)];
    struct norm_args a = {
        .x = (void *)(uintptr_t)r, /* written only by the variant that adds, which this is not */
        .weight = norm->weight,
        .bias = norm->bias,
        .out = out,
        .x_pitch = rt_pitch(norm->d, sizeof(float)),
        .out_pitch = out_pitch,
        .m = rows,
        .d = norm->d,
        .eps = norm->eps};
    return rt_run_launch(run, used->group ? used : &groups[RT_PREFILL], &a, sizeof a, err);
}

ts_status rt_stage_embed(rt_run *run, const rt_used groups[RT_PHASES], ts_dtype dtype,
                         const void *table, int32_t vocab, int32_t d, const int32_t *ids, float *r,
                         int32_t rows, ts_err *err) {
    struct embedding_args a = {.ids = ids,
                               .table = table,
                               .out = r,
                               .table_pitch = rt_pitch(d, rt_dtype_bytes(dtype)),
                               .out_pitch = rt_pitch(d, sizeof(float)),
                               .t = rows,
                               .v = vocab,
                               .d = d};
    return rt_run_launch(run, &groups[rt_phase_of(rows)], &a, sizeof a, err);
}

ts_status rt_stage_argmax(rt_run *run, const rt_used groups[RT_PHASES], const float *logits,
                          int32_t vocab, int32_t *ids, int32_t rows, ts_err *err) {
    struct argmax_args a = {
        .x = logits, .out = ids, .x_pitch = rt_pitch(vocab, sizeof(float)), .m = rows, .v = vocab};
    return rt_run_launch(run, &groups[RT_DECODE], &a, sizeof a, err);
}
