/* Owns the classifier's device memory and its two lists of launches. Weights come from a safetensors
 * file, pixels from the caller. */
#include "network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/safetensors.h"

const char *const form_names[FORMS] = {[UNFUSED] = "unfused", [FUSED] = "fused"};

enum { QUERIES = HEADS * HEAD, KEYS = KV_HEADS * HEAD, QKV = QUERIES + 2 * KEYS };

/* Every tensor on the device; all NULL where only the problems are wanted. */
typedef struct tensors {
    float *inp_w, *inp_b, *o_w, *head_w, *head_b; /* of both forms */
    float *q_w, *q_b, *k_w, *k_b, *v_w, *v_b;     /* unfused */
    float *qkv_w, *qkv_b;                         /* fused: the rows of q, k and v */
    float *cos_sin;
    int32_t *positions;         /* [3, rows] */
    int32_t *split_q, *split_k; /* rows of a copy with heads before tokens; of q, of k and v */
    int32_t *merge;             /* and back */
    float *h, *y, *attended;
    float *q, *k, *v, *turned_q, *turned_k, *split[3], *split_out;
    float *qkv;
    void *workspace;
} tensors;

/* ---- the two lists ---- */

static step *append(form *f, const char *family, size_t args_bytes) {
    step *s = &f->steps[f->count++];
    memset(s, 0, sizeof *s);
    s->args_bytes = args_bytes;
    snprintf(s->problem, sizeof s->problem, "%s", family);
    return s;
}

