/* Search strategies over a finite space of points, seeded and reproducible.
 *
 * A point is a variant; its coordinates are the version and the index of each tunable's value. A
 * strategy is asked for points and told what they cost, in any order and with several under way at
 * a time. */
#ifndef TUNER_SEARCH_H
#define TUNER_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tuner_space {
    size_t count, dims;
    const int32_t *coords;  /* [count, dims]; column 0 is the version: points of two versions are no
                               neighbours */
    const double *estimate; /* [count]: what a static model expects a point to cost, any unit; NAN:
                               nothing; NULL: there is none */
} tuner_space;

typedef struct tuner_search tuner_search;

typedef struct tuner_strategy {
    const char *name, *help;
    /* A point that was not handed out yet; only called while there is one. */
    size_t (*next)(tuner_search *search);
} tuner_strategy;

/* All strategies, ending with a NULL name. "auto" takes the whole space if it is small, else
 * searches. */
extern const tuner_strategy tuner_strategies[];
/* NULL: no such strategy. */
const tuner_strategy *tuner_strategy_find(const char *name);

/* `space` and its coordinates are borrowed. NULL: out of memory. */
tuner_search *tuner_search_create(const tuner_strategy *strategy, const tuner_space *space,
                                  uint64_t seed);
void tuner_search_free(tuner_search *search);
/* Next point to try; false when all have been handed out. */
bool tuner_search_next(tuner_search *search, size_t *point);
/* A point that need not be handed out any more (tried by other means); tell its cost as well. */
void tuner_search_claim(tuner_search *search, size_t point);
/* What the compiler made of a point: counts of any kind, the same kind at the same place for all points. */
enum { TUNER_SEARCH_FEATURES = 17 };
void tuner_search_describe(tuner_search *search, size_t point,
                           const double features[TUNER_SEARCH_FEATURES]);
/* Which of `ready`, points that could be tried now, is expected to gain most: an index into it. The first while
 * too little is known. Either all of them were described, or none. */
size_t tuner_search_choose(tuner_search *search, const size_t *ready, size_t count);
/* What a point costs (any positive unit); INFINITY for one that failed. */
void tuner_search_tell(tuner_search *search, size_t point, double cost);

#endif
