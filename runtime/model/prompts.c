/* Consuming prompts. Everything that can be wrong with one is found before anything is computed, so
 * that a refused call leaves the session as it was: ids, room, media and their placeholders. What is
 * checked on the way, positions above all, is what is used.
 */
#include <stdlib.h>

#include "looks.h"
#include "session.h"

/* A call: what each sequence of the session is to consume, and its positions afterwards. */
typedef struct call {
    rt_feed *feeds;   /* [sequences] */
    bool *which;      /* [sequences]: those with a prompt */
    rt_mrope *after;  /* [sequences] */
    int32_t **places; /* [sequences]: positions [3, count], owned */
    rt_looks *looks;  /* [sequences] */
    rt_seen *seen;    /* [media]: all that is to be looked at, by rising sequence */
    size_t media;
} call;

static ts_status open_call(const ts_session *s, call *c, ts_err *err) {
    size_t n = (size_t)s->size.sequences;
    c->feeds = calloc(n, sizeof *c->feeds);
    c->which = calloc(n, sizeof *c->which);
    c->after = calloc(n, sizeof *c->after);
    c->places = calloc(n, sizeof *c->places);
    c->looks = calloc(n, sizeof *c->looks);
    return c->feeds && c->which && c->after && c->places && c->looks
               ? TS_STATUS_OK
               : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu prompts", n);
}

static void close_call(const ts_session *s, call *c) {
    for (int32_t i = 0; i < s->size.sequences; i++) {
        if (c->places) free(c->places[i]);
        if (c->looks) rt_looks_free(&c->looks[i]);
    }
    free(c->feeds);
    free(c->which);
    free(c->after);
    free(c->places);
    free(c->looks);
    free(c->seen);
}

/* ---- checks ---- */

static ts_status check_media(const ts_session *s, const ts_prompt *p, ts_err *err) {
    if (p->media_count == 0 || s->model->arch->see) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_UNSUPPORTED, "a model of type %s sees no images",
                   s->model->arch->model_type);
}

static ts_status check_prompt(const ts_session *s, const call *c, const ts_prompt *p,
                              const rt_feed *feed, ts_err *err) {
    TS_TRY(rt_session_check_sequence(s, p->sequence, err));
    const rt_sequence *q = &s->sequences[p->sequence];
    if (c->which[p->sequence])
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "two prompts for sequence %d", p->sequence);
    if (p->count == 0) return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "an empty prompt");
    if (feed->logits && !s->all_logits)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the session was not created with all_logits");
    if (p->ids) TS_TRY(rt_session_check_ids(s, p->ids, p->count, err));
    TS_TRY(rt_session_check_room(s, q, p->count + q->has_pending, err));
    return check_media(s, p, err);
}

/* Positions of the prompt, behind a pending token. */
static ts_status make_positions(const ts_session *s, call *c, const ts_prompt *p, ts_err *err) {
    const rt_arch *arch = s->model->arch;
    const rt_sequence *q = &s->sequences[p->sequence];
    rt_mrope *after = &c->after[p->sequence];
    *after = q->mrope;
    if (!arch->advance) return TS_STATUS_OK;
    int32_t *positions = malloc(RT_POSITION_AXES * p->count * sizeof *positions);
    c->places[p->sequence] = positions;
    if (!positions) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu positions", p->count);
    if (q->has_pending) rt_mrope_step(after);
    if (p->ids)
        return rt_mrope_extend(after, arch->media_ids(s->model->self), &c->looks[p->sequence].media,
                               p->ids, p->count, positions, err);
    for (size_t i = 0; i < p->count; i++) {
        int32_t at = rt_mrope_step(after);
        for (size_t axis = 0; axis < RT_POSITION_AXES; axis++) positions[axis * p->count + i] = at;
    }
    return TS_STATUS_OK;
}

static ts_status add_prompt(const ts_session *s, call *c, const ts_prompt *p, const rt_feed *feed,
                            ts_err *err) {
    TS_TRY(check_prompt(s, c, p, feed, err));
    TS_TRY(rt_looks_make(p->media, p->media_count, &c->looks[p->sequence], err));
    TS_TRY(make_positions(s, c, p, err));
    c->media += p->media_count;
    c->which[p->sequence] = true;
    c->feeds[p->sequence] = *feed;
    c->feeds[p->sequence].positions = c->places[p->sequence];
    return TS_STATUS_OK;
}

