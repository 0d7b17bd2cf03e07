/* The vision tower of Qwen2-VL: all media of a prompt in one pass, each image or frame attending to
 * itself alone (varlen), q, k and v read in place from the fused rows.
 *
 *     x = patch rows      x = x + proj attention(rotate(qkv norm1(x)))      x = x + fc2 quick_gelu(fc1 norm2(x))
 *     out = merge2 gelu(merge1 norm(x)), four patches a row
 *
 * Its memory is the session's rt_sight. The host's own work runs while the device copies: what follows
 * from the grids goes first, then the pixels.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../templates/rotary/args.h"
#include "../../templates/sdpa/args.h"
#include "dtype.h"
#include "qwen2vl.h"
#include "stages.h"

static const double VISION_THETA = 10000;
static const float VISION_EPS = 1e-6F;

/* What a call needs on the device, and the sizes that it follows from. */
typedef struct look {
    int32_t P, tokens, frames, longest, table; /* table: positions with angles */
    int64_t X_pitch, D_pitch, qkv_pitch, M_pitch, Y_pitch, x_pitch, out_pitch;
    void *pixels;       /* [P, X]; then what attention gives, [P, D] */
    float *x;           /* [P, D] residual */
    void *u, *qkv, *h;  /* [P, D], [P, 3D], [P, M] or [tokens, Y] */
    float *cos_sin;     /* [table, a/2, 2] */
    int32_t *positions; /* [3, P]; axis 0 is not used */
    int32_t *offsets;   /* [frames + 1] */
    float *out;         /* [tokens, d] */
    void *workspace;
} look;

static ts_status count(const qwen2vl *m, const rt_seen *media, size_t media_count, bool unfused,
                       look *k, ts_err *err) {
    int64_t patches = 0, frames = 0;
    for (size_t i = 0; i < media_count; i++) {
        rt_grid g = media[i].grid;
        int32_t tokens;
        TS_TRY(rt_grid_placeholders(g, m->S, &tokens, err));
        patches += (int64_t)tokens * m->S * m->S;
        frames += g.t;
        if (patches > INT32_MAX / 4)
            return ts_fail(err, TS_STATUS_UNSUPPORTED, "more than %d patches in one prompt",
                           INT32_MAX / 4);
        if (g.h * g.w > k->longest) k->longest = g.h * g.w;
        if (g.h > k->table) k->table = g.h;
        if (g.w > k->table) k->table = g.w;
    }
    size_t element = rt_dtype_bytes(m->dtype);
    k->P = (int32_t)patches;
    k->tokens = k->P / (m->S * m->S);
    k->frames = (int32_t)frames;
    k->X_pitch = rt_pitch(m->X, element);
    k->D_pitch = rt_pitch(m->D, element);
    k->qkv_pitch = unfused ? k->D_pitch : rt_pitch(3 * (int64_t)m->D, element);
    k->M_pitch = rt_pitch(m->M, element);
    k->Y_pitch = rt_pitch(m->Y, element);
    k->x_pitch = rt_pitch(m->D, sizeof(float));
    k->out_pitch = rt_pitch(m->d, sizeof(float));
    return TS_STATUS_OK;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static void place(const qwen2vl *m, look *k, size_t workspace_bytes, rt_layout *layout) {
    size_t element = rt_dtype_bytes(m->dtype), P = (size_t)k->P, T = (size_t)k->tokens;
    k->pixels = rt_layout_take(layout, P * (size_t)larger((size_t)k->X_pitch, (size_t)k->D_pitch) *
                                           element);
    k->x = rt_layout_take(layout, P * (size_t)k->x_pitch * sizeof(float));
    k->u = rt_layout_take(layout, P * (size_t)k->D_pitch * element);
    k->qkv = rt_layout_take(layout, P * 3 * (size_t)k->D_pitch * element);
    k->h = rt_layout_take(layout, larger(P * (size_t)k->M_pitch, T * (size_t)k->Y_pitch) * element);
    k->cos_sin = rt_layout_take(layout, (size_t)k->table * (size_t)m->a * sizeof(float));
    k->positions = rt_layout_take(layout, 3 * P * sizeof(int32_t));
    k->offsets = rt_layout_take(layout, ((size_t)k->frames + 1) * sizeof(int32_t));
    k->out = rt_layout_take(layout, T * (size_t)k->out_pitch * sizeof(float));
    k->workspace = workspace_bytes ? rt_layout_take(layout, workspace_bytes) : NULL;
}

/* ---- what the host makes ---- */

static ts_status upload(rt_run *run, void *to, const void *from, size_t bytes, ts_err *err) {
    return rt_run_upload(run, to, from, bytes, err);
}

/* Pixels in the model's dtype. */
static ts_status send_pixels(const qwen2vl *m, rt_run *run, rt_sight *sight, const look *k,
                             const rt_seen *media, size_t media_count, ts_err *err) {
    size_t pitch = (size_t)k->X_pitch;
    unsigned char *to = k->pixels;
    for (size_t i = 0; i < media_count; i++) {
        rt_grid g = media[i].grid;
        size_t rows = (size_t)g.t * (size_t)g.h * (size_t)g.w;
        TS_TRY(
            rt_sight_send(sight, run, m->dtype, media[i].rows, rows, (size_t)m->X, pitch, to, err));
        to += rows * pitch * rt_dtype_bytes(m->dtype);
    }
    return TS_STATUS_OK;
}

/* Row n holds the angles n * inv_j twice: once for the patch's row, once for its column. */
static ts_status send_angles(const qwen2vl *m, rt_run *run, const look *k, ts_err *err) {
    size_t half = (size_t)m->a / 2, quarter = half / 2, rows = (size_t)k->table;
    float *table = malloc(rows * half * 2 * sizeof *table);
    if (!table) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "angles of %zu positions", rows);
    for (size_t i = 0; i < quarter; i++) {
        double frequency = pow(VISION_THETA, -(double)i / (double)quarter);
        for (size_t n = 0; n < rows; n++) {
            float *pair = table + (n * half + i) * 2;
            pair[0] = (float)cos((double)n * frequency);
            pair[1] = (float)sin((double)n * frequency);
            memcpy(pair + 2 * quarter, pair, 2 * sizeof *pair);
        }
    }
    ts_status status = upload(run, k->cos_sin, table, rows * half * 2 * sizeof *table, err);
    free(table);
    return status;
}

