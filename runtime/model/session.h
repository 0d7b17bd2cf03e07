/* A session from inside; see session.c for what it is. Its parts: session.c (memory), passes.c
 * (what a pass does), prompts.c (consuming prompts), choose.c (steps, logits, the next id).
 */
#ifndef RUNTIME_MODEL_SESSION_H
#define RUNTIME_MODEL_SESSION_H

#include "engine.h"

/* One sequence of a session. */
typedef struct rt_sequence {
    size_t length;  /* tokens consumed */
    rt_mrope mrope; /* positions, of a model that asks for them */
    bool has_pending;
    int32_t pending; /* handed out by ts_session_next, not consumed; lies in next[] */
    uint8_t *seen;   /* [vocab]: ids under the repetition penalty */
} rt_sequence;

/* Device memory of a session, beside the architecture's. */
typedef struct rt_session_buffers {
    int32_t *ids;    /* [rows] of a pass */
    int32_t *next;   /* [sequences]: what follows, where a step reads it */
    float *residual; /* [rows, hidden] */
    float *last;   /* [sequences, hidden]: last rows, together for the head; of one sequence none */
    float *logits; /* [sequences, vocab]: of the last consumed positions */
    float *block;  /* [block, vocab]: of many positions of a prompt */
} rt_session_buffers;

struct ts_session {
    const ts_model *model;
    const ts_embeds *embeds;
    bool all_logits;
    rt_run run;
    rt_session_size size;
    int32_t chunk, block;     /* most rows of prompts in a pass; rows of device.block */
    int64_t r_pitch, v_pitch; /* elements */
    void *kept, *cache, *work;
    size_t kept_bytes, cache_bytes, work_bytes;
    rt_session_buffers device;
    void *state;            /* the architecture's */
    rt_graph *graph;        /* a step of all sequences; NULL on the CPU or with own embeddings */
    rt_sequence *sequences; /* [size.sequences] */
    rt_sight sight;         /* memory for looking at media */
    /* Host memory, taken once. */
    rt_segment *segments; /* [sequences] */
    int32_t *places;      /* [RT_PLACES, rows] */
    int32_t *ids;         /* [rows] */
    int32_t *next;        /* [sequences] */
    bool *chosen;         /* [sequences] */
    float *vectors;       /* [rows, r_pitch]: embeddings of the caller */
    float *logits;        /* [vocab] */
    uint8_t *seen;        /* [sequences, vocab] */
};

/* What a sequence has to consume: ids, or vectors [count, hidden]; of a model that asks for
 * positions, these [3, count]; and of media, their vectors on the device with rows of r_pitch, which
 * take the rows of placeholders in their order. Borrowed. */
typedef struct rt_feed {
    const int32_t *ids;
    const float *vectors;
    const int32_t *positions;
    const float *media;
    size_t count;
    float *logits; /* [count, vocab] on the host, or NULL */
    size_t done;   /* tokens that went through a pass */
} rt_feed;

/* ---- passes.c ---- */

/* Runs feeds[sequence] of all sequences, in passes of at most `chunk` rows; an empty feed leaves its
 * sequence alone. Afterwards `logits` and `next` hold what follows each of the others. */
ts_status rt_session_consume(ts_session *s, rt_feed *feeds, ts_err *err);
/* The pending token of each sequence of `which` [sequences] that has one, all in one pass. */
ts_status rt_session_consume_pending(ts_session *s, const bool *which, ts_err *err);
/* Launches a step of `count` sequences in s->segments, whose ids lie in `next`. */
ts_status rt_session_step_launches(ts_session *s, int32_t count, ts_err *err);
/* Walks through every kind of pass with a measuring run. */
ts_status rt_session_measure_passes(ts_session *s, ts_err *err);
/* Are there as many more slots as `count`? INVALID_ARGUMENT says what is missing. */
ts_status rt_session_check_room(const ts_session *s, const rt_sequence *q, size_t count,
                                ts_err *err);
ts_status rt_session_check_ids(const ts_session *s, const int32_t *ids, size_t count, ts_err *err);
ts_status rt_session_check_sequence(const ts_session *s, int32_t sequence, ts_err *err);

#endif
