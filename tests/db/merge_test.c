/* Merging: what stays, what is reported, and that a failure changes nothing. */
#include "sample.h"

#include <math.h>
#include <sodium.h>

#include "db/merge.h"
#include "db/ship.h"

static volatile sig_atomic_t interrupted;

static db_merge_report merge(const char *into, const char *const *files, size_t count) {
    db_merge_report report = {0};
    CHECK_OK(db_merge(into, files, count, &interrupted, &report, &err));
    return report;
}

/* Two files, and the report is not looked at. */
static void merge_two(const char *into, const char *a, const char *b) {
    const char *const files[] = {a, b};
    db_merge_report report = merge(into, files, 2);
    db_merge_report_free(&report);
}

/* Everything that a file says, whatever its row numbers: hashes are over texts. Free it. */
static char *content(const char *path) {
    static const char sql[] =
        "SELECT group_concat(line, char(10)) FROM (SELECT * FROM ("
        "SELECT 'kernel ' || k.hash || b.hash AS line FROM kernel k JOIN blob b ON b.id = k.blob_id"
        " UNION ALL SELECT 'result ' || p.text || t.name || d.name || r.variant || r.hash"
        "  FROM result r JOIN problem p ON p.id = problem_id JOIN target t ON t.id = r.target_id"
        "  JOIN device d ON d.id = device_id"
        " UNION ALL SELECT 'winner ' || p.text || t.name || d.name || w.variant || w.hash"
        "  FROM winner w JOIN problem p ON p.id = problem_id JOIN target t ON t.id = w.target_id"
        "  JOIN device d ON d.id = device_id) ORDER BY line)";
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    char *copy = strdup(text ? text : "");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return copy;
}

