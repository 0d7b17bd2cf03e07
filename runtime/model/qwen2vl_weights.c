/* Qwen2-VL's tensors. What is multiplied by the same rows is one matrix: q, k and v, and gate and up
 * with their rows in turn, as the product with act=swiglu wants them. Where weights are made up, all
 * layers add to one residual, so the fan of what they add has their number in it.
 */
#include <stddef.h>
#include <stdio.h>

#include "qwen2vl.h"

#define LAYER(member) offsetof(qwen2vl_layer, member)
#define BLOCK(member) offsetof(qwen2vl_block, member)
#define EYES(member) offsetof(qwen2vl_eyes, member)
#define MATRIX(name, shape, member, ...) \
    { name, NULL, shape, RT_MATRIX, NULL, member, RT_INIT_UNIFORM, __VA_ARGS__ }
#define FLOATS(name, shape, member, init, ...) \
    { name, NULL, shape, RT_FLOATS, NULL, member, init, __VA_ARGS__ }

static const rt_weight layer_table[] = {
    FLOATS("input_layernorm.weight", "d", LAYER(norm1), RT_INIT_ONES, .fan = NULL),
    FLOATS("post_attention_layernorm.weight", "d", LAYER(norm2), RT_INIT_ONES, .fan = NULL),
    MATRIX("self_attn.q_proj.weight", "q d", LAYER(qkv), .fan = NULL, .whole = "qkv"),
    MATRIX("self_attn.k_proj.weight", "kv d", LAYER(qkv), .fan = NULL, .whole = "qkv", .at = "q"),
    MATRIX("self_attn.v_proj.weight", "kv d", LAYER(qkv), .fan = NULL, .whole = "qkv",
           .at = "q+kv"),
    FLOATS("self_attn.q_proj.bias", "q", LAYER(qkv_bias), RT_INIT_UNIFORM, .fan = "d",
           .whole = "qkv"),
    FLOATS("self_attn.k_proj.bias", "kv", LAYER(qkv_bias), RT_INIT_UNIFORM, .fan = "d",
           .whole = "qkv", .at = "q"),
    FLOATS("self_attn.v_proj.bias", "kv", LAYER(qkv_bias), RT_INIT_UNIFORM, .fan = "d",
           .whole = "qkv", .at = "q+kv"),
    MATRIX("self_attn.o_proj.weight", "d q", LAYER(o), .fan = "q L"),
    MATRIX("mlp.gate_proj.weight", "F d", LAYER(gate_up), .fan = NULL, .whole = "2F",
           .mate = "mlp.up_proj.weight"),
    MATRIX("mlp.down_proj.weight", "d F", LAYER(down), .fan = "F L"),
};

static const rt_weight top_table[] = {
    MATRIX("embed_tokens.weight", "V d", offsetof(qwen2vl_top, embedding), .fan = NULL),
    FLOATS("norm.weight", "d", offsetof(qwen2vl_top, norm), RT_INIT_ONES, .fan = NULL),
};

static const rt_weight head_table[] = {
    {"lm_head.weight", NULL, "V d", RT_MATRIX, "untied", offsetof(qwen2vl_head, head),
     RT_INIT_UNIFORM, .fan = NULL},
};

static const rt_weight block_table[] = {
    FLOATS("norm1.weight", "D", BLOCK(norm1), RT_INIT_ONES, .fan = NULL),
    FLOATS("norm1.bias", "D", BLOCK(norm1_bias), RT_INIT_UNIFORM, .fan = "D"),
    FLOATS("norm2.weight", "D", BLOCK(norm2), RT_INIT_ONES, .fan = NULL),
    FLOATS("norm2.bias", "D", BLOCK(norm2_bias), RT_INIT_UNIFORM, .fan = "D"),
    MATRIX("attn.qkv.weight", "3D D", BLOCK(qkv), .fan = NULL),
    FLOATS("attn.qkv.bias", "3D", BLOCK(qkv_bias), RT_INIT_UNIFORM, .fan = "D"),
    MATRIX("attn.proj.weight", "D D", BLOCK(proj), .fan = "D B"),
    FLOATS("attn.proj.bias", "D", BLOCK(proj_bias), RT_INIT_UNIFORM, .fan = "D B"),
    MATRIX("mlp.fc1.weight", "M D", BLOCK(fc1), .fan = NULL),
    FLOATS("mlp.fc1.bias", "M", BLOCK(fc1_bias), RT_INIT_UNIFORM, .fan = "D"),
    MATRIX("mlp.fc2.weight", "D M", BLOCK(fc2), .fan = "M B"),
    FLOATS("mlp.fc2.bias", "D", BLOCK(fc2_bias), RT_INIT_UNIFORM, .fan = "M B"),
};

