/* --bench: load, prefill and decode as a user meets them: the session's own chunks, the choice of
 * each token included and waited for. Prefill counts until the first token is there. Prompts are the
 * given one, else made-up ids of two lengths.
 *
 * Every figure is the median of several runs after runs that only warm up. Decoding is compared with
 * a limit: no step can be faster than copying its bytes (weights read, state read and written).
 *
 * With --profile one run, after one that warms up, is taken apart in place of all that.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../db/base.h"
#include "../copy_speed.h"
#include "../image/image.h"
#include "../model/engine.h"
#include "infer.h"

enum { NEW_TOKENS = 128, LEAST_RUNS = 3, MOST_RUNS = 15, MOST_CONTEXT = 8192 };
enum { BATCH = 8, BATCH_PROMPT = 64 };

static const int32_t made_up_lengths[] = {512, 2048};
static const int32_t made_up_sides[] = {448, 1008, 2016}; /* pixels */
static const double WARM_S = 0.3;                         /* a GPU's clocks have settled by then */
static const double ENOUGH_S = 5;                         /* no more runs of a figure after this */

typedef struct bench {
    infer *in;
    ts_session *session, *batch;
    ts_sampler *sampler;
    int32_t steps;
} bench;

typedef struct runs {
    double seconds[MOST_RUNS];
    int count;
} runs;

/* One run: *seconds is what it took. */
typedef ts_status (*run_once)(bench *b, const infer_prompt *prompt, double *seconds, ts_err *err);

/* The prompt until its first token is there. */
static ts_status run_prefill(bench *b, const infer_prompt *prompt, double *seconds, ts_err *err) {
    int32_t id;
    TS_TRY(ts_session_reset(b->session, err));
    double begin = infer_now();
    TS_TRY(infer_prompt_feed(prompt, b->session, NULL, err));
    TS_TRY(ts_session_next(b->session, b->sampler, &id, err));
    *seconds = infer_now() - begin;
    return TS_STATUS_OK;
}

/* `steps` more tokens. */
static ts_status run_decode(bench *b, const infer_prompt *prompt, double *seconds, ts_err *err) {
    (void)prompt;
    int32_t id;
    double begin = infer_now();
    for (int32_t i = 0; i < b->steps; i++)
        TS_TRY(ts_session_next(b->session, b->sampler, &id, err));
    *seconds = infer_now() - begin;
    return TS_STATUS_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Warms up, then runs until there are enough; *out is sorted. */
static ts_status measure(bench *b, run_once once, const infer_prompt *prompt, runs *out,
                         ts_err *err) {
    double seconds, begin = infer_now();
    do {
        TS_TRY(once(b, prompt, &seconds, err));
    } while (infer_now() - begin < WARM_S);
    begin = infer_now();
    out->count = 0;
    while (out->count < LEAST_RUNS || (out->count < MOST_RUNS && infer_now() - begin < ENOUGH_S)) {
        TS_TRY(once(b, prompt, &out->seconds[out->count], err));
        out->count++;
    }
    qsort(out->seconds, (size_t)out->count, sizeof *out->seconds, ascending);
    return TS_STATUS_OK;
}

static double median(const runs *r) {
    return (r->seconds[(r->count - 1) / 2] + r->seconds[r->count / 2]) / 2;
}

/* Range of the runs as a share of their median. */
static double spread(const runs *r) {
    return (r->seconds[r->count - 1] - r->seconds[0]) / median(r);
}

/* ---- figures ---- */

/* One line: the object as it is, or the text made from it. Takes the object. */
static void print_figure(const bench *b, json_t *object, const char *text) {
    char *line = b->in->options->json ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7))
                                      : NULL;
    puts(line ? line : text);
    fflush(stdout);
    free(line);
    json_decref(object);
}

static void print_load(const bench *b) {
    char text[160];
    ts_device *device = ts_engine_device(b->in->engine);
    ts_model_info info = ts_model_describe(b->in->model);
    snprintf(text, sizeof text, "load     %.3f s", b->in->load_s);
    print_figure(b,
                 json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s, s:b, s:I, s:f}", "figure", "load",
                           "device", device->info.name, "target", device->info.target, "driver",
                           device->info.driver[0] ? device->info.driver : NULL, "model_type",
                           info.model_type, "dtype", ts_dtype_name(info.dtype), "random_weights",
                           b->in->options->random_weights, "weight_bytes",
                           (json_int_t)info.weight_bytes, "load_s", b->in->load_s),
                 text);
}

