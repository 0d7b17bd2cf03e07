/* Mamba's forward pass. One function a stage of the layer; a pass over one row takes the kernels of
 * the decode phase (gemv, one step of the recurrence), any other the kernels of prefill. Both
 * advance the same state, so a sequence may be cut into passes anywhere. Rows of all sequences go
 * through the products together; convolution and scan are called for each stretch of a pass.
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

/* Neighbouring sequences with as many rows each, from row `at` of the pass on. */
typedef struct stretch {
    int32_t sequence, count, rows, at;
} stretch;

/* The stretch that begins with segment *next, which is moved behind it. */
static stretch take_stretch(const rt_pass *pass, int32_t *next, int32_t at) {
    const rt_segment *s = &pass->segments[*next];
    stretch out = {.sequence = s->sequence, .rows = s->rows, .at = at};
    do {
        out.count++;
    } while (++*next < pass->count && s[out.count].rows == s->rows &&
             s[out.count].sequence == s->sequence + out.count);
    return out;
}

/* Row `row`, column `column` of a matrix of activations. */
static void *cell(const mamba *m, void *matrix, int64_t pitch, int64_t row, int64_t column) {
    return (char *)matrix + (size_t)(row * pitch + column) * rt_dtype_bytes(m->dtype);
}

static ts_status convolve(const mamba *m, rt_run *run, const mamba_layer *w, const mamba_state *st,
                          int32_t index, const stretch *t, ts_err *err) {
    bool step = t->rows == 1; /* only then may the state be updated in place */
    void *mine = st->conv + (size_t)index * st->conv_stride + (size_t)t->sequence * st->conv_bytes;
    struct causal_conv1d_args a = {.x = cell(m, st->xz, st->xz_pitch, t->at, 0),
                                   .weight = w->conv_weight,
                                   .bias = w->conv_bias,
                                   .state_in = mine,
                                   .state_out = step ? mine : st->conv_next,
                                   .out = cell(m, st->s, st->E_pitch, t->at, 0),
                                   .x_pitch = st->xz_pitch,
                                   .out_pitch = st->E_pitch,
                                   .b = t->count,
                                   .l = t->rows,
                                   .d = m->E};
    TS_TRY(launch(m, run, MAMBA_CONV, rt_phase_of(t->rows), &a, sizeof a, err));
    return step ? TS_STATUS_OK
                : rt_run_copy(run, mine, st->conv_next, (size_t)t->count * st->conv_bytes, err);
}

static ts_status scan(const mamba *m, rt_run *run, const mamba_layer *w, const mamba_state *st,
                      int32_t index, const stretch *t, ts_err *err) {
    void *h = st->h + (size_t)index * st->h_stride + (size_t)t->sequence * st->h_bytes;
    void *u = cell(m, st->s, st->E_pitch, t->at, 0), *dt = cell(m, st->dt, st->E_pitch, t->at, 0),
         *z = cell(m, st->xz, st->xz_pitch, t->at, m->E),
         *B = cell(m, st->y, st->y_pitch, t->at, m->R),
         *C = cell(m, st->y, st->y_pitch, t->at, m->R + m->N),
         *o = cell(m, st->o, st->E_pitch, t->at, 0);
    if (t->rows == 1) {
        struct selective_scan_step_args a = {.u = u,
                                             .delta = dt,
                                             .z = z,
                                             .B = B,
                                             .C = C,
                                             .A = w->A,
                                             .D = w->D,
                                             .dt_bias = w->dt_bias,
                                             .h = h,
                                             .out = o,
                                             .u_pitch = st->E_pitch,
                                             .delta_pitch = st->E_pitch,
                                             .z_pitch = st->xz_pitch,
                                             .B_pitch = st->y_pitch,
                                             .C_pitch = st->y_pitch,
                                             .out_pitch = st->E_pitch,
                                             .b = t->count,
                                             .d = m->E};
        return launch(m, run, MAMBA_STEP, RT_DECODE, &a, sizeof a, err);
    }
    struct selective_scan_args a = {.u = u,
                                    .delta = dt,
                                    .z = z,
                                    .B = B,
                                    .C = C,
                                    .A = w->A,
                                    .D = w->D,
                                    .dt_bias = w->dt_bias,
                                    .h0 = h,
                                    .h_last = h,
                                    .out = o,
                                    .u_pitch = st->E_pitch,
                                    .delta_pitch = st->E_pitch,
                                    .z_pitch = st->xz_pitch,
                                    .B_pitch = st->y_pitch,
                                    .C_pitch = st->y_pitch,
                                    .out_pitch = st->E_pitch,
                                    .b = t->count,
                                    .l = t->rows,
                                    .d = m->E};
    return launch(m, run, MAMBA_SCAN, RT_PREFILL, &a, sizeof a, err);
}

