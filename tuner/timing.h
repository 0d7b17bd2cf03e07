/* Timing one kernel, or several against each other, on a rig. */
#ifndef TUNER_TIMING_H
#define TUNER_TIMING_H

#include "clocks.h"
#include "rig.h"

enum { TUNER_MAX_SAMPLES = TUNER_MAX_CLOCK_READINGS, TUNER_MAX_FINALISTS = 12 };

/* How much effort a timing may cost; one policy a kind of device (tuner_timing_policy). */
typedef struct tuner_timing_policy {
    double warm_s;   /* least time of launches before the first timed one */
    double settle_s; /* most time of them, while times still drift */
    double drift;    /* what is settled: windows of samples this much apart, 0.01 is 1 % */
    double batch_us; /* shortest timed interval; shorter kernels are launched several times in it */
    double screen_s; /* cap for timing one candidate */
    double race_s;   /* cap for a race, all finalists together */
    int screen_samples, race_rounds;
    double slow;   /* a candidate this much slower than the best is given up early */
    double behind; /* a finalist this much slower than the leader leaves the race */
} tuner_timing_policy;

const tuner_timing_policy *tuner_timing_policy_of(const ts_device *device);

/* What a timing was taken under, for those who judge it. */
typedef struct tuner_conditions {
    double warm_s;    /* launches before the first sample that counts */
    double drift;     /* left when they ended; NaN: too long a kernel to tell */
    double clock_mhz; /* usual clock of the SMs; NaN: unknown */
    int dropped;      /* samples, in a race rounds: throttled, or at another clock */
    bool disturbed;   /* more than half would have been dropped, so all count */
} tuner_conditions;

typedef struct tuner_timing {
    double time_us;   /* median; on the CPU the smallest median of three thirds */
    double spread_us; /* half the range from the 10th to the 90th percentile */
    double samples_us[TUNER_MAX_SAMPLES];
    int samples;
    bool slow; /* given up early, time_us is a rough value */
    tuner_conditions conditions;
} tuner_timing;

/* Times `kernel`; `best_us` (0: none) is the time to beat. */
ts_status tuner_time(tuner_rig *rig, const ts_kernel *kernel, double best_us, tuner_timing *out,
                     ts_err *err);

/* What a race leaves: samples_us[k][r] is kernel k's time in round r. */
typedef struct tuner_rounds {
    double samples_us[TUNER_MAX_FINALISTS][TUNER_MAX_SAMPLES];
    int counts[TUNER_MAX_FINALISTS]; /* rounds of each: those far behind leave early */
    bool right[TUNER_MAX_FINALISTS]; /* still right after all those launches */
    tuner_conditions conditions;
} tuner_rounds;

/* Takes turns: each round times every kernel once, in an order that rotates. Kernel 0, the default,
 * stays to the end. */
ts_status tuner_time_race(tuner_rig *rig, const ts_kernel *const *kernels, size_t count,
                          tuner_rounds *out, ts_err *err);

/* q-quantile (0..1) of `count` values; sorts them. */
double tuner_quantile(double *values, int count, double q);

#endif
