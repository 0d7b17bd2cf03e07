/* What is asked of a database row by row: the kernels, results and winners of an earlier run. A tuner
 * asks through the file it is writing, who only shows what was tried through one that he opened
 * read-only.
 *
 * Same rule as where a whole file is loaded: a row that fails its hash does not exist, so the tuner
 * makes it again and overwrites it. Queries see what other writers have committed up to now.
 */
#include <stdlib.h>
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

ts_status db_reader_open(const char *path, db_reader **out, ts_err *err) {
    bool is_signed;
    db_public_key signer;
    sqlite3 *db = NULL;
    TS_TRY(db_file_open_read(path, &db, &is_signed, &signer, err));
    db_reader *r = calloc(1, sizeof *r);
    char *own_path = strdup(path);
    if (!r || !own_path) {
        free(r);
        free(own_path);
        sqlite3_close(db);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", path);
    }
    *r = (db_reader){.db = db, .path = own_path};
    *out = r;
    return TS_STATUS_OK;
}

void db_reader_finish(db_reader *r) {
    for (size_t i = 0; i < DB_QUERY_COUNT; i++) sqlite3_finalize(r->queries[i]);
}

void db_reader_close(db_reader *r) {
    if (!r) return;
    db_reader_finish(r);
    sqlite3_close(r->db);
    free(r->path);
    free(r);
}

db_reader *db_writer_reader(db_writer *w) { return &w->reader; }

/* The query's statement, reset, with its texts bound (NULL: not bound). */
static ts_status start(db_reader *r, db_query query, const char *const texts[3], sqlite3_stmt **out,
                       ts_err *err) {
    sqlite3_stmt **slot = &r->queries[query];
    if (!*slot) {
        TS_TRY(db_record_prepare(r->db, r->path, queries[query].record, queries[query].tail, slot,
                                 err));
    }
    for (int i = 0; i < 3 && texts[i]; i++) {
        int code = sqlite3_bind_text(*slot, i + 1, texts[i], -1, SQLITE_TRANSIENT);
        if (code != SQLITE_OK) return db_sql_fail(r->db, code, r->path, "read its rows", err);
    }
    *out = *slot;
    return TS_STATUS_OK;
}

ts_status db_read_kernel(db_reader *r, int64_t id, ts_arena *arena, db_kernel *out, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *const none[3] = {NULL};
    db_kernel kernel = {0};
    TS_TRY(start(r, DB_QUERY_KERNEL, none, &stmt, err));
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_bind_int64(stmt, 1, id);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_DONE) {
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s has no kernel %lld", r->path, (long long)id);
    } else if (code != SQLITE_ROW) {
        status = db_sql_fail(r->db, code, r->path, "read a kernel", err);
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

ts_status db_each_result(db_reader *r, const char *problem, const char *target, const char *device,
                         void (*each)(void *context, const db_result *result), void *context,
                         ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *const place[3] = {problem, target, device};
    TS_TRY(start(r, DB_QUERY_RESULTS, place, &stmt, err));
    ts_status status = TS_STATUS_OK;
    while (status == TS_STATUS_OK) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_DONE) break;
        if (code != SQLITE_ROW) {
            status = db_sql_fail(r->db, code, r->path, "read its results", err);
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

ts_status db_read_winner(db_reader *r, const char *problem, const char *target, const char *device,
                         ts_arena *arena, db_winner *out, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    const char *const place[3] = {problem, target, device};
    db_winner winner = {0};
    TS_TRY(start(r, DB_QUERY_WINNER, place, &stmt, err));
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_DONE) {
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s has no winner of %s for %s on %s", r->path,
                         problem, target, device);
    } else if (code != SQLITE_ROW) {
        status = db_sql_fail(r->db, code, r->path, "read a winner", err);
    } else {
        status = db_record_load(stmt, &db_winner_record, arena, &winner, err);
        if (status == TS_STATUS_CORRUPT) {
            status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s: the winner of %s on %s is damaged",
                             r->path, problem, device);
        }
    }
    if (status == TS_STATUS_OK) {
        winner.kernel_id = db_record_head(stmt).kernel_id;
        *out = winner;
    }
    sqlite3_reset(stmt);
    return status;
}
