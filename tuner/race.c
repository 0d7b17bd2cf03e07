/* Bootstrap statistics of a race. */
#include "race.h"

#include <string.h>

#include "numeric.h"

enum { RESAMPLES = 1000 };
/* Smaller gains do not survive a second run on the same machine. */
static const double margin = 0.005;

static double median(const double *values, int count) {
    double sorted[TUNER_MAX_SAMPLES];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    return tuner_quantile(sorted, count, 0.5);
}

/* 95 % percentile-bootstrap interval of the median. */
static void bootstrap(const double *values, int count, uint64_t seed, double *low, double *high) {
    double medians[RESAMPLES], drawn[TUNER_MAX_SAMPLES];
    for (int r = 0; r < RESAMPLES; r++) {
        for (int i = 0; i < count; i++) {
            double unit = tuner_random_unit(seed, (uint64_t)r, (uint64_t)i);
            drawn[i] = values[(int)(unit * count)];
        }
        medians[r] = tuner_quantile(drawn, count, 0.5);
    }
    *low = tuner_quantile(medians, RESAMPLES, 0.025);
    *high = tuner_quantile(medians, RESAMPLES, 0.975);
}

static bool beats(const double *challenger, const double *holder, int rounds, uint64_t seed) {
    double ratios[TUNER_MAX_SAMPLES], low, high;
    for (int r = 0; r < rounds; r++) ratios[r] = challenger[r] / holder[r];
    bootstrap(ratios, rounds, seed, &low, &high);
    return high < 1 - margin;
}

void tuner_race_judge(double samples_us[][TUNER_MAX_SAMPLES], int count, int rounds, int defending,
                      int incumbent, uint64_t seed, tuner_race *out) {
    int fastest = defending, holder = defending;
    for (int k = 0; k < count; k++)
        if (median(samples_us[k], rounds) < median(samples_us[fastest], rounds)) fastest = k;
    if (incumbent != TUNER_NOBODY && incumbent != defending &&
        beats(samples_us[incumbent], samples_us[defending], rounds, seed + 1))
        holder = incumbent;
    if (fastest != holder && beats(samples_us[fastest], samples_us[holder], rounds, seed + 2))
        holder = fastest;
    out->winner = holder;
    out->time_us = median(samples_us[holder], rounds);
    out->default_us = median(samples_us[defending], rounds);
    out->verdict = holder != defending ? "win" : fastest != defending ? "tie" : "default";
    bootstrap(samples_us[holder], rounds, seed + 3, &out->ci_low_us, &out->ci_high_us);
}
