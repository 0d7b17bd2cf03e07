/* A tuning run: one task a problem, through coverage, search and finals.
 *
 *   plan      which problems are up to date already; what earlier runs know of the others
 *   coverage  every problem's default variant compiled, verified, timed, stored: from here on the
 *             file is usable
 *   hunt      variants, within the budget, problems weighted by their share of the time
 *   finals    the best of each problem raced against its default; the winner stored
 *
 * Without the target's device nothing can be timed: coverage compiles, and predictions take the place
 * of hunt and finals.
 */
#ifndef TUNER_CAMPAIGN_H
#define TUNER_CAMPAIGN_H

#include "ledger.h"
#include "progress.h"
#include "rank.h"
#include "search/search.h"
#include "seeds.h"
#include "session.h"

typedef enum tuner_entry_state {
    TUNER_UNTRIED,
    TUNER_PENDING,
    TUNER_RIGHT_ENTRY,
    TUNER_REJECTED
} tuner_entry_state;

typedef struct tuner_entry { /* one variant of a task */
    tuner_entry_state state;
    double time_us;
} tuner_entry;

typedef enum tuner_task_state {
    TUNER_TASK_NEW,
    TUNER_TASK_CURRENT, /* a finished winner of these templates is stored */
    TUNER_TASK_ABSENT,  /* the family has no version for this target */
    TUNER_TASK_FAILED,  /* its default did not pass */
    TUNER_TASK_COVERED, /* default stored, search may go on */
} tuner_task_state;

typedef struct tuner_task {
    tuner_problem *problem;
    const gen_target *target;
    bool default_only; /* lowest level of the CPU: stored for older chips, neither timed nor
                          searched */
    tuner_task_state state;
    gen_variant default_variant;
    double default_us;
    double flops, bytes; /* work of one launch */
    tuner_past_list past;
    const char *incumbent; /* variant of the stored winner, NULL if there is none */
    bool keep_winner;      /* the stored winner is this search's own, unfinished */
    /* filled when the search begins */
    gen_variant *variants;
    tuner_entry *entries;
    size_t count, default_index;
    size_t incumbent_index;                    /* SIZE_MAX: none */
    size_t seeds[TUNER_MAX_SEEDS], seed_count; /* guesses; SIZE_MAX: not in this space */
    tuner_shortlist favourites;                /* of the static model */
    size_t allowed; /* variants that the budget allows, the default included */
    tuner_space space;
    int32_t *coords;
    tuner_search *search;
    double best_us, weight, spent_s;
    size_t pending, tried;
} tuner_task;

typedef struct tuner_campaign {
    tuner_session *session;
    tuner_ledger ledger;
    tuner_device_facts any_device; /* what predictions are stored for: no name, only a target */
    ts_arena arena;
    db_image stored; /* the file as it was before this run; empty with --fresh */
    const tuner_compiler *compiler;
    tuner_progress progress;
    tuner_tally tally; /* what all views of the run show */
    const volatile sig_atomic_t *interrupted;
    tuner_task *tasks;
    size_t count;
    size_t measured; /* results that are new in this run */
    size_t failed;   /* problems without a winner */
} tuner_campaign;

/* plan.c */
ts_status tuner_campaign_plan(tuner_campaign *campaign, ts_err *err);
void tuner_campaign_free(tuner_campaign *campaign);
/* A prepared candidate for one variant of the task; the caller frees it. */
ts_status tuner_campaign_candidate(tuner_campaign *campaign, tuner_task *task,
                                   const gen_variant *variant, tuner_want want,
                                   tuner_candidate **out, ts_err *err);
/* Stores a result that is new in this run and prints it if the output is JSON. */
ts_status tuner_campaign_record(tuner_campaign *campaign, const tuner_candidate *candidate,
                                int64_t kernel_id, ts_err *err);

/* Fills the task's space: points, default, guesses, and what earlier runs measured. space.c */
ts_status tuner_campaign_open_space(tuner_campaign *campaign, tuner_task *task, ts_err *err);
/* Tells the task's search how a variant did. space.c */
void tuner_task_learn(tuner_task *task, size_t index, const char *status, double time_us);

/* Begins the tally with what earlier runs left of the problems. report/account.c */
ts_status tuner_campaign_account(tuner_campaign *campaign, ts_err *err);
/* Writes the page of the run's problems (page.h). report/command.c */
ts_status tuner_campaign_page(tuner_campaign *campaign, const char *path, double copy_gbytes,
                              ts_err *err);

ts_status tuner_campaign_cover(tuner_campaign *campaign, ts_err *err); /* coverage.c */
/* Where nothing can be measured: the variant that the static model picks for each covered problem,
 * stored as a prediction. */
ts_status tuner_campaign_predict(tuner_campaign *campaign, ts_err *err); /* predictions.c */
ts_status tuner_campaign_hunt(tuner_campaign *campaign, ts_err *err);    /* hunt.c */
ts_status tuner_campaign_finals(tuner_campaign *campaign, ts_err *err);  /* finals.c */
/* After an interruption: the best so far, unraced, as provisional winners. Measures nothing. */
ts_status tuner_campaign_keep_best(tuner_campaign *campaign, ts_err *err); /* finals.c */

#endif
