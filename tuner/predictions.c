/* Predictions: where the target's device is not here, the static model's pick of each problem is
 * compiled and stored; the same command on the target replaces it by a measured winner. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"
#include "rank.h"

/* The verdict of a stored prediction: what users may expect it to cost them. */
static void write_verdict(const gen_family *family, bool ranked, char *out, size_t bytes) {
    double regret = gen_family_regret(family);
    if (!ranked)
        snprintf(out, bytes, "default, not ranked");
    else if (isnan(regret))
        snprintf(out, bytes, "regret unknown");
    else
        snprintf(out, bytes, "regret %.0f %%", 100 * regret);
}

static ts_status store(tuner_campaign *campaign, tuner_task *task, const tuner_candidate *candidate,
                       bool ranked, ts_err *err) {
    char verdict[64];
    int64_t kernel_id = 0;
    ts_buf standard = {0};
    gen_variant_name(&task->default_variant, &standard);
    bool is_default = !standard.failed && strcmp(standard.data, candidate->name) == 0;
    ts_buf_free(&standard);
    TS_TRY(tuner_ledger_kernel(&campaign->ledger, candidate, campaign->compiler, is_default,
                               &kernel_id, err));
    if (!is_default) TS_TRY(tuner_campaign_record(campaign, candidate, kernel_id, err));
    write_verdict(task->problem->problem.family, ranked, verdict, sizeof verdict);
    tuner_choice choice = {.candidate = candidate,
                           .compiler = campaign->compiler,
                           .kernel_id = kernel_id,
                           .evidence = "predicted",
                           .time_us = NAN,
                           .ci_low_us = NAN,
                           .ci_high_us = NAN,
                           .default_us = NAN,
                           .flops = task->flops,
                           .bytes = task->bytes,
                           .verdict = verdict};
    return tuner_ledger_choose(&campaign->ledger, &choice, err);
}

/* The default, once more through the lab, which has its kernel already. */
static ts_status compiled_default(tuner_campaign *campaign, tuner_task *task, tuner_candidate **out,
                                  ts_err *err) {
    tuner_lab *lab = &campaign->session->lab;
    tuner_candidate *candidate = NULL;
    TS_TRY(tuner_campaign_candidate(campaign, task, &task->default_variant, TUNER_WANT_COMPILED,
                                    &candidate, err));
    tuner_lab_submit(lab, candidate);
    return tuner_lab_next(lab, out, err);
}

static ts_status predict(tuner_campaign *campaign, tuner_task *task, ts_err *err) {
    tuner_session *s = campaign->session;
    tuner_candidate *pick = NULL;
    TS_TRY(gen_enumerate(s->g, &task->problem->problem, task->target, &task->variants, &task->count,
                         err));
    TS_TRY(
        tuner_rank(s, task->problem, task->target, task->variants, task->count, &pick, NULL, err));
    if (*campaign->interrupted) {
        tuner_candidate_free(pick);
        return TS_STATUS_OK;
    }
    bool ranked = pick != NULL;
    if (!ranked) TS_TRY(compiled_default(campaign, task, &pick, err));
    if (!pick) return TS_STATUS_OK; /* interrupted */
    pick->owner = task;
    ts_status status = store(campaign, task, pick, ranked, err);
    tuner_candidate_free(pick);
    return status;
}

ts_status tuner_campaign_predict(tuner_campaign *campaign, ts_err *err) {
    tuner_progress_stage(&campaign->progress, "rank", 0);
    for (size_t i = 0; i < campaign->count && !*campaign->interrupted; i++) {
        tuner_task *task = &campaign->tasks[i];
        if (task->state == TUNER_TASK_COVERED) TS_TRY(predict(campaign, task, err));
        tuner_progress_show(&campaign->progress, i + 1, campaign->count, task->problem->text);
    }
    return TS_STATUS_OK;
}
