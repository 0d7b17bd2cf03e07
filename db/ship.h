/* The file that is handed to others. */
#ifndef DB_SHIP_H
#define DB_SHIP_H

#include "store.h"

typedef struct db_ship_report {
    size_t winners, kernels;
    int64_t bytes; /* of the file */
} db_ship_report;

/* Writes what a runtime needs of `db_path` to the new file `out_path`: the winners, their kernels
 * and the default of every specialization, code packed, no results, not one byte of slack, mode
 * 0444. Without signature; the same content gives the same bytes whatever order it was tuned in.
 * INVALID_ARGUMENT: out_path exists. CORRUPT also where rows had to be left out. NOT_FOUND: no
 * winners. */
ts_status db_ship(const char *db_path, const char *out_path, db_ship_report *report, ts_err *err);

#endif
