/* A session: sequences of a model side by side. Three allocations on the device made at creation,
 * `kept` (states, zeroed at reset), `cache` (keys and values) and `work` (buffers of a pass, the
 * ids, the residual stream, logits, kernel workspace), and nothing after that but what looking at
 * images takes (rt_sight).
 *
 * An id that ts_session_next has handed out is `pending`: chosen, lying in next[], not consumed yet.
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_CHUNK = RT_ROWS_CHUNK,
    DEFAULT_CONTEXT = 4096,
    LOGIT_BLOCK = 64,
    MAX_CHUNK = 1 << 16,
    MAX_SEQUENCES = 1 << 12
};

ts_session_options ts_session_defaults(void) {
    return (ts_session_options){
        .size = sizeof(ts_session_options), .chunk = DEFAULT_CHUNK, .sequences = 1};
}

/* ---- sizes ---- */

static ts_status in_range(const char *what, int32_t value, int32_t most, ts_err *err) {
    if (value >= 1 && value <= most) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s %d is not in 1..%d", what, value, most);
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
    if ((int64_t)s->size.context * s->size.sequences > INT32_MAX)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%d sequences of %d tokens are more than %d slots", s->size.sequences,
                       s->size.context, INT32_MAX);
    return TS_STATUS_OK;
}

static ts_status choose_sizes(ts_session *s, const ts_session_options *options, ts_err *err) {
    ts_session_options o = ts_session_defaults();
    rt_options_copy(&o, options, sizeof o);
    TS_TRY(in_range("chunk", o.chunk, MAX_CHUNK, err));
    TS_TRY(in_range("number of sequences", o.sequences, MAX_SEQUENCES, err));
    s->size.sequences = o.sequences;
    s->size.rows = o.chunk > o.sequences ? o.chunk : o.sequences;
    TS_TRY(choose_context(s, o.context, err));
    s->embeds = o.embeds;
    s->chunk = o.chunk;
    s->all_logits = o.all_logits;
    s->block = !o.all_logits ? 0 : o.chunk < LOGIT_BLOCK ? o.chunk : LOGIT_BLOCK;
    s->r_pitch = rt_pitch(s->model->shape.hidden, sizeof(float));
    s->v_pitch = rt_pitch(s->model->shape.vocab, sizeof(float));
    s->run = (rt_run){.device = s->model->engine->device,
                      .measure = true,
                      .unfused = o.unfused,
                      .profile = s->model->engine->profile};
    return TS_STATUS_OK;
}

/* ---- memory ---- */

static float *take_rows(rt_layout *layout, int32_t rows, int64_t pitch) {
    return rt_layout_take(layout, (size_t)(rows * pitch) * sizeof(float));
}

/* Sets the device pointers of `s` from layouts, or counts with zero bases. */
static void place(ts_session *s, rt_session_memory *memory) {
    rt_layout *work = &memory->work;
    int32_t n = s->size.sequences;
    s->model->arch->place_state(s->model->self, &s->size, memory, s->state);
    s->device.ids = rt_layout_take(work, (size_t)s->size.rows * sizeof(int32_t));
    s->device.next = rt_layout_take(work, (size_t)n * sizeof(int32_t));
    s->device.residual = take_rows(work, s->size.rows, s->r_pitch);
    s->device.last = take_rows(work, n > 1 ? n : 0, s->r_pitch);
    s->device.logits = take_rows(work, n, s->v_pitch);
    s->device.block = take_rows(work, s->block, s->v_pitch);
    s->run.workspace = s->run.workspace_bytes ? rt_layout_take(work, s->run.workspace_bytes) : NULL;
}

static ts_status allocate_host(ts_session *s, ts_err *err) {
    size_t n = (size_t)s->size.sequences, rows = (size_t)s->size.rows,
           vocab = (size_t)s->model->shape.vocab;
    s->state = calloc(1, s->model->arch->state_bytes);
    s->sequences = calloc(n, sizeof *s->sequences);
    s->segments = calloc(n, sizeof *s->segments);
    s->places = calloc(RT_PLACES * rows, sizeof *s->places);
    s->ids = calloc(rows, sizeof *s->ids);
    s->next = calloc(n, sizeof *s->next);
    s->chosen = calloc(n, sizeof *s->chosen);
    s->vectors = malloc(rows * (size_t)s->r_pitch * sizeof *s->vectors);
    s->logits = malloc(vocab * sizeof *s->logits);
    s->seen = calloc(n * vocab, sizeof *s->seen);
    if (!s->state || !s->sequences || !s->segments || !s->places || !s->ids || !s->next ||
        !s->chosen || !s->vectors || !s->logits || !s->seen)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "host memory of a session");
    for (size_t i = 0; i < n; i++) s->sequences[i].seen = s->seen + i * vocab;
    return TS_STATUS_OK;
}

