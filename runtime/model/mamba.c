/* Mamba's forward pass. One function a stage of the layer; a pass over one row takes the kernels of
 * the decode phase (gemv, one step of the recurrence), any other the kernels of prefill. Both
 * advance the same state, so a sequence may be cut into passes anywhere.
 *
 *     u = norm(r)        [x z] = in_proj u     s = silu(conv x)      [delta B C] = x_proj s
 *     dt = dt_proj delta                       o = scan(s, softplus(dt + bias), A, B, C, D) * silu(z)
 *     r = r + out_proj o                       logits = head(norm_f(r))
 */
#include "mamba.h"

#include "../../templates/causal_conv1d/args.h"
#include "../../templates/selective_scan/args.h"
#include "../../templates/selective_scan_step/args.h"
#include "stages.h"

static ts_status launch(const mamba *m, rt_run *run, mamba_op op, rt_phase phase, void *args,
                        size_t bytes, ts_err *err) {
    return rt_run_launch(run, &m->groups[op][phase], args, bytes, err);
}

/* Column `column` of a matrix of the model's dtype. */
static const void *column_of(const mamba *m, const void *matrix, int64_t column) {
    return (const char *)matrix + (size_t)column * rt_dtype_bytes(m->dtype);
}

static ts_status project(const mamba *m, rt_run *run, mamba_op op, struct gemm_args *g,
                         ts_err *err) {
    return rt_stage_project(run, m->groups[op], m->dtype, g, err);
}

static ts_status normalize(const mamba *m, rt_run *run, mamba_op op, const float *weight,
                           const float *r, void *out, int64_t out_pitch, int32_t rows,
                           ts_err *err) {
    rt_norm_stage norm = {.weight = weight, .d = m->d, .eps = m->eps};
    return rt_stage_norm(run, m->groups[op], &norm, r, out, out_pitch, rows, err);
}

static ts_status convolve(const mamba *m, rt_run *run, const mamba_layer *w, const mamba_state *st,
                          void *state, int32_t rows, ts_err *err) {
    bool step = rows == 1; /* only then may the state be updated in place */
    struct causal_conv1d_args a = {.x = st->xz,
                                   .weight = w->conv_weight,
                                   .bias = w->conv_bias,
                                   .state_in = state,
                                   .state_out = step ? state : st->conv_next,
                                   .out = st->s,
                                   .x_pitch = st->xz_pitch,
                                   .out_pitch = st->E_pitch,
                                   .b = 1,
                                   .l = rows,
                                   .d = m->E};
    TS_TRY(launch(m, run, MAMBA_CONV, rt_phase_of(rows), &a, sizeof a, err));
    return step ? TS_STATUS_OK : rt_run_copy(run, state, st->conv_next, st->conv_bytes, err);
}

static ts_status scan(const mamba *m, rt_run *run, const mamba_layer *w, const mamba_state *st,
                      float *h, int32_t rows, ts_err *err) {
    const void *z = column_of(m, st->xz, m->E), *B = column_of(m, st->y, m->R),
               *C = column_of(m, st->y, m->R + m->N);
    if (rows == 1) {
        struct selective_scan_step_args a = {.u = st->s,
                                             .delta = st->dt,
                                             .z = z,
                                             .B = B,
                                             .C = C,
                                             .A = w->A,
                                             .D = w->D,
                                             .dt_bias = w->dt_bias,
                                             .h = h,
                                             .out = st->o,
                                             .u_pitch = st->E_pitch,
                                             .delta_pitch = st->E_pitch,
                                             .z_pitch = st->xz_pitch,
                                             .B_pitch = st->y_pitch,
                                             .C_pitch = st->y_pitch,
                                             .out_pitch = st->E_pitch,
                                             .b = 1,
                                             .d = m->E};
        return launch(m, run, MAMBA_SCAN, RT_DECODE, &a, sizeof a, err);
    }
    struct selective_scan_args a = {.u = st->s,
                                    .delta = st->dt,
                                    .z = z,
                                    .B = B,
                                    .C = C,
                                    .A = w->A,
                                    .D = w->D,
                                    .dt_bias = w->dt_bias,
                                    .h0 = h,
                                    .h_last = h,
                                    .out = st->o,
                                    .u_pitch = st->E_pitch,
                                    .delta_pitch = st->E_pitch,
                                    .z_pitch = st->xz_pitch,
                                    .B_pitch = st->y_pitch,
                                    .C_pitch = st->y_pitch,
                                    .out_pitch = st->E_pitch,
                                    .b = 1,
                                    .l = rows,
                                    .d = m->E};
    return launch(m, run, MAMBA_SCAN, RT_PREFILL, &a, sizeof a, err);
}

