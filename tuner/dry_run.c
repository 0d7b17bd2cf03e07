/* Every variant of every specialization through the compiler, one line each, in the order they
 * finish. */
#include "dry_run.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "report.h"

static ts_status report_next(tuner_session *s, int *exit_code, bool *idle, ts_err *err) {
    tuner_candidate *candidate = NULL;
    TS_TRY(tuner_lab_next(&s->lab, &candidate, err));
    *idle = candidate == NULL;
    if (!candidate) return TS_STATUS_OK;
    tuner_report_compiled(candidate, s->options->json);
    bool is_default = candidate->index == 0;
    if (is_default && strcmp(candidate->result.status, "ok") != 0) *exit_code = TUNER_EXIT_FAILED;
    tuner_candidate_free(candidate);
    return TS_STATUS_OK;
}

static ts_status submit(tuner_session *s, tuner_problem *problem, const gen_variant *variant,
                        size_t index, ts_err *err) {
    tuner_candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
    candidate->problem = problem;
    candidate->target = s->target;
    candidate->variant = *variant;
    candidate->want = TUNER_WANT_COMPILED;
    candidate->index = index;
    ts_status status = tuner_lab_prepare(&s->lab, candidate, err);
    if (status == TS_STATUS_OK)
        tuner_lab_submit(&s->lab, candidate);
    else
        tuner_candidate_free(candidate);
    return status;
}

static ts_status list_problem(tuner_session *s, tuner_problem *problem, int *exit_code,
                              ts_err *err) {
    gen_variant *variants = NULL;
    size_t count = 0;
    bool idle = false;
    ts_status status = gen_enumerate(s->g, &problem->problem, s->target, &variants, &count, err);
    for (size_t i = 0; i < count && status == TS_STATUS_OK && !tuner_interrupted; i++) {
        while (!tuner_lab_has_room(&s->lab) && status == TS_STATUS_OK && !tuner_interrupted)
            status = report_next(s, exit_code, &idle, err);
        if (status == TS_STATUS_OK) status = submit(s, problem, &variants[i], i, err);
    }
    free(variants);
    return status;
}

/* Problems that differ only in extents have the same kernels. */
static bool is_listed(const tuner_selection *selection, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (selection->problems[i].problem.family == selection->problems[index].problem.family &&
            strcmp(selection->problems[i].spec, selection->problems[index].spec) == 0)
            return true;
    return false;
}

ts_status tuner_dry_run(tuner_session *s, int *exit_code, ts_err *err) {
    bool idle = false;
    *exit_code = TUNER_EXIT_OK;
    for (size_t i = 0; i < s->selection.count && !tuner_interrupted; i++)
        if (!is_listed(&s->selection, i))
            TS_TRY(list_problem(s, &s->selection.problems[i], exit_code, err));
    while (!idle) TS_TRY(report_next(s, exit_code, &idle, err));
    if (tuner_interrupted) *exit_code = TUNER_EXIT_FAILED;
    return TS_STATUS_OK;
}
