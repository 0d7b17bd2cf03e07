/* The text model of Qwen2-VL. Attention reads q from the fused row, and keys and values from the
 * cache, in place. A pass over one row takes the decode kernels, which find where they are in device
 * memory, so that its captured graph can be replayed while the context grows.
 *
 *     [q k v] = qkv norm1(r)      q, k turned by their positions; k, v to their slots
 *     r = r + o attention(q, K, V)          r = r + down (silu(gate u) * (up u)),  u = norm2(r)
 */
#include "qwen2vl.h"

#include <math.h>
#include <stdlib.h>

#include "../../templates/rotary/args.h"
#include "../../templates/sdpa/args.h"
#include "../../templates/sdpa_decode/args.h"
#include "stages.h"

/* A session's buffers on the device; activations are of the model's dtype, rows padded. */
typedef struct text_state {
    char *k, *v;    /* L times stride: [context, kv] */
    size_t stride;  /* bytes of a layer's cache */
    void *u;        /* [chunk, d]: normalised rows */
    void *qkv;      /* [chunk, qkv] */
    void *o;        /* [chunk, q]: what attention gives */
    void *h;        /* [chunk, F] */
    float *cos_sin; /* [context, c/2, 2] */
    int32_t *rows;  /* [4, chunk]: positions of the three axes, slots, of a pass */
    int32_t *step;  /* the same of a pass over one row, then where the keys begin, how many */
    int64_t d_pitch, qkv_pitch, q_pitch, kv_pitch, F_pitch; /* elements */
    int32_t context;
    int32_t first; /* slot of the first row of the pass */
} text_state;

enum { STEP_POSITIONS, STEP_SLOT = 3, STEP_BEGIN, STEP_LENGTH, STEP_INTS };

static ts_status project(const qwen2vl *m, rt_run *run, qwen2vl_op op, struct gemm_args *g,
                         ts_err *err) {
    return rt_stage_project(run, m->groups[op], m->dtype, g, err);
}

static ts_status normalize(const qwen2vl *m, rt_run *run, const text_state *st, qwen2vl_op op,
                           const float *weight, const float *r, int32_t rows, ts_err *err) {
    rt_norm_stage norm = {.weight = weight, .d = m->d, .eps = m->eps};
    return rt_stage_norm(run, m->groups[op], &norm, r, st->u, st->d_pitch, rows, err);
}

/* Column `column` of the fused rows. */
static void *column_of(const qwen2vl *m, const text_state *st, int32_t column) {
    return (char *)st->qkv + (size_t)column * rt_dtype_bytes(m->dtype);
}

/* q in place; k and v to the cache. */
static ts_status rotate(const qwen2vl *m, rt_run *run, const text_state *st, void *k, void *v,
                        int32_t rows, ts_err *err) {
    bool step = rows == 1;
    struct rotary_args a = {
        .q = st->qkv,
        .k = column_of(m, st, m->q),
        .v = column_of(m, st, m->q + m->kv),
        .cos_sin = st->cos_sin,
        .positions = step ? st->step + STEP_POSITIONS : st->rows,
        .slot = step ? st->step + STEP_SLOT : st->rows + 3 * (size_t)rows,
        .q_out = st->qkv,
        .k_out = k,
        .v_out = v,
        .q_pitch = st->qkv_pitch,
        .k_pitch = st->qkv_pitch,
        .v_pitch = st->qkv_pitch,
        .positions_pitch = rows,
        .q_out_pitch = st->qkv_pitch,
        .k_out_pitch = st->kv_pitch,
        .v_out_pitch = st->kv_pitch,
        .m = rows,
        .hq = m->H,
        .hkv = m->G,
        .slots = st->context,
        .p = st->context,
        .s0 = m->sections[0],
        .s1 = m->sections[0] + m->sections[1],
    };
    return rt_run_launch(run, &m->groups[QWEN2VL_ROTARY][rt_phase_of(rows)], &a, sizeof a, err);
}

