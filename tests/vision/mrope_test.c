/* Rotary positions against the worked example of the model's authors, the reference's positions of
 * the qwen2vl-tiny cases, and prompts whose placeholders do not fit their media.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/model/safetensors.h"
#include "runtime/vision/mrope.h"

enum { T = 10, S = 3, E = 4, I = 6, V = 7 };

static const rt_media_ids NAMES = {
    .vision_start = S, .vision_end = E, .image = I, .video = V, .merge = 2};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const int32_t WORKED[] = {T, T, T, S, I, I, I, I, I, I, E, T, T, S, V,
                                 V, V, V, V, V, V, V, V, V, V, V, E, T, T};
static const rt_grid WORKED_IMAGE = {1, 4, 6}, WORKED_VIDEO = {3, 4, 4};
static const int32_t WORKED_POSITIONS[3][29] = {
    {0,  1,  2,  3,  4,  4,  4,  4,  4,  4,  7,  8,  9,  10, 11,
     11, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 15, 16},
    {0,  1,  2,  3,  4,  4,  4,  5,  5,  5,  7,  8,  9,  10, 11,
     11, 12, 12, 11, 11, 12, 12, 11, 11, 12, 12, 14, 15, 16},
    {0,  1,  2,  3,  4,  5,  6,  4,  5,  6,  7,  8,  9,  10, 11,
     12, 11, 12, 11, 12, 11, 12, 11, 12, 11, 12, 14, 15, 16},
};

static void worked_example(void **state) {
    (void)state;
    rt_media media = {&WORKED_IMAGE, &WORKED_VIDEO, 1, 1};
    rt_mrope mrope = {0};
    int32_t positions[3 * 29];
    ts_err err;
    assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &media, WORKED, 29, positions, &err),
                     TS_STATUS_OK);
    assert_memory_equal(positions, WORKED_POSITIONS, sizeof positions);
    assert_int_equal(rt_mrope_delta(&mrope), -12);
    assert_int_equal(rt_mrope_step(&mrope), 17); /* slot 29 with delta -12 */
    assert_int_equal(rt_mrope_step(&mrope), 18);
    assert_int_equal(rt_mrope_delta(&mrope), -12);
}

/* Turns of one session: whatever calls a prompt is split into, between media, positions are those
 * of the whole. */
static void turns(void **state) {
    (void)state;
    for (size_t cut = 1; cut < 29; cut++) {
        bool inside = (cut > 4 && cut < 10) || (cut > 14 && cut < 26);
        if (inside) continue;
        rt_mrope mrope = {0};
        rt_media first = {&WORKED_IMAGE, &WORKED_VIDEO, cut >= 10, cut >= 26};
        rt_media second = {&WORKED_IMAGE, &WORKED_VIDEO, cut < 10, cut < 26};
        int32_t positions[3 * 29];
        assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &first, WORKED, cut, positions, NULL),
                         TS_STATUS_OK);
        for (size_t axis = 0; axis < 3; axis++)
            assert_memory_equal(positions + axis * cut, WORKED_POSITIONS[axis],
                                cut * sizeof *positions);
        size_t rest = 29 - cut;
        assert_int_equal(
            rt_mrope_extend(&mrope, &NAMES, &second, WORKED + cut, rest, positions, NULL),
            TS_STATUS_OK);
        for (size_t axis = 0; axis < 3; axis++)
            assert_memory_equal(positions + axis * rest, WORKED_POSITIONS[axis] + cut,
                                rest * sizeof *positions);
        assert_int_equal(rt_mrope_delta(&mrope), -12);
    }
}

