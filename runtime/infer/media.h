/* --image and --video: files to what a session takes. */
#ifndef RUNTIME_INFER_MEDIA_H
#define RUNTIME_INFER_MEDIA_H

#include "../vision/mrope.h"
#include "options.h"

/* Images first, then videos. Zeroed: none. */
typedef struct infer_media {
    ts_medium *items;
    size_t count, row_floats;
    rt_media grids; /* the same, of images and of videos */
    rt_grid *grid_list;
    float **rows; /* [count] */
} infer_media;

/* Decodes and preprocesses everything that the options name. The directory's
 * preprocessor_config.json applies, with the limits of the command line in its place. Errors name
 * the file. Close in any case. */
ts_status infer_media_open(const infer_options *options, infer_media *out, ts_err *err);
/* Lists for `count` media, empty; then room for the rows of one of them, in `rows` and `items`. */
ts_status infer_media_allocate(infer_media *media, size_t count, size_t row_floats, ts_err *err);
ts_status infer_media_take_rows(infer_media *media, size_t index, rt_grid grid, const char *name,
                                ts_err *err);
void infer_media_close(infer_media *media);

#endif