static ts_status bench_prefill(bench *b, const infer_prompt *prompt, ts_err *err) {
    char text[160];
    runs r;
    TS_TRY(measure(b, run_prefill, prompt, &r, err));
    double rate = (double)prompt->count / median(&r);
    snprintf(text, sizeof text, "prefill  %zu tokens, %.1f tok/s", prompt->count, rate);
    print_figure(b,
                 json_pack("{s:s, s:I, s:f, s:f, s:i, s:f}", "figure", "prefill", "prefill_tokens",
                           (json_int_t)prompt->count, "prefill_tokens_per_s", rate, "prefill_s",
                           median(&r), "runs", r.count, "spread", spread(&r)),
                 text);
    return TS_STATUS_OK;
}

static ts_status bench_decode(bench *b, ts_err *err) {
    char text[240];
    runs r;
    double copy_gbytes = 0;
    ts_device *device = ts_engine_device(b->in->engine);
    size_t bytes = ts_model_describe(b->in->model).step_bytes;
    TS_TRY(measure(b, run_decode, NULL, &r, err));
    TS_TRY(rt_copy_speed(device, NULL, &copy_gbytes, err));
    double step_s = median(&r) / b->steps, limit_s = (double)bytes * 1e-9 / copy_gbytes;
    snprintf(text, sizeof text,
             "decode   %d tokens, %.1f tok/s, %.1f us a token\n"
             "limit    %.1f MB a token, copied at %.1f GB/s: %.1f tok/s; %.1f %% of it reached",
             b->steps, 1 / step_s, step_s * 1e6, (double)bytes * 1e-6, copy_gbytes, 1 / limit_s,
             limit_s / step_s * 100);
    print_figure(b,
                 json_pack("{s:s, s:i, s:f, s:f, s:I, s:f, s:f, s:f, s:i, s:f}", "figure", "decode",
                           "decode_tokens", b->steps, "decode_tokens_per_s", 1 / step_s,
                           "us_per_token", step_s * 1e6, "bytes_per_token", (json_int_t)bytes,
                           "copy_gbytes_per_s", copy_gbytes, "limit_tokens_per_s", 1 / limit_s,
                           "share_of_limit", limit_s / step_s, "runs", r.count, "spread",
                           spread(&r)),
                 text);
    return TS_STATUS_OK;
}

/* The vision tower alone. */
static ts_status run_vision(bench *b, const infer_prompt *prompt, double *seconds, ts_err *err) {
    double begin = infer_now();
    TS_TRY(rt_session_see(b->session, prompt->media.items, prompt->media.count, err));
    *seconds = infer_now() - begin;
    return TS_STATUS_OK;
}

static ts_status bench_vision(bench *b, const infer_prompt *prompt, double *seconds, ts_err *err) {
    char text[160];
    runs r;
    const ts_medium *m = prompt->media.items;
    int64_t patches = (int64_t)m->t * m->h * m->w;
    TS_TRY(measure(b, run_vision, prompt, &r, err));
    snprintf(text, sizeof text, "vision   %lld patches, %.2f ms", (long long)patches,
             median(&r) * 1e3);
    print_figure(b,
                 json_pack("{s:s, s:I, s:f, s:i, s:f}", "figure", "vision", "patches",
                           (json_int_t)patches, "vision_s", median(&r), "runs", r.count, "spread",
                           spread(&r)),
                 text);
    *seconds = median(&r);
    return TS_STATUS_OK;
}

/* ---- what is measured ---- */

/* Ids spread over the vocabulary, the same every time. */
static ts_status invent_prompt(infer_prompt *out, int32_t length, int32_t vocab, ts_err *err) {
    *out = (infer_prompt){.ids = malloc((size_t)length * sizeof *out->ids),
                          .count = (size_t)length};
    if (!out->ids) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "prompt");
    for (int32_t i = 0; i < length; i++) out->ids[i] = (int32_t)((int64_t)i * 7919 % vocab);
    return TS_STATUS_OK;
}

