/* The search: which problem gets the next measurement, which variant its strategy asks for. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"

/* A problem keeps the device for so many candidates before another gets its turn: its inputs are
 * there. Where an older winner is to be tried, the first turn is short: a budget that is small for
 * many problems shall not end before each of them has had it. */
enum { FIRST_TURN = 3, TURN = 12 };

/* Half of the budget follows the share of the time, half goes to all alike: a problem that is short
 * here may be launched often by a model. */
static void set_weights(tuner_campaign *campaign) {
    double total_us = 0, count = 0;
    for (size_t i = 0; i < campaign->count; i++) {
        if (!campaign->tasks[i].search) continue;
        total_us += campaign->tasks[i].default_us;
        count++;
    }
    for (size_t i = 0; i < campaign->count; i++)
        if (campaign->tasks[i].search)
            campaign->tasks[i].weight = 0.5 / count +
                                        0.5 * campaign->tasks[i].default_us / total_us;
}

/* ---- steps ---- */

static bool is_untried(const tuner_task *task, size_t index) {
    return index != SIZE_MAX && task->entries[index].state == TUNER_UNTRIED;
}

static size_t best_index(const tuner_task *task) {
    size_t best = task->default_index;
    for (size_t i = 0; i < task->count; i++)
        if (task->entries[i].state == TUNER_RIGHT_ENTRY &&
            task->entries[i].time_us < task->entries[best].time_us)
            best = i;
    return best;
}

static size_t find_same(const tuner_task *task, const gen_variant *variant) {
    for (size_t i = 0; i < task->count; i++)
        if (task->variants[i].version == variant->version &&
            memcmp(task->variants[i].tunables, variant->tunables, sizeof variant->tunables) == 0)
            return i;
    return SIZE_MAX;
}

/* What is best for another problem of the family is a good guess here, and often compiled already.
 */
static size_t sibling_guess(const tuner_campaign *campaign, const tuner_task *task) {
    for (size_t i = 0; i < campaign->count; i++) {
        const tuner_task *other = &campaign->tasks[i];
        if (other == task || !other->search ||
            other->problem->problem.family != task->problem->problem.family)
            continue;
        size_t guess = find_same(task, &other->variants[best_index(other)]);
        if (is_untried(task, guess)) return guess;
    }
    return SIZE_MAX;
}

/* The older winner first, then what won elsewhere, what the static model thinks best, what is best for
 * siblings, then whatever the strategy asks for. False: nothing is left, of the space or of the budget. */
static bool next_index(const tuner_campaign *campaign, tuner_task *task, size_t *index) {
    if (1 + task->tried + task->pending >= task->allowed) return false;
    size_t guess = is_untried(task, task->incumbent_index) ? task->incumbent_index : SIZE_MAX;
    for (size_t i = 0; i < task->seed_count && guess == SIZE_MAX; i++)
        if (is_untried(task, task->seeds[i])) guess = task->seeds[i];
    for (size_t i = 0; i < task->favourites.count && guess == SIZE_MAX; i++)
        if (is_untried(task, task->favourites.index[i])) guess = task->favourites.index[i];
    if (guess == SIZE_MAX) guess = sibling_guess(campaign, task);
    if (guess == SIZE_MAX) return tuner_search_next(task->search, index);
    tuner_search_claim(task->search, guess);
    *index = guess;
    return true;
}

/* Puts the task's next variant into the queue. False: none is left. */
static ts_status step(tuner_campaign *campaign, tuner_task *task, bool *more, ts_err *err) {
    size_t index = 0;
    tuner_candidate *candidate = NULL;
    double begin_s = tuner_now_s();
    *more = next_index(campaign, task, &index);
    if (!*more) return TS_STATUS_OK;
    double search_s = tuner_now_s() - begin_s;
    TS_TRY(tuner_campaign_candidate(campaign, task, &task->variants[index], TUNER_WANT_TIMED,
                                    &candidate, err));
    candidate->index = index;
    candidate->search_s = search_s;
    candidate->best_us = task->best_us;
    task->entries[index].state = TUNER_PENDING;
    task->pending++;
    tuner_lab_submit(&campaign->session->lab, candidate);
    return TS_STATUS_OK;
}

/* Hands on what the compiler said; a CPU's says nothing. */
static void describe(tuner_task *task, const tuner_candidate *candidate) {
    const tuner_built *built = candidate->built;
    double features[TUNER_SEARCH_FEATURES] = {
        built->compiled.registers, built->compiled.shared_bytes, (double)built->sass.instructions};
    static_assert(TUNER_SEARCH_FEATURES == 3 + TUNER_OPCODES, "one feature an opcode");
    for (int i = 0; i < TUNER_OPCODES; i++) features[3 + i] = (double)built->sass.counts[i];
    if (built->sass.instructions > 0) /* else all of them would be alike */
        tuner_search_describe(task->search, candidate->index, features);
}

/* Of the compiled candidates of a problem, the one that its search expects most of. */
static size_t choose_ready(tuner_candidate *const *ready, size_t count) {
    tuner_task *task = ready[0]->owner;
    size_t points[TUNER_MAX_QUEUE];
    for (size_t i = 0; i < count; i++) {
        describe(task, ready[i]);
        points[i] = ready[i]->index;
    }
    return tuner_search_choose(task->search, points, count);
}

