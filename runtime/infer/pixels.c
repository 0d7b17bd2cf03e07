/* --pixels: images and videos as the vision tower gets them, without a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../db/base.h"
#include "infer.h"

static size_t rows_of(const ts_medium *m) { return (size_t)m->t * (size_t)m->h * (size_t)m->w; }

/* The media of one kind, [first, end), as two tensors. */
typedef struct part {
    const char *rows_name, *grid_name;
    size_t first, end;
} part;

static void name_tensors(const infer_media *media, const part *p, infer_tensor *out) {
    size_t rows = 0;
    for (size_t i = p->first; i < p->end; i++) rows += rows_of(&media->items[i]);
    out[0] = (infer_tensor){p->rows_name, "F32", rows, media->row_floats, NULL};
    out[1] = (infer_tensor){p->grid_name, "I32", p->end - p->first, 3, NULL};
}

static void fill_tensors(const infer_media *media, const part *p, const infer_tensor *tensors) {
    float *row = tensors[0].values;
    int32_t *grid = tensors[1].values;
    for (size_t i = p->first; i < p->end; i++, grid += 3) {
        const ts_medium *m = &media->items[i];
        size_t floats = rows_of(m) * media->row_floats;
        grid[0] = m->t, grid[1] = m->h, grid[2] = m->w;
        memcpy(row, m->rows, floats * sizeof *row);
        row += floats;
    }
}

static ts_status write_pixels(const char *path, const infer_media *media, ts_err *err) {
    size_t images = media->grids.image_count, bytes, count = 0;
    const part parts[] = {
        {"pixel_values", "image_grid_thw", 0, images},
        {"pixel_values_videos", "video_grid_thw", images, media->count},
    };
    unsigned char *file;
    infer_tensor tensors[4];
    part used[2];
    for (int k = 0; k < 2; k++) {
        if (parts[k].end == parts[k].first) continue;
        name_tensors(media, &parts[k], &tensors[2 * count]);
        used[count++] = parts[k];
    }
    if (!infer_tensors_make(tensors, 2 * count, &file, &bytes))
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: the rows of %zu media", path,
                       media->count);
    for (size_t i = 0; i < count; i++) fill_tensors(media, &used[i], &tensors[2 * i]);
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
        fprintf(stderr, "infer: %zu media in %.1f ms\n", media.count, 1e3 * (infer_now() - begin));
    if (status == TS_STATUS_OK) status = write_pixels(o->pixels, &media, &err);
    infer_media_close(&media);
    return status == TS_STATUS_OK ? EXIT_DONE : infer_fail(&err);
}
