/* The searches' common ground: what was handed out and told, who neighbours whom, the strategies.
 *
 * On public brute-forced spaces plain random is as good as anything for the first twenty points; from
 * fifty on whoever learns wins, and the order among the learners differs from space to space. */
#include "inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../numeric.h"

enum {
    SMALL_SPACE = 64, /* auto: not worth a strategy */
    SURE_START = 30,  /* auto: points after which the best is worth having neighbours */
};

double tuner_search_unit(tuner_search *s) { return tuner_random_unit(s->seed, 11, s->draws++); }

size_t tuner_search_draw(tuner_search *s, size_t below) {
    return (size_t)(tuner_search_unit(s) * (double)below);
}

/* The n-th point that was not handed out. */
static size_t nth_left(const tuner_search *s, size_t n) {
    size_t point = 0;
    while (s->handed_out[point] || n-- > 0) point++;
    return point;
}

size_t tuner_search_any(tuner_search *s) { return nth_left(s, tuner_search_draw(s, s->left)); }

static size_t next_in_order(tuner_search *s) { return nth_left(s, 0); }

/* A model finds the region soonest, neighbours of the best then find the best of it, which a forest
 * takes for as good as the rest: half of each beats either alone on public spaces (at 200
 * evaluations 0.99 of the optimum against 0.95 and 0.96). */
static size_t next_auto(tuner_search *s) {
    if (s->space->count <= SMALL_SPACE) return tuner_search_any(s);
    return s->told_count >= SURE_START && tuner_search_draw(s, 2) == 0 ? tuner_next_local(s)
                                                                       : tuner_next_model(s);
}

const tuner_strategy tuner_strategies[] = {
    {"auto", "the whole space if it is small, else model and local in turns", next_auto},
    {"exhaustive", "every variant, in declared order", next_in_order},
    {"random", "every variant, in random order", tuner_search_any},
    {"local", "neighbours of the best, with random restarts", tuner_next_local},
    {"annealing", "a walk that accepts worse variants less and less", tuner_next_annealing},
    {"genetic", "children of the best, with mutations", tuner_next_genetic},
    {"model", "what a forest learnt from the results expects to gain most", tuner_next_model},
    {NULL, NULL, NULL},
};

const tuner_strategy *tuner_strategy_find(const char *name) {
    for (const tuner_strategy *s = tuner_strategies; s->name; s++)
        if (strcmp(s->name, name) == 0) return s;
    return NULL;
}

/* ---- coordinates ---- */

static const int32_t *row(const tuner_search *s, size_t point) {
    return s->space->coords + point * s->space->dims;
}

/* Where a point with these coordinates is, or would be, in the open hash. */
static size_t bucket_of(const tuner_search *s, const int32_t *coords) {
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (size_t d = 0; d < s->space->dims; d++) {
        hash = (hash ^ (uint64_t)(uint32_t)coords[d]) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    size_t bucket = hash % s->bucket_count;
    while (s->buckets[bucket] != SIZE_MAX &&
           memcmp(row(s, s->buckets[bucket]), coords, s->space->dims * sizeof *coords) != 0)
        bucket = (bucket + 1) % s->bucket_count;
    return bucket;
}

size_t tuner_search_find(const tuner_search *s, const int32_t *coords) {
    return s->buckets[bucket_of(s, coords)];
}

static void index_points(tuner_search *s) {
    for (size_t b = 0; b < s->bucket_count; b++) s->buckets[b] = SIZE_MAX;
    for (size_t p = 0; p < s->space->count; p++) {
        s->buckets[bucket_of(s, row(s, p))] = p;
        for (size_t d = 0; d < s->space->dims; d++)
            if (row(s, p)[d] >= s->values[d]) s->values[d] = row(s, p)[d] + 1;
    }
}

size_t tuner_search_neighbour(tuner_search *s, size_t base) {
    size_t found = SIZE_MAX, count = 0, dims = s->space->dims;
    int32_t *coords = malloc((dims + 1) * sizeof *coords);
    if (!coords) return SIZE_MAX;
    memcpy(coords, row(s, base), dims * sizeof *coords);
    for (size_t d = 1; d < dims; d++) {
        for (coords[d] = 0; coords[d] < s->values[d]; coords[d]++) {
            size_t point = tuner_search_find(s, coords);
            /* Each of those found is kept with probability 1/count. */
            if (point != SIZE_MAX && !s->handed_out[point] && tuner_search_draw(s, ++count) == 0)
                found = point;
        }
        coords[d] = row(s, base)[d];
    }
    free(coords);
    return found;
}

size_t tuner_search_leaders(const tuner_search *s, size_t *list, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < s->told_count; i++) {
        size_t p = s->told[i];
        if (!isfinite(s->cost[p])) continue;
        size_t at = count < most ? count++ : most;
        while (at > 0 && s->cost[list[at - 1]] > s->cost[p]) {
            if (at < most) list[at] = list[at - 1];
            at--;
        }
        if (at < most) list[at] = p;
    }
    return count;
}

/* ---- life ---- */

tuner_search *tuner_search_create(const tuner_strategy *strategy, const tuner_space *space,
                                  uint64_t seed) {
    tuner_search *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (tuner_search){.strategy = strategy,
                        .space = space,
                        .left = space->count,
                        .seed = seed,
                        .current = SIZE_MAX,
                        .bucket_count = 2 * space->count + 1};
    s->cost = malloc((space->count + 1) * sizeof *s->cost);
    s->handed_out = calloc(space->count + 1, sizeof *s->handed_out);
    s->told = malloc((space->count + 1) * sizeof *s->told);
    s->values = calloc(space->dims + 1, sizeof *s->values);
    s->buckets = malloc(s->bucket_count * sizeof *s->buckets);
    if (!s->cost || !s->handed_out || !s->told || !s->values || !s->buckets) {
        tuner_search_free(s);
        return NULL;
    }
    for (size_t p = 0; p < space->count; p++) s->cost[p] = NAN;
    index_points(s);
    return s;
}

void tuner_search_free(tuner_search *search) {
    if (!search) return;
    free(search->cost);
    free(search->handed_out);
    free(search->told);
    free(search->values);
    free(search->buckets);
    tuner_table_free(&search->table);
    free(search->features);
    free(search);
}

void tuner_search_claim(tuner_search *s, size_t point) {
    if (s->handed_out[point]) return;
    s->handed_out[point] = true;
    s->left--;
}

bool tuner_search_next(tuner_search *s, size_t *point) {
    if (s->left == 0) return false;
    *point = s->strategy->next(s);
    tuner_search_claim(s, *point);
    return true;
}

void tuner_search_tell(tuner_search *s, size_t point, double cost) {
    if (isnan(s->cost[point])) s->told[s->told_count++] = point;
    s->cost[point] = cost;
}