static void assert_content(const char *path, const char *want) {
    char *have = content(path);
    assert_string_equal(have, want);
    free(have);
    assert_int_equal(query_int(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
                     1);
    assert_int_equal(query_int(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* A file with this one winner, its kernel and a result. */
static const char *file_with(const char *name, const db_winner *winner, int kernel) {
    const char *path = in_scratch(name);
    unlink(path);
    db_writer *w = open_writer(path);
    db_kernel k = sample_kernel(kernel);
    db_winner row = *winner;
    row.kernel_id = write_kernel(w, &k);
    row.variant = k.variant;
    CHECK_OK(db_write_winner(w, &row, &err));
    db_result result = sample_result(kernel);
    result.kernel_id = row.kernel_id;
    CHECK_OK(db_write_result(w, &result, &err));
    db_writer_close(w);
    return path;
}

/* ---- which one stays ---- */

static db_winner plain(void) { return sample_winner(0, 0); }
static db_winner predicted(void) {
    db_winner w = plain();
    w.evidence = "predicted";
    w.device = (db_device){"", "sm_90a", 0, 0, ""};
    w.ci_low_us = w.ci_high_us = w.time_us = NAN;
    w.verdict = "regret 5 %";
    w.race = NULL;
    return w;
}
static db_winner unranked(void) {
    db_winner w = predicted();
    w.verdict = DB_UNRANKED;
    return w;
}
static db_winner provisional(void) {
    db_winner w = plain();
    w.ci_low_us = w.ci_high_us = NAN;
    w.race = NULL;
    return w;
}
static db_winner fast_provisional(void) {
    db_winner w = provisional();
    w.time_us = 1;
    return w;
}
static db_winner older(void) {
    db_winner w = plain();
    w.race = "{\"at\":1700000000.5}";
    return w;
}
static db_winner newer(void) {
    db_winner w = plain();
    w.ci_low_us = 1; /* wide, and newer all the same */
    w.race = "{\"at\":1700000001}";
    return w;
}
static db_winner narrow(void) {
    db_winner w = plain();
    w.ci_low_us = 12.3;
    return w;
}
static db_winner shipped(void) {
    db_winner w = plain();
    w.race = NULL;
    return w;
}

static void better_evidence_stays(void **state) {
    (void)state;
    static const struct {
        db_winner (*better)(void), (*worse)(void);
        const char *why;
    } pairs[] = {
        {provisional, predicted, "measured over predicted"},
        {plain, fast_provisional, "raced over provisional"},
        {predicted, unranked, "ranked over unranked"},
        {newer, older, "the newer race"},
        {older, narrow, "the newer race"}, /* of the narrow one nobody knows when */
        {narrow, plain, "the narrower interval"},
        {fast_provisional, provisional, "the faster one"},
        {plain, shipped, "the race on record"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        db_winner better = pairs[i].better(), worse = pairs[i].worse();
        const char *a = file_with("a.db", &better, 1), *b = file_with("b.db", &worse, 2);
        for (int swap = 0; swap < 2; swap++) {
            const char *into = in_scratch("all.db");
            const char *const files[] = {swap ? b : a, swap ? a : b};
            db_merge_report report = merge(into, files, 2);
            assert_int_equal(report.decision_count, 2);
            const db_merge_decision *first = &report.decisions[0], *d = &report.decisions[1];
            assert_int_equal(first->action, DB_MERGE_ADDED);
            assert_string_equal(first->file, files[0]);
            assert_int_equal(d->action, swap ? DB_MERGE_REPLACED : DB_MERGE_KEPT);
            assert_string_equal(d->reason, pairs[i].why);
            assert_string_equal(d->problem, better.problem);
            assert_string_equal(d->variant, sample_kernel(1).variant);
            assert_string_equal(d->other_variant, sample_kernel(2).variant);
            assert_string_equal(d->file, a);
            assert_string_equal(d->other_file, b);
            assert_int_equal(report.winners[d->action], 1);
            db_merge_report_free(&report);
            assert_int_equal(query_int(into, "SELECT count(*) FROM winner"), 1);
            db_image image = load(into);
            better.variant = sample_kernel(1).variant;
            if (!better.race) better.race = "{}";
            assert_true(same_winner(&image.winners[0].winner, &better));
            db_image_free(&image);
            unlink(into);
        }
    }
}

static void equal_evidence_has_one_winner(void **state) {
    (void)state;
    db_winner winner = plain();
    const char *a = file_with("a.db", &winner, 1), *b = file_with("b.db", &winner, 2);
    merge_two(in_scratch("ab.db"), a, b);
    merge_two(in_scratch("ba.db"), b, a);
    char *want = content(in_scratch("ab.db"));
    assert_content(in_scratch("ba.db"), want);
    free(want);
}

static void other_devices_are_other_entries(void **state) {
    (void)state;
    db_winner one = plain(), two = plain();
    two.device = (db_device){"NVIDIA H100", "sm_90a", 132, 85899345920, "580"};
    merge_two(in_scratch("all.db"), file_with("a.db", &one, 1), file_with("b.db", &two, 1));
    assert_int_equal(query_int(in_scratch("all.db"), "SELECT count(*) FROM winner"), 2);
    /* Another driver is the same device. */
    db_winner three = newer();
    three.device.driver = "590";
    merge_two(in_scratch("all.db"), file_with("c.db", &three, 1), in_scratch("c.db"));
    assert_int_equal(query_int(in_scratch("all.db"), "SELECT count(*) FROM winner"), 2);
    assert_int_equal(query_int(in_scratch("all.db"), "SELECT count(*) FROM device"), 3);
}

/* ---- orders ---- */

enum { FILES = 4 };

/* Winners, results and kernels that overlap with those of the other files in every way. */
static const char *overlapping_file(int i) {
    static db_winner (*const kinds[])(void) = {plain, predicted, unranked, provisional,
                                               older, newer,     narrow,   shipped};
    char name[16];
    snprintf(name, sizeof name, "f%d.db", i);
    db_writer *w = open_writer(in_scratch(name));
    for (int k = 0; k < 8; k++) {
        db_kernel kernel = sample_kernel((i * 3 + k) % 8);
        db_winner winner = kinds[(i * 5 + k * (i + 1)) % 8]();
        winner.problem = sample_winner(k, 0).problem;
        winner.variant = kernel.variant;
        winner.kernel_id = write_kernel(w, &kernel);
        if (*winner.device.name && (i + k) % 3 == 0) winner.device.name = "NVIDIA H100";
        CHECK_OK(db_write_winner(w, &winner, &err));
        char evidence[40];
        snprintf(evidence, sizeof evidence, "{\"at\":%d}", (i * 7 + k) % 5);
        db_result result = sample_result(k);
        result.evidence = evidence;
        result.reason = i % 2 ? "odd" : "";
        result.kernel_id = k % 2 ? winner.kernel_id : 0;
        CHECK_OK(db_write_result(w, &result, &err));
    }
    db_writer_close(w);
    return strdup(in_scratch(name));
}

static void order_does_not_matter(void **state) {
    (void)state;
    const char *files[FILES];
    char *want = NULL, *into = strdup(in_scratch("all.db")); /* others take its place there */
    for (int i = 0; i < FILES; i++) files[i] = overlapping_file(i);
    for (int p = 0; p < 24; p++) { /* the p-th permutation */
        const char *order[FILES], *left[FILES];
        memcpy(left, files, sizeof left);
        for (int i = 0, rest = p; i < FILES; i++) {
            int at = rest % (FILES - i);
            rest /= FILES - i;
            order[i] = left[at];
            for (int k = at; k + 1 < FILES - i; k++) left[k] = left[k + 1];
        }
        db_merge_report report = merge(into, order, FILES);
        db_merge_report_free(&report);
        if (!want) want = content(into);
        assert_content(into, want);
        unlink(into);
    }
    merge_two(in_scratch("left.db"), files[0], files[1]);
    merge_two(in_scratch("right.db"), files[2], files[3]);
    merge_two(into, in_scratch("right.db"), in_scratch("left.db"));
    assert_content(into, want);
    assert_true(query_int(into, "SELECT count(*) FROM winner") >= 8);

    /* And again: nothing changes. */
    db_merge_report report = merge(into, files, FILES);
    assert_int_equal(report.winners[DB_MERGE_ADDED] + report.winners[DB_MERGE_REPLACED], 0);
    assert_int_equal(report.results[DB_MERGE_ADDED] + report.results[DB_MERGE_REPLACED], 0);
    assert_int_equal(report.kernels[DB_MERGE_ADDED], 0);
    db_merge_report_free(&report);
    assert_content(into, want);
    for (int i = 0; i < FILES; i++) free((char *)(uintptr_t)files[i]);
    free(want);
    free(into);
}

static void all_comes_along_and_code_is_stored_once(void **state) {
    (void)state;
    const char *a = in_scratch("a.db"), *b = in_scratch("b.db"), *into = in_scratch("all.db");
    write_sample(a, 3);
    write_sample(b, 5);
    merge_two(into, a, b);
    char *want = content(b); /* holds all of a */
    assert_content(into, want);
    free(want);
    assert_int_equal(query_int(into, "SELECT count(*) FROM blob"), 6);
    db_reader *reader = NULL;
    db_kernel kernel;
    ts_arena arena = {0};
    CHECK_OK(db_reader_open(into, &reader, &err));
    CHECK_OK(db_read_kernel(reader, 1, &arena, &kernel, &err));
    db_kernel sample = sample_kernel(0);
    assert_true(same_kernel(&kernel, &sample));
    db_reader_close(reader);
    ts_arena_free(&arena);
}

/* ---- sources ---- */

static void sign(const char *path) {
    unsigned char secret[DB_SECRET_BYTES], trailer[DB_SIGNATURE_BYTES];
    db_public_key key;
    ts_buf file = {0};
    assert_true(sodium_init() >= 0);
    crypto_sign_keypair(key.bytes, secret);
    CHECK_OK(ts_file_read(path, &file, &err));
    CHECK_OK(db_signature_make(file.data, file.bytes, secret, trailer, &err));
    ts_buf_append(&file, trailer, sizeof trailer);
    CHECK_OK(ts_file_write(path, file.data, file.bytes, &err));
    ts_buf_free(&file);
}

static void signed_shipped_and_old_files_are_sources(void **state) {
    (void)state;
    const char *path = in_scratch("a.db"), *out = in_scratch("shipped.db");
    const char *old = in_scratch("old.db"), *into = in_scratch("all.db");
    db_ship_report report;
    write_sample(path, 3);
    CHECK_OK(db_ship(path, out, &report, &err));
    chmod(out, 0644);
    sign(out);
    chmod(out, 0444);
    write_version_1(old, 5);
    merge_two(into, out, old);
    assert_int_equal(query_int(old, "PRAGMA user_version"), 1); /* only read */
    assert_int_equal(query_int(into, "PRAGMA user_version"), 2);
    assert_int_equal(query_int(into, "SELECT count(*) FROM winner"), 5);
    assert_int_equal(query_int(into, "SELECT count(*) FROM result"), 5);
    assert_int_equal(query_int(into, "SELECT count(*) FROM blob WHERE codec = 'none'"), 6);
    db_image image = load(into);
    for (size_t i = 0; i < image.winner_count; i++) {
        int m = 0;
        sscanf(image.winners[i].winner.problem, "axpy m=%d", &m);
        db_kernel kernel = sample_kernel(__builtin_ctz((unsigned)m));
        assert_true(same_kernel(image.winners[i].kernel, &kernel));
    }
    db_image_free(&image);
    merge_two(old, path, path); /* an old target is brought to the newest version */
    assert_int_equal(query_int(old, "PRAGMA user_version"), 2);
}

static void damaged_rows_are_skipped_and_said(void **state) {
    (void)state;
    const char *path = in_scratch("a.db"), *into = in_scratch("all.db");
    write_sample(path, 6);
    run_sql(path, "UPDATE kernel SET registers = registers + 1 WHERE id = 1;" /* 1 kernel, and */
                  "UPDATE blob SET bytes = zeroblob(9000) WHERE id = 2;"      /* its two rows */
                  "UPDATE result SET time_us = time_us + 1 WHERE id = 3;"     /* 1 result */
                  "UPDATE winner SET variant = 'other' WHERE id = 4");        /* 1 winner */
    const char *const files[] = {path};
    db_merge_report report = merge(into, files, 1);
    assert_int_equal(report.kernels[DB_MERGE_SKIPPED], 2);
    assert_int_equal(report.results[DB_MERGE_SKIPPED], 3);
    assert_int_equal(report.winners[DB_MERGE_SKIPPED], 3);
    assert_int_equal(report.winners[DB_MERGE_ADDED], 3);
    size_t said = 0;
    for (size_t i = 0; i < report.decision_count; i++) {
        const db_merge_decision *d = &report.decisions[i];
        if (d->action != DB_MERGE_SKIPPED) continue;
        said++;
        assert_string_equal(d->file, path);
        if (!strstr(d->reason, "hash") && !strstr(d->reason, "lost its kernel"))
            fail_msg("%s", d->reason);
    }
    assert_int_equal(said, 8);
    db_merge_report_free(&report);
    db_image image = load(into); /* no warning: all that is in it is sound */
    assert_int_equal(image.winner_count, 3);
    db_image_free(&image);
}

static void damage_in_the_target_gives_way(void **state) {
    (void)state;
    db_winner good = plain(), guess = predicted();
    const char *into = file_with("all.db", &good, 1), *source = file_with("b.db", &guess, 1);
    run_sql(into, "UPDATE winner SET time_us = 1; UPDATE blob SET bytes = zeroblob(9000)");
    const char *const files[] = {source};
    db_merge_report report = merge(into, files, 1);
    assert_int_equal(report.winners[DB_MERGE_REPLACED], 1);
    assert_string_equal(report.decisions[0].other_variant, "a damaged row");
    db_merge_report_free(&report);
    db_image image = load(into); /* the kernel is whole again */
    assert_int_equal(image.winner_count, 1);
    assert_string_equal(image.winners[0].winner.evidence, "predicted");
    db_image_free(&image);
}

/* ---- all or nothing ---- */

/* Overwrites the root page of a table. */
static void tear(const char *path, const char *table) {
    char sql[128];
    unsigned char junk[512];
    snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_master WHERE name = '%s'", table);
    int64_t page = query_int(path, sql), size = query_int(path, "PRAGMA page_size");
    FILE *file = fopen(path, "r+b");
    memset(junk, 0xff, sizeof junk);
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)((page - 1) * size), SEEK_SET), 0);
    assert_int_equal(fwrite(junk, sizeof junk, 1, file), 1);
    fclose(file);
}

static size_t files_in_scratch(void) {
    char command[128];
    size_t count = 0;
    snprintf(command, sizeof command, "ls -A %s | wc -l", scratch);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%zu", &count), 1);
    pclose(pipe);
    return count;
}

static void a_failure_in_the_middle_changes_nothing(void **state) {
    (void)state;
    const char *a = in_scratch("a.db"), *torn = in_scratch("torn.db");
    const char *into = in_scratch("all.db"), *fresh = in_scratch("new.db");
    const char *const files[] = {a, torn};
    db_merge_report unused;
    write_sample(a, 3);
    write_sample(torn, 6);
    tear(torn, "winner"); /* its kernels and results are read first */
    db_winner other = newer();
    file_with("all.db", &other, 6);
    char *before = content(into);
    CHECK_FAILS(db_merge(into, files, 2, &interrupted, &unused, &err), TS_STATUS_CORRUPT,
                "torn.db");
    assert_content(into, before);
    CHECK_FAILS(db_merge(fresh, files, 2, &interrupted, &unused, &err), TS_STATUS_CORRUPT,
                "torn.db");
    assert_int_equal(files_in_scratch(), 3);

    interrupted = 1;
    CHECK_FAILS(db_merge(into, files, 1, &interrupted, &unused, &err), TS_STATUS_CANCELLED,
                "nothing was merged");
    interrupted = 0;
    assert_content(into, before);
    free(before);
}

/* Bytes changed anywhere: an error and no target, or a target that is sound. */
static void flipped_bytes_never_get_in(void **state) {
    (void)state;
    enum { FLIPS = 30, BYTES = 4 };
    const char *a = in_scratch("a.db"), *bad = in_scratch("bad.db"), *into = in_scratch("all.db");
    const char *const files[] = {bad};
    ts_buf file = {0};
    size_t merged = 0, refused = 0;
    write_sample(a, 5);
    CHECK_OK(ts_file_read(a, &file, &err));
    char *bytes = malloc(file.bytes);
    srand(11);
    for (int i = 0; i < FLIPS; i++) {
        memcpy(bytes, file.data, file.bytes);
        for (int k = 0; k < BYTES; k++)
            bytes[(size_t)rand() % file.bytes] ^= (char)(1 + rand() % 255);
        CHECK_OK(ts_file_write(bad, bytes, file.bytes, &err));
        db_merge_report report;
        ts_err err = {0};
        if (db_merge(into, files, 1, &interrupted, &report, &err) == TS_STATUS_OK) {
            merged++;
            assert_true(report.winners[DB_MERGE_ADDED] <= 5);
            db_merge_report_free(&report);
            db_image image = load(into); /* fails on a warning */
            db_image_free(&image);
            assert_int_equal(unlink(into), 0);
        } else {
            refused++;
            assert_true(err.message[0]);
            assert_int_not_equal(access(into, F_OK), 0);
        }
    }
    assert_true(merged > 0 && refused > 0);
    free(bytes);
    ts_buf_free(&file);
}

static void foreign_files_are_refused_first(void **state) {
    (void)state;
    const char *a = in_scratch("a.db"), *into = in_scratch("all.db"), *bad = in_scratch("bad.db");
    const char *const files[] = {a, bad};
    db_merge_report unused;
    write_sample(a, 1);
    CHECK_FAILS(db_merge(into, files, 2, &interrupted, &unused, &err), TS_STATUS_NOT_FOUND,
                "bad.db");
    run_sql(bad, "CREATE TABLE t (x)");
    CHECK_FAILS(db_merge(into, files, 2, &interrupted, &unused, &err), TS_STATUS_CORRUPT,
                "another application");
    write_sample(in_scratch("newer.db"), 1);
    run_sql(in_scratch("newer.db"), "PRAGMA user_version = 99");
    const char *const newer_files[] = {a, in_scratch("newer.db")};
    CHECK_FAILS(db_merge(into, newer_files, 2, &interrupted, &unused, &err), TS_STATUS_UNSUPPORTED,
                "newer");
    const char *const good[] = {a};
    CHECK_FAILS(db_merge(bad, good, 1, &interrupted, &unused, &err), TS_STATUS_CORRUPT,
                "another application");
    CHECK_FAILS(db_merge(in_scratch("no/all.db"), good, 1, &interrupted, &unused, &err),
                TS_STATUS_IO, "all.db");
    assert_int_not_equal(access(into, F_OK), 0);
    assert_int_equal(files_in_scratch(), 3);
}

static void a_signed_target_is_refused(void **state) {
    (void)state;
    const char *a = in_scratch("a.db"), *into = in_scratch("all.db");
    const char *const files[] = {a};
    db_merge_report unused;
    write_sample(a, 1);
    write_sample(into, 2);
    sign(into);
    CHECK_FAILS(db_merge(into, files, 1, &interrupted, &unused, &err), TS_STATUS_UNSUPPORTED,
                "is signed");
}

static void a_file_is_not_merged_into_itself(void **state) {
    (void)state;
    const char *a = in_scratch("a.db"), *link_path = in_scratch("link.db");
    const char *const files[] = {a, link_path};
    write_sample(a, 2);
    assert_int_equal(symlink(a, link_path), 0);
    char *before = content(a);
    db_merge_report report = merge(a, files, 2);
    assert_int_equal(report.decision_count, 0);
    db_merge_report_free(&report);
    assert_content(a, before);
    free(before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(better_evidence_stays),
        TEST(equal_evidence_has_one_winner),
        TEST(other_devices_are_other_entries),
        TEST(order_does_not_matter),
        TEST(all_comes_along_and_code_is_stored_once),
        TEST(signed_shipped_and_old_files_are_sources),
        TEST(damaged_rows_are_skipped_and_said),
        TEST(damage_in_the_target_gives_way),
        TEST(a_failure_in_the_middle_changes_nothing),
        TEST(flipped_bytes_never_get_in),
        TEST(foreign_files_are_refused_first),
        TEST(a_signed_target_is_refused),
        TEST(a_file_is_not_merged_into_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
