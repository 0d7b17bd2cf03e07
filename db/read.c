/* Loads everything a runtime needs from a database file into one arena, then closes the file.
 *
 * The file is hostile until proven otherwise: file.c decides whether it is ours, row.c checks every
 * row against its hash (a signed file's signature stands for all of them), and only then is the row
 * kept. Winners are read first; they and the default
 * flag say whose code is read, so that the many kernels that lost cost their row but not their
 * blob.
 *
 * A row that fails is left out with a warning. A file that SQLite itself cannot walk is an error.
 * Lost rows are noticed by SQLite's integrity check of the small tables (each has an index to
 * compare with); the blobs, which are most of the file, are checked by their hash as they are used.
 */
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "row.h"

typedef struct loader {
    sqlite3 *db;
    const char *path;
    const char *const *targets; /* NULL: all */
    bool unpack;                /* the code, now */
    db_image image;             /* handed over at the end */
    size_t problems;            /* warnings wanted, stored or not */
    ts_buf winners, kernels; /* arrays of db_winner_row, db_kernel while their number is unknown */
} loader;

enum { MAX_WARNINGS = sizeof((db_image *)0)->warnings / sizeof(char *) };

/* The last place counts what did not fit. */
static void warn(loader *l, const char *message) {
    db_image *image = &l->image;
    l->problems++;
    char *text = l->problems < MAX_WARNINGS
                     ? ts_arena_printf(&image->arena, "%s: %s; left out, tune again to replace it",
                                       l->path, message)
                     : ts_arena_printf(&image->arena, "%s: %zu more warnings of damaged rows",
                                       l->path, l->problems - MAX_WARNINGS + 1);
    if (!text) return;
    if (image->warning_count < MAX_WARNINGS) image->warning_count++;
    image->warnings[image->warning_count - 1] = text;
}

static bool target_wanted(const loader *l, const char *target) {
    if (!l->targets) return true;
    for (const char *const *t = l->targets; *t; t++) {
        if (strcmp(*t, target) == 0) return true;
    }
    return false;
}

/* ---- structure ---- */

/* A damaged table is a warning, not an error: what is loaded from it is still checked row by row.
 */
static ts_status check_table(loader *l, const char *pragma, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_prepare_v2(l->db, pragma, -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(stmt, 0);
        if (!found || strcmp(found, "ok") != 0) {
            ts_err message;
            ts_fail(&message, TS_STATUS_CORRUPT, "%s says \"%.150s\", rows may be missing", pragma,
                    found ? found : "");
            warn(l, message.message);
        }
    } else {
        status = db_sql_fail(l->db, code, l->path, "check its tables", err);
    }
    sqlite3_finalize(stmt);
    return status;
}

static ts_status check_tables(loader *l, ts_err *err) {
    static const char *const pragmas[] = {
        "PRAGMA integrity_check(winner)",  "PRAGMA integrity_check(kernel)",
        "PRAGMA integrity_check(problem)", "PRAGMA integrity_check(target)",
        "PRAGMA integrity_check(device)",
    };
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        TS_TRY(check_table(l, pragmas[i], err));
    }
    return TS_STATUS_OK;
}

/* ---- rows ---- */

/* Takes the row `stmt` stands on. CORRUPT: this row is to be left out; other failures end the load.
 */
typedef ts_status take_row(loader *l, sqlite3_stmt *stmt, ts_err *err);

/* Behind a signature over the whole file a row's own hash says nothing new. */
static ts_status load_record(loader *l, sqlite3_stmt *stmt, const db_record *record, void *row,
                             ts_err *err) {
    return (l->image.is_signed ? db_record_read : db_record_load)(stmt, record, &l->image.arena,
                                                                  row, err);
}

static ts_status take_winner(loader *l, sqlite3_stmt *stmt, ts_err *err) {
    db_winner_row row = {0};
    TS_TRY(load_record(l, stmt, &db_winner_record, &row.winner, err));
    row.winner.kernel_id = db_record_head(stmt).kernel_id;
    /* Asked after the hash, so that a damaged target name is a warning rather than another target.
     */
    if (target_wanted(l, row.winner.target)) ts_buf_append(&l->winners, &row, sizeof row);
    return TS_STATUS_OK;
}

static int compare_kernel_id(const void *id, const void *row) {
    int64_t a = *(const int64_t *)id, b = ((const db_winner_row *)row)->winner.kernel_id;
    return (a > b) - (a < b);
}

static int compare_winners(const void *left, const void *right) {
    const db_winner *a = &((const db_winner_row *)left)->winner;
    const db_winner *b = &((const db_winner_row *)right)->winner;
    int order = compare_kernel_id(&a->kernel_id, right);
    return order ? order : strcmp(a->problem, b->problem);
}

/* Asked when the winners are sorted by kernel. */
static bool is_winners_kernel(const loader *l, int64_t id) {
    size_t count = l->winners.bytes / sizeof(db_winner_row);
    return count && bsearch(&id, l->winners.data, count, sizeof(db_winner_row), compare_kernel_id);
}

