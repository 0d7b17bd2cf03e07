/* config.json of Qwen2-VL, and the table of kernels that follows from it. Text fields stand in
 * text_config or, in the published files, at the top. Vision fields that are absent have the
 * defaults of the published class: files that were saved again leave them out.
 */
#include <stdlib.h>
#include <string.h>

#include "qwen2vl.h"

/* Rows of the vision tower that kernels are tuned for: square images of 224, 448 and 1008 pixels in
 * patches of 14; of its merger a quarter. With some thousand rows a product fills any chip and only
 * takes longer from there on; attention, which grows by the square, has 2016 pixels too. */
#define VISION_ROWS \
    { 256, 1024, 5184 }
#define MERGED_ROWS \
    { 64, 256, 1296 }
#define ATTENTION_ROWS \
    { 256, 1024, 5184, 20736 }
#define PRODUCT(out, act) "dtype={dtype} out=" out " act=" act

const rt_use qwen2vl_uses[QWEN2VL_OPS] = {
    [QWEN2VL_EMBED] = {"embedding",
                       "dtype={dtype}",
                       {{"embedding", "t={m} v={V} d={d}"}, {"embedding", "t=1 v={V} d={d}"}}},
    [QWEN2VL_NORM] = {"text/norm",
                      "kind=rms dtype={dtype} add=0",
                      {{"norm", "m={m} d={d}"}, {"norm", "m=1 d={d}"}}},
    [QWEN2VL_QKV] = {"text/qkv",
                     PRODUCT("{dtype}", "none"),
                     {{"gemm", "m={m} n={qkv} k={d}"}, {"gemv", "n={qkv} k={d}"}}},
    [QWEN2VL_ROTARY] = {"text/rotary",
                        "head_dim={c} dtype={dtype} cache=1",
                        {{"rotary", "m={m} hq={H} hkv={G} slots=4096 p=4096 s0={s0} s1={s1}"},
                         {"rotary", "m=1 hq={H} hkv={G} slots=4096 p=4096 s0={s0} s1={s1}"}}},
    [QWEN2VL_ATTENTION] = {"text/attention",
                           "head_dim={c} dtype={dtype} causal=1 varlen=1",
                           {{"sdpa",
                             /* a short prompt, a long one's first chunk, a later one */
                             "b=1 lq={short} lk={short} hq={H} hkv={G}; "
                             "b=1 lq={chunk} lk={chunk} hq={H} hkv={G}; "
                             "b=1 lq={chunk} lk={session} hq={H} hkv={G}"},
                            {NULL, NULL}}},
    [QWEN2VL_ATTENTION_STEP] = {"text/attention",
                                "group={group} head_dim={c} dtype={dtype}",
                                {{NULL, NULL},
                                 {"sdpa_decode",
                                  /* lk is what a session has room for, 4096 if nobody asks */
                                  "b=1 lk={small} hkv={G} slots={small}; "
                                  "b=1 lk={session} hkv={G} slots={session}; "
                                  "b=1 lk={large} hkv={G} slots={large}; "
                                  "b=8 lk={session} hkv={G} slots={8session}"}},
                                .keys = "lk"},
    [QWEN2VL_O] = {"text/projection",
                   PRODUCT("fp32", "none"),
                   {{"gemm", "m={m} n={d} k={q}"}, {"gemv", "n={d} k={q}"}}},
    [QWEN2VL_GATE_UP] = {"text/mlp",
                         PRODUCT("{dtype}", "swiglu"),
                         {{"gemm", "m={m} n={2F} k={d}"}, {"gemv", "n={2F} k={d}"}}},
    [QWEN2VL_DOWN] = {"text/mlp",
                      PRODUCT("fp32", "none"),
                      {{"gemm", "m={m} n={d} k={F}"}, {"gemv", "n={d} k={F}"}}},
    [QWEN2VL_HEAD_NORM] = {"head/norm",
                           "kind=rms dtype={dtype} add=0",
                           {{"norm", "m={m} d={d}"}, {"norm", "m=1 d={d}"}}},
    /* Logits of many rows are made in blocks (session.c), so the long chunk does not occur. */
    [QWEN2VL_HEAD] = {"head/logits",
                      PRODUCT("fp32", "none"),
                      {{"gemm", "m=8 n={V} k={d}; m=64 n={V} k={d}"}, {"gemv", "n={V} k={d}"}}},
    [QWEN2VL_ARGMAX] = {"sampling/argmax",
                        "",
                        {{NULL, NULL}, {"argmax", "m={m} v={V}", RT_ROWS_STEPS}}},
    [QWEN2VL_PATCH] = {"vision/patch",
                       PRODUCT("fp32", "none"),
                       {{"gemm", "m={m} n={D} k={X}", VISION_ROWS}}},
    [QWEN2VL_V_NORM] = {"vision/norm",
                        "kind=layer dtype={dtype} add=0",
                        {{"norm", "m={m} d={D}", VISION_ROWS}}},
    [QWEN2VL_V_QKV] = {"vision/qkv",
                       PRODUCT("{dtype}", "none"),
                       {{"gemm", "m={m} n={3D} k={D}", VISION_ROWS}}},
    [QWEN2VL_V_ROTARY] = {"vision/rotary",
                          "head_dim={a} dtype={dtype} cache=0",
                          {{"rotary", "m={m} hq={A} hkv={A} slots=0 p=256 s0=0 s1={a/4}",
                            VISION_ROWS}}},
    [QWEN2VL_V_ATTENTION] = {"vision/attention",
                             "head_dim={a} dtype={dtype} causal=0 varlen=1",
                             {{"sdpa", "b=1 lq={m} lk={m} hq={A} hkv={A}", ATTENTION_ROWS}}},
    [QWEN2VL_V_PROJ] = {"vision/projection",
                        PRODUCT("fp32", "none"),
                        {{"gemm", "m={m} n={D} k={D}", VISION_ROWS}}},
    [QWEN2VL_V_FC1] = {"vision/mlp",
                       PRODUCT("{dtype}", "quick_gelu"),
                       {{"gemm", "m={m} n={M} k={D}", VISION_ROWS}}},
    [QWEN2VL_V_FC2] = {"vision/mlp",
                       PRODUCT("fp32", "none"),
                       {{"gemm", "m={m} n={D} k={M}", VISION_ROWS}}},
    [QWEN2VL_MERGE_NORM] = {"vision/merger",
                            "kind=layer dtype={dtype} add=0",
                            {{"norm", "m={m} d={D}", VISION_ROWS}}},
    [QWEN2VL_MERGE_1] = {"vision/merger",
                         PRODUCT("{dtype}", "gelu"),
                         {{"gemm", "m={m} n={Y} k={Y}", MERGED_ROWS}}},
    [QWEN2VL_MERGE_2] = {"vision/merger",
                         PRODUCT("fp32", "none"),
                         {{"gemm", "m={m} n={d} k={Y}", MERGED_ROWS}}},
};

