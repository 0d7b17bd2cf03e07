/* Frame sampling against worked examples, and folders of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/vision/frames.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void counts(void **state) {
    (void)state;
    static const struct {
        rt_frames_rule rule;
        int64_t total;
        double video_fps, fps;
        int32_t count, at_most;
        size_t wanted;
    } cases[] = {
        {RT_FRAMES_SPREAD, 250, 25, 2, 0, 768, 20},
        {RT_FRAMES_SPREAD, 30, 30, 2, 0, 768, 4},
        {RT_FRAMES_SPREAD, 3000, 30, 2, 0, 768, 200},
        {RT_FRAMES_SPREAD, 100000, 30, 2, 0, 768, 768},
        {RT_FRAMES_SPREAD, 250, 25, 0.5, 0, 768, 4}, /* 5: 2.5 pairs go to the even 2 */
        {RT_FRAMES_SPREAD, 350, 25, 0.5, 0, 768, 8}, /* 7: 3.5 pairs to 4 */
        {RT_FRAMES_SPREAD, 3, 30, 2, 0, 768, 2},     /* shorter than the least */
        {RT_FRAMES_SPREAD, 100, 1, 30, 0, 768, 100}, /* more wanted than there are */
        {RT_FRAMES_SPREAD, 3000, 30, 2, 0, 33, 32},  /* an odd limit */
        {RT_FRAMES_SPREAD, 100, 25, 2, 7, 768, 8},   /* to even, half to even: 3.5 to 4 */
        {RT_FRAMES_SPREAD, 100, 25, 2, 5, 768, 4},
        {RT_FRAMES_FLOOR, 350, 25, 0.5, 0, 768, 6}, /* 7 down */
        {RT_FRAMES_FLOOR, 100000, 30, 2, 0, 768, 768},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        rt_frames_options options = rt_frames_defaults();
        options.rule = cases[i].rule;
        options.fps = cases[i].fps;
        options.count = cases[i].count;
        options.at_most = cases[i].at_most;
        int64_t *frames = NULL;
        size_t count = 0;
        ts_err err;
        if (rt_frames_sample(&options, cases[i].total, cases[i].video_fps, &frames, &count, &err))
            fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(count, cases[i].wanted);
        assert_int_equal(frames[0], 0);
        for (size_t k = 1; k < count; k++) assert_true(frames[k] > frames[k - 1]);
        assert_true(frames[count - 1] < cases[i].total);
        free(frames);
    }
}

static void check_frames(rt_frames_rule rule, int32_t n, int64_t total, const int64_t *wanted) {
    rt_frames_options options = rt_frames_defaults();
    options.rule = rule;
    options.count = n;
    int64_t *frames = NULL;
    size_t count = 0;
    assert_int_equal(rt_frames_sample(&options, total, 25, &frames, &count, NULL), TS_STATUS_OK);
    assert_int_equal(count, n);
    assert_memory_equal(frames, wanted, count * sizeof *frames);
    free(frames);
}

