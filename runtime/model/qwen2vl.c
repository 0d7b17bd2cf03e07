/* The text model of Qwen2-VL:
 *
 *     [q k v] = qkv norm1(r)      q, k turned by their positions; k, v to their slots
 *     r = r + o attention(q, K, V)          r = r + down (silu(gate u) * (up u)),  u = norm2(r)
 */
#include "qwen2vl.h"

#include <math.h>
#include <stdlib.h>

#include "stages.h"

static ts_status project(const qwen2vl *m, rt_run *run, qwen2vl_op op, struct gemm_args *g,
                         ts_err *err) {
    return rt_stage_project(run, m->groups[op], m->dtype, g, err);
}

ts_status qwen2vl_normalize(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, qwen2vl_op op,
                            const float *weight, const float *r, int32_t rows, ts_err *err) {
    rt_norm_stage norm = {.weight = weight, .d = m->d, .eps = m->eps};
    return rt_stage_norm(run, m->groups[op], &norm, r, st->u, st->d_pitch, rows, err);
}

static ts_status feed_forward(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, int32_t index,
                              float *r, int32_t rows, ts_err *err) {
    const qwen2vl_layer *w = &m->layers[index];
    int64_t r_pitch = rt_pitch(m->d, sizeof(float));
    TS_TRY(qwen2vl_normalize(m, run, st, QWEN2VL_NORM, w->norm2, r, rows, err));
    TS_TRY(project(m, run, QWEN2VL_GATE_UP,
                   &(struct gemm_args){.x = st->u,
                                       .w = w->gate_up,
                                       .out = st->h,
                                       .x_pitch = st->d_pitch,
                                       .out_pitch = st->F_pitch,
                                       .m = rows,
                                       .n = 2 * m->F,
                                       .k = m->d},
                   err));
    return project(m, run, QWEN2VL_DOWN,
                   &(struct gemm_args){.x = st->h,
                                       .w = w->down,
                                       .residual = r,
                                       .out = r,
                                       .x_pitch = st->F_pitch,
                                       .residual_pitch = r_pitch,
                                       .out_pitch = r_pitch,
                                       .m = rows,
                                       .n = m->d,
                                       .k = m->F},
                   err);
}

static ts_status layers(const void *self, rt_run *run, void *state, const rt_pass *pass, float *r,
                        ts_err *err) {
    const qwen2vl *m = self;
    for (int32_t i = 0; i < m->L; i++) {
        TS_TRY(qwen2vl_attention(m, run, state, i, pass, r, err));
        TS_TRY(feed_forward(m, run, state, i, r, pass->rows, err));
    }
    return TS_STATUS_OK;
}

static ts_status embed(const void *self, rt_run *run, const int32_t *ids, float *r, int32_t rows,
                       ts_err *err) {
    const qwen2vl *m = self;
    return rt_stage_embed(run, m->groups[QWEN2VL_EMBED], m->dtype, m->top.embedding, m->V, m->d,
                          ids, r, rows, err);
}

