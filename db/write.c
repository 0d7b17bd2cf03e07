/* The writing side of the database: opens or creates the file, and stores kernels, results and
 * winners.
 *
 * Every store is one short BEGIN IMMEDIATE transaction that runs a list of the statements below,
 * each bound to the same record by parameter name. IMMEDIATE takes the write lock at the start,
 * where waiting for other writers works; a transaction that reads first and then writes could only
 * fail.
 *
 * WAL with synchronous=NORMAL: a commit is in the operating system's hands when the call returns,
 * so kill -9 of this process, or of all writers, loses no committed row. A power loss may lose the
 * last commits (those since the last checkpoint) but never damages the file; a tuner then measures
 * a few variants again, which is cheaper than an fsync a result.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "writer.h"

/* ---- statements ---- */

/* The place of a result or winner: rows are replaced by device name, whatever its driver was. */
#define PLACE                                                       \
    " problem_id = (SELECT id FROM problem WHERE text = :problem)"  \
    " AND target_id = (SELECT id FROM target WHERE name = :target)" \
    " AND device_id IN (SELECT id FROM device WHERE name = :device)"

/* Scalar subqueries: a missing key becomes NULL and breaks NOT NULL, where a join would insert
 * nothing. */
#define PLACE_IDS                                                           \
    " (SELECT id FROM problem WHERE text = :problem),"                      \
    " (SELECT id FROM target WHERE name = :target),"                        \
    " (SELECT id FROM device WHERE name = :device AND sm_count = :sm_count" \
    "  AND memory_bytes = :memory_bytes AND driver = :driver"               \
    "  AND target_id = (SELECT id FROM target WHERE name = :device_target))"

/* Kernel and blob are found by hash. Found again, they are written again where they differ: so a
 * damaged row is repaired by tuning, and ids that results and winners refer to stay. */
/* clang-format off */
static const char *const step_sql[DB_STEP_COUNT] = {
    [DB_STEP_PROBLEM] =
        "INSERT INTO problem (text) VALUES (:problem) ON CONFLICT DO NOTHING",
    [DB_STEP_TARGET] =
        "INSERT INTO target (name) VALUES (:target) ON CONFLICT DO NOTHING",
    [DB_STEP_DEVICE_TARGET] =
        "INSERT INTO target (name) VALUES (:device_target) ON CONFLICT DO NOTHING",
    [DB_STEP_DEVICE] =
        "INSERT INTO device (name, target_id, sm_count, memory_bytes, driver)"
        " VALUES (:device, (SELECT id FROM target WHERE name = :device_target),"
        " :sm_count, :memory_bytes, :driver) ON CONFLICT DO NOTHING",
    [DB_STEP_BLOB] =
        "INSERT INTO blob (hash, codec, raw_bytes, bytes)"
        " VALUES (:blob_hash, 'none', length(:blob), :blob)"
        " ON CONFLICT (hash) DO UPDATE SET codec = 'none', raw_bytes = excluded.raw_bytes,"
        " bytes = excluded.bytes WHERE bytes IS NOT excluded.bytes OR codec <> 'none'"
        " OR raw_bytes <> excluded.raw_bytes",
    [DB_STEP_KERNEL] =
        "INSERT INTO kernel (family, version, variant, spec, target_id, abi, signature, compiler,"
        " options, launch, registers, spill_bytes, shared_bytes, driver_min, is_default, blob_id,"
        " hash)"
        " VALUES (:family, :version, :variant, :spec, (SELECT id FROM target WHERE name = :target),"
        " :abi, :signature, :compiler, :options, :launch, :registers, :spill_bytes, :shared_bytes,"
        " :driver_min, :is_default, (SELECT id FROM blob WHERE hash = :blob_hash), :hash)"
        " ON CONFLICT (hash) DO UPDATE SET family = excluded.family, version = excluded.version,"
        " variant = excluded.variant, spec = excluded.spec, target_id = excluded.target_id,"
        " abi = excluded.abi, signature = excluded.signature, compiler = excluded.compiler,"
        " options = excluded.options, launch = excluded.launch, registers = excluded.registers,"
        " spill_bytes = excluded.spill_bytes, shared_bytes = excluded.shared_bytes,"
        " driver_min = excluded.driver_min, is_default = excluded.is_default,"
        " blob_id = excluded.blob_id RETURNING id",
    [DB_STEP_DROP_RESULT] =
        "DELETE FROM result WHERE" PLACE " AND variant = :variant AND signature = :signature",
    [DB_STEP_RESULT] =
        "INSERT INTO result (problem_id, target_id, device_id, variant, signature, kernel_id,"
        " status, reason, time_us, spread_us, samples, error, evidence, hash)"
        " VALUES (" PLACE_IDS ", :variant, :signature, :kernel_id,"
        " :status, :reason, :time_us, :spread_us, :samples, :error, :evidence, :hash)",
    /* A predicted winner removes and replaces predicted ones only; a measured one also removes what
     * was predicted for the target alone, which has no device's name. */
    [DB_STEP_DROP_WINNER] =
        "DELETE FROM winner WHERE" PLACE
        " AND (:evidence = 'measured' OR evidence <> 'measured')"
        " OR :evidence = 'measured' AND evidence = 'predicted'"
        " AND problem_id = (SELECT id FROM problem WHERE text = :problem)"
        " AND target_id = (SELECT id FROM target WHERE name = :target)"
        " AND device_id IN (SELECT id FROM device WHERE name = '')",
    [DB_STEP_WINNER] =
        "INSERT INTO winner (problem_id, target_id, device_id, kernel_id, variant, evidence,"
        " time_us, ci_low_us, ci_high_us, default_us, gflops, gbytes, family_hash, oracle_hash,"
        " compiler, verdict, race, hash)"
        " SELECT" PLACE_IDS ", :kernel_id, :variant, :evidence,"
        " :time_us, :ci_low_us, :ci_high_us, :default_us, :gflops, :gbytes, :family_hash,"
        " :oracle_hash, :compiler, :verdict, :race, :hash"
        " WHERE NOT EXISTS (SELECT 1 FROM winner WHERE" PLACE ")",
};
/* clang-format on */

