/* A problem's space when its search begins: the points, what is known of them already, what to guess
 * first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"

static int32_t value_index(const gen_version *version, size_t tunable, int64_t value) {
    const int64_t *values = NULL;
    size_t count = gen_version_values(version, tunable, &values);
    for (size_t i = 0; i < count; i++)
        if (values[i] == value) return (int32_t)i;
    return -1;
}

static bool make_coords(tuner_task *task) {
    size_t dims = 1 + GEN_MAX_TUNABLES, versions = 0;
    task->coords = calloc(task->count * dims + 1, sizeof *task->coords);
    if (!task->coords) return false;
    for (size_t i = 0; i < task->count; i++) {
        const gen_version *version = task->variants[i].version;
        int32_t *row = task->coords + i * dims;
        size_t same = 0;
        while (task->variants[same].version != version) same++;
        row[0] = same < i ? task->coords[same * dims] : (int32_t)versions++;
        for (size_t t = 0; t < gen_version_tunable_count(version); t++)
            row[1 + t] = value_index(version, t, task->variants[i].tunables[t]);
    }
    task->space = (tuner_space){task->count, dims, task->coords};
    return true;
}

/* Index of the variant with this name; SIZE_MAX if the space has none. */
static size_t find_variant(const tuner_task *task, const char *name) {
    ts_buf text = {0};
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < task->count && found == SIZE_MAX; i++) {
        ts_buf_clear(&text);
        gen_variant_name(&task->variants[i], &text);
        if (!text.failed && strcmp(text.data, name) == 0) found = i;
    }
    ts_buf_free(&text);
    return found;
}

void tuner_task_learn(tuner_task *task, size_t index, const char *status, double time_us) {
    bool timed = strcmp(status, "ok") == 0 || strcmp(status, "slow") == 0;
    task->entries[index] = (tuner_entry){timed ? TUNER_RIGHT_ENTRY : TUNER_REJECTED,
                                         timed ? time_us : INFINITY};
    tuner_search_tell(task->search, index, timed ? time_us : INFINITY);
    if (timed && !(time_us >= task->best_us)) task->best_us = time_us;
    task->tried++;
}

/* What earlier runs measured of these very sources counts as if it had been measured now, against the
 * budget as well. */
static ts_status recall(tuner_campaign *campaign, tuner_task *task, ts_err *err) {
    ts_buf name = {0};
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < task->count && status == TS_STATUS_OK && !*campaign->interrupted; i++) {
        tuner_candidate *candidate = NULL;
        ts_buf_clear(&name);
        gen_variant_name(&task->variants[i], &name);
        if (i == task->default_index || name.failed || !tuner_past_has(&task->past, name.data))
            continue;
        status = tuner_campaign_candidate(campaign, task, &task->variants[i], TUNER_WANT_TIMED,
                                          &candidate, err);
        if (status != TS_STATUS_OK) break;
        const tuner_past *past = tuner_past_find(&task->past, candidate->name,
                                                 candidate->signature);
        if (past) {
            tuner_search_claim(task->search, i);
            tuner_task_learn(task, i, past->status, past->time_us);
        }
        tuner_candidate_free(candidate);
    }
    ts_buf_free(&name);
    return status;
}

static void find_seeds(tuner_campaign *campaign, tuner_task *task) {
    const char *names[TUNER_MAX_SEEDS];
    if (task->incumbent) task->incumbent_index = find_variant(task, task->incumbent);
    tuner_seeds_find(campaign->session->g, &campaign->stored, &task->problem->problem, task->target,
                     names, &task->seed_count);
    for (size_t i = 0; i < task->seed_count; i++) task->seeds[i] = find_variant(task, names[i]);
}

static ts_status find_default(tuner_task *task, ts_err *err) {
    ts_buf name = {0};
    gen_variant_name(&task->default_variant, &name);
    task->default_index = name.failed ? SIZE_MAX : find_variant(task, name.data);
    ts_buf_free(&name);
    if (task->default_index == SIZE_MAX)
        return ts_fail(err, TS_STATUS_TEMPLATE, "%s: the default variant is not in the space",
                       task->problem->text);
    task->entries[task->default_index] = (tuner_entry){TUNER_RIGHT_ENTRY, task->default_us};
    tuner_search_claim(task->search, task->default_index);
    tuner_search_tell(task->search, task->default_index, task->default_us);
    return TS_STATUS_OK;
}

ts_status tuner_campaign_open_space(tuner_campaign *campaign, tuner_task *task, ts_err *err) {
    const tuner_options *options = campaign->session->options;
    TS_TRY(gen_enumerate(campaign->session->g, &task->problem->problem, task->target,
                         &task->variants, &task->count, err));
    task->allowed = tuner_budget_variants(&options->budget, task->count);
    task->entries = calloc(task->count + 1, sizeof *task->entries);
    bool made = task->entries && make_coords(task);
    if (made)
        task->search = tuner_search_create(tuner_strategy_find(options->strategy), &task->space,
                                           options->seed);
    if (!task->search) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "search space");
    TS_TRY(find_default(task, err));
    find_seeds(campaign, task);
    TS_TRY(tuner_favourites(campaign->session->g, &task->problem->problem, task->target,
                            task->variants, task->count, &task->favourites, err));
    return recall(campaign, task, err);
}
