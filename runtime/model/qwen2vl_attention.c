/* Attention of the text model: projections, rotary positions, the cache, and which keys a query
 * sees. q is read from the fused row, keys and values from the cache, in place. A step finds where
 * it is in device memory, so that its captured graph can be replayed while the context grows.
 *
 * The cache of a layer holds `context` slots for each sequence of the session. An unfused run (to
 * compare with) makes q, k and v by three products, and copies rotated keys and values to the cache.
 */
#include "qwen2vl.h"

#include <math.h>

#include "../../templates/rotary/args.h"
#include "../../templates/sdpa/args.h"
#include "../../templates/sdpa_decode/args.h"
#include "stages.h"

/* Rows of q, k and v: columns of the fused rows, or matrices of their own. */
typedef struct qkv_rows {
    void *q, *k, *v;
    int64_t q_pitch, kv_pitch;
} qkv_rows;

/* What `advance` sends, by rows of `places`. Of a step a number a sequence: slot, where its keys
 * begin, how many there are. Of other passes: slots; row numbers (unfused); then offsets. */
enum { PLACE_SLOT = 3, PLACE_BEGIN = 4, PLACE_LENGTH = 5, PLACE_ROW = 4, PLACE_OFFSETS = 5 };

/* Attention of several sequences takes offsets of queries and keys where each sequence begins and
 * ends. Between the keys of two sequences lie unused slots: a sequence without queries. */
static int32_t stretches(const rt_pass *pass) { return 2 * pass->count - 1; }

static size_t bytes_of(const qwen2vl *m, int64_t elements) {
    return (size_t)elements * rt_dtype_bytes(m->dtype);
}

static qkv_rows view(const qwen2vl *m, const rt_run *run, const qwen2vl_text *st) {
    char *base = st->qkv;
    if (!run->unfused)
        return (qkv_rows){.q = base,
                          .k = base + bytes_of(m, m->q),
                          .v = base + bytes_of(m, m->q + m->kv),
                          .q_pitch = st->qkv_pitch,
                          .kv_pitch = st->qkv_pitch};
    char *k = base + bytes_of(m, st->rows * st->q_pitch);
    return (qkv_rows){.q = base,
                      .k = k,
                      .v = k + bytes_of(m, st->rows * st->kv_pitch),
                      .q_pitch = st->q_pitch,
                      .kv_pitch = st->kv_pitch};
}

/* Rows `first` to `first + n` of the fused product to out. */
static ts_status project_part(const qwen2vl *m, rt_run *run, const qwen2vl_text *st,
                              const qwen2vl_layer *w, int32_t first, int32_t n, void *out,
                              int64_t out_pitch, int32_t rows, ts_err *err) {
    int64_t w_pitch = rt_pitch(m->d, rt_dtype_bytes(m->dtype));
    return rt_stage_project(
        run, m->groups[QWEN2VL_QKV], m->dtype,
        &(struct gemm_args){.x = st->u,
                            .w = (const char *)w->qkv + bytes_of(m, first * w_pitch),
                            .bias = w->qkv_bias + first,
                            .out = out,
                            .x_pitch = st->d_pitch,
                            .out_pitch = out_pitch,
                            .m = rows,
                            .n = n,
                            .k = m->d},
        err);
}

static ts_status project_qkv(const qwen2vl *m, rt_run *run, const qwen2vl_text *st,
                             const qwen2vl_layer *w, const qkv_rows *x, int32_t rows, ts_err *err) {
    if (!run->unfused) return project_part(m, run, st, w, 0, m->qkv, x->q, x->q_pitch, rows, err);
    TS_TRY(project_part(m, run, st, w, 0, m->q, x->q, x->q_pitch, rows, err));
    TS_TRY(project_part(m, run, st, w, m->q, m->kv, x->k, x->kv_pitch, rows, err));
    return project_part(m, run, st, w, m->q + m->kv, m->kv, x->v, x->kv_pitch, rows, err);
}