static void describe(step *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void describe(step *s, const char *format, ...) {
    size_t used = strlen(s->problem);
    va_list list;
    va_start(list, format);
    vsnprintf(s->problem + used, sizeof s->problem - used, format, list);
    va_end(list);
}

/* Dense x [m, k] and out [m, n]; returned for what is different. */
static struct gemm_args *product(form *f, int32_t m, int32_t n, int32_t k, const float *x,
                                 const float *w, const float *bias, float *out) {
    step *s = append(f, "gemm", sizeof s->args.gemm);
    describe(s, " m=%d n=%d k=%d dtype=fp32 out=fp32 act=none", m, n, k);
    s->args.gemm = (struct gemm_args){.x = x,
                                      .w = w,
                                      .bias = bias,
                                      .out = out,
                                      .x_pitch = k,
                                      .w_pitch = k,
                                      .residual_pitch = n,
                                      .out_pitch = n,
                                      .m = m,
                                      .n = n,
                                      .k = k};
    return &s->args.gemm;
}

static void turn(form *f, const tensors *t, int32_t rows, const float *q, const float *k,
                 float *q_out, float *k_out, int64_t q_pitch, int64_t k_pitch) {
    step *s = append(f, "rotary", sizeof s->args.rotary);
    describe(s, " m=%d hq=%d hkv=%d slots=0 p=%d s0=%d s1=%d head_dim=%d dtype=fp32 cache=0", rows,
             HEADS, KV_HEADS, TOKENS, HEAD / 2, HEAD / 2, HEAD);
    s->args.rotary = (struct rotary_args){.q = q,
                                          .k = k,
                                          .cos_sin = t->cos_sin,
                                          .positions = t->positions,
                                          .q_out = q_out,
                                          .k_out = k_out,
                                          .q_pitch = q_pitch,
                                          .k_pitch = k_pitch,
                                          .positions_pitch = rows,
                                          .q_out_pitch = q_pitch,
                                          .k_out_pitch = k_pitch,
                                          .m = rows,
                                          .hq = HEADS,
                                          .hkv = KV_HEADS,
                                          .p = TOKENS,
                                          .s0 = HEAD / 2,
                                          .s1 = HEAD / 2};
}

static void attend(form *f, int32_t sequences, int32_t heads, int32_t kv_heads, const float *q,
                   const float *k, const float *v, float *out, int64_t pitch, int64_t out_pitch) {
    step *s = append(f, "sdpa", sizeof s->args.sdpa);
    describe(s, " b=%d lq=%d lk=%d hq=%d hkv=%d head_dim=%d dtype=fp32 causal=0 varlen=0",
             sequences, TOKENS, TOKENS, heads, kv_heads, HEAD);
    s->args.sdpa = (struct sdpa_args){.q = q,
                                      .k = k,
                                      .v = v,
                                      .out = out,
                                      .q_pitch = pitch,
                                      .k_pitch = pitch,
                                      .v_pitch = pitch,
                                      .out_pitch = out_pitch,
                                      .b = sequences,
                                      .lq = TOKENS,
                                      .lk = TOKENS,
                                      .hq = heads,
                                      .hkv = kv_heads,
                                      .scale = 1 / sqrtf(HEAD)};
}

/* Copies rows of one head. */
static void copy(form *f, int32_t rows, int32_t source_rows, const int32_t *index,
                 const float *source, float *out) {
    step *s = append(f, "embedding", sizeof s->args.embedding);
    describe(s, " t=%d v=%d d=%d dtype=fp32", rows, source_rows, HEAD);
    s->args.embedding = (struct embedding_args){.ids = index,
                                                .table = source,
                                                .out = out,
                                                .table_pitch = HEAD,
                                                .out_pitch = HEAD,
                                                .t = rows,
                                                .v = source_rows,
                                                .d = HEAD};
}

static void attention_unfused(form *f, const tensors *t, int32_t batch) {
    int32_t rows = batch * TOKENS;
    product(f, rows, QUERIES, HIDDEN, t->h, t->q_w, t->q_b, t->q);
    product(f, rows, KEYS, HIDDEN, t->h, t->k_w, t->k_b, t->k);
    product(f, rows, KEYS, HIDDEN, t->h, t->v_w, t->v_b, t->v);
    turn(f, t, rows, t->q, t->k, t->turned_q, t->turned_k, QUERIES, KEYS);
    copy(f, rows * HEADS, rows * HEADS, t->split_q, t->turned_q, t->split[0]);
    copy(f, rows * HEADS, rows * KV_HEADS, t->split_k, t->turned_k, t->split[1]);
    copy(f, rows * HEADS, rows * KV_HEADS, t->split_k, t->v, t->split[2]);
    attend(f, batch * HEADS, 1, 1, t->split[0], t->split[1], t->split[2], t->split_out, HEAD, HEAD);
    copy(f, rows * HEADS, rows * HEADS, t->merge, t->split_out, t->attended);
}

static void attention_fused(form *f, const tensors *t, int32_t batch) {
    int32_t rows = batch * TOKENS;
    float *q = t->qkv, *k = q ? q + QUERIES : NULL, *v = k ? k + KEYS : NULL;
    product(f, rows, QKV, HIDDEN, t->h, t->qkv_w, t->qkv_b, q);
    turn(f, t, rows, q, k, q, k, QKV, QKV);
    attend(f, batch, HEADS, KV_HEADS, q, k, v, t->attended, QKV, QUERIES);
}

static void make_forms(network *net, const tensors *t) {
    void (*const attention[FORMS])(form *, const tensors *, int32_t) = {
        [UNFUSED] = attention_unfused, [FUSED] = attention_fused};
    int32_t rows = net->batch * TOKENS;
    for (int which = 0; which < FORMS; which++) {
        form *f = &net->forms[which];
        f->count = 0;
        product(f, rows, HIDDEN, FEATURES, NULL, t->inp_w, t->inp_b, t->h); /* x: network_run */
        attention[which](f, t, net->batch);
        product(f, rows, HIDDEN, QUERIES, t->attended, t->o_w, NULL, t->y)->residual = t->h;
        product(f, net->batch, CLASSES, TOKENS * HIDDEN, t->y, t->head_w, t->head_b, NULL);
    }
}

void network_describe(network *net, int32_t batch) {
    *net = (network){.batch = batch};
    make_forms(net, &(tensors){0});
}

/* ---- memory ---- */

/* Device memory, with a copy of `source` if there is one. */
static ts_status place(network *net, size_t bytes, const void *source, void *out, ts_err *err) {
    enum { MOST = sizeof net->blocks / sizeof *net->blocks };
    void *block = NULL;
    if (net->block_count == MOST) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%d blocks", MOST);
    TS_TRY(net->device->ops->alloc(net->device, bytes, &block, err));
    net->blocks[net->block_count++] = block;
    memcpy(out, &block, sizeof block);
    return source ? net->device->ops->upload(net->device, NULL, block, source, bytes, err)
                  : TS_STATUS_OK;
}

static ts_status place_floats(network *net, size_t count, float **out, ts_err *err) {
    return place(net, count * sizeof **out, NULL, out, err);
}

/* ---- weights ---- */

/* Values of one tensor after a check of its shape (columns 0: a vector). */
static ts_status read_tensor(const rt_tensors *set, const char *name, int64_t rows, int64_t columns,
                             float *out, ts_err *err) {
    const rt_tensor *tensor = rt_tensors_find(set, name);
    int64_t shape[] = {rows, columns};
    if (!tensor) return ts_fail(err, TS_STATUS_NOT_FOUND, "tensor %s is missing", name);
    TS_TRY(rt_tensor_check(tensor, columns ? 2 : 1, shape, err));
    if (strcmp(tensor->dtype, "F32") != 0)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "%s: F32 expected, not %s", name, tensor->dtype);
    memcpy(out, tensor->data, tensor->bytes);
    return TS_STATUS_OK;
}

