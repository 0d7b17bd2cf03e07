/* Verifying and racing what a database holds. */
#include "bout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

bool tuner_same_code(const db_kernel *a, const db_kernel *b) {
    return a && b && strcmp(a->hash, b->hash) == 0;
}

ts_status tuner_bout_open(tuner_session *session, const char *problem, tuner_bout *out,
                          ts_err *err) {
    ts_buf text = {0}, spec = {0};
    memset(out, 0, sizeof *out);
    TS_TRY(gen_problem_parse(session->g, problem, &out->problem.problem, err));
    gen_problem_text(&out->problem.problem, &text);
    ts_buf_append(&spec, "", 0); /* the empty text, not NULL */
    gen_problem_spec(&out->problem.problem, &spec);
    out->problem.text = text.data;
    out->problem.spec = spec.data;
    if (text.failed || spec.failed)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "problem to verify");
    return TS_STATUS_OK;
}

bool tuner_bout_add(tuner_bout *bout, const db_kernel *kernel) {
    if (bout->count == TUNER_MAX_FINALISTS) return false;
    bout->kernels[bout->count++] = kernel;
    return true;
}

static bool read_built(const db_kernel *k, tuner_built *out) {
    *out = (tuner_built){.state = TUNER_BUILT_DONE, .status = "ok"};
    out->compiled.ok = true;
    ts_buf_append(&out->compiled.blob, k->blob, k->blob_bytes);
    ts_buf_printf(&out->launch, "%s", k->launch);
    return !out->compiled.blob.failed && !out->launch.failed;
}

static ts_status verify_one(tuner_session *session, tuner_bout *bout, size_t k, ts_err *err) {
    tuner_lab *lab = &session->lab;
    tuner_candidate candidate = {.problem = &bout->problem,
                                 .target = session->target,
                                 .want = TUNER_WANT_VERIFIED,
                                 .built = &bout->built[k]};
    tuner_candidate *done = NULL;
    candidate.result = (tuner_run_result){.time_us = NAN, .spread_us = NAN, .error = NAN};
    tuner_run_result_set(&candidate.result, "ok", "");
    tuner_lab_submit(lab, &candidate);
    ts_status status = tuner_lab_next(lab, &done, err);
    lab->queued = 0; /* the candidate is ours */
    if (status == TS_STATUS_OK && done && strcmp(candidate.result.status, "ok") != 0)
        snprintf(bout->reason, sizeof bout->reason, "%s: %s: %s", bout->kernels[k]->variant,
                 candidate.result.status, candidate.result.reason);
    return status;
}

ts_status tuner_bout_verify(tuner_session *session, tuner_bout *bout, size_t from, ts_err *err) {
    const char *abi = gen_family_abi(bout->problem.problem.family);
    for (size_t k = from; k < bout->count && !bout->reason[0] && !tuner_interrupted; k++) {
        const db_kernel *kernel = bout->kernels[k];
        if (strcmp(kernel->abi, abi) != 0) {
            snprintf(bout->reason, sizeof bout->reason,
                     "%s: its arguments are those of other templates; tune again", kernel->variant);
            return TS_STATUS_OK;
        }
        if (!read_built(kernel, &bout->built[k]))
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "kernel to verify");
        TS_TRY(verify_one(session, bout, k, err));
    }
    return TS_STATUS_OK;
}

ts_status tuner_bout_race(tuner_session *session, tuner_bout *bout, ts_err *err) {
    tuner_built *runners[TUNER_MAX_FINALISTS];
    if (bout->reason[0] || tuner_interrupted) return TS_STATUS_OK;
    for (size_t k = 0; k < bout->count; k++) runners[k] = &bout->built[k];
    TS_TRY(tuner_lab_race(&session->lab, &bout->problem, runners, bout->count, &bout->rounds, err));
    bout->raced = true;
    for (size_t k = 0; k < bout->count && !bout->reason[0]; k++)
        if (!bout->rounds.right[k])
            snprintf(bout->reason, sizeof bout->reason, "%s: right at first, wrong after a race",
                     bout->kernels[k]->variant);
    return TS_STATUS_OK;
}

tuner_interval tuner_bout_lag(const tuner_bout *bout, size_t a, size_t b, uint64_t seed) {
    if (!bout->raced || a >= bout->count || b >= bout->count)
        return (tuner_interval){NAN, NAN, NAN};
    tuner_interval r = tuner_race_ratio(&bout->rounds, (int)a, (int)b, seed);
    return (tuner_interval){r.median_us - 1, r.low_us - 1, r.high_us - 1};
}

double tuner_bout_us(const tuner_bout *bout, size_t k, uint64_t seed) {
    if (!bout->raced || k >= bout->count) return NAN;
    return tuner_race_interval(bout->rounds.samples_us[k], bout->rounds.counts[k], seed).median_us;
}

void tuner_bout_free(tuner_bout *bout) {
    for (size_t k = 0; k < bout->count; k++) {
        tuner_compiled_free(&bout->built[k].compiled);
        ts_buf_free(&bout->built[k].launch);
    }
    free(bout->problem.text);
    free(bout->problem.spec);
    bout->problem.text = bout->problem.spec = NULL;
}
