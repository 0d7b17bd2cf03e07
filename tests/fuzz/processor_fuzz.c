/* What a medium becomes before a pixel is touched: preprocessor_config.json and a picture's size, all
 * the way to placeholders and rotary positions; small pictures to their rows, too.
 *
 * Input: width, height, frames (4 bytes each), then the file.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/image/image.h"
#include "runtime/vision/mrope.h"

enum { SMALL = 1 << 17 };

/* Rows of a picture of one colour. */
static void make_rows(const rt_processor *p, rt_grid grid, int32_t width, int32_t height) {
    size_t floats = rt_grid_rows(grid) * rt_processor_row_floats(p);
    rt_image image = {0};
    ts_err err = {0};
    if (floats > SMALL || (int64_t)width * height > SMALL) return;
    fuzz_require(rt_image_allocate(width, height, &image, NULL) == TS_STATUS_OK, "memory");
    memset(image.pixels, 100, 3 * (size_t)width * (size_t)height);
    float *rows = malloc(floats * sizeof *rows);
    fuzz_require(rows != NULL, "memory");
    fuzz_check_error(rt_processor_frames(p, grid, &image, 1, NULL, rows, &err), &err);
    fuzz_touch(rows, floats * sizeof *rows);
    free(rows);
    rt_image_free(&image);
}

/* A prompt of the medium between two tokens of text. */
static void make_positions(const rt_processor *p, rt_grid grid, int32_t tokens) {
    rt_media_ids names = {
        .vision_start = 1, .vision_end = 2, .image = 3, .video = 4, .merge = p->merge};
    rt_media media = {.videos = &grid, .video_count = 1};
    size_t count = (size_t)tokens + 2;
    if (count > SMALL || rt_grid_rows(grid) > SMALL) return;
    int32_t *ids = malloc(count * sizeof *ids), *positions = malloc(3 * count * sizeof *positions);
    int32_t *patches = malloc(2 * rt_grid_rows(grid) * sizeof *patches);
    fuzz_require(ids && positions && patches, "memory");
    ids[0] = 1, ids[count - 1] = 2;
    for (size_t i = 1; i + 1 < count; i++) ids[i] = names.video;
    rt_mrope state = {0};
    ts_err err = {0};
    ts_status status = rt_mrope_extend(&state, &names, &media, ids, count, positions, &err);
    fuzz_require(status == TS_STATUS_OK, "the medium fits its placeholders");
    for (size_t i = 0; i < 3 * count; i++)
        fuzz_require(positions[i] >= 0 && positions[i] < state.next, "positions of the sequence");
    rt_vision_positions(grid, p->merge, patches);
    for (size_t i = 0; i < rt_grid_rows(grid); i++)
        fuzz_require(patches[2 * i] >= 0 && patches[2 * i] < grid.h && patches[2 * i + 1] >= 0 &&
                         patches[2 * i + 1] < grid.w,
                     "patches of the grid");
    free(ids);
    free(positions);
    free(patches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int32_t sizes[3], tokens = 0;
    rt_processor p;
    rt_grid grid;
    ts_err err = {0}, reason = {0};
    if (size < sizeof sizes) return -1;
    memcpy(sizes, data, sizeof sizes);
    fuzz_file("m/preprocessor_config.json", data + sizeof sizes, size - sizeof sizes);
    ts_status status = rt_processor_read(fuzz_path("m"), &p, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) p = rt_processor_defaults();
    status = rt_processor_grid(&p, sizes[0], sizes[1], sizes[2], &grid, &reason);
    fuzz_check_error(status, &reason);
    if (status != TS_STATUS_OK) return 0;
    status = rt_grid_placeholders(grid, p.merge, &tokens, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return 0;
    fuzz_require((size_t)tokens == rt_grid_tokens(&p, grid), "both count the same tokens");
    make_positions(&p, grid, tokens);
    make_rows(&p, grid, sizes[0], sizes[1]);
    return 0;
}
