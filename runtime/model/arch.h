/* An architecture: what distinguishes one model_type from another, behind one table of functions. A
 * new model is a new table in arch.c's list.
 *
 * `self` is the model's own struct (zeroed, `self_bytes`): config and weight pointers, constant
 * once loaded and shared by sessions. `state` is a session's own struct (`state_bytes`): pointers
 * into its device memory. The residual stream r is fp32 [rows, hidden], row pitch rt_pitch(hidden,
 * 4), owned by the session. A session has places for several sequences; a pass takes rows of any of
 * them.
 */
#ifndef RUNTIME_MODEL_ARCH_H
#define RUNTIME_MODEL_ARCH_H

#include "../vision/mrope.h"
#include "config.h"
#include "run.h"
#include "sight.h"
#include "uses.h"
#include "weights.h"

typedef struct rt_arch_shape {
    int32_t vocab, hidden, layers;
    int32_t positions; /* most tokens of a sequence (max_position_embeddings); 0: any number */
} rt_arch_shape;

typedef struct rt_session_size {
    int32_t sequences; /* places */
    int32_t rows;      /* most rows of a pass, at least one a sequence */
    int32_t context;   /* most tokens of a sequence; 0 where the architecture has no bound */
} rt_session_size;

typedef struct rt_session_memory {
    rt_layout kept;  /* carries from token to token, zeroed when the session begins or is reset */
    rt_layout cache; /* carries too, but nothing is read that was not written */
    rt_layout work;  /* scratch of a pass, and constants of the session */
} rt_session_memory;

/* Rows of one sequence in a pass, one after another. */
typedef struct rt_segment {
    int32_t sequence;
    int32_t first; /* tokens that it had before */
    int32_t rows;  /* at least 1 */
} rt_segment;

/* Rows that go through the layers together: those of each segment, segments by rising sequence. */
typedef struct rt_pass {
    const rt_segment *segments;
    int32_t count, rows;
    /* [RT_PLACES, rows] on the host: positions on three axes; what lies behind is the architecture's
     * to fill for its upload. NULL where it does not ask (rt_arch.advance). */
    int32_t *places;
} rt_pass;

enum { RT_POSITION_AXES = 3, RT_PLACES = 9 };

/* A step: one row a segment. */
static inline bool rt_pass_is_step(const rt_pass *pass) { return pass->rows == pass->count; }

/* Images or a video as preprocessed: rows [t * h * w, row_floats]. Borrowed. */
typedef struct rt_seen {
    rt_grid grid;
    bool video;
    const float *rows;
} rt_seen;

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

    void (*place_state)(const void *self, const rt_session_size *size, rt_session_memory *memory,
                        void *state);
    /* Once a session, when its memory is there: uploads constants. NULL: none. */
    ts_status (*start)(const void *self, rt_run *run, void *state, ts_err *err);
    /* Empties one sequence. NULL: `kept` holds nothing. */
    ts_status (*forget)(const void *self, rt_run *run, void *state, int32_t sequence, ts_err *err);
    /* Before a pass: uploads where its rows stand. NULL where layers do not ask. */
    ts_status (*advance)(const void *self, rt_run *run, void *state, const rt_pass *pass,
                         ts_err *err);
    /* Media of a prompt; all NULL for a model of text. */
    const rt_media_ids *(*media_ids)(const void *self);
    /* Vectors [tokens, hidden] of media in their order, rows padded as the residual stream's, in the
     * memory of `sight`: good until its next use. */
    ts_status (*see)(const void *self, rt_run *run, rt_sight *sight, const rt_seen *media,
                     size_t count, const float **vectors, ts_err *err);
    /* What that takes on the device; only the grids of `media` are looked at. */
    ts_status (*see_bytes)(const void *self, ts_device *device, const rt_seen *media, size_t count,
                           size_t *bytes, ts_err *err);
    /* r[i] = embedding of ids[i]. */
    ts_status (*embed)(const void *self, rt_run *run, const int32_t *ids, float *r, int32_t rows,
                       ts_err *err);
    /* All layers over the rows of a pass, r updated in place. */
    ts_status (*layers)(const void *self, rt_run *run, void *state, const rt_pass *pass, float *r,
                        ts_err *err);
    /* logits [rows, vocab] of final residual rows, row pitch rt_pitch(vocab, 4). */
    ts_status (*head)(const void *self, rt_run *run, void *state, const float *r, int32_t rows,
                      float *logits, ts_err *err);
    /* ids[i] = argmax of row i of logits. */
    ts_status (*argmax)(const void *self, rt_run *run, const float *logits, int32_t *ids,
                        int32_t rows, ts_err *err);
} rt_arch;

extern const rt_arch rt_mamba, rt_qwen2vl;

/* The architecture that config.json names. UNSUPPORTED lists what there is. */
ts_status rt_arch_find(const rt_config *config, const rt_arch **out, ts_err *err);

#endif
