/* The one account of a tune: what was evaluated, what was rejected and why, how good the best is.
 *
 * The live view, the JSON events and the page all print from this structure, so that they agree. It
 * counts what the database holds for the problems on one target and device: a result that replaces an
 * older one of the same variant and source is counted once. Not thread-safe. */
#ifndef TUNER_REPORT_TALLY_H
#define TUNER_REPORT_TALLY_H

#include <jansson.h>

#include "../../db/store.h"

/* Why a variant did not come into question; "slow" was right, and screened out. */
enum { TUNER_REASONS = 8 };
extern const char *const tuner_reasons[TUNER_REASONS];

typedef struct tuner_counts {
    size_t evaluated, ok;
    size_t rejected[TUNER_REASONS];
} tuner_counts;

typedef struct tuner_tally_problem {
    char *text;
    tuner_counts counts;
    char *best;                 /* variant; NULL: none is timed yet */
    double best_us, default_us; /* NaN: not known. Screened times until the race is over */
    bool has_winner;            /* a measured winner is stored: best is that one */
    struct tuner_tally_row *rows;
    size_t row_count, row_capacity;
} tuner_tally_problem;

typedef struct tuner_tally {
    tuner_tally_problem *problems;
    size_t count, capacity;
    bool failed; /* out of memory: the numbers are not complete */
} tuner_tally;

void tuner_tally_free(tuner_tally *tally);
/* The problem's account, opened at its first mention; NULL: out of memory. Valid until the next. */
tuner_tally_problem *tuner_tally_problem_of(tuner_tally *tally, const char *problem);
/* `time_us` NaN: not timed. */
void tuner_tally_result(tuner_tally *tally, const char *problem, const char *variant,
                        const char *signature, const char *status, double time_us);
/* What the default variant takes. */
void tuner_tally_default(tuner_tally *tally, const char *problem, double time_us);
/* The stored choice; one that is only predicted is no winner. */
void tuner_tally_winner(tuner_tally *tally, const db_winner *winner);

tuner_counts tuner_tally_total(const tuner_tally *tally);
size_t tuner_counts_rejected(const tuner_counts *counts);
/* default / best; NaN: not known. */
double tuner_tally_speedup_of(const tuner_tally_problem *problem);
/* Geometric mean over the problems that are timed; NaN: none is. */
double tuner_tally_speedup(const tuner_tally *tally);
/* The problem with the largest gain; NULL: none is timed. */
const tuner_tally_problem *tuner_tally_top(const tuner_tally *tally);
size_t tuner_tally_winners(const tuner_tally *tally);

/* "140 evaluated: 96 right, 44 rejected (12 constraint, 8 compile, 24 slow)" */
void tuner_counts_text(const tuner_counts *counts, ts_buf *out);
/* {"evaluated","right","rejected":{reason: count}} of all, then
 * {"problems","winners","speedup","best":{"problem","variant","time_us","default_us","speedup"}}.
 * A new reference; NULL: out of memory. */
json_t *tuner_counts_json(const tuner_counts *counts);
json_t *tuner_tally_json(const tuner_tally *tally);
json_t *tuner_tally_best_json(const tuner_tally_problem *problem);
/* JSON has no NaN: null. */
json_t *tuner_json_number(double value);

#endif
