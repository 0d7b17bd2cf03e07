/* `tune build`: a database from the text form of winners, with the compilers alone. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../commands.h"
#include "build.h"

typedef struct counts {
    size_t measured, changed, predicted, defaults, left_out;
} counts;

/* Names are the file's: they pass through an error's message, which is one line of plain text. */
static void print_entry(const tuner_build_entry *entry, const char *what, const char *why) {
    ts_err line;
    const db_text_winner *text = entry->text;
    ts_fail(&line, TS_STATUS_OK, "%s %.300s: %.300s on %.60s: %.300s", what,
            text ? text->winner.problem : entry->problem.text,
            text               ? text->winner.variant
            : entry->candidate ? entry->candidate->name
                               : "default",
            text ? text->winner.target : gen_target_name(entry->target), why);
    puts(line.message);
}

static counts print_entries(const tuner_build *build) {
    counts c = {0};
    for (size_t i = 0; i < tuner_build_count(build); i++) {
        const tuner_build_entry *entry = tuner_build_at(build, i);
        if (entry->left_out)
            print_entry(entry, "left out", entry->left_out), c.left_out++;
        else if (!entry->text)
            c.defaults++;
        else if (entry->changed[0])
            print_entry(entry, "to be measured again", entry->changed), c.changed++;
        else if (strcmp(entry->text->winner.evidence, "measured") == 0)
            c.measured++;
        else
            c.predicted++;
    }
    return c;
}

static void print_total(const counts *c, const char *path) {
    struct stat info = {0};
    stat(path, &info);
    printf("%s: %zu winners as measured, %zu to be measured again, %zu predicted, %zu more "
           "defaults, %zu left out, %lld bytes\n",
           path, c->measured, c->changed, c->predicted, c->defaults, c->left_out,
           (long long)info.st_size);
}

static ts_status build_into(tuner_build *build, const char *path, int *exit_code, ts_err *err) {
    if (access(path, F_OK) == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%s exists; remove it or name another with --db", path);
    TS_TRY(tuner_build_read(build, err));
    TS_TRY(tuner_build_compile(build, &tuner_interrupted, err));
    counts c = print_entries(build);
    TS_TRY(tuner_build_store(build, path, err));
    print_total(&c, path);
    *exit_code = c.left_out ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    return TS_STATUS_OK;
}

static void close_build(tuner_build *build) {
    for (size_t i = 0; i < tuner_build_count(build); i++)
        tuner_candidate_free(tuner_build_at(build, i)->candidate);
    tuner_session_close(&build->session);
    ts_buf_free(&build->entries);
    ts_arena_free(&build->arena);
}

ts_status tuner_command_build(int argc, char **argv, int *exit_code, ts_err *err) {
    tuner_options options;
    tuner_build build = {0};
    ts_buf path = {0};
    TS_TRY(tuner_options_parse(argc, argv, "build", &options, err));
    if (options.file_count == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "tune build needs files or folders of winners, such as db/winners");
    ts_status status = tuner_session_open_compilers(&build.session, &options, &tuner_interrupted,
                                                    err);
    if (status == TS_STATUS_OK) status = tuner_database_path(options.db, &path, err);
    if (status == TS_STATUS_OK) status = build_into(&build, path.data, exit_code, err);
    close_build(&build);
    ts_buf_free(&path);
    return status;
}
