/* A merge at work, shared by merge.c (files) and merge_row.c (one row of one). Internal to db/. */
#ifndef DB_MERGER_H
#define DB_MERGER_H

#include "merge.h"
#include "writer.h"

/* What is asked of the target beside the writer's own steps, in the order of merge_row.c's table. */
typedef enum db_merge_query {
    DB_MERGE_FIND_KERNEL,
    DB_MERGE_FIND_RESULT,
    DB_MERGE_FIND_RIVALS,
    DB_MERGE_DROP_WINNER,
    DB_MERGE_SET_ORIGIN,
    DB_MERGE_GET_ORIGIN,
    DB_MERGE_QUERIES
} db_merge_query;

typedef struct db_merger {
    db_writer *w;
    sqlite3_stmt *queries[DB_MERGE_QUERIES]; /* prepared at first use */
    const char *const *files;
    size_t file;   /* the one at hand */
    ts_buf places; /* where its kernels are now */
    const volatile sig_atomic_t *interrupted;
    db_merge_report report; /* handed over at the end */
    ts_buf decisions;       /* array of db_merge_decision while their number is unknown */
} db_merger;

/* A row of a source; its strings and code live in an arena of its own. */
typedef union db_merge_row {
    db_kernel kernel;
    db_result result;
    db_winner winner;
} db_merge_row;

/* A kind of row, in the order in which the kinds are merged. */
typedef struct db_merge_kind {
    const db_record *record;
    /* Reads the row that `stmt` stands on. CORRUPT: it is to be skipped. */
    ts_status (*load)(db_merger *m, sqlite3_stmt *stmt, ts_arena *arena, db_merge_row *row,
                      ts_err *err);
    /* Puts it into the target, or not, and says so in the report. Its failures are the merge's. */
    ts_status (*store)(db_merger *m, db_row_head head, db_merge_row *row, ts_err *err);
    size_t counts; /* offset of its numbers in db_merge_report */
} db_merge_kind;

enum { DB_MERGE_KINDS = 3 };
extern const db_merge_kind db_merge_kinds[DB_MERGE_KINDS];

/* Adds a row that cannot be used to the report. */
void db_merge_note_skipped(db_merger *m, const char *file, const char *message);

#endif
