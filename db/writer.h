/* The writer object, shared by write.c (stores) and merge.c, and the reader object of resume.c, which is
 * part of it. Internal to db/. */
#ifndef DB_WRITER_H
#define DB_WRITER_H

#include "file.h"
#include "row.h"

/* Statements of write.c, in the order of its SQL table. */
typedef enum db_step {
    DB_STEP_PROBLEM,
    DB_STEP_TARGET,
    DB_STEP_DEVICE_TARGET,
    DB_STEP_DEVICE,
    DB_STEP_BLOB,
    DB_STEP_KERNEL,
    DB_STEP_DROP_RESULT,
    DB_STEP_RESULT,
    DB_STEP_DROP_WINNER,
    DB_STEP_WINNER,
    DB_STEP_COUNT
} db_step;

/* Queries of resume.c. */
typedef enum db_query {
    DB_QUERY_KERNEL,
    DB_QUERY_RESULTS,
    DB_QUERY_WINNER,
    DB_QUERY_COUNT
} db_query;

struct db_reader {
    sqlite3 *db;
    char *path;                            /* the reader's own, or the writer's */
    sqlite3_stmt *queries[DB_QUERY_COUNT]; /* prepared at first use, finalized at close */
};

struct db_writer {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *steps[DB_STEP_COUNT]; /* as above */
    db_reader reader;                   /* of the same connection */
};

/* Finalizes the reader's statements. */
void db_reader_finish(db_reader *reader);

#endif
