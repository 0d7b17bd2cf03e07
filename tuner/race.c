/* Bootstrap statistics of a race, and the race written down. */
#include "race.h"

#include <math.h>
#include <string.h>

#include "channel.h"
#include "numeric.h"

enum { RESAMPLES = 1000 };
/* Smaller gains do not survive a second run on the same machine: relative ones, and absolute ones, since
 * where code and data lie moves even a short kernel's time from process to process. On an H200 a gain of
 * 0.04 us over 2.2 us, with an interval of nothing, turned into a loss of 0.015 us. */
static const double margin = 0.005, margin_us = 0.06;

static double median(const double *values, int count) {
    double sorted[TUNER_MAX_SAMPLES];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    return tuner_quantile(sorted, count, 0.5);
}

tuner_interval tuner_race_interval(const double *values, int count, uint64_t seed) {
    double medians[RESAMPLES], drawn[TUNER_MAX_SAMPLES];
    if (count == 0) return (tuner_interval){NAN, NAN, NAN};
    for (int r = 0; r < RESAMPLES; r++) {
        for (int i = 0; i < count; i++) {
            double unit = tuner_random_unit(seed, (uint64_t)r, (uint64_t)i);
            drawn[i] = values[(int)(unit * count)];
        }
        medians[r] = tuner_quantile(drawn, count, 0.5);
    }
    return (tuner_interval){median(values, count), tuner_quantile(medians, RESAMPLES, 0.025),
                            tuner_quantile(medians, RESAMPLES, 0.975)};
}

static int common_rounds(const tuner_rounds *rounds, int a, int b) {
    return rounds->counts[a] < rounds->counts[b] ? rounds->counts[a] : rounds->counts[b];
}

tuner_interval tuner_race_ratio(const tuner_rounds *rounds, int a, int b, uint64_t seed) {
    double ratios[TUNER_MAX_SAMPLES];
    int common = common_rounds(rounds, a, b);
    for (int r = 0; r < common; r++)
        ratios[r] = rounds->samples_us[a][r] / rounds->samples_us[b][r];
    return tuner_race_interval(ratios, common, seed);
}

static bool beats(const tuner_rounds *rounds, int challenger, int holder, uint64_t seed) {
    int common = common_rounds(rounds, challenger, holder);
    double gain_us = median(rounds->samples_us[holder], common) -
                     median(rounds->samples_us[challenger], common);
    return gain_us > margin_us &&
           tuner_race_ratio(rounds, challenger, holder, seed).high_us < 1 - margin;
}

/* Least median of those that were in it to the end. */
static int fastest(const tuner_rounds *rounds, int count, int defending) {
    int best = defending;
    for (int k = 0; k < count; k++)
        if (rounds->counts[k] >= rounds->counts[defending] &&
            median(rounds->samples_us[k], rounds->counts[k]) <
                median(rounds->samples_us[best], rounds->counts[best]))
            best = k;
    return best;
}

void tuner_race_judge(const tuner_rounds *rounds, int count, int defending, int incumbent,
                      uint64_t seed, tuner_race *out) {
    int first = fastest(rounds, count, defending), holder = defending;
    if (incumbent != TUNER_NOBODY && incumbent != defending &&
        beats(rounds, incumbent, defending, seed + 1))
        holder = incumbent;
    if (first != holder && beats(rounds, first, holder, seed + 2)) holder = first;
    tuner_interval held = tuner_race_interval(rounds->samples_us[holder], rounds->counts[holder],
                                              seed + 3);
    *out = (tuner_race){
        .winner = holder,
        .time_us = held.median_us,
        .ci_low_us = held.low_us,
        .ci_high_us = held.high_us,
        .default_us = median(rounds->samples_us[defending], rounds->counts[defending]),
        .verdict = holder != defending  ? "win"
                   : first != defending ? "tie"
                                        : "default"};
}

/* ---- the race written down ---- */

static void put_number(ts_buf *out, const char *key, double value) {
    ts_buf_printf(out, "\"%s\":", key);
    if (isfinite(value))
        ts_buf_printf(out, "%.5g,", value);
    else
        ts_buf_printf(out, "null,");
}

/* Variant names are [a-z0-9_/= ], so they need no escaping. */
static void put_finalist(ts_buf *out, const char *variant, const double *samples_us, int count,
                         uint64_t seed) {
    tuner_interval interval = tuner_race_interval(samples_us, count, seed);
    ts_buf_printf(out, "{\"variant\":\"%s\",", variant);
    put_number(out, "median_us", interval.median_us);
    put_number(out, "ci_low_us", interval.low_us);
    put_number(out, "ci_high_us", interval.high_us);
    ts_buf_printf(out, "\"samples_us\":[");
    for (int r = 0; r < count; r++) ts_buf_printf(out, "%s%.5g", r ? "," : "", samples_us[r]);
    ts_buf_printf(out, "]}");
}

void tuner_conditions_text(const tuner_conditions *conditions, bool warm, ts_buf *out) {
    ts_buf_printf(out, "\"cache\":\"%s\",", warm ? "warm" : "cold");
    put_number(out, "warm_s", conditions->warm_s);
    put_number(out, "drift", conditions->drift);
    put_number(out, "clock_mhz", conditions->clock_mhz);
    ts_buf_printf(out, "\"dropped\":%d,\"disturbed\":%s", conditions->dropped,
                  conditions->disturbed ? "true" : "false");
}

void tuner_race_text(const tuner_rounds *rounds, const char *const *variants, int count,
                     const tuner_race *race, bool warm, uint64_t seed, ts_buf *out) {
    ts_buf_printf(out, "{\"at\":%.3f,\"verdict\":\"%s\",\"rounds\":%d,", tuner_unix_time_s(),
                  race->verdict, rounds->counts[0]);
    tuner_conditions_text(&rounds->conditions, warm, out);
    ts_buf_printf(out, ",\"finalists\":[");
    for (int k = 0; k < count; k++) {
        if (k) ts_buf_printf(out, ",");
        put_finalist(out, variants[k], rounds->samples_us[k], rounds->counts[k],
                     seed + 3 + (uint64_t)k);
    }
    ts_buf_printf(out, "]}");
}
