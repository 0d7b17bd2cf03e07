/* How much a search may cost: time, or variants of each problem. */
#ifndef TUNER_BUDGET_H
#define TUNER_BUDGET_H

#include <stddef.h>

#include "../db/base.h"

typedef struct tuner_budget {
    enum { TUNER_BUDGET_TIME, TUNER_BUDGET_EVALS, TUNER_BUDGET_SHARE } kind;
    double amount; /* seconds; variants of each problem; share of each problem's space, 0..1 */
} tuner_budget;

/* Reads "90", "90s", "3m", "1h", "200evals" or "25%". INVALID_ARGUMENT says what is accepted. */
ts_status tuner_budget_parse(const char *text, tuner_budget *out, ts_err *err);
/* Seconds that the search may take; INFINITY: time does not matter. */
double tuner_budget_seconds(const tuner_budget *budget);
/* How many variants of a space of `count` may be tried, its default included. */
size_t tuner_budget_variants(const tuner_budget *budget, size_t count);

#endif
