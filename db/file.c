/* Opening a database file and deciding whether it is ours.
 *
 * A file may come from anywhere, so nothing in it is believed: SQLite runs in its defensive mode,
 * views and triggers are off, and the schema must equal that of its version word for word, which
 * leaves no room for a generated column, check or index expression of somebody else. Rows are verified later
 * (row.c, read.c).
 *
 * An unsigned file is never opened except through SQLite: closing any other descriptor of it would drop the
 * POSIX locks of a writer in the same process. What can be said before SQLite looks is said from
 * stat().
 */
#include "file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- SQLite's errors ---- */

static const struct {
    int code; /* primary result code */
    ts_status status;
    const char *text; /* NULL: SQLite's own */
} sql_errors[] = {
    {SQLITE_NOTADB, TS_STATUS_CORRUPT,
     "it is not an SQLite database, or its first page is damaged"},
    {SQLITE_CORRUPT, TS_STATUS_CORRUPT, "the database is damaged; restore it or tune again"},
    {SQLITE_FORMAT, TS_STATUS_CORRUPT, "the database is damaged; restore it or tune again"},
    {SQLITE_TOOBIG, TS_STATUS_CORRUPT, "it holds a value larger than any of ours"},
    {SQLITE_NOMEM, TS_STATUS_OUT_OF_MEMORY, "out of memory"},
    {SQLITE_BUSY, TS_STATUS_IO, "another process keeps it locked"},
    {SQLITE_LOCKED, TS_STATUS_IO, "another process keeps it locked"},
    {SQLITE_CANTOPEN, TS_STATUS_IO, "no such folder, or no permission"},
    {SQLITE_CONSTRAINT, TS_STATUS_INVALID_ARGUMENT, NULL},
};

ts_status db_sql_fail(sqlite3 *db, int code, const char *path, const char *doing, ts_err *err) {
    ts_status status = TS_STATUS_IO;
    const char *text = NULL;
    for (size_t i = 0; i < sizeof sql_errors / sizeof sql_errors[0]; i++) {
        if (sql_errors[i].code != (code & 0xff)) continue;
        status = sql_errors[i].status;
        text = sql_errors[i].text;
        break;
    }
    const char *detail = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    if (!text) return ts_fail(err, status, "%s: cannot %s: %s", path, doing, detail);
    return ts_fail(err, status, "%s: cannot %s: %s (%s)", path, doing, text, detail);
}

ts_status db_sql_int(sqlite3 *db, const char *path, const char *sql, int64_t *out, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    ts_status status = TS_STATUS_OK;
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
    } else {
        status = db_sql_fail(db, code, path, "read", err);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* ---- is it ours? ---- */

static const char schema_query[] =
    "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name";

enum { SCHEMA_COLUMNS = 4 };

static bool same_schema_row(sqlite3_stmt *a, sqlite3_stmt *b) {
    for (int i = 0; i < SCHEMA_COLUMNS; i++) {
        const char *x = (const char *)sqlite3_column_text(a, i);
        const char *y = (const char *)sqlite3_column_text(b, i);
        if (!x || !y || strcmp(x, y) != 0) return false;
    }
    return true;
}

/* The text of a schema column for a message; bounded, since it comes from the file. */
static const char *schema_name(sqlite3_stmt *stmt, int code, int column) {
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, column) : NULL;
    return text ? text : "nothing";
}

ts_status db_file_schema_hash(sqlite3 *db, const char *path, char out[TS_HASH_HEX], ts_err *err) {
    sqlite3_stmt *rows = NULL;
    ts_hash hash;
    ts_hash_init(&hash);
    int code = sqlite3_prepare_v2(db, schema_query, -1, &rows, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(rows);
        for (int i = 0; code == SQLITE_ROW && i < SCHEMA_COLUMNS; i++) {
            const char *text = (const char *)sqlite3_column_text(rows, i);
            ts_hash_text(&hash, text ? text : "");
        }
    }
    ts_status status = code == SQLITE_DONE ? TS_STATUS_OK
                                           : db_sql_fail(db, code, path, "read the schema", err);
    sqlite3_finalize(rows);
    ts_hash_final(&hash, out);
    return status;
}

/* Compares with a database made in memory from schema.sql, so that there is no second list of
 * objects. */