/* Limits keep every product of sizes inside 63 bits. */
enum {
    MAX_WIDTH = 1 << 20,
    MAX_VOCAB = 1 << 24,
    MAX_LAYERS = 1 << 12,
    MAX_POSITIONS = 1 << 24,
    MAX_SIDE = 64
};

/* The object `key` of the config, or the config itself where there is none. */
static rt_config inner(const rt_config *c, const char *key) {
    json_t *object = json_object_get(c->root, key);
    return (rt_config){.root = json_is_object(object) ? object : c->root, .path = c->path};
}

/* sections of M-RoPE, from rope_scaling or rope_parameters. */
static ts_status read_rope(qwen2vl *m, const rt_config *text, ts_err *err) {
    json_t *rope = json_object_get(text->root, "rope_parameters");
    if (!json_is_object(rope)) rope = json_object_get(text->root, "rope_scaling");
    rt_config where = {.root = json_is_object(rope) ? rope : text->root, .path = text->path};
    TS_TRY(rt_config_real(text, "rope_theta", 1e6, 1, 1e12, &m->theta, err));
    TS_TRY(rt_config_real(&where, "rope_theta", m->theta, 1, 1e12, &m->theta, err));
    json_t *sections = json_object_get(where.root, "mrope_section");
    int64_t sum = 0;
    bool good = json_array_size(sections) == 3;
    for (size_t i = 0; good && i < 3; i++) {
        json_int_t n = json_integer_value(json_array_get(sections, i));
        good = n >= 0 && n <= m->c;
        m->sections[i] = good ? (int32_t)n : 0;
        sum += m->sections[i];
    }
    if (!good || 2 * sum != m->c) {
        return rt_config_bad(text, "rope_scaling.mrope_section",
                             "three counts that sum to half of a head's width", err);
    }
    return TS_STATUS_OK;
}

