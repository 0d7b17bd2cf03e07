/* A bout: stored kernels of one problem, verified as when they were tuned, then raced. No compiler
 * is needed. What both forms of `tune verify` are made of. */
#ifndef TUNER_BOUT_H
#define TUNER_BOUT_H

#include "../db/store.h"
#include "race.h"
#include "session.h"

typedef struct tuner_bout {
    tuner_problem problem;                         /* text and spec are the bout's own */
    const db_kernel *kernels[TUNER_MAX_FINALISTS]; /* the first stays to the end of a race */
    tuner_built built[TUNER_MAX_FINALISTS];
    size_t count;
    bool raced;
    tuner_rounds rounds;
    char reason[1200]; /* why one of them is wrong; "": none is, as far as is known */
} tuner_bout;

/* Zeroes *out and parses the problem. Free with tuner_bout_free, also after a failure. */
ts_status tuner_bout_open(tuner_session *session, const char *problem, tuner_bout *out,
                          ts_err *err);
/* Adds a kernel, which must outlive the bout. False: no more than TUNER_MAX_FINALISTS. */
bool tuner_bout_add(tuner_bout *bout, const db_kernel *kernel);
/* Verifies kernels `from` and later, and says in `reason` what is wrong with the first that is. */
ts_status tuner_bout_verify(tuner_session *session, tuner_bout *bout, size_t from, ts_err *err);
/* Races them all, unless one was found wrong; one that is wrong afterwards is named too. */
ts_status tuner_bout_race(tuner_session *session, tuner_bout *bout, ts_err *err);
/* How many times slower kernel `a` is than `b`, less 1; NaN if they were not raced. */
tuner_interval tuner_bout_lag(const tuner_bout *bout, size_t a, size_t b, uint64_t seed);
/* Median of kernel `k`; NaN if it was not raced. */
double tuner_bout_us(const tuner_bout *bout, size_t k, uint64_t seed);
void tuner_bout_free(tuner_bout *bout);

/* The same code? NULL is like nothing. */
bool tuner_same_code(const db_kernel *a, const db_kernel *b);

#endif