/* An image of `side` x `side` made-up pixels, asked about with a few ids. */
static ts_status invent_look(infer_prompt *out, const ts_model *model, int32_t side, ts_err *err) {
    enum { WORDS = 32 };
    const rt_media_ids *names = rt_model_media_ids(model);
    rt_processor processor = rt_processor_defaults();
    rt_grid grid = {1, side / processor.patch, side / processor.patch};
    size_t tokens = rt_grid_tokens(&processor, grid);
    TS_TRY(invent_prompt(out, (int32_t)tokens + 2 + WORDS, names->vision_start, err));
    out->ids[0] = names->vision_start;
    for (size_t i = 0; i < tokens; i++) out->ids[i + 1] = names->image;
    out->ids[tokens + 1] = names->vision_end;
    TS_TRY(infer_media_allocate(&out->media, 1, rt_processor_row_floats(&processor), err));
    TS_TRY(infer_media_take_rows(&out->media, 0, grid, "made-up image", err));
    size_t floats = rt_grid_rows(grid) * out->media.row_floats;
    for (size_t i = 0; i < floats; i++) out->media.rows[0][i] = (float)(i * 7919 % 8191) / 4096 - 1;
    out->media.count = 1;
    return TS_STATUS_OK;
}

static ts_status bench_looks(bench *b, ts_err *err) {
    if (!rt_model_media_ids(b->in->model)) return TS_STATUS_OK;
    double seconds = 0;
    /* A larger image takes at least four times as long: where that is no use, it is left out. */
    for (size_t i = 0; i < sizeof made_up_sides / sizeof *made_up_sides && seconds < 1; i++) {
        infer_prompt prompt = {0};
        ts_status status = invent_look(&prompt, b->in->model, made_up_sides[i], err);
        if (status == TS_STATUS_OK) status = bench_vision(b, &prompt, &seconds, err);
        if (status == TS_STATUS_OK) status = bench_prefill(b, &prompt, err);
        infer_prompt_free(&prompt);
        TS_TRY(status);
    }
    return TS_STATUS_OK;
}

/* NaN is often faster or slower than numbers: figures of it would mean nothing. */
static ts_status check_finite(bench *b, ts_err *err) {
    const float *logits;
    TS_TRY(ts_session_logits(b->session, &logits, err));
    int32_t vocab = ts_model_describe(b->in->model).vocab;
    for (int32_t i = 0; i < vocab; i++) {
        if (!isfinite(logits[i]))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "the logit of id %d is not finite: no speed is told for such a model",
                           i);
    }
    return TS_STATUS_OK;
}

/* Made-up ids stay below those with a meaning of their own. */
static int32_t plain_ids(const ts_model *model) {
    const rt_media_ids *names = rt_model_media_ids(model);
    return names ? names->vision_start : ts_model_describe(model).vocab;
}

static ts_status bench_prompts(bench *b, const infer_prompt *given, ts_err *err) {
    int32_t vocab = plain_ids(b->in->model);
    if (given->ids || given->vectors) return bench_prefill(b, given, err);
    for (size_t i = 0; i < sizeof made_up_lengths / sizeof *made_up_lengths; i++) {
        infer_prompt prompt;
        TS_TRY(invent_prompt(&prompt, made_up_lengths[i], vocab, err));
        ts_status status = bench_prefill(b, &prompt, err);
        infer_prompt_free(&prompt);
        TS_TRY(status);
    }
    return TS_STATUS_OK;
}

/* ---- several sequences at once ---- */

/* The steps of BATCH sequences that have just read their prompts, greedily. */
static ts_status run_batch(bench *b, const infer_prompt *prompt, double *seconds, ts_err *err) {
    ts_prompt prompts[BATCH];
    int32_t sequences[BATCH], ids[BATCH];
    for (int32_t i = 0; i < BATCH; i++) {
        prompts[i] = (ts_prompt){.sequence = i, .ids = prompt->ids, .count = prompt->count};
        sequences[i] = i;
    }
    TS_TRY(ts_session_reset(b->batch, err));
    TS_TRY(ts_session_prefill_batch(b->batch, prompts, BATCH, err));
    TS_TRY(ts_session_next_batch(b->batch, sequences, BATCH, NULL, ids, err));
    double begin = infer_now();
    for (int32_t i = 0; i < b->steps; i++)
        TS_TRY(ts_session_next_batch(b->batch, sequences, BATCH, NULL, ids, err));
    *seconds = infer_now() - begin;
    return TS_STATUS_OK;
}

