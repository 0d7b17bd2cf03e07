/* The reader and hostile or damaged files: each is refused with a message that says what it is, or read as
 * it was, or read in part with a warning; never a crash, never a row that differs from what was written.
 * The writer refuses the same files and leaves them as they are.
 */
#include "sample.h"

#include <sys/wait.h>

static ts_buf read_file(const char *path) {
    ts_buf bytes = {0};
    CHECK_OK(ts_file_read(path, &bytes, &err));
    return bytes;
}

static void check_refused(const char *path, ts_status status, const char *text) {
    db_image image = {0};
    CHECK_FAILS(db_image_load(path, NULL, &image, &err), status, text);
    CHECK_FAILS(db_image_load(path, NULL, &image, &err), status, path);
    assert_null(image.kernels);
}

/* Also by the writer, which changes nothing. */
static void check_refused_by_both(const char *path, ts_status status, const char *text) {
    check_refused(path, status, text);
    ts_buf before = read_file(path);
    db_writer *w = NULL;
    CHECK_FAILS(db_writer_open(path, &w, &err), status, text);
    assert_null(w);
    ts_buf after = read_file(path);
    assert_int_equal(before.bytes, after.bytes);
    assert_memory_equal(before.data, after.data, before.bytes);
    ts_buf_free(&before);
    ts_buf_free(&after);
}

/* ---- what the file is ---- */

static void missing_file(void **state) {
    (void)state;
    check_refused(in_scratch("none.db"), TS_STATUS_NOT_FOUND, "no database at");
    check_refused(in_scratch("no/folder.db"), TS_STATUS_NOT_FOUND, "no database at");
    assert_int_not_equal(access(in_scratch("none.db"), F_OK), 0); /* looking did not make it */
    db_writer *w = NULL;
    CHECK_FAILS(db_writer_open(in_scratch("no/folder.db"), &w, &err), TS_STATUS_IO,
                "no such folder");
}

static void empty_file(void **state) {
    (void)state;
    const char *path = in_scratch("empty.db");
    CHECK_OK(ts_file_write(path, "", 0, &err));
    check_refused(path, TS_STATUS_CORRUPT, "empty");
    write_sample(path, 1); /* but a writer may fill it */
    db_image image = {0};
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    assert_int_equal(image.winner_count, 1);
    db_image_free(&image);
}

static void not_sqlite(void **state) {
    (void)state;
    const char *path = in_scratch("text.db");
    ts_buf text = {0};
    for (int i = 0; i < 2000; i++) ts_buf_printf(&text, "line %d\n", i);
    CHECK_OK(ts_file_write(path, text.data, text.bytes, &err));
    check_refused_by_both(path, TS_STATUS_CORRUPT, "not an SQLite database");
    static const size_t sizes[] = {1, 2, 99, 511, 512, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK_OK(ts_file_write(path, text.data, sizes[i], &err));
        check_refused_by_both(path, TS_STATUS_CORRUPT, "not an SQLite database");
    }
    check_refused(scratch, TS_STATUS_CORRUPT, "not a regular file");
    ts_buf_free(&text);
}

static void other_application(void **state) {
    (void)state;
    const char *path = in_scratch("other.db");
    run_sql(path, "CREATE TABLE album (name TEXT); PRAGMA application_id = 0x0f055112");
    check_refused_by_both(path, TS_STATUS_CORRUPT, "another application (id 0x0f055112");
    const char *unmarked = in_scratch("unmarked.db");
    run_sql(unmarked, "CREATE TABLE album (name TEXT)");
    check_refused_by_both(unmarked, TS_STATUS_CORRUPT, "another application (id 0x00000000");
}

static void other_schema_version(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    write_sample(path, 1);
    run_sql(path, "PRAGMA user_version = 7");
    check_refused_by_both(path, TS_STATUS_UNSUPPORTED, "version 7 is newer than version 2");
    run_sql(path, "PRAGMA user_version = 0");
    check_refused_by_both(path, TS_STATUS_CORRUPT, "version 0");
}

static void schema_with_anything_else(void **state) {
    (void)state;
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"CREATE VIEW v AS SELECT 1", "view v"},
        {"DROP TABLE winner; CREATE VIEW winner AS SELECT 1 AS id", "winner"},
        {"CREATE TRIGGER t AFTER INSERT ON result BEGIN DELETE FROM winner; END", "trigger t"},
        {"CREATE TABLE extra (x)", "table extra"},
        {"CREATE INDEX i ON winner (abs(time_us))", "index i"},
        {"CREATE VIRTUAL TABLE f USING fts5(x)", "table f"},
        {"DROP TABLE meta", "nothing"},
        {"ALTER TABLE kernel ADD COLUMN more INTEGER", "table kernel"},
        {"ANALYZE", "sqlite_stat1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = in_scratch("t.db");
        unlink(path);
        write_sample(path, 1);
        run_sql(path, cases[i].sql);
        check_refused_by_both(path, TS_STATUS_CORRUPT,
                              i == 6 ? "table meta was expected" : cases[i].text);
    }
}

