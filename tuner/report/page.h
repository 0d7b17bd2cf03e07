/* The report of a tune: one HTML file that needs nothing else. Its charts are drawn by Chart.js, which
 * is linked into the program; the data go in as JSON, so nothing of a name is ever markup. */
#ifndef TUNER_REPORT_PAGE_H
#define TUNER_REPORT_PAGE_H

#include "tally.h"

typedef struct tuner_page_place { /* a problem as it was tuned on one device; texts borrowed */
    const char *problem, *target, *device;
} tuner_page_place;

/* Writes `path` whole or not at all, from what the database `db` holds of the places. `copy_gbytes`:
 * measured copy speed of the device in GB/s, NaN or 0 where it is not known. IO: names the path. */
ts_status tuner_page_write(db_reader *db, const tuner_page_place *places, size_t count,
                           double copy_gbytes, const char *path, ts_err *err);

#endif
