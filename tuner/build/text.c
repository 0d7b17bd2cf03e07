/* Winners' files to entries. The text names things; the templates of today say what they are. */
#include "build.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

size_t tuner_build_count(const tuner_build *build) {
    return build->entries.bytes / sizeof(tuner_build_entry);
}

tuner_build_entry *tuner_build_at(const tuner_build *build, size_t index) {
    return (tuner_build_entry *)(void *)build->entries.data + index;
}

static ts_status add_entry(tuner_build *build, const tuner_build_entry *entry, ts_err *err) {
    ts_buf_append(&build->entries, entry, sizeof *entry);
    return build->entries.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of kernels")
                                 : TS_STATUS_OK;
}

/* ---- what a line means ---- */

static ts_status name_problem(tuner_build *build, tuner_problem *problem, ts_err *err) {
    ts_buf text = {0}, spec = {0};
    gen_problem_text(&problem->problem, &text);
    gen_problem_spec(&problem->problem, &spec);
    problem->text = ts_arena_strdup(&build->arena, text.data ? text.data : "");
    problem->spec = ts_arena_strdup(&build->arena, spec.data ? spec.data : "");
    bool failed = text.failed || spec.failed || !problem->text || !problem->spec;
    ts_buf_free(&text);
    ts_buf_free(&spec);
    return failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of kernels") : TS_STATUS_OK;
}

/* The text is anybody's: a variant that parses may still break a constraint of today. */
static ts_status find_in_space(tuner_build *build, const tuner_build_entry *entry, ts_err *err) {
    gen_variant *variants = NULL;
    size_t count = 0, i = 0;
    TS_TRY(gen_enumerate(build->session.g, &entry->problem.problem, entry->target, &variants,
                         &count, err));
    while (i < count && (variants[i].version != entry->variant.version ||
                         memcmp(variants[i].tunables, entry->variant.tunables,
                                sizeof entry->variant.tunables) != 0))
        i++;
    free(variants);
    return i < count ? TS_STATUS_OK
                     : ts_fail(err, TS_STATUS_NOT_FOUND,
                               "the templates have no such variant for this problem any more");
}

static ts_status is_new(const tuner_build *build, const tuner_build_entry *entry, ts_err *err) {
    for (size_t i = 0; i < tuner_build_count(build); i++) {
        const tuner_build_entry *other = tuner_build_at(build, i);
        if (other->left_out || other->target != entry->target ||
            strcmp(other->problem.text, entry->problem.text) != 0 ||
            strcmp(other->text->winner.device.name, entry->text->winner.device.name) != 0)
            continue;
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%s has a winner for the same problem and device already", other->file);
    }
    return TS_STATUS_OK;
}

/* NOT_FOUND, INVALID_ARGUMENT, TEMPLATE: the line does not fit; OUT_OF_MEMORY is ours. */
static ts_status resolve(tuner_build *build, tuner_build_entry *entry, ts_err *err) {
    gen *g = build->session.g;
    const db_winner *winner = &entry->text->winner;
    if (!entry->target)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "the templates have no target %.60s",
                       winner->target);
    TS_TRY(gen_problem_parse(g, winner->problem, &entry->problem.problem, err));
    TS_TRY(name_problem(build, &entry->problem, err));
    TS_TRY(gen_variant_parse(g, winner->variant, &entry->variant, err));
    TS_TRY(find_in_space(build, entry, err));
    TS_TRY(is_new(build, entry, err));
    gen_variant standard;
    entry->is_default = gen_default(g, &entry->problem.problem, entry->target, &standard, NULL) ==
                            TS_STATUS_OK &&
                        standard.version == entry->variant.version &&
                        memcmp(standard.tunables, entry->variant.tunables,
                               sizeof standard.tunables) == 0;
    return TS_STATUS_OK;
}

/* ---- files ---- */

static bool is_wanted(const tuner_build *build, const char *name) {
    const char *const *gpus = build->session.options->gpus;
    const gen_target *target = gen_target_find(build->session.g, name);
    for (size_t i = 0; gpus[i]; i++)
        if (strcmp(gpus[i], name) == 0 ||
            (strcmp(gpus[i], "cpu") == 0 && target && gen_target_kind(target) == GEN_CPU))
            return true;
    return !gpus[0];
}

