/* Trials and their device copies that the device worker keeps between candidates: what every
 * variant of a problem reuses, above all the oracle's answers. */
#ifndef TUNER_BENCH_CACHE_H
#define TUNER_BENCH_CACHE_H

#include "device_worker.h"

/* All trials that one key stands for: the verify cases of a specialization, or one problem to be
 * timed. */
typedef struct tuner_bench {
    char *key;
    tuner_trial **trials;
    tuner_rig **rigs;
    size_t count;
    int64_t bytes; /* device memory held */
    uint64_t last_use;
} tuner_bench;

/* More than the problems of two models and their specializations: a search comes back to each of them many times. */
enum { TUNER_BENCHES = 512 };

typedef struct tuner_bench_cache {
    const tuner_device_context *context;
    ts_device *device;
    const tuner_nvml *nvml; /* for the clocks */
    void *stream;
    int64_t max_bytes; /* of inputs and outputs on the device that all benches together may hold */
    uint64_t clock;
    tuner_bench benches[TUNER_BENCHES];
} tuner_bench_cache;

/* The verify cases with the problem's specialization; borrowed until the next call. */
ts_status tuner_bench_cases(tuner_bench_cache *cache, const gen_problem *problem, tuner_bench **out,
                            ts_err *err);
/* The problem itself, one trial, its rig widened for timing; borrowed until the next call but one.
 */
ts_status tuner_bench_problem(tuner_bench_cache *cache, const gen_problem *problem,
                              tuner_bench **out, ts_err *err);
void tuner_bench_cache_free(tuner_bench_cache *cache);

#endif
