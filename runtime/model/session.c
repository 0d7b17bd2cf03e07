/* A session: one sequence of a model. Three allocations made at creation, `kept` (states, zeroed at
 * reset), `cache` (keys and values) and `work` (buffers of a pass, the ids, the residual stream,
 * logits, kernel workspace), and nothing after that but what images take while they are looked at.
 *
 * A pass is: residual from ids or vectors, all layers, and for the last row the head and its
 * argmax. The argmax goes to ids[0] on the device, where the next step's embedding reads it: greedy
 * decoding on a GPU is one captured graph replayed per token, with four bytes coming back. An id
 * that ts_session_next has handed out is `pending`: chosen, lying in ids[0], not consumed yet.
 */
#include <stdlib.h>
#include <string.h>

#include "embeds.h"
#include "engine.h"
#include "looks.h"
#include "sampler.h"

enum {
    DEFAULT_CHUNK = RT_ROWS_CHUNK,
    DEFAULT_CONTEXT = 4096,
    LOGIT_BLOCK = 64,
    MAX_CHUNK = 1 << 16
};

typedef struct buffers {
    int32_t *ids;    /* [chunk] */
    float *residual; /* [chunk, hidden] */
    float *logits;   /* [block, vocab] */
} buffers;

struct ts_session {
    const ts_model *model;
    const ts_embeds *embeds;
    bool all_logits;
    rt_run run;
    rt_session_size size;
    int32_t block;            /* rows of logits made at once */
    int64_t r_pitch, v_pitch; /* elements */
    void *kept, *cache, *work;
    size_t kept_bytes, cache_bytes, work_bytes;
    buffers device;
    void *state;     /* the architecture's */
    rt_graph *graph; /* one step from ids[0] to ids[0]; NULL on the CPU or with own embeddings */
    float *vectors;  /* host [chunk, r_pitch] */
    float *logits;   /* host [vocab] */
    uint8_t *seen;   /* host [vocab]: ids under the repetition penalty */
    size_t length;
    rt_mrope mrope; /* positions of a model that asks for them */
    bool has_pending;
    int32_t pending;
};

ts_session_options ts_session_defaults(void) {
    return (ts_session_options){.size = sizeof(ts_session_options), .chunk = DEFAULT_CHUNK};
}

/* ---- memory ---- */

/* Sets the device pointers of `s` from layouts, or counts with zero bases. */
static void place(ts_session *s, rt_session_memory *memory) {
    rt_layout *work = &memory->work;
    s->model->arch->place_state(s->model->self, &s->size, memory, s->state);
    s->device.ids = rt_layout_take(work, (size_t)s->size.chunk * sizeof(int32_t));
    s->device.residual = rt_layout_take(work, (size_t)(s->size.chunk * s->r_pitch) * sizeof(float));
    s->device.logits = rt_layout_take(work, (size_t)(s->block * s->v_pitch) * sizeof(float));
    s->run.workspace = s->run.workspace_bytes ? rt_layout_take(work, s->run.workspace_bytes) : NULL;
}

static ts_status pass(ts_session *s, int32_t rows, ts_err *err) {
    return s->model->arch->layers(s->model->self, &s->run, s->state, s->device.residual, rows, err);
}

static float *residual_row(const ts_session *s, int32_t row) {
    return s->device.residual + row * s->r_pitch;
}

/* Logits of `rows` rows of the residual, from `row` on. */
static ts_status make_logits(ts_session *s, int32_t row, int32_t rows, ts_err *err) {
    return s->model->arch->head(s->model->self, &s->run, s->state, residual_row(s, row), rows,
                                s->device.logits, err);
}

static ts_status embed(ts_session *s, int32_t rows, ts_err *err) {
    return s->model->arch->embed(s->model->self, &s->run, s->device.ids, s->device.residual, rows,
                                 err);
}

/* Logits of one row, and the greedy choice to ids[0]. */
static ts_status finish_pass(ts_session *s, int32_t last_row, ts_err *err) {
    TS_TRY(make_logits(s, last_row, 1, err));
    return s->model->arch->argmax(s->model->self, &s->run, s->device.logits, s->device.ids, err);
}

