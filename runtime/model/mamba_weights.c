/* Mamba's tensors. Small ones that feed the recurrence stay fp32 whatever the model's dtype:
 * rounding A or dt's bias is multiplied up over a whole sequence. Where weights are made up, all L
 * layers add to one residual, so the fan of what they add has L in it.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "mamba.h"

#define LAYER(member) offsetof(mamba_layer, member)
#define TOP(member) offsetof(mamba_top, member)

static const rt_weight layer_table[] = {
    {"norm.weight", NULL, "d", RT_FLOATS, NULL, LAYER(norm), RT_INIT_ONES, .fan = NULL},
    {"mixer.in_proj.weight", NULL, "2E d", RT_MATRIX, NULL, LAYER(in_proj), RT_INIT_UNIFORM, .fan = NULL},
    {"mixer.in_proj.bias", NULL, "2E", RT_FLOATS, "use_bias", LAYER(in_bias), RT_INIT_UNIFORM, .fan = "d"},
    {"mixer.conv1d.weight", NULL, "E 1 K", RT_FLOATS, NULL, LAYER(conv_weight), RT_INIT_UNIFORM,
     .fan = NULL},
    {"mixer.conv1d.bias", NULL, "E", RT_FLOATS, "use_conv_bias", LAYER(conv_bias), RT_INIT_UNIFORM,
     .fan = "K"},
    {"mixer.x_proj.weight", NULL, "P E", RT_MATRIX, NULL, LAYER(x_proj), RT_INIT_UNIFORM, .fan = NULL},
    {"mixer.dt_proj.weight", NULL, "E R", RT_MATRIX, NULL, LAYER(dt_proj), RT_INIT_UNIFORM, .fan = NULL},
    {"mixer.dt_proj.bias", NULL, "E", RT_FLOATS, NULL, LAYER(dt_bias), RT_INIT_TIME_STEP, .fan = NULL},
    {"mixer.A_log", NULL, "E N", RT_FLOATS_DECAY, NULL, LAYER(A), RT_INIT_STATES, .fan = NULL},
    {"mixer.D", NULL, "E", RT_FLOATS, NULL, LAYER(D), RT_INIT_ONES, .fan = NULL},
    {"mixer.out_proj.weight", NULL, "d E", RT_MATRIX, NULL, LAYER(out_proj), RT_INIT_UNIFORM,
     .fan = "E L"},
    {"mixer.out_proj.bias", NULL, "d", RT_FLOATS, "use_bias", LAYER(out_bias), RT_INIT_UNIFORM,
     .fan = "E L"},
};

static const rt_weight top_table[] = {
    {"backbone.embeddings.weight", "backbone.embedding.weight", "V d", RT_MATRIX, NULL,
     TOP(embedding), RT_INIT_UNIFORM, .fan = NULL},
    {"backbone.norm_f.weight", NULL, "d", RT_FLOATS, NULL, TOP(norm), RT_INIT_ONES, .fan = NULL},
    {"lm_head.weight", NULL, "V d", RT_MATRIX, "untied", TOP(head), RT_INIT_UNIFORM, .fan = NULL},
};

enum {
    LAYER_WEIGHTS = sizeof layer_table / sizeof *layer_table,
    TOP_WEIGHTS = sizeof top_table / sizeof *top_table,
};

void mamba_place_weights(void *self, rt_layout *layout) {
    mamba *m = self;
    rt_weights_place(top_table, TOP_WEIGHTS, m->dims, m->dtype, &m->top, layout);
    for (int32_t i = 0; i < m->L; i++) {
        rt_weights_place(layer_table, LAYER_WEIGHTS, m->dims, m->dtype, &m->layers[i], layout);
    }
}

ts_status mamba_load_weights(const void *self, rt_upload *upload, ts_err *err) {
    const mamba *m = self;
    upload->dims = m->dims;
    if (m->tied && upload->tensors) {
        TS_TRY(rt_weights_check_tied(upload, "lm_head.weight", top_table[0].name,
                                     top_table[0].other_name, err));
    }
    TS_TRY(rt_weights_load(top_table, TOP_WEIGHTS, "", &m->top, upload, err));
    for (int32_t i = 0; i < m->L; i++) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "backbone.layers.%d.", i);
        TS_TRY(rt_weights_load(layer_table, LAYER_WEIGHTS, prefix, &m->layers[i], upload, err));
    }
    return TS_STATUS_OK;
}

/* All but a row of an embedding that is not the head as well. */
size_t mamba_idle_bytes(const void *self) {
    const mamba *m = self;
    size_t element = rt_dtype_bytes(m->dtype);
    return m->tied ? 0 : (size_t)(m->V * rt_pitch(m->d, element)) * element;
}
