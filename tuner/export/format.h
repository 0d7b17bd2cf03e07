/* The formats of other tuners, and what they have in common: milliseconds, one configuration a line. */
#ifndef TUNER_EXPORT_FORMAT_H
#define TUNER_EXPORT_FORMAT_H

#include "space.h"

typedef struct tuner_export_format {
    const char *name;   /* of --format */
    const char *suffix; /* of its files: "-t4.json" */
    /* Writes a finished space; `path` ends in ".json". Files are replaced atomically. */
    ts_status (*write)(const tuner_results_space *space, const char *path, ts_err *err);
} tuner_export_format;

extern const tuner_export_format tuner_export_kernel_tuner; /* kernel_tuner.c */
extern const tuner_export_format tuner_export_t4;           /* t4.c */

/* How a rejected configuration is called there. */
typedef struct tuner_rejection {
    const char *status;     /* of db_result */
    const char *cache;      /* Kernel Tuner's error */
    const char *invalidity; /* T4's word */
} tuner_rejection;

/* NULL: the configuration is right and was timed. A status that is not known failed when run. */
const tuner_rejection *tuner_rejection_of(const tuner_space_row *row);

/* Milliseconds of a stage: search, compile, prepare, verify, measure; 0 where nobody wrote it down. */
double tuner_row_stage_ms(const tuner_space_row *row, const char *stage);
/* The samples, milliseconds; empty where there are none. */
json_t *tuner_row_samples(const tuner_space_row *row);
/* When it was measured, UTC: "2026-11-30 11:48:00.123000+00:00"; NULL where nobody wrote it down. */
json_t *tuner_row_timestamp(const tuner_space_row *row);
/* All that was found out, name -> value: time, spread (ms), error, registers, spill_bytes,
 * shared_bytes, reason; only what there is. */
json_t *tuner_row_measures(const tuner_space_row *row);
/* "ms", "bytes", or "" */
const char *tuner_measure_unit(const char *name);

/* A text as JSON; what is not UTF-8 (a compiler's message, cut) becomes question marks. */
json_t *tuner_export_text(const char *text);
/* {"problem": ..., "target": ..., "device": ...} */
json_t *tuner_space_place(const tuner_results_space *space);

/* Appends `value`, which it frees, in one line. NULL counts as failed: out->failed is set. */
void tuner_export_append(ts_buf *out, json_t *value);
/* Writes and frees the text. */
ts_status tuner_export_write(ts_buf *text, const char *path, ts_err *err);

#endif
