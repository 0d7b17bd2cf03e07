/* Decoding: every kind of pixel that the formats have, orientation, and files that lie or stop. */
#include "encode.h"

#include <sys/resource.h>

static void png_kinds(void **state) {
    (void)state;
    static const uint8_t rgb[] = {10, 20, 30, 40, 50, 60};
    static const uint8_t grey[] = {7, 200}, bits[] = {0x40};
    static const uint8_t deep_grey[] = {0x12, 0xff, 0xab, 0x00};
    static const uint8_t deep_rgb[] = {1, 255, 2, 255, 3, 255, 4, 0, 5, 0, 6, 0};
    static const uint8_t rgba[] = {10, 20, 30, 255, 100, 0, 200, 51};
    static const uint8_t grey_alpha[] = {90, 255, 0, 128};
    static const png_color palette[] = {{9, 8, 7}, {250, 0, 1}};
    static const uint8_t palette_alpha[] = {255, 0};
    static const png_color_16 second = {.red = 40, .green = 50, .blue = 60};
    static const struct {
        png_spec spec;
        uint8_t expected[6]; /* two pixels, over white */
    } cases[] = {
        {{2, 1, PNG_COLOR_TYPE_RGB, 8, rgb, .colours = 0}, {10, 20, 30, 40, 50, 60}},
        {{2, 1, PNG_COLOR_TYPE_RGB, 8, rgb, .interlaced = true}, {10, 20, 30, 40, 50, 60}},
        {{2, 1, PNG_COLOR_TYPE_RGB, 8, rgb, .transparent = &second}, {10, 20, 30, 255, 255, 255}},
        {{2, 1, PNG_COLOR_TYPE_GRAY, 8, grey, .colours = 0}, {7, 7, 7, 200, 200, 200}},
        {{2, 1, PNG_COLOR_TYPE_GRAY, 1, bits, .colours = 0}, {0, 0, 0, 255, 255, 255}},
        {{2, 1, PNG_COLOR_TYPE_GRAY, 2, bits, .colours = 0}, {85, 85, 85, 0, 0, 0}},
        {{2, 1, PNG_COLOR_TYPE_GRAY, 16, deep_grey, .colours = 0},
         {0x12, 0x12, 0x12, 0xab, 0xab, 0xab}},
        {{2, 1, PNG_COLOR_TYPE_RGB, 16, deep_rgb, .colours = 0}, {1, 2, 3, 4, 5, 6}},
        /* 51 is a fifth: 100 * 0.2 + 255 * 0.8 */
        {{2, 1, PNG_COLOR_TYPE_RGB_ALPHA, 8, rgba, .colours = 0}, {10, 20, 30, 224, 204, 244}},
        {{2, 1, PNG_COLOR_TYPE_GRAY_ALPHA, 8, grey_alpha, .colours = 0},
         {90, 90, 90, 127, 127, 127}},
        {{2, 1, PNG_COLOR_TYPE_PALETTE, 1, bits, .palette = palette, .colours = 2},
         {9, 8, 7, 250, 0, 1}},
        {{2, 1, PNG_COLOR_TYPE_PALETTE, 1, bits, .palette = palette, .colours = 2,
          .palette_alpha = palette_alpha},
         {9, 8, 7, 255, 255, 255}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ts_buf file = encode_png(&cases[i].spec);
        rt_image image = decoded(&file, NULL);
        const uint8_t *e = cases[i].expected;
        assert_int_equal(image.width, 2);
        assert_int_equal(image.height, 1);
        check_pixel(&image, 0, 0, e[0], e[1], e[2], 0);
        check_pixel(&image, 1, 0, e[3], e[4], e[5], 0);
        rt_image_free(&image);
    }
}

static void alpha_can_be_dropped(void **state) {
    (void)state;
    static const uint8_t rgba[] = {10, 20, 30, 0, 100, 0, 200, 51};
    rt_image_options options = rt_image_defaults();
    options.drop_alpha = true;
    ts_buf file = encode_png(&(png_spec){2, 1, PNG_COLOR_TYPE_RGB_ALPHA, 8, rgba, .colours = 0});
    rt_image image = decoded(&file, &options);
    check_pixel(&image, 0, 0, 10, 20, 30, 0);
    check_pixel(&image, 1, 0, 100, 0, 200, 0);
    rt_image_free(&image);
}

/* Whole pictures of one colour. */
static void jpeg_kinds(void **state) {
    (void)state;
    enum { SIDE = 16 };
    static const struct {
        J_COLOR_SPACE space;
        int channels;
        uint8_t sample[4], expected[3];
    } cases[] = {
        {JCS_GRAYSCALE, 1, {77}, {77, 77, 77}},
        {JCS_RGB, 3, {200, 30, 90}, {200, 30, 90}},
        {JCS_CMYK, 4, {255, 255, 255, 255}, {255, 255, 255}}, /* stored inverted: no ink */
        {JCS_CMYK, 4, {0, 255, 255, 255}, {0, 255, 255}},     /* all cyan */
        {JCS_CMYK, 4, {0, 255, 255, 100}, {0, 100, 100}},     /* and much black */
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        size_t k = i / 2, channels = (size_t)cases[k].channels;
        uint8_t samples[SIDE * SIDE * 4];
        for (size_t p = 0; p < SIDE * SIDE; p++)
            memcpy(samples + p * channels, cases[k].sample, channels);
        ts_buf file = encode_jpeg(&(jpeg_spec){SIDE, SIDE, cases[k].space, samples, i % 2 == 1, 0});
        rt_image image = decoded(&file, NULL);
        const uint8_t *e = cases[k].expected;
        check_pixel(&image, 0, 0, e[0], e[1], e[2], 2);
        check_pixel(&image, SIDE - 1, SIDE - 1, e[0], e[1], e[2], 2);
        rt_image_free(&image);
    }
}

static void webp_kinds(void **state) {
    (void)state;
    static const uint8_t rgb[] = {10, 20, 30, 40, 50, 60};
    static const uint8_t rgba[] = {10, 20, 30, 255, 100, 0, 200, 51};
    ts_buf file = encode_webp(2, 1, 3, rgb, 0);
    rt_image image = decoded(&file, NULL);
    check_pixel(&image, 0, 0, 10, 20, 30, 0);
    check_pixel(&image, 1, 0, 40, 50, 60, 0);
    rt_image_free(&image);
    file = encode_webp(2, 1, 4, rgba, 0);
    image = decoded(&file, NULL);
    check_pixel(&image, 0, 0, 10, 20, 30, 0);
    check_pixel(&image, 1, 0, 224, 204, 244, 0);
    rt_image_free(&image);
}

/* ---- orientation ---- */

/* Where the standard says that the stored row 0 and column 0 belong in the picture. */
static const char *const sides[9] = {NULL, "TL", "TR", "BR", "BL", "LT", "RT", "RB", "LB"};

enum { WIDE = 24, HIGH = 40, CELL = 8 };

/* The picture: cells of distinct colours, 3 x 5. */
static void colour_of(int32_t x, int32_t y, int out[3]) {
    out[0] = 40 + 80 * (x / CELL), out[1] = 20 + 50 * (y / CELL), out[2] = 128;
}

/* Stored so that `orientation` undoes it. */
static void store(int orientation, uint8_t *samples, int32_t *width, int32_t *height) {
    const char *side = sides[orientation];
    bool turned = side[0] == 'L' || side[0] == 'R';
    *width = turned ? HIGH : WIDE;
    *height = turned ? WIDE : HIGH;
    for (int32_t row = 0; row < *height; row++) {
        for (int32_t column = 0; column < *width; column++) {
            int32_t x = 0, y = 0, at[2] = {row, column};
            int colour[3];
            for (int i = 0; i < 2; i++) {
                switch (side[i]) {
                case 'T': y = at[i]; break;
                case 'B': y = HIGH - 1 - at[i]; break;
                case 'L': x = at[i]; break;
                default: x = WIDE - 1 - at[i]; break;
                }
            }
            colour_of(x, y, colour);
            for (int c = 0; c < 3; c++) *samples++ = (uint8_t)colour[c];
        }
    }
}

static void check_picture(const rt_image *image, int tolerance) {
    assert_int_equal(image->width, WIDE);
    assert_int_equal(image->height, HIGH);
    for (int32_t y = 0; y < HIGH; y++) {
        for (int32_t x = 0; x < WIDE; x++) {
            int colour[3];
            colour_of(x, y, colour);
            check_pixel(image, x, y, colour[0], colour[1], colour[2], tolerance);
        }
    }
}

static void orientations(void **state) {
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        uint8_t samples[WIDE * HIGH * 3];
        int32_t width, height;
        store(orientation, samples, &width, &height);
        ts_buf files[] = {
            encode_jpeg(&(jpeg_spec){width, height, JCS_RGB, samples, false, orientation}),
            encode_png(&(png_spec){width, height, PNG_COLOR_TYPE_RGB, 8, samples,
                                   .orientation = orientation}),
            encode_webp(width, height, 3, samples, orientation)};
        for (size_t i = 0; i < 3; i++) {
            rt_image image = decoded(&files[i], NULL);
            check_picture(&image, i == 0 ? 3 : 0);
            rt_image_free(&image);
        }
    }
}

