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
    double best;       /* cost */
    double best_value; /* of the file's objective: the same, or its inverse if that is a rate */
    bool torn; /* the file ended within or behind a configuration; it was read up to there */
    char device[128], kernel[256];
} tuner_recorded;

/* Reads a cache file, plain or gzip. The objective is the file's own (the first, of several), else
 * "time". A configuration whose objective is no positive number below 1e20, or that holds the name of
 * one of Kernel Tuner's errors, has failed. NOT_FOUND: no file. CORRUPT: a damaged gzip file, not
 * JSON, no whole configuration, one without one of its tunables, nothing that was measured. Free with
 * tuner_recorded_free, which takes a zeroed one. */
ts_status tuner_recorded_load(const char *path, tuner_recorded *out, ts_err *err);
void tuner_recorded_free(tuner_recorded *recorded);

#endif
