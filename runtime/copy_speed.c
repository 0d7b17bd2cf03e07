/* The bandwidth limit of a device, measured: how fast a plain copy of large buffers goes.
 *
 * GPU: the driver's device-to-device copy. CPU: one thread a core copying its own part, since one
 * core alone does not saturate memory. Best of several repeats: it is a limit, not an average. */
#include "copy_speed.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GPU_COPY_BYTES = 512 << 20, CPU_COPY_BYTES = 64 << 20, REPEATS = 8, MAX_THREADS = 256 };

static ts_status copy_repeatedly(ts_device *device, void *stream, void *from, void *to,
                                 double *gbytes, ts_err *err) {
    const rt_device_ops *ops = device->ops;
    rt_event *begin = NULL, *end = NULL;
    ts_status status = ops->event_create(device, &begin, err);
    if (status == TS_STATUS_OK) status = ops->event_create(device, &end, err);
    if (status == TS_STATUS_OK) status = ops->fill(device, stream, from, 1, GPU_COPY_BYTES, err);
    double least_us = INFINITY;
    for (int i = 0; i < REPEATS && status == TS_STATUS_OK; i++) {
        double us = 0;
        status = ops->event_record(device, begin, stream, err);
        if (status == TS_STATUS_OK)
            status = ops->copy(device, stream, to, from, GPU_COPY_BYTES, err);
        if (status == TS_STATUS_OK) status = ops->event_record(device, end, stream, err);
        if (status == TS_STATUS_OK) status = ops->event_elapsed(device, begin, end, &us, err);
        if (status == TS_STATUS_OK) least_us = fmin(least_us, us);
    }
    if (begin) ops->event_destroy(device, begin);
    if (end) ops->event_destroy(device, end);
    if (status == TS_STATUS_OK) *gbytes = 2e-3 * GPU_COPY_BYTES / least_us;
    return status;
}

static ts_status time_gpu_copy(ts_device *device, void *stream, double *gbytes, ts_err *err) {
    void *from = NULL, *to = NULL;
    ts_status status = device->ops->alloc(device, GPU_COPY_BYTES, &from, err);
    if (status == TS_STATUS_OK) status = device->ops->alloc(device, GPU_COPY_BYTES, &to, err);
    if (status == TS_STATUS_OK) status = copy_repeatedly(device, stream, from, to, gbytes, err);
    if (from) device->ops->free(device, from);
    if (to) device->ops->free(device, to);
    return status;
}

typedef struct copy_part {
    char *from, *to;
    size_t bytes;
} copy_part;

static void *copy_one(void *context) {
    const copy_part *part = context;
    memcpy(part->to, part->from, part->bytes);
    return NULL;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double time_cpu_copy(char *from, char *to, int threads) {
    double least_s = INFINITY;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        pthread_t helpers[MAX_THREADS];
        copy_part parts[MAX_THREADS];
        int started = 0;
        double begin_s = now_s();
        for (int i = 0; i < threads; i++) {
            size_t bytes = CPU_COPY_BYTES / (size_t)threads / 64 * 64, at = bytes * (size_t)i;
            parts[i] = (copy_part){from + at, to + at, bytes};
            if (i > 0 && pthread_create(&helpers[started], NULL, copy_one, &parts[i]) == 0)
                started++;
            else if (i > 0)
                copy_one(&parts[i]);
        }
        copy_one(&parts[0]);
        while (started > 0) pthread_join(helpers[--started], NULL);
        least_s = fmin(least_s, now_s() - begin_s);
    }
    return 2e-9 * CPU_COPY_BYTES / least_s;
}

ts_status rt_copy_speed(ts_device *device, void *stream, double *gbytes, ts_err *err) {
    if (!device->info.is_cpu) return time_gpu_copy(device, stream, gbytes, err);
    int threads = device->info.sm_count < MAX_THREADS ? device->info.sm_count : MAX_THREADS;
    char *memory = malloc(2 * (size_t)CPU_COPY_BYTES);
    if (!memory) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "buffers for the copy limit");
    memset(memory, 1, 2 * (size_t)CPU_COPY_BYTES);
    *gbytes = time_cpu_copy(memory, memory + CPU_COPY_BYTES, threads < 1 ? 1 : threads);
    free(memory);
    return TS_STATUS_OK;
}
