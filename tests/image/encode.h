/* Image files for tests, made in memory by the libraries' own writers. */
#ifndef TESTS_IMAGE_ENCODE_H
#define TESTS_IMAGE_ENCODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>
#include <zlib.h>

#include "runtime/image/codec.h"
#include "runtime/image/image.h"

/* ---- PNG ---- */

typedef struct png_spec {
    int32_t width, height;
    int colour, depth;      /* PNG_COLOR_TYPE_..., bits a sample */
    const uint8_t *samples; /* rows as libpng takes them: packed bits, big-endian 16 */
    bool interlaced;
    const png_color *palette; /* with `colours` entries */
    int colours;
    const uint8_t *palette_alpha;    /* NULL, or `colours` of them */
    const png_color_16 *transparent; /* NULL, or the one colour */
    int orientation;                 /* 0: no eXIf chunk */
} png_spec;

static inline void buffer_write(png_structp png, png_bytep data, size_t bytes) {
    ts_buf_append(png_get_io_ptr(png), data, bytes);
}

static inline void buffer_flush(png_structp png) { (void)png; }

/* A TIFF directory with the orientation alone; `big` is the byte order. 26 bytes. */
static inline size_t exif_block(int orientation, bool big, uint8_t out[26]) {
    static const uint8_t little_endian[26] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
    static const uint8_t big_endian[26] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
    memcpy(out, big ? big_endian : little_endian, 26);
    out[big ? 19 : 18] = (uint8_t)orientation;
    return 26;
}

static inline ts_buf encode_png(const png_spec *s) {
    ts_buf file = {0};
    uint8_t exif[26];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_non_null(info);
    if (setjmp(png_jmpbuf(png))) fail_msg("libpng could not write");
    png_set_write_fn(png, &file, buffer_write, buffer_flush);
    png_set_IHDR(png, info, (uint32_t)s->width, (uint32_t)s->height, s->depth, s->colour,
                 s->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (s->palette) png_set_PLTE(png, info, s->palette, s->colours);
    if (s->palette_alpha) png_set_tRNS(png, info, s->palette_alpha, s->colours, NULL);
    if (s->transparent) png_set_tRNS(png, info, NULL, 0, s->transparent);
    if (s->orientation)
        png_set_eXIf_1(png, info, (png_uint_32)exif_block(s->orientation, true, exif), exif);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    size_t stride = png_get_rowbytes(png, info);
    for (int pass = 0; pass < passes; pass++) {
        for (int32_t y = 0; y < s->height; y++) png_write_row(png, s->samples + (size_t)y * stride);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    assert_false(file.failed);
    return file;
}

/* ---- JPEG ---- */

typedef struct jpeg_spec {
    int32_t width, height;
    J_COLOR_SPACE space; /* of the samples: JCS_GRAYSCALE, JCS_RGB, JCS_CMYK */
    const uint8_t *samples;
    bool progressive;
    int orientation; /* 0: no EXIF */
} jpeg_spec;

/* Quality 100, chroma at full resolution: flat colours survive within a level or two. */
static inline ts_buf encode_jpeg(const jpeg_spec *s) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint8_t exif[32] = "Exif\0";
    ts_buf file = {0};
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = (unsigned)s->width;
    jpeg.image_height = (unsigned)s->height;
    jpeg.input_components = s->space == JCS_GRAYSCALE ? 1 : s->space == JCS_RGB ? 3 : 4;
    jpeg.in_color_space = s->space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
    if (s->progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    exif_block(s->orientation, false, exif + 6);
    if (s->orientation) jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif);
    while (jpeg.next_scanline < jpeg.image_height) {
        uint8_t row[4096];
        size_t stride = (size_t)s->width * (size_t)jpeg.input_components;
        assert_true(stride <= sizeof row);
        memcpy(row, s->samples + jpeg.next_scanline * stride, stride);
        JSAMPROW pointer = row;
        jpeg_write_scanlines(&jpeg, &pointer, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    ts_buf_append(&file, bytes, size);
    free(bytes);
    return file;
}

/* ---- WebP, lossless ---- */

static inline void append_chunk(ts_buf *file, const char *name, const void *data, size_t bytes) {
    uint8_t size[4] = {(uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)(bytes >> 16), 0};
    ts_buf_append(file, name, 4);
    ts_buf_append(file, size, 4);
    ts_buf_append(file, data, bytes);
    if (bytes % 2) ts_buf_append(file, "", 1);
}

static inline ts_buf encode_webp(int32_t width, int32_t height, int channels,
                                 const uint8_t *samples, int orientation) {
    uint8_t *bytes = NULL, exif[26];
    ts_buf file = {0};
    size_t size = channels == 4 ? WebPEncodeLosslessRGBA(samples, width, height, 4 * width, &bytes)
                                : WebPEncodeLosslessRGB(samples, width, height, 3 * width, &bytes);
    assert_true(size > 20);
    if (orientation == 0) {
        ts_buf_append(&file, bytes, size);
    } else { /* the extended form: RIFF, VP8X, the picture's chunk, EXIF */
        uint8_t extended[10] = {8, 0, 0, 0, (uint8_t)(width - 1), 0, 0, (uint8_t)(height - 1)};
        ts_buf_append(&file, "RIFF\0\0\0\0WEBP", 12);
        append_chunk(&file, "VP8X", extended, sizeof extended);
        ts_buf_append(&file, bytes + 12, size - 12);
        append_chunk(&file, "EXIF", exif, exif_block(orientation, false, exif));
        for (size_t i = 0; i < 4; i++) file.data[4 + i] = (char)((file.bytes - 8) >> 8 * i);
    }
    WebPFree(bytes);
    return file;
}

/* ---- checks ---- */

static inline rt_image decoded(ts_buf *file, const rt_image_options *options) {
    rt_image image = {0};
    ts_err err = {0};
    if (rt_image_decode(file->data, file->bytes, options, &image, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    ts_buf_free(file);
    return image;
}

static inline void check_pixel(const rt_image *image, int32_t x, int32_t y, int r, int g, int b,
                               int tolerance) {
    const uint8_t *p = image->pixels + 3 * ((size_t)y * (size_t)image->width + (size_t)x);
    if (abs(p[0] - r) > tolerance || abs(p[1] - g) > tolerance || abs(p[2] - b) > tolerance)
        fail_msg("pixel (%d, %d) is %d %d %d instead of %d %d %d", x, y, p[0], p[1], p[2], r, g, b);
}

#endif