/* q in place; k and v to rows `slot` of matrices with `slots` rows. */
static ts_status rotate(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, const qkv_rows *x,
                        const int32_t *slot, int32_t slots, void *k, void *v, int32_t rows,
                        ts_err *err) {
    struct rotary_args a = {
        .q = x->q,
        .k = x->k,
        .v = x->v,
        .cos_sin = st->cos_sin,
        .positions = st->places,
        .slot = slot,
        .q_out = x->q,
        .k_out = k,
        .v_out = v,
        .q_pitch = x->q_pitch,
        .k_pitch = x->kv_pitch,
        .v_pitch = x->kv_pitch,
        .positions_pitch = rows,
        .q_out_pitch = x->q_pitch,
        .k_out_pitch = st->kv_pitch,
        .v_out_pitch = st->kv_pitch,
        .m = rows,
        .hq = m->H,
        .hkv = m->G,
        .slots = slots,
        .p = st->context,
        .s0 = m->sections[0],
        .s1 = m->sections[0] + m->sections[1],
    };
    return rt_run_launch(run, &m->groups[QWEN2VL_ROTARY][rt_phase_of(rows)], &a, sizeof a, err);
}

/* The unfused way: to matrices of the pass (u and o are free now and wide enough), then copied. */
static ts_status rotate_apart(const qwen2vl *m, rt_run *run, const qwen2vl_text *st,
                              const qkv_rows *x, char *k, char *v, const rt_pass *pass,
                              ts_err *err) {
    TS_TRY(rotate(m, run, st, x, st->places + (size_t)PLACE_ROW * (size_t)pass->rows, pass->rows,
                  st->u, st->o, pass->rows, err));
    int64_t row = 0;
    for (int32_t i = 0; i < pass->count; i++) {
        const rt_segment *s = &pass->segments[i];
        size_t from = bytes_of(m, row * st->kv_pitch),
               to = bytes_of(m, ((int64_t)s->sequence * st->context + s->first) * st->kv_pitch),
               bytes = bytes_of(m, s->rows * st->kv_pitch);
        TS_TRY(rt_run_copy(run, k + to, (char *)st->u + from, bytes, err));
        TS_TRY(rt_run_copy(run, v + to, (char *)st->o + from, bytes, err));
        row += s->rows;
    }
    return TS_STATUS_OK;
}

static ts_status store(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, const qkv_rows *x,
                       char *k, char *v, const rt_pass *pass, ts_err *err) {
    if (run->unfused && !rt_pass_is_step(pass)) return rotate_apart(m, run, st, x, k, v, pass, err);
    return rotate(m, run, st, x, st->places + (size_t)PLACE_SLOT * (size_t)pass->rows, st->slots, k,
                  v, pass->rows, err);
}

static ts_status attend_step(const qwen2vl *m, rt_run *run, const qwen2vl_text *st,
                             const qkv_rows *x, const void *k, const void *v, int32_t rows,
                             ts_err *err) {
    struct sdpa_decode_args a = {.q = x->q,
                                 .k = k,
                                 .v = v,
                                 .k_begin = st->places + (size_t)PLACE_BEGIN * (size_t)rows,
                                 .k_len = st->places + (size_t)PLACE_LENGTH * (size_t)rows,
                                 .counters = st->counters,
                                 .out = st->o,
                                 .q_pitch = x->q_pitch,
                                 .k_pitch = st->kv_pitch,
                                 .v_pitch = st->kv_pitch,
                                 .out_pitch = st->q_pitch,
                                 .b = rows,
                                 .lk = st->context,
                                 .hkv = m->G,
                                 .slots = st->slots,
                                 .scale = 1 / sqrtf((float)m->c)};
    return rt_run_launch(run, &m->groups[QWEN2VL_ATTENTION_STEP][RT_DECODE], &a, sizeof a, err);
}

static ts_status attend(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, const qkv_rows *x,
                        const void *k, const void *v, const rt_pass *pass, ts_err *err) {
    if (rt_pass_is_step(pass)) return attend_step(m, run, st, x, k, v, pass->rows, err);
    const int32_t *cu_q = st->places + (size_t)PLACE_OFFSETS * (size_t)pass->rows;
    struct sdpa_args a = {.q = x->q,
                          .k = k,
                          .v = v,
                          .cu_q = cu_q,
                          .cu_k = cu_q + stretches(pass) + 1,
                          .out = st->o,
                          .q_pitch = x->q_pitch,
                          .k_pitch = st->kv_pitch,
                          .v_pitch = st->kv_pitch,
                          .out_pitch = st->q_pitch,
                          .b = stretches(pass),
                          .hq = m->H,
                          .hkv = m->G,
                          .scale = 1 / sqrtf((float)m->c)};
    for (int32_t i = 0; i < pass->count; i++) {
        const rt_segment *s = &pass->segments[i];
        if (s->rows > a.lq) a.lq = s->rows;
        if (s->first + s->rows > a.lk) a.lk = s->first + s->rows;
    }
    return rt_run_launch(run, &m->groups[QWEN2VL_ATTENTION][RT_PREFILL], &a, sizeof a, err);
}

