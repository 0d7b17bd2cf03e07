/* Several databases into one: opens the sources one after the other, reads each row as a stranger's
 * (row.c checks its hash) and hands it on (merge_row.c), all in one transaction of the target.
 *
 * Every source is opened once before the target is touched, so that a wrong name costs nothing. A
 * target that does not exist yet is written beside its place and linked there when it is whole. A
 * temporary table knows the file that a winner came from, for the report.
 */
#include "merge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "merger.h"

/* ---- a source ---- */

/* Loads and stores the row that `stmt` stands on; a damaged one is skipped with a note. */
static ts_status merge_row(db_merger *m, const db_merge_kind *kind, sqlite3_stmt *stmt,
                           ts_err *err) {
    ts_arena arena = {0};
    db_merge_row row = {0};
    ts_err damage;
    ts_status status = kind->load(m, stmt, &arena, &row, &damage);
    if (status == TS_STATUS_OK) {
        status = kind->store(m, db_record_head(stmt), &row, err);
    } else if (status == TS_STATUS_CORRUPT) {
        size_t *counts = (void *)((char *)&m->report + kind->counts);
        counts[DB_MERGE_SKIPPED]++;
        db_merge_note_skipped(m, m->files[m->file], damage.message);
        status = TS_STATUS_OK;
    } else {
        ts_fail(err, status, "%s: %s", m->files[m->file], damage.message);
    }
    ts_arena_free(&arena);
    return status;
}

/* In the order of row ids, which makes SQLite walk the table itself: an index may be damaged. */
static ts_status merge_rows(db_merger *m, sqlite3 *db, const db_merge_kind *kind, ts_err *err) {
    const char *path = m->files[m->file];
    sqlite3_stmt *stmt = NULL;
    ts_status status = db_record_prepare(db, path, kind->record, "ORDER BY 1", &stmt, err);
    while (status == TS_STATUS_OK) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_DONE) break;
        if (code != SQLITE_ROW)
            status = db_sql_fail(db, code, path, "read its rows", err);
        else if (*m->interrupted)
            status = ts_fail(err, TS_STATUS_CANCELLED, "interrupted: nothing was merged");
        else
            status = merge_row(m, kind, stmt, err);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* Rows that are lost rather than damaged are seen by SQLite alone, which compares tables and indexes. */
static ts_status check_structure(db_merger *m, sqlite3 *db, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *path = m->files[m->file];
    int code = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    ts_status status = code == SQLITE_ROW ? TS_STATUS_OK
                                          : db_sql_fail(db, code, path, "check its tables", err);
    const char *found = status == TS_STATUS_OK ? (const char *)sqlite3_column_text(stmt, 0) : "ok";
    if (!found || strcmp(found, "ok") != 0) {
        ts_err damage;
        ts_fail(&damage, TS_STATUS_CORRUPT, "SQLite says \"%.150s\", rows may be missing",
                found ? found : "");
        db_merge_note_skipped(m, path, damage.message);
    }
    sqlite3_finalize(stmt);
    return status;
}

static ts_status merge_file(db_merger *m, ts_err *err) {
    const char *path = m->files[m->file];
    sqlite3 *db = NULL;
    bool is_signed;
    db_public_key signer;
    TS_TRY(db_file_open_read(path, &db, &is_signed, &signer, err));
    /* One transaction: rows of the same moment, though a tuner may be writing. */
    int code = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    ts_status status = code == SQLITE_OK ? TS_STATUS_OK : db_sql_fail(db, code, path, "read", err);
    if (status == TS_STATUS_OK && !is_signed) status = check_structure(m, db, err);
    ts_buf_clear(&m->places);
    for (size_t i = 0; i < DB_MERGE_KINDS && status == TS_STATUS_OK; i++)
        status = merge_rows(m, db, &db_merge_kinds[i], err);
    sqlite3_close(db);
    return status;
}

