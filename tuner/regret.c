/* `tune regret`: how good the static model's picks are where everything was measured.
 *
 * For each measured problem of the target in a database, the model picks among the variants that were
 * timed, as it would without a device; the regret is how much slower the pick was than the best. The
 * median of a family goes into its family.lua, and from there beside every prediction. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "progress.h"
#include "rank.h"
#include "../db/store.h"

typedef struct outcome { /* of one problem */
    const gen_family *family;
    double regret;       /* of the first pick */
    double first_regret; /* of the best of the shortlist */
} outcome;

/* A shortlist is good where it holds a variant as close to the best as this. */
static const double CLOSE = 0.05;

typedef struct audit {
    tuner_session session;
    tuner_progress progress;
    db_image image;
    db_reader *db;
    outcome *outcomes;
    size_t count;
} audit;

/* Variants of a problem that were timed, with their times. */
typedef struct timed_list {
    gen *g;
    gen_variant *variants;
    double *times_us;
    size_t count, capacity;
    bool failed;
} timed_list;

static void free_timed(timed_list *list) {
    free(list->variants);
    free(list->times_us);
}

/* A later result of the same variant replaces an earlier one; names that the templates no longer
 * know are left out. */
static void add_timed(void *context, const db_result *result) {
    timed_list *list = context;
    gen_variant variant;
    size_t at = 0;
    if (!(result->time_us > 0) || list->failed) return;
    if (gen_variant_parse(list->g, result->variant, &variant, NULL) != TS_STATUS_OK) return;
    while (at < list->count && memcmp(&list->variants[at], &variant, sizeof variant) != 0) at++;
    if (at == list->capacity) {
        size_t capacity = 2 * list->capacity + 64;
        void *variants = realloc(list->variants, capacity * sizeof *list->variants);
        if (variants) list->variants = variants;
        void *times = realloc(list->times_us, capacity * sizeof *list->times_us);
        if (times) list->times_us = times;
        list->failed = !variants || !times;
        if (list->failed) return;
        list->capacity = capacity;
    }
    list->variants[at] = variant;
    list->times_us[at] = result->time_us;
    if (at == list->count) list->count++;
}

static void print_outcome(const audit *a, const char *problem, const char *variant, double us,
                          double first_us, double best_us) {
    if (a->session.options->json) {
        json_t *line = json_pack("{ss ss sf sf sf sf}", "problem", problem, "variant", variant,
                                 "time_us", us, "best_us", best_us, "regret", us / best_us - 1,
                                 "top10_regret", first_us / best_us - 1);
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
        json_decref(line);
        putchar('\n');
    } else
        printf("%6.1f %%, of ten %5.1f %%  %9.2f us, best %9.2f us  %s  %s\n",
               100 * (us / best_us - 1), 100 * (first_us / best_us - 1), us, best_us, problem,
               variant);
    fflush(stdout);
}

static ts_status judge(audit *a, tuner_problem *problem, const timed_list *list, ts_err *err) {
    tuner_candidate *pick = NULL;
    double best_us = INFINITY, first_us = INFINITY;
    tuner_shortlist first = {.count = 0};
    for (size_t i = 0; i < list->count; i++) best_us = fmin(best_us, list->times_us[i]);
    TS_TRY(tuner_rank(&a->session, problem, a->session.target, list->variants, list->count, &pick,
                      &first, err));
    if (!pick) return TS_STATUS_OK; /* no estimates: the default stays the prediction */
    double us = list->times_us[pick->index];
    for (size_t i = 0; i < first.count; i++)
        first_us = fmin(first_us, list->times_us[first.index[i]]);
    tuner_progress_end(&a->progress);
    print_outcome(a, problem->text, pick->name, us, first_us, best_us);
    a->outcomes[a->count++] = (outcome){problem->problem.family, us / best_us - 1,
                                        first_us / best_us - 1};
    tuner_candidate_free(pick);
    return TS_STATUS_OK;
}

/* One winner's problem; those of other templates or targets, or with a single timed variant, have
 * nothing to choose from. */
