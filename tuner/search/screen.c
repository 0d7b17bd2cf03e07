/* Which of several compiled points to run first. What a compiler made of a point (registers, operations) says
 * more of it than its coordinates, but only of points that were compiled: so the points to compile are the
 * strategy's choice, and among those that are ready this forest has its say. A search that ends early
 * leaves out the least promising then, not the latest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"

enum {
    ENOUGH = 16,  /* described points before their order is trusted */
    LATEST = 256, /* points to learn from: the device waits while the forest grows */
};

/* Steps of a sixteenth of an octave: counts matter by their ratio. */
static uint8_t code(double feature) {
    double steps = 16 * log2(1 + fmax(0, feature));
    return (uint8_t)(steps < UINT8_MAX ? steps : UINT8_MAX);
}

void tuner_search_describe(tuner_search *s, size_t point,
                           const double features[TUNER_SEARCH_FEATURES]) {
    if (!s->described) {
        s->features = malloc(s->space->count * TUNER_SEARCH_FEATURES + 1);
        s->described = calloc(s->space->count + 1, sizeof *s->described);
        if (!s->features || !s->described) { /* it was only a hint */
            free(s->features);
            free(s->described);
            s->features = NULL;
            s->described = NULL;
            return;
        }
    }
    for (size_t f = 0; f < TUNER_SEARCH_FEATURES; f++)
        s->features[point * TUNER_SEARCH_FEATURES + f] = code(features[f]);
    s->described[point] = true;
}

/* The latest told points with a description, at most LATEST. */
static size_t teachers(const tuner_search *s, size_t *points) {
    size_t count = 0;
    for (size_t i = s->told_count; i > 0 && count < LATEST; i--)
        if (s->described[s->told[i - 1]]) points[count++] = s->told[i - 1];
    return count;
}

/* A row of coordinates and features for each of `points`. */
static void fill_rows(const tuner_search *s, const size_t *points, size_t count, uint8_t *rows) {
    size_t cols = s->table.cols;
    for (size_t i = 0; i < count; i++, rows += cols + TUNER_SEARCH_FEATURES) {
        memcpy(rows, s->table.codes + points[i] * cols, cols);
        memcpy(rows + cols, s->features + points[i] * TUNER_SEARCH_FEATURES, TUNER_SEARCH_FEATURES);
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
    size_t points[LATEST], rows[LATEST], known, chosen = 0;
    double values[LATEST], best = 0;
    if (count < 2 || !s->described || !tuner_search_table(s) || s->table.cols > UINT8_MAX) return 0;
    for (size_t i = 0; i < count; i++)
        if (!s->described[ready[i]]) return 0;
    known = teachers(s, points);
    if (known < ENOUGH || !tuner_search_lessons(s, points, known, values, &best)) return 0;
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
