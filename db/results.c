/* A walk over all results of a file, place by place; nothing is written.
 *
 * Sorted by text, so that the order depends on the rows alone. The sort is SQLite's own: a large
 * database need not fit into memory.
 */
#include "results.h"

#include "file.h"
#include "row.h"

/* The row that `stmt` stands on. */
static ts_status take_row(sqlite3_stmt *stmt,
                          ts_status (*each)(void *context, const db_result *result, ts_err *err),
                          void *context, size_t *damaged, ts_err *err) {
    ts_arena strings = {0};
    db_result result = {0};
    ts_status status = db_record_load(stmt, &db_result_record, &strings, &result, err);
    if (status == TS_STATUS_OK) {
        result.kernel_id = db_record_head(stmt).kernel_id;
        status = each(context, &result, err);
    } else if (status == TS_STATUS_CORRUPT) {
        ++*damaged;
        status = TS_STATUS_OK;
    }
    ts_arena_free(&strings);
    return status;
}

ts_status db_results_each(const char *path,
                          ts_status (*each)(void *context, const db_result *result, ts_err *err),
                          void *context, size_t *damaged, ts_err *err) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    bool is_signed;
    db_public_key signer;
    *damaged = 0;
    ts_status status = db_file_open_read(path, &db, &is_signed, &signer, err);
    if (status == TS_STATUS_OK)
        status = db_record_prepare(db, path, &db_result_record,
                                   "ORDER BY p.text, t.name, d.name, r.id", &stmt, err);
    while (status == TS_STATUS_OK) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_DONE) break;
        status = code == SQLITE_ROW ? take_row(stmt, each, context, damaged, err)
                                    : db_sql_fail(db, code, path, "read its results", err);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return status;
}
