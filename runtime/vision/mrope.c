/* Positions by one walk over the ids, as the reference's get_rope_index does it.
 *
 * Text counts up on all three axes at once. A medium of t x h x w merged patches starts at the
 * current number: its tokens add slice, row and column to it, and text goes on behind its longest
 * side. Media are told apart by their grids, not by their surroundings: two of them may adjoin.
 */
#include "mrope.h"

#include <inttypes.h>

ts_status rt_grid_placeholders(rt_grid grid, int32_t merge, int32_t *out, ts_err *err) {
    if (merge < 1 || grid.t < 1 || grid.h < 1 || grid.w < 1 || grid.h % merge || grid.w % merge)
        return ts_fail(
            err, TS_STATUS_INVALID_ARGUMENT,
            "grid %d x %d x %d: sides must be positive, height and width multiples of %d", grid.t,
            grid.h, grid.w, merge);
    int64_t slice = (int64_t)(grid.h / merge) * (grid.w / merge); /* below 2^62 */
    if (slice > INT32_MAX / grid.t)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "grid %d x %d x %d: too many tokens",
                       grid.t, grid.h, grid.w);
    *out = (int32_t)(slice * grid.t);
    return TS_STATUS_OK;
}

/* ---- text ---- */

/* The media of one kind, as they are used up. */
typedef struct kind {
    const char *name;
    int32_t id;
    const rt_grid *grids;
    size_t count, used;
} kind;

typedef struct walk {
    kind kinds[2];
    const int32_t *ids;
    size_t count;
    int32_t merge, next;
    int32_t *positions;
    ts_err *err;
} walk;

static kind *kind_of(walk *w, int32_t id) {
    for (int k = 0; k < 2; k++)
        if (w->kinds[k].id == id) return &w->kinds[k];
    return NULL;
}

static void put(const walk *w, size_t at, int32_t t, int32_t h, int32_t x) {
    w->positions[at] = t;
    w->positions[w->count + at] = h;
    w->positions[2 * w->count + at] = x;
}

/* Length of the run of placeholders at `at`. */
static size_t run_at(const walk *w, size_t at) {
    size_t end = at;
    while (end < w->count && w->ids[end] == w->ids[at]) end++;
    return end - at;
}

static ts_status too_many(const walk *w, const kind *k, size_t at) {
    size_t found = 0;
    int64_t expected = 0;
    for (size_t i = 0; i < w->count; i++) found += w->ids[i] == k->id;
    for (size_t i = 0; i < k->count; i++) {
        int32_t tokens = 0;
        TS_TRY(rt_grid_placeholders(k->grids[i], w->merge, &tokens, w->err));
        expected += tokens;
    }
    return ts_fail(w->err, TS_STATUS_INVALID_ARGUMENT,
                   "token %zu is a placeholder without its %s: the %zu given take %" PRId64
                   " placeholders, the prompt has %zu",
                   at, k->name, k->count, expected, found);
}

/* Checks the next medium of a kind against its run of placeholders, which starts at `at`. */
static ts_status check_medium(const walk *w, const kind *k, size_t at, int32_t *tokens) {
    if (k->used == k->count) return too_many(w, k, at);
    rt_grid g = k->grids[k->used];
    ts_err reason;
    ts_status status = rt_grid_placeholders(g, w->merge, tokens, &reason);
    if (status != TS_STATUS_OK)
        return ts_fail(w->err, status, "%s %zu: %s", k->name, k->used + 1, reason.message);
    size_t found = run_at(w, at);
    if (found < (size_t)*tokens)
        return ts_fail(w->err, TS_STATUS_INVALID_ARGUMENT,
                       "%s %zu of %zu (grid %d x %d x %d) takes %d placeholders, found %zu at "
                       "token %zu",
                       k->name, k->used + 1, k->count, g.t, g.h, g.w, *tokens, found, at);
    return TS_STATUS_OK;
}

static ts_status advance(walk *w, int32_t by, size_t at) {
    if (by > INT32_MAX - w->next)
        return ts_fail(w->err, TS_STATUS_INVALID_ARGUMENT, "token %zu: positions beyond %d", at,
                       INT32_MAX);
    w->next += by;
    return TS_STATUS_OK;
}

/* Positions of the medium at *at, which moves behind it. */
static ts_status take_medium(walk *w, kind *k, size_t *at) {
    int32_t tokens, base = w->next;
    TS_TRY(check_medium(w, k, *at, &tokens));
    rt_grid g = k->grids[k->used++];
    int32_t rows = g.h / w->merge, columns = g.w / w->merge;
    int32_t side = rows > columns ? rows : columns;
    TS_TRY(advance(w, side > g.t ? side : g.t, *at)); /* before: no sum below overflows then */
    for (int32_t a = 0; a < g.t; a++)
        for (int32_t b = 0; b < rows; b++)
            for (int32_t c = 0; c < columns; c++) put(w, (*at)++, base + a, base + b, base + c);
    return TS_STATUS_OK;
}

static ts_status check_all_used(const walk *w) {
    for (int i = 0; i < 2; i++) {
        const kind *k = &w->kinds[i];
        if (k->used == k->count) continue;
        int32_t tokens = 0;
        TS_TRY(rt_grid_placeholders(k->grids[k->used], w->merge, &tokens, w->err));
        return ts_fail(
            w->err, TS_STATUS_INVALID_ARGUMENT,
            "%zu %ss given, the prompt has placeholders (id %d) for %zu; %s %zu takes %d", k->count,
            k->name, k->id, k->used, k->name, k->used + 1, tokens);
    }
    return TS_STATUS_OK;
}

ts_status rt_mrope_extend(rt_mrope *state, const rt_media_ids *names, const rt_media *media,
                          const int32_t *ids, size_t count, int32_t *positions, ts_err *err) {
    walk w = {.kinds = {{"image", names->image, media->images, media->image_count, 0},
                        {"video", names->video, media->videos, media->video_count, 0}},
              .ids = ids,
              .count = count,
              .merge = names->merge,
              .next = state->next,
              .positions = positions,
              .err = err};
    if (count > (size_t)(INT32_MAX - state->length))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%zu tokens after %d: more than %d", count,
                       state->length, INT32_MAX);
    for (size_t at = 0; at < count;) {
        kind *k = kind_of(&w, ids[at]);
        if (k) {
            TS_TRY(take_medium(&w, k, &at));
        } else {
            put(&w, at, w.next, w.next, w.next);
            TS_TRY(advance(&w, 1, at++));
        }
    }
    TS_TRY(check_all_used(&w));
    state->next = w.next;
    state->length += (int32_t)count;
    return TS_STATUS_OK;
}

int32_t rt_mrope_step(rt_mrope *state) {
    state->length++;
    return state->next++;
}

int32_t rt_mrope_delta(const rt_mrope *state) { return state->next - state->length; }

/* ---- vision ---- */

void rt_vision_positions(rt_grid grid, int32_t merge, int32_t *positions) {
    for (int32_t t = 0; t < grid.t; t++)
        for (int32_t row = 0; row < grid.h; row += merge)
            for (int32_t column = 0; column < grid.w; column += merge)
                for (int32_t inner = 0; inner < merge * merge; inner++) {
                    *positions++ = row + inner / merge;
                    *positions++ = column + inner % merge;
                }
}