/* A stage that knows sequences, over the stretches of a pass. */
typedef ts_status (*stretch_stage)(const mamba *m, rt_run *run, const mamba_layer *w,
                                   const mamba_state *st, int32_t index, const stretch *t,
                                   ts_err *err);

static ts_status by_stretch(stretch_stage stage, const mamba *m, rt_run *run, const mamba_state *st,
                            int32_t index, const rt_pass *pass, ts_err *err) {
    for (int32_t next = 0, at = 0; next < pass->count;) {
        stretch t = take_stretch(pass, &next, at);
        TS_TRY(stage(m, run, &m->layers[index], st, index, &t, err));
        at += t.count * t.rows;
    }
    return TS_STATUS_OK;
}

static ts_status layer(const mamba *m, rt_run *run, const mamba_state *st, int32_t index,
                       const rt_pass *pass, float *r, ts_err *err) {
    const mamba_layer *w = &m->layers[index];
    int32_t rows = pass->rows;
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
    TS_TRY(by_stretch(convolve, m, run, st, index, pass, err));
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
    TS_TRY(by_stretch(scan, m, run, st, index, pass, err));
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

static ts_status layers(const void *self, rt_run *run, void *state, const rt_pass *pass, float *r,
                        ts_err *err) {
    const mamba *m = self;
    for (int32_t i = 0; i < m->L; i++) TS_TRY(layer(m, run, state, i, pass, r, err));
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

static ts_status argmax(const void *self, rt_run *run, const float *logits, int32_t *ids,
                        int32_t rows, ts_err *err) {
    const mamba *m = self;
    return rt_stage_argmax(run, m->groups[MAMBA_ARGMAX], logits, m->V, ids, rows, err);
}

static ts_status problems(const void *self, ts_dtype dtype, rt_problem_each each, void *context,
                          ts_err *err) {
    const mamba *m = self;
    return rt_uses_problems(mamba_uses, MAMBA_OPS, m->dims, dtype, 0, each, context, err);
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
    size_t element = rt_dtype_bytes(m->dtype), rows = (size_t)size->rows,
           places = (size_t)size->sequences;
    st->d_pitch = rt_pitch(m->d, element);
    st->E_pitch = rt_pitch(m->E, element);
    st->xz_pitch = rt_pitch(2 * (int64_t)m->E, element);
    st->y_pitch = rt_pitch(m->P, element);
    st->conv_bytes = (size_t)(m->K - 1) * (size_t)m->E * element;
    st->h_bytes = (size_t)m->E * (size_t)m->N * sizeof(float);
    st->conv = take_layers(m, kept, places * st->conv_bytes, &st->conv_stride);
    st->h = take_layers(m, kept, places * st->h_bytes, &st->h_stride);
    st->conv_next = rt_layout_take(work, places * st->conv_bytes);
    st->u = rt_layout_take(work, rows * (size_t)st->d_pitch * element);
    st->xz = rt_layout_take(work, rows * (size_t)st->xz_pitch * element);
    st->s = rt_layout_take(work, rows * (size_t)st->E_pitch * element);
    st->y = rt_layout_take(work, rows * (size_t)st->y_pitch * element);
    st->dt = rt_layout_take(work, rows * (size_t)st->E_pitch * element);
    st->o = rt_layout_take(work, rows * (size_t)st->E_pitch * element);
}

static ts_status forget(const void *self, rt_run *run, void *state, int32_t sequence, ts_err *err) {
    const mamba *m = self;
    const mamba_state *st = state;
    size_t place = (size_t)sequence;
    for (size_t i = 0; i < (size_t)m->L; i++) {
        char *conv = st->conv + i * st->conv_stride + place * st->conv_bytes,
             *h = st->h + i * st->h_stride + place * st->h_bytes;
        TS_TRY(run->device->ops->fill(run->device, run->stream, conv, 0, st->conv_bytes, err));
        TS_TRY(run->device->ops->fill(run->device, run->stream, h, 0, st->h_bytes, err));
    }
    return TS_STATUS_OK;
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
    .forget = forget,
    .embed = embed,
    .layers = layers,
    .head = head,
    .argmax = argmax,
};
