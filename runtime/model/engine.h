/* Engine and model as their own parts see them. */
#ifndef RUNTIME_MODEL_ENGINE_H
#define RUNTIME_MODEL_ENGINE_H

#include <pthread.h>

#include "arch.h"

struct ts_engine {
    ts_device *device;
    ts_kernels *kernels;
    void (*log)(void *context, const char *message);
    void *log_context;
    pthread_mutex_t lock; /* guards `reported` */
    size_t reported;      /* warnings of the database already passed on */
    rt_profile *profile;  /* borrowed; of sessions that are created while it is set */
};

/* Sessions created from here on are watched by `profile` (borrowed, one session at a time); NULL:
 * none. Set and create on one thread. */
void rt_engine_watch(ts_engine *engine, rt_profile *profile);
/* One line to the engine's log. */
void rt_engine_log(ts_engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Passes on what the database noticed since the last call. */
void rt_engine_report(ts_engine *engine);
/* Copies an option struct that an older or newer program filled: `known` bytes are ours, *size
 * theirs. `from` NULL leaves the defaults in `to`. */
void rt_options_copy(void *to, const void *from, size_t known);

struct ts_model {
    ts_engine *engine;
    const rt_arch *arch;
    void *self;
    rt_arch_shape shape;
    ts_dtype dtype;
    void *memory; /* all weights */
    size_t memory_bytes;
    size_t step_bytes; /* of ts_model_info */
    int32_t ends[RT_MAX_ENDS];
    size_t end_count;
    ts_sampler_options sampling;
};

/* Everything of a model but its weights: config read, kernels found, room counted. Close with
 * ts_model_close. */
ts_status rt_model_prepare(ts_engine *engine, const char *dir, ts_dtype dtype, ts_model **out,
                           ts_err *err);

/* What the model calls media in a prompt; NULL: it takes text only. Borrowed. */
const rt_media_ids *rt_model_media_ids(const ts_model *model);
/* Bytes that a session carries from token to token. */
size_t rt_session_kept_bytes(const ts_model *model);
/* Runs the vision tower over media and drops what it sees: for timing. UNSUPPORTED: a model of
 * text. */
ts_status rt_session_see(ts_session *session, const ts_medium *media, size_t count, ts_err *err);
/* Residual rows [rows, hidden] that the last pass left, to the host: what comes out of the layers
 * before the final norm. */
ts_status rt_session_residual(ts_session *session, int32_t rows, float *out, ts_err *err);
/* Bytes that a session of the model takes. */
ts_status rt_session_measure(const ts_model *model, const ts_session_options *options, ts_plan *out,
                             ts_err *err);

#endif