/* ---- rows that are not what they were ---- */

static void altered_rows_are_left_out_and_named(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        size_t winners;
        const char *warning;
    } cases[] = {
        {"UPDATE winner SET time_us = time_us / 2 WHERE id = 2", 2, "winner row 2"},
        {"UPDATE winner SET kernel_id = 2 WHERE id = 1", 2, "winner row 1"},
        {"UPDATE winner SET verdict = char(118, 0, 119) WHERE id = 3", 2, "bad value of verdict"},
        {"UPDATE winner SET device_id = 99 WHERE id = 1", 2, "winner row 1"},
        {"UPDATE target SET name = 'sm_80'", 0, "winner row 1"},
        {"UPDATE problem SET text = text || ' ' WHERE id = 1", 2, "winner row 1"},
        {"UPDATE device SET sm_count = 1", 0, "winner row 1"},
        {"UPDATE kernel SET launch = '{}' WHERE id = 1", 2, "kernel row 1"},
        {"UPDATE kernel SET is_default = 7 WHERE id = 2", 2, "bad value of is_default"},
        {"UPDATE kernel SET is_default = 0 WHERE id = 4", 3, "kernel row 4"},
        {"UPDATE kernel SET registers = 1 << 40 WHERE id = 1", 2, "bad value of registers"},
        {"UPDATE kernel SET blob_id = 2 WHERE id = 1", 2, "kernel row 1"},
        {"UPDATE blob SET bytes = zeroblob(9000) WHERE id = 1", 2, "blob of kernel row 1"},
        {"UPDATE blob SET bytes = x'' WHERE id = 1", 2, "blob of kernel row 1"},
        {"DELETE FROM blob WHERE id = 1", 2, "kernel row 1"},
        {"DELETE FROM kernel WHERE id = 1", 2, "winner row 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = in_scratch("t.db");
        unlink(path);
        write_sample(path, 3);
        run_sql(path, cases[i].sql);
        db_image image = {0};
        CHECK_OK(db_image_load(path, NULL, &image, &err));
        if (image.winner_count != cases[i].winners || image.warning_count == 0 ||
            !strstr(image.warnings[0], cases[i].warning)) {
            fail_msg("%s: %zu winners, first warning: %s", cases[i].sql, image.winner_count,
                     image.warning_count ? image.warnings[0] : "none");
        }
        db_image_free(&image);
    }
}

static void warnings_are_counted_past_the_last(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = NULL;
    CHECK_OK(db_writer_open(path, &w, &err));
    db_kernel kernel = sample_kernel(0);
    int64_t id = 0;
    CHECK_OK(db_write_kernel(w, &kernel, &id, &err));
    for (int i = 0; i < 30; i++) {
        char problem[32];
        snprintf(problem, sizeof problem, "axpy m=%d", i);
        db_winner winner = sample_winner(0, id);
        winner.problem = problem;
        CHECK_OK(db_write_winner(w, &winner, &err));
    }
    db_writer_close(w);
    run_sql(path, "UPDATE winner SET gflops = 1e9");
    db_image image = {0};
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    assert_int_equal(image.warning_count, 16);
    assert_non_null(strstr(image.warnings[14], "winner row 15"));
    assert_non_null(strstr(image.warnings[15], "15 more"));
    db_image_free(&image);
}

/* ---- bytes that are not what they were ---- */

