/* `tune check`: variants compiled and verified, and with --time measured; nothing stored. The test suites'
 * door, and a kernel author's.
 *
 * For each selected problem (the smoke cases, unless some are picked): every version's first
 * variant, which is its default if it has one, and a seeded sample of the others, or all of them.
 * One line a failure, and a last line with the counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "numeric.h"
#include "progress.h"
#include "session.h"

typedef struct tally {
    tuner_session *session;
    tuner_progress progress;
    bool compile_only;
    size_t passed, failed, skipped;
    size_t problems; /* submitted so far */
} tally;

/* A broken family fails in all its variants: the first ones tell all. */
enum { MAX_LINES = 40 };

static void print_failure(tally *t, const char *problem, const char *variant, const char *status,
                          const char *reason) {
    if (++t->failed > MAX_LINES) return;
    tuner_progress_end(&t->progress);
    printf("FAILED %s | %s | %s: %s: %s\n", problem, variant, gen_target_name(t->session->target),
           status, reason);
    if (t->failed == MAX_LINES) puts("(further failures are only counted)");
    fflush(stdout);
}

static void print_time(tally *t, const tuner_candidate *candidate) {
    const tuner_run_result *result = &candidate->result;
    tuner_progress_end(&t->progress);
    printf("%12.2f us +- %4.1f %%  %s | %s\n", result->time_us,
           100 * result->spread_us / result->time_us, candidate->problem->text, candidate->name);
    fflush(stdout);
}

static void count_result(tally *t, const tuner_candidate *candidate) {
    const tuner_run_result *result = &candidate->result;
    if (strcmp(result->status, "ok") == 0) {
        t->passed++;
        if (t->session->options->time) print_time(t, candidate);
    } else if (strcmp(result->status, "constraint") == 0 && !candidate->built)
        t->skipped++;
    else
        print_failure(t, candidate->problem->text, candidate->name, result->status, result->reason);
}

static ts_status take_one(tally *t, bool *idle, ts_err *err) {
    tuner_candidate *candidate = NULL;
    TS_TRY(tuner_lab_next(&t->session->lab, &candidate, err));
    *idle = candidate == NULL;
    if (!candidate) return TS_STATUS_OK;
    count_result(t, candidate);
    tuner_progress_show(&t->progress, t->problems, t->session->selection.count, candidate->name);
    tuner_candidate_free(candidate);
    return TS_STATUS_OK;
}

static ts_status submit(tally *t, tuner_problem *problem, const gen_variant *variant, ts_err *err) {
    tuner_session *s = t->session;
    ts_status status = TS_STATUS_OK;
    bool idle = false;
    while (!tuner_lab_has_room(&s->lab) && !idle && status == TS_STATUS_OK)
        status = take_one(t, &idle, err);
    if (status != TS_STATUS_OK) return status;
    tuner_candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
    candidate->problem = problem;
    candidate->target = s->target;
    candidate->variant = *variant;
    candidate->want = t->compile_only     ? TUNER_WANT_COMPILED
                      : s->options->time ? TUNER_WANT_TIMED
                                         : TUNER_WANT_VERIFIED;
    status = tuner_lab_prepare(&s->lab, candidate, err);
    if (status == TS_STATUS_OK)
        tuner_lab_submit(&s->lab, candidate);
    else
        tuner_candidate_free(candidate);
    return status;
}

/* Marks variants [begin, end), all of one version: the first, and `sample` others (all if it is
 * negative). */
static void choose(bool *chosen, size_t begin, size_t end, int sample, uint64_t seed,
                   uint64_t stream) {
    chosen[begin] = true;
    for (size_t i = begin + 1; i < end && sample < 0; i++) chosen[i] = true;
    size_t others = end - begin - 1;
    for (int n = 0; n < sample && (size_t)n < others; n++) {
        size_t skip = (size_t)(tuner_random_unit(seed, stream, (uint64_t)n) *
                               (double)(others - (size_t)n));
        size_t i = begin + 1;
        while (chosen[i] || skip-- > 0) i++;
        chosen[i] = true;
    }
}

/* Enumeration lists the default first, then version by version; the default's own version may come
 * again. */
static void choose_all(bool *chosen, const gen_variant *variants, size_t count,
                       const tuner_options *options, uint64_t stream) {
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && variants[end].version == variants[begin].version;)
            end++;
        choose(chosen, begin, end, options->sample, options->seed, stream * 100 + begin);
    }
}

