/* Finals: the few best of each problem against its default, in turns on the same inputs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"

/* Besides the default. Screened times of kernels as good as each other differ by their noise: on
 * public spaces racing the best ten loses 0.1 % of the optimum, where trusting the screened best
 * loses 1.4 %. Those that fall behind leave the race early. */
enum { CHALLENGERS = 9, MOST_RUNNERS = CHALLENGERS + 2 };
/* A screened time this far above the default's is no challenger. */
static const double hopeless = 1.03;

typedef struct final {
    tuner_task *task;
    tuner_candidate *runners[MOST_RUNNERS];
    size_t indices[MOST_RUNNERS];
    size_t count;
} final;

static void free_final(final *f) {
    for (size_t i = 0; i < f->count; i++) tuner_candidate_free(f->runners[i]);
    f->count = 0;
}

static bool runs(const final *f, size_t index) {
    for (size_t i = 0; i < f->count; i++)
        if (f->indices[i] == index) return true;
    return false;
}

/* The fastest entry that is not in yet; SIZE_MAX if no other has a chance. */
static size_t best_left(const final *f) {
    const tuner_task *task = f->task;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < task->count; i++) {
        const tuner_entry *entry = &task->entries[i];
        if (entry->state != TUNER_RIGHT_ENTRY || runs(f, i) ||
            entry->time_us > hopeless * task->default_us)
            continue;
        if (best == SIZE_MAX || entry->time_us < task->entries[best].time_us) best = i;
    }
    return best;
}

static ts_status enter(tuner_campaign *campaign, final *f, size_t index, ts_err *err) {
    tuner_candidate *candidate = NULL;
    TS_TRY(tuner_campaign_candidate(campaign, f->task, &f->task->variants[index],
                                    TUNER_WANT_COMPILED, &candidate, err));
    f->indices[f->count] = index;
    f->runners[f->count++] = candidate;
    return TS_STATUS_OK;
}

/* The default is runner 0. */
static ts_status line_up(tuner_campaign *campaign, final *f, ts_err *err) {
    tuner_task *task = f->task;
    size_t incumbent = task->incumbent_index;
    TS_TRY(enter(campaign, f, task->default_index, err));
    if (incumbent != SIZE_MAX && task->entries[incumbent].state == TUNER_RIGHT_ENTRY &&
        !runs(f, incumbent))
        TS_TRY(enter(campaign, f, incumbent, err));
    for (size_t i; f->count < CHALLENGERS + 1 && (i = best_left(f)) != SIZE_MAX;)
        TS_TRY(enter(campaign, f, i, err));
    return TS_STATUS_OK;
}

/* Kernels of an earlier run are not in memory: compile what is missing. */
static ts_status compile_runners(tuner_campaign *campaign, final *f, ts_err *err) {
    tuner_lab *lab = &campaign->session->lab;
    tuner_candidate *done = NULL;
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < f->count; i++) tuner_lab_submit(lab, f->runners[i]);
    do status = tuner_lab_next(lab, &done, err);
    while (done);
    lab->queued = 0; /* after an interruption: the runners are not the lab's to free */
    if (status != TS_STATUS_OK || *campaign->interrupted) return status;
    size_t kept = 1;
    for (size_t i = 1; i < f->count; i++) {
        if (strcmp(f->runners[i]->result.status, "ok") != 0) {
            tuner_candidate_free(f->runners[i]);
            continue;
        }
        f->indices[kept] = f->indices[i];
        f->runners[kept++] = f->runners[i];
    }
    f->count = kept;
    return TS_STATUS_OK;
}

static ts_status store(tuner_campaign *campaign, const final *f, const tuner_race *race,
                       const char *text, ts_err *err) {
    const tuner_candidate *winner = f->runners[race->winner];
    tuner_choice choice = {.candidate = winner,
                           .compiler = campaign->compiler,
                           .evidence = "measured",
                           .time_us = race->time_us,
                           .ci_low_us = race->ci_low_us,
                           .ci_high_us = race->ci_high_us,
                           .default_us = race->default_us,
                           .flops = f->task->flops,
                           .bytes = f->task->bytes,
                           .verdict = race->verdict,
                           .race = text};
    bool is_default = f->indices[race->winner] == f->task->default_index;
    TS_TRY(tuner_ledger_kernel(&campaign->ledger, winner, campaign->compiler, is_default,
                               &choice.kernel_id, err));
    return tuner_ledger_choose(&campaign->ledger, &choice, err);
}

