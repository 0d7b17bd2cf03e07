/* Image files to RGB: which codec, the size limit, transparency, orientation. What is specific to a
 * format lives in png.c, jpeg.c and webp.c, each on its well-kept library. Every codec gives RGB or
 * RGBA of 8 bits; what is common is done here, once.
 */
#include <stdlib.h>
#include <string.h>

#include "codec.h"

/* Formats by their first bytes. One without a decoder is named in the error. */
typedef struct format {
    const char *name;
    size_t offset;
    const char *magic;
    size_t magic_bytes;
    ts_status (*decode)(decoding *, ts_err *);
} format;

#define MAGIC(text) text, sizeof text - 1

static const format formats[] = {
    {"PNG", 0, MAGIC("\x89PNG\r\n\x1a\n"), rt_png_decode},
    {"JPEG", 0, MAGIC("\xff\xd8\xff"), rt_jpeg_decode},
    {"WebP", 8, MAGIC("WEBP"), rt_webp_decode},
    {"GIF", 0, MAGIC("GIF8"), NULL},
    {"BMP", 0, MAGIC("BM"), NULL},
    {"TIFF", 0, MAGIC("II*\0"), NULL},
    {"TIFF", 0, MAGIC("MM\0*"), NULL},
    {"AVIF", 4, MAGIC("ftypavif"), NULL},
    {"HEIC", 4, MAGIC("ftypheic"), NULL},
};

static const format *format_of(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const format *f = &formats[i];
        if (size >= f->offset + f->magic_bytes &&
            memcmp(bytes + f->offset, f->magic, f->magic_bytes) == 0)
            return f;
    }
    return NULL;
}

rt_image_options rt_image_defaults(void) { return (rt_image_options){.max_pixels = 178956970}; }

ts_status decoding_check_size(const decoding *d, uint64_t width, uint64_t height, ts_err *err) {
    if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX)
        return ts_fail(err, TS_STATUS_CORRUPT, "the header says %llu x %llu pixels",
                       (unsigned long long)width, (unsigned long long)height);
    if (width * height > d->options.max_pixels)
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "the header says %llu x %llu pixels, more than the limit of %llu: a smaller "
                       "copy is needed",
                       (unsigned long long)width, (unsigned long long)height,
                       (unsigned long long)d->options.max_pixels);
    return TS_STATUS_OK;
}

static ts_status allocate(int32_t width, int32_t height, int channels, rt_image *out, ts_err *err) {
    uint64_t bytes = (uint64_t)width * (uint64_t)height * (unsigned)channels + RT_IMAGE_SLACK_BYTES;
    uint8_t *pixels = bytes <= SIZE_MAX / 2 ? malloc((size_t)bytes) : NULL;
    if (!pixels)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%d x %d pixels need %llu bytes", width,
                       height, (unsigned long long)bytes);
    memset(pixels + bytes - RT_IMAGE_SLACK_BYTES, 0, RT_IMAGE_SLACK_BYTES);
    *out = (rt_image){width, height, pixels};
    return TS_STATUS_OK;
}

ts_status rt_image_allocate(int32_t width, int32_t height, rt_image *out, ts_err *err) {
    return allocate(width, height, 3, out, err);
}

ts_status decoding_allocate(decoding *d, uint32_t width, uint32_t height, int channels,
                            ts_err *err) {
    d->channels = channels;
    return allocate((int32_t)width, (int32_t)height, channels, &d->image, err);
}

void rt_image_free(rt_image *image) {
    free(image->pixels);
    *image = (rt_image){0};
}

/* RGBA to RGB in the same memory, which the writer never overtakes. Over white as Pillow pastes:
 * rounded to the nearest. */
static void flatten(rt_image *image, bool drop_alpha) {
    size_t count = (size_t)image->width * (size_t)image->height;
    const uint8_t *from = image->pixels;
    uint8_t *to = image->pixels;
    for (size_t i = 0; i < count; i++, from += 4, to += 3) {
        unsigned alpha = drop_alpha ? 255 : from[3];
        for (int c = 0; c < 3; c++) {
            unsigned sum = from[c] * alpha + 255 * (255 - alpha) + 128;
            to[c] = (uint8_t)((sum + (sum >> 8)) >> 8);
        }
    }
    uint8_t *smaller = realloc(image->pixels, 3 * count + RT_IMAGE_SLACK_BYTES);
    if (smaller) image->pixels = smaller;
}

ts_status rt_image_decode(const void *bytes, size_t size, const rt_image_options *options,
                          rt_image *out, ts_err *err) {
    const format *f = format_of(bytes, size);
    if (!f || !f->decode)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "%s%s: PNG, JPEG and WebP are read",
                       f           ? f->name
                       : size == 0 ? "an empty file"
                                   : "no known image format",
                       f ? " image" : "");
    decoding d = {.bytes = bytes, .size = size, .orientation = 1};
    d.options = options ? *options : rt_image_defaults();
    ts_err reason = {0};
    ts_status status = f->decode(&d, &reason);
    if (status == TS_STATUS_OK && d.channels == 4) flatten(&d.image, d.options.drop_alpha);
    if (status == TS_STATUS_OK && !d.options.keep_orientation)
        status = rt_image_orient(&d.image, d.orientation, &reason);
    if (status != TS_STATUS_OK) {
        rt_image_free(&d.image);
        return ts_fail(err, status, "%s image: %s", f->name, reason.message);
    }
    *out = d.image;
    return TS_STATUS_OK;
}

ts_status rt_image_read(const char *path, const rt_image_options *options, rt_image *out,
                        ts_err *err) {
    ts_buf file = {0};
    ts_err reason = {0};
    ts_status status = ts_file_read(path, &file, err);
    if (status == TS_STATUS_OK) {
        status = rt_image_decode(file.data, file.bytes, options, out, &reason);
        if (status != TS_STATUS_OK) ts_fail(err, status, "%s: %s", path, reason.message);
    }
    ts_buf_free(&file);
    return status;
}
