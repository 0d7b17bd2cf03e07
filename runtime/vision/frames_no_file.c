/* In place of frames_file.c where libav's headers were not there at build time. */
#include "video.h"

ts_status rt_video_open(const char *path, const rt_video_options *options, rt_video **out,
                        ts_err *err) {
    (void)options, (void)out;
    return ts_fail(
        err, TS_STATUS_UNSUPPORTED,
        "%s: built without libav, so of videos only folders of frames are read (ffmpeg -i "
        "FILE -vf fps=2 DIR/%%05d.png makes one); or install libavformat-dev libavcodec-dev "
        "libswscale-dev libavutil-dev and run make",
        path);
}

size_t rt_video_count(const rt_video *video) {
    (void)video;
    return 0;
}

ts_status rt_video_next(rt_video *video, rt_image *out, ts_err *err) {
    (void)video, (void)out;
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "no video is open");
}

void rt_video_close(rt_video *video) { (void)video; }
