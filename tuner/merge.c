/* `tune merge`: databases of several machines into one. Prints what was decided, once it is done. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../db/merge.h"
#include "commands.h"
#include "ledger.h"
#include "local_copy.h"
#include "options.h"

static const char *const actions[DB_MERGE_ACTIONS] = {
    [DB_MERGE_ADDED] = "added", [DB_MERGE_REPLACED] = "replaced", [DB_MERGE_KEPT] = "kept",
    [DB_MERGE_SAME] = "same",   [DB_MERGE_SKIPPED] = "skipped",
};

typedef struct merge_options {
    const char *db;
    bool json;
    char **files;
    size_t file_count;
} merge_options;

static ts_status parse(int argc, char **argv, merge_options *out, ts_err *err) {
    static const struct option longs[] = {
        {"db", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    merge_options o = {0};
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        if (id != 'd' && id != 'j')
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option or missing value: %s",
                           argv[optind - 1]);
        if (id == 'd')
            o.db = optarg;
        else
            o.json = true;
    }
    o.files = argv + optind;
    o.file_count = (size_t)(argc - optind);
    if (o.file_count == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "tune merge needs the databases to merge: tune merge --db ALL.db A.db B.db");
    *out = o;
    return TS_STATUS_OK;
}

/* ---- output ---- */

/* The file that an entry came from; what was in the database before is the database's. */
static const char *file_of(const char *file, const char *db) { return file ? file : db; }

static json_t *counts_json(const size_t counts[DB_MERGE_ACTIONS]) {
    json_t *object = json_object();
    for (int a = 0; a < DB_MERGE_ACTIONS; a++)
        json_object_set_new(object, actions[a], json_integer((json_int_t)counts[a]));
    return object;
}

static void print_json(json_t *line) {
    json_dumpf(line, stdout, JSON_COMPACT);
    json_decref(line);
    putchar('\n');
    fflush(stdout);
}

static void print_lines(const db_merge_report *report, const char *db) {
    for (size_t i = 0; i < report->decision_count; i++) {
        const db_merge_decision *d = &report->decisions[i];
        const char *other_file = d->other_variant ? file_of(d->other_file, db) : NULL;
        json_t *line = json_pack("{ss ss? ss? ss? ss? ss ss? ss? ss?}", "action",
                                 actions[d->action], "problem", d->problem, "target", d->target,
                                 "device", d->device, "variant", d->variant, "file",
                                 file_of(d->file, db), "other_variant", d->other_variant,
                                 "other_file", other_file, "reason", d->reason);
        if (!line)
            line = json_pack("{ss ss}", "action", actions[d->action], "reason",
                             "one of its texts is not UTF-8");
        print_json(line);
    }
    print_json(json_pack("{ss so so so}", "event", "end", "winners", counts_json(report->winners),
                         "kernels", counts_json(report->kernels), "results",
                         counts_json(report->results)));
}

static void print_counts(const char *what, const size_t counts[DB_MERGE_ACTIONS]) {
    printf("%s:", what);
    for (int a = 0; a < DB_MERGE_ACTIONS; a++)
        printf("%s %zu %s", a ? "," : "", counts[a], actions[a]);
    putchar('\n');
}

/* Only what was in dispute has a line. */
static void print_text(const db_merge_report *report, const char *db) {
    for (size_t i = 0; i < report->decision_count; i++) {
        const db_merge_decision *d = &report->decisions[i];
        if (d->action == DB_MERGE_SKIPPED)
            fprintf(stderr, "tune merge: %s: %s; skipped\n", d->file, d->reason);
        else if (d->other_variant)
            printf("%s on %s (%s): kept %s of %s, not %s of %s: %s\n", d->problem,
                   *d->device ? d->device : "any device", d->target, d->variant,
                   file_of(d->file, db), d->other_variant, file_of(d->other_file, db), d->reason);
    }
    print_counts("winners", report->winners);
    print_counts("kernels", report->kernels);
    print_counts("results", report->results);
}

static bool has_skipped(const db_merge_report *report) {
    for (size_t i = 0; i < report->decision_count; i++)
        if (report->decisions[i].action == DB_MERGE_SKIPPED) return true;
    return false;
}

/* ---- the command ---- */

/* Said of the file itself: a copy of it could be written, and root may write anything. */
static ts_status check_target(const char *path, ts_err *err) {
    struct stat info;
    if (stat(path, &info) != 0) return TS_STATUS_OK; /* it is made */
    if ((info.st_mode & 0222) != 0 && access(path, W_OK) == 0) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_UNSUPPORTED,
                   "%s is read-only, as shipped files are; merge it with the others into another "
                   "file: tune merge --db NEW.db %s ...",
                   path, path);
}

static ts_status merge(const merge_options *o, const char *path, int *exit_code, ts_err *err) {
    tuner_local_copy copy = {0};
    db_merge_report report;
    const char *const *files = (const char *const *)o->files;
    TS_TRY(check_target(path, err));
    tuner_make_folder_of(path);
    ts_status status = tuner_local_copy_make(path, &copy, err);
    if (status == TS_STATUS_OK)
        status = db_merge(copy.path ? copy.path : path, files, o->file_count, &tuner_interrupted,
                          &report, err);
    if (status == TS_STATUS_OK) {
        status = tuner_local_copy_publish(&copy, err);
        if (status == TS_STATUS_OK) (o->json ? print_lines : print_text)(&report, path);
        *exit_code = has_skipped(&report) ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
        db_merge_report_free(&report);
    }
    tuner_local_copy_free(&copy);
    return status;
}

ts_status tuner_command_merge(int argc, char **argv, int *exit_code, ts_err *err) {
    merge_options o = {0};
    ts_buf path = {0};
    TS_TRY(parse(argc, argv, &o, err));
    ts_status status = tuner_database_path(o.db, &path, err);
    if (status == TS_STATUS_OK) status = merge(&o, path.data, exit_code, err);
    ts_buf_free(&path);
    return status;
}
