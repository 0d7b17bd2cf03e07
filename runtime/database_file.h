/* Which database files to open, and whether they are trusted. */
#ifndef RUNTIME_DATABASE_FILE_H
#define RUNTIME_DATABASE_FILE_H

#include "../db/store.h"

enum { RT_PATH_BYTES = 4096, RT_LAYERS = 2 };

typedef struct rt_place {
    char path[RT_PATH_BYTES];
    bool is_system; /* of the system's folder: needs a trusted signature */
} rt_place;

/* `path` itself if not NULL; else TUNESMITH_DB; else what there is of the user's file and the
 * system's, in this order, as layers. The working directory is never searched. NOT_FOUND lists
 * where it looked. */
ts_status rt_database_find(const char *path, rt_place out[RT_LAYERS], size_t *count, ts_err *err);

/* Loads a file that is trusted: signed by a pinned key (pinned_keys.h), or the user's own or root's
 * and, if its code is `native`, writable by nobody else. UNSUPPORTED: not trusted. Free the image
 * with db_image_free; code is unpacked when it is wanted (db_kernel_unpack). */
ts_status rt_database_load(const rt_place *place, bool native, const char *const *targets,
                           db_image *image, ts_err *err);

#endif
