/* The compiled code of a kernel: found, unpacked and checked.
 *
 * A packed blob is hostile too. Its size is promised twice, by the row and by the zstd frame; both
 * must say the same and keep to the limit before memory for it is taken, and unpacking writes into exactly
 * that much.
 */
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "file.h"
#include "row.h"

void db_blob_hash(const void *blob, size_t bytes, char hex[TS_HASH_HEX]) {
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_part(&hash, blob, bytes);
    ts_hash_final(&hash, hex);
}

/* What a row says about its code. */
typedef struct db_stored_blob {
    int64_t row; /* of the kernel, for messages */
    char hash[TS_HASH_HEX];
    size_t raw_bytes, stored_bytes;
    bool packed;
    unsigned char bytes[];
} db_stored_blob;

static ts_status bad_blob(int64_t row, ts_err *err) {
    return ts_fail(err, TS_STATUS_CORRUPT, "the blob of kernel row %lld does not match its hash",
                   (long long)row);
}

/* Do the sizes fit together and keep to the limit? */
static bool is_plausible(const db_stored_blob *b) {
    if (!b->packed) return b->stored_bytes == b->raw_bytes;
    return ZSTD_getFrameContentSize(b->bytes, b->stored_bytes) == b->raw_bytes &&
           ZSTD_findFrameCompressedSize(b->bytes, b->stored_bytes) == b->stored_bytes;
}

ts_status db_kernel_load_stored(sqlite3_stmt *stmt, ts_arena *arena, db_kernel *kernel,
                                ts_err *err) {
    const int column = DB_HEAD_COLUMNS + (int)db_kernel_record.field_count;
    db_row_head head = db_record_head(stmt);
    const char *codec = (const char *)sqlite3_column_text(stmt, column + 1);
    int64_t raw_bytes = sqlite3_column_int64(stmt, column + 2);
    if (sqlite3_column_type(stmt, column) != SQLITE_BLOB)
        return ts_fail(err, TS_STATUS_CORRUPT, "kernel row %lld has no blob", (long long)head.id);
    const void *bytes = sqlite3_column_blob(stmt, column); /* NULL if there are none */
    size_t stored_bytes = (size_t)sqlite3_column_bytes(stmt, column);
    bool packed = codec && strcmp(codec, "zstd") == 0;
    if (!codec || (!packed && strcmp(codec, "none") != 0) || raw_bytes < 0 ||
        raw_bytes > DB_BLOB_MAX_BYTES || stored_bytes > DB_BLOB_MAX_BYTES)
        return bad_blob(head.id, err);
    db_stored_blob *stored = ts_arena_alloc(arena, sizeof *stored + stored_bytes);
    char *own_hash = ts_arena_strdup(arena, head.hash);
    if (!stored || !own_hash)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory reading a blob of %zu bytes",
                       stored_bytes);
    *stored = (db_stored_blob){.row = head.id,
                               .raw_bytes = (size_t)raw_bytes,
                               .stored_bytes = stored_bytes,
                               .packed = packed};
    snprintf(stored->hash, sizeof stored->hash, "%s", head.base_hash);
    if (stored_bytes) memcpy(stored->bytes, bytes, stored_bytes);
    if (!is_plausible(stored)) return bad_blob(head.id, err);
    kernel->id = head.id;
    kernel->hash = own_hash;
    kernel->stored = stored;
    return TS_STATUS_OK;
}

ts_status db_kernel_unpack(db_kernel *kernel, ts_arena *arena, ts_err *err) {
    const db_stored_blob *stored = kernel->stored;
    if (!stored) return TS_STATUS_OK;
    const void *code = stored->bytes;
    if (stored->packed) {
        void *space = ts_arena_alloc(arena, stored->raw_bytes);
        if (!space)
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory for a blob of %zu bytes",
                           stored->raw_bytes);
        code = space;
        if (ZSTD_decompress(space, stored->raw_bytes, stored->bytes, stored->stored_bytes) !=
            stored->raw_bytes)
            return bad_blob(stored->row, err);
    }
    char hash[TS_HASH_HEX];
    db_blob_hash(code, stored->raw_bytes, hash);
    if (strcmp(hash, stored->hash) != 0) return bad_blob(stored->row, err);
    kernel->blob = code;
    kernel->blob_bytes = stored->raw_bytes;
    kernel->stored = NULL;
    return TS_STATUS_OK;
}
