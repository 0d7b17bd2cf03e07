/* Each picture is dropped as soon as its rows are made: of a large photograph only these stay, and of
 * a video no more than the frames of a slice are there at once. */
#include "media.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../host_memory.h"
#include "../image/image.h"
#include "../vision/video.h"
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
    size_t bytes = rt_grid_rows(grid) * m->row_floats * sizeof(float);
    char object[96];
    snprintf(object, sizeof object, "the host (%zu rows of %s)", rt_grid_rows(grid), name);
    TS_TRY(rt_host_has(bytes, object, err));
    m->rows[index] = malloc(bytes);
    if (!m->rows[index]) return rt_host_lacks(bytes, object, err);
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
    if (status == TS_STATUS_OK)
        status = infer_media_take_rows(m, index, grid, "the image", &reason);
    if (status == TS_STATUS_OK)
        status = rt_processor_image(processor, grid, &image, pool, m->rows[index], &reason);
    rt_image_free(&image);
    return name_file(status, path, &reason, err);
}

/* The frames of a video: of a folder, or of a file. */
typedef struct clip {
    char **paths;   /* of a folder */
    rt_video *file; /* else */
    size_t count, at;
} clip;

static ts_status clip_open(const infer_options *o, const char *path, clip *out, ts_err *err) {
    struct stat info;
    rt_video_options options = rt_video_defaults();
    if (o->max_frames > 0) options.frames.at_most = o->max_frames;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return rt_frames_list(path, options.frames.at_most, &out->paths, &out->count, err);
    options.threads = o->threads;
    if (o->fps > 0) options.frames.fps = (double)o->fps;
    TS_TRY(rt_video_open(path, &options, &out->file, err));
    out->count = rt_video_count(out->file);
    return TS_STATUS_OK;
}

static ts_status clip_next(clip *c, rt_image *out, ts_err *err) {
    size_t i = c->at++;
    return c->file ? rt_video_next(c->file, out, err) : rt_image_read(c->paths[i], NULL, out, err);
}

static void clip_close(clip *c) {
    rt_video_close(c->file);
    if (c->paths) rt_frames_free(c->paths, c->count);
}

/* The pictures of one temporal slice; behind the last frame it is repeated. */
static ts_status read_slice(clip *c, int32_t temporal, rt_image *images, const rt_image **parts,
                            ts_err *err) {
    for (int32_t i = 0; i < temporal; i++) {
        parts[i] = i > 0 && c->at == c->count ? parts[i - 1] : &images[i];
        if (parts[i] == &images[i]) TS_TRY(clip_next(c, &images[i], err));
    }
    return TS_STATUS_OK;
}

/* All slices; the first picture's size decides the grid. */
static ts_status fill_video(infer_media *m, size_t index, const rt_processor *p, const char *path,
                            clip *c, rt_pool *pool, ts_err *err) {
    rt_grid grid = {1, 0, 0};
    size_t floats = 0;
    ts_err reason = {0};
    for (int32_t t = 0; t < grid.t; t++) {
        rt_image images[RT_MAX_TEMPORAL] = {{0}};
        const rt_image *parts[RT_MAX_TEMPORAL];
        ts_status status = read_slice(c, p->temporal, images, parts, err);
        bool read = status == TS_STATUS_OK;
        if (read && t == 0) {
            status = rt_processor_grid(p, images[0].width, images[0].height, (int32_t)c->count,
                                       &grid, &reason);
            if (status == TS_STATUS_OK)
                status = infer_media_take_rows(m, index, grid, "all frames", &reason);
            floats = (size_t)grid.h * (size_t)grid.w * m->row_floats;
        }
        if (status == TS_STATUS_OK)
            status = rt_processor_slice(p, grid, parts, pool, m->rows[index] + (size_t)t * floats,
                                        &reason);
        for (int32_t i = 0; i < p->temporal; i++) rt_image_free(&images[i]);
        if (status != TS_STATUS_OK) return read ? name_file(status, path, &reason, err) : status;
    }
    m->items[index].video = true;
    return TS_STATUS_OK;
}

static ts_status add_video(const infer_options *o, infer_media *m, size_t index,
                           const rt_processor *processor, const char *path, rt_pool *pool,
                           ts_err *err) {
    clip c = {0};
    TS_TRY(clip_open(o, path, &c, err));
    rt_frames_pixels budget = rt_frames_budget(c.count);
    rt_processor p = *processor;
    p.min_pixels = budget.least;
    p.max_pixels = budget.most;
    ts_status status = fill_video(m, index, &p, path, &c, pool, err);
    clip_close(&c);
    return status;
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
        status = i < images
                     ? add_image(m, i, &processor, o->images.items[i], pool, err)
                     : add_video(o, m, i, &processor, o->videos.items[i - images], pool, err);
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
