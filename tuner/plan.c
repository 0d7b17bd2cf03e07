/* Planning: a task a problem, what is up to date, what earlier runs left. Also what all stages
 * share. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"
#include "report.h"

ts_status tuner_campaign_candidate(tuner_campaign *campaign, tuner_task *task,
                                   const gen_variant *variant, tuner_want want,
                                   tuner_candidate **out, ts_err *err) {
    tuner_candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
    candidate->problem = task->problem;
    candidate->target = task->target;
    candidate->variant = *variant;
    candidate->want = want;
    candidate->owner = task;
    ts_status status = tuner_lab_prepare(&campaign->session->lab, candidate, err);
    if (status == TS_STATUS_OK)
        *out = candidate;
    else
        tuner_candidate_free(candidate);
    return status;
}

ts_status tuner_campaign_record(tuner_campaign *campaign, const tuner_candidate *candidate,
                                int64_t kernel_id, ts_err *err) {
    campaign->measured++;
    const tuner_task *task = candidate->owner;
    if (!task->default_only)
        tuner_tally_result(&campaign->tally, task->problem->text, candidate->name,
                           candidate->signature, candidate->result.status,
                           candidate->result.time_us);
    TS_TRY(tuner_ledger_result(&campaign->ledger, candidate, kernel_id, err));
    /* Said only once it is stored: who reads the line may count on the row. A default for older chips is
     * no candidate of this problem. */
    if (campaign->session->options->json && !task->default_only) tuner_report_result(candidate);
    return TS_STATUS_OK;
}

/* What the database knows of this problem. */
static ts_status recall(tuner_campaign *campaign, tuner_task *task, ts_err *err) {
    const gen_family *family = task->problem->problem.family;
    const tuner_options *options = campaign->session->options;
    db_winner winner;
    ts_status status = tuner_ledger_winner(&campaign->ledger, task->problem, task->target,
                                           &campaign->arena, &winner, err);
    if (status != TS_STATUS_OK && status != TS_STATUS_NOT_FOUND) return status;
    bool stored = status == TS_STATUS_OK && *winner.device.name;
    bool measured = stored && strcmp(winner.evidence, "measured") == 0;
    bool current = status == TS_STATUS_OK &&
                   tuner_winner_is_current(&winner, family, campaign->compiler,
                                           campaign->session->have_device);
    if (options->fresh) return TS_STATUS_OK;
    TS_TRY(tuner_ledger_past(&campaign->ledger, task->problem, task->target, &campaign->arena,
                             &task->past, err));
    if (current) task->state = TUNER_TASK_CURRENT;
    if (!stored || current) return TS_STATUS_OK;
    task->incumbent = winner.variant;
    task->keep_winner = measured && tuner_winner_matches(&winner, family, campaign->compiler);
    return TS_STATUS_OK;
}

static ts_status add_task(tuner_campaign *campaign, tuner_problem *problem,
                          const gen_target *target, bool default_only, ts_err *err) {
    tuner_task *task = &campaign->tasks[campaign->count++];
    *task = (tuner_task){.problem = problem,
                         .target = target,
                         .default_only = default_only,
                         .default_us = NAN,
                         .best_us = NAN,
                         .incumbent_index = SIZE_MAX};
    TS_TRY(tuner_problem_work(campaign->session->g, problem, &task->flops, &task->bytes, err));
    TS_TRY(recall(campaign, task, err));
    if (task->state == TUNER_TASK_CURRENT) return TS_STATUS_OK;
    ts_err why = {0};
    ts_status status = gen_default(campaign->session->g, &problem->problem, target,
                                   &task->default_variant, &why);
    if (status == TS_STATUS_NOT_FOUND) {
        task->state = TUNER_TASK_ABSENT;
        if (!default_only)
            tuner_progress_line(&campaign->progress, "%s: %s", problem->text, why.message);
        return TS_STATUS_OK;
    }
    return status == TS_STATUS_OK ? status : ts_fail(err, status, "%s", why.message);
}

static bool is_first_of_spec(const tuner_selection *selection, size_t index) {
    const tuner_problem *problem = &selection->problems[index];
    for (size_t i = 0; i < index; i++)
        if (selection->problems[i].problem.family == problem->problem.family &&
            strcmp(selection->problems[i].spec, problem->spec) == 0)
            return false;
    return true;
}

ts_status tuner_campaign_plan(tuner_campaign *campaign, ts_err *err) {
    tuner_session *session = campaign->session;
    tuner_selection *selection = &session->selection;
    const gen_target *oldest = session->have_device ? tuner_oldest_level(session->target) : NULL;
    campaign->tasks = calloc(2 * selection->count + 1, sizeof *campaign->tasks);
    if (!campaign->tasks) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of tasks");
    for (size_t i = 0; i < selection->count; i++)
        TS_TRY(add_task(campaign, &selection->problems[i], session->target, false, err));
    for (size_t i = 0; i < selection->count && oldest; i++)
        if (is_first_of_spec(selection, i))
            TS_TRY(add_task(campaign, &selection->problems[i], oldest, true, err));
    return TS_STATUS_OK;
}

void tuner_campaign_free(tuner_campaign *campaign) {
    for (size_t i = 0; i < campaign->count; i++) {
        tuner_task *task = &campaign->tasks[i];
        free(task->variants);
        free(task->entries);
        free(task->coords);
        tuner_search_free(task->search);
    }
    free(campaign->tasks);
    tuner_tally_free(&campaign->tally);
    tuner_ledger_close(&campaign->ledger);
    db_image_free(&campaign->stored);
    ts_arena_free(&campaign->arena);
}