ts_status qwen2vl_attention(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, int32_t index,
                            const rt_pass *pass, float *r, ts_err *err) {
    const qwen2vl_layer *w = &m->layers[index];
    char *k = st->k + (size_t)index * st->stride, *v = st->v + (size_t)index * st->stride;
    int64_t r_pitch = rt_pitch(m->d, sizeof(float));
    qkv_rows x = view(m, run, st);
    TS_TRY(qwen2vl_normalize(m, run, st, QWEN2VL_NORM, w->norm1, r, pass->rows, err));
    TS_TRY(project_qkv(m, run, st, w, &x, pass->rows, err));
    TS_TRY(store(m, run, st, &x, k, v, pass, err));
    TS_TRY(attend(m, run, st, &x, k, v, pass, err));
    return rt_stage_project(run, m->groups[QWEN2VL_O], m->dtype,
                            &(struct gemm_args){.x = st->o,
                                                .w = w->o,
                                                .residual = r,
                                                .out = r,
                                                .x_pitch = st->q_pitch,
                                                .residual_pitch = r_pitch,
                                                .out_pitch = r_pitch,
                                                .m = pass->rows,
                                                .n = m->d,
                                                .k = m->q},
                            err);
}

/* ---- where rows stand ---- */

/* Slots of a segment's rows, and their numbers in the pass. */
static void place_rows(const qwen2vl_text *st, const rt_pass *pass, const rt_segment *s,
                       int32_t row) {
    int32_t *slot = pass->places + (ptrdiff_t)PLACE_SLOT * pass->rows + row,
            *number = pass->places + (ptrdiff_t)PLACE_ROW * pass->rows + row;
    for (int32_t i = 0; i < s->rows; i++) {
        slot[i] = s->sequence * st->context + s->first + i;
        number[i] = row + i;
    }
}

/* Where each sequence begins and ends, of queries and of keys. */
static void place_offsets(const qwen2vl_text *st, const rt_pass *pass) {
    int32_t *cu_q = pass->places + (ptrdiff_t)PLACE_OFFSETS * pass->rows,
            *cu_k = cu_q + stretches(pass) + 1, row = 0;
    for (ptrdiff_t i = 0; i < pass->count; i++) {
        const rt_segment *s = &pass->segments[i];
        int32_t begin = s->sequence * st->context;
        cu_q[2 * i] = row;
        cu_k[2 * i] = begin;
        row += s->rows;
        cu_q[2 * i + 1] = row;
        cu_k[2 * i + 1] = begin + s->first + s->rows;
    }
}

static void place_step(const qwen2vl_text *st, const rt_pass *pass) {
    for (ptrdiff_t i = 0; i < pass->count; i++) {
        const rt_segment *s = &pass->segments[i];
        int32_t *at = pass->places + i, begin = s->sequence * st->context;
        at[PLACE_SLOT * pass->rows] = begin + s->first;
        at[PLACE_BEGIN * pass->rows] = begin;
        at[PLACE_LENGTH * pass->rows] = s->first + 1;
    }
}

ts_status qwen2vl_advance(const void *self, rt_run *run, void *state, const rt_pass *pass,
                          ts_err *err) {
    (void)self;
    const qwen2vl_text *st = state;
    size_t ints = (size_t)(PLACE_LENGTH + 1) * (size_t)pass->rows;
    if (rt_pass_is_step(pass)) {
        place_step(st, pass);
    } else {
        for (int32_t i = 0, row = 0; i < pass->count; row += pass->segments[i].rows, i++)
            place_rows(st, pass, &pass->segments[i], row);
        place_offsets(st, pass);
        ints = (size_t)PLACE_OFFSETS * (size_t)pass->rows + 2 * ((size_t)stretches(pass) + 1);
    }
    return rt_run_upload(run, st->places, pass->places, ints * sizeof(int32_t), err);
}
