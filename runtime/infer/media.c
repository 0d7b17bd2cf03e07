/* Each picture is dropped as soon as its rows are made: of a large photograph only these stay. */
#include "media.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../image/image.h"
#include "../vision/frames.h"
#include "infer.h"

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

ts_status infer_media_allocate(infer_media *m, size_t count, size_t row_floats, ts_err *err) {
    *m = (infer_media){.row_floats = row_floats};
    m->items = calloc(count, sizeof *m->items);
    m->grid_list = calloc(count, sizeof *m->grid_list);
    m->rows = calloc(count, sizeof *m->rows);
    return m->items && m->grid_list && m->rows
               ? TS_STATUS_OK
               : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu media", count);
}

ts_status infer_media_take_rows(infer_media *m, size_t index, rt_grid grid, const char *name,
                                ts_err *err) {
    size_t rows = rt_grid_rows(grid);
    m->rows[index] = malloc(rows * m->row_floats * sizeof(float));
    if (!m->rows[index])
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: %zu rows of %zu floats", name, rows,
                       m->row_floats);
    m->grid_list[index] = grid;
    m->items[index] = (ts_medium){.t = grid.t, .h = grid.h, .w = grid.w, .rows = m->rows[index]};
    return TS_STATUS_OK;
}

/* Says which file an error is about. */
static ts_status name_file(ts_status status, const char *path, const ts_err *reason, ts_err *err) {
    return status == TS_STATUS_OK ? status : ts_fail(err, status, "%s: %s", path, reason->message);
}

static ts_status add_image(infer_media *m, size_t index, const rt_processor *processor,
                           const char *path, rt_pool *pool, ts_err *err) {
    rt_image image = {0};
    rt_grid grid;
    ts_err reason = {0};
    TS_TRY(rt_image_read(path, NULL, &image, err));
    ts_status status = rt_processor_grid(processor, image.width, image.height, 1, &grid, &reason);
    if (status == TS_STATUS_OK) status = infer_media_take_rows(m, index, grid, path, &reason);
    if (status == TS_STATUS_OK)
        status = rt_processor_image(processor, grid, &image, pool, m->rows[index], &reason);
    rt_image_free(&image);
    return name_file(status, path, &reason, err);
}

static ts_status read_frames(char *const *paths, size_t count, rt_image *frames, ts_err *err) {
    for (size_t i = 0; i < count; i++) TS_TRY(rt_image_read(paths[i], NULL, &frames[i], err));
    return TS_STATUS_OK;
}

static ts_status add_video(infer_media *m, size_t index, const rt_processor *processor,
                           const char *path, rt_pool *pool, ts_err *err) {
    char **paths = NULL;
    size_t count = 0;
    rt_grid grid;
    ts_err reason = {0};
    TS_TRY(rt_frames_list(path, rt_frames_defaults().at_most, &paths, &count, err));
    rt_image *frames = calloc(count, sizeof *frames);
    ts_status status = frames ? read_frames(paths, count, frames, &reason)
                              : ts_fail(&reason, TS_STATUS_OUT_OF_MEMORY, "%zu frames", count);
    rt_frames_pixels budget = rt_frames_budget(count);
    rt_processor p = *processor;
    p.min_pixels = budget.least;
    p.max_pixels = budget.most;
    if (status == TS_STATUS_OK)
        status = rt_processor_grid(&p, frames[0].width, frames[0].height, (int32_t)count, &grid,
                                   &reason);
    if (status == TS_STATUS_OK) status = infer_media_take_rows(m, index, grid, path, &reason);
    if (status == TS_STATUS_OK) {
        m->items[index].video = true;
        status = rt_processor_frames(&p, grid, frames, (int32_t)count, pool, m->rows[index],
                                     &reason);
    }
    for (size_t i = 0; frames && i < count; i++) rt_image_free(&frames[i]);
    free(frames);
    rt_frames_free(paths, count);
    return name_file(status, path, &reason, err);
}

ts_status infer_media_open(const infer_options *o, infer_media *m, ts_err *err) {
    size_t images = o->images.count, count = images + o->videos.count;
    rt_processor processor;
    rt_pool *pool = NULL;
    *m = (infer_media){0};
    if (count == 0) return TS_STATUS_OK;
    TS_TRY(open_processor(o, &processor, err));
    TS_TRY(infer_media_allocate(m, count, rt_processor_row_floats(&processor), err));
    TS_TRY(rt_pool_create(o->threads, &pool, err));
    ts_status status = TS_STATUS_OK;
    for (; m->count < count && status == TS_STATUS_OK; m->count++) {
        size_t i = m->count;
        status = i < images ? add_image(m, i, &processor, o->images.items[i], pool, err)
                            : add_video(m, i, &processor, o->videos.items[i - images], pool, err);
    }
    rt_pool_destroy(pool);
    m->grids = (rt_media){.images = m->grid_list,
                          .videos = m->grid_list + images,
                          .image_count = images,
                          .video_count = count - images};
    return status;
}

void infer_media_close(infer_media *m) {
    for (size_t i = 0; m->rows && i < m->count; i++) free(m->rows[i]);
    free(m->rows);
    free(m->items);
    free(m->grid_list);
    *m = (infer_media){0};
}
