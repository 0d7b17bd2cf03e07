/* Which of several kernels is fastest, given samples that were taken in turns. Pure statistics. */
#ifndef TUNER_RACE_H
#define TUNER_RACE_H

#include "timing.h"

enum { TUNER_NOBODY = -1 };

typedef struct tuner_race {
    int winner;
    double time_us;               /* median of the winner */
    double ci_low_us, ci_high_us; /* 95 % bootstrap interval of that median */
    double default_us;            /* median of the default */
    const char *verdict; /* "win", "tie" (the default is kept), "default" (nobody was faster) */
} tuner_race;

/* Judges kernels 0..count-1. A challenger takes the title only if it is faster with 95 % confidence
 * and by more than a named margin, judged on the ratios within each round (what disturbs one round
 * disturbs all of it). The title starts with the default, kernel `defending`; an older winner,
 * `incumbent` (or TUNER_NOBODY), holds it first if it beats the default. */
void tuner_race_judge(const tuner_rounds *rounds, int count, int defending, int incumbent,
                      uint64_t seed, tuner_race *out);
/* Median and 95 % percentile-bootstrap interval of `count` samples; NaN where there are none. */
typedef struct tuner_interval {
    double median_us, low_us, high_us;
} tuner_interval;
tuner_interval tuner_race_interval(const double *samples_us, int count, uint64_t seed);
/* How many times slower `a` is than `b` (median of the ratios within each round), with its interval
 * in low and high. */
tuner_interval tuner_race_ratio(const tuner_rounds *rounds, int a, int b, uint64_t seed);

/* What a timing was taken under, as members of a JSON object. */
void tuner_conditions_text(const tuner_conditions *conditions, bool warm, ts_buf *out);
/* The race as JSON, what the database keeps: conditions, and each finalist's interval and samples. */
void tuner_race_text(const tuner_rounds *rounds, const char *const *variants, int count,
                     const tuner_race *race, bool warm, uint64_t seed, ts_buf *out);

#endif
