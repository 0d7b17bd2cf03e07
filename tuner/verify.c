/* `tune verify`: are a database's winners right and fast on this machine?
 *
 * Needs no compiler: the kernels are those of the file. Each problem's winner, the default of its
 * specialization and, with --against, the winner of another file are verified as when they were
 * tuned, then raced. What the other file's winner would save is the loss: of this choice against a
 * second tune, an exhaustive one, or one made on another device. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../db/store.h"
#include "commands.h"
#include "numeric.h"
#include "progress.h"
#include "race.h"
#include "ship/sign.h"
#include "session.h"

/* A difference below this does not survive a second measurement (race.c has the same margin). */
static const double margin = 0.005;
/* A loss that is called one. */
static const double loss_margin = 0.01;

enum { DEFAULT, WINNER, OTHER, ROLES };

typedef struct audit {
    const tuner_options *options;
    tuner_session session;
    tuner_progress progress;
    db_image image, against;
    size_t right, wrong, slower, differing, losing; /* problems */
    double worst_loss;
} audit;

typedef struct entry { /* one problem's kernels */
    tuner_problem problem;
    const db_winner *winner, *other;
    const db_kernel *kernels[ROLES]; /* NULL: none, or the same as an earlier one */
    tuner_built built[ROLES];
    int place[ROLES]; /* in the race; -1: not in it */
    tuner_rounds rounds;
    size_t runners;
    char reason[1200];
} entry;

/* ---- which kernels ---- */

static const db_kernel *default_kernel(const db_image *image, const db_kernel *like) {
    for (size_t i = 0; i < image->kernel_count; i++) {
        const db_kernel *k = &image->kernels[i];
        if (k->is_default && strcmp(k->family, like->family) == 0 &&
            strcmp(k->spec, like->spec) == 0 && strcmp(k->target, like->target) == 0 &&
            strcmp(k->abi, like->abi) == 0)
            return k;
    }
    return NULL;
}

/* The winner for a problem on the target: measured on this device, else on any. */
static const db_winner_row *find_winner(const audit *a, const db_image *image,
                                        const char *problem) {
    const db_winner_row *found = NULL;
    const char *target = gen_target_name(a->session.target);
    for (size_t i = 0; i < image->winner_count; i++) {
        const db_winner_row *row = &image->winners[i];
        if (strcmp(row->winner.problem, problem) != 0 || strcmp(row->winner.target, target) != 0)
            continue;
        if (strcmp(row->winner.device.name, a->session.facts.info.name) == 0) return row;
        if (!found) found = row;
    }
    return found;
}

static bool same_code(const db_kernel *a, const db_kernel *b) {
    return a && b && strcmp(a->hash, b->hash) == 0;
}

static void choose_kernels(const audit *a, entry *e) {
    const db_winner_row *row = find_winner(a, &a->image, e->problem.text);
    const db_winner_row *other = find_winner(a, &a->against, e->problem.text);
    e->winner = &row->winner;
    e->kernels[WINNER] = row->kernel;
    e->kernels[DEFAULT] = default_kernel(&a->image, row->kernel);
    if (same_code(e->kernels[DEFAULT], row->kernel)) e->kernels[DEFAULT] = NULL;
    if (!other) return;
    e->other = &other->winner;
    if (!same_code(other->kernel, row->kernel)) e->kernels[OTHER] = other->kernel;
}

static bool read_built(const entry *e, int role, tuner_built *out) {
    const db_kernel *k = e->kernels[role];
    *out = (tuner_built){.state = TUNER_BUILT_DONE, .status = "ok"};
    out->compiled.ok = true;
    ts_buf_append(&out->compiled.blob, k->blob, k->blob_bytes);
    ts_buf_printf(&out->launch, "%s", k->launch);
    return !out->compiled.blob.failed && !out->launch.failed;
}

/* ---- right ---- */

static ts_status verify_one(audit *a, entry *e, int role, ts_err *err) {
    tuner_lab *lab = &a->session.lab;
    tuner_candidate candidate = {.problem = &e->problem,
                                 .target = a->session.target,
                                 .want = TUNER_WANT_VERIFIED,
                                 .built = &e->built[role]};
    tuner_candidate *done = NULL;
    candidate.result = (tuner_run_result){.time_us = NAN, .spread_us = NAN, .error = NAN};
    tuner_run_result_set(&candidate.result, "ok", "");
    tuner_lab_submit(lab, &candidate);
    ts_status status = tuner_lab_next(lab, &done, err);
    lab->queued = 0; /* the candidate is ours */
    if (status != TS_STATUS_OK || !done || strcmp(candidate.result.status, "ok") == 0)
        return status;
    if (!e->reason[0])
        snprintf(e->reason, sizeof e->reason, "%s: %s: %s", e->kernels[role]->variant,
                 candidate.result.status, candidate.result.reason);
    e->place[role] = -1;
    return TS_STATUS_OK;
}