static ts_status layer(const mamba *m, rt_run *run, const mamba_state *st, int32_t index, float *r,
                       int32_t rows, ts_err *err) {
    const mamba_layer *w = &m->layers[index];
    void *conv_state = st->conv + (size_t)index * st->conv_stride;
    float *h = (float *)(void *)(st->h + (size_t)index * st->h_stride);
    int64_t r_pitch = rt_pitch(m->d, sizeof(float));
    TS_TRY(normalize(m, run, MAMBA_NORM, w->norm, r, st->u, st->d_pitch, rows, err));
    TS_TRY(project(m, run, MAMBA_IN_PROJ,
                   &(struct gemm_args){.x = st->u,
                                       .w = w->in_proj,
                                       .bias = w->in_bias,
                                       .out = st->xz,
                                       .x_pitch = st->d_pitch,
                                       .out_pitch = st->xz_pitch,
                                       .m = rows,
                                       .n = 2 * m->E,
                                       .k = m->d},
                   err));
    TS_TRY(convolve(m, run, w, st, conv_state, rows, err));
    TS_TRY(project(m, run, MAMBA_X_PROJ,
                   &(struct gemm_args){.x = st->s,
                                       .w = w->x_proj,
                                       .out = st->y,
                                       .x_pitch = st->E_pitch,
                                       .out_pitch = st->y_pitch,
                                       .m = rows,
                                       .n = m->P,
                                       .k = m->E},
                   err));
    /* The first R columns of y; the bias is added by the scan, once. */
    TS_TRY(project(m, run, MAMBA_DT_PROJ,
                   &(struct gemm_args){.x = st->y,
                                       .w = w->dt_proj,
                                       .out = st->dt,
                                       .x_pitch = st->y_pitch,
                                       .out_pitch = st->E_pitch,
                                       .m = rows,
                                       .n = m->E,
                                       .k = m->R},
                   err));
    TS_TRY(scan(m, run, w, st, h, rows, err));
    return project(m, run, MAMBA_OUT_PROJ,
                   &(struct gemm_args){.x = st->o,
                                       .w = w->out_proj,
                                       .bias = w->out_bias,
                                       .residual = r,
                                       .out = r,
                                       .x_pitch = st->E_pitch,
                                       .residual_pitch = r_pitch,
                                       .out_pitch = r_pitch,
                                       .m = rows,
                                       .n = m->d,
                                       .k = m->E},
                   err);
}

static ts_status layers(const void *self, rt_run *run, void *state, float *r, int32_t rows,
                        ts_err *err) {
    const mamba *m = self;
    for (int32_t i = 0; i < m->L; i++) TS_TRY(layer(m, run, state, i, r, rows, err));
    return TS_STATUS_OK;
}

static ts_status embed(const void *self, rt_run *run, const int32_t *ids, float *r, int32_t rows,
                       ts_err *err) {
    const mamba *m = self;
    return rt_stage_embed(run, m->groups[MAMBA_EMBED], m->dtype, m->top.embedding, m->V, m->d, ids,
                          r, rows, err);
}

