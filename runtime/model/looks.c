/* Positions ask for images and videos apart, the vision tower takes all in the prompt's order. */
#include "looks.h"

#include <stdlib.h>

ts_status rt_looks_make(const ts_medium *media, size_t count, rt_looks *out, ts_err *err) {
    out->seen = calloc(count + 1, sizeof *out->seen);
    out->grids = calloc(2 * count + 1, sizeof *out->grids);
    if (!out->seen || !out->grids) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu media", count);
    rt_grid *images = out->grids, *videos = out->grids + count;
    for (size_t i = 0; i < count; i++) {
        const ts_medium *m = &media[i];
        if (!m->rows)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "medium %zu has no rows", i + 1);
        rt_grid grid = {m->t, m->h, m->w};
        out->seen[i] = (rt_seen){.grid = grid, .video = m->video, .rows = m->rows};
        if (m->video) {
            videos[out->media.video_count++] = grid;
        } else {
            images[out->media.image_count++] = grid;
        }
    }
    out->media.images = images;
    out->media.videos = videos;
    return TS_STATUS_OK;
}

void rt_looks_free(rt_looks *looks) {
    free(looks->seen);
    free(looks->grids);
    *looks = (rt_looks){0};
}
