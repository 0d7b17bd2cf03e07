/* Images: from the bytes of a file to the rows that the vision tower of Qwen2-VL reads.
 *
 *   file bytes --rt_image_decode--> rt_image --rt_processor_image--> pixel_values rows
 *
 * Where a function takes a pool, NULL is one too: everything runs on the calling thread, as in the
 * functions that take none. All are safe to call from several threads at once, on different images.
 */
#ifndef RUNTIME_IMAGE_IMAGE_H
#define RUNTIME_IMAGE_IMAGE_H

#include "../../db/base.h"
#include "../vision/grid.h"
#include "../pool.h"

/* ---- decoding: decode.c ---- */

/* Resampling reads whole 4-byte words, so the last pixel needs a byte behind it. */
enum { RT_IMAGE_SLACK_BYTES = 4 };

typedef struct rt_image {
    int32_t width, height;
    uint8_t *pixels; /* RGB, [height][width][3], RT_IMAGE_SLACK_BYTES follow; rt_image_free */
} rt_image;

typedef struct rt_image_options {
    uint64_t max_pixels; /* a file that declares more is refused before its pixels are allocated */
    bool drop_alpha;     /* show the colours below the transparency instead of a white ground */
    bool keep_orientation; /* leave the picture as stored, whatever its EXIF data say */
} rt_image_options;

/* 178,956,970 pixels (Pillow's limit of a decompression bomb), white ground, EXIF applied. */
rt_image_options rt_image_defaults(void);

/* Decodes PNG, JPEG or WebP (the first frame of an animated one); the content decides which.
 * `options` NULL: the defaults. UNSUPPORTED: another format, or more than max_pixels. CORRUPT:
 * broken or cut off; a picture with missing parts is never returned. */
ts_status rt_image_decode(const void *bytes, size_t size, const rt_image_options *options,
                          rt_image *out, ts_err *err);
/* The same of a file; errors name it. */
ts_status rt_image_read(const char *path, const rt_image_options *options, rt_image *out,
                        ts_err *err);
/* Unset pixels of width x height. OUT_OF_MEMORY. */
ts_status rt_image_allocate(int32_t width, int32_t height, rt_image *out, ts_err *err);
void rt_image_free(rt_image *image); /* also of a zeroed one, and leaves it so */

/* ---- resampling: resize.c ---- */

/* Pillow's bicubic with antialiasing, bit for bit: horizontal pass, rounded to 8 bits, vertical
 * pass; an axis that keeps its size is skipped. *out is a new image. */
ts_status rt_image_resize(const rt_image *image, int32_t width, int32_t height, rt_pool *pool,
                          rt_image *out, ts_err *err);

/* ---- preprocessing: processor.c, patches.c ---- */

enum { RT_MAX_TEMPORAL = 8 };

/* preprocessor_config.json. */
typedef struct rt_processor {
    int32_t patch, temporal, merge; /* patch side in pixels, frames a patch, patches a merge side */
    int64_t min_pixels, max_pixels; /* of the resized image */
    double rescale;                 /* 1/255 */
    double mean[3], std[3];
    bool do_resize, do_rescale, do_normalize;
} rt_processor;

/* The defaults of the published class: 14, 2, 2, 3136 to 1,003,520 pixels. */
rt_processor rt_processor_defaults(void);
/* DIR/preprocessor_config.json, else `image_processor` of DIR/processor_config.json, else the
 * defaults. INVALID_ARGUMENT, CORRUPT: names file and field. */
ts_status rt_processor_read(const char *dir, rt_processor *out, ts_err *err);

/* The grid of `frames` pictures of width x height: 1 for an image, else video frames, of which an
 * odd last one is repeated. INVALID_ARGUMENT: an empty picture, or one side more than 200 times the
 * other. */
ts_status rt_processor_grid(const rt_processor *processor, int32_t width, int32_t height,
                            int32_t frames, rt_grid *out, ts_err *err);
size_t rt_grid_rows(rt_grid grid);                                  /* t * h * w */
size_t rt_grid_tokens(const rt_processor *processor, rt_grid grid); /* rows / merge^2 */
size_t rt_processor_row_floats(const rt_processor *processor);      /* 3 * temporal * patch^2 */

/* Writes the rows of one temporal slice, [grid.h * grid.w, row_floats]: `frames` are its `temporal`
 * pictures, of any sizes; equal pointers in a row are resized once. */
ts_status rt_processor_slice(const rt_processor *processor, rt_grid grid,
                             const rt_image *const *frames, rt_pool *pool, float *rows,
                             ts_err *err);
/* One image: its only slice, the picture repeated. */
ts_status rt_processor_image(const rt_processor *processor, rt_grid grid, const rt_image *image,
                             rt_pool *pool, float *rows, ts_err *err);
/* A video of `count` frames: all slices, [grid.t * grid.h * grid.w, row_floats]. */
ts_status rt_processor_frames(const rt_processor *processor, rt_grid grid, const rt_image *frames,
                              int32_t count, rt_pool *pool, float *rows, ts_err *err);

#endif
