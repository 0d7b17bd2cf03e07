/* The device worker: one device, one stream, one request at a time.
 *
 * What a candidate can break is this process. After a failed launch the device is asked for a sign
 * of life; if there is none (CUDA errors of a context are sticky) the worker answers and ends.
 * Verification comes before timing: a kernel that computes nonsense is not timed. */
#include "device_worker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/copy_speed.h"
#include "../runtime/tunesmith_kernels.h"
#include "bench_cache.h"
#include "neighbours.h"
#include "oracle.h"
#include "race.h"

typedef struct server {
    const tuner_device_context *context;
    ts_device *device; /* NULL: not opened yet */
    void *stream;
    tuner_nvml nvml; /* zero: nothing is known of the card */
    tuner_bench_cache cache;
    bool leaving;
} server;

/* What may be kept prepared: a third of the device's free memory, and an eighth of the host's, since a
 * bench has its inputs and the expected values there, as doubles. */
static int64_t bench_bytes(int64_t free_bytes) {
    int64_t host = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 8;
    return free_bytes / 3 < host ? free_bytes / 3 : host;
}

static ts_status open_device(server *s, ts_err *err) {
    if (s->device) return TS_STATUS_OK;
    int64_t free_bytes = 0, total_bytes = 0;
    TS_TRY(ts_device_open(s->context->device, 0, &s->device, err));
    TS_TRY(s->device->ops->stream_create(s->device, &s->stream, err));
    TS_TRY(s->device->ops->memory_info(s->device, &free_bytes, &total_bytes, err));
    tuner_nvml_open(s->device->info.bus_id, &s->nvml);
    s->cache = (tuner_bench_cache){.context = s->context,
                                   .device = s->device,
                                   .nvml = &s->nvml,
                                   .stream = s->stream,
                                   .max_bytes = bench_bytes(free_bytes)};
    return TS_STATUS_OK;
}

static void put_status(ts_buf *answer, ts_status status, const ts_err *err) {
    tuner_put_u64(answer, (uint64_t)status);
    tuner_put_text(answer, status == TS_STATUS_OK ? "" : err->message);
}

static void answer_hello(server *s, tuner_reader *request, ts_buf *answer) {
    (void)request;
    ts_err err = {0};
    ts_status status = open_device(s, &err);
    put_status(answer, status, &err);
    if (status != TS_STATUS_OK) return;
    tuner_device_facts facts;
    memset(&facts, 0, sizeof facts);
    facts.info = s->device->info;
    for (size_t i = 0; i < 8 && s->device->targets[i]; i++, facts.target_count++)
        snprintf(facts.targets[i], sizeof facts.targets[i], "%s", s->device->targets[i]);
    tuner_neighbours(facts.info.bus_id, facts.notice, sizeof facts.notice);
    tuner_put_bytes(answer, &facts, sizeof facts);
}

static void answer_limit(server *s, tuner_reader *request, ts_buf *answer) {
    (void)request;
    ts_err err = {0};
    double gbytes = 0;
    ts_status status = open_device(s, &err);
    if (status == TS_STATUS_OK) status = rt_copy_speed(s->device, s->stream, &gbytes, &err);
    put_status(answer, status, &err);
    if (status == TS_STATUS_OK) tuner_put_bytes(answer, &gbytes, sizeof gbytes);
}

/* ---- one candidate ---- */

static const char *const verdict_status[] = {[TUNER_RIGHT] = "ok",
                                             [TUNER_WRONG] = "wrong",
                                             [TUNER_LAUNCH_FAILED] = "launch",
                                             [TUNER_CRASHED] = "crash"};