/* What the steps of one store are bound to. */
typedef struct binding {
    const db_record *record;
    const void *row;
    const char *hash;  /* of the row */
    int64_t kernel_id; /* 0: NULL */
    const char *blob_hash;
    const void *blob;
    size_t blob_bytes;
} binding;

static int bind_step(sqlite3_stmt *stmt, const binding *b) {
    int code = db_record_bind(stmt, b->record, b->row);
    int index = sqlite3_bind_parameter_index(stmt, ":hash");
    if (code == SQLITE_OK && index) {
        code = sqlite3_bind_text(stmt, index, b->hash, -1, SQLITE_STATIC);
    }
    index = sqlite3_bind_parameter_index(stmt, ":kernel_id");
    if (code == SQLITE_OK && index && b->kernel_id) {
        code = sqlite3_bind_int64(stmt, index, b->kernel_id);
    }
    index = sqlite3_bind_parameter_index(stmt, ":blob_hash");
    if (code == SQLITE_OK && index) {
        code = sqlite3_bind_text(stmt, index, b->blob_hash, -1, SQLITE_STATIC);
    }
    index = sqlite3_bind_parameter_index(stmt, ":blob");
    if (code == SQLITE_OK && index) {
        /* A NULL pointer would bind NULL; an empty blob is still a blob. */
        const void *bytes = b->blob_bytes ? b->blob : "";
        code = sqlite3_bind_blob64(stmt, index, bytes, b->blob_bytes, SQLITE_STATIC);
    }
    return code;
}

/* Runs one statement to its end; *id receives what it returns, if it returns a row. */
static int run_step(db_writer *w, db_step step, const binding *b, int64_t *id) {
    if (!w->steps[step]) {
        int code = sqlite3_prepare_v3(w->db, step_sql[step], -1, SQLITE_PREPARE_PERSISTENT,
                                      &w->steps[step], NULL);
        if (code != SQLITE_OK) return code;
    }
    sqlite3_stmt *stmt = w->steps[step];
    int code = bind_step(stmt, b);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(stmt);
        if (code == SQLITE_ROW && id) *id = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt); /* the caller's memory is not ours to keep */
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Runs `count` steps as one committed transaction, or within the one that is open (merge.c); *id: the last
 * row id that one of them returned. */
