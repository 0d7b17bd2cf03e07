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

#include "audit.h"
#include "commands.h"
#include "numeric.h"
#include "ship/sign.h"

/* A difference below this does not survive a second measurement (race.c has the same margin). */
static const double margin = 0.005;
/* A loss that is called one. */
static const double loss_margin = 0.01;

enum { ABSENT = TUNER_MAX_FINALISTS };

typedef struct entry { /* one problem's kernels */
    tuner_bout bout;
    const db_winner *winner, *other;
    size_t at_winner, at_default, at_other; /* in the bout; ABSENT: none, or the winner itself */
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
static const db_winner_row *find_winner(const tuner_audit *a, const db_image *image,
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

static size_t add(entry *e, const db_kernel *kernel) {
    return tuner_bout_add(&e->bout, kernel) ? e->bout.count - 1 : ABSENT;
}

static void choose_kernels(const tuner_audit *a, entry *e) {
    const db_winner_row *row = find_winner(a, &a->image, e->bout.problem.text);
    const db_winner_row *other = find_winner(a, &a->against, e->bout.problem.text);
    const db_kernel *standard = default_kernel(&a->image, row->kernel);
    e->winner = &row->winner;
    e->at_default = e->at_other = ABSENT;
    if (standard && !tuner_same_code(standard, row->kernel)) e->at_default = add(e, standard);
    e->at_winner = add(e, row->kernel);
    if (!other) return;
    e->other = &other->winner;
    if (!tuner_same_code(other->kernel, row->kernel)) e->at_other = add(e, other->kernel);
}

/* ---- said ---- */

/* How much slower the winner is, with its interval; NaN if they did not meet. */
static tuner_interval lead(const tuner_audit *a, const entry *e, size_t over) {
    return tuner_bout_lag(&e->bout, e->at_winner, over, a->options->seed);
}

static double raced_us(const tuner_audit *a, const entry *e, size_t k) {
    return tuner_bout_us(&e->bout, k, a->options->seed);
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void print_entry(const tuner_audit *a, const entry *e, const char *status,
                        tuner_interval slower, tuner_interval loss) {
    const char *other = e->other ? e->other->variant : NULL;
    if (a->options->json) {
        json_t *line = json_pack(
            "{ss ss ss ss so so so so ss? so so so}", "problem", e->bout.problem.text, "variant",
            e->winner->variant, "status", status, "reason", e->bout.reason, "stored_us",
            number(e->winner->time_us), "time_us", number(raced_us(a, e, e->at_winner)),
            "default_us", number(raced_us(a, e, e->at_default)), "behind_default",
            number(slower.median_us), "against", other, "loss", number(loss.median_us), "loss_low",
            number(loss.low_us), "loss_high", number(loss.high_us));
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
        json_decref(line);
        putchar('\n');
    } else {
        printf("%-6s %10.2f us", status, raced_us(a, e, e->at_winner));
        if (e->winner->time_us > 0) printf(" (stored %.2f)", e->winner->time_us);
        if (!isnan(slower.median_us)) printf("  %.2fx the default", 1 / (1 + slower.median_us));
        if (!isnan(loss.median_us))
            printf("  loss %+.2f %% (%+.2f to %+.2f)", 100 * loss.median_us, 100 * loss.low_us,
                   100 * loss.high_us);
        printf("  %s  %s", e->bout.problem.text, e->winner->variant);
        if (!isnan(loss.median_us)) printf("  against %s", other);
        printf("%s%s\n", e->bout.reason[0] ? "  " : "", e->bout.reason);
    }
    fflush(stdout);
}

static void count_entry(tuner_audit *a, const entry *e) {
    tuner_interval slower = lead(a, e, e->at_default), loss = lead(a, e, e->at_other);
    bool is_slower = slower.low_us > margin;
    const char *status = e->bout.reason[0] ? "wrong" : is_slower ? "slower" : "right";
    a->wrong += e->bout.reason[0] != '\0';
    a->right += !e->bout.reason[0];
    a->slower += is_slower;
    a->differing += e->at_other != ABSENT;
    a->losing += loss.low_us > 0 && loss.median_us > loss_margin;
    if (loss.median_us > a->worst_loss) a->worst_loss = loss.median_us;
    tuner_progress_end(&a->progress);
    print_entry(a, e, status, slower, loss);
}

static void print_sum(const tuner_audit *a) {
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

bool tuner_audit_picked(const tuner_audit *a, const char *problem) {
    if (a->options->pick_count == 0) return true;
    for (size_t i = 0; i < a->session.selection.count; i++)
        if (strcmp(a->session.selection.problems[i].text, problem) == 0) return true;
    return false;
}

/* The first row of each problem of the target; rows of other devices come later in the list. */
static bool is_wanted(const tuner_audit *a, size_t index) {
    const db_winner *w = &a->image.winners[index].winner;
    if (strcmp(w->target, gen_target_name(a->session.target)) != 0 ||
        !tuner_audit_picked(a, w->problem))
        return false;
    for (size_t i = 0; i < index; i++)
        if (strcmp(a->image.winners[i].winner.problem, w->problem) == 0 &&
            strcmp(a->image.winners[i].winner.target, w->target) == 0)
            return false;
    return true;
}

bool tuner_audit_drawn(const tuner_audit *a, size_t index, size_t *left, size_t *to_take) {
    if (a->options->sample < 0) return true;
    double unit = tuner_random_unit(a->options->seed, 41, index);
    bool drawn = unit * (double)*left < (double)*to_take;
    (*left)--;
    *to_take -= drawn;
    return drawn;
}

static ts_status audit_row(tuner_audit *a, size_t index, ts_err *err) {
    static entry e; /* its rounds are large */
    memset(&e, 0, sizeof e);
    ts_status status = tuner_bout_open(&a->session, a->image.winners[index].winner.problem, &e.bout,
                                       err);
    if (status == TS_STATUS_OK) {
        choose_kernels(a, &e);
        status = tuner_bout_verify(&a->session, &e.bout, 0, err);
    }
    if (status == TS_STATUS_OK) status = tuner_bout_race(&a->session, &e.bout, err);
    if (status == TS_STATUS_CANCELLED) status = TS_STATUS_OK; /* what was said before stands */
    if (status == TS_STATUS_OK && !tuner_interrupted) count_entry(a, &e);
    tuner_bout_free(&e.bout);
    return status;
}

ts_status tuner_audit_nothing(const tuner_audit *a, ts_err *err) {
    const char *target = gen_target_name(a->session.target);
    const db_image *image = &a->image;
    ts_buf others = {0};
    for (size_t i = 0; i < image->winner_count; i++) {
        const char *other = image->winners[i].winner.target;
        if (strcmp(other, target) == 0)
            return ts_fail(err, TS_STATUS_NOT_FOUND,
                           "%s has no winner for %s among the problems picked", a->path.data,
                           target);
        if (!others.data || !strstr(others.data, other))
            ts_buf_printf(&others, "%s%s", others.data ? ", " : "", other);
    }
    ts_status status = ts_fail(err, TS_STATUS_NOT_FOUND,
                               "%s has no winner for %s, this machine's target (it has %s); add "
                               "some with `tune --gpu %s --db %s --model DIR`",
                               a->path.data, target, others.data ? others.data : "none at all",
                               target, a->path.data);
    ts_buf_free(&others);
    return status;
}

void tuner_audit_end(tuner_audit *a, size_t done, size_t to_do) {
    tuner_progress_end(&a->progress);
    if (tuner_interrupted)
        tuner_progress_line(&a->progress, "interrupted: %zu of %zu problems were looked at", done,
                            to_do);
}

static ts_status audit_winners(tuner_audit *a, ts_err *err) {
    size_t wanted = 0, done = 0;
    for (size_t i = 0; i < a->image.winner_count; i++) wanted += is_wanted(a, i);
    size_t to_do = a->options->sample < 0 || (size_t)a->options->sample > wanted
                       ? wanted
                       : (size_t)a->options->sample;
    size_t left = wanted, to_take = to_do;
    if (wanted == 0) return tuner_audit_nothing(a, err);
    tuner_progress_stage(&a->progress, "verify", 0);
    for (size_t i = 0; i < a->image.winner_count && !tuner_interrupted; i++) {
        if (!is_wanted(a, i) || !tuner_audit_drawn(a, i, &left, &to_take)) continue;
        tuner_progress_show(&a->progress, done, to_do, a->image.winners[i].winner.problem);
        TS_TRY(audit_row(a, i, err));
        done += !tuner_interrupted;
    }
    tuner_audit_end(a, done, to_do);
    print_sum(a);
    return TS_STATUS_OK;
}

/* The winners of this target may come from elsewhere: right here too, but chosen there. */
static void say_device(tuner_audit *a) {
    const char *own = a->session.facts.info.name, *target = gen_target_name(a->session.target);
    const db_winner *foreign = NULL;
    for (size_t i = 0; i < a->image.winner_count; i++) {
        const db_winner *w = &a->image.winners[i].winner;
        if (strcmp(w->target, target) != 0) continue;
        if (strcmp(w->device.name, own) == 0) return;
        foreign = w;
    }
    if (foreign && *foreign->device.name)
        tuner_progress_line(&a->progress,
                            "%s: nothing of this machine's %s; what was measured on %s runs here",
                            a->path.data, own, foreign->device.name);
    else if (foreign)
        tuner_progress_line(&a->progress, "%s: predictions only for %s, nothing was measured",
                            a->path.data, target);
}

static ts_status open_audit(tuner_audit *a, ts_err *err) {
    TS_TRY(tuner_session_open(&a->session, a->options, "model", &tuner_interrupted, err));
    if (!a->session.have_device)
        return ts_fail(err, TS_STATUS_NO_DEVICE, "no device here runs code for %s",
                       gen_target_name(a->session.target));
    TS_TRY(tuner_database_path(a->options->db, &a->path, err));
    ts_status status = db_image_load(a->path.data, NULL, &a->image, err);
    if (status == TS_STATUS_OK && a->options->against)
        status = db_image_load(a->options->against, NULL, &a->against, err);
    return status;
}

ts_status tuner_command_verify(int argc, char **argv, int *exit_code, ts_err *err) {
    tuner_options options;
    static tuner_audit a;
    if (tuner_wants_signature(argc, argv))
        return tuner_verify_signature(argc, argv, exit_code, err);
    memset(&a, 0, sizeof a);
    TS_TRY(tuner_options_parse(argc, argv, "verify", &options, err));
    if (options.held_out && options.against)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "--held-out looks at one database; leave out --against");
    a.options = &options;
    tuner_progress_init(&a.progress, options.quiet);
    ts_status status = open_audit(&a, err);
    if (status == TS_STATUS_OK) say_device(&a);
    if (status == TS_STATUS_OK)
        status = options.held_out ? tuner_audit_held_out(&a, err) : audit_winners(&a, err);
    *exit_code = tuner_interrupted || a.wrong || a.slower ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    db_image_free(&a.image);
    db_image_free(&a.against);
    tuner_session_close(&a.session);
    ts_buf_free(&a.path);
    return status;
}
