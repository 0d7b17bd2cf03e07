/* Qwen2-VL (Qwen2VLForConditionalGeneration), shared by its config, weights, text model and vision
 * tower.
 *
 * Shape letters, in dims tables and comments. Text: V vocabulary, d hidden, H query heads, G key and
 * value heads, c columns of a head, q = H c, kv = G c, qkv = q + 2 kv, F inner width of the MLP, L
 * layers, m rows of a pass. Vision: D hidden, A heads, a columns of a head, M inner width, B blocks,
 * X floats of a patch, S merged patches a side, Y = S S D, P patches.
 */
#ifndef RUNTIME_MODEL_QWEN2VL_H
#define RUNTIME_MODEL_QWEN2VL_H

#include "arch.h"

typedef enum qwen2vl_op {
    QWEN2VL_EMBED,
    QWEN2VL_NORM,
    QWEN2VL_QKV,
    QWEN2VL_ROTARY,
    QWEN2VL_ATTENTION,
    QWEN2VL_ATTENTION_STEP,
    QWEN2VL_O,
    QWEN2VL_GATE_UP,
    QWEN2VL_DOWN,
    QWEN2VL_HEAD_NORM,
    QWEN2VL_HEAD,
    QWEN2VL_ARGMAX,
    /* vision */
    QWEN2VL_PATCH,
    QWEN2VL_V_NORM,
    QWEN2VL_V_QKV,
    QWEN2VL_V_ROTARY,
    QWEN2VL_V_ATTENTION,
    QWEN2VL_V_PROJ,
    QWEN2VL_V_FC1,
    QWEN2VL_V_FC2,
    QWEN2VL_MERGE_NORM,
    QWEN2VL_MERGE_1,
    QWEN2VL_MERGE_2,
    QWEN2VL_OPS
} qwen2vl_op;

/* Pointers to device memory. Matrices are [out, in] in the model's dtype with padded rows, biases
 * and norms fp32. */
typedef struct qwen2vl_layer {
    const float *norm1, *norm2; /* [d] */
    const void *qkv;            /* [qkv, d] */
    const float *qkv_bias;      /* [qkv] */
    const void *o;              /* [d, q] */
    const void *gate_up;        /* [2F, d], rows of gate and up in turn */
    const void *down;           /* [d, F] */
} qwen2vl_layer;

typedef struct qwen2vl_block {
    const float *norm1, *norm1_bias, *norm2, *norm2_bias; /* [D] */
    const void *qkv;                                      /* [3D, D] */
    const float *qkv_bias;                                /* [3D] */
    const void *proj;                                     /* [D, D] */
    const float *proj_bias;                               /* [D] */
    const void *fc1;                                      /* [M, D] */
    const float *fc1_bias;                                /* [M] */
    const void *fc2;                                      /* [D, M] */
    const float *fc2_bias;                                /* [D] */
} qwen2vl_block;

typedef struct qwen2vl_top {
    const void *embedding; /* [V, d] */
    const float *norm;     /* [d] */
} qwen2vl_top;

typedef struct qwen2vl_head {
    const void *head; /* [V, d]; NULL: the embedding */
} qwen2vl_head;

typedef struct qwen2vl_eyes {
    const void *patch;             /* [D, X] */
    const float *norm, *norm_bias; /* [D], before merging */
    const void *merge1, *merge2;   /* [Y, Y], [d, Y] */
    const float *merge1_bias, *merge2_bias;
} qwen2vl_eyes;

enum { QWEN2VL_DIMS = 40 };

typedef struct qwen2vl {
    int32_t V, d, H, G, c, q, kv, qkv, F, L;
    int32_t D, A, a, M, B, X, S, Y;
    int32_t sections[3]; /* frequencies of time, height, width; they sum to c / 2 */
    int32_t positions;   /* max_position_embeddings */
    double theta;
    float eps;
    bool tied;
    rt_media_ids names;
    rt_dim dims[QWEN2VL_DIMS];
    ts_dtype dtype;
    rt_used groups[QWEN2VL_OPS][RT_PHASES];
    qwen2vl_top top;
    qwen2vl_head head;
    qwen2vl_eyes eyes;
    qwen2vl_layer *layers; /* [L], owned */
    qwen2vl_block *blocks; /* [B], owned */
} qwen2vl;

/* A session's buffers on the device; activations are of the model's dtype, rows padded. */
typedef struct qwen2vl_text {
    char *k, *v;     /* L times stride: [sequences * context, kv] */
    size_t stride;   /* bytes of a layer's cache */
    void *u;         /* [rows, d]: normalised rows */
    void *qkv;       /* [rows, qkv], or q, k and v one after another */
    void *o;         /* [rows, q]: what attention gives */
    void *h;         /* [rows, F] */
    float *cos_sin;  /* [context, c/2, 2] */
    int32_t *places; /* [RT_PLACES, rows] of the pass, as qwen2vl_advance lays them out */
    int32_t *counters; /* [sequences, G]: sdpa_decode's, zeros between its launches */
    size_t counters_bytes;
    int64_t d_pitch, qkv_pitch, q_pitch, kv_pitch, F_pitch; /* elements */
    int32_t rows, context, slots;
} qwen2vl_text;

/* qwen2vl.c: st->u = norm of the rows of r */
ts_status qwen2vl_normalize(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, qwen2vl_op op,
                            const float *weight, const float *r, int32_t rows, ts_err *err);

/* qwen2vl_attention.c: r + attention of layer `index`; and rt_arch.advance */
ts_status qwen2vl_attention(const qwen2vl *m, rt_run *run, const qwen2vl_text *st, int32_t index,
                            const rt_pass *pass, float *r, ts_err *err);
ts_status qwen2vl_advance(const void *self, rt_run *run, void *state, const rt_pass *pass,
                          ts_err *err);

/* qwen2vl_config.c */
ts_status qwen2vl_configure(void *self, const rt_config *config, rt_arch_shape *shape, ts_err *err);
void qwen2vl_release(void *self);
extern const rt_use qwen2vl_uses[QWEN2VL_OPS];

/* qwen2vl_weights.c */
size_t qwen2vl_idle_bytes(const void *self);
void qwen2vl_place_weights(void *self, rt_layout *layout);
ts_status qwen2vl_load_weights(const void *self, rt_upload *upload, ts_err *err);

/* qwen2vl_vision.c: rt_arch.see, rt_arch.see_bytes */
ts_status qwen2vl_see(const void *self, rt_run *run, rt_sight *sight, const rt_seen *media,
                      size_t count, const float **vectors, ts_err *err);
ts_status qwen2vl_see_bytes(const void *self, ts_device *device, const rt_seen *media, size_t count,
                            size_t *bytes, ts_err *err);

#endif
