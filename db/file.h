/* An SQLite file as Tunesmith's: opening, recognising, refusing. Shared by reader and writer,
 * internal to db/. */
#ifndef DB_FILE_H
#define DB_FILE_H

#include <sqlite3.h>

#include "signature.h"
#include "store.h"

extern const char db_schema_sql[];   /* schema.sql (schema.c) */
extern const char db_schema_1_sql[]; /* schema_1.sql: the tables that were other in version 1 */

enum {
    /* Longer values are refused on both sides. Text: launch data and evidence are the long ones,
     * tens of KiB. Blob: the largest real kernels are a few MiB. */
    DB_TEXT_MAX_BYTES = 4 << 20,
    DB_BLOB_MAX_BYTES = 128 << 20,
    DB_SIGNED_MAX_BYTES = 1 << 30, /* a signed file is held in memory while it is read */
    /* A result's transaction takes milliseconds; only a stopped process holds the lock for this
       long. */
    DB_BUSY_TIMEOUT_MS = 30000,
};

/* Fills *err for the failure `code` of SQLite while `doing` something to `path`; `db` may be NULL.
 */
ts_status db_sql_fail(sqlite3 *db, int code, const char *path, const char *doing, ts_err *err);

/* Reads one integer ("PRAGMA user_version"). */
ts_status db_sql_int(sqlite3 *db, const char *path, const char *sql, int64_t *out, ts_err *err);

/* Opens an existing file read-only and untrusted, and checks that it is ours (db_file_check).
 * NOT_FOUND: no file. CORRUPT: empty, not SQLite, another application's, damaged. UNSUPPORTED:
 * newer schema version. A signed file is read into memory at once and checked, so what was checked
 * is what is used: CORRUPT if it was changed; *is_signed and *signer say who signed. *out is closed
 * with sqlite3_close. */
ts_status db_file_open_read(const char *path, sqlite3 **out, bool *is_signed, db_public_key *signer,
                            ts_err *err);

/* CORRUPT for a file too short to be a database. SQLite takes one byte for an empty database, and a
 * writer would fill it. */
ts_status db_file_check_size(const char *path, ts_err *err);

/* Hardening that both sides want: nothing that a file's schema says is executed, values are
 * bounded. */
void db_file_harden(sqlite3 *db);

/* The hash of the schema that schema.sql makes. A file that has it needs no comparison with that
 * schema made anew, which is a seventh of what a shipped file takes to open; any other file is
 * compared. So a hash that is out of date costs time only, and tests/db/file_test.c says the right
 * one. */
#define DB_SCHEMA_HASH "2a324d8e04c51012bbf5324b2c6ea9dc1fe9961076ac29da8e60ab0f81749670"
/* The hash of a file's own schema, to compare with that. */
ts_status db_file_schema_hash(sqlite3 *db, const char *path, char out[TS_HASH_HEX], ts_err *err);

/* Checks application id, schema version, and that the schema is exactly that of its version: no
 * views, no triggers, no other tables. */
ts_status db_file_check(sqlite3 *db, const char *path, ts_err *err);

/* Brings a checked file of an older schema version to the newest, in one transaction: killed in
 * between, the file is what it was. Foreign keys must be off. Does nothing to a new file. */
ts_status db_file_migrate(sqlite3 *db, const char *path, ts_err *err);

#endif