static ts_status take_kernel(loader *l, sqlite3_stmt *stmt, ts_err *err) {
    db_kernel kernel = {0};
    TS_TRY(load_record(l, stmt, &db_kernel_record, &kernel, err));
    bool wanted = (kernel.is_default && target_wanted(l, kernel.target)) ||
                  is_winners_kernel(l, db_record_head(stmt).id);
    if (!wanted) return TS_STATUS_OK;
    TS_TRY(db_kernel_load_stored(stmt, &l->image.arena, &kernel, err));
    if (l->unpack) TS_TRY(db_kernel_unpack(&kernel, &l->image.arena, err));
    ts_buf_append(&l->kernels, &kernel, sizeof kernel);
    return TS_STATUS_OK;
}

static ts_status each_row(loader *l, const db_record *record, const char *order, take_row *take,
                          ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    ts_status status = db_record_prepare(l->db, l->path, record, order, &stmt, err);
    while (status == TS_STATUS_OK) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_DONE) break;
        if (code != SQLITE_ROW) {
            status = db_sql_fail(l->db, code, l->path, "read its rows", err);
            break;
        }
        ts_err row_error;
        status = take(l, stmt, &row_error);
        if (status == TS_STATUS_CORRUPT) {
            warn(l, row_error.message);
            status = TS_STATUS_OK;
        } else if (status != TS_STATUS_OK) {
            ts_fail(err, status, "%s", row_error.message);
        }
    }
    sqlite3_finalize(stmt);
    return status;
}

/* ---- the image ---- */

static int compare_kernel(const void *id, const void *kernel) {
    int64_t a = *(const int64_t *)id, b = ((const db_kernel *)kernel)->id;
    return (a > b) - (a < b);
}

/* Moves the collected rows to their final place and points each winner at its kernel. */
static ts_status finish(loader *l, ts_err *err) {
    db_image *image = &l->image;
    size_t winner_count = l->winners.bytes / sizeof(db_winner_row);
    image->kernel_count = l->kernels.bytes / sizeof(db_kernel);
    image->kernels = ts_arena_alloc(&image->arena, l->kernels.bytes);
    image->winners = ts_arena_alloc(&image->arena, l->winners.bytes);
    if (l->kernels.failed || l->winners.failed || !image->kernels || !image->winners) {
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", l->path);
    }
    if (image->kernel_count) memcpy(image->kernels, l->kernels.data, l->kernels.bytes);

    const db_winner_row *found = (const void *)l->winners.data;
    for (size_t i = 0; i < winner_count; i++) {
        db_winner_row row = found[i];
        row.kernel = bsearch(&row.winner.kernel_id, image->kernels, image->kernel_count,
                             sizeof(db_kernel), compare_kernel);
        if (row.kernel) {
            image->winners[image->winner_count++] = row;
        } else {
            ts_err message;
            ts_fail(&message, TS_STATUS_CORRUPT, "the winner of %.200s on %.100s lost its kernel",
                    row.winner.problem, row.winner.device.name);
            warn(l, message.message);
        }
    }
    return TS_STATUS_OK;
}

static ts_status load(const char *path, const char *const *targets, bool unpack, db_image *out,
                      ts_err *err) {
    loader l = {.path = path, .targets = targets, .unpack = unpack};
    ts_status status = db_file_open_read(path, &l.db, &l.image.is_signed, &l.image.signer, err);
    if (status != TS_STATUS_OK) goto done;
    /* One transaction: winners and kernels of the same moment, though a tuner may be writing. */
    int code = sqlite3_exec(l.db, "BEGIN", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        status = db_sql_fail(l.db, code, path, "read", err);
        goto done;
    }
    if (!l.image.is_signed) status = check_tables(&l, err); /* a signature says more */
    if (status != TS_STATUS_OK) goto done;
    /* In the order of row ids, which makes SQLite walk the table itself: an index may be damaged. */
    status = each_row(&l, &db_winner_record, "ORDER BY r.id", take_winner, err);
    if (status != TS_STATUS_OK) goto done;
    if (l.winners.bytes) {
        qsort(l.winners.data, l.winners.bytes / sizeof(db_winner_row), sizeof(db_winner_row),
              compare_winners);
    }
    status = each_row(&l, &db_kernel_record, "ORDER BY k.id", take_kernel, err);
    if (status != TS_STATUS_OK) goto done;
    status = finish(&l, err);
    if (status != TS_STATUS_OK) goto done;
    *out = l.image;
    l.image = (db_image){0};

done:
    db_image_free(&l.image);
    ts_buf_free(&l.winners);
    ts_buf_free(&l.kernels);
    sqlite3_close(l.db);
    return status;
}

ts_status db_image_load(const char *path, const char *const *targets, db_image *out, ts_err *err) {
    return load(path, targets, true, out, err);
}

ts_status db_image_open(const char *path, const char *const *targets, db_image *out, ts_err *err) {
    return load(path, targets, false, out, err);
}

void db_image_free(db_image *image) {
    if (!image) return;
    ts_arena_free(&image->arena);
    *image = (db_image){0};
}
