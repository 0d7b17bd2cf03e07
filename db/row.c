/* The field tables of kernel, result and winner, and the four things done with them.
 *
 * A field added to store.h and schema.sql is added here once; binding, reading, hashing and the
 * text export follow. Text keys (problem, target, device) live in tables of their own: a field's
 * `source` reaches through the joins of its record, while the hash is over the texts, not over row
 * numbers, so that a row keeps its hash in another file and a swapped reference is noticed.
 */
#include "row.h"

#include <math.h>
#include <string.h>

#include "file.h"

/* ---- the tables ---- */

/* clang-format off */
#define FIELD(record, member, parameter, source, type)                                   \
    {parameter, source, type, offsetof(record, member)}
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const db_field kernel_fields[] = {
    FIELD(db_kernel, family, ":family", "k.family", DB_TEXT),
    FIELD(db_kernel, version, ":version", "k.version", DB_TEXT),
    FIELD(db_kernel, variant, ":variant", "k.variant", DB_TEXT),
    FIELD(db_kernel, spec, ":spec", "k.spec", DB_TEXT),
    FIELD(db_kernel, target, ":target", "t.name", DB_TEXT),
    FIELD(db_kernel, abi, ":abi", "k.abi", DB_TEXT),
    FIELD(db_kernel, signature, ":signature", "k.signature", DB_TEXT),
    FIELD(db_kernel, compiler, ":compiler", "k.compiler", DB_TEXT),
    FIELD(db_kernel, options, ":options", "k.options", DB_TEXT),
    FIELD(db_kernel, launch, ":launch", "k.launch", DB_TEXT),
    FIELD(db_kernel, registers, ":registers", "k.registers", DB_INT32),
    FIELD(db_kernel, spill_bytes, ":spill_bytes", "k.spill_bytes", DB_INT32),
    FIELD(db_kernel, shared_bytes, ":shared_bytes", "k.shared_bytes", DB_INT32),
    FIELD(db_kernel, driver_min, ":driver_min", "k.driver_min", DB_INT32),
    FIELD(db_kernel, is_default, ":is_default", "k.is_default", DB_BOOL),
};

/* Results and winners name their place the same way, so the writer's shared steps fit both. */
#define PLACE_FIELDS(record)                                                             \
    FIELD(record, problem, ":problem", "p.text", DB_TEXT),                               \
    FIELD(record, target, ":target", "t.name", DB_TEXT),                                 \
    FIELD(record, device.name, ":device", "d.name", DB_TEXT),                            \
    FIELD(record, device.target, ":device_target", "dt.name", DB_TEXT),                  \
    FIELD(record, device.sm_count, ":sm_count", "d.sm_count", DB_INT32),                 \
    FIELD(record, device.memory_bytes, ":memory_bytes", "d.memory_bytes", DB_INT64),     \
    FIELD(record, device.driver, ":driver", "d.driver", DB_TEXT)

#define PLACE_JOINS                                                                        \
    " LEFT JOIN problem p ON p.id = r.problem_id LEFT JOIN target t ON t.id = r.target_id" \
    " LEFT JOIN device d ON d.id = r.device_id LEFT JOIN target dt ON dt.id = d.target_id" \
    " LEFT JOIN kernel k ON k.id = r.kernel_id"

static const db_field result_fields[] = {
    PLACE_FIELDS(db_result),
    FIELD(db_result, variant, ":variant", "r.variant", DB_TEXT),
    FIELD(db_result, signature, ":signature", "r.signature", DB_TEXT),
    FIELD(db_result, status, ":status", "r.status", DB_TEXT),
    FIELD(db_result, reason, ":reason", "r.reason", DB_TEXT),
    FIELD(db_result, time_us, ":time_us", "r.time_us", DB_REAL),
    FIELD(db_result, spread_us, ":spread_us", "r.spread_us", DB_REAL),
    FIELD(db_result, samples, ":samples", "r.samples", DB_INT32),
    FIELD(db_result, error, ":error", "r.error", DB_REAL),
    FIELD(db_result, evidence, ":evidence", "r.evidence", DB_TEXT),
};

