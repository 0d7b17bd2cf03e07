/* Steps, logits, and the ids that follow. */
#include <string.h>

#include "sampler.h"
#include "session.h"

static ts_status put_next(ts_session *s, int32_t sequence, int32_t id, ts_err *err) {
    return rt_run_upload(&s->run, s->device.next + sequence, &id, sizeof id, err);
}

/* What follows the sequence is settled from here on, and lies in next[]. */
static void promise(rt_sequence *q, int32_t id) {
    q->pending = id;
    q->has_pending = true;
}

/* Marks the sequences of a list in s->chosen. */
static ts_status mark(ts_session *s, const int32_t *sequences, size_t count, ts_err *err) {
    memset(s->chosen, 0, (size_t)s->size.sequences * sizeof *s->chosen);
    for (size_t i = 0; i < count; i++) {
        TS_TRY(rt_session_check_sequence(s, sequences[i], err));
        if (s->chosen[sequences[i]])
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "sequence %d is listed twice",
                           sequences[i]);
        s->chosen[sequences[i]] = true;
    }
    return TS_STATUS_OK;
}

ts_status ts_session_step(ts_session *s, int32_t id, ts_err *err) {
    rt_sequence *q = &s->sequences[0];
    TS_TRY(rt_session_check_ids(s, &id, 1, err));
    TS_TRY(rt_session_check_room(s, q, 1 + (size_t)q->has_pending, err));
    TS_TRY(mark(s, &(int32_t){0}, 1, err));
    TS_TRY(rt_session_consume_pending(s, s->chosen, err));
    TS_TRY(put_next(s, 0, id, err));
    promise(q, id);
    return rt_session_consume_pending(s, s->chosen, err);
}

ts_status ts_session_sequence_logits(ts_session *s, int32_t sequence, const float **logits,
                                     ts_err *err) {
    TS_TRY(rt_session_check_sequence(s, sequence, err));
    if (s->sequences[sequence].length == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "logits of an empty sequence");
    TS_TRY(rt_run_download(&s->run, s->logits, s->device.logits + sequence * s->v_pitch,
                           (size_t)s->model->shape.vocab * sizeof(float), err));
    *logits = s->logits;
    return TS_STATUS_OK;
}

ts_status ts_session_logits(ts_session *s, const float **logits, ts_err *err) {
    return ts_session_sequence_logits(s, 0, logits, err);
}

/* An id drawn from the logits of a sequence, to where its next step reads it. */
static ts_status draw(ts_session *s, int32_t sequence, ts_sampler *sampler, int32_t *id,
                      ts_err *err) {
    const float *logits;
    TS_TRY(ts_session_sequence_logits(s, sequence, &logits, err));
    double begin_s = rt_profile_now();
    *id = ts_sampler_pick(sampler, logits, s->sequences[sequence].seen);
    if (s->run.profile)
        rt_profile_add(s->run.profile, "sampling/choice", 1e6 * (rt_profile_now() - begin_s));
    return put_next(s, sequence, *id, err);
}

ts_status ts_session_next_batch(ts_session *s, const int32_t *sequences, size_t count,
                                ts_sampler *const *samplers, int32_t *ids, ts_err *err) {
    TS_TRY(mark(s, sequences, count, err));
    for (size_t i = 0; i < count; i++) {
        if (s->sequences[sequences[i]].length == 0)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "nothing follows an empty sequence: prefill first");
    }
    TS_TRY(rt_session_consume_pending(s, s->chosen, err));
    /* The greedy choices of all sequences, four bytes each, in one copy. */
    TS_TRY(rt_run_download(&s->run, s->next, s->device.next,
                           (size_t)s->size.sequences * sizeof *s->next, err));
    for (size_t i = 0; i < count; i++) {
        int32_t *id = &s->next[sequences[i]];
        ts_sampler *sampler = samplers ? samplers[i] : NULL;
        if (!rt_sampler_is_greedy(sampler)) TS_TRY(draw(s, sequences[i], sampler, id, err));
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = s->next[sequences[i]];
        promise(&s->sequences[sequences[i]], ids[i]);
    }
    return TS_STATUS_OK;
}

ts_status ts_session_next(ts_session *s, ts_sampler *sampler, int32_t *id, ts_err *err) {
    return ts_session_next_batch(s, &(int32_t){0}, 1, &sampler, id, err);
}
