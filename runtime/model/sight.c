/* Rows are converted by a few threads into one half of a page-locked buffer while the device copies
 * the other half.
 */
#include "sight.h"

#include <string.h>

#include "dtype.h"

enum {
    STAGING_BYTES = 2 << 20, /* of a half: some tens of microseconds to convert and to copy */
    MOST_THREADS = 8,        /* more of them only wait for the host's memory */
};

ts_status rt_sight_reserve(rt_sight *s, ts_device *device, size_t bytes, ts_err *err) {
    if (bytes <= s->bytes) return TS_STATUS_OK;
    if (s->memory) device->ops->free(device, s->memory); /* first: both may not fit */
    s->memory = NULL;
    s->bytes = 0;
    TS_TRY(device->ops->alloc(device, bytes, &s->memory, err));
    s->bytes = bytes;
    return TS_STATUS_OK;
}

/* The CPU's launches have a pool of their own, and its tower takes far longer than any conversion. */
static ts_status open_pool(rt_sight *s, const ts_device *device, ts_err *err) {
    if (device->info.is_cpu || s->pool) return TS_STATUS_OK;
    int cpus = rt_pool_cpus();
    return rt_pool_create(cpus < MOST_THREADS ? cpus : MOST_THREADS, &s->pool, err);
}

/* Also after a call that failed half way. */
static ts_status open_staging(rt_sight *s, ts_device *device, ts_err *err) {
    TS_TRY(open_pool(s, device, err));
    for (int i = 0; i < 2; i++) {
        void *half = NULL;
        if (s->sent[i]) continue;
        if (!s->staging[i]) {
            TS_TRY(device->ops->alloc_host(device, STAGING_BYTES, &half, err));
            s->staging[i] = half;
        }
        TS_TRY(device->ops->event_create(device, &s->sent[i], err));
    }
    return TS_STATUS_OK;
}

typedef struct conversion {
    ts_dtype dtype;
    const float *from;
    unsigned char *to;
    size_t columns, row_bytes;
} conversion;

static void convert(void *context, int worker, uint64_t begin, uint64_t end) {
    const conversion *c = context;
    size_t used = c->columns * rt_dtype_bytes(c->dtype);
    (void)worker;
    for (uint64_t i = begin; i < end; i++) {
        unsigned char *row = c->to + i * c->row_bytes;
        rt_from_fp32(c->dtype, c->from + i * c->columns, c->columns, row);
        memset(row + used, 0, c->row_bytes - used);
    }
}

ts_status rt_sight_send(rt_sight *s, rt_run *run, ts_dtype dtype, const float *rows, size_t count,
                        size_t columns, size_t pitch, void *to, ts_err *err) {
    const rt_device_ops *ops = run->device->ops;
    size_t row_bytes = pitch * rt_dtype_bytes(dtype), most = STAGING_BYTES / row_bytes;
    if (most == 0)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "a row of %zu bytes: at most %d", row_bytes,
                       STAGING_BYTES);
    TS_TRY(open_staging(s, run->device, err));
    int half = 0;
    for (size_t first = 0, n; first < count; first += n, half = !half) {
        n = count - first < most ? count - first : most;
        conversion c = {dtype, rows + first * columns, s->staging[half], columns, row_bytes};
        TS_TRY(ops->event_wait(run->device, s->sent[half], err)); /* at once before the first */
        TS_TRY(rt_pool_run(s->pool, n, 0, convert, &c, err));
        TS_TRY(rt_run_send(run, (char *)to + first * row_bytes, c.to, n * row_bytes, err));
        TS_TRY(ops->event_record(run->device, s->sent[half], run->stream, err));
    }
    return TS_STATUS_OK;
}

void rt_sight_close(rt_sight *s, ts_device *device) {
    for (int i = 0; i < 2; i++) {
        if (s->sent[i]) device->ops->event_destroy(device, s->sent[i]);
        if (s->staging[i]) device->ops->free_host(device, s->staging[i]);
    }
    if (s->memory) device->ops->free(device, s->memory);
    rt_pool_destroy(s->pool);
    *s = (rt_sight){0};
}
