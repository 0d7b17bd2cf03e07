/* `tune ls`, `tune explain`: what a database holds. They read, and open no device. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../db/store.h"
#include "../gen/gen.h"
#include "commands.h"
#include "options.h"
#include "report.h"
#include "templates_dir.h"

typedef struct query_options {
    const char *db;
    bool json;
    char **rest;
    int rest_count;
} query_options;

/* --db FILE, --json, then words. */
static ts_status parse(int argc, char **argv, query_options *out, ts_err *err) {
    static const struct option longs[] = {
        {"db", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    query_options o = {0};
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        if (id == 'd')
            o.db = optarg;
        else if (id == 'j')
            o.json = true;
        else
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option or missing value: %s",
                           argv[optind - 1]);
    }
    o.rest = argv + optind;
    o.rest_count = argc - optind;
    *out = o;
    return TS_STATUS_OK;
}

/* ---- ls ---- */

static int by_place(const void *a, const void *b) {
    const db_winner *x = &((const db_winner_row *)a)->winner;
    const db_winner *y = &((const db_winner_row *)b)->winner;
    int target = strcmp(x->target, y->target), device = strcmp(x->device.name, y->device.name);
    return target ? target : device ? device : strcmp(x->problem, y->problem);
}

static bool is_measured(const db_winner *winner) {
    return strcmp(winner->evidence, "measured") == 0;
}

/* ", code for drivers of CUDA 13.0 and newer"; nothing for code of the CPU. */
static void print_driver(int32_t driver_min) {
    if (driver_min > 0)
        printf(", code for drivers of CUDA %d.%d and newer", driver_min / 1000,
               driver_min % 1000 / 10);
}

/* Winners of one target and device. */
static void print_heading(const db_winner_row *rows, size_t count) {
    const db_winner *first = &rows->winner;
    size_t measured = 0;
    int32_t driver_min = 0;
    for (size_t i = 0; i < count; i++) {
        measured += is_measured(&rows[i].winner);
        if (rows[i].kernel->driver_min > driver_min) driver_min = rows[i].kernel->driver_min;
    }
    printf("%s on %s: ", first->target, *first->device.name ? first->device.name : "any device");
    if (measured || *first->device.name)
        printf("%zu of %zu measured", measured, count);
    else
        printf("compiled and ranked only, no such device has run these");
    if (measured < count && *first->device.name)
        printf(", %zu to be measured again", count - measured);
    print_driver(driver_min);
    putchar('\n');
}

/* `winners` are those of `rows`, side by side as the table wants them. */
static void print_groups(const db_winner_row *rows, const db_winner *winners, size_t count) {
    for (size_t begin = 0, end; begin < count; begin = end) {
        const db_winner *first = &winners[begin];
        for (end = begin; end < count && strcmp(winners[end].target, first->target) == 0 &&
                          strcmp(winners[end].device.name, first->device.name) == 0;)
            end++;
        if (begin) putchar('\n');
        print_heading(&rows[begin], end - begin);
        tuner_report_table(first, end - begin, 0);
    }
}

static ts_status list_image(db_image *image, bool json, ts_err *err) {
    db_winner *winners = calloc(image->winner_count + 1, sizeof *winners);
    if (!winners) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of winners");
    qsort(image->winners, image->winner_count, sizeof *image->winners, by_place);
    for (size_t i = 0; i < image->winner_count; i++) winners[i] = image->winners[i].winner;
    for (size_t i = 0; i < image->winner_count && json; i++) tuner_report_winner(&winners[i]);
    if (!json) {
        print_groups(image->winners, winners, image->winner_count);
        printf("\n%zu kernels, %zu winners\n", image->kernel_count, image->winner_count);
    }
    for (size_t i = 0; i < image->warning_count; i++)
        fprintf(stderr, "tune ls: %s\n", image->warnings[i]);
    free(winners);
    return TS_STATUS_OK;
}

ts_status tuner_command_ls(int argc, char **argv, int *exit_code, ts_err *err) {
    query_options o;
    ts_buf path = {0};
    db_image image = {0};
    TS_TRY(parse(argc, argv, &o, err));
    ts_status status = tuner_existing_database(o.db, &path, err);
    if (status == TS_STATUS_OK) status = db_image_load(path.data, NULL, &image, err);
    if (status == TS_STATUS_OK) {
        status = list_image(&image, o.json, err);
        db_image_free(&image);
    }
    ts_buf_free(&path);
    *exit_code = TUNER_EXIT_OK;
    return status;
}

/* ---- explain ---- */

static void print_result(void *context, const db_result *result) {
    (void)context;
    printf("  %-10s ", result->status);
    if (result->time_us > 0)
        printf("%10.2f us  ", result->time_us);
    else
        printf("%10s     ", "-");
    printf("%s%s%s\n", result->variant, result->reason[0] ? "  " : "", result->reason);
}

/* A file may say anything: what is missing is a question mark. */
static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

