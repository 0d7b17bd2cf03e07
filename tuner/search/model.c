/* The model-guided search (after SMAC, Hutter et al. 2011): a forest learns the logarithm of the cost
 * from what was told, and the points with the greatest expected improvement come next. A static
 * model's estimate, where the family has one, is a column like the tunables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../numeric.h"
#include "inside.h"

enum {
    RANDOM_START = 8,    /* points before there is something to learn from */
    BATCH = 2,           /* points taken from one forest: growing one for each gains nothing */
    MANY = 64,           /* told points for each point of a batch, so that learning stays cheap */
    ESTIMATE_CODES = 64, /* steps of the estimates' column */
};
/* Costs count as at most e^this times the third quartile's: how bad the bad ones are is of no
 * interest, and failures cost as much. */
static const double clip = 0.2;

/* ---- the table ---- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Estimates by their rank; what has none is like the worst. */
static bool code_estimates(tuner_search *s, size_t column) {
    size_t count = s->space->count, known = 0;
    double *sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted) return false;
    for (size_t p = 0; p < count; p++)
        if (isfinite(s->space->estimate[p])) sorted[known++] = s->space->estimate[p];
    qsort(sorted, known, sizeof *sorted, compare_doubles);
    for (size_t p = 0; p < count; p++) {
        size_t low = 0, high = known;
        while (low < high) { /* the first that is not less */
            size_t middle = (low + high) / 2;
            if (sorted[middle] < s->space->estimate[p])
                low = middle + 1;
            else
                high = middle;
        }
        if (!isfinite(s->space->estimate[p])) low = known;
        s->table.codes[p * s->table.cols + column] = (uint8_t)(known ? low * (ESTIMATE_CODES - 1) /
                                                                           known
                                                                     : 0);
    }
    free(sorted);
    return true;
}

/* One column for each coordinate that varies, one for the estimate. */
static bool make_table(tuner_search *s) {
    const tuner_space *space = s->space;
    size_t cols = 0, at = 0;
    for (size_t d = 0; d < space->dims; d++) cols += s->values[d] > 1;
    cols += space->estimate != NULL;
    s->table = (tuner_table){space->count, cols, calloc(space->count * cols + 1, 1)};
    if (!s->table.codes) return false;
    for (size_t d = 0; d < space->dims; d++) {
        if (s->values[d] <= 1) continue;
        for (size_t p = 0; p < space->count; p++) {
            int32_t value = space->coords[p * space->dims + d];
            s->table.codes[p * cols + at] = (uint8_t)(value < UINT8_MAX ? value : UINT8_MAX);
        }
        at++;
    }
    return !space->estimate || code_estimates(s, at);
}

bool tuner_search_table(tuner_search *s) { return s->table.codes || make_table(s); }

/* ---- what to learn ---- */

bool tuner_search_lessons(const tuner_search *s, const size_t *points, size_t count, double *values,
                          double *best) {
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(s->cost[points[i]])) values[known++] = log(s->cost[points[i]]);
    if (known == 0) return false;
    qsort(values, known, sizeof *values, compare_doubles);
    double most = fmin(values[known - 1], values[3 * (known - 1) / 4] + clip);
    *best = values[0];
    for (size_t i = 0; i < count; i++) {
        double cost = s->cost[points[i]];
        values[i] = isfinite(cost) ? fmin(log(cost), most) : most;
    }
    return true;
}

double tuner_search_gain(double best, double mean, double deviation) {
    const double root_two_pi = 2.5066282746310002;
    if (deviation < 1e-9) return fmax(0, best - mean);
    double z = (best - mean) / deviation;
    return (best - mean) * 0.5 * erfc(-z / sqrt(2)) + deviation * exp(-z * z / 2) / root_two_pi;
}

/* The points of greatest expected improvement, best last, so that they are taken from the end. */
static void fill_batch(tuner_search *s, const tuner_forest *forest, double best) {
    enum { MOST = sizeof s->batch / sizeof *s->batch };
    double gains[MOST];
    size_t size = s->told_count / MANY < BATCH  ? BATCH
                  : s->told_count / MANY < MOST ? s->told_count / MANY
                                                : MOST;
    s->batch_count = 0;
    for (size_t p = 0; p < s->space->count; p++) {
        double mean, deviation;
        if (s->handed_out[p]) continue;
        tuner_forest_predict(forest, s->table.codes + p * s->table.cols, &mean, &deviation);
        /* Equals in random order: the first of a space are alike. */
        double gain = tuner_search_gain(best, mean, deviation) +
                      1e-9 * tuner_random_unit(s->seed, 13, p);
        size_t at = 0;
        if (s->batch_count == size && gain <= gains[0]) continue;
        if (s->batch_count < size) {
            at = s->batch_count++;
            while (at > 0 && gains[at - 1] > gain) {
                gains[at] = gains[at - 1];
                s->batch[at] = s->batch[at - 1];
                at--;
            }
        } else
            for (; at + 1 < size && gains[at + 1] < gain; at++) {
                gains[at] = gains[at + 1];
                s->batch[at] = s->batch[at + 1];
            }
        gains[at] = gain;
        s->batch[at] = p;
    }
}

static bool next_batch(tuner_search *s) {
    double best = 0, *values = malloc((s->told_count + 1) * sizeof *values);
    tuner_forest *forest = NULL;
    bool ready = values && tuner_search_table(s) &&
                 tuner_search_lessons(s, s->told, s->told_count, values, &best);
    if (ready)
        forest = tuner_forest_grow(&s->table, s->told, values, s->told_count,
                                   s->seed + 0x10000 * s->told_count);
    if (forest) fill_batch(s, forest, best);
    bool filled = forest && s->batch_count > 0;
    tuner_forest_free(forest);
    free(values);
    return filled;
}

/* The point of the least estimate; SIZE_MAX: none is left that has one. */
static size_t most_promising(const tuner_search *s) {
    size_t best = SIZE_MAX;
    for (size_t p = 0; p < s->space->count; p++)
        if (!s->handed_out[p] && isfinite(s->space->estimate[p]) &&
            (best == SIZE_MAX || s->space->estimate[p] < s->space->estimate[best]))
            best = p;
    return best;
}

/* Every other one of the first is what the static model would take. */
static size_t start(tuner_search *s) {
    size_t point = SIZE_MAX, handed_out = s->space->count - s->left;
    if (s->space->estimate && handed_out % 2 == 0) point = most_promising(s);
    return point != SIZE_MAX ? point : tuner_search_any(s);
}

size_t tuner_next_model(tuner_search *s) {
    if (s->told_count < RANDOM_START) return start(s);
    while (s->batch_count > 0) {
        size_t point = s->batch[--s->batch_count];
        if (!s->handed_out[point]) return point;
    }
    return next_batch(s) ? s->batch[--s->batch_count] : tuner_search_any(s);
}