static ts_status read_text(qwen2vl *m, const rt_config *c, const rt_config *top, ts_err *err) {
    double eps;
    bool sliding;
    TS_TRY(rt_config_int(c, "vocab_size", 0, 1, MAX_VOCAB, &m->V, err));
    TS_TRY(rt_config_int(c, "hidden_size", 0, 1, MAX_WIDTH, &m->d, err));
    TS_TRY(rt_config_int(c, "intermediate_size", 0, 1, MAX_WIDTH, &m->F, err));
    TS_TRY(rt_config_int(c, "num_hidden_layers", 0, 1, MAX_LAYERS, &m->L, err));
    TS_TRY(rt_config_int(c, "num_attention_heads", 0, 1, MAX_WIDTH, &m->H, err));
    TS_TRY(rt_config_int(c, "num_key_value_heads", m->H, 1, m->H, &m->G, err));
    if (m->H % m->G != 0)
        return rt_config_bad(c, "num_key_value_heads", "a divisor of num_attention_heads", err);
    if (m->d % m->H != 0)
        return rt_config_bad(c, "num_attention_heads", "a divisor of hidden_size", err);
    TS_TRY(rt_config_real(c, "rms_norm_eps", 1e-5, 0, 1, &eps, err));
    TS_TRY(
        rt_config_int(c, "max_position_embeddings", 32768, 1, MAX_POSITIONS, &m->positions, err));
    TS_TRY(rt_config_bool(c, "use_sliding_window", false, &sliding, err));
    if (sliding) return rt_config_bad(c, "use_sliding_window", "false", err);
    const char *act = json_string_value(json_object_get(c->root, "hidden_act"));
    if (act && strcmp(act, "silu") != 0) return rt_config_bad(c, "hidden_act", "\"silu\"", err);
    /* The nested form may say it on either level. */
    TS_TRY(rt_config_bool(c, "tie_word_embeddings", false, &m->tied, err));
    TS_TRY(rt_config_bool(top, "tie_word_embeddings", m->tied, &m->tied, err));
    m->eps = (float)eps;
    m->c = m->d / m->H;
    m->q = m->H * m->c;
    m->kv = m->G * m->c;
    m->qkv = m->q + 2 * m->kv;
    return read_rope(m, c, err);
}

static ts_status read_vision(qwen2vl *m, const rt_config *c, int32_t *patch, int32_t *frames,
                             ts_err *err) {
    int32_t ratio, channels, out;
    TS_TRY(rt_config_int(c, "embed_dim", 1280, 1, MAX_WIDTH, &m->D, err));
    TS_TRY(rt_config_int(c, "depth", 32, 1, MAX_LAYERS, &m->B, err));
    TS_TRY(rt_config_int(c, "num_heads", 16, 1, MAX_WIDTH, &m->A, err));
    TS_TRY(rt_config_int(c, "mlp_ratio", 4, 1, MAX_SIDE, &ratio, err));
    TS_TRY(rt_config_int(c, "in_chans", 3, 3, 3, &channels, err));
    TS_TRY(rt_config_int(c, "in_channels", channels, 3, 3, &channels, err));
    TS_TRY(rt_config_int(c, "patch_size", 14, 1, MAX_SIDE, patch, err));
    TS_TRY(rt_config_int(c, "temporal_patch_size", 2, 1, MAX_SIDE, frames, err));
    TS_TRY(rt_config_int(c, "spatial_merge_size", 2, 1, MAX_SIDE, &m->S, err));
    TS_TRY(rt_config_int(c, "hidden_size", m->d, 1, MAX_WIDTH, &out, err));
    if (out != m->d)
        return rt_config_bad(c, "vision_config.hidden_size", "the hidden_size of the text", err);
    const char *act = json_string_value(json_object_get(c->root, "hidden_act"));
    if (act && strcmp(act, "quick_gelu") != 0)
        return rt_config_bad(c, "vision_config.hidden_act", "\"quick_gelu\"", err);
    if (m->D % (4 * m->A) != 0 || m->D % 8 != 0)
        return rt_config_bad(c, "vision_config.num_heads",
                             "a divisor of embed_dim / 4, which 2 divides", err);
    m->a = m->D / m->A;
    m->M = m->D * ratio;
    m->X = channels * *frames * *patch * *patch;
    m->Y = m->S * m->S * m->D;
    return TS_STATUS_OK;
}