static ts_status add_file(tuner_build *build, const char *path, ts_err *err) {
    db_text_winners texts;
    TS_TRY(db_text_winners_read(path, &build->arena, &texts, err));
    const char *file = ts_arena_strdup(&build->arena, path);
    for (size_t i = 0; i < texts.count; i++) {
        const db_winner *winner = &texts.items[i].winner;
        if (!is_wanted(build, winner->target)) continue;
        tuner_build_entry entry = {.text = &texts.items[i],
                                   .file = file ? file : "",
                                   .target = gen_target_find(build->session.g, winner->target)};
        ts_err why = {0};
        ts_status status = resolve(build, &entry, &why);
        if (status == TS_STATUS_OUT_OF_MEMORY) return ts_fail(err, status, "%s", why.message);
        if (status != TS_STATUS_OK) entry.left_out = ts_arena_strdup(&build->arena, why.message);
        TS_TRY(add_entry(build, &entry, err));
    }
    return TS_STATUS_OK;
}

static ts_status add_path(tuner_build *build, const char *path, ts_err *err) {
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return add_file(build, path, err);
    ts_buf pattern = {0};
    glob_t found = {0};
    for (const char *c = path; *c; c++) /* a folder's name is no pattern */
        ts_buf_printf(&pattern, strchr("*?[\\", *c) ? "\\%c" : "%c", *c);
    ts_buf_printf(&pattern, "/*.json");
    ts_status status = TS_STATUS_OK;
    if (pattern.failed || glob(pattern.data, 0, NULL, &found) != 0)
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s holds no *.json", path);
    for (size_t i = 0; i < found.gl_pathc && status == TS_STATUS_OK; i++)
        status = add_file(build, found.gl_pathv[i], err);
    globfree(&found);
    ts_buf_free(&pattern);
    return status;
}

/* ---- defaults ---- */

static bool has_default(const tuner_build *build, const tuner_build_entry *entry) {
    for (size_t i = 0; i < tuner_build_count(build); i++) {
        const tuner_build_entry *other = tuner_build_at(build, i);
        if (!other->left_out && other->is_default && other->target == entry->target &&
            other->problem.problem.family == entry->problem.problem.family &&
            strcmp(other->problem.spec, entry->problem.spec) == 0)
            return true;
    }
    return false;
}

/* A family may have no version for a target. */
static ts_status add_default(tuner_build *build, const tuner_build_entry *of,
                             const gen_target *target, ts_err *err) {
    tuner_build_entry entry = {
        .file = "", .problem = of->problem, .target = target, .is_default = true};
    ts_err why = {0};
    if (has_default(build, &entry)) return TS_STATUS_OK;
    ts_status status = gen_default(build->session.g, &entry.problem.problem, target, &entry.variant,
                                   &why);
    if (status == TS_STATUS_NOT_FOUND) return TS_STATUS_OK;
    if (status != TS_STATUS_OK) return ts_fail(err, status, "%s", why.message);
    return add_entry(build, &entry, err);
}

static ts_status add_defaults(tuner_build *build, ts_err *err) {
    size_t texts = tuner_build_count(build);
    for (size_t i = 0; i < texts; i++) {
        tuner_build_entry of = *tuner_build_at(build, i); /* a copy: the list grows */
        if (of.left_out) continue;
        const gen_target *oldest = tuner_oldest_level(of.target);
        TS_TRY(add_default(build, &of, of.target, err));
        if (oldest) TS_TRY(add_default(build, &of, oldest, err));
    }
    return TS_STATUS_OK;
}

static ts_status check_gpus(const tuner_build *build, ts_err *err) {
    const char *const *gpus = build->session.options->gpus;
    for (size_t i = 0; gpus[i]; i++)
        if (strcmp(gpus[i], "cpu") != 0 && !gen_target_find(build->session.g, gpus[i]))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "no target \"%s\"; name one as the winners' files do, or cpu", gpus[i]);
    return TS_STATUS_OK;
}

ts_status tuner_build_read(tuner_build *build, ts_err *err) {
    const tuner_options *options = build->session.options;
    TS_TRY(check_gpus(build, err));
    for (int i = 0; i < options->file_count; i++) TS_TRY(add_path(build, options->files[i], err));
    if (tuner_build_count(build) == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "the files hold no winner for these --gpu");
    return add_defaults(build, err);
}