static ts_status store(db_writer *w, const db_step *steps, size_t count, const binding *b,
                       int64_t *id, ts_err *err) {
    bool alone = sqlite3_get_autocommit(w->db) != 0;
    int code = alone ? sqlite3_exec(w->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) : SQLITE_OK;
    for (size_t i = 0; i < count && code == SQLITE_OK; i++) code = run_step(w, steps[i], b, id);
    if (code == SQLITE_OK && alone) code = sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
    if (code == SQLITE_OK) return TS_STATUS_OK;
    ts_status status = db_sql_fail(w->db, code, w->path, "store a row", err);
    if (alone) sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

#define STORE(w, steps, b, id, err) store(w, steps, sizeof(steps) / sizeof(steps)[0], b, id, err)

/* ---- records ---- */

ts_status db_write_kernel(db_writer *w, const db_kernel *kernel, int64_t *id, ts_err *err) {
    static const db_step steps[] = {DB_STEP_TARGET, DB_STEP_BLOB, DB_STEP_KERNEL};
    TS_TRY(db_record_check(&db_kernel_record, kernel, err));
    if (kernel->blob_bytes > DB_BLOB_MAX_BYTES) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "kernel %s: blob has %zu bytes, the limit is %d", kernel->variant,
                       kernel->blob_bytes, DB_BLOB_MAX_BYTES);
    }
    char blob_hash[TS_HASH_HEX], hash[TS_HASH_HEX];
    db_blob_hash(kernel->blob, kernel->blob_bytes, blob_hash);
    db_record_hash(&db_kernel_record, kernel, blob_hash, hash);
    binding b = {.record = &db_kernel_record,
                 .row = kernel,
                 .hash = hash,
                 .blob_hash = blob_hash,
                 .blob = kernel->blob,
                 .blob_bytes = kernel->blob_bytes};
    int64_t stored = 0;
    TS_TRY(STORE(w, steps, &b, &stored, err));
    *id = stored;
    return TS_STATUS_OK;
}

/* The hash of a stored kernel, which the hash of a row that refers to it covers. */
static ts_status kernel_hash(db_writer *w, int64_t id, char hash[TS_HASH_HEX], ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_prepare_v2(w->db, "SELECT hash FROM kernel WHERE id = ?1", -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(stmt, 1, id);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    const char *stored = code == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (stored && strlen(stored) == TS_HASH_HEX - 1) {
        memcpy(hash, stored, TS_HASH_HEX);
    } else if (code == SQLITE_ROW || code == SQLITE_DONE) {
        status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s has no kernel %lld; store it first",
                         w->path, (long long)id);
    } else {
        status = db_sql_fail(w->db, code, w->path, "find a kernel", err);
    }
    sqlite3_finalize(stmt);
    return status;
}

ts_status db_write_result(db_writer *w, const db_result *result, ts_err *err) {
    static const db_step steps[] = {DB_STEP_PROBLEM, DB_STEP_TARGET,      DB_STEP_DEVICE_TARGET,
                                    DB_STEP_DEVICE,  DB_STEP_DROP_RESULT, DB_STEP_RESULT};
    char base[TS_HASH_HEX] = "", hash[TS_HASH_HEX];
    TS_TRY(db_record_check(&db_result_record, result, err));
    if (result->kernel_id) TS_TRY(kernel_hash(w, result->kernel_id, base, err));
    db_record_hash(&db_result_record, result, base, hash);
    binding b = {
        .record = &db_result_record, .row = result, .hash = hash, .kernel_id = result->kernel_id};
    return STORE(w, steps, &b, NULL, err);
}

ts_status db_write_winner(db_writer *w, const db_winner *given, ts_err *err) {
    static const db_step steps[] = {DB_STEP_PROBLEM, DB_STEP_TARGET,      DB_STEP_DEVICE_TARGET,
                                    DB_STEP_DEVICE,  DB_STEP_DROP_WINNER, DB_STEP_WINNER};
    char base[TS_HASH_HEX], hash[TS_HASH_HEX];
    db_winner winner = *given;
    if (!winner.race) winner.race = "{}";
    TS_TRY(db_record_check(&db_winner_record, &winner, err));
    TS_TRY(kernel_hash(w, winner.kernel_id, base, err));
    db_record_hash(&db_winner_record, &winner, base, hash);
    binding b = {
        .record = &db_winner_record, .row = &winner, .hash = hash, .kernel_id = winner.kernel_id};
    return STORE(w, steps, &b, NULL, err);
}

