/* One row of a source into the target, by the writer's own steps.
 *
 * Kernels go first, since results and winners stand on them: a map leads from their row in the source
 * to their row here. A row keeps its hash on the way, because hashes are over texts and not over row
 * numbers; so "there already" is an equal hash. Which of two rows stays is decided in evidence.c.
 */
#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "merger.h"

/* Those of a record select its fields; the others are whole statements. */
static const struct {
    const db_record *record;
    const char *sql;
} target_queries[DB_MERGE_QUERIES] = {
    [DB_MERGE_FIND_KERNEL] = {NULL, "SELECT id FROM kernel WHERE hash = ?1"},
    [DB_MERGE_FIND_RESULT] = {&db_result_record, "WHERE p.text = ?1 AND t.name = ?2 AND d.name = ?3"
                                                 " AND r.variant = ?4 AND r.signature = ?5"},
    [DB_MERGE_FIND_RIVALS] = {&db_winner_record, "WHERE p.text = ?1 AND t.name = ?2 ORDER BY r.id"},
    [DB_MERGE_DROP_WINNER] = {NULL, "DELETE FROM winner WHERE id = ?1"},
    [DB_MERGE_SET_ORIGIN] = {NULL,
                             "INSERT OR REPLACE INTO temp.origin (winner, file) VALUES (?1, ?2)"},
    [DB_MERGE_GET_ORIGIN] = {NULL, "SELECT file FROM temp.origin WHERE winner = ?1"},
};

typedef struct kernel_place { /* a kernel's row in the source, and here; ascending */
    int64_t there, here;
} kernel_place;

/* ---- the report ---- */

static const char *keep_text(db_merger *m, const char *text) {
    return text ? ts_arena_strdup(&m->report.arena, text) : NULL;
}

/* Texts of *d other than files and rules are copied. */
static void note(db_merger *m, db_merge_decision d) {
    d.problem = keep_text(m, d.problem);
    d.target = keep_text(m, d.target);
    d.device = keep_text(m, d.device);
    d.variant = keep_text(m, d.variant);
    d.other_variant = keep_text(m, d.other_variant);
    ts_buf_append(&m->decisions, &d, sizeof d);
    if (d.problem) m->report.winners[d.action]++;
}

void db_merge_note_skipped(db_merger *m, const char *file, const char *message) {
    note(m, (db_merge_decision){DB_MERGE_SKIPPED, .file = file, .reason = keep_text(m, message)});
}

/* ---- asking the target ---- */

static ts_status target_fail(db_merger *m, int code, ts_err *err) {
    return db_sql_fail(m->w->db, code, m->w->path, "merge into it", err);
}

/* The query's statement, reset, with its texts bound. */
static ts_status start(db_merger *m, db_merge_query query, const char *const *texts, int count,
                       sqlite3_stmt **out, ts_err *err) {
    sqlite3_stmt **slot = &m->queries[query];
    const char *sql = target_queries[query].sql;
    int code = SQLITE_OK;
    if (!*slot && target_queries[query].record)
        TS_TRY(
            db_record_prepare(m->w->db, m->w->path, target_queries[query].record, sql, slot, err));
    if (!*slot) code = sqlite3_prepare_v2(m->w->db, sql, -1, slot, NULL);
    if (code == SQLITE_OK) sqlite3_reset(*slot);
    for (int i = 0; i < count && code == SQLITE_OK; i++)
        code = sqlite3_bind_text(*slot, i + 1, texts[i], -1, SQLITE_TRANSIENT);
    if (code != SQLITE_OK) return target_fail(m, code, err);
    *out = *slot;
    return TS_STATUS_OK;
}

/* Steps: *found says whether there is a row. Without one the statement is reset. */
static ts_status step(db_merger *m, sqlite3_stmt *stmt, bool *found, ts_err *err) {
    int code = sqlite3_step(stmt);
    *found = code == SQLITE_ROW;
    if (*found) return TS_STATUS_OK;
    sqlite3_reset(stmt);
    return code == SQLITE_DONE ? TS_STATUS_OK : target_fail(m, code, err);
}

