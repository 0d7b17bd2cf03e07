/* Sample records and a scratch folder, shared by the database tests. */
#ifndef TESTS_DB_SAMPLE_H
#define TESTS_DB_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>
#include <sqlite3.h>

#include "db/file.h"
#include "db/store.h"

#define UNUSED __attribute__((unused))

/* Fails the test with the message of a call that should have worked. */
#define CHECK_OK(call)                                           \
    do {                                                         \
        ts_err err = {0};                                        \
        if ((call) != TS_STATUS_OK) fail_msg("%s", err.message); \
    } while (0)

/* The call fails with `status_` and its message holds `text`. The call names its error `err`. */
#define CHECK_FAILS(call, status_, text)                                                 \
    do {                                                                                 \
        ts_err err = {0};                                                                \
        assert_int_equal((call), status_);                                               \
        assert_int_equal(err.status, status_);                                           \
        if (!strstr(err.message, text)) fail_msg("no \"%s\" in: %s", text, err.message); \
    } while (0)

/* ---- scratch folder: one a test, made and removed by the fixture ---- */

static char scratch[64];

UNUSED static int make_scratch(void **state) {
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/tunesmith-db-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info, (void)kind, (void)where;
    return remove(path);
}

UNUSED static int remove_scratch(void **state) {
    (void)state;
    return nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Path of a file in the scratch folder; a few results live at once. */
UNUSED static const char *in_scratch(const char *name) {
    static char paths[8][128];
    static int next = 0;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

/* ---- records ---- */

static const db_device h200 = {"NVIDIA H200", "sm_90a", 132, 150754820096, "580.159.04"};
UNUSED static const db_device epyc = {"AMD EPYC 9654", "cpu-x86-64-v4", 96, 270000000000, ""};

/* The i-th kernel; odd ones are defaults. The blob is long enough to need overflow pages. */
UNUSED static db_kernel sample_kernel(int i) {
    static char variants[8][64];
    static unsigned char blobs[8][9000];
    char *variant = variants[i % 8];
    unsigned char *blob = blobs[i % 8];
    snprintf(variant, sizeof variants[0], "axpy/rows threads=%d vec=4", 64 + i);
    for (size_t k = 0; k < sizeof blobs[0]; k++) blob[k] = (unsigned char)(k * 31 + (size_t)i);
    return (db_kernel){
        .family = "axpy",
        .version = "rows",
        .variant = variant,
        .spec = "dtype=bf16",
        .target = "sm_90a",
        .abi = "abi-hash",
        .signature = "signature-hash",
        .compiler = "nvrtc 13.0",
        .options = "--gpu-architecture=sm_90a",
        .launch = "{\"format\":1}",
        .blob = blob,
        .blob_bytes = sizeof blobs[0],
        .registers = 32 + i,
        .spill_bytes = -1,
        .shared_bytes = 49152,
        .driver_min = 12040,
        .is_default = i % 2 == 1,
    };
}

UNUSED static db_winner sample_winner(int i, int64_t kernel_id) {
    static char problems[8][64];
    char *problem = problems[i % 8];
    snprintf(problem, sizeof problems[0], "axpy m=%d k=1536 dtype=bf16", 1 << i);
    return (db_winner){
        .problem = problem,
        .target = "sm_90a",
        .device = h200,
        .kernel_id = kernel_id,
        .variant = sample_kernel(i).variant,
        .evidence = "measured",
        .time_us = 12.345 + i,
        .ci_low_us = 12.25,
        .ci_high_us = 12.5,
        .default_us = 20,
        .gflops = 0.006,
        .gbytes = 0.0125,
        .family_hash = "family-hash",
        .oracle_hash = "oracle-hash",
        .compiler = "nvrtc 13.0",
        .verdict = "win",
        .race = "{\"rounds\":12}",
    };
}

UNUSED static db_result sample_result(int i) {
    static char variants[64];
    snprintf(variants, sizeof variants, "axpy/rows threads=%d vec=4", 64 + i);
    return (db_result){
        .problem = "axpy m=1 k=1536 dtype=bf16",
        .variant = variants,
        .target = "sm_90a",
        .signature = "signature-hash",
        .status = "ok",
        .reason = "",
        .device = h200,
        .time_us = 12.5 + i,
        .spread_us = 0.125,
        .samples = 20,
        .error = 1e-3,
        .evidence = "{\"clock\":1980}",
    };
}

/* A closed database with `winners` winners and a default kernel that no winner uses. */
UNUSED static void write_sample(const char *path, int winners) {
    db_writer *w = NULL;
    CHECK_OK(db_writer_open(path, &w, &err));
    for (int i = 0; i < winners; i++) {
        db_kernel kernel = sample_kernel(i);
        int64_t id = 0;
        CHECK_OK(db_write_kernel(w, &kernel, &id, &err));
        db_winner winner = sample_winner(i, id);
        CHECK_OK(db_write_winner(w, &winner, &err));
        db_result result = sample_result(i);
        result.kernel_id = id;
        CHECK_OK(db_write_result(w, &result, &err));
    }
    db_kernel other = sample_kernel(7);
    int64_t id = 0;
    CHECK_OK(db_write_kernel(w, &other, &id, &err));
    db_writer_close(w);
}

/* ---- calls that must work ---- */

UNUSED static db_writer *open_writer(const char *path) {
    db_writer *w = NULL;
    CHECK_OK(db_writer_open(path, &w, &err));
    return w;
}

UNUSED static int64_t write_kernel(db_writer *w, const db_kernel *kernel) {
    int64_t id = 0;
    CHECK_OK(db_write_kernel(w, kernel, &id, &err));
    assert_true(id > 0);
    return id;
}

UNUSED static db_image load(const char *path) {
    db_image image = {0};
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    for (size_t i = 0; i < image.warning_count; i++) fail_msg("%s", image.warnings[i]);
    return image;
}

/* ---- comparing ---- */

UNUSED static bool same_real(double a, double b) { return a == b || (a != a && b != b); }

UNUSED static bool same_device(const db_device *a, const db_device *b) {
    return strcmp(a->name, b->name) == 0 && strcmp(a->target, b->target) == 0 &&
           a->sm_count == b->sm_count && a->memory_bytes == b->memory_bytes &&
           strcmp(a->driver, b->driver) == 0;
}

/* All content; not the row id, and not `hash`, which a record that was never stored lacks. */
UNUSED static bool same_kernel(const db_kernel *a, const db_kernel *b) {
    const char *const left[] = {a->family, a->version,   a->variant,  a->spec,    a->target,
                                a->abi,    a->signature, a->compiler, a->options, a->launch};
    const char *const right[] = {b->family, b->version,   b->variant,  b->spec,    b->target,
                                 b->abi,    b->signature, b->compiler, b->options, b->launch};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        if (strcmp(left[i], right[i]) != 0) return false;
    }
    return a->blob_bytes == b->blob_bytes && memcmp(a->blob, b->blob, a->blob_bytes) == 0 &&
           a->registers == b->registers && a->spill_bytes == b->spill_bytes &&
           a->shared_bytes == b->shared_bytes && a->driver_min == b->driver_min &&
           a->is_default == b->is_default;
}

UNUSED static bool same_winner(const db_winner *a, const db_winner *b) {
    const char *const left[] = {a->problem,     a->target,      a->variant,  a->evidence,
                                a->family_hash, a->oracle_hash, a->compiler, a->verdict,
                                a->race};
    const char *const right[] = {b->problem,     b->target,      b->variant,  b->evidence,
                                 b->family_hash, b->oracle_hash, b->compiler, b->verdict,
                                 b->race};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        if (strcmp(left[i], right[i]) != 0) return false;
    }
    return same_device(&a->device, &b->device) && same_real(a->time_us, b->time_us) &&
           same_real(a->ci_low_us, b->ci_low_us) && same_real(a->ci_high_us, b->ci_high_us) &&
           same_real(a->default_us, b->default_us) && same_real(a->gflops, b->gflops) &&
           same_real(a->gbytes, b->gbytes);
}

