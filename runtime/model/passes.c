/* What a pass does: residual rows from ids, vectors or media; all layers; of each sequence that ends
 * in it, logits and the greedy choice. The choice goes to next[] on the device, where a step's
 * embedding reads it: greedy decoding on a GPU is one captured graph replayed per token, with four
 * bytes a sequence coming back.
 */
#include <string.h>

#include "embeds.h"
#include "session.h"

static float *residual_row(const ts_session *s, int64_t row) {
    return s->device.residual + row * s->r_pitch;
}

static ts_status upload(ts_session *s, void *to, const void *from, size_t bytes, ts_err *err) {
    return rt_run_upload(&s->run, to, from, bytes, err);
}

static ts_status embed(ts_session *s, const int32_t *ids, int32_t row, int32_t rows, ts_err *err) {
    return s->model->arch->embed(s->model->self, &s->run, ids, residual_row(s, row), rows, err);
}

static ts_status layers(ts_session *s, const rt_pass *pass, ts_err *err) {
    return s->model->arch->layers(s->model->self, &s->run, s->state, pass, s->device.residual, err);
}

static ts_status head(ts_session *s, const float *r, int32_t rows, float *logits, ts_err *err) {
    return s->model->arch->head(s->model->self, &s->run, s->state, r, rows, logits, err);
}

/* ---- checks ---- */

ts_status rt_session_check_room(const ts_session *s, const rt_sequence *q, size_t count,
                                ts_err *err) {
    size_t context = (size_t)s->size.context;
    if (context == 0 || (count <= context && q->length <= context - count)) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                   "%zu tokens after %zu do not fit in a context of %zu: create the session with a "
                   "larger one",
                   count, q->length, context);
}

ts_status rt_session_check_ids(const ts_session *s, const int32_t *ids, size_t count, ts_err *err) {
    int32_t limit = s->embeds ? ts_embeds_count(s->embeds) : s->model->shape.vocab;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= limit) {
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "id %d (position %zu) is not in 0..%d",
                           ids[i], i, limit - 1);
        }
    }
    return TS_STATUS_OK;
}

ts_status rt_session_check_sequence(const ts_session *s, int32_t sequence, ts_err *err) {
    if (sequence >= 0 && sequence < s->size.sequences) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "sequence %d is not in 0..%d of the session",
                   sequence, s->size.sequences - 1);
}

/* ---- residual rows ---- */

/* A vector of the caller's, rounded as the model's own table would be. */
static void put_vector(ts_session *s, float *row) {
    size_t hidden = (size_t)s->model->shape.hidden;
    memset(row + hidden, 0, ((size_t)s->r_pitch - hidden) * sizeof *row);
    rt_round_to(s->model->dtype, row, hidden);
}

static ts_status fill_from_vectors(ts_session *s, const float *vectors, int32_t row, int32_t rows,
                                   ts_err *err) {
    size_t hidden = (size_t)s->model->shape.hidden, pitch = (size_t)s->r_pitch;
    for (size_t i = 0; i < (size_t)rows; i++) {
        memcpy(s->vectors + i * pitch, vectors + i * hidden, hidden * sizeof *vectors);
        put_vector(s, s->vectors + i * pitch);
    }
    return upload(s, residual_row(s, row), s->vectors, (size_t)rows * pitch * sizeof(float), err);
}

/* The same for ids of the caller's own table. */
static ts_status fill_from_table(ts_session *s, const int32_t *ids, int32_t row, int32_t rows,
                                 ts_err *err) {
    size_t pitch = (size_t)s->r_pitch;
    for (size_t i = 0; i < (size_t)rows; i++) {
        TS_TRY(ts_embeds_lookup(s->embeds, &ids[i], 1, s->vectors + i * pitch, err));
        put_vector(s, s->vectors + i * pitch);
    }
    return upload(s, residual_row(s, row), s->vectors, (size_t)rows * pitch * sizeof(float), err);
}

