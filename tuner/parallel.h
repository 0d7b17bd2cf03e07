/* Work on many elements, spread over threads. */
#ifndef TUNER_PARALLEL_H
#define TUNER_PARALLEL_H

#include <stdint.h>

/* Elements that are worth a piece where each takes nanoseconds. */
enum { TUNER_GRAIN = 1 << 16 };

/* Handles the elements begin..end-1. */
typedef void tuner_piece(void *context, int64_t begin, int64_t end);

/* Calls `work` for pieces of up to `grain` elements that together are 0..total-1, in any order, on up to
 * `threads` threads, the caller's among them; returns when all are done. Where no thread can be had the
 * caller does all. */
void tuner_parallel(int64_t total, int64_t grain, int threads, tuner_piece *work, void *context);

#endif