/* Positions by axis, and where each frame begins. */
static ts_status send_places(const qwen2vl *m, rt_run *run, const look *k, const rt_seen *media,
                             size_t media_count, ts_err *err) {
    size_t P = (size_t)k->P, at = 0, frame = 0;
    int32_t *pairs = malloc(2 * P * sizeof *pairs), *axes = calloc(3 * P, sizeof *axes),
            *offsets = malloc(((size_t)k->frames + 1) * sizeof *offsets);
    ts_status status = pairs && axes && offsets
                           ? TS_STATUS_OK
                           : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "places of %zu patches", P);
    for (size_t i = 0; i < media_count && status == TS_STATUS_OK; i++) {
        rt_grid g = media[i].grid;
        rt_vision_positions(g, m->S, pairs + 2 * at);
        for (int32_t t = 0; t < g.t; t++, frame++) offsets[frame] = (int32_t)at + t * g.h * g.w;
        at += (size_t)g.t * (size_t)g.h * (size_t)g.w;
    }
    if (status == TS_STATUS_OK) {
        offsets[frame] = k->P;
        for (size_t i = 0; i < P; i++) {
            axes[P + i] = pairs[2 * i];
            axes[2 * P + i] = pairs[2 * i + 1];
        }
        status = upload(run, k->positions, axes, 3 * P * sizeof *axes, err);
    }
    if (status == TS_STATUS_OK)
        status = upload(run, k->offsets, offsets, (frame + 1) * sizeof *offsets, err);
    free(pairs);
    free(axes);
    free(offsets);
    return status;
}

/* ---- the tower ---- */

/* One product over the rows of x; with `residual` it is added to what lies there, fp32. */
typedef struct product {
    qwen2vl_op op;
    const void *x, *w;
    const float *bias;
    void *out;
    int64_t x_pitch, out_pitch;
    int32_t m, n, k;
    bool residual;
} product;

static ts_status multiply(const qwen2vl *m, rt_run *run, const product *p, ts_err *err) {
    return rt_stage_project(run, m->groups[p->op], m->dtype,
                            &(struct gemm_args){.x = p->x,
                                                .w = p->w,
                                                .bias = p->bias,
                                                .residual = p->residual ? p->out : NULL,
                                                .out = p->out,
                                                .x_pitch = p->x_pitch,
                                                .residual_pitch = p->residual ? p->out_pitch : 0,
                                                .out_pitch = p->out_pitch,
                                                .m = p->m,
                                                .n = p->n,
                                                .k = p->k},
                            err);
}