static uint64_t next_random(uint64_t *seed) { /* xorshift64 */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static const db_kernel *find_kernel(const db_image *image, const char *hash) {
    for (size_t i = 0; i < image->kernel_count; i++) {
        if (strcmp(image->kernels[i].hash, hash) == 0) return &image->kernels[i];
    }
    return NULL;
}

static bool has_winner(const db_image *image, const db_winner_row *row) {
    for (size_t i = 0; i < image->winner_count; i++) {
        if (same_winner(&image->winners[i].winner, &row->winner) &&
            same_kernel(image->winners[i].kernel, row->kernel)) {
            return true;
        }
    }
    return false;
}

/* Every row of `image` is one of `clean`; without a warning none is missing. NULL, or what is wrong. */
static const char *compare_images(const db_image *clean, const db_image *image) {
    for (size_t i = 0; i < image->kernel_count; i++) {
        const db_kernel *same = find_kernel(clean, image->kernels[i].hash);
        if (!same || !same_kernel(same, &image->kernels[i])) return "a kernel differs";
    }
    for (size_t i = 0; i < image->winner_count; i++) {
        if (!has_winner(clean, &image->winners[i])) return "a winner differs";
    }
    bool complete = image->kernel_count == clean->kernel_count &&
                    image->winner_count == clean->winner_count;
    return complete || image->warning_count ? NULL : "rows are missing without a warning";
}

static void check_flip(const char *path, const ts_buf *bytes, size_t position, char flip,
                       const db_image *clean, size_t *noticed) {
    bytes->data[position] ^= flip;
    CHECK_OK(ts_file_write(path, bytes->data, bytes->bytes, &err));
    bytes->data[position] ^= flip;
    db_image image = {0};
    ts_err err = {0};
    if (db_image_load(path, NULL, &image, &err) != TS_STATUS_OK) {
        assert_true(strlen(err.message) > 0);
        (*noticed)++;
        return;
    }
    const char *wrong = compare_images(clean, &image);
    if (wrong) fail_msg("byte %zu ^ 0x%02x: %s", position, (unsigned char)flip, wrong);
    *noticed += image.warning_count > 0;
    db_image_free(&image);
}

static void one_wrong_byte_is_noticed_or_harmless(void **state) {
    (void)state;
    enum { FLIPS = 200 };
    const char *path = in_scratch("t.db"), *damaged = in_scratch("damaged.db");
    write_sample(path, 4);
    db_image clean = {0};
    CHECK_OK(db_image_load(path, NULL, &clean, &err));
    assert_int_equal(clean.winner_count, 4);
    ts_buf bytes = read_file(path);
    uint64_t seed = 20240607;
    size_t noticed = 0;
    for (int i = 0; i < FLIPS; i++) {
        /* Every other flip in the first 4 KiB of some page's cells or header, where structure is. */
        size_t position = (size_t)(next_random(&seed) % bytes.bytes);
        if (i % 2) position = position / 4096 * 4096 + position % 128;
        char flip = (char)(1 << next_random(&seed) % 8);
        check_flip(damaged, &bytes, position, flip, &clean, &noticed);
    }
    /* Most of the file is content; a reader that checked nothing would notice far fewer. */
    assert_true(noticed > FLIPS / 4);
    ts_buf_free(&bytes);
    db_image_free(&clean);
}

/* No hash can speak for a row that is gone: here the winners' page forgets its last one. */
static void lost_row_is_warned_of(void **state) {
    (void)state;
    enum { PAGE = 4096, LEAF = 0x0d, CELL_COUNT = 4 }; /* byte offset of the count's low half */
    const char *path = in_scratch("t.db");
    write_sample(path, 3);
    int64_t root = query_int(path, "SELECT rootpage FROM sqlite_master WHERE name = 'winner'");
    ts_buf bytes = read_file(path);
    char *page = bytes.data + (root - 1) * PAGE;
    assert_int_equal(page[0], LEAF);
    assert_int_equal(page[CELL_COUNT], 3);
    page[CELL_COUNT] = 2;
    CHECK_OK(ts_file_write(path, bytes.data, bytes.bytes, &err));
    db_image image = {0};
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    assert_int_equal(image.winner_count, 2);
    assert_true(image.warning_count > 0);
    assert_non_null(strstr(image.warnings[0], "rows may be missing"));
    db_image_free(&image);
    ts_buf_free(&bytes);
}

static void truncated_files_are_refused_or_warned_of(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *damaged = in_scratch("damaged.db");
    write_sample(path, 4);
    db_image clean = {0};
    CHECK_OK(db_image_load(path, NULL, &clean, &err));
    ts_buf bytes = read_file(path);
    const size_t sizes[] = {1,
                            15,
                            16,
                            99,
                            100,
                            511,
                            512,
                            1024,
                            4095,
                            4096,
                            4097,
                            8192,
                            8193,
                            bytes.bytes / 2,
                            bytes.bytes - 4096,
                            bytes.bytes - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK_OK(ts_file_write(damaged, bytes.data, sizes[i], &err));
        db_image image = {0};
        ts_err err = {0};
        if (db_image_load(damaged, NULL, &image, &err) == TS_STATUS_OK) {
            const char *wrong = compare_images(&clean, &image);
            if (wrong) fail_msg("cut to %zu bytes: %s", sizes[i], wrong);
            if (image.warning_count == 0) fail_msg("cut to %zu bytes unnoticed", sizes[i]);
            db_image_free(&image);
        } else {
            assert_int_equal(err.status, TS_STATUS_CORRUPT);
        }
    }
    ts_buf_free(&bytes);
    db_image_free(&clean);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(missing_file),
        TEST(empty_file),
        TEST(not_sqlite),
        TEST(other_application),
        TEST(other_schema_version),
        TEST(schema_with_anything_else),
        TEST(altered_rows_are_left_out_and_named),
        TEST(warnings_are_counted_past_the_last),
        TEST(one_wrong_byte_is_noticed_or_harmless),
        TEST(lost_row_is_warned_of),
        TEST(truncated_files_are_refused_or_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
