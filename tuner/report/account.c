/* What the database knows of a run's problems before it begins. */
#include "../campaign.h"

ts_status tuner_campaign_account(tuner_campaign *campaign, ts_err *err) {
    tuner_tally *tally = &campaign->tally;
    for (size_t i = 0; i < campaign->count; i++) {
        const tuner_task *task = &campaign->tasks[i];
        tuner_past_list past = {0};
        db_winner winner;
        if (task->default_only) continue;
        const char *problem = task->problem->text;
        TS_TRY(tuner_ledger_past(&campaign->ledger, task->problem, task->target, &campaign->arena,
                                 &past, err));
        tuner_tally_problem_of(tally, problem); /* also one that nothing is known of */
        for (size_t r = 0; r < past.count; r++)
            tuner_tally_result(tally, problem, past.items[r].variant, past.items[r].signature,
                               past.items[r].status, past.items[r].time_us);
        if (task->state != TUNER_TASK_CURRENT) continue;
        TS_TRY(tuner_ledger_winner(&campaign->ledger, task->problem, task->target, &campaign->arena,
                                   &winner, err));
        tuner_tally_winner(tally, &winner);
    }
    return tally->failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "account of the run")
                         : TS_STATUS_OK;
}
