/* A space in which every point was measured before: a Kernel Tuner cache file. */
#ifndef TUNER_SEARCH_RECORDED_H
#define TUNER_SEARCH_RECORDED_H

#include "../../db/base.h"
#include "search.h"

typedef struct tuner_recorded {
    tuner_space space;
    int32_t *coords;
    double *costs; /* [space.count]; INFINITY: the configuration failed */
    size_t failed;
    double best;
    char device[128], kernel[128];
} tuner_recorded;

/* Reads a cache file, plain or gzip. The objective is the file's own, else "time". A configuration
 * whose objective is no positive number has failed. NOT_FOUND: no file. CORRUPT: truncated, not JSON,
 * no cache, a configuration without one of its tunables, nothing that was measured. Free with
 * tuner_recorded_free, which takes a zeroed one. */
ts_status tuner_recorded_load(const char *path, tuner_recorded *out, ts_err *err);
void tuner_recorded_free(tuner_recorded *recorded);

#endif