/* ---- fast ---- */

static ts_status race(audit *a, entry *e, ts_err *err) {
    tuner_built *runners[ROLES];
    e->runners = 0;
    for (int role = 0; role < ROLES; role++) {
        if (!e->kernels[role] || e->place[role] < 0) continue;
        e->place[role] = (int)e->runners;
        runners[e->runners++] = &e->built[role];
    }
    return tuner_lab_race(&a->session.lab, &e->problem, runners, e->runners, &e->rounds, err);
}

static ts_status judge_entry(audit *a, entry *e, ts_err *err) {
    for (int role = 0; role < ROLES; role++) {
        e->place[role] = e->kernels[role] ? 0 : -1;
        if (!e->kernels[role]) continue;
        if (strcmp(e->kernels[role]->abi, gen_family_abi(e->problem.problem.family)) != 0) {
            snprintf(e->reason, sizeof e->reason,
                     "%s: its arguments are those of other templates; tune again",
                     e->kernels[role]->variant);
            return TS_STATUS_OK;
        }
        if (!read_built(e, role, &e->built[role]))
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "kernel to verify");
        TS_TRY(verify_one(a, e, role, err));
    }
    return e->reason[0] || tuner_interrupted ? TS_STATUS_OK : race(a, e, err);
}

/* ---- said ---- */

/* winner / role - 1, with its interval; NaN if they did not meet. */
static tuner_interval lead(const audit *a, const entry *e, int role) {
    if (!e->runners || e->place[role] < 0) return (tuner_interval){NAN, NAN, NAN};
    tuner_interval r = tuner_race_ratio(&e->rounds, e->place[WINNER], e->place[role],
                                        a->options->seed);
    return (tuner_interval){r.median_us - 1, r.low_us - 1, r.high_us - 1};
}

