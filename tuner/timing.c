/* Timing: samplers (a kernel made ready to be timed again and again), screening, races, the copy
 * limit.
 *
 * A sample is the time of one batch divided by its launches. On a GPU a batch is a captured graph,
 * so the cost of launching from the host is not in it; long kernels are timed one by one. Launches
 * rotate over the rig's slab copies, whose inputs together exceed the cache: no flush inside the
 * timed region. */
#include "timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"

/* GPU: 3 ms keep clocks up between candidates (a longer pause is warmed separately, see settle).
 * CPU: other processes disturb, so more samples and a looser bound for giving up. */
static const tuner_timing_policy gpu_policy = {.warm_s = 3e-3,
                                               .batch_us = 1000,
                                               .screen_s = 0.06,
                                               .race_s = 0.8,
                                               .screen_samples = 15,
                                               .race_rounds = 40,
                                               .slow = 1.5};
static const tuner_timing_policy cpu_policy = {.warm_s = 2e-3,
                                               .batch_us = 300,
                                               .screen_s = 0.15,
                                               .race_s = 1.2,
                                               .screen_samples = 21,
                                               .race_rounds = 30,
                                               .slow = 1.7};

enum { MAX_BATCH = 512 };
static const double idle_s = 0.1; /* after this long without work a GPU lowers its clocks */
static const double settle_s =
    0.12; /* measured on data-centre parts: boost clocks are back well within it */

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

/* Launches until `seconds` have passed; *us is the last launch's time. At least one launch. */
static ts_status warm(sampler *s, double seconds, double *us, ts_err *err) {
    double end_s = tuner_now_s() + seconds;
    do TS_TRY(sampler_take(s, us, err));
    while (tuner_now_s() < end_s);
    return TS_STATUS_OK;
}

static ts_status sampler_ready(sampler *s, ts_err *err) {
    static double last_work_s; /* of this worker process */
    ts_device *device = s->rig->device;
    const tuner_timing_policy *policy = tuner_timing_policy_of(device);
    bool idle = !device->info.is_cpu && tuner_now_s() - last_work_s > idle_s;
    double us = 0;
    TS_TRY(device->ops->event_create(device, &s->begin, err));
    TS_TRY(device->ops->event_create(device, &s->end, err));
    TS_TRY(tuner_rig_reserve(s->rig, s->kernel, err));
    TS_TRY(warm(s, idle ? settle_s : policy->warm_s, &us, err));
    if (us < policy->batch_us) {
        double launches = ceil(policy->batch_us / (us > 0.5 ? us : 0.5));
        s->batch = launches > MAX_BATCH ? MAX_BATCH : (int)launches;
        if (!device->info.is_cpu) TS_TRY(capture(s, err));
        TS_TRY(sampler_take(s, &us, err)); /* the first launch of a graph uploads it */
    }
    last_work_s = tuner_now_s();
    return TS_STATUS_OK;
}

static ts_status sampler_open(sampler *s, tuner_rig *rig, const ts_kernel *kernel, ts_err *err) {
    *s = (sampler){.rig = rig, .kernel = kernel, .batch = 1};
    ts_status status = sampler_ready(s, err);
    if (status != TS_STATUS_OK) sampler_close(s);
    return status;
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
    sampler s;
    *out = (tuner_timing){0};
    TS_TRY(sampler_open(&s, rig, kernel, err));
    double end_s = tuner_now_s() + policy->screen_s, least_us = INFINITY;
    ts_status status = TS_STATUS_OK;
    while (out->samples < policy->screen_samples && (out->samples < 3 || tuner_now_s() < end_s) &&
           !out->slow) {
        double us = 0;
        if ((status = sampler_take(&s, &us, err)) != TS_STATUS_OK) break;
        out->samples_us[out->samples++] = us;
        least_us = fmin(least_us, us);
        out->slow = best_us > 0 && out->samples >= 2 && least_us > policy->slow * best_us;
    }
    sampler_close(&s);
    if (status == TS_STATUS_OK) summarise(out, rig->device->info.is_cpu);
    return status;
}

ts_status tuner_time_race(tuner_rig *rig, const ts_kernel *const *kernels, size_t count,
                          double samples_us[][TUNER_MAX_SAMPLES], int *rounds, ts_err *err) {
    const tuner_timing_policy *policy = tuner_timing_policy_of(rig->device);
    sampler samplers[TUNER_MAX_FINALISTS];
    size_t open = 0;
    ts_status status = TS_STATUS_OK;
    /* All first: a graph keeps the workspace's address, so it may not move once one is captured. */
    for (size_t k = 0; k < count && status == TS_STATUS_OK; k++)
        status = tuner_rig_reserve(rig, kernels[k], err);
    while (open < count && open < TUNER_MAX_FINALISTS && status == TS_STATUS_OK) {
        status = sampler_open(&samplers[open], rig, kernels[open], err);
        if (status == TS_STATUS_OK) open++;
    }
    double end_s = tuner_now_s() + policy->race_s;
    int done = 0;
    while (status == TS_STATUS_OK && done < policy->race_rounds &&
           (done < 3 || tuner_now_s() < end_s)) {
        for (size_t i = 0; i < count && status == TS_STATUS_OK; i++) {
            size_t k = (i + (size_t)done) % count;
            status = sampler_take(&samplers[k], &samples_us[k][done], err);
        }
        done++;
    }
    while (open > 0) sampler_close(&samplers[--open]);
    if (status == TS_STATUS_OK) *rounds = done;
    return status;
}