static ts_status head(const void *self, rt_run *run, void *state, const float *r, int32_t rows,
                      float *logits, ts_err *err) {
    const qwen2vl *m = self;
    const qwen2vl_text *st = state;
    TS_TRY(qwen2vl_normalize(m, run, st, QWEN2VL_HEAD_NORM, m->top.norm, r, rows, err));
    return project(m, run, QWEN2VL_HEAD,
                   &(struct gemm_args){.x = st->u,
                                       .w = m->tied ? m->top.embedding : m->head.head,
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
    const qwen2vl *m = self;
    return rt_stage_argmax(run, m->groups[QWEN2VL_ARGMAX], logits, m->V, ids, rows, err);
}

/* Angles in double: in fp32 those of position 30000 would be off in the third digit. */
static ts_status start(const void *self, rt_run *run, void *state, ts_err *err) {
    const qwen2vl *m = self;
    const qwen2vl_text *st = state;
    size_t half = (size_t)m->c / 2, bytes = (size_t)st->context * 2 * half * sizeof(float);
    float *table = malloc(bytes);
    if (!table) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "angles of %d positions", st->context);
    for (size_t i = 0; i < half; i++) {
        double inverse = pow(m->theta, -(double)i / (double)half);
        for (size_t p = 0; p < (size_t)st->context; p++) {
            float *pair = table + (p * half + i) * 2;
            pair[0] = (float)cos((double)p * inverse);
            pair[1] = (float)sin((double)p * inverse);
        }
    }
    const rt_device_ops *ops = run->device->ops;
    ts_status status = ops->upload(run->device, run->stream, st->cos_sin, table, bytes, err);
    free(table);
    TS_TRY(status);
    return ops->fill(run->device, run->stream, st->counters, 0, st->counters_bytes, err);
}

static void place_state(const void *self, const rt_session_size *size, rt_session_memory *memory,
                        void *state) {
    const qwen2vl *m = self;
    qwen2vl_text *st = state;
    rt_layout *work = &memory->work;
    size_t element = rt_dtype_bytes(m->dtype), rows = (size_t)size->rows;
    st->rows = size->rows;
    st->context = size->context;
    st->slots = size->sequences * size->context;
    st->d_pitch = rt_pitch(m->d, element);
    st->qkv_pitch = rt_pitch(m->qkv, element);
    st->q_pitch = rt_pitch(m->q, element);
    st->kv_pitch = rt_pitch(m->kv, element);
    st->F_pitch = rt_pitch(m->F, element);
    st->stride = rt_layout_bytes((size_t)st->slots * (size_t)st->kv_pitch * element);
    st->k = rt_layout_take(&memory->cache, (size_t)m->L * st->stride);
    st->v = rt_layout_take(&memory->cache, (size_t)m->L * st->stride);
    st->u = rt_layout_take(work, rows * (size_t)st->d_pitch * element);
    st->qkv = rt_layout_take(work, rows * (size_t)(st->q_pitch + 2 * st->kv_pitch) * element);
    st->o = rt_layout_take(work, rows * (size_t)st->q_pitch * element);
    st->h = rt_layout_take(work, rows * (size_t)st->F_pitch * element);
    st->cos_sin = rt_layout_take(work, (size_t)st->context * (size_t)m->c * sizeof(float));
    st->places = rt_layout_take(work, RT_PLACES * rows * sizeof(int32_t));
    st->counters_bytes = (size_t)size->sequences * (size_t)m->G * sizeof(int32_t);
    st->counters = rt_layout_take(work, st->counters_bytes);
}

static ts_status problems(const void *self, ts_dtype dtype, rt_problem_each each, void *context,
                          ts_err *err) {
    const qwen2vl *m = self;
    return rt_uses_problems(qwen2vl_uses, QWEN2VL_OPS, m->dims, dtype, m->positions, each,
                            context, err);
}

static ts_status resolve(void *self, ts_dtype dtype, ts_kernels *kernels, ts_err *err) {
    qwen2vl *m = self;
    m->dtype = dtype;
    return rt_uses_find(qwen2vl_uses, QWEN2VL_OPS, m->dims, dtype, kernels, m->groups, err);
}

static const rt_media_ids *media_ids(const void *self) { return &((const qwen2vl *)self)->names; }

const rt_arch rt_qwen2vl = {
    .model_type = "qwen2_vl",
    .class_name = "Qwen2VLForConditionalGeneration",
    .self_bytes = sizeof(qwen2vl),
    .state_bytes = sizeof(qwen2vl_text),
    .configure = qwen2vl_configure,
    .release = qwen2vl_release,
    .problems = problems,
    .resolve = resolve,
    .place_weights = qwen2vl_place_weights,
    .load_weights = qwen2vl_load_weights,
    .idle_bytes = qwen2vl_idle_bytes,
    .place_state = place_state,
    .start = start,
    .advance = qwen2vl_advance,
    .media_ids = media_ids,
    .see = qwen2vl_see,
    .see_bytes = qwen2vl_see_bytes,
    .embed = embed,
    .layers = layers,
    .head = head,
    .argmax = argmax,
};
