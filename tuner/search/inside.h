/* What strategies share: the state of a search, random draws, neighbours. Each strategy is one file
 * and one function, listed in search.c. */
#ifndef TUNER_SEARCH_INSIDE_H
#define TUNER_SEARCH_INSIDE_H

#include "forest.h"
#include "search.h"

enum { TUNER_LEADERS = 20 }; /* most points that a strategy breeds from */

struct tuner_search {
    const tuner_strategy *strategy;
    const tuner_space *space;
    double *cost; /* NAN: not told */
    bool *handed_out;
    size_t left;  /* not handed out */
    size_t *told; /* points in the order in which they were told */
    size_t told_count;
    uint64_t seed, draws;
    int32_t *values;               /* [dims]: values of each column are 0..values-1 */
    size_t *buckets, bucket_count; /* open hash of all points by coordinates; SIZE_MAX: empty */
    /* of single strategies */
    size_t current;                /* annealing: where the walk is; SIZE_MAX: nowhere */
    size_t walked;                 /* annealing: of told */
    size_t batch[64], batch_count; /* model: the next points */
    tuner_table table;             /* model: the space as the forest sees it; filled when needed */
    uint8_t *features;             /* screen: [count, TUNER_SEARCH_FEATURES]; NULL: none */
};

/* A random number below `below`. */
size_t tuner_search_draw(tuner_search *s, size_t below);
/* A random number 0 <= x < 1. */
double tuner_search_unit(tuner_search *s);
/* A random point that was not handed out; there must be one. */
size_t tuner_search_any(tuner_search *s);
/* The point with these coordinates; SIZE_MAX if the space has none. */
size_t tuner_search_find(const tuner_search *s, const int32_t *coords);
/* A random point that was not handed out and differs from `base` in one tunable; SIZE_MAX: none. */
size_t tuner_search_neighbour(tuner_search *s, size_t base);
/* The cheapest points told so far, best first; returns how many, at most `most`. */
size_t tuner_search_leaders(const tuner_search *s, size_t *list, size_t most);

/* Fills the table if that was not done; false: out of memory. model.c */
bool tuner_search_table(tuner_search *s);
/* What a forest learns of told points: the logarithms of their costs, clipped; *best the least. False:
 * nothing finite was told of them. model.c */
bool tuner_search_lessons(const tuner_search *s, const size_t *points, size_t count, double *values,
                          double *best);
/* By how much a point is expected to be better than the best, if its cost is normally distributed.
 * model.c */
double tuner_search_gain(double best, double mean, double deviation);

size_t tuner_next_local(tuner_search *s);     /* local.c */
size_t tuner_next_annealing(tuner_search *s); /* annealing.c */
size_t tuner_next_genetic(tuner_search *s);   /* genetic.c */
size_t tuner_next_model(tuner_search *s);     /* model.c */

#endif
