/* Counting. A problem's rows are few thousand at most, so that finding one again is a scan. */
#include "tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const tuner_reasons[TUNER_REASONS] = {"constraint", "compile", "spill", "launch",
                                                  "wrong",      "timeout", "crash", "slow"};

typedef struct tuner_tally_row {
    char *variant, *signature;
    int reason; /* -1: right */
    double time_us;
} tuner_tally_row;

void tuner_tally_free(tuner_tally *tally) {
    for (size_t i = 0; i < tally->count; i++) {
        tuner_tally_problem *p = &tally->problems[i];
        for (size_t r = 0; r < p->row_count; r++)
            free(p->rows[r].variant), free(p->rows[r].signature);
        free(p->rows), free(p->text), free(p->best);
    }
    free(tally->problems);
    *tally = (tuner_tally){0};
}

tuner_tally_problem *tuner_tally_problem_of(tuner_tally *tally, const char *problem) {
    for (size_t i = 0; i < tally->count; i++)
        if (strcmp(tally->problems[i].text, problem) == 0) return &tally->problems[i];
    if (tally->count == tally->capacity) {
        size_t capacity = tally->capacity ? 2 * tally->capacity : 32;
        void *grown = realloc(tally->problems, capacity * sizeof *tally->problems);
        if (!grown) return tally->failed = true, NULL;
        tally->problems = grown;
        tally->capacity = capacity;
    }
    tuner_tally_problem *p = &tally->problems[tally->count];
    *p = (tuner_tally_problem){.text = strdup(problem), .best_us = NAN, .default_us = NAN};
    if (!p->text) return tally->failed = true, NULL;
    tally->count++;
    return p;
}

static int reason_of(const char *status) {
    for (int i = 0; i < TUNER_REASONS; i++)
        if (strcmp(status, tuner_reasons[i]) == 0) return i;
    return -1;
}

static tuner_tally_row *row_of(tuner_tally_problem *p, const char *variant, const char *signature) {
    for (size_t i = 0; i < p->row_count; i++)
        if (strcmp(p->rows[i].variant, variant) == 0 &&
            strcmp(p->rows[i].signature, signature) == 0)
            return &p->rows[i];
    if (p->row_count == p->row_capacity) {
        size_t capacity = p->row_capacity ? 2 * p->row_capacity : 32;
        void *grown = realloc(p->rows, capacity * sizeof *p->rows);
        if (!grown) return NULL;
        p->rows = grown;
        p->row_capacity = capacity;
    }
    tuner_tally_row *row = &p->rows[p->row_count];
    *row = (tuner_tally_row){.variant = strdup(variant), .signature = strdup(signature)};
    if (!row->variant || !row->signature) return free(row->variant), free(row->signature), NULL;
    p->row_count++;
    p->counts.evaluated++;
    p->counts.ok++;
    row->reason = -1;
    return row;
}

static void set_best(tuner_tally *tally, tuner_tally_problem *p, const char *variant, double us) {
    char *copy = strdup(variant);
    if (!copy) {
        tally->failed = true;
        return;
    }
    free(p->best);
    p->best = copy;
    p->best_us = us;
}

void tuner_tally_result(tuner_tally *tally, const char *problem, const char *variant,
                        const char *signature, const char *status, double time_us) {
    tuner_tally_problem *p = tuner_tally_problem_of(tally, problem);
    tuner_tally_row *row = p ? row_of(p, variant, signature) : NULL;
    if (!row) {
        tally->failed = true;
        return;
    }
    size_t *was = row->reason < 0 ? &p->counts.ok : &p->counts.rejected[row->reason];
    row->reason = reason_of(status);
    row->time_us = time_us;
    --*was;
    ++*(row->reason < 0 ? &p->counts.ok : &p->counts.rejected[row->reason]);
    if (row->reason < 0 && !p->has_winner && time_us > 0 && !(time_us >= p->best_us))
        set_best(tally, p, variant, time_us);
}

void tuner_tally_default(tuner_tally *tally, const char *problem, double time_us) {
    tuner_tally_problem *p = tuner_tally_problem_of(tally, problem);
    if (p) p->default_us = time_us;
}

