/* The lab's queue: rendering, compiling, running, in whatever order keeps the workers busy.
 *
 * A candidate passes through three stages: its source is compiled (or is waited for, if an equal
 * one is under way), it is run on the device if it is to be verified or timed, it is finished.
 * Nothing here decides which candidate is worth trying, and nothing here stores results. */
#include "lab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A compile takes up to some seconds; the rest is a compiler that hangs. */
static const double compile_timeout_s = 90;
/* The first run of a problem draws inputs and asks the oracle; the others only launch. */
static const double first_run_factor = 6;

void tuner_lab_init(tuner_lab *lab, const tuner_device_context *context, size_t jobs,
                    double run_timeout_s, const volatile sig_atomic_t *interrupted) {
    *lab = (tuner_lab){.g = context->g,
                       .device_context = *context,
                       .interrupted = interrupted,
                       .run_timeout_s = run_timeout_s};
    lab->jobs = jobs < 1 ? 1 : jobs > TUNER_MAX_JOBS ? TUNER_MAX_JOBS : jobs;
    tuner_worker_init(&lab->workers[0], tuner_device_serve, &lab->device_context);
    for (size_t i = 1; i <= lab->jobs; i++)
        tuner_worker_init(&lab->workers[i], tuner_compile_serve,
                          (void *)(uintptr_t)lab->device_context.scratch);
}

void tuner_lab_close(tuner_lab *lab) {
    for (size_t i = 0; i <= lab->jobs; i++) tuner_worker_stop(&lab->workers[i]);
    for (size_t i = 0; i < lab->queued; i++) tuner_candidate_free(lab->queue[i]);
    for (size_t i = 0; i < lab->built_count; i++) {
        tuner_built *built = lab->built[i];
        ts_buf_free(&built->source);
        ts_buf_free(&built->launch);
        tuner_compiled_free(&built->compiled);
        free(built);
    }
    free(lab->built);
    tuner_reply_free(&lab->reply);
}

void tuner_candidate_free(tuner_candidate *candidate) {
    if (!candidate) return;
    free(candidate->name);
    free(candidate);
}

/* ---- rendering ---- */

static tuner_built *find_built(const tuner_lab *lab, const char *signature) {
    for (size_t i = lab->built_count; i > 0; i--)
        if (strcmp(lab->built[i - 1]->signature, signature) == 0) return lab->built[i - 1];
    return NULL;
}

static tuner_built *add_built(tuner_lab *lab) {
    if (lab->built_count == lab->built_capacity) {
        size_t capacity = lab->built_capacity ? 2 * lab->built_capacity : 64;
        tuner_built **grown = realloc(lab->built, capacity * sizeof(tuner_built *));
        if (!grown) return NULL;
        lab->built = grown;
        lab->built_capacity = capacity;
    }
    tuner_built *built = calloc(1, sizeof *built);
    if (built) lab->built[lab->built_count++] = built;
    return built;
}

void tuner_signature(const char *source_hash, const char *compiler, const char *oracle_hash,
                     char out[TS_HASH_HEX]) {
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_text(&hash, source_hash);
    ts_hash_text(&hash, compiler);
    ts_hash_text(&hash, oracle_hash);
    ts_hash_final(&hash, out);
}

static void sign(tuner_candidate *candidate, const char *source_hash,
                 const tuner_compiler *compiler) {
    tuner_signature(source_hash, compiler->name,
                    gen_family_oracle_hash(candidate->problem->problem.family),
                    candidate->signature);
}

static ts_status name_candidate(tuner_candidate *candidate, ts_err *err) {
    ts_buf name = {0};
    gen_variant_name(&candidate->variant, &name);
    if (name.failed || !name.data) {
        ts_buf_free(&name);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "variant name");
    }
    free(candidate->name);
    candidate->name = name.data;
    return TS_STATUS_OK;
}

