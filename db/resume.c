/* What a tuner asks of the database it is writing: the kernels, results and winners of an earlier
 * run.
 *
 * Same rule as the reader: a row that fails its hash does not exist, so the tuner makes it again
 * and overwrites it. Queries see what other writers have committed up to now.
 */
#include <string.h>

#include "writer.h"

#define BY_PLACE "WHERE p.text = ?1 AND t.name = ?2 AND d.name = ?3"

static const struct {
    const db_record *record;
    const char *tail;
} queries[DB_QUERY_COUNT] = {
    [DB_QUERY_KERNEL] = {&db_kernel_record, "WHERE k.id = ?1"},
    [DB_QUERY_RESULTS] = {&db_result_record, BY_PLACE " ORDER BY r.id"},
    [DB_QUERY_WINNER] = {&db_winner_record, BY_PLACE " ORDER BY r.id DESC LIMIT 1"},
};

/* The query's statement, reset, with its texts bound (NULL: not bound). */
static ts_status start(db_writer *w, db_query query, const char *const texts[3], sqlite3_stmt **out,
                       ts_err *err) {
    sqlite3_stmt **slot = &w->queries[query];
    if (!*slot) {
        TS_TRY(db_record_prepare(w->db, w->path, queries[query].record, queries[query].tail, slot,
                                 err));
    }
    for (int i = 0; i < 3 && texts[i]; i++) {
        int code = sqlite3_bind_text(*slot, i + 1, texts[i], -1, SQLITE_TRANSIENT);
        if (code != SQLITE_OK) return db_sql_fail(w->db, code, w->path, "read its rows", err);
    }
    *out = *slot;
    return TS_STATUS_OK;
}

ts_status db_read_kernel(db_writer *w, int64_t id, ts_arena *arena, db_kernel *out, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *const none[3] = {NULL};
    db_kernel kernel = {0};
    TS_TRY(start(w, DB_QUERY_KERNEL, none, &stmt, err));
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_bind_int64(stmt, 1, id);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_DONE) {
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s has no kernel %lld", w->path, (long long)id);
    } else if (code != SQLITE_ROW) {
        status = db_sql_fail(w->db, code, w->path, "read a kernel", err);
    }
    if (status == TS_STATUS_OK)
        status = db_record_load(stmt, &db_kernel_record, arena, &kernel, err);
    if (status == TS_STATUS_OK) {
        status = db_kernel_load_stored(stmt, arena, &kernel, err);
    }
    if (status == TS_STATUS_OK) status = db_kernel_unpack(&kernel, arena, err);
    if (status == TS_STATUS_OK) *out = kernel;
    sqlite3_reset(stmt);
    return status;
}

ts_status db_each_result(db_writer *w, const char *problem, const char *target, const char *device,
                         void (*each)(void *context, const db_result *result), void *context,
                         ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *const place[3] = {problem, target, device};
    TS_TRY(start(w, DB_QUERY_RESULTS, place, &stmt, err));
    ts_status status = TS_STATUS_OK;
    while (status == TS_STATUS_OK) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_DONE) break;
        if (code != SQLITE_ROW) {
            status = db_sql_fail(w->db, code, w->path, "read its results", err);
            break;
        }
        ts_arena strings = {0};
        db_result result = {0};
        status = db_record_load(stmt, &db_result_record, &strings, &result, err);
        if (status == TS_STATUS_OK) {
            result.kernel_id = db_record_head(stmt).kernel_id;
            each(context, &result);
        } else if (status == TS_STATUS_CORRUPT) {
            status = TS_STATUS_OK;
        }
        ts_arena_free(&strings);
    }
    sqlite3_reset(stmt);
    return status;
}

ts_status db_read_winner(db_writer *w, const char *problem, const char *target, const char *device,
                         ts_arena *arena, db_winner *out, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *const place[3] = {problem, target, device};
    db_winner winner = {0};
    TS_TRY(start(w, DB_QUERY_WINNER, place, &stmt, err));
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_DONE) {
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s has no winner of %s for %s on %s", w->path,
                         problem, target, device);
    } else if (code != SQLITE_ROW) {
        status = db_sql_fail(w->db, code, w->path, "read a winner", err);
    } else {
        status = db_record_load(stmt, &db_winner_record, arena, &winner, err);
        if (status == TS_STATUS_CORRUPT) {
            status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s: the winner of %s on %s is damaged",
                             w->path, problem, device);
        }
    }
    if (status == TS_STATUS_OK) {
        winner.kernel_id = db_record_head(stmt).kernel_id;
        *out = winner;
    }
    sqlite3_reset(stmt);
    return status;
}
