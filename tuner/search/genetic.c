/* A steady-state genetic search: two of the best, chosen by tournament, have a child with each tunable
 * from one of them; it may mutate. A child that is no point of the space, or known, is not born. */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

enum { POPULATION = TUNER_LEADERS, RANDOM_START = 20, ATTEMPTS = 30, MUTATE_ONE_IN = 6 };

/* The better of two draws; `list` is ordered. */
static size_t parent(tuner_search *s, const size_t *list, size_t count) {
    size_t a = tuner_search_draw(s, count), b = tuner_search_draw(s, count);
    return list[a < b ? a : b];
}

static void breed(tuner_search *s, size_t mother, size_t father, int32_t *child) {
    size_t dims = s->space->dims;
    const int32_t *a = s->space->coords + mother * dims, *b = s->space->coords + father * dims;
    memcpy(child, a, dims * sizeof *child);
    for (size_t d = 1; d < dims; d++) {
        /* Tunables of another version mean something else. */
        if (a[0] == b[0] && tuner_search_draw(s, 2) == 0) child[d] = b[d];
        if (tuner_search_draw(s, MUTATE_ONE_IN) == 0)
            child[d] = (int32_t)tuner_search_draw(s, (size_t)s->values[d]);
    }
}

size_t tuner_next_genetic(tuner_search *s) {
    size_t list[POPULATION], found = SIZE_MAX;
    size_t count = tuner_search_leaders(s, list, POPULATION);
    if (s->told_count < RANDOM_START || count < 2) return tuner_search_any(s);
    int32_t *child = malloc((s->space->dims + 1) * sizeof *child);
    for (int i = 0; child && i < ATTEMPTS && found == SIZE_MAX; i++) {
        breed(s, parent(s, list, count), parent(s, list, count), child);
        size_t point = tuner_search_find(s, child);
        if (point != SIZE_MAX && !s->handed_out[point]) found = point;
    }
    free(child);
    return found != SIZE_MAX ? found : tuner_search_any(s);
}
