/* Compiled kernels kept between runs: one file each, below the user's cache folder.
 *
 * The key is the source, the options and the compiler with its version, so an entry is never out of
 * date, only unused. Nothing depends on the cache: what cannot be read is compiled, what cannot be
 * written is not kept. Safe for any number of processes: entries appear by rename. */
#ifndef TUNER_COMPILE_CACHE_H
#define TUNER_COMPILE_CACHE_H

#include "../db/base.h"

typedef struct tuner_compile_cache {
    char folder[400]; /* "": no cache */
} tuner_compile_cache;

/* TUNESMITH_CACHE, else tunesmith below XDG_CACHE_HOME or ~/.cache; an empty TUNESMITH_CACHE turns
 * the cache off, and so does a folder that belongs to someone else or that others can write: what
 * lies there is run. */
void tuner_compile_cache_open(tuner_compile_cache *cache);
/* Fills *out with the bytes stored under the key; false if there are none, or they are not what was
 * stored. */
bool tuner_compile_cache_get(const tuner_compile_cache *cache, const char *key, ts_buf *out);
void tuner_compile_cache_put(const tuner_compile_cache *cache, const char *key, const void *data,
                             size_t bytes);
/* Removes what was not used for longest until at most `max_bytes` are left. */
void tuner_compile_cache_prune(const tuner_compile_cache *cache, int64_t max_bytes);

#endif