ts_status tuner_lab_prepare(tuner_lab *lab, tuner_candidate *candidate, ts_err *err) {
    const tuner_compiler *compiler = NULL;
    gen_source source = {0};
    ts_err refusal = {0};
    TS_TRY(name_candidate(candidate, err));
    TS_TRY(tuner_lab_compiler(lab, gen_target_kind(candidate->target), &compiler, err));
    if (!lab->ptx) TS_TRY(tuner_compiler_check(compiler, candidate->target, err));
    candidate->result = (tuner_run_result){.time_us = NAN, .spread_us = NAN, .error = NAN};
    tuner_run_result_set(&candidate->result, "ok", "");
    if (gen_render(lab->g, &candidate->variant, &candidate->problem->problem, candidate->target,
                   &source, &refusal) != TS_STATUS_OK) {
        /* Its source does not exist: what the family's templates say now stands for it. */
        sign(candidate, gen_family_hash(candidate->problem->problem.family), compiler);
        tuner_run_result_set(&candidate->result, "constraint", refusal.message);
        gen_source_free(&source);
        return TS_STATUS_OK;
    }
    sign(candidate, source.hash, compiler);
    candidate->built = find_built(lab, candidate->signature);
    if (!candidate->built) {
        tuner_built *built = candidate->built = add_built(lab);
        if (!built) {
            gen_source_free(&source);
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
        }
        memcpy(built->source_hash, source.hash, sizeof built->source_hash);
        memcpy(built->signature, candidate->signature, sizeof built->signature);
        built->target = candidate->target;
        built->source = source.text;
        built->launch = source.launch;
        source.text = source.launch = (ts_buf){0};
    }
    gen_source_free(&source);
    return TS_STATUS_OK;
}

void tuner_lab_submit(tuner_lab *lab, tuner_candidate *candidate) {
    candidate->running = false;
    candidate->cost_s = 0;
    if (lab->queued < TUNER_MAX_QUEUE) lab->queue[lab->queued++] = candidate;
}

bool tuner_lab_has_room(const tuner_lab *lab) {
    /* Twice the compilers, so that none waits for the device; at least a few to make a turn worth
     * it. */
    size_t wanted = 2 * lab->jobs < 8 ? 8 : 2 * lab->jobs;
    return lab->queued < (wanted < TUNER_MAX_QUEUE ? wanted : TUNER_MAX_QUEUE);
}

void tuner_lab_drop_waiting(tuner_lab *lab) {
    size_t kept = 0;
    for (size_t i = 0; i < lab->queued; i++) {
        if (lab->queue[i]->running)
            lab->queue[kept++] = lab->queue[i];
        else
            tuner_candidate_free(lab->queue[i]);
    }
    lab->queued = kept;
}

/* ---- compiling ---- */

static bool is_compiling(const tuner_lab *lab) {
    for (size_t i = 1; i <= lab->jobs; i++)
        if (lab->workers[i].busy) return true;
    return false;
}

static tuner_worker *idle_compiler(tuner_lab *lab) {
    for (size_t i = 1; i <= lab->jobs; i++)
        if (!lab->workers[i].busy) return &lab->workers[i];
    return NULL;
}

static ts_status start_compiles(tuner_lab *lab, ts_err *err) {
    ts_buf request = {0};
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < lab->queued && status == TS_STATUS_OK; i++) {
        tuner_built *built = lab->queue[i]->built;
        if (!built || built->state != TUNER_BUILT_NEW) continue;
        tuner_worker *worker = idle_compiler(lab);
        if (!worker) break;
        ts_buf_clear(&request);
        tuner_compile_put_job(&request, built->target, lab->ptx, &built->source);
        status = tuner_worker_send(worker, &request, compile_timeout_s, built, err);
        if (status != TS_STATUS_OK) break;
        built->state = TUNER_BUILT_COMPILING;
        built->started_s = tuner_now_s();
        lab->queue[i]->started_s = tuner_now_s();
    }
    ts_buf_free(&request);
    return status;
}

/* The lines of a log that say what is wrong; a log's first lines are often only "In file included".
 */
static void excerpt(const ts_buf *log, char *out, size_t bytes) {
    const char *text = log->data ? log->data : "", *at = strstr(text, "error");
    while (at && at > text && at[-1] != '\n') at--;
    snprintf(out, bytes, "%s", at ? at : text);
    for (char *c = out; *c; c++)
        if (*c == '\n') *c = ' ';
}