/* One decode step from the id in ids[0]. */
static ts_status step_from_id(ts_session *s, ts_err *err) {
    TS_TRY(embed(s, 1, err));
    TS_TRY(pass(s, 1, err));
    return finish_pass(s, 0, err);
}

/* As many tokens as asked for, and no more than the model has positions. */
static ts_status choose_context(ts_session *s, int32_t wanted, ts_err *err) {
    int32_t most = s->model->shape.positions;
    if (wanted < 0 || (most > 0 && wanted > most)) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "a context of %d tokens is not in 1..%d (max_position_embeddings)", wanted,
                       most);
    }
    int32_t usual = most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
    s->size.context = most == 0 ? 0 : wanted > 0 ? wanted : usual;
    return TS_STATUS_OK;
}

/* Fills in options and sizes, and counts bytes by walking through what the session will do. */
static ts_status measure(ts_session *s, const ts_session_options *options, ts_err *err) {
    ts_session_options o = ts_session_defaults();
    rt_options_copy(&o, options, sizeof o);
    if (o.chunk < 1 || o.chunk > MAX_CHUNK) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "chunk %d is not in 1..%d", o.chunk,
                       MAX_CHUNK);
    }
    TS_TRY(choose_context(s, o.context, err));
    s->embeds = o.embeds;
    s->size.chunk = o.chunk;
    s->all_logits = o.all_logits;
    s->block = !o.all_logits ? 1 : o.chunk < LOGIT_BLOCK ? o.chunk : LOGIT_BLOCK;
    s->r_pitch = rt_pitch(s->model->shape.hidden, sizeof(float));
    s->v_pitch = rt_pitch(s->model->shape.vocab, sizeof(float));
    s->run = (rt_run){
        .device = s->model->engine->device, .measure = true, .profile = s->model->engine->profile};
    s->state = calloc(1, s->model->arch->state_bytes);
    if (!s->state) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "session");
    rt_session_memory none = {0}, memory = {0};
    place(s, &none); /* addresses without meaning, pitches with */
    TS_TRY(embed(s, s->size.chunk, err));
    TS_TRY(pass(s, s->size.chunk, err));
    TS_TRY(make_logits(s, 0, s->block, err));
    TS_TRY(step_from_id(s, err));
    place(s, &memory);
    s->kept_bytes = memory.kept.bytes;
    s->cache_bytes = memory.cache.bytes;
    s->work_bytes = memory.work.bytes;
    s->run.measure = false;
    return TS_STATUS_OK;
}

size_t rt_session_kept_bytes(const ts_model *model) {
    rt_session_memory memory = {0};
    rt_session_size size = {1, 1};
    void *state = calloc(1, model->arch->state_bytes);
    if (state) model->arch->place_state(model->self, &size, &memory, state);
    free(state);
    return memory.kept.bytes;
}

ts_status rt_session_measure(const ts_model *model, const ts_session_options *options, ts_plan *out,
                             ts_err *err) {
    ts_session s = {.model = model};
    ts_status status = measure(&s, options, err);
    free(s.state);
    if (status == TS_STATUS_OK)
        *out = (ts_plan){.state_bytes = s.kept_bytes + s.cache_bytes, .work_bytes = s.work_bytes};
    return status;
}

static ts_status allocate(ts_session *s, ts_err *err) {
    const rt_device_ops *ops = s->run.device->ops;
    ts_err reason = {0};
    size_t vocab = (size_t)s->model->shape.vocab;
    s->vectors = malloc((size_t)(s->size.chunk * s->r_pitch) * sizeof *s->vectors);
    s->logits = malloc(vocab * sizeof *s->logits);
    s->seen = calloc(vocab, sizeof *s->seen);
    ts_status status = s->vectors && s->logits && s->seen
                           ? TS_STATUS_OK
                           : ts_fail(&reason, TS_STATUS_OUT_OF_MEMORY, "host memory");
    if (status == TS_STATUS_OK && s->kept_bytes > 0)
        status = ops->alloc(s->run.device, s->kept_bytes, &s->kept, &reason);
    if (status == TS_STATUS_OK && s->cache_bytes > 0)
        status = ops->alloc(s->run.device, s->cache_bytes, &s->cache, &reason);
    if (status == TS_STATUS_OK)
        status = ops->alloc(s->run.device, s->work_bytes, &s->work, &reason);
    if (status != TS_STATUS_OK) {
        return ts_fail(err, status, "session of %zu bytes of state and %zu of work memory: %s",
                       s->kept_bytes + s->cache_bytes, s->work_bytes, reason.message);
    }
    rt_session_memory memory = {.kept.base = (uintptr_t)s->kept,
                                .cache.base = (uintptr_t)s->cache,
                                .work.base = (uintptr_t)s->work};
    place(s, &memory);
    TS_TRY(ops->stream_create(s->run.device, &s->run.stream, err));
    const rt_arch *arch = s->model->arch;
    return arch->start ? arch->start(s->model->self, &s->run, s->state, err) : TS_STATUS_OK;
}

