/* Files of an older schema version.
 *
 * Version 1 had no winner.race and no packed blobs. Its tables are set aside, made anew and filled
 * from what was set aside; row ids stay, so that references stay. The hash of a winner of version 1
 * also holds for the new row (row.c), so no row is believed that would not have been before.
 */
#include <string.h>

#include "file.h"

/* legacy_alter_table: the references of other tables keep naming `blob`. */
static const char from_1[] =
    "ALTER TABLE winner RENAME TO winner_1; ALTER TABLE blob RENAME TO blob_1;";
static const char fill_from_1[] =
    "INSERT INTO blob (id, hash, codec, raw_bytes, bytes)"
    " SELECT id, hash, 'none', length(bytes), bytes FROM blob_1;"
    "INSERT INTO winner (id, problem_id, target_id, device_id, kernel_id, variant, evidence,"
    " time_us, ci_low_us, ci_high_us, default_us, gflops, gbytes, family_hash, oracle_hash,"
    " compiler, verdict, race, hash)"
    " SELECT id, problem_id, target_id, device_id, kernel_id, variant, evidence,"
    " time_us, ci_low_us, ci_high_us, default_us, gflops, gbytes, family_hash, oracle_hash,"
    " compiler, verdict, '{}', hash FROM winner_1;"
    "DROP TABLE winner_1; DROP TABLE blob_1; PRAGMA user_version = 2;";

/* Runs the CREATE TABLE of `name` out of schema.sql. */
static int create_table(sqlite3 *db, const char *name) {
    ts_buf start = {0}, sql = {0};
    ts_buf_printf(&start, "CREATE TABLE %s (", name);
    const char *begin = start.failed ? NULL : strstr(db_schema_sql, start.data);
    const char *end = begin ? strstr(begin, "STRICT;") : NULL;
    if (end) ts_buf_append(&sql, begin, (size_t)(end - begin) + strlen("STRICT;"));
    int code = end && !sql.failed ? sqlite3_exec(db, sql.data, NULL, NULL, NULL) : SQLITE_NOMEM;
    ts_buf_free(&start);
    ts_buf_free(&sql);
    return code;
}

/* The transaction is open. */
static int migrate_from_1(sqlite3 *db) {
    int code = sqlite3_exec(db, from_1, NULL, NULL, NULL);
    if (code == SQLITE_OK) code = create_table(db, "blob");
    if (code == SQLITE_OK) code = create_table(db, "winner");
    if (code == SQLITE_OK) code = sqlite3_exec(db, fill_from_1, NULL, NULL, NULL);
    return code;
}

ts_status db_file_migrate(sqlite3 *db, const char *path, ts_err *err) {
    int64_t version = 0;
    TS_TRY(db_sql_int(db, path, "PRAGMA user_version", &version, err));
    if (version >= DB_USER_VERSION) return TS_STATUS_OK;
    sqlite3_db_config(db, SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1, (int *)NULL);
    int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    ts_status status = code == SQLITE_OK ? TS_STATUS_OK
                                         : db_sql_fail(db, code, path, "update its schema", err);
    /* Again, with the write lock: another process may have been faster. */
    if (status == TS_STATUS_OK) status = db_sql_int(db, path, "PRAGMA user_version", &version, err);
    if (status == TS_STATUS_OK) {
        if (version == 1) code = migrate_from_1(db);
        if (code == SQLITE_OK) code = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        if (code != SQLITE_OK) status = db_sql_fail(db, code, path, "update its schema", err);
    }
    if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 0, (int *)NULL);
    return status;
}