static void finish_compile(tuner_built *built, const tuner_reply *reply) {
    ts_err err = {0};
    built->state = TUNER_BUILT_DONE;
    built->compile_s = tuner_now_s() - built->started_s;
    ts_buf_free(&built->source);
    if (reply->outcome != TUNER_REPLY) {
        built->status = reply->outcome == TUNER_TIMEOUT ? "timeout" : "crash";
        snprintf(built->reason, sizeof built->reason, "compiler: %s", reply->detail);
        return;
    }
    ts_status status = tuner_compile_get_job(&reply->message, &built->compiled, &err);
    const tuner_compiled *compiled = &built->compiled;
    if (status != TS_STATUS_OK) {
        built->status = "compile";
        snprintf(built->reason, sizeof built->reason, "%.500s", err.message);
    } else if (!compiled->ok) {
        built->status = "compile";
        excerpt(&compiled->log, built->reason, sizeof built->reason);
    } else if (compiled->spill_bytes > 0) {
        built->status = "spill";
        snprintf(built->reason, sizeof built->reason, "%d bytes of registers spilled to memory",
                 compiled->spill_bytes);
    } else
        built->status = "ok";
    tuner_sass_count(compiled->blob.data, compiled->blob.bytes, &built->sass);
}

/* ---- running ---- */

static bool wants_device(const tuner_candidate *candidate) {
    const tuner_built *built = candidate->built;
    return candidate->want != TUNER_WANT_COMPILED && built && built->state == TUNER_BUILT_DONE &&
           strcmp(built->status, "ok") == 0;
}

/* Of the problem that is first in line: its inputs are there. NULL: nothing is ready. */
static tuner_candidate *choose_ready(const tuner_lab *lab) {
    tuner_candidate *ready[TUNER_MAX_QUEUE];
    size_t count = 0;
    for (size_t i = 0; i < lab->queued; i++)
        if (wants_device(lab->queue[i]) &&
            (count == 0 || lab->queue[i]->problem == ready[0]->problem))
            ready[count++] = lab->queue[i];
    if (count == 0) return NULL;
    return ready[lab->choose && count > 1 ? lab->choose(ready, count) : 0];
}

static ts_status start_run(tuner_lab *lab, ts_err *err) {
    tuner_candidate *next = choose_ready(lab);
    if (!next) return TS_STATUS_OK;
    tuner_worker *worker = &lab->workers[0];
    TS_TRY(tuner_worker_start(worker, err));
    bool first = next->problem->prepared != worker->starts;
    tuner_run_job job = {.problem = next->problem->text,
                         .code = {next->built->compiled.blob.data, next->built->compiled.blob.bytes,
                                  next->built->launch.data},
                         .verify_cases = !next->built->cases_verified,
                         .verify_bench = true,
                         .time = next->want == TUNER_WANT_TIMED,
                         .best_us = next->best_us};
    ts_buf request = {0};
    tuner_device_put_run(&request, &job);
    next->started_s = tuner_now_s();
    double timeout_s = lab->run_timeout_s * (first ? first_run_factor : 1);
    ts_status status = tuner_worker_send(worker, &request, timeout_s, next, err);
    ts_buf_free(&request);
    if (status == TS_STATUS_OK) {
        next->running = true;
        next->problem->prepared = worker->starts;
    }
    return status;
}

static tuner_candidate *take_from_queue(tuner_lab *lab, size_t index) {
    tuner_candidate *candidate = lab->queue[index];
    memmove(&lab->queue[index], &lab->queue[index + 1],
            (lab->queued - index - 1) * sizeof *lab->queue);
    lab->queued--;
    return candidate;
}

