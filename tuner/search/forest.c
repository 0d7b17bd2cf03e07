/* Growing and asking the trees. A tree's nodes lie in one array, a node's left child right behind it. */
#include "forest.h"

#include <math.h>
#include <stdlib.h>

#include "../numeric.h"

/* Enough for the spread between trees to say how sure they are; more change nothing on public
 * spaces. */
enum { TREES = 20, CODES = 256 };
/* Share of the columns that a split may choose from: trees that all take the same split first would
 * agree about what none of them knows. */
static const double column_share = 0.7;

typedef struct node {
    int32_t column; /* -1: a leaf */
    uint8_t below;  /* codes up to this one go left */
    size_t right;
    double value;
} node;

struct tuner_forest {
    node *nodes;
    size_t count, roots[TREES];
};

typedef struct sample {
    size_t row;
    double value;
} sample;

typedef struct grower {
    const tuner_table *table;
    tuner_forest *forest;
    sample *samples;
    size_t *columns; /* those not tried yet at a node */
    uint64_t seed, draws;
} grower;

static uint8_t code(const grower *g, const sample *s, size_t column) {
    return g->table->codes[s->row * g->table->cols + column];
}

static size_t draw(grower *g, size_t below) {
    return (size_t)(tuner_random_unit(g->seed, 12, g->draws++) * (double)below);
}

typedef struct split {
    int32_t column;
    uint8_t below;
    double gain; /* what the squares of the sums over counts grow by */
} split;

/* The best place to split one column; between two codes that occur, the middle. */
static void try_column(const grower *g, size_t column, size_t begin, size_t end, split *best) {
    double sums[CODES] = {0}, total = 0;
    size_t counts[CODES] = {0}, left = 0, count = end - begin;
    int last = -1;
    for (size_t i = begin; i < end; i++) {
        uint8_t c = code(g, &g->samples[i], column);
        sums[c] += g->samples[i].value;
        counts[c]++;
        total += g->samples[i].value;
    }
    double left_sum = 0, base = total * total / (double)count;
    for (int c = 0; c < CODES; c++) {
        if (counts[c] == 0) continue;
        if (last >= 0) {
            double right_sum = total - left_sum;
            double gain = left_sum * left_sum / (double)left +
                          right_sum * right_sum / (double)(count - left) - base;
            if (gain > best->gain)
                *best = (split){(int32_t)column, (uint8_t)((last + c - 1) / 2), gain};
        }
        left_sum += sums[c];
        left += counts[c];
        last = c;
    }
}

/* Tries a random share of the columns, and more while none of them splits anything. */
static split choose_split(grower *g, size_t begin, size_t end) {
    size_t cols = g->table->cols, wanted = (size_t)ceil(column_share * (double)cols);
    split best = {.column = -1, .gain = 1e-12};
    for (size_t i = 0; i < cols; i++) g->columns[i] = i;
    for (size_t tried = 0; tried < cols && (tried < wanted || best.column < 0); tried++) {
        size_t at = tried + draw(g, cols - tried), column = g->columns[at];
        g->columns[at] = g->columns[tried];
        try_column(g, column, begin, end, &best);
    }
    return best;
}

static size_t partition(const grower *g, const split *s, size_t begin, size_t end) {
    size_t middle = begin;
    for (size_t i = begin; i < end; i++) {
        if (code(g, &g->samples[i], (size_t)s->column) > s->below) continue;
        sample swapped = g->samples[i];
        g->samples[i] = g->samples[middle];
        g->samples[middle++] = swapped;
    }
    return middle;
}

/* A node of samples begin..end-1; a tree of n samples has at most 2n - 1 nodes. */
static void grow(grower *g, size_t begin, size_t end) {
    node *own = &g->forest->nodes[g->forest->count++];
    double sum = 0;
    for (size_t i = begin; i < end; i++) sum += g->samples[i].value;
    *own = (node){.column = -1, .value = sum / (double)(end - begin)};
    if (end - begin < 2) return;
    split s = choose_split(g, begin, end);
    if (s.column < 0) return; /* all alike */
    size_t middle = partition(g, &s, begin, end);
    own->column = s.column;
    own->below = s.below;
    grow(g, begin, middle);
    own->right = g->forest->count;
    grow(g, middle, end);
}

tuner_forest *tuner_forest_grow(const tuner_table *table, const size_t *rows, const double *values,
                                size_t count, uint64_t seed) {
    tuner_forest *forest = calloc(1, sizeof *forest);
    grower g = {.table = table, .forest = forest, .seed = seed};
    g.samples = malloc((count + 1) * sizeof *g.samples);
    g.columns = malloc((table->cols + 1) * sizeof *g.columns);
    if (forest) forest->nodes = malloc((2 * count * TREES + 1) * sizeof *forest->nodes);
    bool made = forest && forest->nodes && g.samples && g.columns;
    for (int tree = 0; made && count > 0 && tree < TREES; tree++) {
        for (size_t i = 0; i < count; i++) { /* as many, drawn with repetition */
            size_t k = draw(&g, count);
            g.samples[i] = (sample){rows[k], values[k]};
        }
        forest->roots[tree] = forest->count;
        grow(&g, 0, count);
    }
    free(g.samples);
    free(g.columns);
    if (made) return forest;
    tuner_forest_free(forest);
    return NULL;
}

void tuner_forest_free(tuner_forest *forest) {
    if (!forest) return;
    free(forest->nodes);
    free(forest);
}

void tuner_forest_predict(const tuner_forest *forest, const uint8_t *codes, double *mean,
                          double *deviation) {
    double sum = 0, squares = 0;
    for (int tree = 0; tree < TREES; tree++) {
        size_t at = forest->roots[tree];
        for (const node *n; (n = &forest->nodes[at])->column >= 0;)
            at = codes[n->column] <= n->below ? at + 1 : n->right;
        sum += forest->nodes[at].value;
        squares += forest->nodes[at].value * forest->nodes[at].value;
    }
    *mean = sum / TREES;
    *deviation = sqrt(fmax(0, squares / TREES - *mean * *mean));
}

void tuner_table_free(tuner_table *table) {
    free(table->codes);
    *table = (tuner_table){0};
}