void tuner_tally_winner(tuner_tally *tally, const db_winner *winner) {
    tuner_tally_problem *p = tuner_tally_problem_of(tally, winner->problem);
    if (!p || strcmp(winner->evidence, "measured") != 0) return;
    p->has_winner = true;
    p->default_us = winner->default_us;
    set_best(tally, p, winner->variant, winner->time_us);
}

/* ---- sums ---- */

tuner_counts tuner_tally_total(const tuner_tally *tally) {
    tuner_counts total = {0};
    for (size_t i = 0; i < tally->count; i++) {
        const tuner_counts *c = &tally->problems[i].counts;
        total.evaluated += c->evaluated;
        total.ok += c->ok;
        for (int r = 0; r < TUNER_REASONS; r++) total.rejected[r] += c->rejected[r];
    }
    return total;
}

size_t tuner_counts_rejected(const tuner_counts *counts) { return counts->evaluated - counts->ok; }

double tuner_tally_speedup_of(const tuner_tally_problem *p) { return p->default_us / p->best_us; }

double tuner_tally_speedup(const tuner_tally *tally) {
    double sum = 0, count = 0;
    for (size_t i = 0; i < tally->count; i++) {
        double speedup = tuner_tally_speedup_of(&tally->problems[i]);
        if (isfinite(speedup) && speedup > 0) sum += log(speedup), count++;
    }
    return count > 0 ? exp(sum / count) : NAN;
}

const tuner_tally_problem *tuner_tally_top(const tuner_tally *tally) {
    const tuner_tally_problem *top = NULL;
    for (size_t i = 0; i < tally->count; i++) {
        const tuner_tally_problem *p = &tally->problems[i];
        if (isfinite(tuner_tally_speedup_of(p)) &&
            (!top || tuner_tally_speedup_of(p) > tuner_tally_speedup_of(top)))
            top = p;
    }
    return top;
}

size_t tuner_tally_winners(const tuner_tally *tally) {
    size_t winners = 0;
    for (size_t i = 0; i < tally->count; i++) winners += tally->problems[i].has_winner;
    return winners;
}

/* ---- forms ---- */

void tuner_counts_text(const tuner_counts *counts, ts_buf *out) {
    ts_buf_printf(out, "%zu evaluated: %zu right, %zu rejected", counts->evaluated, counts->ok,
                  tuner_counts_rejected(counts));
    const char *before = " (";
    for (int r = 0; r < TUNER_REASONS; r++) {
        if (!counts->rejected[r]) continue;
        ts_buf_printf(out, "%s%zu %s", before, counts->rejected[r], tuner_reasons[r]);
        before = ", ";
    }
    if (tuner_counts_rejected(counts)) ts_buf_printf(out, ")");
}

json_t *tuner_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *tuner_counts_json(const tuner_counts *counts) {
    json_t *rejected = json_object();
    for (int r = 0; r < TUNER_REASONS; r++)
        json_object_set_new(rejected, tuner_reasons[r],
                            json_integer((json_int_t)counts->rejected[r]));
    return json_pack("{sI sI so}", "evaluated", (json_int_t)counts->evaluated, "right",
                     (json_int_t)counts->ok, "rejected", rejected);
}

json_t *tuner_tally_best_json(const tuner_tally_problem *p) {
    if (!p || !p->best) return json_null();
    return json_pack("{ss ss so so so}", "problem", p->text, "variant", p->best, "time_us",
                     tuner_json_number(p->best_us), "default_us", tuner_json_number(p->default_us),
                     "speedup", tuner_json_number(tuner_tally_speedup_of(p)));
}

json_t *tuner_tally_json(const tuner_tally *tally) {
    tuner_counts total = tuner_tally_total(tally);
    json_t *object = tuner_counts_json(&total);
    json_object_set_new(object, "problems", json_integer((json_int_t)tally->count));
    json_object_set_new(object, "winners", json_integer((json_int_t)tuner_tally_winners(tally)));
    json_object_set_new(object, "speedup", tuner_json_number(tuner_tally_speedup(tally)));
    json_object_set_new(object, "best", tuner_tally_best_json(tuner_tally_top(tally)));
    return object;
}