static ts_status compare_schema(sqlite3 *db, const char *path, int64_t version, ts_err *err) {
    sqlite3 *model = NULL;
    sqlite3_stmt *want = NULL, *have = NULL;
    ts_status status = TS_STATUS_OK;

    int code = sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                               NULL);
    if (code == SQLITE_OK) code = sqlite3_exec(model, db_schema_sql, NULL, NULL, NULL);
    if (code == SQLITE_OK && version == 1) {
        code = sqlite3_exec(model, "DROP TABLE winner; DROP TABLE blob", NULL, NULL, NULL);
        if (code == SQLITE_OK) code = sqlite3_exec(model, db_schema_1_sql, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) code = sqlite3_prepare_v2(model, schema_query, -1, &want, NULL);
    if (code != SQLITE_OK) {
        status = db_sql_fail(model, code, "the built-in schema", "use it", err);
        goto done;
    }
    code = sqlite3_prepare_v2(db, schema_query, -1, &have, NULL);
    if (code != SQLITE_OK) {
        status = db_sql_fail(db, code, path, "read the schema", err);
        goto done;
    }
    for (;;) {
        int want_code = sqlite3_step(want), have_code = sqlite3_step(have);
        if (have_code != SQLITE_ROW && have_code != SQLITE_DONE) {
            status = db_sql_fail(db, have_code, path, "read the schema", err);
            goto done;
        }
        if (want_code != have_code || (want_code == SQLITE_ROW && !same_schema_row(want, have))) {
            status = ts_fail(err, TS_STATUS_CORRUPT,
                             "%s: its schema is not Tunesmith's: found %.20s %.60s where %s %s was "
                             "expected; refusing to use it",
                             path, schema_name(have, have_code, 0), schema_name(have, have_code, 1),
                             schema_name(want, want_code, 0), schema_name(want, want_code, 1));
            goto done;
        }
        if (want_code == SQLITE_DONE) break;
    }

done:
    sqlite3_finalize(want);
    sqlite3_finalize(have);
    sqlite3_close(model);
    return status;
}

static ts_status check_schema(sqlite3 *db, const char *path, int64_t version, ts_err *err) {
    char hash[TS_HASH_HEX];
    TS_TRY(db_file_schema_hash(db, path, hash, err));
    if (version == DB_USER_VERSION && strcmp(hash, DB_SCHEMA_HASH) == 0) return TS_STATUS_OK;
    return compare_schema(db, path, version, err);
}

ts_status db_file_check(sqlite3 *db, const char *path, ts_err *err) {
    int64_t application = 0, version = 0;
    TS_TRY(db_sql_int(db, path, "PRAGMA application_id", &application, err));
    if (application != DB_APPLICATION_ID) {
        return ts_fail(
            err, TS_STATUS_CORRUPT,
            "%s: an SQLite database of another application (id 0x%08x, Tunesmith's is 0x%08x)",
            path, (unsigned)application, (unsigned)DB_APPLICATION_ID);
    }
    TS_TRY(db_sql_int(db, path, "PRAGMA user_version", &version, err));
    if (version > DB_USER_VERSION) {
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%s: schema version %lld is newer than version %d, the newest this program knows; "
            "update Tunesmith",
            path, (long long)version, DB_USER_VERSION);
    }
    if (version < 1) {
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "%s: schema version %lld never existed; the file is damaged", path,
                       (long long)version);
    }
    return check_schema(db, path, version, err);
}

/* ---- opening ---- */

void db_file_harden(sqlite3 *db) {
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, (int *)NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH,
                  DB_BLOB_MAX_BYTES + 4096); /* a row holds more than its blob */
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    /* Page contents are checked as they are read, not when a query trips over them. */
    sqlite3_exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;", NULL, NULL, NULL);
}

/* True if SQLite keeps uncommitted or not yet checkpointed pages beside the file. */
static bool has_companion(const char *path) {
    static const char *const suffixes[] = {"-wal", "-journal"};
    bool found = false;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && !found; i++) {
        ts_buf name = {0};
        struct stat info;
        ts_buf_printf(&name, "%s%s", path, suffixes[i]);
        /* Out of memory counts as found: the slower way of opening is always right. */
        found = name.failed || stat(name.data, &info) == 0;
        ts_buf_free(&name);
    }
    return found;
}

