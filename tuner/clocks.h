/* At which clock, and how undisturbed, a device ran while it was timed. */
#ifndef TUNER_CLOCKS_H
#define TUNER_CLOCKS_H

#include "nvml.h"

enum { TUNER_MAX_CLOCK_READINGS = 64 };

/* Readings of one timing, one a sample or one a round of samples. */
typedef struct tuner_clock_log {
    double mhz[TUNER_MAX_CLOCK_READINGS]; /* of the SMs; NaN: unknown */
    bool throttled[TUNER_MAX_CLOCK_READINGS];
    int count;
} tuner_clock_log;

/* Appends a reading; `nvml` may be zero or NULL (nothing known). Takes some microseconds. */
void tuner_clocks_read(const tuner_nvml *nvml, tuner_clock_log *log);

/* Which readings to believe: those at the usual clock (within 3 % of the median) and not throttled.
 * keep[i] for each; returns how many are dropped. All are kept where nothing is known. */
int tuner_clocks_judge(const tuner_clock_log *log, bool *keep);
/* Median clock of the log, NaN if unknown. */
double tuner_clocks_usual_mhz(const tuner_clock_log *log);

#endif
