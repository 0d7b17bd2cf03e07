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

/* Judges kernels 0..count-1 from samples_us[kernel][round]. A challenger takes the title only if it
 * is faster with 95 % confidence and by more than a named margin, judged on the ratios within each
 * round (what disturbs one round disturbs all of it). The title starts with the default, kernel
 * `defending`; an older winner, `incumbent` (or TUNER_NOBODY), holds it first if it beats the
 * default. */
void tuner_race_judge(double samples_us[][TUNER_MAX_SAMPLES], int count, int rounds, int defending,
                      int incumbent, uint64_t seed, tuner_race *out);

#endif