/* "file:" URI of any path; `?`, `#` and `%` would otherwise be read as its syntax. */
static void append_uri(ts_buf *uri, const char *path, bool immutable) {
    ts_buf_printf(uri, "file:");
    for (const char *c = path; *c; c++) {
        bool authority = c == path + 1 && *c == '/'; /* "file://" would be read as a host name */
        bool plain = isalnum((unsigned char)*c) || (strchr("/._-", *c) && !authority);
        ts_buf_printf(uri, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    /* immutable: no locks, so the file may lie on a read-only medium. Right only while no writer is
     * at work; one that starts in between is noticed by the hashes. */
    ts_buf_printf(uri, immutable ? "?mode=ro&immutable=1" : "?mode=ro");
}

ts_status db_file_check_size(const char *path, ts_err *err) {
    enum { SMALLEST_PAGE = 512 };
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return TS_STATUS_OK; /* said by opening */
    if (info.st_size == 0 || info.st_size >= SMALLEST_PAGE) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_CORRUPT, "%s: %lld bytes are not an SQLite database", path,
                   (long long)info.st_size);
}

static ts_status open_unsigned(const char *path, bool companion, sqlite3 **out, ts_err *err) {
    ts_buf uri = {0};
    append_uri(&uri, path, !companion);
    int code = uri.failed
                   ? SQLITE_NOMEM
                   : sqlite3_open_v2(uri.data, out,
                                     SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                                     NULL);
    ts_buf_free(&uri);
    if (code != SQLITE_OK) return db_sql_fail(*out, code, path, "open", err);
    sqlite3_busy_timeout(*out, DB_BUSY_TIMEOUT_MS);
    return TS_STATUS_OK;
}

/* Reads exactly `bytes` into memory of SQLite's. No writer has a signed file open (write.c), so
 * closing a descriptor of it drops nobody's locks. */
static ts_status read_signed(const char *path, int64_t bytes, unsigned char **out, ts_err *err) {
    if (bytes > DB_SIGNED_MAX_BYTES)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "%s: %lld bytes are more than a signed file has",
                       path, (long long)bytes);
    unsigned char *file = sqlite3_malloc64((sqlite3_uint64)bytes);
    if (!file) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", path);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int64_t done = 0;
    for (ssize_t got = 1; descriptor >= 0 && done < bytes && got > 0; done += got > 0 ? got : 0)
        got = read(descriptor, file + done, (size_t)(bytes - done));
    if (descriptor >= 0) close(descriptor);
    if (done == bytes) return *out = file, TS_STATUS_OK;
    sqlite3_free(file);
    return ts_fail(err, TS_STATUS_IO, "%s: cannot read it: %s", path, strerror(errno));
}

static ts_status open_signed(const char *path, int64_t bytes, sqlite3 **out, db_public_key *signer,
                             ts_err *err) {
    unsigned char *file = NULL;
    TS_TRY(read_signed(path, bytes, &file, err));
    ts_status status = db_signature_check(file, (size_t)bytes, path, signer, err);
    if (status != TS_STATUS_OK) {
        sqlite3_free(file);
        return status;
    }
    sqlite3_int64 pages = bytes - DB_SIGNATURE_BYTES;
    int code = sqlite3_open_v2(":memory:", out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        sqlite3_free(file);
    } else { /* takes the memory even where it fails */
        code = sqlite3_deserialize(*out, "main", file, pages, pages,
                                   SQLITE_DESERIALIZE_READONLY | SQLITE_DESERIALIZE_FREEONCLOSE);
    }
    return code == SQLITE_OK ? TS_STATUS_OK : db_sql_fail(*out, code, path, "open", err);
}

ts_status db_file_open_read(const char *path, sqlite3 **out, bool *is_signed, db_public_key *signer,
                            ts_err *err) {
    struct stat info;
    if (stat(path, &info) != 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        return ts_fail(err, missing ? TS_STATUS_NOT_FOUND : TS_STATUS_IO, "no database at %s: %s",
                       path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: not a regular file, so not a database", path);
    }
    bool companion = has_companion(path);
    if (info.st_size == 0 && !companion) {
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: the file is empty; run tune to fill it", path);
    }
    TS_TRY(db_file_check_size(path, err));

    sqlite3 *db = NULL;
    *is_signed = db_size_is_signed(info.st_size);
    ts_status status = *is_signed ? open_signed(path, info.st_size, &db, signer, err)
                                  : open_unsigned(path, companion, &db, err);
    if (status == TS_STATUS_OK) {
        db_file_harden(db);
        status = db_file_check(db, path, err);
    }
    if (status == TS_STATUS_OK)
        *out = db;
    else
        sqlite3_close(db);
    return status;
}
