/* A video file as the frames that are looked at, one after the other, so that of a long video only
 * one frame is in memory at a time.
 *
 * Files are read by libav (FFmpeg's libraries), which is opened when the first video is: nothing here
 * links it, and a program runs without it. A build without libav's headers refuses every file and
 * says what to install. libav's log, which is one for the process, is off while a function here runs.
 */
#ifndef RUNTIME_VISION_VIDEO_H
#define RUNTIME_VISION_VIDEO_H

#include "../image/image.h"
#include "frames.h"

typedef struct rt_video rt_video;

typedef struct rt_video_options {
    rt_frames_options frames;
    int64_t max_pixels; /* of a frame; a larger one is refused before it is decoded */
    double max_seconds; /* from opening to the last frame */
    int threads;        /* of the decoder; 0: one a core */
} rt_video_options;

/* rt_frames_defaults, 8192 x 4352 pixels, ten minutes. */
rt_video_options rt_video_defaults(void);

/* Opens the file's best video stream, counts its frames and chooses some. `options` NULL: the
 * defaults. Only the file itself is read, whatever it refers to. Errors name the file. NOT_FOUND,
 * IO: no such file, or a pipe; CORRUPT: cut off or damaged; UNSUPPORTED: no video that is read, too large, too
 * slow, or no libav, with what to do; INVALID_ARGUMENT: as rt_frames_sample. */
ts_status rt_video_open(const char *path, const rt_video_options *options, rt_video **out,
                        ts_err *err);
/* The frames that rt_video_next will give, an even number. */
size_t rt_video_count(const rt_video *video);
/* The next one: RGB, turned as the file says. After the last one, and after an error:
 * INVALID_ARGUMENT. *out: rt_image_free. */
ts_status rt_video_next(rt_video *video, rt_image *out, ts_err *err);
void rt_video_close(rt_video *video);

#endif