static double raced_us(const audit *a, const entry *e, int role) {
    if (!e->runners || e->place[role] < 0) return NAN;
    int place = e->place[role];
    return tuner_race_interval(e->rounds.samples_us[place], e->rounds.counts[place],
                               a->options->seed)
        .median_us;
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void print_entry(const audit *a, const entry *e, const char *status, tuner_interval slower,
                        tuner_interval loss) {
    const char *other = e->other ? e->other->variant : NULL;
    if (a->options->json) {
        json_t *line = json_pack(
            "{ss ss ss ss so so so so ss? so so so}", "problem", e->problem.text, "variant",
            e->winner->variant, "status", status, "reason", e->reason, "stored_us",
            number(e->winner->time_us), "time_us", number(raced_us(a, e, WINNER)), "default_us",
            number(raced_us(a, e, DEFAULT)), "behind_default", number(slower.median_us), "against",
            other, "loss", number(loss.median_us), "loss_low", number(loss.low_us), "loss_high",
            number(loss.high_us));
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
        json_decref(line);
        putchar('\n');
    } else {
        printf("%-6s %10.2f us", status, raced_us(a, e, WINNER));
        if (!isnan(slower.median_us)) printf("  %.2fx the default", 1 / (1 + slower.median_us));
        if (!isnan(loss.median_us))
            printf("  loss %+.2f %% (%+.2f to %+.2f)", 100 * loss.median_us, 100 * loss.low_us,
                   100 * loss.high_us);
        printf("  %s  %s", e->problem.text, e->winner->variant);
        if (!isnan(loss.median_us)) printf("  against %s", other);
        printf("%s%s\n", e->reason[0] ? "  " : "", e->reason);
    }
    fflush(stdout);
}

static void count_entry(audit *a, entry *e) {
    tuner_interval slower = lead(a, e, DEFAULT), loss = lead(a, e, OTHER);
    if (!e->reason[0] && e->runners && !e->rounds.right[e->place[WINNER]])
        snprintf(e->reason, sizeof e->reason, "right at first, wrong after a race");
    bool is_slower = slower.low_us > margin;
    const char *status = e->reason[0] ? "wrong" : is_slower ? "slower" : "right";
    a->wrong += e->reason[0] != '\0';
    a->right += !e->reason[0];
    a->slower += is_slower;
    a->differing += e->kernels[OTHER] != NULL;
    a->losing += loss.low_us > 0 && loss.median_us > loss_margin;
    if (loss.median_us > a->worst_loss) a->worst_loss = loss.median_us;
    tuner_progress_end(&a->progress);
    print_entry(a, e, status, slower, loss);
}

static void print_sum(const audit *a) {
    if (a->options->json)
        printf("{\"right\":%zu,\"wrong\":%zu,\"slower_than_default\":%zu,\"differing\":%zu,"
               "\"losing\":%zu,\"worst_loss\":%.4f}\n",
               a->right, a->wrong, a->slower, a->differing, a->losing, a->worst_loss);
    else {
        printf("%zu right, %zu wrong, %zu slower than the default\n", a->right, a->wrong,
               a->slower);
        if (a->options->against)
            printf("%zu differ from %s, %zu lose more than 1 %%; worst loss %.2f %%\n",
                   a->differing, a->options->against, a->losing, 100 * a->worst_loss);
    }
}

/* ---- which problems ---- */

static bool is_picked(const audit *a, const char *problem) {
    if (a->options->pick_count == 0) return true;
    for (size_t i = 0; i < a->session.selection.count; i++)
        if (strcmp(a->session.selection.problems[i].text, problem) == 0) return true;
    return false;
}

/* The first row of each problem of the target; rows of other devices come later in the list. */
static bool is_wanted(const audit *a, size_t index) {
    const db_winner *w = &a->image.winners[index].winner;
    if (strcmp(w->target, gen_target_name(a->session.target)) != 0 || !is_picked(a, w->problem))
        return false;
    for (size_t i = 0; i < index; i++)
        if (strcmp(a->image.winners[i].winner.problem, w->problem) == 0 &&
            strcmp(a->image.winners[i].winner.target, w->target) == 0)
            return false;
    return true;
}

/* Of `count` wanted problems, options->sample are taken: each next one with the share that is left. */
static bool is_drawn(const audit *a, size_t index, size_t *left, size_t *to_take) {
    if (a->options->sample < 0) return true;
    double unit = tuner_random_unit(a->options->seed, 41, index);
    bool drawn = unit * (double)*left < (double)*to_take;
    (*left)--;
    *to_take -= drawn;
    return drawn;
}

static ts_status audit_row(audit *a, size_t index, ts_err *err) {
    static entry e; /* its rounds are large */
    ts_buf spec = {0};
    memset(&e, 0, sizeof e);
    e.problem.text = (char *)(uintptr_t)a->image.winners[index].winner.problem; /* only read */
    TS_TRY(gen_problem_parse(a->session.g, e.problem.text, &e.problem.problem, err));
    gen_problem_spec(&e.problem.problem, &spec);
    e.problem.spec = spec.data;
    choose_kernels(a, &e);
    ts_status status = judge_entry(a, &e, err);
    if (status == TS_STATUS_OK && !tuner_interrupted) count_entry(a, &e);
    for (int role = 0; role < ROLES; role++) {
        tuner_compiled_free(&e.built[role].compiled);
        ts_buf_free(&e.built[role].launch);
    }
    ts_buf_free(&spec);
    return status;
}

static ts_status run_audit(audit *a, ts_err *err) {
    size_t wanted = 0, done = 0;
    for (size_t i = 0; i < a->image.winner_count; i++) wanted += is_wanted(a, i);
    size_t left = wanted, to_take = a->options->sample < 0 ? wanted : (size_t)a->options->sample;
    if (wanted == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "the database has no winner for %s to verify",
                       gen_target_name(a->session.target));
    tuner_progress_stage(&a->progress, "verify", 0);
    for (size_t i = 0; i < a->image.winner_count && !tuner_interrupted; i++) {
        if (!is_wanted(a, i) || !is_drawn(a, i, &left, &to_take)) continue;
        tuner_progress_show(&a->progress, done++, wanted, a->image.winners[i].winner.problem);
        TS_TRY(audit_row(a, i, err));
    }
    tuner_progress_end(&a->progress);
    print_sum(a);
    return TS_STATUS_OK;
}

static ts_status open_audit(audit *a, ts_err *err) {
    ts_buf path = {0};
    TS_TRY(tuner_session_open(&a->session, a->options, "model", &tuner_interrupted, err));
    if (!a->session.have_device)
        return ts_fail(err, TS_STATUS_NO_DEVICE, "no device here runs code for %s",
                       gen_target_name(a->session.target));
    TS_TRY(tuner_database_path(a->options->db, &path, err));
    ts_status status = db_image_load(path.data, NULL, &a->image, err);
    if (status == TS_STATUS_OK && a->options->against)
        status = db_image_load(a->options->against, NULL, &a->against, err);
    ts_buf_free(&path);
    return status;
}

ts_status tuner_command_verify(int argc, char **argv, int *exit_code, ts_err *err) {
    tuner_options options;
    static audit a;
    if (tuner_wants_signature(argc, argv))
        return tuner_verify_signature(argc, argv, exit_code, err);
    memset(&a, 0, sizeof a);
    TS_TRY(tuner_options_parse(argc, argv, "verify", &options, err));
    a.options = &options;
    tuner_progress_init(&a.progress, options.quiet);
    ts_status status = open_audit(&a, err);
    if (status == TS_STATUS_OK) status = run_audit(&a, err);
    *exit_code = tuner_interrupted || a.wrong || a.slower ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    db_image_free(&a.image);
    db_image_free(&a.against);
    tuner_session_close(&a.session);
    return status;
}
