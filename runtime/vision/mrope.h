/* Rotary positions: three numbers a token of text (M-RoPE), two a patch of the vision tower.
 *
 * A cache slot and a rotary position are different numbers from the first image on: a medium takes
 * as many slots as it has tokens, and as many positions as its longest side.
 */
#ifndef RUNTIME_VISION_MROPE_H
#define RUNTIME_VISION_MROPE_H

#include "../../db/base.h"
#include "grid.h"

/* What config.json says of media in a prompt. */
typedef struct rt_media_ids {
    int32_t vision_start, vision_end; /* around each medium */
    int32_t image, video;             /* the placeholders */
    int32_t merge;                    /* spatial_merge_size: patches a side that make one token */
} rt_media_ids;

/* The media of a prompt, in its order. Borrowed. */
typedef struct rt_media {
    const rt_grid *images, *videos;
    size_t image_count, video_count;
} rt_media;

/* Placeholders that a medium takes. INVALID_ARGUMENT: an empty grid, one that `merge` does not
 * divide, or more than INT32_MAX tokens. */
ts_status rt_grid_placeholders(rt_grid grid, int32_t merge, int32_t *out, ts_err *err);

/* Where a sequence stands; carried from call to call. Zero-initialise. */
typedef struct rt_mrope {
    int32_t next;   /* the position of the next token of text */
    int32_t length; /* tokens so far, which is the next cache slot */
} rt_mrope;

/* Positions of the next `count` ids of a sequence to positions [3, count]: temporal, height, width.
 * Each medium must lie whole in one call. INVALID_ARGUMENT says which medium does not fit its
 * placeholders; *state is then as before, positions undefined. */
ts_status rt_mrope_extend(rt_mrope *state, const rt_media_ids *names, const rt_media *media,
                          const int32_t *ids, size_t count, int32_t *positions, ts_err *err);
/* One generated token: its position, the same on all three axes, which is its cache slot plus the
 * delta. */
int32_t rt_mrope_step(rt_mrope *state);
/* What a cache slot and the position of text after it differ by; often negative. */
int32_t rt_mrope_delta(const rt_mrope *state);

/* Row and column of every patch to positions [t * h * w, 2], in the order of the pixel rows: the
 * patches of a merge block stand together, and each temporal slice repeats the first. `grid` must
 * be one that rt_grid_placeholders takes. */
void rt_vision_positions(rt_grid grid, int32_t merge, int32_t *positions);

#endif