static void orientation_can_be_kept(void **state) {
    (void)state;
    uint8_t samples[WIDE * HIGH * 3];
    int32_t width, height;
    rt_image_options options = rt_image_defaults();
    options.keep_orientation = true;
    store(6, samples, &width, &height);
    ts_buf file = encode_jpeg(&(jpeg_spec){width, height, JCS_RGB, samples, false, 6});
    rt_image image = decoded(&file, &options);
    assert_int_equal(image.width, HIGH);
    assert_int_equal(image.height, WIDE);
    rt_image_free(&image);
}

static void odd_exif_blocks(void **state) {
    (void)state;
    uint8_t block[26];
    for (int big = 0; big < 2; big++) {
        size_t bytes = exif_block(6, big, block);
        assert_int_equal(rt_exif_orientation(block, bytes), 6);
        for (size_t cut = 0; cut < 20; cut++) assert_int_equal(rt_exif_orientation(block, cut), 1);
        exif_block(9, big, block);
        assert_int_equal(rt_exif_orientation(block, bytes), 1);
        exif_block(0, big, block);
        assert_int_equal(rt_exif_orientation(block, bytes), 1);
    }
}

/* ---- files that lie or stop ---- */

static void check_refused(const ts_buf *file, size_t bytes, ts_status expected,
                          const char *message) {
    rt_image image = {0};
    ts_err err = {0};
    /* A copy of this very length, so that a sanitizer sees a read past it. */
    char *copy = malloc(bytes ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, file->data ? file->data : "", bytes);
    ts_status status = rt_image_decode(copy, bytes, NULL, &image, &err);
    free(copy);
    if (status != expected || !strstr(err.message, message) || strchr(err.message, '\n'))
        fail_msg("%zu bytes: status %d, \"%s\"; \"%s\" was expected", bytes, (int)status,
                 err.message, message);
    assert_null(image.pixels);
}

