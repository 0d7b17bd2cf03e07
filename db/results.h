/* Every result of a database, for who takes them elsewhere. */
#ifndef DB_RESULTS_H
#define DB_RESULTS_H

#include "store.h"

/* Calls back for every result of the file, which is read as db_image_load reads it (a signed one
 * too): those of one (problem, target, device name) one after the other, oldest first. Strings live
 * during the call; a status other than OK ends the walk and is returned. Rows that fail their hash
 * are left out and counted in *damaged. Errors: those of db_image_load. */
ts_status db_results_each(const char *path,
                          ts_status (*each)(void *context, const db_result *result, ts_err *err),
                          void *context, size_t *damaged, ts_err *err);

#endif