/* Vectors segment by segment; ids of all segments at once. */
static ts_status fill(ts_session *s, const rt_feed *feeds, const rt_pass *pass, ts_err *err) {
    size_t hidden = (size_t)s->model->shape.hidden;
    bool ids = false;
    for (int32_t i = 0, row = 0; i < pass->count; row += pass->segments[i].rows, i++) {
        const rt_segment *t = &pass->segments[i];
        const rt_feed *f = &feeds[t->sequence];
        if (f->vectors) {
            TS_TRY(fill_from_vectors(s, f->vectors + f->done * hidden, row, t->rows, err));
        } else {
            memcpy(s->ids + row, f->ids + f->done, (size_t)t->rows * sizeof(int32_t));
            ids = true;
        }
    }
    if (!ids) return TS_STATUS_OK;
    if (s->embeds) return fill_from_table(s, s->ids, 0, pass->rows, err);
    TS_TRY(upload(s, s->device.ids, s->ids, (size_t)pass->rows * sizeof(int32_t), err));
    return embed(s, s->device.ids, 0, pass->rows, err);
}

static bool is_placeholder(const ts_session *s, int32_t id) {
    const rt_media_ids *names = s->model->arch->media_ids(s->model->self);
    return id == names->image || id == names->video;
}

/* Overwrites the residual rows of a segment's placeholders, run by run. */
static ts_status fill_media(ts_session *s, rt_feed *f, const rt_segment *t, int32_t row,
                            ts_err *err) {
    if (!f->media) return TS_STATUS_OK;
    const int32_t *ids = f->ids + f->done;
    for (int32_t begin = 0, end; begin < t->rows; begin = end + 1) {
        for (end = begin; end < t->rows && is_placeholder(s, ids[end]); end++) {
        }
        size_t elements = (size_t)(end - begin) * (size_t)s->r_pitch;
        TS_TRY(rt_run_copy(&s->run, residual_row(s, row + begin), f->media,
                           elements * sizeof(float), err));
        f->media += elements;
    }
    return TS_STATUS_OK;
}

static ts_status advance(ts_session *s, const rt_pass *pass, ts_err *err) {
    const rt_arch *arch = s->model->arch;
    s->run.keys = 0; /* of the longest sequence */
    for (int32_t i = 0; i < pass->count; i++) {
        int64_t keys = (int64_t)pass->segments[i].first + pass->segments[i].rows;
        if (keys > s->run.keys) s->run.keys = keys;
    }
    return arch->advance ? arch->advance(s->model->self, &s->run, s->state, pass, err)
                         : TS_STATUS_OK;
}

static void place_positions(const rt_feed *feeds, const rt_pass *pass) {
    for (int32_t i = 0, row = 0; i < pass->count; row += pass->segments[i].rows, i++) {
        const rt_segment *t = &pass->segments[i];
        const rt_feed *f = &feeds[t->sequence];
        for (size_t axis = 0; f->positions && axis < RT_POSITION_AXES; axis++)
            memcpy(pass->places + axis * (size_t)pass->rows + row,
                   f->positions + axis * f->count + f->done, (size_t)t->rows * sizeof(int32_t));
    }
}

/* ---- what follows ---- */

/* Logits and choice of `count` neighbouring sequences, whose last rows are neighbours too. */
static ts_status finish_run(ts_session *s, int32_t sequence, int32_t count, const float *r,
                            ts_err *err) {
    float *logits = s->device.logits + sequence * s->v_pitch;
    TS_TRY(head(s, r, count, logits, err));
    return s->model->arch->argmax(s->model->self, &s->run, logits, s->device.next + sequence, count,
                                  err);
}

/* Logits and choice of the sequences for which ends[i], a row of the pass, is not negative. Their
 * rows are brought together first, so that the head's weights are read once for all of a run. */
static ts_status finish(ts_session *s, const rt_pass *pass, const int32_t *ends, ts_err *err) {
    const rt_segment *t = pass->segments;
    size_t row_bytes = (size_t)s->r_pitch * sizeof(float);
    for (int32_t i = 0, n; i < pass->count; i += n) {
        bool together = true;
        for (n = 0; i + n < pass->count && ends[i + n] >= 0; n++) {
            if (t[i + n].sequence != t[i].sequence + n) break;
            if (ends[i + n] != ends[i] + n) together = false;
        }
        for (int32_t j = 0; j < n && !together; j++)
            TS_TRY(rt_run_copy(&s->run, s->device.last + (t[i].sequence + j) * s->r_pitch,
                               residual_row(s, ends[i + j]), row_bytes, err));
        const float *rows = together ? residual_row(s, ends[i])
                                     : s->device.last + t[i].sequence * s->r_pitch;
        if (n > 0) TS_TRY(finish_run(s, t[i].sequence, n, rows, err));
        if (n == 0) n = 1; /* goes on in the next pass */
    }
    return TS_STATUS_OK;
}

