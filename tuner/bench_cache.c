/* Least-recently-used cache of trials on the device, bounded by entries and by device memory. */
#include "bench_cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracle.h"

/* Oracle work for one trial, in floating-point operations: about a second on one core. */
static const double trial_flops = 2e8;

static void drop(tuner_bench *bench) {
    for (size_t i = 0; i < bench->count; i++) {
        tuner_rig_free(bench->rigs[i]);
        tuner_trial_free(bench->trials[i]);
    }
    free(bench->rigs);
    free(bench->trials);
    free(bench->key);
    *bench = (tuner_bench){0};
}

void tuner_bench_cache_free(tuner_bench_cache *cache) {
    for (size_t i = 0; i < TUNER_BENCHES; i++) drop(&cache->benches[i]);
}

static tuner_bench *find(tuner_bench_cache *cache, const char *key) {
    for (size_t i = 0; i < TUNER_BENCHES; i++)
        if (cache->benches[i].key && strcmp(cache->benches[i].key, key) == 0)
            return &cache->benches[i];
    return NULL;
}

/* A free place, made by dropping the oldest entries; the latest stays, its user may still hold it.
 */
static tuner_bench *make_room(tuner_bench_cache *cache) {
    for (;;) {
        tuner_bench *oldest = NULL, *empty = NULL;
        int64_t bytes = 0;
        for (size_t i = 0; i < TUNER_BENCHES; i++) {
            tuner_bench *bench = &cache->benches[i];
            bytes += bench->bytes;
            if (!bench->key)
                empty = bench;
            else if (bench->last_use != cache->clock &&
                     (!oldest || bench->last_use < oldest->last_use))
                oldest = bench;
        }
        if (empty && (bytes <= cache->max_bytes || !oldest)) return empty;
        drop(oldest);
    }
}

static ts_status add_trial(tuner_bench_cache *cache, tuner_bench *bench, const gen_case *test,
                           bool timed, gen_oracle oracle, ts_err *err) {
    tuner_trial_options options = {.oracle = oracle,
                                   .seed = cache->context->seed + 1000 * bench->count,
                                   .max_flops = trial_flops,
                                   .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                                   .longest = timed};
    tuner_trial *trial = NULL;
    TS_TRY(tuner_trial_create(cache->context->g, test, &options, &trial, err));
    tuner_rig *rig = NULL;
    ts_status status = tuner_rig_create(cache->device, cache->stream, trial, &rig, err);
    if (status != TS_STATUS_OK) {
        tuner_trial_free(trial);
        return status;
    }
    rig->nvml = cache->nvml;
    bench->trials[bench->count] = trial;
    bench->rigs[bench->count++] = rig;
    bench->bytes += (int64_t)trial->image_bytes;
    return TS_STATUS_OK;
}

static ts_status fill(tuner_bench_cache *cache, tuner_bench *bench, const gen_case *cases,
                      size_t count, bool timed, ts_err *err) {
    gen_oracle oracle = NULL;
    const char *family = count ? gen_family_name(cases[0].problem.family) : "";
    bench->trials = calloc(count + 1, sizeof *bench->trials);
    bench->rigs = calloc(count + 1, sizeof *bench->rigs);
    if (!bench->trials || !bench->rigs) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "trials");
    if (count) TS_TRY(tuner_oracle_find(family, cache->context->scratch, &oracle, err));
    for (size_t i = 0; i < count; i++)
        TS_TRY(add_trial(cache, bench, &cases[i], timed, oracle, err));
    return TS_STATUS_OK;
}

/* Finds `key` or makes it from the cases. */
static ts_status obtain(tuner_bench_cache *cache, const char *key, const gen_case *cases,
                        size_t count, bool timed, tuner_bench **out, ts_err *err) {
    tuner_bench *bench = find(cache, key);
    if (!bench) {
        bench = make_room(cache);
        bench->key = strdup(key);
        ts_status status = bench->key ? fill(cache, bench, cases, count, timed, err)
                                      : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "trials");
        if (status != TS_STATUS_OK) {
            drop(bench);
            return status;
        }
    }
    bench->last_use = ++cache->clock;
    *out = bench;
    return TS_STATUS_OK;
}

ts_status tuner_bench_cases(tuner_bench_cache *cache, const gen_problem *problem, tuner_bench **out,
                            ts_err *err) {
    ts_buf key = {0};
    gen_case *cases = NULL;
    size_t count = 0;
    ts_buf_printf(&key, "cases %s ", gen_family_name(problem->family));
    gen_problem_spec(problem, &key);
    ts_status status = key.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "trials") : TS_STATUS_OK;
    if (status == TS_STATUS_OK && !find(cache, key.data))
        status = gen_cases(cache->context->g, problem->family, "verify", problem, &cases, &count,
                           err);
    if (status == TS_STATUS_OK) status = obtain(cache, key.data, cases, count, false, out, err);
    free(cases);
    ts_buf_free(&key);
    return status;
}

ts_status tuner_bench_problem(tuner_bench_cache *cache, const gen_problem *problem,
                              tuner_bench **out, ts_err *err) {
    ts_buf key = {0};
    gen_case test = {
        .problem = *problem, .pad = "", .init = "", .omit = "", .alias = "", .note = ""};
    gen_problem_text(problem, &key);
    ts_status status = key.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "trials") : TS_STATUS_OK;
    if (status == TS_STATUS_OK) status = obtain(cache, key.data, &test, 1, true, out, err);
    ts_buf_free(&key);
    if (status != TS_STATUS_OK || (*out)->rigs[0]->slab_count > 1) return status;
    TS_TRY(tuner_rig_widen((*out)->rigs[0], gen_family_is_warm(problem->family),
                           cache->max_bytes / 2, err));
    (*out)->bytes = (int64_t)((*out)->trials[0]->image_bytes * (*out)->rigs[0]->slab_count);
    return TS_STATUS_OK;
}