/* A turn after generated tokens goes on where they ended. */
static void after_decoding(void **state) {
    (void)state;
    static const int32_t ids[] = {S, I, E};
    static const rt_grid grid = {1, 2, 2};
    rt_media media = {.images = &grid, .image_count = 1}, none = {0};
    rt_mrope mrope = {0};
    int32_t positions[9];
    assert_int_equal(
        rt_mrope_extend(&mrope, &NAMES, &none, (const int32_t[]){T, T}, 2, positions, NULL),
        TS_STATUS_OK);
    for (int32_t i = 0; i < 5; i++) assert_int_equal(rt_mrope_step(&mrope), 2 + i);
    assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &media, ids, 3, positions, NULL),
                     TS_STATUS_OK);
    assert_memory_equal(positions, ((const int32_t[]){7, 8, 9, 7, 8, 9, 7, 8, 9}),
                        sizeof positions);
}

/* Two media side by side are told apart by their grids; a video at the very start. */
static void adjacent(void **state) {
    (void)state;
    static const int32_t ids[] = {I, I, I, T};
    static const rt_grid two[] = {{1, 2, 4}, {1, 2, 2}};
    rt_media media = {.images = two, .image_count = 2};
    rt_mrope mrope = {0};
    int32_t positions[12];
    assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &media, ids, 4, positions, NULL),
                     TS_STATUS_OK);
    assert_memory_equal(positions, ((const int32_t[]){0, 0, 2, 3, 0, 0, 2, 3, 0, 1, 2, 3}),
                        sizeof positions);
    static const int32_t video[] = {V, V, V, V, V, V, V, V, V, V, V, V, T};
    static const rt_grid grid = {3, 4, 4};
    int32_t long_positions[3 * 13];
    rt_media one = {.videos = &grid, .video_count = 1};
    mrope = (rt_mrope){0};
    assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &one, video, 13, long_positions, NULL),
                     TS_STATUS_OK);
    assert_int_equal(long_positions[12], 3);
}

static void refused(void **state) {
    (void)state;
    static const rt_grid small = {1, 2, 2}, wide = {1, 4, 6}, odd = {1, 3, 2}, none = {0},
                         huge = {1, 2000000, 2000000}, tall = {1 << 30, 2, 2};
    static const struct {
        int32_t ids[8];
        size_t count;
        const rt_grid *images, *videos;
        const char *message;
    } cases[] = {
        {{T, I, T},
         3,
         NULL,
         NULL,
         "token 1 is a placeholder without its image: the 0 given take 0 placeholders, the prompt has 1"},
        {{I, I, T},
         3,
         &small,
         NULL,
         "token 1 is a placeholder without its image: the 1 given take 1 placeholders, the prompt has 2"},
        {{V}, 1, &small, NULL, "without its video"},
        {{T, I, I, I, T},
         5,
         &wide,
         NULL,
         "image 1 of 1 (grid 1 x 4 x 6) takes 6 placeholders, found 3 at token 1"},
        {{I, I, I, V, I, I, I}, 7, &wide, &small, "found 3 at token 0"},
        {{I, I, I, I, I}, 5, &wide, NULL, "found 5"}, /* the prompt ends inside */
        {{T, T},
         2,
         &small,
         NULL,
         "1 images given, the prompt has placeholders (id 6) for 0; image 1 takes 1"},
        {{I, T}, 2, &small, &wide, "1 videos given"},
        {{I}, 1, &odd, NULL, "image 1: grid 1 x 3 x 2"},
        {{I}, 1, &none, NULL, "image 1: grid 0 x 0 x 0"},
        {{I}, 1, &huge, NULL, "too many tokens"},
        {{V}, 1, NULL, &tall, "takes 1073741824 placeholders, found 1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        rt_media media = {cases[i].images, cases[i].videos, cases[i].images != NULL,
                          cases[i].videos != NULL};
        rt_mrope mrope = {.next = 5, .length = 9};
        int32_t positions[3 * 8];
        ts_err err = {0};
        assert_int_equal(
            rt_mrope_extend(&mrope, &NAMES, &media, cases[i].ids, cases[i].count, positions, &err),
            TS_STATUS_INVALID_ARGUMENT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\" expected in \"%s\"", cases[i].message, err.message);
        assert_int_equal(mrope.next, 5);
        assert_int_equal(mrope.length, 9);
    }
}