static const db_field winner_fields[] = {
    PLACE_FIELDS(db_winner),
    FIELD(db_winner, variant, ":variant", "r.variant", DB_TEXT),
    FIELD(db_winner, evidence, ":evidence", "r.evidence", DB_TEXT),
    FIELD(db_winner, time_us, ":time_us", "r.time_us", DB_REAL),
    FIELD(db_winner, ci_low_us, ":ci_low_us", "r.ci_low_us", DB_REAL),
    FIELD(db_winner, ci_high_us, ":ci_high_us", "r.ci_high_us", DB_REAL),
    FIELD(db_winner, default_us, ":default_us", "r.default_us", DB_REAL),
    FIELD(db_winner, gflops, ":gflops", "r.gflops", DB_REAL),
    FIELD(db_winner, gbytes, ":gbytes", "r.gbytes", DB_REAL),
    FIELD(db_winner, family_hash, ":family_hash", "r.family_hash", DB_TEXT),
    FIELD(db_winner, oracle_hash, ":oracle_hash", "r.oracle_hash", DB_TEXT),
    FIELD(db_winner, compiler, ":compiler", "r.compiler", DB_TEXT),
    FIELD(db_winner, verdict, ":verdict", "r.verdict", DB_TEXT),
    {":race", "r.race", DB_TEXT, offsetof(db_winner, race), 2, "{}"},
};

const db_record db_kernel_record = {
    "kernel",
    "k.id, k.id, k.hash, b.hash",
    "kernel k LEFT JOIN target t ON t.id = k.target_id LEFT JOIN blob b ON b.id = k.blob_id",
    kernel_fields,
    COUNT(kernel_fields),
    ", b.bytes, b.codec, b.raw_bytes",
    ", b.bytes, 'none', length(b.bytes)",
};

const db_record db_result_record = {
    "result",
    "r.id, r.kernel_id, r.hash, k.hash",
    "result r" PLACE_JOINS,
    result_fields,
    COUNT(result_fields),
};

const db_record db_winner_record = {
    "winner",
    "r.id, r.kernel_id, r.hash, k.hash",
    "winner r" PLACE_JOINS,
    winner_fields,
    COUNT(winner_fields),
};

/* clang-format on */

/* ---- reading ---- */

ts_status db_record_prepare(sqlite3 *db, const char *path, const db_record *record,
                            const char *tail, sqlite3_stmt **out, ts_err *err) {
    ts_buf sql = {0};
    int64_t version = 0;
    TS_TRY(db_sql_int(db, path, "PRAGMA user_version", &version, err));
    ts_buf_printf(&sql, "SELECT %s", record->select);
    for (size_t i = 0; i < record->field_count; i++) {
        const db_field *field = &record->fields[i];
        if (field->since <= version)
            ts_buf_printf(&sql, ", %s", field->source);
        else
            ts_buf_printf(&sql, ", '%s'", field->absent);
    }
    if (record->more) ts_buf_printf(&sql, "%s", version == 1 ? record->more_1 : record->more);
    ts_buf_printf(&sql, " FROM %s %s", record->from, tail);
    int code = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql.data, -1, out, NULL);
    ts_buf_free(&sql);
    return code == SQLITE_OK ? TS_STATUS_OK : db_sql_fail(db, code, path, "read its tables", err);
}

static const char *column_text(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

db_row_head db_record_head(sqlite3_stmt *stmt) {
    return (db_row_head){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
                         column_text(stmt, 2), column_text(stmt, 3)};
}

/* False: a value of another type or size than we write. STRICT tables promise the type, but only
 * for a file that nobody edited. */
static bool read_field(sqlite3_stmt *stmt, int column, db_type type, ts_arena *arena,
                       void *member) {
    int stored = sqlite3_column_type(stmt, column);
    if (type == DB_REAL) {
        if (stored != SQLITE_FLOAT && stored != SQLITE_NULL) return false;
        *(double *)member = stored == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, column);
        return true;
    }
    if (type == DB_TEXT) {
        if (stored != SQLITE_TEXT) return false;
        const char *text = (const char *)sqlite3_column_text(stmt, column);
        int bytes = sqlite3_column_bytes(stmt, column);
        if (text && (bytes > DB_TEXT_MAX_BYTES || (size_t)bytes != strlen(text))) return false;
        *(const char **)member = text ? ts_arena_strdup(arena, text)
                                      : NULL; /* NULL: out of memory */
        return true;
    }
    if (stored != SQLITE_INTEGER) return false;
    int64_t value = sqlite3_column_int64(stmt, column);
    if (type == DB_INT64) {
        *(int64_t *)member = value;
    } else if (type == DB_INT32) {
        if (value < INT32_MIN || value > INT32_MAX) return false;
        *(int32_t *)member = (int32_t)value;
    } else {
        if (value != 0 && value != 1) return false;
        *(bool *)member = value == 1;
    }
    return true;
}

