/* Coverage: every problem's default variant, verified, timed and stored, before anything is
 * searched. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "campaign.h"

enum { FRESH, RECALLED }; /* tuner_candidate.index in this stage */

/* Without the device a default that compiles cleanly is stored as a prediction. */
static tuner_want wanted(const tuner_campaign *campaign, const tuner_task *task) {
    if (!campaign->session->have_device) return TUNER_WANT_COMPILED;
    return task->default_only ? TUNER_WANT_VERIFIED : TUNER_WANT_TIMED;
}

static ts_status store_winner(tuner_campaign *campaign, tuner_task *task,
                              const tuner_candidate *candidate, int64_t kernel_id, ts_err *err) {
    bool measured = campaign->session->have_device;
    if (task->default_only || task->keep_winner) return TS_STATUS_OK;
    tuner_choice choice = {.candidate = candidate,
                           .compiler = campaign->compiler,
                           .kernel_id = kernel_id,
                           .evidence = measured ? "measured" : "predicted",
                           .time_us = candidate->result.time_us,
                           .ci_low_us = NAN,
                           .ci_high_us = NAN,
                           .default_us = candidate->result.time_us,
                           .flops = task->flops,
                           .bytes = task->bytes,
                           .verdict = measured ? "default" : DB_UNRANKED};
    return tuner_ledger_choose(&campaign->ledger, &choice, err);
}

static ts_status finish(tuner_campaign *campaign, const tuner_candidate *candidate, ts_err *err) {
    tuner_task *task = candidate->owner;
    const tuner_run_result *result = &candidate->result;
    bool recalled = candidate->index == RECALLED, passed = strcmp(result->status, "ok") == 0;
    int64_t kernel_id = 0;
    if (passed)
        TS_TRY(tuner_ledger_kernel(&campaign->ledger, candidate, campaign->compiler, true,
                                   &kernel_id, err));
    if (!recalled) TS_TRY(tuner_campaign_record(campaign, candidate, kernel_id, err));
    if (!passed) {
        task->state = TUNER_TASK_FAILED;
        tuner_progress_line(&campaign->progress, "%s: default %s on %s: %s: %s",
                            task->problem->text, candidate->name, gen_target_name(task->target),
                            result->status, result->reason);
        return TS_STATUS_OK;
    }
    task->state = TUNER_TASK_COVERED;
    task->default_us = task->best_us = result->time_us;
    if (!task->default_only)
        tuner_tally_default(&campaign->tally, task->problem->text, result->time_us);
    return store_winner(campaign, task, candidate, kernel_id, err);
}

/* What an earlier run measured of this very source is taken over; its kernel is still compiled,
 * since the rows that follow a result may be what a killed run did not get to. A default that
 * failed is asked again: it may have met a bad moment of the machine. */
static void take_over(const tuner_task *task, tuner_candidate *candidate) {
    const tuner_past *past = tuner_past_find(&task->past, candidate->name, candidate->signature);
    if (!past || strcmp(past->status, "ok") != 0) return;
    if (candidate->want == TUNER_WANT_TIMED && isnan(past->time_us)) return;
    candidate->index = RECALLED;
    candidate->want = TUNER_WANT_COMPILED;
    candidate->result.time_us = past->time_us;
}

static ts_status submit(tuner_campaign *campaign, tuner_task *task, ts_err *err) {
    tuner_candidate *candidate = NULL;
    TS_TRY(tuner_campaign_candidate(campaign, task, &task->default_variant, wanted(campaign, task),
                                    &candidate, err));
    take_over(task, candidate);
    if (candidate->index == RECALLED &&
        task->default_only) { /* complete: it has no rows beside kernel and result */
        task->state = TUNER_TASK_CURRENT;
        tuner_candidate_free(candidate);
        return TS_STATUS_OK;
    }
    tuner_lab_submit(&campaign->session->lab, candidate);
    return TS_STATUS_OK;
}

ts_status tuner_campaign_cover(tuner_campaign *campaign, ts_err *err) {
    tuner_lab *lab = &campaign->session->lab;
    size_t next = 0, done = 0;
    tuner_progress_stage(&campaign->progress, "coverage", 0);
    while (!*campaign->interrupted) {
        while (next < campaign->count && tuner_lab_has_room(lab)) {
            tuner_task *task = &campaign->tasks[next++];
            if (task->state == TUNER_TASK_NEW)
                TS_TRY(submit(campaign, task, err));
            else
                done++;
        }
        tuner_candidate *candidate = NULL;
        TS_TRY(tuner_lab_next(lab, &candidate, err));
        if (!candidate && next == campaign->count) break;
        if (!candidate) continue;
        ts_status status = finish(campaign, candidate, err);
        tuner_progress_show(&campaign->progress, ++done, campaign->count, candidate->name);
        tuner_candidate_free(candidate);
        if (status != TS_STATUS_OK) return status;
    }
    return TS_STATUS_OK;
}
