/* Resampling against a plain transcription of its definition, at sizes up and down, with any
 * number of threads. That the definition is Pillow's is what preprocess_test.c shows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/image/image.h"

static rt_pool *pools[2]; /* of 1 and 3 threads */

static rt_image noise(int32_t width, int32_t height, unsigned seed) {
    rt_image image = {0};
    size_t bytes = 3 * (size_t)width * (size_t)height;
    assert_int_equal(rt_image_allocate(width, height, &image, NULL), TS_STATUS_OK);
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        image.pixels[i] = (uint8_t)(seed >> 31 ? seed >> 24 : seed >> 23 & 1 ? 255 : 0);
    }
    return image;
}

static double kernel(double t) {
    t = fabs(t);
    return t < 1 ? (1.5 * t - 2.5) * t * t + 1 : t < 2 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0;
}

/* One value of one axis; `step` is the distance of its samples. */
static uint8_t sample(const uint8_t *from, size_t step, int32_t in, int32_t out, int32_t x) {
    double scale = (double)in / out, stretch = fmax(scale, 1), centre = (x + 0.5) * scale, sum = 0;
    int32_t low = (int32_t)(centre - 2 * stretch + 0.5),
            high = (int32_t)(centre + 2 * stretch + 0.5);
    low = low < 0 ? 0 : low;
    high = high > in ? in : high;
    int64_t value = 1 << 21;
    for (int32_t i = low; i < high; i++) sum += kernel((i - centre + 0.5) * (1 / stretch));
    for (int32_t i = low; i < high; i++)
        value += from[(size_t)i * step] *
                 (int64_t)round(kernel((i - centre + 0.5) * (1 / stretch)) / sum * (1 << 22));
    value >>= 22;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static rt_image plain(const rt_image *image, int32_t width, int32_t height) {
    rt_image middle = {0}, result = {0};
    rt_image_allocate(width, image->height, &middle, NULL);
    rt_image_allocate(width, height, &result, NULL);
    size_t in = (size_t)image->width, out = (size_t)width;
    for (size_t y = 0; y < (size_t)image->height; y++)
        for (size_t x = 0; x < out; x++)
            for (size_t c = 0; c < 3; c++)
                middle.pixels[3 * (y * out + x) + c] = in == out
                                                           ? image->pixels[3 * (y * in + x) + c]
                                                           : sample(image->pixels + 3 * y * in + c,
                                                                    3, image->width, width,
                                                                    (int32_t)x);
    for (size_t y = 0; y < (size_t)height; y++)
        for (size_t i = 0; i < 3 * out; i++)
            result.pixels[3 * y * out + i] = image->height == height
                                                 ? middle.pixels[3 * y * out + i]
                                                 : sample(middle.pixels + i, 3 * out, image->height,
                                                          height, (int32_t)y);
    rt_image_free(&middle);
    return result;
}

static void equals_the_definition(void **state) {
    (void)state;
    static const int32_t sizes[][4] = {/* width and height before and after */
                                       {50, 40, 56, 28},  {50, 40, 50, 84},   {50, 40, 84, 40},
                                       {300, 7, 28, 28},  {7, 300, 28, 28},   {1, 1, 56, 56},
                                       {1, 200, 28, 392}, {640, 427, 84, 56}, {33, 31, 32, 32},
                                       {29, 27, 28, 28},  {27, 29, 28, 28},   {22, 3, 21, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rt_image image = noise(sizes[i][0], sizes[i][1], (unsigned)i + 1);
        rt_image expected = plain(&image, sizes[i][2], sizes[i][3]);
        for (int p = 0; p < 2; p++) {
            rt_image out = {0};
            assert_int_equal(
                rt_image_resize(&image, sizes[i][2], sizes[i][3], pools[p], &out, NULL),
                TS_STATUS_OK);
            assert_int_equal(out.width, sizes[i][2]);
            assert_int_equal(out.height, sizes[i][3]);
            assert_memory_equal(out.pixels, expected.pixels,
                                3 * (size_t)out.width * (size_t)out.height);
            rt_image_free(&out);
        }
        rt_image_free(&expected);
        rt_image_free(&image);
    }
}

static void equal_sizes_copy(void **state) {
    (void)state;
    rt_image image = noise(31, 17, 5), out = {0};
    assert_int_equal(rt_image_resize(&image, 31, 17, pools[0], &out, NULL), TS_STATUS_OK);
    assert_ptr_not_equal(out.pixels, image.pixels);
    assert_memory_equal(out.pixels, image.pixels, 3 * 31 * 17);
    rt_image_free(&out);
    rt_image_free(&image);
}

static void one_colour_stays(void **state) {
    (void)state;
    for (int32_t side = 1; side < 120; side += 7) {
        rt_image image = noise(side, 2 * side, 1), out = {0};
        memset(image.pixels, 201, 3 * (size_t)side * (size_t)side * 2);
        assert_int_equal(rt_image_resize(&image, 56, 28, pools[1], &out, NULL), TS_STATUS_OK);
        for (size_t i = 0; i < 3 * 56 * 28; i++) assert_int_equal(out.pixels[i], 201);
        rt_image_free(&out);
        rt_image_free(&image);
    }
}

static int start_pools(void **state) {
    (void)state;
    return rt_pool_create(1, &pools[0], NULL) == TS_STATUS_OK &&
                   rt_pool_create(3, &pools[1], NULL) == TS_STATUS_OK
               ? 0
               : -1;
}

static int stop_pools(void **state) {
    (void)state;
    rt_pool_destroy(pools[0]);
    rt_pool_destroy(pools[1]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_definition),
        cmocka_unit_test(equal_sizes_copy),
        cmocka_unit_test(one_colour_stays),
    };
    return cmocka_run_group_tests(tests, start_pools, stop_pools);
}