static ts_status head(const void *self, rt_run *run, void *state, const float *r, int32_t rows,
                      float *logits, ts_err *err) {
    const mamba *m = self;
    const mamba_state *st = state;
    TS_TRY(normalize(m, run, MAMBA_HEAD_NORM, m->top.norm, r, st->u, st->d_pitch, rows, err));
    return project(m, run, MAMBA_HEAD,
                   &(struct gemm_args){.x = st->u,
                                       .w = m->tied ? m->top.embedding : m->top.head,
                                       .out = logits,
                                       .x_pitch = st->d_pitch,
                                       .out_pitch = rt_pitch(m->V, sizeof(float)),
                                       .m = rows,
                                       .n = m->V,
                                       .k = m->d},
                   err);
}

static ts_status argmax(const void *self, rt_run *run, const float *logits, int32_t *id,
                        ts_err *err) {
    const mamba *m = self;
    return rt_stage_argmax(run, m->groups[MAMBA_ARGMAX], logits, m->V, id, err);
}

static ts_status problems(const void *self, ts_dtype dtype, rt_problem_each each, void *context,
                          ts_err *err) {
    const mamba *m = self;
    return rt_uses_problems(mamba_uses, MAMBA_OPS, m->dims, dtype, each, context, err);
}

static ts_status resolve(void *self, ts_dtype dtype, ts_kernels *kernels, ts_err *err) {
    mamba *m = self;
    m->dtype = dtype;
    return rt_uses_find(mamba_uses, MAMBA_OPS, m->dims, dtype, kernels, m->groups, err);
}

/* A piece per layer, *stride bytes apart. */
static char *take_layers(const mamba *m, rt_layout *layout, size_t bytes, size_t *stride) {
    *stride = rt_layout_bytes(bytes);
    return rt_layout_take(layout, (size_t)m->L * *stride);
}

static void place_state(const void *self, const rt_session_size *size, rt_session_memory *memory,
                        void *state) {
    const mamba *m = self;
    mamba_state *st = state;
    rt_layout *kept = &memory->kept, *work = &memory->work;
    size_t element = rt_dtype_bytes(m->dtype), rows = (size_t)size->chunk;
    st->d_pitch = rt_pitch(m->d, element);
    st->E_pitch = rt_pitch(m->E, element);
    st->xz_pitch = rt_pitch(2 * (int64_t)m->E, element);
    st->y_pitch = rt_pitch(m->P, element);
    st->conv_bytes = (size_t)(m->K - 1) * (size_t)m->E * element;
    st->conv = take_layers(m, kept, st->conv_bytes, &st->conv_stride);
    st->h = take_layers(m, kept, (size_t)m->E * (size_t)m->N * sizeof(float), &st->h_stride);
    st->conv_next = rt_layout_take(work, st->conv_bytes);
    st->u = rt_layout_take(work, rows * (size_t)st->d_pitch * element);
    st->xz = rt_layout_take(work, rows * (size_t)st->xz_pitch * element);
    st->s = rt_layout_take(work, rows * (size_t)st->E_pitch * element);
    st->y = rt_layout_take(work, rows * (size_t)st->y_pitch * element);
    st->dt = rt_layout_take(work, rows * (size_t)st->E_pitch * element);
    st->o = rt_layout_take(work, rows * (size_t)st->E_pitch * element);
}

const rt_arch rt_mamba = {
    .model_type = "mamba",
    .class_name = "MambaForCausalLM",
    .self_bytes = sizeof(mamba),
    .state_bytes = sizeof(mamba_state),
    .configure = mamba_configure,
    .release = mamba_release,
    .problems = problems,
    .resolve = resolve,
    .place_weights = mamba_place_weights,
    .load_weights = mamba_load_weights,
    .idle_bytes = mamba_idle_bytes,
    .place_state = place_state,
    .embed = embed,
    .layers = layers,
    .head = head,
    .argmax = argmax,
};