/* Is it what one --variant names in full; or does one name its version? */
static bool is_named(const char *name, const char *const *wanted, bool *in_full) {
    bool version = false;
    for (*in_full = false; *wanted && !*in_full; wanted++) {
        size_t length = strlen(*wanted);
        *in_full = strcmp(name, *wanted) == 0;
        version = version || (strncmp(name, *wanted, length) == 0 && name[length] == ' ');
    }
    return *in_full || version;
}

/* Leaves only what --variant names: versions' chosen variants, and single ones, chosen or not. */
static void keep_named(bool *chosen, const gen_variant *variants, size_t count,
                       const char *const *wanted) {
    for (size_t i = 0; i < count; i++) {
        ts_buf name = {0};
        bool in_full = false;
        gen_variant_name(&variants[i], &name);
        bool named = name.data && is_named(name.data, wanted, &in_full);
        chosen[i] = in_full || (named && chosen[i]);
        ts_buf_free(&name);
    }
}

static ts_status check_problem(tally *t, size_t index, ts_err *err) {
    tuner_session *s = t->session;
    tuner_problem *problem = &s->selection.problems[index];
    gen_variant *variants = NULL;
    size_t count = 0;
    ts_err why = {0};
    t->problems++;
    ts_status status = gen_enumerate(s->g, &problem->problem, s->target, &variants, &count, &why);
    if (status == TS_STATUS_NOT_FOUND || (status == TS_STATUS_OK && count == 0)) {
        t->skipped++;
        return TS_STATUS_OK;
    }
    if (status == TS_STATUS_TEMPLATE) { /* this family is broken, the others are not */
        print_failure(t, problem->text, "-", "template", why.message);
        return TS_STATUS_OK;
    }
    if (status != TS_STATUS_OK) return ts_fail(err, status, "%s", why.message);
    bool *chosen = calloc(count, sizeof *chosen);
    if (!chosen)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of variants");
    else
        choose_all(chosen, variants, count, s->options, index);
    if (chosen && s->options->variants[0])
        keep_named(chosen, variants, count, s->options->variants);
    for (size_t i = 0; i < count && status == TS_STATUS_OK && !tuner_interrupted; i++)
        if (chosen[i]) status = submit(t, problem, &variants[i], err);
    free(chosen);
    free(variants);
    return status;
}

static ts_status run_check(tally *t, ts_err *err) {
    tuner_session *s = t->session;
    bool idle = false;
    t->compile_only = s->options->compile_only || !s->have_device;
    if (s->options->time && t->compile_only)
        return ts_fail(err, TS_STATUS_NO_DEVICE, "--time needs a %s device to measure on",
                       gen_target_name(s->target));
    /* Compilers would take a CPU's cores from what is measured. */
    s->lab.exclusive = s->options->time && gen_target_kind(s->target) == GEN_CPU;
    if (!s->options->compile_only && !s->have_device)
        tuner_progress_line(&t->progress, "no %s device here: variants are compiled, not run",
                            gen_target_name(s->target));
    tuner_progress_stage(&t->progress, "check", 0);
    for (size_t i = 0; i < s->selection.count && !tuner_interrupted; i++)
        TS_TRY(check_problem(t, i, err));
    while (!idle && !tuner_interrupted) TS_TRY(take_one(t, &idle, err));
    return TS_STATUS_OK;
}

ts_status tuner_command_check(int argc, char **argv, int *exit_code, ts_err *err) {
    tuner_options options;
    tuner_session session;
    TS_TRY(tuner_options_parse(argc, argv, "check", &options, err));
    tally t = {.session = &session};
    tuner_progress_init(&t.progress, options.quiet);
    ts_status status = tuner_session_open(&session, &options, "smoke", &tuner_interrupted, err);
    if (status == TS_STATUS_OK) status = run_check(&t, err);
    tuner_progress_end(&t.progress);
    if (status == TS_STATUS_OK) {
        printf("%zu passed, %zu failed, %zu skipped\n", t.passed, t.failed, t.skipped);
        *exit_code = t.failed || tuner_interrupted || t.passed == 0 ? TUNER_EXIT_FAILED
                                                                    : TUNER_EXIT_OK;
    }
    tuner_session_close(&session);
    return status;
}