static ts_status attend(const qwen2vl *m, rt_run *run, const text_state *st, const void *k,
                        const void *v, int32_t rows, ts_err *err) {
    float scale = 1 / sqrtf((float)m->c);
    if (rows == 1) {
        struct sdpa_decode_args a = {.q = st->qkv,
                                     .k = k,
                                     .v = v,
                                     .k_begin = st->step + STEP_BEGIN,
                                     .k_len = st->step + STEP_LENGTH,
                                     .out = st->o,
                                     .q_pitch = st->qkv_pitch,
                                     .k_pitch = st->kv_pitch,
                                     .v_pitch = st->kv_pitch,
                                     .out_pitch = st->q_pitch,
                                     .b = 1,
                                     .lk = st->context,
                                     .hkv = m->G,
                                     .slots = st->context,
                                     .scale = scale};
        return rt_run_launch(run, &m->groups[QWEN2VL_ATTENTION_STEP][RT_DECODE], &a, sizeof a, err);
    }
    struct sdpa_args a = {.q = st->qkv,
                          .k = k,
                          .v = v,
                          .out = st->o,
                          .q_pitch = st->qkv_pitch,
                          .k_pitch = st->kv_pitch,
                          .v_pitch = st->kv_pitch,
                          .out_pitch = st->q_pitch,
                          .b = 1,
                          .lq = rows,
                          .lk = st->first + rows,
                          .hq = m->H,
                          .hkv = m->G,
                          .scale = scale};
    return rt_run_launch(run, &m->groups[QWEN2VL_ATTENTION][RT_PREFILL], &a, sizeof a, err);
}

static ts_status attention(const qwen2vl *m, rt_run *run, const text_state *st, int32_t index,
                           float *r, int32_t rows, ts_err *err) {
    const qwen2vl_layer *w = &m->layers[index];
    void *k = st->k + (size_t)index * st->stride, *v = st->v + (size_t)index * st->stride;
    int64_t r_pitch = rt_pitch(m->d, sizeof(float));
    TS_TRY(normalize(m, run, st, QWEN2VL_NORM, w->norm1, r, rows, err));
    TS_TRY(project(m, run, QWEN2VL_QKV,
                   &(struct gemm_args){.x = st->u,
                                       .w = w->qkv,
                                       .bias = w->qkv_bias,
                                       .out = st->qkv,
                                       .x_pitch = st->d_pitch,
                                       .out_pitch = st->qkv_pitch,
                                       .m = rows,
                                       .n = m->qkv,
                                       .k = m->d},
                   err));
    TS_TRY(rotate(m, run, st, k, v, rows, err));
    TS_TRY(attend(m, run, st, k, v, rows, err));
    return project(m, run, QWEN2VL_O,
                   &(struct gemm_args){.x = st->o,
                                       .w = w->o,
                                       .residual = r,
                                       .out = r,
                                       .x_pitch = st->q_pitch,
                                       .residual_pitch = r_pitch,
                                       .out_pitch = r_pitch,
                                       .m = rows,
                                       .n = m->d,
                                       .k = m->q},
                   err);
}