/* Logits of a segment's rows to the host, [rows, vocab]. */
static ts_status download_logits(ts_session *s, int32_t row, int32_t rows, float *out,
                                 ts_err *err) {
    size_t vocab = (size_t)s->model->shape.vocab, pitch = (size_t)s->v_pitch;
    for (int32_t from = 0; from < rows; from += s->block) {
        int32_t count = rows - from < s->block ? rows - from : s->block;
        TS_TRY(head(s, residual_row(s, row + from), count, s->device.block, err));
        for (size_t i = 0; i < (size_t)count; i++) {
            TS_TRY(rt_run_download(&s->run, out + ((size_t)from + i) * vocab,
                                   s->device.block + i * pitch, vocab * sizeof(float), err));
        }
    }
    return TS_STATUS_OK;
}

/* ---- feeds ---- */

static void note_seen(const ts_session *s, rt_sequence *q, const int32_t *ids, size_t count) {
    for (size_t i = 0; ids && i < count; i++) {
        if (ids[i] < s->model->shape.vocab) q->seen[ids[i]] = 1;
    }
}

/* As many rows of the feeds as fit; no segments are left when all is consumed. */
static rt_pass next_pass(ts_session *s, const rt_feed *feeds) {
    rt_pass pass = {.segments = s->segments, .places = s->places};
    for (int32_t i = 0; i < s->size.sequences && pass.rows < s->chunk; i++) {
        size_t left = feeds[i].count - feeds[i].done, room = (size_t)(s->chunk - pass.rows);
        if (left == 0) continue;
        s->segments[pass.count] = (rt_segment){.sequence = i,
                                               .first = (int32_t)s->sequences[i].length,
                                               .rows = (int32_t)(left < room ? left : room)};
        pass.rows += s->segments[pass.count++].rows;
    }
    return pass;
}

/* Moves feeds and sequences on, hands out logits of prompts; ends[i]: the row that ends segment i's
 * feed, or -1. */
static ts_status after_pass(ts_session *s, rt_feed *feeds, const rt_pass *pass, int32_t *ends,
                            ts_err *err) {
    size_t vocab = (size_t)s->model->shape.vocab;
    for (int32_t i = 0, row = 0; i < pass->count; row += pass->segments[i].rows, i++) {
        const rt_segment *t = &pass->segments[i];
        rt_feed *f = &feeds[t->sequence];
        rt_sequence *q = &s->sequences[t->sequence];
        size_t rows = (size_t)t->rows;
        if (f->logits) TS_TRY(download_logits(s, row, t->rows, f->logits + f->done * vocab, err));
        note_seen(s, q, f->ids ? f->ids + f->done : NULL, rows);
        f->done += rows;
        q->length += rows;
        ends[i] = f->done == f->count ? row + t->rows - 1 : -1;
    }
    return TS_STATUS_OK;
}

ts_status rt_session_consume(ts_session *s, rt_feed *feeds, ts_err *err) {
    for (;;) {
        rt_pass pass = next_pass(s, feeds);
        if (pass.count == 0) return TS_STATUS_OK;
        TS_TRY(fill(s, feeds, &pass, err));
        for (int32_t i = 0, row = 0; i < pass.count; row += pass.segments[i].rows, i++)
            TS_TRY(fill_media(s, &feeds[pass.segments[i].sequence], &pass.segments[i], row, err));
        place_positions(feeds, &pass);
        TS_TRY(advance(s, &pass, err));
        TS_TRY(layers(s, &pass, err));
        int32_t *ends = s->next; /* free between steps */
        TS_TRY(after_pass(s, feeds, &pass, ends, err));
        TS_TRY(finish(s, &pass, ends, err));
    }
}

/* ---- steps ---- */

