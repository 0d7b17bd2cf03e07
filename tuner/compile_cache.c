/* The cache's folder: 256 folders by the key's first digits, in each one file an entry, which begins
 * with the hash of the rest. An entry's modification time is when it was last used. */
#include "compile_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ENTRY_BYTES = 64 << 20, DIGITS = TS_HASH_HEX - 1 };

static bool make_folder(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        bool failed = mkdir(path, 0700) != 0 && errno != EEXIST;
        *slash = '/';
        if (failed) return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool is_ours_alone(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
           (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

void tuner_compile_cache_open(tuner_compile_cache *cache) {
    const char *chosen = getenv("TUNESMITH_CACHE"), *base = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    cache->folder[0] = '\0';
    if (chosen)
        length = snprintf(cache->folder, sizeof cache->folder, "%s", chosen);
    else if (base && *base)
        length = snprintf(cache->folder, sizeof cache->folder, "%s/tunesmith", base);
    else if (home && *home)
        length = snprintf(cache->folder, sizeof cache->folder, "%s/.cache/tunesmith", home);
    if (length <= 0 || (size_t)length >= sizeof cache->folder || !make_folder(cache->folder) ||
        !is_ours_alone(cache->folder))
        cache->folder[0] = '\0';
}

static void entry_path(const tuner_compile_cache *cache, const char *key, char path[512]) {
    snprintf(path, 512, "%s/%.2s/%s", cache->folder, key, key + 2);
}

static bool read_file(const char *path, ts_buf *out) {
    char chunk[65536];
    ssize_t got = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return false;
    while (out->bytes <= MAX_ENTRY_BYTES && (got = read(file, chunk, sizeof chunk)) > 0)
        ts_buf_append(out, chunk, (size_t)got);
    if (got == 0) futimens(file, NULL); /* used now */
    close(file);
    return got == 0 && !out->failed;
}

static void hash_of(const void *data, size_t bytes, char hex[TS_HASH_HEX]) {
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_part(&hash, data, bytes);
    ts_hash_final(&hash, hex);
}

bool tuner_compile_cache_get(const tuner_compile_cache *cache, const char *key, ts_buf *out) {
    char path[512], hex[TS_HASH_HEX];
    ts_buf file = {0};
    if (!cache->folder[0]) return false;
    entry_path(cache, key, path);
    bool good = read_file(path, &file) && file.bytes >= DIGITS;
    if (good) {
        hash_of(file.data + DIGITS, file.bytes - DIGITS, hex);
        good = memcmp(hex, file.data, DIGITS) == 0;
        if (good) ts_buf_append(out, file.data + DIGITS, file.bytes - DIGITS);
    }
    ts_buf_free(&file);
    return good && !out->failed;
}

static bool write_all(int file, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes > 0) {
        ssize_t done = write(file, at, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        at += done;
        bytes -= (size_t)done;
    }
    return true;
}

void tuner_compile_cache_put(const tuner_compile_cache *cache, const char *key, const void *data,
                             size_t bytes) {
    char path[512], temporary[600], hex[TS_HASH_HEX];
    if (!cache->folder[0] || bytes > MAX_ENTRY_BYTES - DIGITS) return;
    entry_path(cache, key, path);
    snprintf(temporary, sizeof temporary, "%s/%.2s", cache->folder, key);
    if (mkdir(temporary, 0700) != 0 && errno != EEXIST) return;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0) return;
    hash_of(data, bytes, hex);
    bool written = write_all(file, hex, DIGITS) && write_all(file, data, bytes);
    written = close(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) unlink(temporary);
}

/* ---- pruning ---- */

typedef struct old_entry {
    char *path;
    int64_t used, bytes;
} old_entry;

static int oldest_first(const void *a, const void *b) {
    const old_entry *x = a, *y = b;
    return (x->used > y->used) - (x->used < y->used);
}

static size_t list_entries(const tuner_compile_cache *cache, old_entry **out, int64_t *total) {
    char *roots[] = {(char *)(uintptr_t)cache->folder, NULL};
    size_t count = 0, capacity = 0;
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    for (FTSENT *at; tree && (at = fts_read(tree));) {
        if (at->fts_info != FTS_F || at->fts_level != 2) continue;
        if (count == capacity) {
            old_entry *grown = realloc(*out, (2 * capacity + 256) * sizeof **out);
            if (!grown) break;
            *out = grown;
            capacity = 2 * capacity + 256;
        }
        char *path = strdup(at->fts_path);
        if (!path) break;
        (*out)[count++] = (old_entry){path, at->fts_statp->st_mtime, at->fts_statp->st_size};
        *total += at->fts_statp->st_size;
    }
    if (tree) fts_close(tree);
    return count;
}

void tuner_compile_cache_prune(const tuner_compile_cache *cache, int64_t max_bytes) {
    old_entry *entries = NULL;
    int64_t total = 0;
    if (!cache->folder[0]) return;
    size_t count = list_entries(cache, &entries, &total);
    if (total > max_bytes) qsort(entries, count, sizeof *entries, oldest_first);
    for (size_t i = 0; i < count; i++) {
        if (total > max_bytes && unlink(entries[i].path) == 0) total -= entries[i].bytes;
        free(entries[i].path);
    }
    free(entries);
}