static const rt_weight eyes_table[] = {
    MATRIX("patch_embed.proj.weight", "D 3 frames patch patch", EYES(patch), .fan = "X"),
    FLOATS("merger.ln_q.weight", "D", EYES(norm), RT_INIT_ONES, .fan = NULL),
    FLOATS("merger.ln_q.bias", "D", EYES(norm_bias), RT_INIT_UNIFORM, .fan = "D"),
    MATRIX("merger.mlp.0.weight", "Y Y", EYES(merge1), .fan = NULL),
    FLOATS("merger.mlp.0.bias", "Y", EYES(merge1_bias), RT_INIT_UNIFORM, .fan = "Y"),
    MATRIX("merger.mlp.2.weight", "d Y", EYES(merge2), .fan = NULL),
    FLOATS("merger.mlp.2.bias", "d", EYES(merge2_bias), RT_INIT_UNIFORM, .fan = "Y"),
};

#define COUNT(table) (sizeof table / sizeof *table)

static void place_vision(qwen2vl *m, rt_layout *layout) {
    rt_weights_place(eyes_table, COUNT(eyes_table), m->dims, m->dtype, &m->eyes, layout);
    for (int32_t i = 0; i < m->B; i++)
        rt_weights_place(block_table, COUNT(block_table), m->dims, m->dtype, &m->blocks[i], layout);
}

void qwen2vl_place_weights(void *self, rt_layout *layout) {
    qwen2vl *m = self;
    rt_weights_place(top_table, COUNT(top_table), m->dims, m->dtype, &m->top, layout);
    rt_weights_place(head_table, COUNT(head_table), m->dims, m->dtype, &m->head, layout);
    for (int32_t i = 0; i < m->L; i++)
        rt_weights_place(layer_table, COUNT(layer_table), m->dims, m->dtype, &m->layers[i], layout);
    place_vision(m, layout);
}

/* The vision tower, and all but a row of an embedding that is not the head as well. */
size_t qwen2vl_idle_bytes(const void *self) {
    qwen2vl m = *(const qwen2vl *)self;
    rt_layout vision = {0};
    size_t row = (size_t)rt_pitch(m.d, rt_dtype_bytes(m.dtype)) * rt_dtype_bytes(m.dtype);
    m.blocks = &(qwen2vl_block){0};
    rt_weights_place(eyes_table, COUNT(eyes_table), m.dims, m.dtype, &m.eyes, &vision);
    size_t eyes = vision.bytes;
    rt_weights_place(block_table, COUNT(block_table), m.dims, m.dtype, m.blocks, &vision);
    return eyes + (vision.bytes - eyes) * (size_t)m.B + (m.tied ? 0 : (size_t)m.V * row);
}

/* Which of the names in use a checkpoint has: the published ones, or those of later releases. */
static const char *choose_prefix(const rt_upload *upload, const char *const *prefixes,
                                 const char *probe) {
    for (size_t i = 0; upload->tensors && prefixes[i]; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", prefixes[i], probe);
        if (rt_tensors_find(upload->tensors, name)) return prefixes[i];
    }
    return prefixes[0];
}

static const char *const text_prefixes[] = {"model.", "model.language_model.", "language_model.",
                                            NULL};
static const char *const vision_prefixes[] = {"visual.", "model.visual.", NULL};

ts_status qwen2vl_load_weights(const void *self, rt_upload *upload, ts_err *err) {
    const qwen2vl *m = self;
    const char *text = choose_prefix(upload, text_prefixes, "embed_tokens.weight"),
               *vision = choose_prefix(upload, vision_prefixes, "patch_embed.proj.weight");
    char prefix[96];
    upload->dims = m->dims;
    if (m->tied && upload->tensors) {
        snprintf(prefix, sizeof prefix, "%sembed_tokens.weight", text);
        TS_TRY(rt_weights_check_tied(upload, "lm_head.weight", prefix, NULL, err));
    }
    TS_TRY(rt_weights_load(top_table, COUNT(top_table), text, &m->top, upload, err));
    TS_TRY(rt_weights_load(head_table, COUNT(head_table), "", &m->head, upload, err));
    for (int32_t i = 0; i < m->L; i++) {
        snprintf(prefix, sizeof prefix, "%slayers.%d.", text, i);
        TS_TRY(
            rt_weights_load(layer_table, COUNT(layer_table), prefix, &m->layers[i], upload, err));
    }
    TS_TRY(rt_weights_load(eyes_table, COUNT(eyes_table), vision, &m->eyes, upload, err));
    for (int32_t i = 0; i < m->B; i++) {
        snprintf(prefix, sizeof prefix, "%sblocks.%d.", vision, i);
        TS_TRY(
            rt_weights_load(block_table, COUNT(block_table), prefix, &m->blocks[i], upload, err));
    }
    return TS_STATUS_OK;
}