/* ---- work ---- */

static ts_status see(ts_session *s, const rt_seen *seen, size_t count, const float **out,
                     ts_err *err) {
    return s->model->arch->see(s->model->self, &s->run, &s->sight, seen, count, out, err);
}

/* All media of the call in one run of the tower; each feed gets where its vectors begin. */
static ts_status look(ts_session *s, call *c, const ts_prompt *prompts, size_t count, ts_err *err) {
    size_t at = 0;
    const float *next = NULL;
    if (c->media == 0) return TS_STATUS_OK;
    c->seen = calloc(c->media, sizeof *c->seen);
    if (!c->seen) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu media", c->media);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < prompts[i].media_count; j++)
            c->seen[at++] = c->looks[prompts[i].sequence].seen[j];
    }
    TS_TRY(see(s, c->seen, c->media, &next, err));
    at = 0;
    for (size_t i = 0; i < count; i++) {
        if (prompts[i].media_count > 0) c->feeds[prompts[i].sequence].media = next;
        for (size_t j = 0; j < prompts[i].media_count; j++) {
            int32_t tokens;
            TS_TRY(rt_grid_placeholders(c->seen[at++].grid,
                                        s->model->arch->media_ids(s->model->self)->merge, &tokens,
                                        err));
            next += tokens * s->r_pitch;
        }
    }
    return TS_STATUS_OK;
}

static ts_status perform(ts_session *s, call *c, const ts_prompt *prompts, size_t count,
                         ts_err *err) {
    TS_TRY(look(s, c, prompts, count, err));
    TS_TRY(rt_session_consume_pending(s, c->which, err));
    TS_TRY(rt_session_consume(s, c->feeds, err));
    for (size_t i = 0; i < count; i++)
        s->sequences[prompts[i].sequence].mrope = c->after[prompts[i].sequence];
    return TS_STATUS_OK;
}

ts_status ts_session_prefill_batch(ts_session *s, const ts_prompt *prompts, size_t count,
                                   ts_err *err) {
    call c = {0};
    ts_status status = open_call(s, &c, err);
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++)
        status = add_prompt(s, &c, &prompts[i],
                            &(rt_feed){.ids = prompts[i].ids, .count = prompts[i].count}, err);
    if (status == TS_STATUS_OK) status = perform(s, &c, prompts, count, err);
    close_call(s, &c);
    return status;
}

/* One prompt for sequence 0. */
static ts_status prefill(ts_session *s, const ts_prompt *prompt, const rt_feed *feed, ts_err *err) {
    call c = {0};
    ts_status status = open_call(s, &c, err);
    if (status == TS_STATUS_OK) status = add_prompt(s, &c, prompt, feed, err);
    if (status == TS_STATUS_OK) status = perform(s, &c, prompt, 1, err);
    close_call(s, &c);
    return status;
}

ts_status ts_session_prefill_media(ts_session *s, const int32_t *ids, size_t count,
                                   const ts_medium *media, size_t media_count, float *logits,
                                   ts_err *err) {
    return prefill(
        s, &(ts_prompt){.ids = ids, .count = count, .media = media, .media_count = media_count},
        &(rt_feed){.ids = ids, .count = count, .logits = logits}, err);
}

ts_status ts_session_prefill(ts_session *s, const int32_t *ids, size_t count, float *logits,
                             ts_err *err) {
    return ts_session_prefill_media(s, ids, count, NULL, 0, logits, err);
}

ts_status ts_session_prefill_vectors(ts_session *s, const float *vectors, size_t count,
                                     float *logits, ts_err *err) {
    return prefill(s, &(ts_prompt){.count = count},
                   &(rt_feed){.vectors = vectors, .count = count, .logits = logits}, err);
}

ts_status rt_session_see(ts_session *s, const ts_medium *media, size_t count, ts_err *err) {
    rt_looks looks = {0};
    const float *vectors = NULL;
    TS_TRY(check_media(s, &(ts_prompt){.media_count = count}, err));
    ts_status status = rt_looks_make(media, count, &looks, err);
    if (status == TS_STATUS_OK) status = see(s, looks.seen, count, &vectors, err);
    rt_looks_free(&looks);
    return status;
}
