/* Which frames of a video are looked at, and how large they may be. */
#ifndef RUNTIME_VISION_FRAMES_H
#define RUNTIME_VISION_FRAMES_H

#include "../../db/base.h"

typedef enum rt_frames_rule {
    RT_FRAMES_SPREAD, /* of the authors' tools: first and last frame included */
    RT_FRAMES_FLOOR,  /* of Hugging Face's video processor: i-th of n is floor(i * total / n) */
} rt_frames_rule;

typedef struct rt_frames_options {
    rt_frames_rule rule;
    double fps;                /* frames wanted of each second */
    int32_t count;             /* exactly so many, to an even number; 0: by fps */
    int32_t at_least, at_most; /* limits of a count by fps */
} rt_frames_options;

/* SPREAD, 2 frames a second, 4 to 768. */
rt_frames_options rt_frames_defaults(void);

/* Numbers of the frames to take of a video of `total` frames at `video_fps` a second, ascending and
 * an even number of them. *out: free. INVALID_ARGUMENT: an option out of its range, a video too
 * short. */
ts_status rt_frames_sample(const rt_frames_options *options, int64_t total, double video_fps,
                           int64_t **out, size_t *count, ts_err *err);

/* Pixels that each of `count` sampled frames may have, so that all together stay within the budget
 * that the authors' tools give a video. */
typedef struct rt_frames_pixels {
    int64_t least, most;
} rt_frames_pixels;

rt_frames_pixels rt_frames_budget(size_t count);

/* A folder as a video: paths of its PNG, JPEG and WebP files in natural order (frame2 before
 * frame10). What is in a folder was sampled by whoever filled it, so all of it counts; more than
 * `at_most` are thinned out evenly, 0: no limit. One frame or an odd number is no error: the last is
 * repeated by the preprocessing. *paths: rt_frames_free. NOT_FOUND: no folder, no frame in it. */
ts_status rt_frames_list(const char *dir, int32_t at_most, char ***paths, size_t *count,
                         ts_err *err);
void rt_frames_free(char **paths, size_t count);

#endif
