/* `tune export`: the winners as text, a database to ship, or what was measured in another tuner's
 * format. */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../db/results.h"
#include "../../db/ship.h"
#include "../../db/winners.h"
#include "../commands.h"
#include "../ledger.h"
#include "../options.h"
#include "format.h"

static const tuner_export_format *const formats[] = {&tuner_export_kernel_tuner, &tuner_export_t4};
enum { FORMATS = sizeof formats / sizeof *formats };

typedef struct export_options {
    const char *db, *out;
    bool ship;
    const tuner_export_format *format; /* NULL: the winners as text */
    char **problems;
    int problem_count;
} export_options;

/* ---- options ---- */

static ts_status set_format(export_options *o, const char *name, ts_err *err) {
    ts_buf known = {0};
    for (size_t i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i]->name, name) == 0) o->format = formats[i];
        ts_buf_printf(&known, " %s", formats[i]->name);
    }
    ts_status status = o->format ? TS_STATUS_OK
                                 : ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                                           "--format %s: no such format; there are:%s", name,
                                           known.data ? known.data : "");
    ts_buf_free(&known);
    return status;
}

static ts_status parse(int argc, char **argv, export_options *out, ts_err *err) {
    static const struct option longs[] = {{"db", required_argument, NULL, 'd'},
                                          {"out", required_argument, NULL, 'o'},
                                          {"ship", no_argument, NULL, 's'},
                                          {"format", required_argument, NULL, 'f'},
                                          {NULL, 0, NULL, 0}};
    export_options o = {0};
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        switch (id) {
        case 'd': o.db = optarg; break;
        case 'o': o.out = optarg; break;
        case 's': o.ship = true; break;
        case 'f': TS_TRY(set_format(&o, optarg, err)); break;
        default:
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option or missing value: %s",
                           argv[optind - 1]);
        }
    }
    o.problems = argv + optind;
    o.problem_count = argc - optind;
    if (o.problem_count > 0 && !o.format)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "unexpected argument %s: problems go with --format", o.problems[0]);
    if (o.ship && o.format)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "--ship and --format exclude each other");
    *out = o;
    return TS_STATUS_OK;
}

/* ---- measured spaces ---- */

typedef struct exporter {
    const export_options *options;
    tuner_results_space space; /* the place whose results come in */
    tuner_results_space kept; /* where --out names a file: written once no second place was found */
    bool *found;              /* [problem_count] */
    bool one_file;
    size_t measured, unmeasured; /* places */
} exporter;

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Is `word` (of `length`) one of the words of `problem`? */
static bool has_word(const char *problem, const char *word, size_t length) {
    for (const char *at = problem; *at; at += strspn(at, " ")) {
        size_t here = strcspn(at, " ");
        if (here == length && memcmp(at, word, length) == 0) return true;
        at += here;
    }
    return false;
}

/* Does every word of `wanted` stand in `problem`? A family's name alone means all of its problems. */
static bool matches(const char *problem, const char *wanted) {
    for (const char *at = wanted + strspn(wanted, " "); *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (!has_word(problem, at, length)) return false;
        at += length;
    }
    return true;
}

static bool is_wanted(exporter *e, const char *problem) {
    bool wanted = e->options->problem_count == 0;
    for (int i = 0; i < e->options->problem_count; i++) {
        if (!matches(problem, e->options->problems[i])) continue;
        e->found[i] = wanted = true;
    }
    return wanted;
}

/* Texts come from the database: nothing but letters, digits, _, = and single dashes reaches a path.
 */
static void append_slug(ts_buf *out, const char *text) {
    bool dash = false, any = false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = isalnum(c) || c == '_' || c == '=';
        if (plain) ts_buf_printf(out, "%s%c", dash && any ? "-" : "", tolower(c));
        any = any || plain;
        dash = !plain;
    }
}

static void file_name(const exporter *e, const tuner_results_space *space, ts_buf *out) {
    ts_buf_printf(out, "%s", e->options->out ? e->options->out : ".");
    if (e->one_file) return;
    const char *const parts[] = {space->problem, space->target, space->device.name};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ts_buf_printf(out, "%s", i ? "-" : "/");
        append_slug(out, parts[i]);
    }
    ts_buf_printf(out, "%s", e->options->format->suffix);
}