/* Captures the decode step. Capturing runs nothing, so the buffers may hold anything. */
static ts_status capture(ts_session *s, ts_err *err) {
    ts_err reason = {0};
    TS_TRY(rt_run_capture(&s->run, err));
    ts_status launched = step_from_id(s, &reason);
    bool failed = launched != TS_STATUS_OK; /* the capture must be ended all the same */
    ts_status ended = rt_run_captured(&s->run, &s->graph, failed ? NULL : err);
    return failed ? ts_fail(err, launched, "%s", reason.message) : ended;
}

ts_status ts_session_create(ts_model *model, const ts_session_options *options, ts_session **out,
                            ts_err *err) {
    ts_session *s = calloc(1, sizeof *s);
    if (!s) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "session");
    s->model = model;
    ts_status status = measure(s, options, err);
    if (status == TS_STATUS_OK) status = allocate(s, err);
    if (status == TS_STATUS_OK && !s->embeds && !s->run.device->info.is_cpu)
        status = capture(s, err);
    if (status == TS_STATUS_OK) status = ts_session_reset(s, err);
    if (status != TS_STATUS_OK) {
        ts_session_close(s);
        return status;
    }
    *out = s;
    return TS_STATUS_OK;
}

void ts_session_close(ts_session *s) {
    if (!s) return;
    const rt_device_ops *ops = s->run.device ? s->run.device->ops : NULL;
    if (s->graph) ops->graph_destroy(s->run.device, s->graph);
    if (s->run.stream) ops->stream_destroy(s->run.device, s->run.stream);
    if (s->work) ops->free(s->run.device, s->work);
    if (s->cache) ops->free(s->run.device, s->cache);
    if (s->kept) ops->free(s->run.device, s->kept);
    free(s->state);
    free(s->vectors);
    free(s->logits);
    free(s->seen);
    free(s);
}

ts_status ts_session_reset(ts_session *s, ts_err *err) {
    memset(s->seen, 0, (size_t)s->model->shape.vocab);
    s->length = 0;
    s->mrope = (rt_mrope){0};
    s->has_pending = false;
    if (s->kept_bytes == 0) return TS_STATUS_OK;
    return s->run.device->ops->fill(s->run.device, s->run.stream, s->kept, 0, s->kept_bytes, err);
}

size_t ts_session_length(const ts_session *s) { return s->length; }

/* ---- consuming ---- */

/* What a prompt is made of: ids, or vectors [count, hidden]; of a model that asks for positions,
 * these [3, count]; and of media, their vectors on the device with rows of r_pitch, which take the
 * rows of placeholders in their order. */
typedef struct source {
    const int32_t *ids;
    const float *vectors;
    const int32_t *positions;
    const float *seen;
} source;

static ts_status check_ids(const ts_session *s, const int32_t *ids, size_t count, ts_err *err) {
    int32_t limit = s->embeds ? ts_embeds_count(s->embeds) : s->model->shape.vocab;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= limit) {
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "id %d (position %zu) is not in 0..%d",
                           ids[i], i, limit - 1);
        }
    }
    return TS_STATUS_OK;
}

static ts_status upload(ts_session *s, void *to, const void *from, size_t bytes, ts_err *err) {
    return rt_run_upload(&s->run, to, from, bytes, err);
}