static void numbers(void **state) {
    (void)state;
    check_frames(RT_FRAMES_SPREAD, 4, 30, (const int64_t[]){0, 10, 19, 29});
    check_frames(RT_FRAMES_SPREAD, 2, 30, (const int64_t[]){0, 29});
    check_frames(RT_FRAMES_SPREAD, 4, 4, (const int64_t[]){0, 1, 2, 3});
    check_frames(RT_FRAMES_FLOOR, 4, 30, (const int64_t[]){0, 7, 15, 22});
    /* A clip of 10 s against the definition. */
    rt_frames_options options = rt_frames_defaults();
    int64_t *frames = NULL;
    size_t count = 0;
    assert_int_equal(rt_frames_sample(&options, 250, 25, &frames, &count, NULL), TS_STATUS_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(frames[i], llrint((double)i * 249.0 / 19.0));
    assert_int_equal(frames[count - 1], 249);
    free(frames);
}

static void refused(void **state) {
    (void)state;
    static const struct {
        int64_t total;
        double video_fps, fps;
        int32_t count, at_most;
        const char *message;
    } cases[] = {
        {1, 25, 2, 0, 768, "a video of 1 frames"},
        {0, 25, 2, 0, 768, "a video of 0 frames"},
        {100, 0, 2, 0, 768, "the video says 0 frames a second"},
        {100, NAN, 2, 0, 768, "the video says"},
        {100, 25, -1, 0, 768, "-1 frames a second"},
        {100, 25, INFINITY, 0, 768, "inf frames a second"},
        {100, 25, 2, 200, 768, "200 frames wanted of a video of 100"},
        {100, 25, 2, 1, 768, "1 frames wanted"},
        {100, 25, 2, 0, 1, "frame limits 4 to 1"},
        {(int64_t)1 << 40, 25, 2, 4, 768, "1099511627776 frames"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        rt_frames_options options = rt_frames_defaults();
        options.fps = cases[i].fps;
        options.count = cases[i].count;
        options.at_most = cases[i].at_most;
        int64_t *frames = NULL;
        size_t count = 0;
        ts_err err = {0};
        assert_int_equal(
            rt_frames_sample(&options, cases[i].total, cases[i].video_fps, &frames, &count, &err),
            TS_STATUS_INVALID_ARGUMENT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\" expected in \"%s\"", cases[i].message, err.message);
    }
}

static void budget(void **state) {
    (void)state;
    static const struct {
        size_t count;
        int64_t most;
    } cases[] = {{2, 602112},   {64, 602112},  {66, 583866},
                 {200, 192675}, {366, 105369}, {768, 105369}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        rt_frames_pixels pixels = rt_frames_budget(cases[i].count);
        assert_int_equal(pixels.least, 100352);
        assert_int_equal(pixels.most, cases[i].most);
    }
}

/* ---- folders ---- */

static void touch(const char *dir, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void check_list(const char *dir, int32_t at_most, const char *const *wanted, size_t n) {
    char **paths = NULL;
    size_t count = 0;
    ts_err err;
    if (rt_frames_list(dir, at_most, &paths, &count, &err)) fail_msg("%s", err.message);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) assert_string_equal(strrchr(paths[i], '/') + 1, wanted[i]);
    rt_frames_free(paths, count);
}

static void folder(void **state) {
    (void)state;
    static const char *const names[] = {"f10.png",  "f9.JPG",   "f1.jpeg",
                                        "f2.png",   "f02.webp", "a.png",
                                        "f100.png", "f9b.png",  "z0000000000000000000001.png"};
    static const char *const others[] = {"notes.txt", ".hidden.png", "png", "f3.gif"};
    static const char *const sorted[] = {"a.png",    "f1.jpeg",  "f2.png",
                                         "f02.webp", "f9.JPG",   "f9b.png",
                                         "f10.png",  "f100.png", "z0000000000000000000001.png"};
    static const char *const four[] = {"a.png", "f02.webp", "f9b.png",
                                       "z0000000000000000000001.png"};
    char dir[] = "/tmp/tunesmith-frames-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char **paths = NULL;
    size_t count = 0;
    ts_err err;
    for (size_t i = 0; i < COUNT(others); i++) touch(dir, others[i]);
    assert_int_equal(rt_frames_list(dir, 0, &paths, &count, &err), TS_STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, dir));
    for (size_t i = 0; i < COUNT(names); i++) touch(dir, names[i]);
    check_list(dir, 0, sorted, COUNT(sorted));
    check_list(dir, 9, sorted, COUNT(sorted));
    check_list(dir, 4, four, COUNT(four));
    check_list(dir, 5, four, COUNT(four));
    assert_int_equal(rt_frames_list(dir, 1, &paths, &count, &err), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(rt_frames_list(dir, -3, &paths, &count, &err), TS_STATUS_INVALID_ARGUMENT);
    char path[256];
    for (size_t i = 0; i < COUNT(names) + COUNT(others); i++) {
        snprintf(path, sizeof path, "%s/%s", dir,
                 i < COUNT(names) ? names[i] : others[i - COUNT(names)]);
        unlink(path);
    }
    rmdir(dir);
    assert_int_equal(rt_frames_list(dir, 0, &paths, &count, &err), TS_STATUS_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts), cmocka_unit_test(numbers), cmocka_unit_test(refused),
        cmocka_unit_test(budget), cmocka_unit_test(folder),
    };
    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
