/* Which frames of a video are taken: options and totals straight from the input, then the rest of it as
 * names of files in a folder, a line each. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "runtime/vision/frames.h"

typedef struct header {
    int64_t total;
    double video_fps, fps;
    int32_t count, at_least, at_most, rule;
} header;

/* Totals and counts of a size that can be listed, too. */
static void sample(header h) {
    rt_frames_options options = {.rule = h.rule & 1 ? RT_FRAMES_FLOOR : RT_FRAMES_SPREAD,
                                 .fps = h.fps,
                                 .count = h.count,
                                 .at_least = h.at_least,
                                 .at_most = h.at_most};
    int64_t *frames = NULL;
    size_t count = 0;
    ts_err err = {0};
    if (h.rule & 2) h.total &= 0xFFFF;
    if (h.total > 1 << 22 && (options.count > 1 << 22 || options.at_most > 1 << 22)) return;
    ts_status status = rt_frames_sample(&options, h.total, h.video_fps, &frames, &count, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    fuzz_require(count >= 2 && count % 2 == 0, "an even number of frames");
    for (size_t i = 0; i < count; i++) {
        fuzz_require(frames[i] >= 0 && frames[i] < h.total, "frames of the video");
        fuzz_require(i == 0 || frames[i] > frames[i - 1], "ascending");
    }
    rt_frames_pixels budget = rt_frames_budget(count);
    fuzz_require(budget.least > 0 && budget.most >= budget.least, "a budget");
    free(frames);
}

/* Removes what the last input left. */
static const char *empty_folder(void) {
    static char **paths;
    static size_t count;
    const char *dir = fuzz_path("frames");
    fuzz_file("frames/0.png", "", 0);
    if (rt_frames_list(dir, 0, &paths, &count, NULL) == TS_STATUS_OK) {
        for (size_t i = 0; i < count; i++) unlink(paths[i]);
        rt_frames_free(paths, count);
    }
    return dir;
}

static void list(const char *names, size_t bytes, int32_t at_most) {
    enum { MOST = 64 };
    char **paths = NULL, name[48];
    size_t count = 0, made = 0;
    ts_err err = {0};
    const char *dir = empty_folder();
    for (const char *end = names + bytes; names < end && made < MOST; made++) {
        const char *stop = memchr(names, '\n', (size_t)(end - names));
        size_t length = (size_t)((stop ? stop : end) - names), used = length < 24 ? length : 24;
        memcpy(name, "frames/", 7);
        for (size_t i = 0; i < used; i++)
            name[7 + i] = names[i] == '/' || names[i] == '\0' ? '_' : names[i];
        memcpy(name + 7 + used, ".png", 5);
        fuzz_file(name, "", 0);
        names += length + (stop != NULL);
    }
    ts_status status = rt_frames_list(dir, at_most, &paths, &count, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    fuzz_require(count > 0 && (at_most <= 0 || count <= (size_t)at_most), "as many as allowed");
    for (size_t i = 0; i < count; i++) {
        fuzz_touch(paths[i], strlen(paths[i]) + 1);
        for (size_t k = 0; k < i; k++)
            fuzz_require(strcmp(paths[i], paths[k]) != 0, "each file once");
    }
    rt_frames_free(paths, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    header h;
    if (size < sizeof h) return -1;
    memcpy(&h, data, sizeof h);
    sample(h);
    list((const char *)data + sizeof h, size - sizeof h, h.at_most & 0x3F);
    return 0;
}