/* A kernel that was right before it was timed and is wrong after: out, and on record. */
static ts_status remove_wrong(tuner_campaign *campaign, final *f, tuner_rounds *rounds,
                              ts_err *err) {
    size_t kept = 0;
    if (!rounds->right[0])
        return ts_fail(err, TS_STATUS_DEVICE, "the default variant was wrong after being timed");
    for (size_t i = 0; i < f->count; i++) {
        tuner_candidate *runner = f->runners[i];
        if (!rounds->right[i]) {
            tuner_run_result_set(&runner->result, "wrong", "right at first, wrong after a race");
            ts_status status = tuner_campaign_record(campaign, runner, 0, err);
            tuner_candidate_free(runner);
            if (status != TS_STATUS_OK) return status;
            continue;
        }
        memmove(rounds->samples_us[kept], rounds->samples_us[i], sizeof *rounds->samples_us);
        rounds->counts[kept] = rounds->counts[i];
        f->indices[kept] = f->indices[i];
        f->runners[kept++] = runner;
    }
    f->count = kept;
    return TS_STATUS_OK;
}

static int find_incumbent(const final *f) {
    for (size_t i = 0; i < f->count; i++)
        if (f->indices[i] == f->task->incumbent_index) return (int)i;
    return TUNER_NOBODY;
}

static ts_status run_race(tuner_campaign *campaign, final *f, tuner_race *race, ts_buf *text,
                          ts_err *err) {
    static tuner_rounds rounds;
    tuner_built *built[MOST_RUNNERS];
    const char *names[MOST_RUNNERS];
    uint64_t seed = campaign->session->options->seed;
    bool warm = gen_family_is_warm(f->task->problem->problem.family);
    for (size_t i = 0; i < f->count; i++) built[i] = f->runners[i]->built;
    TS_TRY(
        tuner_lab_race(&campaign->session->lab, f->task->problem, built, f->count, &rounds, err));
    TS_TRY(remove_wrong(campaign, f, &rounds, err));
    for (size_t i = 0; i < f->count; i++) names[i] = f->runners[i]->name;
    tuner_race_judge(&rounds, (int)f->count, 0, find_incumbent(f), seed, race);
    tuner_race_text(&rounds, names, (int)f->count, race, warm, seed, text);
    return text->failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "evidence of a race")
                        : TS_STATUS_OK;
}

static ts_status decide(tuner_campaign *campaign, tuner_task *task, ts_err *err) {
    final f = {.task = task};
    tuner_race race;
    ts_err why = {0};
    ts_buf text = {0};
    ts_status status = line_up(campaign, &f, err);
    if (status == TS_STATUS_OK) status = compile_runners(campaign, &f, err);
    if (status == TS_STATUS_OK && !*campaign->interrupted) {
        if (run_race(campaign, &f, &race, &text, &why) == TS_STATUS_OK)
            status = store(campaign, &f, &race, text.data, err);
        else if (!*campaign->interrupted) {
            /* The provisional winner stays; the next run races again. */
            campaign->failed++;
            tuner_progress_line(&campaign->progress, "%s: the final race failed: %s",
                                task->problem->text, why.message);
        }
    }
    free_final(&f);
    ts_buf_free(&text);
    return status;
}

static bool has_finals(const tuner_task *task) {
    return task->state == TUNER_TASK_COVERED && task->search;
}

ts_status tuner_campaign_finals(tuner_campaign *campaign, ts_err *err) {
    size_t done = 0, total = 0;
    for (size_t i = 0; i < campaign->count; i++) total += has_finals(&campaign->tasks[i]);
    tuner_progress_stage(&campaign->progress, "finals", 0);
    for (size_t i = 0; i < campaign->count && !*campaign->interrupted; i++) {
        tuner_task *task = &campaign->tasks[i];
        if (!has_finals(task)) continue;
        tuner_progress_show(&campaign->progress, done++, total, task->problem->text);
        TS_TRY(decide(campaign, task, err));
    }
    return TS_STATUS_OK;
}

/* A screened time proves less than a race: the gain must be larger than both spreads usually are.
 */
static const double provisional_gain = 0.95;

ts_status tuner_campaign_keep_best(tuner_campaign *campaign, ts_err *err) {
    for (size_t i = 0; i < campaign->count; i++) {
        tuner_task *task = &campaign->tasks[i];
        final f = {.task = task};
        if (!has_finals(task) || task->keep_winner) continue;
        size_t best = best_left(&f);
        if (best == SIZE_MAX ||
            !(task->entries[best].time_us < provisional_gain * task->default_us))
            continue;
        ts_status status = enter(campaign, &f, best, err);
        const tuner_built *built = status == TS_STATUS_OK ? f.runners[0]->built : NULL;
        if (built && built->state == TUNER_BUILT_DONE && strcmp(built->status, "ok") == 0) {
            tuner_race race = {.winner = 0,
                               .time_us = task->entries[best].time_us,
                               .ci_low_us = NAN,
                               .ci_high_us = NAN,
                               .default_us = task->default_us,
                               .verdict = "win"};
            status = store(campaign, &f, &race, "{}", err);
        }
        free_final(&f);
        if (status != TS_STATUS_OK) return status;
    }
    return TS_STATUS_OK;
}