static ts_status read_names(qwen2vl *m, const rt_config *c, ts_err *err) {
    rt_media_ids *n = &m->names;
    const int32_t most = MAX_VOCAB;
    TS_TRY(rt_config_int(c, "vision_start_token_id", 151652, 0, most, &n->vision_start, err));
    TS_TRY(rt_config_int(c, "vision_end_token_id", 151653, 0, most, &n->vision_end, err));
    TS_TRY(rt_config_int(c, "image_token_id", 151655, 0, most, &n->image, err));
    n->merge = m->S;
    return rt_config_int(c, "video_token_id", 151656, 0, most, &n->video, err);
}

/* As many tokens, and no more than the model has positions. */
static int64_t at_most(const qwen2vl *m, int32_t tokens) {
    return tokens < m->positions ? tokens : m->positions;
}

static void name_dims(qwen2vl *m, int32_t patch, int32_t frames) {
    const rt_dim dims[QWEN2VL_DIMS] = {
        {"V", m->V},
        {"d", m->d},
        {"H", m->H},
        {"G", m->G},
        {"group", m->H / m->G},
        {"c", m->c},
        {"q", m->q},
        {"kv", m->kv},
        {"q+kv", m->q + m->kv},
        {"qkv", m->qkv},
        {"F", m->F},
        {"2F", 2 * (int64_t)m->F},
        {"L", m->L},
        {"s0", m->sections[0]},
        {"s1", m->sections[0] + m->sections[1]},
        {"untied", !m->tied},
        {"D", m->D},
        {"3D", 3 * (int64_t)m->D},
        {"A", m->A},
        {"a", m->a},
        {"a/4", m->a / 4},
        {"M", m->M},
        {"B", m->B},
        {"X", m->X},
        {"patch", patch},
        {"frames", frames},
        {"Y", m->Y},
        {"short", at_most(m, RT_ROWS_SHORT)},
        {"chunk", at_most(m, RT_ROWS_CHUNK)},
        {"small", at_most(m, 1024)},
        {"session", at_most(m, 4096)},
        {"large", at_most(m, 32768)},
        {"8session", 8 * at_most(m, 4096)},
        {NULL, 0},
    };
    memcpy(m->dims, dims, sizeof dims);
}

ts_status qwen2vl_configure(void *self, const rt_config *config, rt_arch_shape *shape,
                            ts_err *err) {
    qwen2vl *m = self;
    rt_config text = inner(config, "text_config");
    json_t *vision_root = json_object_get(config->root, "vision_config");
    rt_config vision = {.root = vision_root, .path = config->path};
    if (!json_is_object(vision_root))
        return rt_config_bad(config, "vision_config", "an object", err);
    TS_TRY(read_text(m, &text, config, err));
    int32_t patch, frames;
    TS_TRY(read_vision(m, &vision, &patch, &frames, err));
    TS_TRY(read_names(m, config, err));
    name_dims(m, patch, frames);
    m->layers = calloc((size_t)m->L, sizeof *m->layers);
    m->blocks = calloc((size_t)m->B, sizeof *m->blocks);
    if (!m->layers || !m->blocks)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: %d layers", config->path, m->L);
    *shape = (rt_arch_shape){
        .vocab = m->V, .hidden = m->d, .layers = m->L, .positions = m->positions};
    return TS_STATUS_OK;
}

void qwen2vl_release(void *self) {
    qwen2vl *m = self;
    free(m->layers);
    free(m->blocks);
}