static tuner_candidate *finish_run(tuner_lab *lab, tuner_candidate *candidate) {
    const tuner_reply *reply = &lab->reply;
    tuner_run_result *result = &candidate->result;
    ts_err err = {0};
    candidate->running = false;
    double took_s = tuner_now_s() - candidate->started_s;
    candidate->cost_s += took_s;
    lab->busy_s += took_s;
    if (reply->outcome != TUNER_REPLY) {
        tuner_run_result_set(result, reply->outcome == TUNER_TIMEOUT ? "timeout" : "crash",
                             reply->detail);
    } else if (tuner_device_get_run(&reply->message, result, &err) != TS_STATUS_OK) {
        tuner_run_result_set(result, "launch", err.message);
        tuner_worker_stop(&lab->workers[0]); /* it could not even set the trial up: a new one may */
    } else {
        lab->prepare_s += result->prepare_s;
        if (result->leaving) tuner_worker_stop(&lab->workers[0]);
        if (strcmp(result->status, "ok") == 0 || strcmp(result->status, "slow") == 0)
            candidate->built->cases_verified = true;
    }
    for (size_t i = 0; i < lab->queued; i++)
        if (lab->queue[i] == candidate) return take_from_queue(lab, i);
    return candidate;
}

/* ---- the loop ---- */

/* A candidate that needs nothing more: refused by its template or compiler, or wanted only
 * compiled. */
static tuner_candidate *take_finished(tuner_lab *lab) {
    for (size_t i = 0; i < lab->queued; i++) {
        tuner_candidate *candidate = lab->queue[i];
        const tuner_built *built = candidate->built;
        if (built && (built->state != TUNER_BUILT_DONE || wants_device(candidate))) continue;
        if (built && strcmp(built->status, "ok") != 0)
            tuner_run_result_set(&candidate->result, built->status, built->reason);
        return take_from_queue(lab, i);
    }
    return NULL;
}

static bool waits_for_compiler(const tuner_lab *lab) {
    for (size_t i = 0; i < lab->queued; i++)
        if (lab->queue[i]->built && lab->queue[i]->built->state != TUNER_BUILT_DONE) return true;
    return false;
}

static bool waits_for_device(const tuner_lab *lab) {
    for (size_t i = 0; i < lab->queued; i++)
        if (wants_device(lab->queue[i])) return true;
    return false;
}

static ts_status dispatch(tuner_lab *lab, ts_err *err) {
    /* Turns: all queued sources are compiled, then all of them run, then the next are compiled. */
    if (lab->running_turn && !waits_for_device(lab)) lab->running_turn = false;
    if (!lab->running_turn && !waits_for_compiler(lab)) lab->running_turn = true;
    bool may_compile = !lab->exclusive || !lab->running_turn;
    bool may_run = !lab->exclusive || (lab->running_turn && !is_compiling(lab));
    if (may_compile) TS_TRY(start_compiles(lab, err));
    if (may_run && !lab->workers[0].busy) TS_TRY(start_run(lab, err));
    return TS_STATUS_OK;
}

static void share_compile_cost(tuner_lab *lab, const tuner_built *built) {
    for (size_t i = 0; i < lab->queued; i++) {
        tuner_candidate *candidate = lab->queue[i];
        if (candidate->built != built || candidate->started_s <= 0) continue;
        candidate->cost_s += (tuner_now_s() - candidate->started_s) / (double)lab->jobs;
        return;
    }
}

ts_status tuner_lab_next(tuner_lab *lab, tuner_candidate **out, ts_err *err) {
    *out = NULL;
    while (lab->queued > 0 && !*lab->interrupted) {
        if ((*out = take_finished(lab))) return TS_STATUS_OK;
        TS_TRY(dispatch(lab, err));
        if (!tuner_workers_wait(lab->workers, lab->jobs + 1, 500, &lab->reply)) continue;
        if (lab->reply.worker == &lab->workers[0]) {
            *out = finish_run(lab, lab->reply.tag);
            /* The device goes on while the caller stores the result and thinks about the next one. What
             * fails here fails again in the next call, which has no candidate to hand out. */
            dispatch(lab, NULL);
            return TS_STATUS_OK;
        }
        finish_compile(lab->reply.tag, &lab->reply);
        share_compile_cost(lab, lab->reply.tag);
    }
    return TS_STATUS_OK;
}
