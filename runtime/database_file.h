/* Which database file to open, and whether native code from it may run. */
#ifndef RUNTIME_DATABASE_FILE_H
#define RUNTIME_DATABASE_FILE_H

#include <sys/stat.h>

#include "../db/base.h"

enum { RT_PATH_BYTES = 4096 };

/* `path` itself if not NULL; else TUNESMITH_DB; else the first that exists of the user's data
 * directory and the system's. The working directory is never searched. NOT_FOUND lists where it
 * looked. */
ts_status rt_database_find(const char *path, char out[RT_PATH_BYTES], ts_err *err);

/* Refuses (UNSUPPORTED) a file that somebody other than this user and root could have written.
 * *seen is its state, for rt_database_unchanged. */
ts_status rt_database_trusted(const char *path, struct stat *seen, ts_err *err);
/* Was `path` still the same file in the same state after it was read? UNSUPPORTED if not. */
ts_status rt_database_unchanged(const char *path, const struct stat *seen, ts_err *err);

#endif
