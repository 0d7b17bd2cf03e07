/* Which of several compiled points to run first. They were asked for when less was known, and the compiler
 * has said since what it made of them (registers, operations). A search that ends early leaves out the
 * least promising then, not the latest.
 *
 * On synthetic spaces with 16 points ahead most of the gain is that of choosing late; what the compiler says
 * adds to it where the strategy itself does not learn. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"

enum {
    ENOUGH = 16,  /* told points before their order is trusted */
    LATEST = 256, /* points to learn from: the device waits while the forest grows */
};

/* Steps of a sixteenth of an octave: counts matter by their ratio. */
static uint8_t code(double feature) {
    double steps = 16 * log2(1 + fmax(0, feature));
    return (uint8_t)(steps < UINT8_MAX ? steps : UINT8_MAX);
}

void tuner_search_describe(tuner_search *s, size_t point,
                           const double features[TUNER_SEARCH_FEATURES]) {
    if (!s->features) s->features = calloc(s->space->count, TUNER_SEARCH_FEATURES);
    if (!s->features) return; /* it is only a hint */
    for (size_t f = 0; f < TUNER_SEARCH_FEATURES; f++)
        s->features[point * TUNER_SEARCH_FEATURES + f] = code(features[f]);
}

/* A row of coordinates and features for each of `points`. Points that did not compile have features like
 * no other; nobody asks for those. */
static void fill_rows(const tuner_search *s, const size_t *points, size_t count, uint8_t *rows) {
    size_t cols = s->table.cols;
    for (size_t i = 0; i < count; i++, rows += cols + TUNER_SEARCH_FEATURES) {
        memcpy(rows, s->table.codes + points[i] * cols, cols);
        memset(rows + cols, 0, TUNER_SEARCH_FEATURES);
        if (s->features)
            memcpy(rows + cols, s->features + points[i] * TUNER_SEARCH_FEATURES,
                   TUNER_SEARCH_FEATURES);
    }
}

static size_t most_gain(const tuner_search *s, const tuner_forest *forest, double best,
                        const size_t *ready, size_t count) {
    uint8_t row[UINT8_MAX + TUNER_SEARCH_FEATURES];
    size_t chosen = 0;
    double most = -1, mean, deviation;
    for (size_t i = 0; i < count; i++) {
        fill_rows(s, &ready[i], 1, row);
        tuner_forest_predict(forest, row, &mean, &deviation);
        double gain = tuner_search_gain(best, mean, deviation);
        if (gain > most) {
            most = gain;
            chosen = i;
        }
    }
    return chosen;
}

size_t tuner_search_choose(tuner_search *s, const size_t *ready, size_t count) {
    size_t rows[LATEST], chosen = 0;
    size_t known = s->told_count < LATEST ? s->told_count : LATEST;
    const size_t *points = s->told + (s->told_count - known);
    double values[LATEST], best = 0;
    if (count < 2 || known < ENOUGH || !tuner_search_table(s) || s->table.cols > UINT8_MAX ||
        !tuner_search_lessons(s, points, known, values, &best))
        return 0;
    tuner_table table = {.rows = known, .cols = s->table.cols + TUNER_SEARCH_FEATURES};
    table.codes = malloc(table.rows * table.cols);
    if (!table.codes) return 0;
    fill_rows(s, points, known, table.codes);
    for (size_t i = 0; i < known; i++) rows[i] = i;
    tuner_forest *forest = tuner_forest_grow(&table, rows, values, known,
                                             s->seed + 0x10000 * s->told_count);
    if (forest) chosen = most_gain(s, forest, best, ready, count);
    tuner_forest_free(forest);
    tuner_table_free(&table);
    return chosen;
}