static ts_status feed_forward(const qwen2vl *m, rt_run *run, const text_state *st, int32_t index,
                              float *r, int32_t rows, ts_err *err) {
    const qwen2vl_layer *w = &m->layers[index];
    int64_t r_pitch = rt_pitch(m->d, sizeof(float));
    TS_TRY(normalize(m, run, st, QWEN2VL_NORM, w->norm2, r, rows, err));
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

static ts_status layers(const void *self, rt_run *run, void *state, float *r, int32_t rows,
                        ts_err *err) {
    const qwen2vl *m = self;
    for (int32_t i = 0; i < m->L; i++) {
        TS_TRY(attention(m, run, state, i, r, rows, err));
        TS_TRY(feed_forward(m, run, state, i, r, rows, err));
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
    const text_state *st = state;
    TS_TRY(normalize(m, run, st, QWEN2VL_HEAD_NORM, m->top.norm, r, rows, err));
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

static ts_status argmax(const void *self, rt_run *run, const float *logits, int32_t *id,
                        ts_err *err) {
    const qwen2vl *m = self;
    return rt_stage_argmax(run, m->groups[QWEN2VL_ARGMAX], logits, m->V, id, err);
}

static ts_status advance(const void *self, rt_run *run, void *state, int32_t first,
                         const int32_t *positions, size_t pitch, int32_t rows, ts_err *err) {
    (void)self;
    text_state *st = state;
    st->first = first;
    if (rows == 1) {
        const int32_t step[STEP_INTS] = {
            positions[0], positions[pitch], positions[2 * pitch], first, 0, first + 1};
        return rt_run_upload(run, st->step, step, sizeof step, err);
    }
    size_t count = (size_t)rows;
    int32_t *all = malloc(4 * count * sizeof *all);
    if (!all) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "positions of %d rows", rows);
    for (size_t i = 0; i < count; i++) {
        for (size_t axis = 0; axis < 3; axis++) all[axis * count + i] = positions[axis * pitch + i];
        all[3 * count + i] = first + (int32_t)i;
    }
    ts_status status = rt_run_upload(run, st->rows, all, 4 * count * sizeof *all, err);
    free(all);
    return status;
}

/* Angles in double: in fp32 those of position 30000 would be off in the third digit. */
static ts_status start(const void *self, rt_run *run, void *state, ts_err *err) {
    const qwen2vl *m = self;
    const text_state *st = state;
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
    ts_status status = run->device->ops->upload(run->device, run->stream, st->cos_sin, table, bytes,
                                                err);
    free(table);
    return status;
}

static void place_state(const void *self, const rt_session_size *size, rt_session_memory *memory,
                        void *state) {
    const qwen2vl *m = self;
    text_state *st = state;
    rt_layout *work = &memory->work;
    size_t element = rt_dtype_bytes(m->dtype), rows = (size_t)size->chunk,
           context = (size_t)size->context;
    st->context = size->context;
    st->d_pitch = rt_pitch(m->d, element);
    st->qkv_pitch = rt_pitch(m->qkv, element);
    st->q_pitch = rt_pitch(m->q, element);
    st->kv_pitch = rt_pitch(m->kv, element);
    st->F_pitch = rt_pitch(m->F, element);
    st->stride = rt_layout_bytes(context * (size_t)st->kv_pitch * element);
    st->k = rt_layout_take(&memory->cache, (size_t)m->L * st->stride);
    st->v = rt_layout_take(&memory->cache, (size_t)m->L * st->stride);
    st->u = rt_layout_take(work, rows * (size_t)st->d_pitch * element);
    st->qkv = rt_layout_take(work, rows * (size_t)st->qkv_pitch * element);
    st->o = rt_layout_take(work, rows * (size_t)st->q_pitch * element);
    st->h = rt_layout_take(work, rows * (size_t)st->F_pitch * element);
    st->cos_sin = rt_layout_take(work, context * (size_t)m->c * sizeof(float));
    st->rows = rt_layout_take(work, 4 * rows * sizeof(int32_t));
    st->step = rt_layout_take(work, STEP_INTS * sizeof(int32_t));
}

static ts_status problems(const void *self, ts_dtype dtype, rt_problem_each each, void *context,
                          ts_err *err) {
    const qwen2vl *m = self;
    return rt_uses_problems(qwen2vl_uses, QWEN2VL_OPS, m->dims, dtype, each, context, err);
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
    .state_bytes = sizeof(text_state),
    .configure = qwen2vl_configure,
    .release = qwen2vl_release,
    .problems = problems,
    .resolve = resolve,
    .place_weights = qwen2vl_place_weights,
    .load_weights = qwen2vl_load_weights,
    .idle_bytes = qwen2vl_idle_bytes,
    .place_state = place_state,
    .start = start,
    .advance = advance,
    .media_ids = media_ids,
    .see = qwen2vl_see,
    .embed = embed,
    .layers = layers,
    .head = head,
    .argmax = argmax,
};