static void free_host(ts_session *s) {
    void *const all[] = {s->state, s->sequences, s->segments, s->places, s->ids,
                         s->next,  s->chosen,    s->vectors,  s->logits, s->seen};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Fills in options and sizes, and counts bytes by walking through what the session will do. */
static ts_status measure(ts_session *s, const ts_session_options *options, ts_err *err) {
    TS_TRY(choose_sizes(s, options, err));
    TS_TRY(allocate_host(s, err));
    rt_session_memory none = {0}, memory = {0};
    place(s, &none); /* addresses without meaning, pitches with */
    TS_TRY(rt_session_measure_passes(s, err));
    place(s, &memory);
    s->kept_bytes = memory.kept.bytes;
    s->cache_bytes = memory.cache.bytes;
    s->work_bytes = memory.work.bytes;
    s->run.measure = false;
    return TS_STATUS_OK;
}

size_t rt_session_kept_bytes(const ts_model *model) {
    rt_session_memory memory = {0};
    rt_session_size size = {1, 1, 1};
    void *state = calloc(1, model->arch->state_bytes);
    if (state) model->arch->place_state(model->self, &size, &memory, state);
    free(state);
    return memory.kept.bytes;
}

ts_status rt_session_measure(const ts_model *model, const ts_session_options *options, ts_plan *out,
                             ts_err *err) {
    ts_session s = {.model = model};
    ts_status status = measure(&s, options, err);
    free_host(&s);
    if (status == TS_STATUS_OK)
        *out = (ts_plan){.state_bytes = s.kept_bytes + s.cache_bytes, .work_bytes = s.work_bytes};
    return status;
}

static ts_status allocate_device(ts_session *s, ts_err *err) {
    const rt_device_ops *ops = s->run.device->ops;
    ts_err reason = {0};
    ts_status status = TS_STATUS_OK;
    if (s->kept_bytes > 0) status = ops->alloc(s->run.device, s->kept_bytes, &s->kept, &reason);
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

/* Captures a step of all sequences. Capturing runs nothing, so the buffers may hold anything. */
static ts_status capture(ts_session *s, ts_err *err) {
    ts_err reason = {0};
    for (int32_t i = 0; i < s->size.sequences; i++)
        s->segments[i] = (rt_segment){.sequence = i, .rows = 1};
    TS_TRY(rt_run_capture(&s->run, err));
    ts_status launched = rt_session_step_launches(s, s->size.sequences, &reason);
    bool failed = launched != TS_STATUS_OK; /* the capture must be ended all the same */
    ts_status ended = rt_run_captured(&s->run, &s->graph, failed ? NULL : err);
    return failed ? ts_fail(err, launched, "%s", reason.message) : ended;
}

/* ---- life ---- */

ts_status ts_session_create(ts_model *model, const ts_session_options *options, ts_session **out,
                            ts_err *err) {
    ts_session *s = calloc(1, sizeof *s);
    if (!s) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "session");
    s->model = model;
    ts_status status = measure(s, options, err);
    if (status == TS_STATUS_OK) status = allocate_device(s, err);
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
    if (ops) rt_sight_close(&s->sight, s->run.device);
    if (ops) rt_sight_close(&s->sight, s->run.device);
    if (s->graph) ops->graph_destroy(s->run.device, s->graph);
    if (s->run.stream) ops->stream_destroy(s->run.device, s->run.stream);
    if (s->work) ops->free(s->run.device, s->work);
    if (s->cache) ops->free(s->run.device, s->cache);
    if (s->kept) ops->free(s->run.device, s->kept);
    free_host(s);
    free(s);
}

static void empty(const ts_session *s, rt_sequence *q) {
    memset(q->seen, 0, (size_t)s->model->shape.vocab);
    *q = (rt_sequence){.seen = q->seen};
}

ts_status ts_session_reset(ts_session *s, ts_err *err) {
    for (int32_t i = 0; i < s->size.sequences; i++) empty(s, &s->sequences[i]);
    if (s->kept_bytes == 0) return TS_STATUS_OK;
    return s->run.device->ops->fill(s->run.device, s->run.stream, s->kept, 0, s->kept_bytes, err);
}

ts_status ts_session_reset_sequence(ts_session *s, int32_t sequence, ts_err *err) {
    const rt_arch *arch = s->model->arch;
    TS_TRY(rt_session_check_sequence(s, sequence, err));
    empty(s, &s->sequences[sequence]);
    return arch->forget ? arch->forget(s->model->self, &s->run, s->state, sequence, err)
                        : TS_STATUS_OK;
}

size_t ts_session_length(const ts_session *s) { return s->sequences[0].length; }

size_t ts_session_sequence_length(const ts_session *s, int32_t sequence) {
    return rt_session_check_sequence(s, sequence, NULL) == TS_STATUS_OK
               ? s->sequences[sequence].length
               : 0;
}
