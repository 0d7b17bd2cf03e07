/* --pixels: the images as the vision tower gets them, without a model. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../image/image.h"
#include "infer.h"

typedef struct picture {
    rt_image image;
    rt_grid grid;
} picture;

/* The directory's processor with what the command line says in its place. */
static ts_status open_processor(const infer_options *o, rt_processor *out, ts_err *err) {
    struct stat info;
    if (stat(o->model_dir, &info) != 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "%s: no such model directory", o->model_dir);
    TS_TRY(rt_processor_read(o->model_dir, out, err));
    if (o->image_min_pixels > 0) out->min_pixels = o->image_min_pixels;
    if (o->image_max_pixels > 0) out->max_pixels = o->image_max_pixels;
    return TS_STATUS_OK;
}

static ts_status open_picture(const rt_processor *processor, const char *path, picture *out,
                              ts_err *err) {
    ts_err reason = {0};
    TS_TRY(rt_image_read(path, NULL, &out->image, err));
    ts_status status = rt_processor_grid(processor, out->image.width, out->image.height, 1,
                                         &out->grid, &reason);
    if (status != TS_STATUS_OK) ts_fail(err, status, "%s: %s", path, reason.message);
    return status;
}

static ts_status write_pictures(const infer_options *o, const rt_processor *processor,
                                const picture *pictures, rt_pool *pool, ts_err *err) {
    size_t count = o->images.count, floats = rt_processor_row_floats(processor), rows = 0, bytes;
    unsigned char *file;
    for (size_t i = 0; i < count; i++) rows += rt_grid_rows(pictures[i].grid);
    infer_tensor tensors[] = {{"pixel_values", "F32", rows, floats, NULL},
                              {"image_grid_thw", "I32", count, 3, NULL}};
    if (!infer_tensors_make(tensors, 2, &file, &bytes))
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: %zu rows of %zu floats", o->pixels, rows,
                       floats);
    float *row = tensors[0].values;
    int32_t *grid = tensors[1].values;
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++, grid += 3) {
        const picture *p = &pictures[i];
        grid[0] = p->grid.t, grid[1] = p->grid.h, grid[2] = p->grid.w;
        status = rt_processor_image(processor, p->grid, &p->image, pool, row, err);
        row += rt_grid_rows(p->grid) * floats;
    }
    if (status == TS_STATUS_OK) status = ts_file_write(o->pixels, file, bytes, err);
    free(file);
    return status;
}

int infer_pixels(const infer_options *o) {
    rt_processor processor;
    rt_pool *pool = NULL;
    ts_err err = {0};
    picture *pictures = calloc(o->images.count, sizeof *pictures);
    ts_status status = pictures ? open_processor(o, &processor, &err)
                                : ts_fail(&err, TS_STATUS_OUT_OF_MEMORY, "out of memory");
    double begin = infer_now(), decoded = begin;
    if (status == TS_STATUS_OK) status = rt_pool_create(o->threads, &pool, &err);
    for (size_t i = 0; i < o->images.count && status == TS_STATUS_OK; i++)
        status = open_picture(&processor, o->images.items[i], &pictures[i], &err);
    decoded = infer_now();
    if (status == TS_STATUS_OK) status = write_pictures(o, &processor, pictures, pool, &err);
    if (status == TS_STATUS_OK && o->verbose)
        fprintf(stderr, "infer: %zu images, decoded in %.1f ms, the rest in %.1f ms\n",
                o->images.count, 1e3 * (decoded - begin), 1e3 * (infer_now() - decoded));
    for (size_t i = 0; pictures && i < o->images.count; i++) rt_image_free(&pictures[i].image);
    free(pictures);
    rt_pool_destroy(pool);
    return status == TS_STATUS_OK ? EXIT_DONE : infer_fail(&err);
}
