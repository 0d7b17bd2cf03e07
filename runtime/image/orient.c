/* EXIF orientation: each of the eight is a start and two steps through the stored picture. */
#include <string.h>

#include "codec.h"

/* Tiles keep the lines of both pictures in the cache where rows become columns. */
enum { TILE = 64 };

/* Whether the shown picture's x runs along the stored y, and which axes of the stored one run
 * backwards. */
static const struct {
    bool transposed, flip_x, flip_y;
} orientations[9] = {
    [1] = {false, false, false}, [2] = {false, true, false}, [3] = {false, true, true},
    [4] = {false, false, true},  [5] = {true, false, false}, [6] = {true, false, true},
    [7] = {true, true, true},    [8] = {true, true, false},
};

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

static void copy_tile(const uint8_t *origin, ptrdiff_t step_x, ptrdiff_t step_y, rt_image *out,
                      int32_t left, int32_t top) {
    int32_t right = smaller(left + TILE, out->width), bottom = smaller(top + TILE, out->height);
    for (int32_t y = top; y < bottom; y++) {
        uint8_t *to = out->pixels + 3 * ((size_t)y * (size_t)out->width + (size_t)left);
        for (int32_t x = left; x < right; x++, to += 3)
            memcpy(to, origin + x * step_x + y * step_y, 3);
    }
}

ts_status rt_image_orient(rt_image *image, int orientation, ts_err *err) {
    if (orientation <= 1 || orientation > 8) return TS_STATUS_OK;
    bool transposed = orientations[orientation].transposed;
    ptrdiff_t row = 3 * (ptrdiff_t)image->width;
    ptrdiff_t along_x = 3, along_y = row;
    const uint8_t *origin = image->pixels;
    if (orientations[orientation].flip_x) origin += row - 3, along_x = -3;
    if (orientations[orientation].flip_y) origin += row * (image->height - 1), along_y = -row;
    rt_image turned = {0};
    TS_TRY(rt_image_allocate(transposed ? image->height : image->width,
                             transposed ? image->width : image->height, &turned, err));
    for (int32_t top = 0; top < turned.height; top += TILE) {
        for (int32_t left = 0; left < turned.width; left += TILE)
            copy_tile(origin, transposed ? along_y : along_x, transposed ? along_x : along_y,
                      &turned, left, top);
    }
    rt_image_free(image);
    *image = turned;
    return TS_STATUS_OK;
}
