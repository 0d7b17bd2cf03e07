/* Timing: samplers (a kernel made ready to be timed again and again), screening, races.
 *
 * A sample is the time of one batch divided by its launches. On a GPU a batch is a captured graph,
 * so the cost of launching from the host is not in it; long kernels are timed one by one. Launches
 * rotate over the rig's slab copies, whose inputs together exceed the cache or, for a family that is
 * timed warm, stay in it: no flush inside the timed region. Samples count from when their drift has
 * ended; those taken while the card was throttled, or at another clock than most, do not. */
#include "timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channel.h"

/* GPU: 3 ms keep clocks up between candidates (a longer pause is warmed separately, see settle).
 * CPU: other processes disturb, so more samples and a looser bound for giving up. */
static const tuner_timing_policy gpu_policy = {.warm_s = 3e-3,
                                               .settle_s = 30e-3,
                                               .drift = 0.01,
                                               .batch_us = 1000,
                                               .screen_s = 0.06,
                                               .race_s = 1.2,
                                               .screen_samples = 15,
                                               .race_rounds = 48,
                                               .slow = 1.5,
                                               .behind = 1.02};
static const tuner_timing_policy cpu_policy = {.warm_s = 2e-3,
                                               .settle_s = 15e-3,
                                               .drift = 0.03,
                                               .batch_us = 300,
                                               .screen_s = 0.15,
                                               .race_s = 1.6,
                                               .screen_samples = 21,
                                               .race_rounds = 36,
                                               .slow = 1.7,
                                               .behind = 1.06};

enum { MAX_BATCH = 512, SETTLE_WINDOW = 3 };
static const double idle_s = 0.1; /* after this long without work a GPU lowers its clocks */
/* Measured on data-centre parts: boost clocks are back well within 0.12 s; the most is for others. */
static const double wake_s = 0.12, wake_most_s = 0.6;