static void numbers_end(void **state) {
    (void)state;
    rt_media none = {0};
    int32_t positions[6];
    static const int32_t ids[] = {T, T};
    rt_mrope mrope = {.next = INT32_MAX - 1, .length = 0};
    assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &none, ids, 2, positions, NULL),
                     TS_STATUS_INVALID_ARGUMENT);
    mrope = (rt_mrope){.next = 0, .length = INT32_MAX - 1};
    assert_int_equal(rt_mrope_extend(&mrope, &NAMES, &none, ids, 2, positions, NULL),
                     TS_STATUS_INVALID_ARGUMENT);
}

/* ---- the reference ---- */

static const rt_tensor *find(const rt_tensors *set, const char *name, const char *what) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const rt_tensor *tensor = rt_tensors_find(set, key);
    if (tensor) assert_string_equal(tensor->dtype, "I32");
    return tensor;
}

/* Tensors may be unaligned in their file. */
static int32_t *copy(const rt_tensor *tensor) {
    if (!tensor) return NULL;
    int32_t *values = malloc(tensor->bytes);
    assert_non_null(values);
    return memcpy(values, tensor->data, tensor->bytes);
}

static void reference_cases(void **state) {
    (void)state;
    static const char *const names[] = {"text", "image", "two_images", "video"};
    rt_tensors *set = NULL;
    ts_err err;
    if (rt_tensors_open("tests/fixtures/qwen2vl-tiny/expected.safetensors", &set, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < COUNT(names); i++) {
        const rt_tensor *ids = find(set, names[i], "input_ids");
        const rt_tensor *images = find(set, names[i], "image_grid_thw");
        const rt_tensor *videos = find(set, names[i], "video_grid_thw");
        const rt_tensor *wanted = find(set, names[i], "position_ids");
        const rt_tensor *delta = find(set, names[i], "rope_deltas");
        assert_true(ids && wanted && delta && wanted->count == 3 * ids->count);
        assert_true(i == 0 || images || videos);
        int32_t *tokens = copy(ids), *image_grids = copy(images), *video_grids = copy(videos);
        int32_t *expected = copy(wanted), *deltas = copy(delta);
        int32_t *positions = calloc(wanted->count, sizeof *positions);
        rt_media media = {(const rt_grid *)(const void *)image_grids,
                          (const rt_grid *)(const void *)video_grids,
                          images ? images->count / 3 : 0, videos ? videos->count / 3 : 0};
        rt_mrope mrope = {0};
        if (rt_mrope_extend(&mrope, &NAMES, &media, tokens, ids->count, positions, &err))
            fail_msg("%s: %s", names[i], err.message);
        assert_memory_equal(positions, expected, wanted->bytes);
        assert_int_equal(rt_mrope_delta(&mrope), deltas[0]);
        free(tokens), free(image_grids), free(video_grids);
        free(expected), free(deltas), free(positions);
    }
    rt_tensors_close(set);
}

/* ---- vision ---- */

static void merge_block_order(void **state) {
    (void)state;
    static const int32_t slice[] = {0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3,
                                    2, 0, 2, 1, 3, 0, 3, 1, 2, 2, 2, 3, 3, 2, 3, 3};
    int32_t positions[2 * 32];
    rt_vision_positions((rt_grid){2, 4, 4}, 2, positions);
    assert_memory_equal(positions, slice, sizeof slice);
    assert_memory_equal(positions + 32, slice, sizeof slice); /* no third axis: slices are equal */
    int32_t wide[2 * 8];
    rt_vision_positions((rt_grid){1, 2, 4}, 2, wide);
    assert_memory_equal(wide, ((const int32_t[]){0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3}),
                        sizeof wide);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),  cmocka_unit_test(turns),
        cmocka_unit_test(after_decoding),  cmocka_unit_test(adjacent),
        cmocka_unit_test(refused),         cmocka_unit_test(numbers_end),
        cmocka_unit_test(reference_cases), cmocka_unit_test(merge_block_order),
    };
    return cmocka_run_group_tests_name("mrope", tests, NULL, NULL);
}
