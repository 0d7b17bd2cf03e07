/* A regression forest (Breiman 2001) over small integer codes: what a point is expected to cost, and
 * how sure that is.
 *
 * Trees see a space as codes 0..255 in each column, so that a split is a count of codes and not a sort. */
#ifndef TUNER_SEARCH_FOREST_H
#define TUNER_SEARCH_FOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tuner_table {
    size_t rows, cols;
    uint8_t *codes; /* [rows, cols] */
} tuner_table;

void tuner_table_free(tuner_table *table);

typedef struct tuner_forest tuner_forest;

/* Grows the trees on `count` rows of the table (their indices in `rows`) with their values.
 * Reproducible by seed. NULL: out of memory. */
tuner_forest *tuner_forest_grow(const tuner_table *table, const size_t *rows, const double *values,
                                size_t count, uint64_t seed);
void tuner_forest_free(tuner_forest *forest);
/* Mean of the trees' answers for a row of codes, and their standard deviation. */
void tuner_forest_predict(const tuner_forest *forest, const uint8_t *codes, double *mean,
                          double *deviation);

#endif