static ts_status finish(tuner_campaign *campaign, const tuner_candidate *candidate, ts_err *err) {
    tuner_task *task = candidate->owner;
    task->pending--;
    task->spent_s += candidate->cost_s;
    if (candidate->built && candidate->built->state == TUNER_BUILT_DONE) describe(task, candidate);
    tuner_task_learn(task, candidate->index, candidate->result.status, candidate->result.time_us);
    return tuner_campaign_record(campaign, candidate, 0, err);
}

/* ---- turns ---- */

/* Seconds that the task has cost and that its queued candidates will cost. */
static double expected_cost_s(const tuner_task *task) {
    double each_s = task->tried ? task->spent_s / (double)task->tried : 0.1;
    return task->spent_s + each_s * (double)task->pending;
}

static tuner_task *choose_task(tuner_campaign *campaign, const bool *exhausted) {
    tuner_task *best = NULL;
    for (size_t i = 0; i < campaign->count; i++) {
        tuner_task *task = &campaign->tasks[i];
        if (!task->search || exhausted[i]) continue;
        if (!best || expected_cost_s(task) / task->weight < expected_cost_s(best) / best->weight)
            best = task;
    }
    return best;
}

static void show(tuner_campaign *campaign, const tuner_task *now, double used_before_s) {
    size_t done = 0, total = 0;
    for (size_t i = 0; i < campaign->count; i++) {
        const tuner_task *task = &campaign->tasks[i];
        if (!task->search) continue;
        done += task->tried + 1;
        total += task->allowed;
    }
    char note[240];
    snprintf(note, sizeof note, "%s: %.2f us, %.2fx its default", now->problem->text, now->best_us,
             now->default_us / now->best_us);
    const tuner_lab *lab = &campaign->session->lab;
    double elapsed_s = tuner_now_s() - campaign->progress.begin_s;
    campaign->progress.busy_share = (lab->busy_s - lab->prepare_s - used_before_s) / elapsed_s;
    tuner_progress_show(&campaign->progress, done, total, note);
}

typedef struct turns {
    tuner_task *task;
    int left;
    bool *exhausted;
} turns;

/* Keeps the queue filled. */
static ts_status feed(tuner_campaign *campaign, turns *turn, ts_err *err) {
    while (tuner_lab_has_room(&campaign->session->lab) && !*campaign->interrupted) {
        if (turn->left == 0) {
            turn->task = choose_task(campaign, turn->exhausted);
            turn->left = turn->task && is_untried(turn->task, turn->task->incumbent_index)
                             ? FIRST_TURN
                             : TURN;
        }
        if (!turn->task) break;
        bool more = false;
        TS_TRY(step(campaign, turn->task, &more, err));
        turn->left--;
        if (more) continue;
        turn->exhausted[turn->task - campaign->tasks] = true;
        turn->left = 0;
    }
    return TS_STATUS_OK;
}

static ts_status work(tuner_campaign *campaign, double end_s, turns *turn, ts_err *err) {
    tuner_lab *lab = &campaign->session->lab;
    double used_s = lab->busy_s - lab->prepare_s;
    for (;;) {
        tuner_candidate *candidate = NULL;
        if (tuner_now_s() < end_s)
            TS_TRY(feed(campaign, turn, err));
        else
            tuner_lab_drop_waiting(lab);
        TS_TRY(tuner_lab_next(lab, &candidate, err));
        if (!candidate) return TS_STATUS_OK;
        ts_status status = finish(campaign, candidate, err);
        const tuner_task *task = candidate->owner;
        tuner_candidate_free(candidate);
        if (status != TS_STATUS_OK) return status;
        show(campaign, task, used_s);
    }
}

/* Says how much of the search the device was used: what compiling in parallel is for. */
static void show_use(tuner_campaign *campaign, double busy_s, double prepare_s, double wall_s) {
    size_t evaluated = 0;
    for (size_t i = 0; i < campaign->count; i++) evaluated += campaign->tasks[i].tried;
    if (evaluated == 0 || wall_s < 1) return;
    tuner_progress_line(
        &campaign->progress,
        "searched %zu variants in %.0f s; device in use %.0f %% of the time, %.0f %% "
        "preparing inputs",
        evaluated, wall_s, 100 * (busy_s - prepare_s) / wall_s, 100 * prepare_s / wall_s);
}

ts_status tuner_campaign_hunt(tuner_campaign *campaign, ts_err *err) {
    double budget_s = tuner_budget_seconds(&campaign->session->options->budget);
    turns turn = {.exhausted = calloc(campaign->count + 1, sizeof *turn.exhausted)};
    if (!turn.exhausted) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "search");
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < campaign->count && status == TS_STATUS_OK; i++) {
        tuner_task *task = &campaign->tasks[i];
        if (task->state == TUNER_TASK_COVERED && !task->default_only)
            status = tuner_campaign_open_space(campaign, task, err);
    }
    set_weights(campaign);
    tuner_progress_stage(&campaign->progress, "search", isfinite(budget_s) ? budget_s : 0);
    const tuner_lab *lab = &campaign->session->lab;
    double begin_s = tuner_now_s(), busy_s = lab->busy_s, prepare_s = lab->prepare_s;
    campaign->session->lab.choose = choose_ready;
    if (status == TS_STATUS_OK) status = work(campaign, begin_s + budget_s, &turn, err);
    campaign->session->lab.choose = NULL;
    show_use(campaign, lab->busy_s - busy_s, lab->prepare_s - prepare_s, tuner_now_s() - begin_s);
    free(turn.exhausted);
    return status;
}
