/* An image file, all the way to the rows of the vision tower. The first byte chooses the options,
 * the rest is the file. The limit is low, so that speed goes into the codecs. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/image/codec.h"
#include "runtime/image/image.h"

static rt_pool *one_thread(void) {
    static rt_pool *pool;
    if (!pool) fuzz_require(rt_pool_create(1, &pool, NULL) == TS_STATUS_OK, "a pool");
    return pool;
}

static void preprocess(const rt_image *image) {
    rt_processor processor = rt_processor_defaults();
    rt_grid grid;
    ts_err err = {0};
    processor.max_pixels = 64 * 28 * 28;
    ts_status status = rt_processor_grid(&processor, image->width, image->height, 1, &grid, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    fuzz_require(grid.t == 1 && grid.h % 2 == 0 && grid.w % 2 == 0, "whole merge blocks");
    size_t bytes = rt_grid_rows(grid) * rt_processor_row_floats(&processor) * sizeof(float);
    float *rows = malloc(bytes);
    fuzz_require(rows != NULL, "memory");
    status = rt_processor_image(&processor, grid, image, one_thread(), rows, &err);
    fuzz_require(status == TS_STATUS_OK, "a decoded image can be preprocessed");
    for (size_t i = 0; i < bytes / sizeof *rows; i++)
        fuzz_require(rows[i] > -3 && rows[i] < 3, "normalised values are small");
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rt_image image = {0};
    ts_err err = {0};
    if (size < 1) return -1;
    rt_image_options options = {.max_pixels = 1 << 16,
                                .drop_alpha = (data[0] & 1) != 0,
                                .keep_orientation = (data[0] & 2) != 0};
    int orientation = rt_exif_orientation(data + 1, size - 1);
    fuzz_require(orientation >= 1 && orientation <= 8, "an orientation of the eight");
    ts_status status = rt_image_decode(data + 1, size - 1, &options, &image, &err);
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK) {
        size_t pixels = (size_t)image.width * (size_t)image.height;
        fuzz_require(pixels > 0 && pixels <= options.max_pixels, "the limit holds");
        fuzz_touch(image.pixels, 3 * pixels + RT_IMAGE_SLACK_BYTES);
        preprocess(&image);
    }
    rt_image_free(&image);
    return 0;
}