/* Vectors [rows, hidden] to the residual stream, rounded as the model's own table would be. */
static ts_status fill_from_vectors(ts_session *s, const float *vectors, int32_t rows, ts_err *err) {
    size_t hidden = (size_t)s->model->shape.hidden, pitch = (size_t)s->r_pitch;
    for (size_t i = 0; i < (size_t)rows; i++) {
        float *row = s->vectors + i * pitch;
        memcpy(row, vectors + i * hidden, hidden * sizeof *row);
        memset(row + hidden, 0, (pitch - hidden) * sizeof *row);
        rt_round_to(s->model->dtype, row, hidden);
    }
    return upload(s, s->device.residual, s->vectors, (size_t)rows * pitch * sizeof(float), err);
}

/* The same for ids of the caller's own table. */
static ts_status fill_from_table(ts_session *s, const int32_t *ids, int32_t rows, ts_err *err) {
    size_t hidden = (size_t)s->model->shape.hidden, pitch = (size_t)s->r_pitch;
    for (size_t i = 0; i < (size_t)rows; i++) {
        float *row = s->vectors + i * pitch;
        TS_TRY(ts_embeds_lookup(s->embeds, &ids[i], 1, row, err));
        memset(row + hidden, 0, (pitch - hidden) * sizeof *row);
        rt_round_to(s->model->dtype, row, hidden);
    }
    return upload(s, s->device.residual, s->vectors, (size_t)rows * pitch * sizeof(float), err);
}

static ts_status fill(ts_session *s, const source *from, size_t offset, int32_t rows, ts_err *err) {
    if (from->vectors)
        return fill_from_vectors(s, from->vectors + offset * (size_t)s->model->shape.hidden, rows,
                                 err);
    if (s->embeds) return fill_from_table(s, from->ids + offset, rows, err);
    TS_TRY(upload(s, s->device.ids, from->ids + offset, (size_t)rows * sizeof(int32_t), err));
    return embed(s, rows, err);
}

static bool is_placeholder(const ts_session *s, int32_t id) {
    const rt_media_ids *names = s->model->arch->media_ids(s->model->self);
    return id == names->image || id == names->video;
}

/* Overwrites the residual rows of placeholders, run by run; *next is the vector to use next. */
static ts_status fill_media(ts_session *s, const source *from, size_t offset, int32_t rows,
                            size_t *next, ts_err *err) {
    if (!from->seen) return TS_STATUS_OK;
    size_t row_bytes = (size_t)s->r_pitch * sizeof(float);
    for (int32_t begin = 0, end; begin < rows; begin = end + 1) {
        for (end = begin; end < rows && is_placeholder(s, from->ids[offset + (size_t)end]); end++) {
        }
        size_t count = (size_t)(end - begin);
        TS_TRY(rt_run_copy(&s->run, residual_row(s, begin), from->seen + *next * (size_t)s->r_pitch,
                           count * row_bytes, err));
        *next += count;
    }
    return TS_STATUS_OK;
}

/* Tells the architecture where the next `rows` tokens stand. */
static ts_status advance(ts_session *s, const int32_t *positions, size_t pitch, size_t first,
                         int32_t rows, ts_err *err) {
    const rt_arch *arch = s->model->arch;
    if (!arch->advance) return TS_STATUS_OK;
    s->run.keys = (int64_t)first + rows;
    return arch->advance(s->model->self, &s->run, s->state, (int32_t)first, positions, pitch, rows,
                         err);
}

static ts_status check_room(const ts_session *s, size_t count, ts_err *err) {
    size_t context = (size_t)s->size.context;
    if (context == 0 || (count <= context && s->length <= context - count)) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                   "%zu tokens after %zu do not fit in a context of %zu: create the session with a "
                   "larger one",
                   count, s->length, context);
}

static void note_seen(ts_session *s, const int32_t *ids, size_t count) {
    for (size_t i = 0; ids && i < count; i++) {
        if (ids[i] < s->model->shape.vocab) s->seen[ids[i]] = 1;
    }
}