/* The host's copies; q, k and v lie one below the other, as the fused product wants them. */
typedef struct weights {
    float inp_w[HIDDEN * FEATURES], inp_b[HIDDEN];
    float qkv_w[QKV * HIDDEN], qkv_b[QKV];
    float o_w[HIDDEN * QUERIES];
    float out_w[CLASSES * HIDDEN], out_b[CLASSES];
    float head_w[CLASSES * TOKENS * HIDDEN];
} weights;

static ts_status read_weights(weights *w, const char *path, ts_err *err) {
    rt_tensors *set = NULL;
    const struct row {
        const char *name;
        int64_t rows, columns;
        float *to;
    } table[] = {
        {"inp.weight", HIDDEN, FEATURES, w->inp_w},
        {"inp.bias", HIDDEN, 0, w->inp_b},
        {"q_proj.weight", QUERIES, HIDDEN, w->qkv_w},
        {"q_proj.bias", QUERIES, 0, w->qkv_b},
        {"k_proj.weight", KEYS, HIDDEN, w->qkv_w + QUERIES * HIDDEN},
        {"k_proj.bias", KEYS, 0, w->qkv_b + QUERIES},
        {"v_proj.weight", KEYS, HIDDEN, w->qkv_w + (QUERIES + KEYS) * HIDDEN},
        {"v_proj.bias", KEYS, 0, w->qkv_b + QUERIES + KEYS},
        {"o_proj.weight", HIDDEN, QUERIES, w->o_w},
        {"out.weight", CLASSES, HIDDEN, w->out_w},
        {"out.bias", CLASSES, 0, w->out_b},
    };
    TS_TRY(rt_tensors_open(path, &set, err));
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table && status == TS_STATUS_OK; i++)
        status = read_tensor(set, table[i].name, table[i].rows, table[i].columns, table[i].to, err);
    rt_tensors_close(set);
    for (int i = 0; i < CLASSES * TOKENS * HIDDEN; i++) {
        int row = i / (TOKENS * HIDDEN), column = i % HIDDEN;
        w->head_w[i] = w->out_w[row * HIDDEN + column] / TOKENS;
    }
    return status;
}

#define PLACE(to, array) TS_TRY(place(net, sizeof(array), array, &t->to, err))

static ts_status place_weights(network *net, tensors *t, const weights *w, ts_err *err) {
    PLACE(inp_w, w->inp_w);
    PLACE(inp_b, w->inp_b);
    PLACE(qkv_w, w->qkv_w);
    PLACE(qkv_b, w->qkv_b);
    PLACE(o_w, w->o_w);
    PLACE(head_w, w->head_w);
    PLACE(head_b, w->out_b);
    /* The unfused form has weights of its own, each by itself. */
    const size_t first[] = {0, QUERIES, QUERIES + KEYS}, rows[] = {QUERIES, KEYS, KEYS};
    float **const w_out[] = {&t->q_w, &t->k_w, &t->v_w},
                  **const b_out[] = {&t->q_b, &t->k_b, &t->v_b};
    for (int i = 0; i < 3; i++) {
        TS_TRY(place(net, rows[i] * HIDDEN * sizeof(float), w->qkv_w + first[i] * HIDDEN, w_out[i],
                     err));
        TS_TRY(place(net, rows[i] * sizeof(float), w->qkv_b + first[i], b_out[i], err));
    }
    return TS_STATUS_OK;
}

/* ---- angles and rows ---- */

static ts_status place_angles(network *net, tensors *t, ts_err *err) {
    const double theta = 10000;
    float angles[TOKENS * HEAD];
    for (int row = 0; row < TOKENS; row++)
        for (int i = 0; i < HEAD / 2; i++) {
            double angle = row * pow(theta, -2.0 * i / HEAD);
            angles[row * HEAD + 2 * i] = (float)cos(angle);
            angles[row * HEAD + 2 * i + 1] = (float)sin(angle);
        }
    PLACE(cos_sin, angles);
    return TS_STATUS_OK;
}

