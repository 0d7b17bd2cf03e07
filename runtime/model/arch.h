/* An architecture: what distinguishes one model_type from another, behind one table of functions. A
 * new model is a new table in arch.c's list.
 *
 * `self` is the model's own struct (zeroed, `self_bytes`): config and weight pointers, constant
 * once loaded and shared by sessions. `state` is a session's own struct (`state_bytes`): pointers
 * into its device memory. The residual stream r is fp32 [rows, hidden], row pitch rt_pitch(hidden,
 * 4), owned by the session.
 */
#ifndef RUNTIME_MODEL_ARCH_H
#define RUNTIME_MODEL_ARCH_H

#include "config.h"
#include "run.h"
#include "uses.h"
#include "weights.h"

typedef struct rt_arch_shape {
    int32_t vocab, hidden, layers;
} rt_arch_shape;

typedef struct rt_arch {
    const char *model_type; /* of config.json */
    const char *class_name; /* of its `architectures` */
    size_t self_bytes, state_bytes;

    /* Reads config.json. Errors name the field. */
    ts_status (*configure)(void *self, const rt_config *config, rt_arch_shape *shape, ts_err *err);
    void (*release)(void *self);
    ts_status (*problems)(const void *self, ts_dtype dtype, rt_problem_each each, void *context,
                          ts_err *err);
    /* Finds the kernels; `dtype` is what the model runs in from here on. */
    ts_status (*resolve)(void *self, ts_dtype dtype, ts_kernels *kernels, ts_err *err);
    void (*place_weights)(void *self, rt_layout *layout);
    /* `upload->dims` is set by the callee. */
    ts_status (*load_weights)(const void *self, rt_upload *upload, ts_err *err);
    /* Bytes of weights that a decode step leaves alone; NULL: none. */
    size_t (*idle_bytes)(const void *self);

    /* `kept` holds what carries from token to token and is zeroed at the start of a sequence;
     * `work` is scratch for passes of up to `chunk` rows. */
    void (*place_state)(const void *self, int32_t chunk, rt_layout *kept, rt_layout *work,
                        void *state);
    /* r[i] = embedding of ids[i]. */
    ts_status (*embed)(const void *self, rt_run *run, const int32_t *ids, float *r, int32_t rows,
                       ts_err *err);
    /* All layers over the next `rows` tokens of the sequence, r updated in place. */
    ts_status (*layers)(const void *self, rt_run *run, void *state, float *r, int32_t rows,
                        ts_err *err);
    /* logits [rows, vocab] of final residual rows, row pitch rt_pitch(vocab, 4). */
    ts_status (*head)(const void *self, rt_run *run, void *state, const float *r, int32_t rows,
                      float *logits, ts_err *err);
    /* *id = argmax of one row of logits. */
    ts_status (*argmax)(const void *self, rt_run *run, const float *logits, int32_t *id,
                        ts_err *err);
} rt_arch;

extern const rt_arch rt_mamba;

/* The architecture that config.json names. UNSUPPORTED lists what there is. */
ts_status rt_arch_find(const rt_config *config, const rt_arch **out, ts_err *err);

#endif