static ts_status write_space(const exporter *e, const tuner_results_space *space, ts_err *err) {
    ts_buf path = {0};
    file_name(e, space, &path);
    ts_status status = path.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "name of a file")
                                   : TS_STATUS_OK;
    if (status == TS_STATUS_OK) {
        tuner_make_folder_of(path.data);
        status = e->options->format->write(space, path.data, err);
    }
    if (status == TS_STATUS_OK)
        printf("%s: %s on %s, %zu configurations, %zu timed\n", path.data, space->problem,
               space->device.name, space->count, space->timed);
    ts_buf_free(&path);
    return status;
}

/* The results of the place are complete. */
static ts_status close_space(exporter *e, ts_err *err) {
    ts_status status = TS_STATUS_OK;
    if (!e->space.problem) return TS_STATUS_OK;
    TS_TRY(tuner_space_finish(&e->space, err));
    if (e->space.timed == 0) {
        e->unmeasured++;
    } else if (++e->measured && !e->one_file) {
        status = write_space(e, &e->space, err);
    } else if (e->measured > 1) {
        status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                         "results of several problems, targets or devices do not go into one file; "
                         "name one problem, or a folder as --out");
    } else {
        e->kept = e->space;
        e->space = (tuner_results_space){0};
    }
    tuner_space_free(&e->space);
    return status;
}

static ts_status take_result(void *context, const db_result *result, ts_err *err) {
    exporter *e = context;
    const tuner_results_space *space = &e->space;
    if (!is_wanted(e, result->problem)) return TS_STATUS_OK;
    bool same = space->problem && strcmp(space->problem, result->problem) == 0 &&
                strcmp(space->target, result->target) == 0 &&
                strcmp(space->device.name, result->device.name) == 0;
    if (!same) TS_TRY(close_space(e, err));
    return tuner_space_add(&e->space, result, err);
}

static ts_status check_found(const exporter *e, const char *path, ts_err *err) {
    for (int i = 0; i < e->options->problem_count; i++)
        if (!e->found[i])
            return ts_fail(err, TS_STATUS_NOT_FOUND, "%s holds no results of \"%s\"", path,
                           e->options->problems[i]);
    if (e->measured == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND,
                       "%s holds no measurements; run tune where the device is", path);
    return TS_STATUS_OK;
}

static ts_status export_spaces(const export_options *o, const char *path, ts_err *err) {
    size_t damaged = 0;
    exporter e = {.options = o, .one_file = o->out && ends_with(o->out, ".json")};
    e.found = calloc((size_t)o->problem_count + 1, sizeof *e.found);
    if (!e.found) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "export");
    ts_status status = db_results_each(path, take_result, &e, &damaged, err);
    if (status == TS_STATUS_OK) status = close_space(&e, err);
    if (status == TS_STATUS_OK) status = check_found(&e, path, err);
    if (status == TS_STATUS_OK && e.one_file) status = write_space(&e, &e.kept, err);
    if (status == TS_STATUS_OK && e.unmeasured)
        fprintf(stderr,
                "tune export: left out: %zu problems without a measurement (defaults for older "
                "targets, predictions)\n",
                e.unmeasured);
    if (status == TS_STATUS_OK && damaged)
        fprintf(stderr, "tune export: left out: %zu damaged results\n", damaged);
    tuner_space_free(&e.space);
    tuner_space_free(&e.kept);
    free(e.found);
    return status;
}

/* ---- the command ---- */

static ts_status ship(const char *path, const char *out, ts_err *err) {
    db_ship_report report;
    if (!out) return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "tune export --ship needs --out");
    TS_TRY(db_ship(path, out, &report, err));
    printf("%s: %zu winners, %zu kernels, %lld bytes\n", out, report.winners, report.kernels,
           (long long)report.bytes);
    return TS_STATUS_OK;
}

ts_status tuner_command_export(int argc, char **argv, int *exit_code, ts_err *err) {
    export_options o;
    ts_buf path = {0};
    TS_TRY(parse(argc, argv, &o, err));
    ts_status status = tuner_existing_database(o.db, &path, err);
    if (status == TS_STATUS_OK) {
        if (o.format)
            status = export_spaces(&o, path.data, err);
        else if (o.ship)
            status = ship(path.data, o.out, err);
        else
            status = db_export_winners(path.data, o.out ? o.out : "db/winners", err);
    }
    ts_buf_free(&path);
    *exit_code = TUNER_EXIT_OK;
    return status;
}