/* What the final race was run under, and who ran: all that is needed to judge the winner. */
static void print_race(const char *text) {
    json_t *race = json_loads(text ? text : "{}", 0, NULL), *finalist;
    size_t i;
    if (!json_object_get(race, "finalists")) {
        json_decref(race);
        return;
    }
    double drift = json_number_value(json_object_get(race, "drift"));
    double mhz = json_number_value(json_object_get(race, "clock_mhz"));
    printf(
        "  final race: %lld rounds, inputs %s in the cache, warmed %.0f ms to a drift of %.2f %%",
        (long long)json_integer_value(json_object_get(race, "rounds")), text_of(race, "cache"),
        1e3 * json_number_value(json_object_get(race, "warm_s")), 100 * drift);
    if (mhz > 0) printf(", at %.0f MHz", mhz);
    printf(", %lld rounds dropped%s\n",
           (long long)json_integer_value(json_object_get(race, "dropped")),
           json_is_true(json_object_get(race, "disturbed")) ? ", disturbed throughout" : "");
    json_array_foreach(json_object_get(race, "finalists"), i, finalist)
        printf("    %10.2f us  95 %% %.2f to %.2f, %2zu rounds  %s%s\n",
               json_number_value(json_object_get(finalist, "median_us")),
               json_number_value(json_object_get(finalist, "ci_low_us")),
               json_number_value(json_object_get(finalist, "ci_high_us")),
               json_array_size(json_object_get(finalist, "samples_us")),
               text_of(finalist, "variant"), i ? "" : "  (default)");
    json_decref(race);
}

/* What a winner was before its code changed. */
static void print_former(const char *text) {
    json_t *race = json_loads(text ? text : "{}", 0, NULL);
    const json_t *was = json_object_get(race, "measured");
    double time_us = json_number_value(json_object_get(was, "time_us"));
    double default_us = json_number_value(json_object_get(was, "default_us"));
    if (was) {
        printf("  nobody has run this code; what was measured: %s, %.2f us, 95 %% interval %.2f to "
               "%.2f",
               text_of(was, "verdict"), time_us,
               json_number_value(json_object_get(was, "ci_low_us")),
               json_number_value(json_object_get(was, "ci_high_us")));
        if (default_us > 0) printf(", default %.2f us", default_us);
        printf(", signature %.12s\n", text_of(was, "signature"));
    }
    json_decref(race);
}

static ts_status explain_winner(db_reader *db, const db_winner_row *row, ts_err *err) {
    const db_winner *w = &row->winner;
    printf("%s\n  target %s, device %s\n", w->problem, w->target,
           *w->device.name ? w->device.name : "any");
    printf("  %s: %s (%s", w->verdict, w->variant, w->evidence);
    if (w->ci_low_us > 0)
        printf(", %.2f us, 95 %% interval %.2f to %.2f", w->time_us, w->ci_low_us, w->ci_high_us);
    else if (w->time_us > 0)
        printf(", %.2f us, not raced yet", w->time_us);
    if (w->default_us > 0) printf(", default %.2f us", w->default_us);
    printf(")\n  compiled by %s", row->kernel->compiler);
    print_driver(row->kernel->driver_min);
    putchar('\n');
    print_former(w->race);
    print_race(w->race);
    puts("  results:");
    return db_each_result(db, w->problem, w->target, w->device.name, print_result, NULL, err);
}

/* The user's words in canonical form, so that fields may be given in any order; as they are where
 * the family is not a built-in one. */
static void canonical(const char *words, ts_buf *out) {
    const char *dirs[] = {NULL, NULL};
    gen *g = NULL;
    gen_problem problem;
    bool known = tuner_templates_dir(&dirs[0], NULL) == TS_STATUS_OK &&
                 gen_open(dirs, &g, NULL) == TS_STATUS_OK &&
                 gen_problem_parse(g, words, &problem, NULL) == TS_STATUS_OK;
    if (known)
        gen_problem_text(&problem, out);
    else
        ts_buf_printf(out, "%s", words);
    gen_close(g);
}

static ts_status explain(const char *path, const char *problem, ts_err *err) {
    db_image image = {0};
    db_reader *db = NULL;
    size_t found = 0;
    ts_status status = db_image_load(path, NULL, &image, err);
    if (status != TS_STATUS_OK) return status;
    status = db_reader_open(path, &db, err);
    for (size_t i = 0; i < image.winner_count && status == TS_STATUS_OK; i++) {
        if (strcmp(image.winners[i].winner.problem, problem) != 0) continue;
        found++;
        status = explain_winner(db, &image.winners[i], err);
    }
    db_reader_close(db);
    db_image_free(&image);
    if (status == TS_STATUS_OK && found == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND,
                       "%s holds nothing for \"%s\"; add it with\n  tune --problem '%s'", path,
                       problem, problem);
    return status;
}

ts_status tuner_command_explain(int argc, char **argv, int *exit_code, ts_err *err) {
    query_options o;
    ts_buf path = {0}, words = {0}, problem = {0};
    TS_TRY(parse(argc, argv, &o, err));
    if (o.rest_count == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "tune explain needs a problem");
    for (int i = 0; i < o.rest_count; i++) ts_buf_printf(&words, "%s%s", i ? " " : "", o.rest[i]);
    ts_status status = tuner_existing_database(o.db, &path, err);
    canonical(words.data, &problem);
    if (status == TS_STATUS_OK && (words.failed || problem.failed))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "problem");
    if (status == TS_STATUS_OK) status = explain(path.data, problem.data, err);
    ts_buf_free(&path);
    ts_buf_free(&words);
    ts_buf_free(&problem);
    *exit_code = TUNER_EXIT_OK;
    return status;
}
