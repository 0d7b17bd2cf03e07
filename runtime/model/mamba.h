/* Mamba (MambaForCausalLM), shared by its config, weights and forward pass.
 *
 * Shape letters, in dims tables and comments: V vocabulary, d hidden, E inner channels, N states a
 * channel, R rank of the time step, K taps of the convolution, P = R + 2N columns of x_proj, L
 * layers, m rows of a pass.
 */
#ifndef RUNTIME_MODEL_MAMBA_H
#define RUNTIME_MODEL_MAMBA_H

#include "arch.h"

typedef enum mamba_op {
    MAMBA_EMBED,
    MAMBA_NORM,
    MAMBA_IN_PROJ,
    MAMBA_CONV,
    MAMBA_X_PROJ,
    MAMBA_DT_PROJ,
    MAMBA_SCAN, /* several rows of a sequence */
    MAMBA_STEP, /* one */
    MAMBA_OUT_PROJ,
    MAMBA_HEAD_NORM,
    MAMBA_HEAD,
    MAMBA_ARGMAX,
    MAMBA_OPS
} mamba_op;

/* Pointers to device memory. Matrices are [out, in] in the model's dtype with padded rows. */
typedef struct mamba_layer {
    const float *norm;        /* [d] */
    const void *in_proj;      /* [2E, d] */
    const float *in_bias;     /* [2E] or NULL */
    const float *conv_weight; /* [E, K] */
    const float *conv_bias;   /* [E] or NULL */
    const void *x_proj;       /* [P, E] */
    const void *dt_proj;      /* [E, R] */
    const float *dt_bias;     /* [E] */
    const float *A;           /* [E, N], -exp(A_log) */
    const float *D;           /* [E] */
    const void *out_proj;     /* [d, E] */
    const float *out_bias;    /* [d] or NULL */
} mamba_layer;

typedef struct mamba_top {
    const void *embedding; /* [V, d] */
    const float *norm;     /* [d] */
    const void *head;      /* [V, d]; NULL: the embedding */
} mamba_top;

enum { MAMBA_DIMS = 16 };

typedef struct mamba {
    int32_t V, d, E, N, R, K, P, L;
    float eps;
    bool tied;
    rt_dim dims[MAMBA_DIMS];
    ts_dtype dtype;
    rt_used groups[MAMBA_OPS][RT_PHASES];
    mamba_top top;
    mamba_layer *layers; /* [L], owned */
} mamba;

/* A session's buffers on the device; activations are of the model's dtype, rows padded. States are
 * those of all sequences of the session, one after another in each layer. */
typedef struct mamba_state {
    char *conv; /* L times conv_stride: the last K-1 inputs of the convolution, [sequences, K-1, E],
                   oldest first */
    char *h;    /* L times h_stride: [sequences, E, N] fp32 */
    size_t conv_stride, h_stride; /* bytes, of a layer */
    size_t conv_bytes, h_bytes;   /* of a sequence */
    void *conv_next; /* [sequences, K-1, E]: after a chunk, until copied over the ones before */
    void *u;         /* [rows, d]: normalised rows */
    void *xz;        /* [rows, 2E]: x, then the gate z */
    void *s;         /* [rows, E]: x after convolution and SiLU */
    void *y;         /* [rows, P]: delta, B, C */
    void *dt;        /* [rows, E]: time step before bias and softplus */
    void *o;         /* [rows, E]: gated output of the scan */
    int64_t d_pitch, xz_pitch, E_pitch, y_pitch; /* elements */
} mamba_state;

/* mamba_config.c */
ts_status mamba_configure(void *self, const rt_config *config, rt_arch_shape *shape, ts_err *err);
void mamba_release(void *self);
extern const rt_use mamba_uses[MAMBA_OPS];

/* mamba_weights.c */
size_t mamba_idle_bytes(const void *self);
void mamba_place_weights(void *self, rt_layout *layout);
ts_status mamba_load_weights(const void *self, rt_upload *upload, ts_err *err);

#endif
