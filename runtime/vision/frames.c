/* Frame sampling, in integers where it can be: n frames are spread by i * (total - 1) / (n - 1),
 * and n is even, so the divisor is odd and no tie of rounding exists.
 */
#include "video.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { PATCHES = 28 * 28 }; /* pixels of a token */

rt_frames_options rt_frames_defaults(void) {
    return (rt_frames_options){.rule = RT_FRAMES_SPREAD, .fps = 2, .at_least = 4, .at_most = 768};
}

rt_video_options rt_video_defaults(void) {
    return (rt_video_options){
        .frames = rt_frames_defaults(), .max_pixels = 8192 * 4352, .max_seconds = 600};
}

static int64_t to_even(int64_t n) { return n - n % 2; }

static ts_status check_options(const rt_frames_options *o, int64_t total, double video_fps,
                               ts_err *err) {
    if (total < 2)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "a video of %" PRId64 " frames: at least 2 are needed", total);
    if (o->count < 0 || (o->count > 0 && o->count < 2))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%d frames wanted: at least 2", o->count);
    if (o->at_least < 0 || o->at_most < 2)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "frame limits %d to %d: the upper one is at least 2", o->at_least,
                       o->at_most);
    if (o->count > 0) return TS_STATUS_OK;
    if (!(o->fps > 0) || !isfinite(o->fps))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%g frames a second: a positive number is needed", o->fps);
    if (!(video_fps > 0) || !isfinite(video_fps))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the video says %g frames a second: give a number of frames instead",
                       video_fps);
    return TS_STATUS_OK;
}

/* Frames by duration: within the limits as a real number, then to an even one as the rule says. */
static int64_t count_by_fps(const rt_frames_options *o, int64_t total, double video_fps) {
    int64_t most = to_even(o->at_most < total ? o->at_most : total);
    double n = (double)total / video_fps * o->fps;
    n = fmin(fmax(n, o->at_least), (double)most);
    return o->rule == RT_FRAMES_SPREAD ? (int64_t)nearbyint(n / 2) * 2 : to_even((int64_t)n);
}

static int64_t nth_frame(rt_frames_rule rule, int64_t i, int64_t n, int64_t total) {
    if (rule == RT_FRAMES_FLOOR) return i * total / n;
    return (2 * i * (total - 1) + (n - 1)) / (2 * (n - 1));
}

ts_status rt_frames_sample(const rt_frames_options *options, int64_t total, double video_fps,
                           int64_t **out, size_t *count, ts_err *err) {
    TS_TRY(check_options(options, total, video_fps, err));
    if (total > INT32_MAX)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "a video of %" PRId64 " frames", total);
    int64_t n = options->count > 0 ? (int64_t)nearbyint(options->count / 2.0) * 2
                                   : count_by_fps(options, total, video_fps);
    if (n < 2 || n > total)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%" PRId64 " frames wanted of a video of %" PRId64 ": 2 to all are possible",
                       n, total);
    int64_t *frames = malloc((size_t)n * sizeof *frames);
    if (!frames) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%" PRId64 " frame numbers", n);
    for (int64_t i = 0; i < n; i++) frames[i] = nth_frame(options->rule, i, n, total);
    *out = frames;
    *count = (size_t)n;
    return TS_STATUS_OK;
}

rt_frames_pixels rt_frames_budget(size_t count) {
    /* Of the Qwen2-VL era: 128 to 768 tokens a frame, 24,576 for a pair of them over all pairs; the
     * limit never falls to the least size, or nothing would fit between the two. */
    const int64_t least = 128 * PATCHES, most = 768 * PATCHES, all = 24576 * PATCHES;
    const int64_t floor_of_most = least * 105 / 100;
    int64_t share = count > 0 ? (int64_t)((double)all / (double)count * 2) : most;
    if (share > most) share = most;
    return (rt_frames_pixels){least, share > floor_of_most ? share : floor_of_most};
}
