/* Tuning into a database on a network file system: on a copy that lies on this machine.
 *
 * SQLite's locks and its shared memory cannot be relied on over NFS and its like. The copy is
 * written as usual, one committed row a result, and replaces the original in one rename at the end.
 * A killed run leaves its copy, and the next run on this machine goes on with it. */
#ifndef TUNER_LOCAL_COPY_H
#define TUNER_LOCAL_COPY_H

#include <stdint.h>

#include "../db/base.h"

typedef struct tuner_local_copy {
    const char *kind; /* "nfs"; NULL: the database is on a local disk and no copy was made */
    char *path;       /* of the copy; NULL without one */
    char *original;
    int64_t bytes, changed_ns; /* of the original when it was copied; -1: there was none */
} tuner_local_copy;

/* Name of the network file system that `path`, or the nearest folder above it that exists, lies
 * on; NULL for a local one. */
const char *tuner_network_filesystem(const char *path);

/* Copies the database if it lies on a network file system. IO: no folder of this machine to copy
 * to, or the copy fails; the message says what to set. Free with tuner_local_copy_free. */
ts_status tuner_local_copy_make(const char *path, tuner_local_copy *out, ts_err *err);
/* Replaces the original by the copy and removes the copy; does nothing without one. IO also where
 * the original was changed meanwhile: both files stay, the message names them. */
ts_status tuner_local_copy_publish(tuner_local_copy *copy, ts_err *err);
void tuner_local_copy_free(tuner_local_copy *copy);

#endif
