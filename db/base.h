/* Shared C of all parts: error helper, growable buffer, arena, hash. No SQLite, no Lua, no CUDA here. */
#ifndef DB_BASE_H
#define DB_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Fills *err (if not NULL) with `status` and the formatted message (cut at its size); returns `status`,
 * so that a failing function ends with `return ts_fail(err, TS_STATUS_IO, "...", ...)`. */
ts_status ts_fail(ts_err *err, ts_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Constant text of a status ("not found"). Never NULL. */
const char *ts_status_text(ts_status status);

/* Propagates a failure: TS_TRY(call(..., err)); only where nothing needs cleaning up. */
#define TS_TRY(call)                                               \
    do {                                                           \
        ts_status ts_try_status_ = (call);                         \
        if (ts_try_status_ != TS_STATUS_OK) return ts_try_status_; \
    } while (0)

/* Growable byte buffer, always NUL-terminated after the last byte (not counted in `bytes`).
 * Zero-initialise; free with ts_buf_free. A failed allocation sets `failed` and makes later appends
 * no-ops, so a builder checks once at its end. */
typedef struct ts_buf {
    char *data;
    size_t bytes, capacity;
    bool failed;
} ts_buf;

void ts_buf_append(ts_buf *buf, const void *data, size_t bytes);
void ts_buf_printf(ts_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ts_buf_clear(ts_buf *buf); /* keeps the memory */
void ts_buf_free(ts_buf *buf);  /* also resets to the zero state */

/* Arena: many small allocations with one lifetime. Zero-initialise; memory is zeroed, 16-byte aligned,
 * and lives until ts_arena_free. Returns NULL when out of memory. Not thread-safe. */
typedef struct ts_arena {
    struct ts_arena_block *head;
} ts_arena;

void *ts_arena_alloc(ts_arena *arena, size_t bytes);
char *ts_arena_strdup(ts_arena *arena, const char *text);
char *ts_arena_printf(ts_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ts_arena_free(ts_arena *arena);

/* Content hash: BLAKE2b-256 (libsodium), printed as 64 hex digits. ts_hash_part hashes the length
 * before the bytes, so ("ab","c") and ("a","bc") differ. */
#define TS_HASH_HEX 65 /* 64 digits and NUL */

typedef struct ts_hash {
    _Alignas(64) unsigned char state[384]; /* crypto_generichash_state; size checked in base.c */
} ts_hash;

void ts_hash_init(ts_hash *hash);
void ts_hash_part(ts_hash *hash, const void *data, size_t bytes);
void ts_hash_text(ts_hash *hash, const char *text); /* NULL hashes as "" */
void ts_hash_final(ts_hash *hash, char hex[TS_HASH_HEX]);

/* Reads a whole file into *out (appended). Error names the path. */
ts_status ts_file_read(const char *path, ts_buf *out, ts_err *err);
/* Writes a whole file atomically: temporary file beside it, fsync, rename. Error names the path. */
ts_status ts_file_write(const char *path, const void *data, size_t bytes, ts_err *err);

#endif