static ts_status check_sources(const char *const *files, size_t count, ts_err *err) {
    for (size_t i = 0; i < count; i++) {
        sqlite3 *db = NULL;
        bool is_signed;
        db_public_key signer;
        TS_TRY(db_file_open_read(files[i], &db, &is_signed, &signer, err));
        sqlite3_close(db);
    }
    return TS_STATUS_OK;
}

/* ---- the target ---- */

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Moves the list of decisions to its place. */
static ts_status finish_report(db_merger *m, ts_err *err) {
    db_merge_report *report = &m->report;
    report->decision_count = m->decisions.bytes / sizeof *report->decisions;
    report->decisions = ts_arena_alloc(&report->arena, m->decisions.bytes);
    if (!report->decisions || m->decisions.failed || m->places.failed)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for the report of a merge");
    if (m->decisions.bytes) memcpy(report->decisions, m->decisions.data, m->decisions.bytes);
    return TS_STATUS_OK;
}

static ts_status merge_files(db_merger *m, const char *into, size_t count, ts_err *err) {
    static const char begin[] =
        "PRAGMA temp_store = MEMORY;"
        "CREATE TEMP TABLE origin (winner INTEGER PRIMARY KEY, file INTEGER NOT NULL);"
        "BEGIN IMMEDIATE";
    int code = sqlite3_exec(m->w->db, begin, NULL, NULL, NULL);
    ts_status status = TS_STATUS_OK;
    for (m->file = 0; m->file < count && code == SQLITE_OK && status == TS_STATUS_OK; m->file++)
        if (!same_file(m->files[m->file], into)) status = merge_file(m, err);
    if (code == SQLITE_OK && status == TS_STATUS_OK) status = finish_report(m, err);
    for (size_t i = 0; i < DB_MERGE_QUERIES; i++) sqlite3_finalize(m->queries[i]);
    if (code == SQLITE_OK && status == TS_STATUS_OK)
        code = sqlite3_exec(m->w->db, "COMMIT", NULL, NULL, NULL);
    if (code != SQLITE_OK) status = db_sql_fail(m->w->db, code, into, "merge into it", err);
    if (!sqlite3_get_autocommit(m->w->db)) sqlite3_exec(m->w->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static ts_status merge_into(const char *file, const char *const *files, size_t count,
                            const volatile sig_atomic_t *interrupted, db_merge_report *out,
                            ts_err *err) {
    db_merger m = {.files = files, .interrupted = interrupted};
    ts_status status = db_writer_open(file, &m.w, err);
    if (status == TS_STATUS_OK) status = merge_files(&m, file, count, err);
    db_writer_close(m.w);
    ts_buf_free(&m.places);
    ts_buf_free(&m.decisions);
    if (status == TS_STATUS_OK)
        *out = m.report;
    else
        db_merge_report_free(&m.report);
    return status;
}

static ts_status merge_into_new(const char *into, const char *const *files, size_t count,
                                const volatile sig_atomic_t *interrupted, db_merge_report *out,
                                ts_err *err) {
    ts_buf file = {0};
    ts_buf_printf(&file, "%s.%ld.new", into, (long)getpid());
    if (file.failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a path");
    ts_status status = merge_into(file.data, files, count, interrupted, out, err);
    /* link, not rename: a file that appeared meanwhile is not replaced. */
    if (status == TS_STATUS_OK && link(file.data, into) != 0) {
        status = ts_fail(err, TS_STATUS_IO, "cannot make %s: %m", into);
        db_merge_report_free(out);
    }
    unlink(file.data);
    ts_buf_free(&file);
    return status;
}

ts_status db_merge(const char *into, const char *const *files, size_t count,
                   const volatile sig_atomic_t *interrupted, db_merge_report *out, ts_err *err) {
    struct stat info;
    TS_TRY(check_sources(files, count, err));
    bool is_new = lstat(into, &info) != 0;
    return (is_new ? merge_into_new : merge_into)(into, files, count, interrupted, out, err);
}

void db_merge_report_free(db_merge_report *report) {
    if (!report) return;
    ts_arena_free(&report->arena);
    *report = (db_merge_report){0};
}