static void put_big_endian(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (char)(value >> (24 - 8 * i));
}

/* Memory is short, so that an allocation before the check would say so; a sanitizer needs its own. */
#ifdef __SANITIZE_ADDRESS__
enum { MEMORY_IS_SHORT = 0 };
#else
enum { MEMORY_IS_SHORT = 1 };
#endif

static void bombs_are_refused(void **state) {
    (void)state;
    static const uint8_t rgb[16 * 16 * 3];
    struct rlimit old, small = {(rlim_t)512 << 20, 0};
    ts_buf png = encode_png(&(png_spec){1, 1, PNG_COLOR_TYPE_RGB, 8, rgb, .colours = 0});
    put_big_endian(png.data + 16, 60000);
    put_big_endian(png.data + 20, 60000);
    put_big_endian(png.data + 29, (uint32_t)crc32(0, (const Bytef *)png.data + 12, 17));
    ts_buf jpeg = encode_jpeg(&(jpeg_spec){16, 16, JCS_RGB, rgb, false, 0});
    char *frame = memmem(jpeg.data, jpeg.bytes, "\xff\xc0", 2);
    assert_non_null(frame);
    memcpy(frame + 5, "\xea\x60\xea\x60", 4);
    ts_buf webp = encode_webp(1, 1, 3, rgb, 0);
    memcpy(webp.data + 21, "\xff\xff\xff\x0f", 4); /* VP8L: 14 bits each, less one */
    getrlimit(RLIMIT_AS, &old);
    small.rlim_max = old.rlim_max;
    if (MEMORY_IS_SHORT) setrlimit(RLIMIT_AS, &small);
    check_refused(&png, png.bytes, TS_STATUS_UNSUPPORTED, "60000 x 60000 pixels, more than");
    check_refused(&jpeg, jpeg.bytes, TS_STATUS_UNSUPPORTED, "60000 x 60000 pixels, more than");
    check_refused(&webp, webp.bytes, TS_STATUS_UNSUPPORTED, "16384 x 16384 pixels, more than");
    setrlimit(RLIMIT_AS, &old);
    ts_buf_free(&png);
    ts_buf_free(&jpeg);
    ts_buf_free(&webp);
}

