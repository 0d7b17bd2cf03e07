/* What a session keeps to look at media: the vision tower's memory on the device, which grows to the
 * largest prompt that it has seen, and the way of pixels there. Allocating either takes
 * milliseconds, about as long as everything else that the host does for an image.
 */
#ifndef RUNTIME_MODEL_SIGHT_H
#define RUNTIME_MODEL_SIGHT_H

#include "../pool.h"
#include "../tunesmith.h"
#include "run.h"

/* Zero-initialise. */
typedef struct rt_sight {
    void *memory; /* on the device */
    size_t bytes;
    unsigned char *staging[2]; /* page-locked; one is filled while the other is copied */
    rt_event *sent[2];         /* behind the last copy of each */
    rt_pool *pool;             /* converts; NULL: the caller does */
} rt_sight;

/* At least `bytes` at sight->memory; what lay there is lost. OUT_OF_MEMORY: the device's message,
 * with what it has free; nothing is kept then. */
ts_status rt_sight_reserve(rt_sight *sight, ts_device *device, size_t bytes, ts_err *err);

/* Rows [count, columns] of floats to `to` as rows of `pitch` elements of `dtype`, zeros behind their
 * columns. `rows` is read when this returns; the device has them by what follows on the stream. */
ts_status rt_sight_send(rt_sight *sight, rt_run *run, ts_dtype dtype, const float *rows,
                        size_t count, size_t columns, size_t pitch, void *to, ts_err *err);

/* Nothing may be running that uses it. */
void rt_sight_close(rt_sight *sight, ts_device *device);

#endif