static ts_status bench_batch(bench *b, ts_err *err) {
    char text[160];
    runs r;
    infer_prompt prompt = {0};
    ts_session_options options = infer_session(b->in);
    options.sequences = BATCH;
    if (ts_model_describe(b->in->model).context > 0) options.context = BATCH_PROMPT + b->steps + 1;
    TS_TRY(ts_session_create(b->in->model, &options, &b->batch, err));
    ts_status status = invent_prompt(&prompt, BATCH_PROMPT, plain_ids(b->in->model), err);
    if (status == TS_STATUS_OK) status = measure(b, run_batch, &prompt, &r, err);
    infer_prompt_free(&prompt);
    TS_TRY(status);
    double rate = (double)BATCH * b->steps / median(&r);
    snprintf(text, sizeof text, "batch    %d sequences of %d tokens, %.1f tok/s", BATCH, b->steps,
             rate);
    print_figure(b,
                 json_pack("{s:s, s:i, s:i, s:f, s:i, s:f}", "figure", "batch", "sequences", BATCH,
                           "decode_tokens", b->steps, "decode_tokens_per_s", rate, "runs", r.count,
                           "spread", spread(&r)),
                 text);
    return TS_STATUS_OK;
}

/* The prompt and all steps, watched. */
static ts_status profile_prompt(bench *b, const infer_prompt *prompt, ts_err *err) {
    double seconds;
    rt_profile *profile = b->in->profile;
    TS_TRY(run_prefill(b, prompt, &seconds, err));
    TS_TRY(run_decode(b, NULL, &seconds, err));
    rt_profile_resume(profile);
    TS_TRY(run_prefill(b, prompt, &seconds, err));
    TS_TRY(run_decode(b, NULL, &seconds, err));
    return infer_profile_report(b->in, prompt, (size_t)b->steps + 1, err);
}

/* The given prompt, else a made-up image with a question, else made-up ids. */
static ts_status profile_bench(bench *b, const infer_prompt *given, ts_err *err) {
    enum { SIDE = 1008, LENGTH = 512 };
    infer_prompt made_up = {0};
    if (given->ids || given->vectors) return profile_prompt(b, given, err);
    TS_TRY(rt_model_media_ids(b->in->model)
               ? invent_look(&made_up, b->in->model, SIDE, err)
               : invent_prompt(&made_up, LENGTH, plain_ids(b->in->model), err));
    ts_status status = profile_prompt(b, &made_up, err);
    infer_prompt_free(&made_up);
    return status;
}

static ts_status run_bench(bench *b, const infer_prompt *given, ts_err *err) {
    ts_session_options options = infer_session(b->in);
    ts_sampler_options sampling = infer_sampling(b->in->options, b->in->model);
    /* Room for the longest prompt and all runs of decoding. */
    options.context = ts_model_describe(b->in->model).context;
    if (options.context > MOST_CONTEXT) options.context = MOST_CONTEXT;
    TS_TRY(ts_sampler_create(&sampling, ts_model_describe(b->in->model).vocab, &b->sampler, err));
    TS_TRY(ts_session_create(b->in->model, &options, &b->session, err));
    if (b->in->profile) return profile_bench(b, given, err);
    print_load(b);
    if (!given->ids && !given->vectors) TS_TRY(bench_looks(b, err));
    TS_TRY(bench_prompts(b, given, err));
    TS_TRY(check_finite(b, err));
    TS_TRY(bench_batch(b, err));
    TS_TRY(bench_decode(b, err));
    return check_finite(b, err);
}

int infer_bench(infer *in) {
    bench b = {.in = in,
               .steps = in->options->new_tokens > 0 ? in->options->new_tokens : NEW_TOKENS};
    infer_prompt given = {0};
    ts_err err = {0};
    int status = EXIT_DONE;
    if (in->options->profile && infer_profile_open(in, &err) != TS_STATUS_OK)
        return infer_fail(&err);
    if (!infer_prompt_make(in, &given, &status)) return status;
    if (run_bench(&b, &given, &err) != TS_STATUS_OK) status = infer_fail(&err);
    ts_session_close(b.batch);
    ts_session_close(b.session);
    ts_sampler_close(b.sampler);
    infer_prompt_free(&given);
    return status;
}