static ts_status normalize(const qwen2vl *m, rt_run *run, const look *k, qwen2vl_op op,
                           const float *weight, const float *bias, ts_err *err) {
    rt_norm_stage norm = {.weight = weight, .bias = bias, .d = m->D, .eps = VISION_EPS};
    return rt_stage_norm(run, m->groups[op], &norm, k->x, k->u, k->D_pitch, k->P, err);
}

/* q, k or v (part 0, 1, 2): columns of the fused rows, or a matrix of its own. */
static void *part_of(const qwen2vl *m, const rt_run *run, const look *k, int32_t part) {
    int64_t elements = run->unfused ? part * (int64_t)k->P * k->D_pitch : part * (int64_t)m->D;
    return (char *)k->qkv + (size_t)elements * rt_dtype_bytes(m->dtype);
}

/* One product, or (unfused) one for each of the three parts of its weight. */
static ts_status project_qkv(const qwen2vl *m, rt_run *run, const look *k, const qwen2vl_block *w,
                             ts_err *err) {
    int32_t parts = run->unfused ? 3 : 1, n = 3 * m->D / parts;
    size_t w_bytes = (size_t)(n * k->D_pitch) * rt_dtype_bytes(m->dtype);
    for (int32_t i = 0; i < parts; i++) {
        product p = {.op = QWEN2VL_V_QKV,
                     .x = k->u,
                     .w = (const char *)w->qkv + (size_t)i * w_bytes,
                     .bias = w->qkv_bias + i * n,
                     .out = part_of(m, run, k, i),
                     .x_pitch = k->D_pitch,
                     .out_pitch = k->qkv_pitch,
                     .m = k->P,
                     .n = n,
                     .k = m->D};
        TS_TRY(multiply(m, run, &p, err));
    }
    return TS_STATUS_OK;
}

static ts_status rotate(const qwen2vl *m, rt_run *run, const look *k, ts_err *err) {
    void *keys = part_of(m, run, k, 1);
    struct rotary_args a = {.q = k->qkv,
                            .k = keys,
                            .cos_sin = k->cos_sin,
                            .positions = k->positions,
                            .q_out = k->qkv,
                            .k_out = keys,
                            .q_pitch = k->qkv_pitch,
                            .k_pitch = k->qkv_pitch,
                            .positions_pitch = k->P,
                            .q_out_pitch = k->qkv_pitch,
                            .k_out_pitch = k->qkv_pitch,
                            .m = k->P,
                            .hq = m->A,
                            .hkv = m->A,
                            .p = k->table,
                            .s1 = m->a / 4};
    return rt_run_launch(run, &m->groups[QWEN2VL_V_ROTARY][RT_PREFILL], &a, sizeof a, err);
}

static ts_status attend(const qwen2vl *m, rt_run *run, const look *k, ts_err *err) {
    struct sdpa_args a = {.q = k->qkv,
                          .k = part_of(m, run, k, 1),
                          .v = part_of(m, run, k, 2),
                          .cu_q = k->offsets,
                          .cu_k = k->offsets,
                          .out = k->pixels,
                          .q_pitch = k->qkv_pitch,
                          .k_pitch = k->qkv_pitch,
                          .v_pitch = k->qkv_pitch,
                          .out_pitch = k->D_pitch,
                          .b = k->frames,
                          .lq = k->longest,
                          .lk = k->longest,
                          .hq = m->A,
                          .hkv = m->A,
                          .scale = 1 / sqrtf((float)m->a)};
    return rt_run_launch(run, &m->groups[QWEN2VL_V_ATTENTION][RT_PREFILL], &a, sizeof a, err);
}

static ts_status block(const qwen2vl *m, rt_run *run, const look *k, const qwen2vl_block *w,
                       ts_err *err) {
    product proj = {QWEN2VL_V_PROJ, k->pixels, w->proj, w->proj_bias, k->x, k->D_pitch,
                    k->x_pitch,     k->P,      m->D,    m->D,         true};
    product fc1 = {QWEN2VL_V_FC1, k->u, w->fc1, w->fc1_bias, k->h, k->D_pitch,
                   k->M_pitch,    k->P, m->M,   m->D,        false};
    product fc2 = {QWEN2VL_V_FC2, k->h, w->fc2, w->fc2_bias, k->x, k->M_pitch,
                   k->x_pitch,    k->P, m->D,   m->M,        true};
    TS_TRY(normalize(m, run, k, QWEN2VL_V_NORM, w->norm1, w->norm1_bias, err));
    TS_TRY(project_qkv(m, run, k, w, err));
    TS_TRY(rotate(m, run, k, err));
    TS_TRY(attend(m, run, k, err));
    TS_TRY(multiply(m, run, &proj, err));
    TS_TRY(normalize(m, run, k, QWEN2VL_V_NORM, w->norm2, w->norm2_bias, err));
    TS_TRY(multiply(m, run, &fc1, err));
    return multiply(m, run, &fc2, err);
}

