/* --pixels: the images as the vision tower gets them, without a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../db/base.h"
#include "infer.h"

static size_t rows_of(const ts_medium *m) { return (size_t)m->t * (size_t)m->h * (size_t)m->w; }

static ts_status write_pixels(const char *path, const infer_media *media, ts_err *err) {
    size_t rows = 0, bytes;
    unsigned char *file;
    for (size_t i = 0; i < media->count; i++) rows += rows_of(&media->items[i]);
    infer_tensor tensors[] = {{"pixel_values", "F32", rows, media->row_floats, NULL},
                              {"image_grid_thw", "I32", media->count, 3, NULL}};
    if (!infer_tensors_make(tensors, 2, &file, &bytes))
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: %zu rows of %zu floats", path, rows,
                       media->row_floats);
    float *row = tensors[0].values;
    int32_t *grid = tensors[1].values;
    for (size_t i = 0; i < media->count; i++, grid += 3) {
        const ts_medium *m = &media->items[i];
        size_t floats = rows_of(m) * media->row_floats;
        grid[0] = m->t, grid[1] = m->h, grid[2] = m->w;
        memcpy(row, m->rows, floats * sizeof *row);
        row += floats;
    }
    ts_status status = ts_file_write(path, file, bytes, err);
    free(file);
    return status;
}

int infer_pixels(const infer_options *o) {
    infer_media media;
    ts_err err = {0};
    double begin = infer_now();
    ts_status status = infer_media_open(o, &media, &err);
    if (status == TS_STATUS_OK && o->verbose)
        fprintf(stderr, "infer: %zu images in %.1f ms\n", media.count, 1e3 * (infer_now() - begin));
    if (status == TS_STATUS_OK) status = write_pixels(o->pixels, &media, &err);
    infer_media_close(&media);
    return status == TS_STATUS_OK ? EXIT_DONE : infer_fail(&err);
}
