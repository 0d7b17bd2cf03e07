/* A video file, all its sampled frames. Mutations reach the demuxers and decoders of libav, which
 * answers for them; what is tested here is what is made of their answers. */
#include "fuzz.h"
#include "runtime/vision/video.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rt_video_options options = rt_video_defaults();
    rt_video *video = NULL;
    ts_err err = {0};
    if (size < 1) return -1;
    options.max_pixels = 1 << 14;
    options.max_seconds = 5;
    options.threads = 1;
    options.frames.count = data[0] & 1 ? 2 : 0;
    ts_status status = rt_video_open(fuzz_file("video", data + 1, size - 1), &options, &video,
                                     &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return 0;
    size_t count = rt_video_count(video);
    fuzz_require(count >= 2 && count % 2 == 0, "an even number of frames");
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++) {
        rt_image image = {0};
        status = rt_video_next(video, &image, &err);
        fuzz_check_error(status, &err);
        if (status != TS_STATUS_OK) break;
        size_t pixels = (size_t)image.width * (size_t)image.height;
        fuzz_require(pixels > 0 && pixels <= (size_t)options.max_pixels, "the limit holds");
        fuzz_touch(image.pixels, 3 * pixels + RT_IMAGE_SLACK_BYTES);
        rt_image_free(&image);
    }
    rt_video_close(video);
    return 0;
}
