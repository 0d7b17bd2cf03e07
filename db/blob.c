/* The compiled code of a kernel: found, unpacked and checked.
 *
 * A packed blob is hostile too. Its size is promised twice, by the row and by the zstd frame; both
 * must say the same and keep to the limit before memory is taken, and unpacking writes into exactly
 * that much.
 */
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

/* What the row says about its code; `bytes` is borrowed from the statement. */
typedef struct stored_blob {
    const void *bytes; /* NULL if there are none */
    size_t stored_bytes;
    int64_t raw_bytes;
    bool packed;
} stored_blob;

/* False: not a blob that we write, or larger than any of ours. */
static bool read_stored(sqlite3_stmt *stmt, stored_blob *out) {
    const int bytes = DB_HEAD_COLUMNS + (int)db_kernel_record.field_count;
    const char *codec = (const char *)sqlite3_column_text(stmt, bytes + 1);
    if (sqlite3_column_type(stmt, bytes) != SQLITE_BLOB) return false;
    out->bytes = sqlite3_column_blob(stmt, bytes);
    out->stored_bytes = (size_t)sqlite3_column_bytes(stmt, bytes);
    out->raw_bytes = sqlite3_column_int64(stmt, bytes + 2);
    out->packed = codec && strcmp(codec, "zstd") == 0;
    if (!codec || (!out->packed && strcmp(codec, "none") != 0)) return false;
    if (out->raw_bytes < 0 || out->raw_bytes > DB_BLOB_MAX_BYTES) return false;
    if (!out->packed) return out->stored_bytes == (size_t)out->raw_bytes;
    return ZSTD_getFrameContentSize(out->bytes, out->stored_bytes) ==
               (unsigned long long)out->raw_bytes &&
           ZSTD_findFrameCompressedSize(out->bytes, out->stored_bytes) == out->stored_bytes;
}

static bool unpack(const stored_blob *stored, void *out) {
    size_t raw = (size_t)stored->raw_bytes;
    if (stored->packed)
        return ZSTD_decompress(out, raw, stored->bytes, stored->stored_bytes) == raw;
    if (raw) memcpy(out, stored->bytes, raw);
    return true;
}

ts_status db_kernel_load_blob(sqlite3_stmt *stmt, ts_arena *arena, db_kernel *kernel, ts_err *err) {
    db_row_head head = db_record_head(stmt);
    stored_blob stored;
    char hash[TS_HASH_HEX] = "";
    void *code = NULL;
    bool good = read_stored(stmt, &stored);
    if (good) {
        code = ts_arena_alloc(arena, (size_t)stored.raw_bytes);
        if (!code)
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY,
                           "out of memory reading a blob of %lld bytes",
                           (long long)stored.raw_bytes);
        good = unpack(&stored, code);
    }
    if (good) db_blob_hash(code, (size_t)stored.raw_bytes, hash);
    if (strcmp(hash, head.base_hash) != 0 || !good)
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "the blob of kernel row %lld does not match its hash", (long long)head.id);
    char *own_hash = ts_arena_strdup(arena, head.hash);
    if (!own_hash) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory reading a blob");
    kernel->id = head.id;
    kernel->hash = own_hash;
    kernel->blob = code;
    kernel->blob_bytes = (size_t)stored.raw_bytes;
    return TS_STATUS_OK;
}