/* ---- the file behind our back ---- */

UNUSED static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

UNUSED static int64_t query_int(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return value;
}

/* ---- older files ---- */

/* A sample whose winners say nothing of their race, turned back into what version 1 wrote. */
UNUSED static void write_version_1(const char *path, int winners) {
    static const char set_aside[] =
        "PRAGMA legacy_alter_table = ON; BEGIN;"
        "ALTER TABLE winner RENAME TO w2; ALTER TABLE blob RENAME TO b2";
    static const char fill[] =
        "INSERT INTO blob SELECT id, hash, bytes FROM b2;"
        "INSERT INTO winner SELECT id, problem_id, target_id, device_id, kernel_id, variant,"
        " evidence, time_us, ci_low_us, ci_high_us, default_us, gflops, gbytes, family_hash,"
        " oracle_hash, compiler, verdict, hash FROM w2;"
        "DROP TABLE w2; DROP TABLE b2; PRAGMA user_version = 1; COMMIT";
    write_sample(path, winners);
    db_writer *w = open_writer(path);
    for (int i = 0; i < winners; i++) {
        db_kernel kernel = sample_kernel(i);
        db_winner winner = sample_winner(i, write_kernel(w, &kernel));
        winner.race = NULL;
        CHECK_OK(db_write_winner(w, &winner, &err));
    }
    db_writer_close(w);
    ts_buf sql = {0};
    ts_buf_printf(&sql, "%s; %s; %s", set_aside, db_schema_1_sql, fill);
    run_sql(path, sql.data);
    ts_buf_free(&sql);
}

#endif
