/* Pixels to the rows of the vision tower: rescaled, normalised, cut into patches.
 *
 * A row is one patch, [channel][frame][y][x]. The rows of one merge x merge block follow each
 * other, block by block, so that the tower's merger reads them in one piece. A channel value has
 * only 256 normalised values: they are computed once, by the formula of the specification in fp32.
 */
#include <string.h>

#include "image.h"

typedef struct cut {
    const rt_processor *processor;
    rt_grid grid;
    const rt_image *frames[RT_MAX_TEMPORAL];
    float table[3][256];
    float *rows;
} cut;

static void fill_table(const rt_processor *p, float table[3][256]) {
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float value = (float)v;
            if (p->do_rescale) value = (float)(v * p->rescale);
            if (p->do_normalize) value = (value - (float)p->mean[c]) / (float)p->std[c];
            table[c][v] = value;
        }
    }
}

/* The patch whose first pixel is (left, top), into its row. */
static void write_patch(const cut *work, int32_t left, int32_t top, float *row) {
    int32_t side = work->processor->patch, temporal = work->processor->temporal;
    size_t area = (size_t)side * (size_t)side;
    for (int c = 0; c < 3; c++) {
        const float *table = work->table[c];
        for (int32_t t = 0; t < temporal; t++, row += area) {
            const rt_image *frame = work->frames[t];
            if (t > 0 && frame == work->frames[t - 1]) {
                memcpy(row, row - area, area * sizeof *row);
                continue;
            }
            size_t stride = 3 * (size_t)frame->width;
            const uint8_t *from = frame->pixels + (size_t)top * stride + 3 * (size_t)left +
                                  (size_t)c;
            float *to = row;
            for (int32_t y = 0; y < side; y++, from += stride) {
                for (int32_t x = 0; x < side; x++) *to++ = table[from[3 * x]];
            }
        }
    }
}

/* Items are rows of blocks. */
static void write_blocks(void *context, int worker, uint64_t begin, uint64_t end) {
    const cut *work = context;
    int32_t merge = work->processor->merge, side = work->processor->patch;
    size_t floats = rt_processor_row_floats(work->processor);
    size_t patches = (size_t)work->grid.w * (size_t)merge; /* of one row of blocks */
    (void)worker;
    for (uint64_t block_y = begin; block_y < end; block_y++) {
        float *row = work->rows + block_y * patches * floats;
        for (int32_t x = 0; x < work->grid.w; x += merge) {
            for (int32_t i = 0; i < merge * merge; i++, row += floats)
                write_patch(work, (x + i % merge) * side,
                            ((int32_t)block_y * merge + i / merge) * side, row);
        }
    }
}

ts_status rt_processor_slice(const rt_processor *processor, rt_grid grid,
                             const rt_image *const *frames, rt_pool *pool, float *rows,
                             ts_err *err) {
    cut work = {.processor = processor, .grid = grid, .rows = rows};
    rt_image resized[RT_MAX_TEMPORAL] = {{0}};
    int32_t width = grid.w * processor->patch, height = grid.h * processor->patch;
    ts_status status = TS_STATUS_OK;
    for (int32_t t = 0; t < processor->temporal && status == TS_STATUS_OK; t++) {
        work.frames[t] = frames[t];
        if (t > 0 && frames[t] == frames[t - 1]) {
            work.frames[t] = work.frames[t - 1];
        } else if (frames[t]->width != width || frames[t]->height != height) {
            status = rt_image_resize(frames[t], width, height, pool, &resized[t], err);
            work.frames[t] = &resized[t];
        }
    }
    if (status == TS_STATUS_OK) {
        fill_table(processor, work.table);
        status = rt_pool_run(pool, (uint64_t)(grid.h / processor->merge), 0, write_blocks, &work,
                             err);
    }
    for (int32_t t = 0; t < processor->temporal; t++) rt_image_free(&resized[t]);
    return status;
}

ts_status rt_processor_frames(const rt_processor *processor, rt_grid grid, const rt_image *frames,
                              int32_t count, rt_pool *pool, float *rows, ts_err *err) {
    size_t slice = (size_t)grid.h * (size_t)grid.w * rt_processor_row_floats(processor);
    for (int32_t t = 0; t < grid.t; t++) {
        const rt_image *parts[RT_MAX_TEMPORAL];
        for (int32_t i = 0; i < processor->temporal; i++) {
            int32_t k = t * processor->temporal + i;
            parts[i] = &frames[k < count ? k : count - 1];
        }
        TS_TRY(rt_processor_slice(processor, grid, parts, pool, rows + (size_t)t * slice, err));
    }
    return TS_STATUS_OK;
}

ts_status rt_processor_image(const rt_processor *processor, rt_grid grid, const rt_image *image,
                             rt_pool *pool, float *rows, ts_err *err) {
    return rt_processor_frames(processor, grid, image, 1, pool, rows, err);
}