/* Logits of all rows of a pass to the host, [rows, vocab]. */
static ts_status download_logits(ts_session *s, int32_t rows, float *out, ts_err *err) {
    size_t vocab = (size_t)s->model->shape.vocab, pitch = (size_t)s->v_pitch;
    for (int32_t row = 0; row < rows; row += s->block) {
        int32_t count = rows - row < s->block ? rows - row : s->block;
        TS_TRY(make_logits(s, row, count, err));
        for (size_t i = 0; i < (size_t)count; i++) {
            TS_TRY(rt_run_download(&s->run, out + ((size_t)row + i) * vocab,
                                   s->device.logits + i * pitch, vocab * sizeof(float), err));
        }
    }
    return TS_STATUS_OK;
}

/* Runs the sequence on by `count` tokens, in passes of at most `chunk`. */
static ts_status consume(ts_session *s, const source *from, size_t count, float *logits,
                         ts_err *err) {
    int32_t rows = 0;
    size_t next_seen = 0;
    for (size_t offset = 0; offset < count; offset += (size_t)rows) {
        rows = count - offset < (size_t)s->size.chunk ? (int32_t)(count - offset) : s->size.chunk;
        TS_TRY(fill(s, from, offset, rows, err));
        TS_TRY(fill_media(s, from, offset, rows, &next_seen, err));
        if (from->positions)
            TS_TRY(advance(s, from->positions + offset, count, s->length + offset, rows, err));
        TS_TRY(pass(s, rows, err));
        if (logits)
            TS_TRY(download_logits(s, rows, logits + offset * (size_t)s->model->shape.vocab, err));
    }
    TS_TRY(finish_pass(s, rows - 1, err));
    note_seen(s, from->ids, count);
    s->length += count;
    return TS_STATUS_OK;
}

/* Consumes one id; `in_place`: ids[0] on the device already holds it. */
static ts_status consume_one(ts_session *s, int32_t id, bool in_place, ts_err *err) {
    TS_TRY(check_room(s, 1, err));
    int32_t at = rt_mrope_step(&s->mrope), positions[3] = {at, at, at};
    if (s->embeds) return consume(s, &(source){.ids = &id, .positions = positions}, 1, NULL, err);
    TS_TRY(advance(s, positions, 1, s->length, 1, err));
    if (!in_place) TS_TRY(upload(s, s->device.ids, &id, sizeof id, err));
    TS_TRY(s->graph ? rt_run_replay(&s->run, s->graph, err) : step_from_id(s, err));
    note_seen(s, &id, 1);
    s->length++;
    return TS_STATUS_OK;
}

static ts_status consume_pending(ts_session *s, ts_err *err) {
    if (!s->has_pending) return TS_STATUS_OK;
    s->has_pending = false;
    return consume_one(s, s->pending, true, err);
}

/* Positions [3, count] of the next tokens; *out: free(). NULL for a model that does not ask. */
static ts_status make_positions(ts_session *s, const source *from, const rt_media *media,
                                size_t count, int32_t **out, ts_err *err) {
    if (!s->model->arch->advance) return TS_STATUS_OK;
    int32_t *positions = malloc(3 * count * sizeof *positions);
    if (!positions) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu positions", count);
    *out = positions;
    if (from->ids)
        return rt_mrope_extend(&s->mrope, s->model->arch->media_ids(s->model->self), media,
                               from->ids, count, positions, err);
    for (size_t i = 0; i < count; i++) {
        int32_t at = rt_mrope_step(&s->mrope);
        for (size_t axis = 0; axis < 3; axis++) positions[axis * count + i] = at;
    }
    return TS_STATUS_OK;
}

static ts_status prefill(ts_session *s, source *from, const rt_media *media, size_t count,
                         float *logits, ts_err *err) {
    int32_t *positions = NULL;
    if (count == 0) return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "an empty prompt");
    if (logits && !s->all_logits) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the session was not created with all_logits");
    }
    if (from->ids) TS_TRY(check_ids(s, from->ids, count, err));
    TS_TRY(check_room(s, count + s->has_pending, err));
    TS_TRY(consume_pending(s, err));
    ts_status status = make_positions(s, from, media, count, &positions, err);
    from->positions = positions;
    if (status == TS_STATUS_OK) status = consume(s, from, count, logits, err);
    free(positions);
    return status;
}

ts_status ts_session_prefill(ts_session *s, const int32_t *ids, size_t count, float *logits,
                             ts_err *err) {
    return prefill(s, &(source){.ids = ids}, &(rt_media){0}, count, logits, err);
}

