/* config.json of Mamba, and the table of kernels that follows from it. Fields that only matter for
 * training are not read. Defaults are those of the published class, except that the three sizes
 * which it would invent (hidden_size, num_hidden_layers, vocab_size) must be there.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mamba.h"

const rt_use mamba_uses[MAMBA_OPS] = {
    [MAMBA_EMBED] = {"embedding",
                     "dtype={dtype}",
                     {{"embedding", "t={m} v={V} d={d}"}, {"embedding", "t=1 v={V} d={d}"}}},
    [MAMBA_NORM] = {"text/norm",
                    "kind=rms dtype={dtype} add=0",
                    {{"norm", "m={m} d={d}"}, {"norm", "m=1 d={d}"}}},
    [MAMBA_IN_PROJ] = {"text/in_proj",
                       "dtype={dtype} out={dtype} act=none",
                       {{"gemm", "m={m} n={2E} k={d}"}, {"gemv", "n={2E} k={d}"}}},
    [MAMBA_CONV] = {"text/conv",
                    "width={K} dtype={dtype} act=silu",
                    {{"causal_conv1d", "b=1 l={m} d={E}", RT_ROWS_PROMPT},
                     {"causal_conv1d", "b={m} l=1 d={E}", RT_ROWS_STEPS}}},
    [MAMBA_X_PROJ] = {"text/x_proj",
                      "dtype={dtype} out={dtype} act=none",
                      {{"gemm", "m={m} n={P} k={E}"}, {"gemv", "n={P} k={E}"}}},
    [MAMBA_DT_PROJ] = {"text/dt_proj",
                       "dtype={dtype} out={dtype} act=none",
                       {{"gemm", "m={m} n={E} k={R}"}, {"gemv", "n={E} k={R}"}}},
    [MAMBA_SCAN] = {"text/scan",
                    "n={N} g=1 dtype={dtype} gate=1 softplus=1 varlen=0 layout=channel_last",
                    {{"selective_scan", "b=1 l={m} d={E}", RT_ROWS_PROMPT}, {NULL, NULL}}},
    /* x_proj reads the convolution's result, so the step cannot have it inside (conv=0). */
    [MAMBA_STEP] = {"text/scan",
                    "n={N} g=1 dtype={dtype} gate=1 softplus=1 conv=0",
                    {{NULL, NULL}, {"selective_scan_step", "b={m} d={E}", RT_ROWS_STEPS}}},
    [MAMBA_OUT_PROJ] = {"text/out_proj",
                        "dtype={dtype} out=fp32 act=none",
                        {{"gemm", "m={m} n={d} k={E}"}, {"gemv", "n={d} k={E}"}}},
    [MAMBA_HEAD_NORM] = {"head/norm",
                         "kind=rms dtype={dtype} add=0",
                         {{"norm", "m={m} d={d}"}, {"norm", "m=1 d={d}"}}},
    /* Logits of many rows are made in blocks (session.c), so the long chunk does not occur. */
    [MAMBA_HEAD] = {"head/logits",
                    "dtype={dtype} out=fp32 act=none",
                    {{"gemm", "m=8 n={V} k={d}; m=64 n={V} k={d}"}, {"gemv", "n={V} k={d}"}}},
    [MAMBA_ARGMAX] = {"sampling/argmax",
                      "",
                      {{NULL, NULL}, {"argmax", "m={m} v={V}", RT_ROWS_STEPS}}},
};

/* Limits keep every product of sizes inside 63 bits. */
enum {
    MAX_WIDTH = 1 << 20,
    MAX_VOCAB = 1 << 24,
    MAX_LAYERS = 1 << 12,
    MAX_STATE = 256,
    MAX_TAPS = 64
};

static ts_status read_sizes(mamba *m, const rt_config *c, ts_err *err) {
    double expand;
    TS_TRY(rt_config_int(c, "vocab_size", 0, 1, MAX_VOCAB, &m->V, err));
    TS_TRY(rt_config_int(c, "hidden_size", 0, 1, MAX_WIDTH, &m->d, err));
    TS_TRY(rt_config_int(c, "num_hidden_layers", 0, 1, MAX_LAYERS, &m->L, err));
    TS_TRY(rt_config_int(c, "state_size", 16, 1, MAX_STATE, &m->N, err));
    TS_TRY(rt_config_int(c, "conv_kernel", 4, 1, MAX_TAPS, &m->K, err));
    TS_TRY(rt_config_real(c, "expand", 2, 1e-3, 64, &expand, err));
    double inner = floor(expand * m->d);
    int32_t derived = inner >= 1 && inner <= MAX_WIDTH ? (int32_t)inner : 0;
    TS_TRY(rt_config_int(c, "intermediate_size", derived, 1, MAX_WIDTH, &m->E, err));
    const char *rank = json_string_value(json_object_get(c->root, "time_step_rank"));
    int32_t automatic = (m->d + 15) / 16;
    if (rank && strcmp(rank, "auto") == 0) {
        m->R = automatic;
    } else if (rank) {
        return rt_config_bad(c, "time_step_rank", "\"auto\" or an integer", err);
    } else {
        TS_TRY(rt_config_int(c, "time_step_rank", automatic, 1, MAX_WIDTH, &m->R, err));
    }
    m->P = m->R + 2 * m->N;
    return TS_STATUS_OK;
}

ts_status mamba_configure(void *self, const rt_config *config, rt_arch_shape *shape, ts_err *err) {
    mamba *m = self;
    bool use_bias, use_conv_bias;
    double eps;
    TS_TRY(read_sizes(m, config, err));
    TS_TRY(rt_config_real(config, "layer_norm_epsilon", 1e-5, 0, 1, &eps, err));
    TS_TRY(rt_config_bool(config, "use_bias", true, &use_bias, err));
    TS_TRY(rt_config_bool(config, "use_conv_bias", true, &use_conv_bias, err));
    TS_TRY(rt_config_bool(config, "tie_word_embeddings", true, &m->tied, err));
    const char *act = json_string_value(json_object_get(config->root, "hidden_act"));
    if (act && strcmp(act, "silu") != 0)
        return rt_config_bad(config, "hidden_act", "\"silu\"", err);
    m->eps = (float)eps;
    const rt_dim dims[MAMBA_DIMS] = {
        {"V", m->V},
        {"d", m->d},
        {"E", m->E},
        {"2E", 2 * (int64_t)m->E},
        {"N", m->N},
        {"R", m->R},
        {"K", m->K},
        {"P", m->P},
        {"L", m->L},
        {"use_bias", use_bias},
        {"use_conv_bias", use_conv_bias},
        {"untied", !m->tied},
        {NULL, 0},
    };
    memcpy(m->dims, dims, sizeof dims);
    m->layers = calloc((size_t)m->L, sizeof *m->layers);
    if (!m->layers)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: %d layers", config->path, m->L);
    *shape = (rt_arch_shape){.vocab = m->V, .hidden = m->d, .layers = m->L};
    return TS_STATUS_OK;
}

void mamba_release(void *self) { free(((mamba *)self)->layers); }