/* The problem, and what else of the case makes its tensors: enough to find it in cases.lua. */
static void say_case(const gen_case *test, ts_buf *out) {
    const struct {
        const char *name, *value;
    } parts[] = {
        {"pad", test->pad}, {"init", test->init}, {"omit", test->omit}, {"alias", test->alias}};
    gen_problem_text(&test->problem, out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (*parts[i].value) ts_buf_printf(out, " %s=(%s)", parts[i].name, parts[i].value);
}

/* Every trial of the bench; stops at the first that fails, whose case the reason names. */
static void verify(tuner_bench *bench, const ts_kernel *kernel, bool whole,
                   tuner_run_result *result) {
    for (size_t i = 0; i < bench->count && strcmp(result->status, "ok") == 0; i++) {
        ts_buf message = {0}, where = {0};
        double error = NAN;
        tuner_verdict verdict = tuner_rig_verify(bench->rigs[i], kernel, whole, &message, &error);
        if (!isnan(error) && !(error <= result->error))
            result->error = error; /* also replaces the first NaN */
        if (verdict != TUNER_RIGHT) {
            say_case(&bench->trials[i]->test, &where);
            ts_buf_printf(&where, ": %s", message.data ? message.data : "");
            tuner_run_result_set(result, verdict_status[verdict], where.data ? where.data : "");
        }
        ts_buf_free(&message);
        ts_buf_free(&where);
    }
}

static bool is_warm(const tuner_rig *rig) {
    return gen_family_is_warm(rig->trial->test.problem.family);
}

static void write_evidence(const tuner_rig *rig, const tuner_timing *t, tuner_run_result *result) {
    ts_buf text = {0};
    tuner_conditions_text(&t->conditions, is_warm(rig), &text);
    ts_buf_printf(&text, ",\"input_copies\":%zu,\"image_bytes\":%zu,\"samples_us\":[",
                  rig->slab_count, rig->trial->image_bytes);
    for (int i = 0; i < t->samples; i++)
        ts_buf_printf(&text, "%s%.5g", i ? "," : "", t->samples_us[i]);
    ts_buf_printf(&text, "]");
    if (!text.failed && text.bytes < sizeof result->evidence)
        memcpy(result->evidence, text.data, text.bytes + 1);
    ts_buf_free(&text);
}

static void time_candidate(tuner_rig *rig, const ts_kernel *kernel, double best_us,
                           tuner_run_result *result) {
    ts_err err = {0};
    tuner_timing timing;
    if (tuner_time(rig, kernel, best_us, &timing, &err) != TS_STATUS_OK) {
        tuner_run_result_set(result, "launch", err.message);
        return;
    }
    result->time_us = timing.time_us;
    result->spread_us = timing.spread_us;
    result->samples = timing.samples;
    write_evidence(rig, &timing, result);
    if (timing.slow)
        tuner_run_result_set(result, "slow", "given up early: far slower than the best so far");
}

/* Adds the time since *at to *seconds and moves *at to now. */
static void lap(double *at, double *seconds) {
    double now_s = tuner_now_s();
    *seconds += now_s - *at;
    *at = now_s;
}

static ts_status run_candidate(server *s, const gen_problem *problem, const tuner_run_job *job,
                               const ts_kernel *kernel, tuner_run_result *result, ts_err *err) {
    tuner_bench *bench = NULL;
    double at = tuner_now_s();
    if (job->verify_cases) {
        TS_TRY(tuner_bench_cases(&s->cache, problem, &bench, err));
        lap(&at, &result->prepare_s);
        verify(bench, kernel, true, result);
        lap(&at, &result->verify_s);
    }
    if (strcmp(result->status, "ok") != 0 || !(job->verify_bench || job->time)) return TS_STATUS_OK;
    TS_TRY(tuner_bench_problem(&s->cache, problem, &bench, err));
    lap(&at, &result->prepare_s);
    if (job->verify_bench) verify(bench, kernel, false, result);
    lap(&at, &result->verify_s);
    if (job->time && strcmp(result->status, "ok") == 0)
        time_candidate(bench->rigs[0], kernel, job->best_us, result);
    lap(&at, &result->measure_s);
    return TS_STATUS_OK;
}

static tuner_kernel_code read_code(tuner_reader *request) {
    tuner_kernel_code code = {.launch = tuner_get_text(request)};
    code.blob = tuner_get_bytes(request, &code.blob_bytes);
    return code;
}

static void answer_run(server *s, tuner_reader *request, ts_buf *answer) {
    ts_err err = {0};
    gen_problem problem;
    ts_kernel *kernel = NULL;
    tuner_run_result result;
    memset(&result, 0, sizeof result);
    result.time_us = result.spread_us = result.error = NAN;
    tuner_run_result_set(&result, "ok", "");
    tuner_run_job job = {.problem = tuner_get_text(request)};
    job.verify_cases = tuner_get_u64(request) != 0;
    job.verify_bench = tuner_get_u64(request) != 0;
    job.time = tuner_get_u64(request) != 0;
    job.best_us = tuner_get_f64(request);
    job.code = read_code(request);
    ts_status status = open_device(s, &err);
    if (status == TS_STATUS_OK)
        status = gen_problem_parse(s->context->g, job.problem, &problem, &err);
    if (status == TS_STATUS_OK) {
        ts_status loaded = rt_kernel_create(s->device, job.code.blob, job.code.blob_bytes,
                                            job.code.launch, &kernel, &err);
        if (loaded != TS_STATUS_OK)
            tuner_run_result_set(&result, "launch", err.message);
        else
            status = run_candidate(s, &problem, &job, kernel, &result, &err);
    }
    bool failed = strcmp(result.status, "launch") == 0 || strcmp(result.status, "crash") == 0;
    if (failed && s->device->ops->sync(s->device, s->stream, NULL) != TS_STATUS_OK)
        s->leaving = true;
    if (strcmp(result.status, "crash") == 0 || status == TS_STATUS_DEVICE) s->leaving = true;
    result.leaving = s->leaving;
    rt_kernel_destroy(kernel);
    put_status(answer, status, &err);
    tuner_put_bytes(answer, &result, sizeof result);
}

/* ---- a race ---- */

static void answer_race(server *s, tuner_reader *request, ts_buf *answer) {
    ts_err err = {0};
    gen_problem problem;
    ts_kernel *kernels[TUNER_MAX_FINALISTS] = {0};
    static tuner_rounds rounds;
    tuner_bench *bench = NULL;
    memset(&rounds, 0, sizeof rounds);
    const char *text = tuner_get_text(request);
    size_t count = (size_t)tuner_get_u64(request);
    ts_status status = open_device(s, &err);
    if (status == TS_STATUS_OK) status = gen_problem_parse(s->context->g, text, &problem, &err);
    for (size_t i = 0; i < count && i < TUNER_MAX_FINALISTS && status == TS_STATUS_OK; i++) {
        tuner_kernel_code code = read_code(request);
        status = rt_kernel_create(s->device, code.blob, code.blob_bytes, code.launch, &kernels[i],
                                  &err);
    }
    if (status == TS_STATUS_OK) status = tuner_bench_problem(&s->cache, &problem, &bench, &err);
    if (status == TS_STATUS_OK)
        status = tuner_time_race(bench->rigs[0], (const ts_kernel *const *)kernels, count, &rounds,
                                 &err);
    if (status != TS_STATUS_OK) s->leaving = true; /* the context may be lost */
    for (size_t i = 0; i < TUNER_MAX_FINALISTS; i++) rt_kernel_destroy(kernels[i]);
    put_status(answer, status, &err);
    tuner_put_bytes(answer, &rounds, sizeof rounds);
}

/* ---- a lookup, as an application makes it ---- */

static void answer_lookup(server *s, tuner_reader *request, ts_buf *answer) {
    ts_err err = {0};
    ts_kernels *kernels = NULL;
    const ts_kernel *kernel = NULL;
    const char *database = tuner_get_text(request), *problem = tuner_get_text(request);
    ts_status status = open_device(s, &err);
    if (status == TS_STATUS_OK) status = ts_kernels_open(s->device, database, &kernels, &err);
    if (status == TS_STATUS_OK) status = ts_kernel_find(kernels, problem, &kernel, &err);
    put_status(answer, status, &err);
    if (status == TS_STATUS_OK) tuner_put_text(answer, ts_kernel_variant(kernel));
    ts_kernels_close(kernels);
}

static void (*const answers[])(server *, tuner_reader *,
                               ts_buf *) = {[TUNER_ASK_HELLO] = answer_hello,
                                            [TUNER_ASK_LIMIT] = answer_limit,
                                            [TUNER_ASK_RUN] = answer_run,
                                            [TUNER_ASK_RACE] = answer_race,
                                            [TUNER_ASK_LOOKUP] = answer_lookup};

void tuner_device_serve(int fd, void *context) {
    server s = {.context = context};
    ts_buf request = {0}, answer = {0};
    while (!s.leaving && tuner_channel_receive(fd, 0, &request, NULL) == TS_STATUS_OK) {
        tuner_reader reader = tuner_read(&request);
        ts_buf_clear(&answer);
        answers[tuner_get_u64(&reader)](&s, &reader, &answer);
        if (tuner_channel_send(fd, &answer, NULL) != TS_STATUS_OK) break;
    }
    ts_buf_free(&request);
    ts_buf_free(&answer);
    if (s.leaving) return; /* freeing through a lost context may hang */
    tuner_bench_cache_free(&s.cache);
    tuner_nvml_close(&s.nvml);
    if (s.stream) s.device->ops->stream_destroy(s.device, s.stream);
    ts_device_close(s.device);
}