ts_status ts_session_prefill_vectors(ts_session *s, const float *vectors, size_t count,
                                     float *logits, ts_err *err) {
    return prefill(s, &(source){.vectors = vectors}, &(rt_media){0}, count, logits, err);
}

static ts_status see(ts_session *s, const rt_looks *looks, size_t count, float **seen,
                     ts_err *err) {
    const rt_arch *arch = s->model->arch;
    if (!arch->see)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "a model of type %s sees no images",
                       arch->model_type);
    return arch->see(s->model->self, &s->run, looks->seen, count, seen, err);
}

ts_status rt_session_see(ts_session *s, const ts_medium *media, size_t count, ts_err *err) {
    rt_looks looks = {0};
    float *seen = NULL;
    ts_status status = rt_looks_make(media, count, &looks, err);
    if (status == TS_STATUS_OK) status = see(s, &looks, count, &seen, err);
    if (seen) s->run.device->ops->free(s->run.device, seen);
    rt_looks_free(&looks);
    return status;
}

ts_status ts_session_prefill_media(ts_session *s, const int32_t *ids, size_t count,
                                   const ts_medium *media, size_t media_count, float *logits,
                                   ts_err *err) {
    const rt_arch *arch = s->model->arch;
    if (media_count == 0) return ts_session_prefill(s, ids, count, logits, err);
    if (!arch->see)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "a model of type %s sees no images",
                       arch->model_type);
    rt_looks looks = {0};
    ts_status status = rt_looks_make(media, media_count, &looks, err);
    /* The placeholders are checked on a copy of the state before anything is computed. */
    rt_mrope trial = s->mrope;
    int32_t *positions = malloc(3 * (count + 1) * sizeof *positions);
    if (status == TS_STATUS_OK && !positions)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu positions", count);
    if (status == TS_STATUS_OK)
        status = rt_mrope_extend(&trial, arch->media_ids(s->model->self), &looks.media, ids, count,
                                 positions, err);
    if (status == TS_STATUS_OK) status = check_room(s, count + s->has_pending, err);
    float *seen = NULL;
    if (status == TS_STATUS_OK) status = see(s, &looks, media_count, &seen, err);
    if (status == TS_STATUS_OK)
        status = prefill(s, &(source){.ids = ids, .seen = seen}, &looks.media, count, logits, err);
    if (seen) s->run.device->ops->free(s->run.device, seen);
    free(positions);
    rt_looks_free(&looks);
    return status;
}

ts_status ts_session_step(ts_session *s, int32_t id, ts_err *err) {
    TS_TRY(check_ids(s, &id, 1, err));
    TS_TRY(consume_pending(s, err));
    return consume_one(s, id, false, err);
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

/* ---- choosing ---- */

ts_status ts_session_logits(ts_session *s, const float **logits, ts_err *err) {
    if (s->length == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "logits of an empty sequence");
    TS_TRY(rt_run_download(&s->run, s->logits, s->device.logits,
                           (size_t)s->model->shape.vocab * sizeof(float), err));
    *logits = s->logits;
    return TS_STATUS_OK;
}

ts_status ts_session_next(ts_session *s, ts_sampler *sampler, int32_t *id, ts_err *err) {
    const float *logits;
    int32_t chosen;
    TS_TRY(consume_pending(s, err));
    if (s->length == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "nothing follows an empty sequence: prefill first");
    if (rt_sampler_is_greedy(sampler)) {
        TS_TRY(rt_run_download(&s->run, &chosen, s->device.ids, sizeof chosen, err));
    } else {
        TS_TRY(ts_session_logits(s, &logits, err));
        double begin_s = rt_profile_now();
        chosen = ts_sampler_pick(sampler, logits, s->seen);
        if (s->run.profile)
            rt_profile_add(s->run.profile, "sampling/choice", 1e6 * (rt_profile_now() - begin_s));
        TS_TRY(upload(s, s->device.ids, &chosen, sizeof chosen, err));
    }
    s->pending = chosen;
    s->has_pending = true;
    *id = chosen;
    return TS_STATUS_OK;
}
