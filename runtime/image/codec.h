/* Between decode.c and the codecs. */
#ifndef RUNTIME_IMAGE_CODEC_H
#define RUNTIME_IMAGE_CODEC_H

#include "image.h"

/* One decoding: what goes in, what a codec fills. */
typedef struct decoding {
    const uint8_t *bytes;
    size_t size;
    rt_image_options options;
    rt_image image;  /* allocated by decoding_allocate; decode.c frees it after a failure */
    int channels;    /* 3, or 4 with alpha */
    int orientation; /* EXIF's, 1 to 8; 1 where nothing says one */
} decoding;

/* Called with the header's size before anything is allocated for pixels: UNSUPPORTED above the
 * limit. */
ts_status decoding_check_size(const decoding *d, uint64_t width, uint64_t height, ts_err *err);
/* Pixels for 3 or 4 channels. */
ts_status decoding_allocate(decoding *d, uint32_t width, uint32_t height, int channels,
                            ts_err *err);

ts_status rt_png_decode(decoding *d, ts_err *err);
ts_status rt_jpeg_decode(decoding *d, ts_err *err);
ts_status rt_webp_decode(decoding *d, ts_err *err);

/* exif.c: the orientation of an EXIF block, with or without "Exif\0\0" before it; 1 if it has none.
 */
int rt_exif_orientation(const void *block, size_t bytes);
/* orient.c: turns and mirrors the picture so that orientation 1 would be right. */
ts_status rt_image_orient(rt_image *image, int orientation, ts_err *err);

#endif
