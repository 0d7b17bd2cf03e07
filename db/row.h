/* The stored records as tables of their fields: one list drives binding, reading, hashing and
 * export. Internal to db/. */
#ifndef DB_ROW_H
#define DB_ROW_H

#include <sqlite3.h>

#include "store.h"

typedef enum db_type { DB_TEXT, DB_INT32, DB_INT64, DB_BOOL, DB_REAL } db_type;

typedef struct db_field {
    const char *parameter; /* SQL parameter ":time_us"; past the colon its name in JSON */
    const char *source;    /* the expression that reads it, in the record's own FROM clause */
    db_type type;
    size_t offset;      /* in the C struct */
    int since;          /* schema version that added it; 0: always there */
    const char *absent; /* its value in an older file; this value is not hashed, so that rows keep
                           their hash */
} db_field;

typedef struct db_record {
    const char *name;   /* "winner"; also opens the hash */
    const char *select; /* id, kernel_id, stored hash, hash of the kernel or blob it stands on */
    const char
        *from; /* FROM clause; outer joins, so that a row with a broken reference is still seen */
    const db_field *fields;
    size_t field_count;
    /* Columns behind the fields, NULL for none: now, and what stands for them in version 1. They are
     * read only by who asks for them. */
    const char *more, *more_1;
} db_record;

extern const db_record db_kernel_record; /* of db_kernel; blob and hash are not fields */
extern const db_record db_result_record; /* of db_result */
extern const db_record db_winner_record; /* of db_winner */

/* Columns of a statement before the fields. */
enum { DB_HEAD_COLUMNS = 4 };

/* What a row has beside its record's fields. */
typedef struct db_row_head {
    int64_t id, kernel_id;
    const char *hash,
        *base_hash; /* "" where NULL in the file; borrowed from the statement until it moves */
} db_row_head;

/* Prepares "SELECT <head>, <fields> FROM ... <tail>". Finalize *out. */
ts_status db_record_prepare(sqlite3 *db, const char *path, const db_record *record,
                            const char *tail, sqlite3_stmt **out, ts_err *err);

/* Reads the head of the current row. */
db_row_head db_record_head(sqlite3_stmt *stmt);

/* Reads the current row of such a statement into *row, strings into `arena`. CORRUPT: a value of the wrong
 * type or size; then *row must not be used. */
ts_status db_record_read(sqlite3_stmt *stmt, const db_record *record, ts_arena *arena, void *row,
                         ts_err *err);

/* The same, and checks the row against its hash: CORRUPT if it has another. */
ts_status db_record_load(sqlite3_stmt *stmt, const db_record *record, ts_arena *arena, void *row,
                         ts_err *err);

/* Copies what the kernel row that `stmt` stands on says of its code into `arena`, for
 * db_kernel_unpack; sets stored, id and hash of *kernel. CORRUPT: missing, or larger than any of
 * ours. */
ts_status db_kernel_load_stored(sqlite3_stmt *stmt, ts_arena *arena, db_kernel *kernel,
                                ts_err *err);

/* Binds every field that `stmt` has a parameter for; text is borrowed until the statement has run.
 * Returns an SQLite code. NaN and NULL text are stored as NULL and ''. */
int db_record_bind(sqlite3_stmt *stmt, const db_record *record, const void *row);

/* The row's hash: record name, every field, and `base_hash`, the hash of what the row stands on (a
 * kernel's blob; a result's or winner's kernel, "" for none). Equal on every machine. */
void db_record_hash(const db_record *record, const void *row, const char *base_hash,
                    char hex[TS_HASH_HEX]);

/* Hash of blob content. */
void db_blob_hash(const void *blob, size_t bytes, char hex[TS_HASH_HEX]);

/* INVALID_ARGUMENT naming the field whose text is longer than a reader accepts. */
ts_status db_record_check(const db_record *record, const void *row, ts_err *err);

#endif