static ts_status tower(const qwen2vl *m, rt_run *run, const look *k, ts_err *err) {
    const qwen2vl_eyes *e = &m->eyes;
    product patch = {QWEN2VL_PATCH, k->pixels, e->patch, NULL, k->x, k->X_pitch,
                     k->x_pitch,    k->P,      m->D,     m->X, false};
    /* The S * S rows of a merge block lie together, so one row of the product is just longer. */
    product merge1 = {
        QWEN2VL_MERGE_1, k->u,      e->merge1, e->merge1_bias, k->h, m->S * m->S * k->D_pitch,
        k->Y_pitch,      k->tokens, m->Y,      m->Y,           false};
    product merge2 = {QWEN2VL_MERGE_2, k->h,      e->merge2, e->merge2_bias, k->out, k->Y_pitch,
                      k->out_pitch,    k->tokens, m->d,      m->Y,           false};
    TS_TRY(multiply(m, run, &patch, err));
    for (int32_t i = 0; i < m->B; i++) TS_TRY(block(m, run, k, &m->blocks[i], err));
    TS_TRY(normalize(m, run, k, QWEN2VL_MERGE_NORM, e->norm, e->norm_bias, err));
    TS_TRY(multiply(m, run, &merge1, err));
    return multiply(m, run, &merge2, err);
}

/* Sizes of a look, and the bytes that its launches need beside its buffers. */
static ts_status measure(const qwen2vl *m, const rt_run *run, const rt_seen *media,
                         size_t media_count, look *k, size_t *workspace_bytes, ts_err *err) {
    rt_run trial = {.device = run->device, .measure = true, .unfused = run->unfused};
    rt_layout none = {0};
    TS_TRY(count(m, media, media_count, run->unfused, k, err));
    place(m, k, 0, &none);
    TS_TRY(tower(m, &trial, k, err));
    *workspace_bytes = trial.workspace_bytes;
    return TS_STATUS_OK;
}

ts_status qwen2vl_see_bytes(const void *self, ts_device *device, const rt_seen *media,
                            size_t media_count, size_t *bytes, ts_err *err) {
    look k = {0};
    size_t workspace_bytes = 0;
    rt_layout layout = {0};
    TS_TRY(
        measure(self, &(rt_run){.device = device}, media, media_count, &k, &workspace_bytes, err));
    place(self, &k, workspace_bytes, &layout);
    *bytes = layout.bytes;
    return TS_STATUS_OK;
}

/* Everything up to the last launch. */
static ts_status start(const qwen2vl *m, rt_run *run, rt_sight *sight, const look *k,
                       const rt_seen *media, size_t media_count, ts_err *err) {
    TS_TRY(send_angles(m, run, k, err));
    TS_TRY(send_places(m, run, k, media, media_count, err));
    TS_TRY(send_pixels(m, run, sight, k, media, media_count, err));
    return tower(m, run, k, err);
}

ts_status qwen2vl_see(const void *self, rt_run *run, rt_sight *sight, const rt_seen *media,
                      size_t media_count, const float **vectors, ts_err *err) {
    ts_device *device = run->device;
    look k = {0};
    ts_err reason = {0};
    rt_run own = *run; /* but its workspace, which serves the text model's sizes */
    TS_TRY(measure(self, run, media, media_count, &k, &own.workspace_bytes, err));
    rt_layout layout = {0};
    place(self, &k, own.workspace_bytes, &layout);
    ts_status status = rt_sight_reserve(sight, device, layout.bytes, &reason);
    if (status != TS_STATUS_OK)
        return ts_fail(err, status,
                       "%d patches take %zu bytes to look at: %s; smaller images take less", k.P,
                       layout.bytes, reason.message);
    layout = (rt_layout){.base = (uintptr_t)sight->memory};
    place(self, &k, own.workspace_bytes, &layout);
    own.workspace = k.workspace;
    status = start(self, &own, sight, &k, media, media_count, err);
    /* A failed one too is over before its memory is used again. */
    ts_status ended = device->ops->sync(device, run->stream, status == TS_STATUS_OK ? err : NULL);
    if (status == TS_STATUS_OK) status = ended;
    if (status == TS_STATUS_OK) *vectors = k.out;
    return status;
}