const tuner_timing_policy *tuner_timing_policy_of(const ts_device *device) {
    return device->info.is_cpu ? &cpu_policy : &gpu_policy;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double tuner_quantile(double *values, int count, double q) {
    if (count <= 0) return NAN;
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    double at = q * (count - 1);
    int below = (int)at;
    int above = below + 1 < count ? below + 1 : below;
    return values[below] + (at - below) * (values[above] - values[below]);
}

typedef struct sampler {
    tuner_rig *rig;
    const ts_kernel *kernel;
    rt_event *begin, *end;
    rt_graph *graph; /* `batch` launches; NULL: launched one by one */
    int batch;
    size_t next_slab;
} sampler;

static void sampler_close(sampler *s) {
    const rt_device_ops *ops = s->rig->device->ops;
    if (s->graph) ops->graph_destroy(s->rig->device, s->graph);
    if (s->begin) ops->event_destroy(s->rig->device, s->begin);
    if (s->end) ops->event_destroy(s->rig->device, s->end);
    s->graph = NULL;
    s->begin = s->end = NULL;
}

static ts_status launch_batch(sampler *s, ts_err *err) {
    for (int i = 0; i < s->batch; i++) {
        TS_TRY(tuner_rig_launch(s->rig, s->kernel, s->next_slab, err));
        s->next_slab = (s->next_slab + 1) % s->rig->slab_count;
    }
    return TS_STATUS_OK;
}

static ts_status sampler_take(sampler *s, double *us, ts_err *err) {
    ts_device *device = s->rig->device;
    const rt_device_ops *ops = device->ops;
    TS_TRY(ops->event_record(device, s->begin, s->rig->stream, err));
    if (s->graph)
        TS_TRY(ops->graph_launch(device, s->graph, s->rig->stream, err));
    else
        TS_TRY(launch_batch(s, err));
    TS_TRY(ops->event_record(device, s->end, s->rig->stream, err));
    double batch_us = 0;
    TS_TRY(ops->event_elapsed(device, s->begin, s->end, &batch_us, err));
    *us = batch_us / s->batch;
    return TS_STATUS_OK;
}

static ts_status capture(sampler *s, ts_err *err) {
    ts_device *device = s->rig->device;
    TS_TRY(device->ops->graph_begin(device, s->rig->stream, err));
    ts_status launched = launch_batch(s, err);
    ts_status ended = device->ops->graph_end(device, s->rig->stream, &s->graph,
                                             launched ? NULL : err);
    return launched != TS_STATUS_OK ? launched : ended;
}

/* Samples until `least_s` have passed and two windows of them agree, or `most_s` have passed. */
static ts_status settle(sampler *s, double least_s, double most_s, tuner_conditions *conditions,
                        ts_err *err) {
    double begin_s = tuner_now_s(), before_us = NAN;
    do {
        double window_us[SETTLE_WINDOW];
        for (int i = 0; i < SETTLE_WINDOW; i++) TS_TRY(sampler_take(s, &window_us[i], err));
        double us = tuner_quantile(window_us, SETTLE_WINDOW, 0.5);
        conditions->drift = fabs(us / before_us - 1);
        conditions->warm_s = tuner_now_s() - begin_s;
        before_us = us;
    } while (conditions->warm_s < most_s &&
             !(conditions->warm_s >= least_s &&
               conditions->drift < tuner_timing_policy_of(s->rig->device)->drift));
    return TS_STATUS_OK;
}

/* The first launch loads the code and says how many make a batch. One that is hopelessly slower than
 * `hopeless_us` need not be settled. */
static ts_status sampler_ready(sampler *s, double hopeless_us, tuner_conditions *conditions,
                               ts_err *err) {
    static double last_work_s; /* of this worker process */
    ts_device *device = s->rig->device;
    const tuner_timing_policy *policy = tuner_timing_policy_of(device);
    bool idle = !device->info.is_cpu && tuner_now_s() - last_work_s > idle_s;
    double us = 0;
    TS_TRY(device->ops->event_create(device, &s->begin, err));
    TS_TRY(device->ops->event_create(device, &s->end, err));
    TS_TRY(tuner_rig_reserve(s->rig, s->kernel, err));
    for (int i = 0; i < 2; i++) TS_TRY(sampler_take(s, &us, err));
    if (us < policy->batch_us) {
        double launches = ceil(policy->batch_us / (us > 0.5 ? us : 0.5));
        s->batch = launches > MAX_BATCH ? MAX_BATCH : (int)launches;
        if (!device->info.is_cpu) TS_TRY(capture(s, err));
        TS_TRY(sampler_take(s, &us, err)); /* the first launch of a graph uploads it */
    }
    if (idle)
        TS_TRY(settle(s, wake_s, wake_most_s, conditions, err));
    else if (!(us > hopeless_us))
        TS_TRY(settle(s, policy->warm_s, policy->settle_s, conditions, err));
    last_work_s = tuner_now_s();
    return TS_STATUS_OK;
}

static ts_status sampler_open(sampler *s, tuner_rig *rig, const ts_kernel *kernel,
                              double hopeless_us, tuner_conditions *conditions, ts_err *err) {
    *s = (sampler){.rig = rig, .kernel = kernel, .batch = 1};
    ts_status status = sampler_ready(s, hopeless_us, conditions, err);
    if (status != TS_STATUS_OK) sampler_close(s);
    return status;
}

/* Writes down under which clock samples were taken, and which of them count: all, if most would not. */
static void judge_clocks(const tuner_clock_log *log, bool *keep, tuner_conditions *conditions) {
    conditions->clock_mhz = tuner_clocks_usual_mhz(log);
    conditions->dropped = tuner_clocks_judge(log, keep);
    conditions->disturbed = 2 * conditions->dropped > log->count;
    if (!conditions->disturbed) return;
    conditions->dropped = 0;
    for (int i = 0; i < log->count; i++) keep[i] = true;
}

/* Moves the kept of `count` values together; returns how many there are. */
static int keep_only(double *values, int count, const bool *keep) {
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (keep[i]) values[kept++] = values[i];
    return kept;
}

/* The CPU shares its caches and cores with everything else: noise only ever adds, so the best third
 * of the time counts. On a GPU all samples are alike. */
static void summarise(tuner_timing *t, bool is_cpu) {
    double sorted[TUNER_MAX_SAMPLES];
    int groups = is_cpu && t->samples >= 9 ? 3 : 1, size = t->samples / groups;
    t->time_us = INFINITY;
    for (int g = 0; g < groups; g++) {
        memcpy(sorted, t->samples_us + g * size, (size_t)size * sizeof *sorted);
        t->time_us = fmin(t->time_us, tuner_quantile(sorted, size, 0.5));
    }
    memcpy(sorted, t->samples_us, (size_t)t->samples * sizeof *sorted);
    t->spread_us = 0.5 * (tuner_quantile(sorted, t->samples, 0.9) -
                          tuner_quantile(sorted, t->samples, 0.1));
}

ts_status tuner_time(tuner_rig *rig, const ts_kernel *kernel, double best_us, tuner_timing *out,
                     ts_err *err) {
    const tuner_timing_policy *policy = tuner_timing_policy_of(rig->device);
    double hopeless_us = best_us > 0 ? 2 * policy->slow * best_us : INFINITY;
    tuner_clock_log log = {.count = 0};
    bool keep[TUNER_MAX_SAMPLES];
    sampler s;
    *out = (tuner_timing){.conditions = {.drift = NAN}};
    TS_TRY(sampler_open(&s, rig, kernel, hopeless_us, &out->conditions, err));
    double end_s = tuner_now_s() + policy->screen_s, least_us = INFINITY;
    ts_status status = TS_STATUS_OK;
    while (out->samples < policy->screen_samples && (out->samples < 3 || tuner_now_s() < end_s) &&
           !out->slow) {
        double us = 0;
        if ((status = sampler_take(&s, &us, err)) != TS_STATUS_OK) break;
        tuner_clocks_read(rig->nvml, &log);
        out->samples_us[out->samples++] = us;
        least_us = fmin(least_us, us);
        out->slow = best_us > 0 && out->samples >= 2 && least_us > policy->slow * best_us;
    }
    sampler_close(&s);
    if (status != TS_STATUS_OK) return status;
    judge_clocks(&log, keep, &out->conditions);
    out->samples = keep_only(out->samples_us, out->samples, keep);
    summarise(out, rig->device->info.is_cpu);
    return TS_STATUS_OK;
}

/* ---- races ---- */

enum { SURE_ROUNDS = 6 }; /* before anyone has to leave */

typedef struct race {
    tuner_rig *rig;
    const ts_kernel *const *kernels;
    size_t count, open;
    sampler samplers[TUNER_MAX_FINALISTS];
    bool out_of_it[TUNER_MAX_FINALISTS];
    tuner_clock_log log;
    tuner_rounds *rounds;
} race;

/* Workspaces first: a graph keeps the workspace's address, so it may not move once one is captured. */
static ts_status open_race(race *r, ts_err *err) {
    tuner_conditions *conditions = &r->rounds->conditions;
    for (size_t k = 0; k < r->count; k++) TS_TRY(tuner_rig_reserve(r->rig, r->kernels[k], err));
    for (; r->open < r->count; r->open++)
        TS_TRY(sampler_open(&r->samplers[r->open], r->rig, r->kernels[r->open], INFINITY,
                            conditions, err));
    return TS_STATUS_OK;
}

static ts_status run_round(race *r, int round, ts_err *err) {
    for (size_t i = 0; i < r->count; i++) {
        size_t k = (i + (size_t)round) % r->count;
        if (r->out_of_it[k]) continue;
        TS_TRY(sampler_take(&r->samplers[k], &r->rounds->samples_us[k][round], err));
        r->rounds->counts[k] = round + 1;
    }
    tuner_clocks_read(r->rig->nvml, &r->log);
    return TS_STATUS_OK;
}

static double median_so_far(const race *r, size_t k) {
    double sorted[TUNER_MAX_SAMPLES];
    memcpy(sorted, r->rounds->samples_us[k], sizeof sorted);
    return tuner_quantile(sorted, r->rounds->counts[k], 0.5);
}

/* Those far behind the leader cost time and win nothing. */
static void send_off(race *r, double behind) {
    double least_us = INFINITY;
    for (size_t k = 0; k < r->count; k++)
        if (!r->out_of_it[k]) least_us = fmin(least_us, median_so_far(r, k));
    for (size_t k = 1; k < r->count; k++)
        if (median_so_far(r, k) > behind * least_us) r->out_of_it[k] = true;
}

static ts_status run_race(race *r, ts_err *err) {
    const tuner_timing_policy *policy = tuner_timing_policy_of(r->rig->device);
    TS_TRY(open_race(r, err));
    double end_s = tuner_now_s() + policy->race_s;
    for (int round = 0; round < policy->race_rounds && (round < 3 || tuner_now_s() < end_s);
         round++) {
        TS_TRY(run_round(r, round, err));
        if (round + 1 >= SURE_ROUNDS) send_off(r, policy->behind);
    }
    return TS_STATUS_OK;
}

static ts_status race_once(tuner_rig *rig, const ts_kernel *const *kernels, size_t count,
                           tuner_rounds *out, ts_err *err) {
    race r = {.rig = rig, .kernels = kernels, .count = count, .rounds = out};
    bool keep[TUNER_MAX_SAMPLES];
    memset(out, 0, sizeof *out);
    ts_status status = run_race(&r, err);
    while (r.open > 0) sampler_close(&r.samplers[--r.open]);
    if (status != TS_STATUS_OK) return status;
    judge_clocks(&r.log, keep, &out->conditions);
    for (size_t k = 0; k < count; k++)
        out->counts[k] = keep_only(out->samples_us[k], out->counts[k], keep);
    return TS_STATUS_OK;
}

ts_status tuner_time_race(tuner_rig *rig, const ts_kernel *const *kernels, size_t count,
                          tuner_rounds *out, ts_err *err) {
    if (count > TUNER_MAX_FINALISTS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "a race of %zu kernels; the most is %d",
                       count, TUNER_MAX_FINALISTS);
    TS_TRY(race_once(rig, kernels, count, out, err));
    if (out->conditions.disturbed) { /* whatever it was may be over */
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        TS_TRY(race_once(rig, kernels, count, out, err));
    }
    for (size_t k = 0; k < count; k++) {
        double error;
        ts_buf message = {0};
        out->right[k] = tuner_rig_verify(rig, kernels[k], false, &message, &error) == TUNER_RIGHT;
        ts_buf_free(&message);
    }
    return TS_STATUS_OK;
}
