/* Clock readings and which of them a timing may count.
 *
 * The margin: boost clocks of a card at its power cap wander by 1 to 2 % under one load; steps beyond
 * 3 % are another state (a thermal limit, a neighbour, an idle clock that has not risen yet). */
#include "clocks.h"

#include <math.h>
#include <string.h>

#include "timing.h"

static const double usual_margin = 0.03;

void tuner_clocks_read(const tuner_nvml *nvml, tuner_clock_log *log) {
    if (log->count == TUNER_MAX_CLOCK_READINGS) return;
    unsigned mhz = 0;
    unsigned long long reasons = 0;
    bool known = nvml && nvml->clock &&
                 nvml->clock(nvml->device, NVML_CLOCK_SM, &mhz) == NVML_SUCCESS;
    log->throttled[log->count] = nvml && nvml->reasons &&
                                 nvml->reasons(nvml->device, &reasons) == NVML_SUCCESS &&
                                 (reasons & NVML_THROTTLED) != 0;
    log->mhz[log->count++] = known ? (double)mhz : NAN;
}

double tuner_clocks_usual_mhz(const tuner_clock_log *log) {
    double known[TUNER_MAX_CLOCK_READINGS];
    int count = 0;
    for (int i = 0; i < log->count; i++)
        if (!isnan(log->mhz[i])) known[count++] = log->mhz[i];
    return tuner_quantile(known, count, 0.5);
}

int tuner_clocks_judge(const tuner_clock_log *log, bool *keep) {
    double usual = tuner_clocks_usual_mhz(log);
    int dropped = 0;
    for (int i = 0; i < log->count; i++) {
        bool other = !isnan(usual) && !isnan(log->mhz[i]) &&
                     fabs(log->mhz[i] / usual - 1) > usual_margin;
        keep[i] = !other && !log->throttled[i];
        dropped += !keep[i];
    }
    return dropped;
}
