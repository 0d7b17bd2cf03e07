/* Timing one kernel, or several against each other, on a rig. */
#ifndef TUNER_TIMING_H
#define TUNER_TIMING_H

#include "rig.h"

enum { TUNER_MAX_SAMPLES = 64, TUNER_MAX_FINALISTS = 8 };

/* How much effort a timing may cost; one policy a kind of device (tuner_timing_policy). */
typedef struct tuner_timing_policy {
    double warm_s;   /* launches before the first timed one: clocks settle by time, not by count */
    double batch_us; /* shortest timed interval; shorter kernels are launched several times in it */
    double screen_s; /* cap for timing one candidate */
    double race_s;   /* cap for a race, all finalists together */
    int screen_samples, race_rounds;
    double slow; /* a candidate this much slower than the best is given up early */
} tuner_timing_policy;

const tuner_timing_policy *tuner_timing_policy_of(const ts_device *device);

typedef struct tuner_timing {
    double time_us;   /* median; on the CPU the smallest median of three thirds */
    double spread_us; /* half the range from the 10th to the 90th percentile */
    double samples_us[TUNER_MAX_SAMPLES];
    int samples;
    bool slow; /* given up early, time_us is a rough value */
} tuner_timing;

/* Times `kernel`; `best_us` (0: none) is the time to beat. */
ts_status tuner_time(tuner_rig *rig, const ts_kernel *kernel, double best_us, tuner_timing *out,
                     ts_err *err);

/* Takes turns: round r times every kernel once, in an order that rotates. samples_us[k][r] is
 * filled for *rounds rounds (at least 3). */
ts_status tuner_time_race(tuner_rig *rig, const ts_kernel *const *kernels, size_t count,
                          double samples_us[][TUNER_MAX_SAMPLES], int *rounds, ts_err *err);

/* q-quantile (0..1) of `count` values; sorts them. */
double tuner_quantile(double *values, int count, double q);

#endif