ts_status rt_session_step_launches(ts_session *s, int32_t count, ts_err *err) {
    rt_pass pass = {.segments = s->segments, .count = count, .rows = count};
    for (int32_t i = 0, n; i < count; i += n) {
        int32_t first = s->segments[i].sequence;
        for (n = 1; i + n < count && s->segments[i + n].sequence == first + n; n++) {
        }
        TS_TRY(embed(s, s->device.next + first, i, n, err));
    }
    TS_TRY(layers(s, &pass, err));
    for (int32_t i = 0; i < count; i++) s->next[i] = i;
    return finish(s, &pass, s->next, err);
}

/* Segments of the sequences that step, with their positions; the ids become seen. */
static rt_pass step_pass(ts_session *s, const bool *which) {
    rt_pass pass = {.segments = s->segments, .places = s->places};
    for (int32_t i = 0; i < s->size.sequences; i++) {
        if (s->sequences[i].has_pending && which[i])
            s->segments[pass.count++] = (rt_segment){
                .sequence = i, .first = (int32_t)s->sequences[i].length, .rows = 1};
    }
    pass.rows = pass.count;
    for (ptrdiff_t i = 0; i < pass.count; i++) {
        rt_sequence *q = &s->sequences[s->segments[i].sequence];
        int32_t at = rt_mrope_step(&q->mrope);
        for (ptrdiff_t axis = 0; axis < RT_POSITION_AXES; axis++)
            s->places[axis * pass.count + i] = at;
    }
    return pass;
}

/* The same with the caller's own table, which is on the host. */
static ts_status step_from_table(ts_session *s, const rt_pass *pass, ts_err *err) {
    for (int32_t i = 0; i < pass->count; i++)
        s->ids[i] = s->sequences[s->segments[i].sequence].pending;
    TS_TRY(fill_from_table(s, s->ids, 0, pass->count, err));
    TS_TRY(layers(s, pass, err));
    for (int32_t i = 0; i < pass->count; i++) s->next[i] = i;
    return finish(s, pass, s->next, err);
}

ts_status rt_session_consume_pending(ts_session *s, const bool *which, ts_err *err) {
    for (int32_t i = 0; i < s->size.sequences; i++) {
        if (s->sequences[i].has_pending && which[i])
            TS_TRY(rt_session_check_room(s, &s->sequences[i], 1, err));
    }
    rt_pass pass = step_pass(s, which);
    if (pass.count == 0) return TS_STATUS_OK;
    TS_TRY(advance(s, &pass, err));
    if (s->embeds) {
        TS_TRY(step_from_table(s, &pass, err));
    } else if (s->graph && pass.count == s->size.sequences) {
        TS_TRY(rt_run_replay(&s->run, s->graph, err));
    } else {
        TS_TRY(rt_session_step_launches(s, pass.count, err));
    }
    for (int32_t i = 0; i < pass.count; i++) {
        rt_sequence *q = &s->sequences[s->segments[i].sequence];
        note_seen(s, q, &q->pending, 1);
        q->has_pending = false;
        q->length++;
    }
    return TS_STATUS_OK;
}

ts_status rt_session_residual(ts_session *s, int32_t rows, float *out, ts_err *err) {
    size_t hidden = (size_t)s->model->shape.hidden;
    for (int32_t row = 0; row < rows; row++) {
        TS_TRY(s->run.device->ops->download(s->run.device, s->run.stream,
                                            out + (size_t)row * hidden, residual_row(s, row),
                                            hidden * sizeof *out, err));
    }
    return TS_STATUS_OK;
}

/* ---- measuring ---- */

ts_status rt_session_measure_passes(ts_session *s, ts_err *err) {
    int32_t n = s->size.sequences, most = n > s->block ? n : s->block;
    TS_TRY(embed(s, NULL, 0, s->size.rows, err));
    /* Full passes of one to all sequences: kernels that know sequences may ask for more with many. */
    for (int32_t count = 1; count <= n; count++) {
        int32_t rows = s->chunk / count > 1 ? s->chunk / count : 1;
        for (int32_t i = 0; i < count; i++)
            s->segments[i] = (rt_segment){.sequence = i, .rows = rows};
        rt_pass pass = {.segments = s->segments, .count = count, .rows = count * rows};
        TS_TRY(layers(s, &pass, err));
    }
    TS_TRY(head(s, NULL, most, NULL, err));
    for (int32_t i = 0; i < n; i++) s->segments[i] = (rt_segment){.sequence = i, .rows = 1};
    return rt_session_step_launches(s, n, err);
}