ts_status db_record_read(sqlite3_stmt *stmt, const db_record *record, ts_arena *arena, void *row,
                         ts_err *err) {
    for (size_t i = 0; i < record->field_count; i++) {
        const db_field *field = &record->fields[i];
        void *member = (char *)row + field->offset;
        if (!read_field(stmt, DB_HEAD_COLUMNS + (int)i, field->type, arena, member)) {
            return ts_fail(err, TS_STATUS_CORRUPT, "%s row %lld has a bad value of %s",
                           record->name, (long long)db_record_head(stmt).id, field->parameter + 1);
        }
        if (field->type == DB_TEXT && !*(const char **)member) {
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory reading a %s row",
                           record->name);
        }
    }
    return TS_STATUS_OK;
}

ts_status db_record_load(sqlite3_stmt *stmt, const db_record *record, ts_arena *arena, void *row,
                         ts_err *err) {
    db_row_head head = db_record_head(stmt);
    char hash[TS_HASH_HEX];
    TS_TRY(db_record_read(stmt, record, arena, row, err));
    db_record_hash(record, row, head.base_hash, hash);
    if (strcmp(hash, head.hash) != 0) {
        return ts_fail(err, TS_STATUS_CORRUPT, "%s row %lld does not match its hash", record->name,
                       (long long)head.id);
    }
    return TS_STATUS_OK;
}

/* ---- binding ---- */

static int bind_field(sqlite3_stmt *stmt, int index, db_type type, const void *member) {
    switch (type) {
    case DB_TEXT: {
        const char *text = *(const char *const *)member;
        return sqlite3_bind_text(stmt, index, text ? text : "", -1, SQLITE_STATIC);
    }
    case DB_INT32: return sqlite3_bind_int(stmt, index, *(const int32_t *)member);
    case DB_INT64: return sqlite3_bind_int64(stmt, index, *(const int64_t *)member);
    case DB_BOOL: return sqlite3_bind_int(stmt, index, *(const bool *)member);
    case DB_REAL:
        return sqlite3_bind_double(stmt, index, *(const double *)member); /* NaN -> NULL */
    }
    return SQLITE_MISUSE;
}

int db_record_bind(sqlite3_stmt *stmt, const db_record *record, const void *row) {
    for (size_t i = 0; i < record->field_count; i++) {
        const db_field *field = &record->fields[i];
        int index = sqlite3_bind_parameter_index(stmt, field->parameter);
        if (index == 0) continue;
        int code = bind_field(stmt, index, field->type, (const char *)row + field->offset);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

ts_status db_record_check(const db_record *record, const void *row, ts_err *err) {
    for (size_t i = 0; i < record->field_count; i++) {
        const db_field *field = &record->fields[i];
        if (field->type != DB_TEXT) continue;
        const char *text = *(const char *const *)((const char *)row + field->offset);
        size_t bytes = text ? strlen(text) : 0;
        if (bytes > DB_TEXT_MAX_BYTES) {
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: %s has %zu bytes, the limit is %d",
                           record->name, field->parameter + 1, bytes, DB_TEXT_MAX_BYTES);
        }
    }
    return TS_STATUS_OK;
}

/* ---- hashing ---- */

static void hash_u64(ts_hash *hash, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    ts_hash_part(hash, bytes, sizeof bytes);
}

/* What SQLite does not keep is hashed as what comes back: every NaN as none, -0 as 0. */
static void hash_real(ts_hash *hash, double value) {
    uint64_t bits = 0;
    if (isnan(value)) {
        ts_hash_part(hash, NULL, 0);
        return;
    }
    if (value != 0) memcpy(&bits, &value, sizeof bits);
    hash_u64(hash, bits);
}

void db_record_hash(const db_record *record, const void *row, const char *base_hash,
                    char hex[TS_HASH_HEX]) {
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_text(&hash, record->name);
    for (size_t i = 0; i < record->field_count; i++) {
        const db_field *field = &record->fields[i];
        const void *member = (const char *)row + field->offset;
        if (field->absent && strcmp(*(const char *const *)member, field->absent) == 0) continue;
        switch (field->type) {
        case DB_TEXT: ts_hash_text(&hash, *(const char *const *)member); break;
        case DB_INT32: hash_u64(&hash, (uint64_t) * (const int32_t *)member); break;
        case DB_INT64: hash_u64(&hash, (uint64_t) * (const int64_t *)member); break;
        case DB_BOOL: hash_u64(&hash, *(const bool *)member); break;
        case DB_REAL: hash_real(&hash, *(const double *)member); break;
        }
    }
    ts_hash_text(&hash, base_hash);
    ts_hash_final(&hash, hex);
}