ts_status db_meta_set(db_writer *w, const char *key, const char *value, ts_err *err) {
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(w->db,
                                  "INSERT INTO meta (key, value) VALUES (?1, ?2)"
                                  " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                                  -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) code = sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    ts_status status = code == SQLITE_DONE ? TS_STATUS_OK
                                           : db_sql_fail(w->db, code, w->path, "store a fact", err);
    sqlite3_finalize(stmt);
    return status;
}

/* ---- opening and closing ---- */

/* Asks for a journal mode and says whether SQLite took it. Changing the mode needs the file alone
 * for a moment, and SQLite's own busy handler does not cover that, hence the loop. */
static int set_journal_mode(sqlite3 *db, const char *sql, const char *mode, int timeout_ms) {
    enum { STEP_MS = 10 };
    for (int waited_ms = 0;; waited_ms += STEP_MS) {
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
        if (code == SQLITE_OK) code = sqlite3_step(stmt);
        if (code == SQLITE_ROW) {
            const char *now = (const char *)sqlite3_column_text(stmt, 0);
            code = now && strcmp(now, mode) == 0 ? SQLITE_OK : SQLITE_IOERR;
        }
        sqlite3_finalize(stmt);
        if ((code & 0xff) != SQLITE_BUSY || waited_ms >= timeout_ms) return code;
        sqlite3_sleep(STEP_MS);
    }
}

/* True in *fresh if nobody has put anything into the file. */
static ts_status is_fresh(db_writer *w, bool *fresh, ts_err *err) {
    int64_t used = 0;
    TS_TRY(db_sql_int(w->db, w->path,
                      "SELECT (SELECT count(*) FROM sqlite_master)"
                      " + (SELECT application_id <> 0 FROM pragma_application_id)"
                      " + (SELECT user_version <> 0 FROM pragma_user_version)",
                      &used, err));
    *fresh = used == 0;
    return TS_STATUS_OK;
}

/* Makes the schema, unless another process did so since we looked. */
static ts_status create_schema(db_writer *w, ts_err *err) {
    ts_buf sql = {0};
    bool fresh = false;
    ts_status status = TS_STATUS_OK;
    int code = sqlite3_exec(w->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        status = db_sql_fail(w->db, code, w->path, "create its tables", err);
        goto done;
    }
    status = is_fresh(w, &fresh, err);
    if (status != TS_STATUS_OK) goto done;
    if (fresh) {
        ts_buf_printf(&sql, "%s PRAGMA application_id = %d; PRAGMA user_version = %d;",
                      db_schema_sql, DB_APPLICATION_ID, DB_USER_VERSION);
        code = sql.failed ? SQLITE_NOMEM : sqlite3_exec(w->db, sql.data, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) code = sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
    if (code != SQLITE_OK) status = db_sql_fail(w->db, code, w->path, "create its tables", err);

done:
    if (!sqlite3_get_autocommit(w->db)) sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
    ts_buf_free(&sql);
    return status;
}

/* Checks that the file is ours or empty before anything in it is changed. */
static ts_status prepare_file(db_writer *w, ts_err *err) {
    bool fresh = false;
    TS_TRY(is_fresh(w, &fresh, err));
    if (!fresh) TS_TRY(db_file_check(w->db, w->path, err));
    int code = set_journal_mode(w->db, "PRAGMA journal_mode = WAL", "wal", DB_BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(w->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) return db_sql_fail(w->db, code, w->path, "prepare it for writing", err);
    if (!fresh) return db_file_migrate(w->db, w->path, err);
    TS_TRY(create_schema(w, err));
    return db_file_check(w->db, w->path, err);
}

ts_status db_writer_open(const char *path, db_writer **out, ts_err *err) {
    TS_TRY(db_file_check_size(path, err));
    struct stat info;
    if (stat(path, &info) == 0 && db_size_is_signed(info.st_size))
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "%s: is signed, and what is stored in it would break the signature; give "
                       "another file with --db",
                       path);
    db_writer *w = calloc(1, sizeof *w);
    if (w) w->path = strdup(path);
    ts_status status = TS_STATUS_OK;
    if (!w || !w->path) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", path);
        goto done;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &w->db, flags, NULL);
    if (code != SQLITE_OK) {
        status = db_sql_fail(w->db, code, path, "open it for writing", err);
        goto done;
    }
    if (sqlite3_db_readonly(w->db, "main") == 1) {
        status = ts_fail(err, TS_STATUS_IO, "%s: no permission to write", path);
        goto done;
    }
    sqlite3_busy_timeout(w->db, DB_BUSY_TIMEOUT_MS);
    sqlite3_db_config(w->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, (int *)NULL); /* while migrating */
    db_file_harden(w->db);
    status = prepare_file(w, err);
    if (status != TS_STATUS_OK) goto done;
    sqlite3_db_config(w->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, (int *)NULL);
    w->reader = (db_reader){.db = w->db, .path = w->path};
    *out = w;
    w = NULL;

done:
    if (w) sqlite3_close(w->db);
    if (w) free(w->path);
    free(w);
    return status;
}

void db_writer_close(db_writer *w) {
    if (!w) return;
    for (size_t i = 0; i < DB_STEP_COUNT; i++) sqlite3_finalize(w->steps[i]);
    db_reader_finish(&w->reader);
    /* So that the file stands alone. While others have it open neither works, and need not: the
     * last one to close does it, hence the short wait. */
    enum { CLOSE_WAIT_MS = 100 };
    sqlite3_busy_timeout(w->db, CLOSE_WAIT_MS);
    sqlite3_wal_checkpoint_v2(w->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    set_journal_mode(w->db, "PRAGMA journal_mode = DELETE", "delete", 0);
    sqlite3_close(w->db);
    free(w->path);
    free(w);
}
