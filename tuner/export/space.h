/* What was tried for one problem on one target and device, as other tuners see it: a table with a
 * column a tunable and a row a configuration.
 *
 * Their spaces have one list of tunables; ours has one a version of the family. So "version" is the
 * first column, and a tunable that a row's version lacks has the value 0 there, or "-" in a column of
 * texts: every configuration has a value in every column, and no two have the same. */
#ifndef TUNER_EXPORT_SPACE_H
#define TUNER_EXPORT_SPACE_H

#include <jansson.h>

#include "../../db/store.h"

typedef struct tuner_space_row {
    const char *variant, *status, *reason;
    double time_us, spread_us, error; /* NaN: not timed, not verified */
    json_t *evidence;                 /* object; "{}" where the row has none that can be read */
    json_t *configuration;            /* column -> value, in the order of the columns */
    size_t order;                     /* of the rows as they were added */
} tuner_space_row;

typedef struct tuner_results_space {
    ts_arena arena;
    const char *problem, *target; /* NULL: nothing was added yet */
    db_device device;
    tuner_space_row *rows;
    size_t count, capacity, timed;
    json_t *columns; /* column -> sorted list of its values */
} tuner_results_space;

/* Adds one result; the first one says which place it is. A row that proves nothing of its speed and
 * was not rejected either (verified or compiled only) is no configuration and is left out. */
ts_status tuner_space_add(tuner_results_space *space, const db_result *result, ts_err *err);
/* Sorts the rows by variant, keeps the newest of each, and makes columns and configurations. CORRUPT:
 * a variant's name cannot be read. */
ts_status tuner_space_finish(tuner_results_space *space, ts_err *err);
/* Leaves *space empty. */
void tuner_space_free(tuner_results_space *space);

/* The value of a column as Kernel Tuner writes it in a configuration's key; appended. */
void tuner_space_value_text(const json_t *value, ts_buf *out);

#endif