static ts_status place_rows(network *net, tensors *t, ts_err *err) {
    int32_t rows = net->batch * TOKENS;
    size_t bytes = (size_t)rows * HEADS * sizeof(int32_t);
    int32_t *buffer = malloc(4 * bytes);
    if (!buffer) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu bytes for rows", 4 * bytes);
    int32_t *positions = buffer, *split_q = positions + rows * HEADS;
    int32_t *split_k = split_q + rows * HEADS, *merge = split_k + rows * HEADS;
    for (int32_t row = 0; row < rows; row++) {
        int32_t digit = row / TOKENS, token = row % TOKENS;
        for (int axis = 0; axis < 3; axis++) positions[axis * rows + row] = token;
        for (int32_t head = 0; head < HEADS; head++) {
            int32_t apart = (digit * HEADS + head) * TOKENS + token;
            split_q[apart] = row * HEADS + head;
            split_k[apart] = row * KV_HEADS + head / (HEADS / KV_HEADS);
            merge[row * HEADS + head] = apart;
        }
    }
    ts_status status = place(net, 3 * (size_t)rows * sizeof(int32_t), positions, &t->positions,
                             err);
    if (status == TS_STATUS_OK) status = place(net, bytes, split_q, &t->split_q, err);
    if (status == TS_STATUS_OK) status = place(net, bytes, split_k, &t->split_k, err);
    if (status == TS_STATUS_OK) status = place(net, bytes, merge, &t->merge, err);
    free(buffer);
    return status;
}

static ts_status place_activations(network *net, tensors *t, ts_err *err) {
    size_t rows = (size_t)net->batch * TOKENS;
    const struct row {
        float **to;
        size_t columns;
    } table[] = {
        {&t->h, HIDDEN},         {&t->y, HIDDEN},         {&t->attended, QUERIES},
        {&t->q, QUERIES},        {&t->k, KEYS},           {&t->v, KEYS},
        {&t->turned_q, QUERIES}, {&t->turned_k, KEYS},    {&t->split[0], QUERIES},
        {&t->split[1], QUERIES}, {&t->split[2], QUERIES}, {&t->split_out, QUERIES},
        {&t->qkv, QKV},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        TS_TRY(place_floats(net, rows * table[i].columns, table[i].to, err));
    return TS_STATUS_OK;
}

/* ---- open, run, close ---- */

/* The first member of every args struct is its workspace; launches follow one another, so one is
 * enough. */
static ts_status find_kernels(network *net, ts_kernels *kernels, ts_err *err) {
    size_t most = 0;
    void *workspace = NULL;
    for (int which = 0; which < FORMS; which++)
        for (step *s = net->forms[which].steps;
             s < net->forms[which].steps + net->forms[which].count; s++) {
            TS_TRY(ts_kernel_find(kernels, s->problem, &s->kernel, err));
            size_t bytes = ts_kernel_workspace_bytes(s->kernel, &s->args);
            if (bytes > most) most = bytes;
        }
    if (most > 0) TS_TRY(place(net, most, NULL, &workspace, err));
    for (int which = 0; which < FORMS; which++)
        for (int i = 0; i < net->forms[which].count; i++)
            memcpy(&net->forms[which].steps[i].args, &workspace, sizeof workspace);
    return TS_STATUS_OK;
}

ts_status network_open(network *net, ts_device *device, ts_kernels *kernels, const char *path,
                       const float *pixels, int32_t digits, int32_t batch, ts_err *err) {
    *net = (network){.device = device, .digits = digits, .batch = batch};
    tensors t = {0};
    weights *w = malloc(sizeof *w);
    ts_status status = w ? read_weights(w, path, err)
                         : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu bytes", sizeof *w);
    if (status == TS_STATUS_OK) status = place_weights(net, &t, w, err);
    free(w);
    TS_TRY(status);
    TS_TRY(place_angles(net, &t, err));
    TS_TRY(place_rows(net, &t, err));
    TS_TRY(place_activations(net, &t, err));
    TS_TRY(
        place(net, (size_t)digits * TOKENS * FEATURES * sizeof(float), pixels, &net->pixels, err));
    TS_TRY(place_floats(net, (size_t)digits * CLASSES, &net->logits, err));
    make_forms(net, &t);
    return find_kernels(net, kernels, err);
}

ts_status network_run(network *net, int which, ts_err *err) {
    form *f = &net->forms[which];
    for (int32_t first = 0; first < net->digits; first += net->batch) {
        f->steps[0].args.gemm.x = net->pixels + (size_t)first * TOKENS * FEATURES;
        f->steps[f->count - 1].args.gemm.out = net->logits + (size_t)first * CLASSES;
        for (step *s = f->steps; s < f->steps + f->count; s++)
            TS_TRY(ts_kernel_launch(s->kernel, NULL, &s->args, s->args_bytes, err));
    }
    return TS_STATUS_OK;
}

void network_close(network *net) {
    while (net->block_count > 0)
        net->device->ops->free(net->device, net->blocks[--net->block_count]);
}