static void the_limit_is_exact(void **state) {
    (void)state;
    static const uint8_t rgb[6 * 3];
    rt_image_options options = rt_image_defaults();
    rt_image image = {0};
    ts_err err = {0};
    ts_buf file = encode_png(&(png_spec){2, 3, PNG_COLOR_TYPE_RGB, 8, rgb, .colours = 0});
    options.max_pixels = 5;
    assert_int_equal(rt_image_decode(file.data, file.bytes, &options, &image, &err),
                     TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "limit of 5"));
    options.max_pixels = 6;
    image = decoded(&file, &options);
    rt_image_free(&image);
}

/* No beginning of a file is a picture. JPEG alone may lack its end mark, as other readers allow. */
static void truncated_files(void **state) {
    (void)state;
    uint8_t samples[WIDE * HIGH * 3];
    int32_t width, height;
    store(1, samples, &width, &height);
    ts_buf files[] = {
        encode_png(&(png_spec){width, height, PNG_COLOR_TYPE_RGB, 8, samples, .orientation = 3}),
        encode_png(&(png_spec){width, height, PNG_COLOR_TYPE_RGB, 8, samples, .interlaced = true}),
        encode_webp(width, height, 3, samples, 0),
        encode_webp(width, height, 3, samples, 5),
        encode_jpeg(&(jpeg_spec){width, height, JCS_RGB, samples, false, 6}),
        encode_jpeg(&(jpeg_spec){width, height, JCS_RGB, samples, true, 0}),
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t end = files[i].bytes - (i < 4 ? 0 : 2);
        for (size_t bytes = 12; bytes < end; bytes++)
            check_refused(&files[i], bytes, TS_STATUS_CORRUPT, "image: ");
        for (size_t bytes = 0; bytes < 3; bytes++)
            check_refused(&files[i], bytes, TS_STATUS_UNSUPPORTED, "PNG, JPEG and WebP are read");
        ts_buf_free(&files[i]);
    }
}

/* A wrong byte must never crash; whether it shows is up to the format. */
static void wrong_bytes(void **state) {
    (void)state;
    uint8_t samples[WIDE * HIGH * 3];
    int32_t width, height;
    store(1, samples, &width, &height);
    ts_buf files[] = {
        encode_png(&(png_spec){width, height, PNG_COLOR_TYPE_RGB, 8, samples, .orientation = 3}),
        encode_webp(width, height, 3, samples, 5),
        encode_jpeg(&(jpeg_spec){width, height, JCS_RGB, samples, false, 6}),
        encode_jpeg(&(jpeg_spec){width, height, JCS_RGB, samples, true, 0}),
    };
    rt_image_options options = rt_image_defaults();
    options.max_pixels = 1 << 20;
    int refused = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (size_t at = 0; at < files[i].bytes; at++) {
            rt_image image = {0};
            ts_err err = {0};
            files[i].data[at] ^= 0x55;
            ts_status status = rt_image_decode(files[i].data, files[i].bytes, &options, &image,
                                               &err);
            assert_true((status == TS_STATUS_OK) == (image.pixels != NULL));
            assert_true(status == TS_STATUS_OK || err.message[0]);
            refused += status != TS_STATUS_OK;
            files[i].data[at] ^= 0x55;
            rt_image_free(&image);
        }
        ts_buf_free(&files[i]);
    }
    assert_true(refused > 100);
}

static void other_formats_are_named(void **state) {
    (void)state;
    ts_buf gif = {0}, text = {0}, none = {0};
    ts_buf_append(&gif, "GIF89a......", 12);
    ts_buf_append(&text, "hello, world", 12);
    check_refused(&gif, 12, TS_STATUS_UNSUPPORTED, "GIF image: PNG, JPEG and WebP are read");
    check_refused(&text, 12, TS_STATUS_UNSUPPORTED, "no known image format");
    check_refused(&none, 0, TS_STATUS_UNSUPPORTED, "an empty file");
    ts_buf_free(&gif);
    ts_buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_kinds),          cmocka_unit_test(alpha_can_be_dropped),
        cmocka_unit_test(jpeg_kinds),         cmocka_unit_test(webp_kinds),
        cmocka_unit_test(orientations),       cmocka_unit_test(orientation_can_be_kept),
        cmocka_unit_test(odd_exif_blocks),    cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(the_limit_is_exact), cmocka_unit_test(truncated_files),
        cmocka_unit_test(wrong_bytes),        cmocka_unit_test(other_formats_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
