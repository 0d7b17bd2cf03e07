/* Tensor elements as they lie in memory, and the seeded random numbers that fill them. */
#ifndef TUNER_NUMERIC_H
#define TUNER_NUMERIC_H

#include "../gen/gen.h"

/* Stores `value` at element `index` of `data`, rounded to nearest even; integers are truncated. */
void tuner_store_element(gen_dtype dtype, void *data, int64_t index, double value);
/* Element `index` of `data`, exactly. */
double tuner_load_element(gen_dtype dtype, const void *data, int64_t index);

/* The least magnitude that is rounded to infinity; INFINITY for integers. */
double tuner_overflow(gen_dtype dtype);

/* Counter-based generator: the same (seed, stream, index) always yields the same 64 bits. */
uint64_t tuner_random_u64(uint64_t seed, uint64_t stream, uint64_t index);
/* The same as a number 0 <= x < 1. */
double tuner_random_unit(uint64_t seed, uint64_t stream, uint64_t index);

/* Walks a tensor's elements, row after row, without a division each. */
typedef struct tuner_cursor {
    int64_t at, column; /* place of the element among the tensor's memory, and in its row */
} tuner_cursor;

static inline tuner_cursor tuner_cursor_at(const gen_tensor *tensor, int64_t element) {
    int64_t column = element % tensor->cols;
    return (tuner_cursor){element / tensor->cols * tensor->pitch + column, column};
}

static inline void tuner_cursor_next(const gen_tensor *tensor, tuner_cursor *cursor) {
    cursor->at++;
    if (++cursor->column < tensor->cols) return;
    cursor->column = 0;
    cursor->at += tensor->pitch - tensor->cols;
}

/* Fills rows x cols elements (row pitch tensor->pitch) of `data` as tensor->init says. Elements
 * between the rows stay as they are. `longest`: offsets take their greatest step each time. On up to
 * `threads` threads; the numbers do not depend on how many. */
void tuner_fill_tensor(const gen_tensor *tensor, uint64_t seed, uint64_t stream, bool longest,
                       int threads, void *data);

#endif
