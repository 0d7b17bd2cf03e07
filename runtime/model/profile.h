/* Where the time of a session goes, by part of the model (rt_use.part) and in everything around it.
 *
 * What is put on the stream is bracketed by clock readings on the CPU and by events on a GPU: the
 * same launches in the same order. A captured decode step carries its events as nodes, so it stays
 * one graph; they are read before the next replay, when the token has come back.
 * Reading them takes time of its own, which is taken out of the elapsed time.
 *
 * Rows cover the elapsed time without overlap: what a GPU does (kernels, copies), what the host
 * does while the device has nothing to do (rt_profile_add), and "host" for all the rest. One
 * session, one thread at a time.
 */
#ifndef RUNTIME_MODEL_PROFILE_H
#define RUNTIME_MODEL_PROFILE_H

#include "../peak.h"
#include "uses.h"

typedef struct rt_profile rt_profile;

typedef struct rt_profile_row {
    const char *part; /* "vision/attention", "upload"; as long as the model lives */
    int64_t calls;
    double us, step_us;  /* all of it; what of it fell to passes over one row */
    bool has_work;       /* else nothing is known of the following */
    double flops, bytes; /* of all calls, by the families' counts */
    double limit_us;     /* what the device's peaks allow at best, call by call */
} rt_profile_row;

/* Paused. The peaks say what the limits are. */
ts_status rt_profile_create(ts_device *device, const rt_peaks *peaks, rt_profile **out,
                            ts_err *err);
void rt_profile_destroy(rt_profile *profile);

/* Only between these two does time count; the pause waits for the device. */
void rt_profile_resume(rt_profile *profile);
ts_status rt_profile_pause(rt_profile *profile, ts_err *err);
double rt_profile_elapsed_us(const rt_profile *profile);
/* Rows in the order in which they were first met, "host" last: *rows: free(). While paused. */
ts_status rt_profile_rows(const rt_profile *profile, rt_profile_row **rows, size_t *count,
                          ts_err *err);

/* Time of the host, measured by the caller while the device was idle. */
void rt_profile_add(rt_profile *profile, const char *part, double us);
/* Seconds of a clock that only moves forward. */
double rt_profile_now(void);

/* ---- for run.c ---- */

/* What was put on the stream between begin and end: a launch of `used` with `args`, or (used NULL)
 * a copy of `bytes` that belongs to `part` or, where that is NULL, to what ran before it. */
typedef struct rt_profile_act {
    const rt_used *used;
    const void *args;
    size_t args_bytes;
    int64_t keys; /* what extent rt_use.keys really is */
    const char *part;
    size_t bytes;
} rt_profile_act;

ts_status rt_profile_begin(rt_profile *profile, void *stream, ts_err *err);
ts_status rt_profile_end(rt_profile *profile, void *stream, const rt_profile_act *act, ts_err *err);
/* Acts from here on are captured, until it is called with false. */
void rt_profile_capture(rt_profile *profile, bool on);
/* Before a replay of what was captured; `keys` as in rt_profile_act. */
ts_status rt_profile_replay(rt_profile *profile, void *stream, int64_t keys, ts_err *err);

#endif