/* Runs a statement whose parameters are numbers. *found, if not NULL: its first column, or -1. */
static ts_status run_numbers(db_merger *m, db_merge_query query, int64_t first, int64_t second,
                             int64_t *found, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    bool row;
    TS_TRY(start(m, query, NULL, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, first);
    if (sqlite3_bind_parameter_count(stmt) > 1) sqlite3_bind_int64(stmt, 2, second);
    TS_TRY(step(m, stmt, &row, err));
    if (found) *found = row ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_reset(stmt);
    return TS_STATUS_OK;
}

/* ---- kernels ---- */

static ts_status merge_kernel(db_merger *m, db_row_head head, db_merge_row *row, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    kernel_place place = {.there = head.id};
    bool there;
    TS_TRY(start(m, DB_MERGE_FIND_KERNEL, &head.hash, 1, &stmt, err));
    TS_TRY(step(m, stmt, &there, err));
    sqlite3_reset(stmt);
    /* Written also where it is there: that repairs a row or code that is damaged. */
    TS_TRY(db_write_kernel(m->w, &row->kernel, &place.here, err));
    ts_buf_append(&m->places, &place, sizeof place);
    m->report.kernels[there ? DB_MERGE_SAME : DB_MERGE_ADDED]++;
    return TS_STATUS_OK;
}

static int compare_place(const void *id, const void *place) {
    int64_t a = *(const int64_t *)id, b = ((const kernel_place *)place)->there;
    return (a > b) - (a < b);
}

/* Row of the source's kernel here; 0: it was not taken over. */
static int64_t kernel_here(const db_merger *m, int64_t there) {
    size_t count = m->places.bytes / sizeof(kernel_place);
    const kernel_place *found = count ? bsearch(&there, m->places.data, count, sizeof *found,
                                                compare_place)
                                      : NULL;
    return found ? found->here : 0;
}

/* ---- results ---- */

static ts_status merge_result(db_merger *m, db_row_head head, db_merge_row *row, ts_err *err) {
    db_result *result = &row->result, old = {0};
    const char *const key[] = {result->problem, result->target, result->device.name,
                               result->variant, result->signature};
    db_merge_action action = DB_MERGE_ADDED;
    sqlite3_stmt *stmt = NULL;
    ts_arena arena = {0};
    bool there;
    TS_TRY(start(m, DB_MERGE_FIND_RESULT, key, sizeof key / sizeof key[0], &stmt, err));
    TS_TRY(step(m, stmt, &there, err));
    if (there && db_record_load(stmt, &db_result_record, &arena, &old, NULL) == TS_STATUS_OK) {
        int order = db_result_compare(result, head.hash, &old, db_record_head(stmt).hash);
        action = order > 0 ? DB_MERGE_REPLACED : order < 0 ? DB_MERGE_KEPT : DB_MERGE_SAME;
    }
    sqlite3_reset(stmt);
    ts_arena_free(&arena);
    m->report.results[action]++;
    return action <= DB_MERGE_REPLACED ? db_write_result(m->w, result, err) : TS_STATUS_OK;
}

/* ---- winners ---- */

/* What a new winner meets here. */
typedef struct meeting {
    const db_winner *winner;
    const char *hash;
    bool same, loses;
    ts_buf beaten, damaged;   /* decisions; row ids */
    db_merge_decision losing; /* against the first that is better */
} meeting;

static ts_status origin(db_merger *m, int64_t winner_id, const char **file, ts_err *err) {
    int64_t index;
    TS_TRY(run_numbers(m, DB_MERGE_GET_ORIGIN, winner_id, 0, &index, err));
    *file = index < 0 ? NULL : m->files[index];
    return TS_STATUS_OK;
}

/* A measured winner and a predicted one of the target exclude each other whatever their devices. */
static bool are_rivals(const db_winner *a, const db_winner *b) {
    bool a_measured = strcmp(a->evidence, "measured") == 0;
    bool b_measured = strcmp(b->evidence, "measured") == 0;
    return a_measured != b_measured || strcmp(a->device.name, b->device.name) == 0;
}

static ts_status meet(db_merger *m, meeting *at, const db_winner *old, db_row_head head,
                      ts_err *err) {
    const char *file = NULL, *new_file = m->files[m->file], *why = NULL;
    if (strcmp(at->hash, head.hash) == 0) at->same = true;
    if (at->same || !are_rivals(at->winner, old)) return TS_STATUS_OK;
    TS_TRY(origin(m, head.id, &file, err));
    const char *old_variant = keep_text(m, old->variant);
    bool better = db_winner_compare(at->winner, at->hash, old, head.hash, &why) > 0;
    db_merge_decision d = {better ? DB_MERGE_REPLACED : DB_MERGE_KEPT,
                           at->winner->problem,
                           at->winner->target,
                           at->winner->device.name,
                           better ? at->winner->variant : old_variant,
                           better ? new_file : file,
                           better ? old_variant : at->winner->variant,
                           better ? file : new_file,
                           why};
    if (better)
        ts_buf_append(&at->beaten, &d, sizeof d);
    else if (!at->loses)
        at->losing = d;
    at->loses = at->loses || !better;
    return TS_STATUS_OK;
}

/* A damaged winner here is as good as absent, but would be in the way: it goes if the new one comes. */
static void meet_damaged(meeting *at, int64_t id, const char *new_file) {
    const db_winner *w = at->winner;
    db_merge_decision d = {DB_MERGE_REPLACED, w->problem, w->target,
                           w->device.name,    w->variant, new_file,
                           "a damaged row",   NULL,       "it does not match its hash"};
    ts_buf_append(&at->damaged, &id, sizeof id);
    ts_buf_append(&at->beaten, &d, sizeof d);
}

static ts_status meet_all(db_merger *m, meeting *at, ts_err *err) {
    const char *const key[] = {at->winner->problem, at->winner->target};
    sqlite3_stmt *stmt = NULL;
    bool more = false;
    ts_status status = start(m, DB_MERGE_FIND_RIVALS, key, 2, &stmt, err);
    if (status == TS_STATUS_OK) status = step(m, stmt, &more, err);
    while (status == TS_STATUS_OK && more) {
        ts_arena arena = {0};
        db_winner old = {0};
        db_row_head head = db_record_head(stmt);
        status = db_record_load(stmt, &db_winner_record, &arena, &old, err);
        if (status == TS_STATUS_OK)
            status = meet(m, at, &old, head, err);
        else if (status == TS_STATUS_CORRUPT) {
            meet_damaged(at, head.id, m->files[m->file]);
            status = TS_STATUS_OK;
        }
        ts_arena_free(&arena);
        if (status == TS_STATUS_OK) status = step(m, stmt, &more, err);
    }
    sqlite3_reset(stmt);
    return status;
}

static ts_status store_winner(db_merger *m, const meeting *at, ts_err *err) {
    const int64_t *damaged = (const void *)at->damaged.data;
    for (size_t i = 0; i < at->damaged.bytes / sizeof *damaged; i++)
        TS_TRY(run_numbers(m, DB_MERGE_DROP_WINNER, damaged[i], 0, NULL, err));
    TS_TRY(db_write_winner(m->w, at->winner, err));
    int64_t id = sqlite3_last_insert_rowid(m->w->db);
    return run_numbers(m, DB_MERGE_SET_ORIGIN, id, (int64_t)m->file, NULL, err);
}

static void note_meeting(db_merger *m, const meeting *at) {
    const db_winner *w = at->winner;
    const db_merge_decision *beaten = (const void *)at->beaten.data;
    size_t count = at->beaten.bytes / sizeof *beaten;
    db_merge_decision plain = {at->same ? DB_MERGE_SAME : DB_MERGE_ADDED,
                               w->problem,
                               w->target,
                               w->device.name,
                               w->variant,
                               m->files[m->file]};
    if (at->same || (!at->loses && count == 0))
        note(m, plain);
    else if (at->loses)
        note(m, at->losing);
    for (size_t i = 0; i < count && !at->same && !at->loses; i++) note(m, beaten[i]);
}

static ts_status merge_winner(db_merger *m, db_row_head head, db_merge_row *row, ts_err *err) {
    meeting at = {.winner = &row->winner, .hash = head.hash};
    ts_status status = meet_all(m, &at, err);
    if (status == TS_STATUS_OK && !at.same && !at.loses) status = store_winner(m, &at, err);
    if (status == TS_STATUS_OK) note_meeting(m, &at);
    if (at.beaten.failed || at.damaged.failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", m->w->path);
    ts_buf_free(&at.beaten);
    ts_buf_free(&at.damaged);
    return status;
}

/* ---- the kinds ---- */

static ts_status load_kernel(db_merger *m, sqlite3_stmt *stmt, ts_arena *arena, db_merge_row *row,
                             ts_err *err) {
    (void)m;
    TS_TRY(db_record_load(stmt, &db_kernel_record, arena, &row->kernel, err));
    TS_TRY(db_kernel_load_stored(stmt, arena, &row->kernel, err));
    return db_kernel_unpack(&row->kernel, arena, err);
}

/* The row of a result's or winner's kernel here; CORRUPT where that was not taken over. */
static ts_status find_kernel(const db_merger *m, const char *what, db_row_head head, int64_t *out,
                             ts_err *err) {
    *out = kernel_here(m, head.kernel_id);
    if (*out) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_CORRUPT, "%s row %lld lost its kernel", what, (long long)head.id);
}

static ts_status load_result(db_merger *m, sqlite3_stmt *stmt, ts_arena *arena, db_merge_row *row,
                             ts_err *err) {
    TS_TRY(db_record_load(stmt, &db_result_record, arena, &row->result, err));
    db_row_head head = db_record_head(stmt);
    if (!head.kernel_id) return TS_STATUS_OK; /* nothing was compiled */
    return find_kernel(m, "result", head, &row->result.kernel_id, err);
}

static ts_status load_winner(db_merger *m, sqlite3_stmt *stmt, ts_arena *arena, db_merge_row *row,
                             ts_err *err) {
    TS_TRY(db_record_load(stmt, &db_winner_record, arena, &row->winner, err));
    return find_kernel(m, "winner", db_record_head(stmt), &row->winner.kernel_id, err);
}

const db_merge_kind db_merge_kinds[DB_MERGE_KINDS] = {
    {&db_kernel_record, load_kernel, merge_kernel, offsetof(db_merge_report, kernels)},
    {&db_result_record, load_result, merge_result, offsetof(db_merge_report, results)},
    {&db_winner_record, load_winner, merge_winner, offsetof(db_merge_report, winners)},
};
