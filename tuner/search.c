/* Strategies: exhaustive, random, and local search with restarts.
 *
 * On public brute-forced spaces (convolution, dedispersion) plain random is as good as anything for
 * the first twenty points; from fifty on any local search over Hamming neighbours wins, and the
 * clever ones differ by less than two per cent. So one local search is enough: it starts with
 * random points, then explores the neighbours of the best points known, and now and then jumps. */
#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "numeric.h"

enum {
    RANDOM_START = 16, /* points before the first neighbour is tried */
    LEADERS = 6,       /* best points whose neighbours are explored */
    JUMP_ONE_IN = 10,  /* random restarts among the local steps */
    SMALL_SPACE = 64,  /* auto: not worth a strategy */
};

struct tuner_search {
    const tuner_strategy *strategy;
    const tuner_space *space;
    double *cost; /* NAN: not told */
    bool *handed_out;
    size_t left; /* not handed out */
    uint64_t seed, draws;
};

static size_t draw(tuner_search *s, size_t below) {
    return (size_t)(tuner_random_unit(s->seed, 11, s->draws++) * (double)below);
}

/* The n-th point that was not handed out. */
static size_t nth_left(const tuner_search *s, size_t n) {
    size_t point = 0;
    while (s->handed_out[point] || n-- > 0) point++;
    return point;
}

static size_t next_in_order(tuner_search *s) { return nth_left(s, 0); }

static size_t next_random(tuner_search *s) { return nth_left(s, draw(s, s->left)); }

/* Same version, exactly one tunable different. */
static bool are_neighbours(const tuner_space *space, size_t a, size_t b) {
    const int32_t *x = space->coords + a * space->dims, *y = space->coords + b * space->dims;
    size_t different = 0;
    if (space->dims == 0 || x[0] != y[0]) return false;
    for (size_t d = 1; d < space->dims && different < 2; d++) different += x[d] != y[d];
    return different == 1;
}

/* A random neighbour of `base` that was not handed out; false if there is none. */
static bool random_neighbour(tuner_search *s, size_t base, size_t *point) {
    size_t found = 0;
    for (size_t p = 0; p < s->space->count; p++)
        if (!s->handed_out[p] && are_neighbours(s->space, base, p) && draw(s, ++found) == 0)
            *point = p;
    return found > 0; /* each of the `found` was kept with probability 1/found */
}

/* The cheapest points, best first. */
static size_t leaders(const tuner_search *s, size_t list[LEADERS]) {
    size_t count = 0;
    for (size_t p = 0; p < s->space->count; p++) {
        if (!isfinite(s->cost[p])) continue;
        size_t at = count < LEADERS ? count++ : LEADERS;
        while (at > 0 && s->cost[list[at - 1]] > s->cost[p]) {
            if (at < LEADERS) list[at] = list[at - 1];
            at--;
        }
        if (at < LEADERS) list[at] = p;
    }
    return count;
}

static size_t next_local(tuner_search *s) {
    size_t list[LEADERS], point = 0;
    if (s->space->count - s->left < RANDOM_START || draw(s, JUMP_ONE_IN) == 0)
        return next_random(s);
    size_t count = leaders(s, list);
    for (size_t i = 0; i < count; i++)
        if (random_neighbour(s, list[i], &point)) return point;
    return next_random(s);
}

static size_t next_auto(tuner_search *s) {
    return s->space->count <= SMALL_SPACE ? next_random(s) : next_local(s);
}

const tuner_strategy tuner_strategies[] = {
    {"auto", "the whole space if it is small, else local", next_auto},
    {"exhaustive", "every variant, in declared order", next_in_order},
    {"random", "every variant, in random order", next_random},
    {"local", "neighbours of the best, with random restarts", next_local},
    {NULL, NULL, NULL},
};

const tuner_strategy *tuner_strategy_find(const char *name) {
    for (const tuner_strategy *s = tuner_strategies; s->name; s++)
        if (strcmp(s->name, name) == 0) return s;
    return NULL;
}

tuner_search *tuner_search_create(const tuner_strategy *strategy, const tuner_space *space,
                                  uint64_t seed) {
    tuner_search *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (tuner_search){.strategy = strategy, .space = space, .left = space->count, .seed = seed};
    s->cost = malloc((space->count + 1) * sizeof *s->cost);
    s->handed_out = calloc(space->count + 1, sizeof *s->handed_out);
    if (!s->cost || !s->handed_out) {
        tuner_search_free(s);
        return NULL;
    }
    for (size_t p = 0; p < space->count; p++) s->cost[p] = NAN;
    return s;
}

void tuner_search_free(tuner_search *search) {
    if (!search) return;
    free(search->cost);
    free(search->handed_out);
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

void tuner_search_tell(tuner_search *s, size_t point, double cost) { s->cost[point] = cost; }