static ts_status audit_winner(audit *a, const db_winner *winner, ts_err *err) {
    const char *target = gen_target_name(a->session.target);
    timed_list list = {.g = a->session.g};
    tuner_problem problem = {0};
    ts_buf spec = {0};
    if (strcmp(winner->evidence, "measured") != 0 || strcmp(winner->target, target) != 0 ||
        gen_problem_parse(list.g, winner->problem, &problem.problem, NULL) != TS_STATUS_OK)
        return TS_STATUS_OK;
    ts_status status = db_each_result(a->db, winner->problem, target, winner->device.name,
                                      add_timed, &list, err);
    gen_problem_spec(&problem.problem, &spec);
    problem.text = (char *)(uintptr_t)winner->problem; /* the lab only reads it */
    problem.spec = spec.data;
    if (status == TS_STATUS_OK && (list.failed || spec.failed))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "measured variants");
    if (status == TS_STATUS_OK && list.count > 1) status = judge(a, &problem, &list, err);
    free_timed(&list);
    ts_buf_free(&spec);
    return status;
}

/* ---- medians ---- */

static int by_family_then_regret(const void *a, const void *b) {
    const outcome *x = a, *y = b;
    int family = strcmp(gen_family_name(x->family), gen_family_name(y->family));
    return family ? family : (x->regret > y->regret) - (x->regret < y->regret);
}

static size_t count_close(const outcome *outcomes, size_t count) {
    size_t close = 0;
    for (size_t i = 0; i < count; i++) close += outcomes[i].first_regret <= CLOSE;
    return close;
}

static void print_medians(const audit *a) {
    qsort(a->outcomes, a->count, sizeof *a->outcomes, by_family_then_regret);
    for (size_t begin = 0, end; begin < a->count; begin = end) {
        const outcome *first = &a->outcomes[begin];
        for (end = begin; end < a->count && a->outcomes[end].family == first->family;) end++;
        size_t count = end - begin;
        double median = 0.5 * (first[(count - 1) / 2].regret + first[count / 2].regret);
        const char *name = gen_family_name(first->family);
        if (a->session.options->json)
            printf("{\"family\":\"%s\",\"regret\":%.4f,\"problems\":%zu,\"top10_close\":%zu}\n",
                   name, median, count, count_close(first, count));
        else
            printf(
                "%s: median regret %.1f %% of %zu problems; the first ten hold one within %.0f %% "
                "of the best for %zu\n",
                name, 100 * median, count, 100 * CLOSE, count_close(first, count));
    }
    size_t close = count_close(a->outcomes, a->count);
    if (a->session.options->json)
        printf("{\"problems\":%zu,\"top10_close\":%zu}\n", a->count, close);
    else
        printf(
            "all: the first ten hold one within %.0f %% of the best for %zu of %zu problems (%.0f "
            "%%)\n",
            100 * CLOSE, close, a->count, 100.0 * (double)close / (double)a->count);
}

static ts_status run_audit(audit *a, const char *path, ts_err *err) {
    TS_TRY(db_image_load(path, NULL, &a->image, err));
    TS_TRY(db_reader_open(path, &a->db, err));
    a->outcomes = calloc(a->image.winner_count + 1, sizeof *a->outcomes);
    if (!a->outcomes) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "regrets");
    tuner_progress_stage(&a->progress, "rank", 0);
    for (size_t i = 0; i < a->image.winner_count && !tuner_interrupted; i++) {
        TS_TRY(audit_winner(a, &a->image.winners[i].winner, err));
        tuner_progress_show(&a->progress, i + 1, a->image.winner_count,
                            a->image.winners[i].winner.problem);
    }
    tuner_progress_end(&a->progress);
    if (a->count == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND,
                       "%s holds no measured problem of %s whose family estimates costs", path,
                       gen_target_name(a->session.target));
    print_medians(a);
    return TS_STATUS_OK;
}

ts_status tuner_command_regret(int argc, char **argv, int *exit_code, ts_err *err) {
    tuner_options options;
    ts_buf path = {0};
    audit a = {0};
    TS_TRY(tuner_options_parse(argc, argv, "regret", &options, err));
    tuner_progress_init(&a.progress, options.quiet);
    ts_status status = tuner_session_open(&a.session, &options, "model", &tuner_interrupted, err);
    if (status == TS_STATUS_OK) status = tuner_database_path(options.db, &path, err);
    if (status == TS_STATUS_OK) status = run_audit(&a, path.data, err);
    *exit_code = tuner_interrupted ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    db_reader_close(a.db);
    db_image_free(&a.image);
    free(a.outcomes);
    ts_buf_free(&path);
    tuner_session_close(&a.session);
    return status;
}
