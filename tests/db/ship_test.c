/* Shipped and signed files: the same content in one small file, the same bytes each time; no byte of
 * a signed one can change unnoticed; packed code that lies about its size is left out.
 */
#include "sample.h"

#include <sodium.h>
#include <zstd.h>

#include "db/ship.h"

static ts_buf read_file(const char *path) {
    ts_buf bytes = {0};
    CHECK_OK(ts_file_read(path, &bytes, &err));
    return bytes;
}

static db_ship_report ship(const char *from, const char *to) {
    db_ship_report report = {0};
    CHECK_OK(db_ship(from, to, &report, &err));
    return report;
}

static db_public_key sign(const char *path) {
    db_public_key key;
    unsigned char secret[DB_SECRET_BYTES], trailer[DB_SIGNATURE_BYTES];
    ts_buf file = read_file(path);
    crypto_sign_keypair(key.bytes, secret);
    CHECK_OK(db_signature_make(file.data, file.bytes, secret, trailer, &err));
    ts_buf_append(&file, trailer, sizeof trailer);
    CHECK_OK(ts_file_write(path, file.data, file.bytes, &err));
    ts_buf_free(&file);
    return key;
}

static void shipped_file_holds_winners_and_defaults(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *out = in_scratch("out.db");
    write_sample(path, 3);
    db_writer *w = open_writer(path);
    db_kernel lost = sample_kernel(4); /* even: no default */
    write_kernel(w, &lost);
    db_writer_close(w);
    db_ship_report report = ship(path, out);
    struct stat info;
    assert_int_equal(stat(out, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0444);
    assert_int_equal(info.st_size, report.bytes);
    assert_int_equal(query_int(out, "SELECT count(*) FROM result"), 0);
    assert_int_equal(query_int(out, "SELECT count(*) FROM kernel"), 4);
    assert_int_equal(query_int(out, "SELECT count(*) FROM blob WHERE codec = 'zstd'"), 4);
    db_image image = load(out);
    assert_int_equal(image.winner_count, 3);
    for (int i = 0; i < 3; i++) {
        bool found = false;
        db_kernel kernel = sample_kernel(i);
        db_winner winner = sample_winner(i, 0);
        winner.race = "{}";
        for (size_t k = 0; k < image.winner_count; k++)
            found = found || (same_winner(&winner, &image.winners[k].winner) &&
                              same_kernel(&kernel, image.winners[k].kernel));
        assert_true(found);
    }
    db_image_free(&image);
    CHECK_FAILS(db_ship(path, out, &report, &err), TS_STATUS_INVALID_ARGUMENT, "exists");
    assert_int_not_equal(access(in_scratch("out.db-wal"), F_OK), 0);
}

static void order_of_tuning_does_not_change_a_byte(void **state) {
    (void)state;
    static const int orders[2][3] = {{0, 1, 2}, {2, 0, 1}};
    ts_buf files[2];
    for (int k = 0; k < 2; k++) {
        const char *path = in_scratch(k ? "1.db" : "0.db"),
                   *out = in_scratch(k ? "1.out" : "0.out");
        db_writer *w = open_writer(path);
        for (int i = 0; i < 3; i++) {
            db_kernel kernel = sample_kernel(orders[k][i]);
            db_winner winner = sample_winner(orders[k][i], write_kernel(w, &kernel));
            CHECK_OK(db_write_winner(w, &winner, &err));
        }
        db_writer_close(w);
        ship(path, out);
        files[k] = read_file(out);
    }
    assert_int_equal(files[0].bytes, files[1].bytes);
    assert_memory_equal(files[0].data, files[1].data, files[0].bytes);
    ts_buf_free(&files[0]);
    ts_buf_free(&files[1]);
}

static void signed_file_is_read_and_not_written(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *out = in_scratch("out.db");
    db_writer *w = NULL;
    write_sample(path, 2);
    ship(path, out);
    db_public_key key = sign(out);
    db_image image = load(out);
    assert_int_equal(image.winner_count, 2);
    assert_true(image.is_signed);
    assert_memory_equal(&image.signer, &key, sizeof key);
    db_image_free(&image);
    ts_buf before = read_file(out);
    CHECK_FAILS(db_writer_open(out, &w, &err), TS_STATUS_UNSUPPORTED, "is signed");
    ts_buf after = read_file(out);
    assert_int_equal(before.bytes, after.bytes);
    assert_memory_equal(before.data, after.data, before.bytes);
    ts_buf_free(&before);
    ts_buf_free(&after);
    image = load(path);
    assert_false(image.is_signed);
    db_image_free(&image);
}

/* Every byte in memory; through the file, each of its first page and trailer and a sample. */
static void no_byte_of_a_signed_file_can_change(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *out = in_scratch("out.db");
    db_public_key signer;
    write_sample(path, 1);
    ship(path, out);
    sign(out);
    ts_buf file = read_file(out);
    CHECK_OK(db_signature_check(file.data, file.bytes, out, &signer, &err));
    for (size_t i = 0; i < file.bytes; i++) {
        file.data[i] ^= (char)(1 << (i % 8));
        if (db_signature_check(file.data, file.bytes, out, &signer, NULL) != TS_STATUS_CORRUPT)
            fail_msg("byte %zu may change", i);
        if (i < 512 || i + DB_SIGNATURE_BYTES >= file.bytes || i % 997 == 0) {
            db_image image = {0};
            CHECK_OK(ts_file_write(out, file.data, file.bytes, &err));
            CHECK_FAILS(db_image_load(out, NULL, &image, &err), TS_STATUS_CORRUPT,
                        "changed after signing");
        }
        file.data[i] ^= (char)(1 << (i % 8));
    }
    ts_buf_free(&file);
}

/* The hash of the row holds in each case: it is over the code, which never comes to be. */
static void packed_code_that_lies_is_left_out(void **state) {
    (void)state;
    static const char *const cases[] = {
        "UPDATE blob SET raw_bytes = raw_bytes - 1",
        "UPDATE blob SET raw_bytes = 1 << 40",
        "UPDATE blob SET raw_bytes = -1",
        "UPDATE blob SET codec = 'none'",
        "UPDATE blob SET codec = 'gzip'",
        "UPDATE blob SET bytes = CAST(bytes || bytes AS BLOB)",
        "UPDATE blob SET bytes = substr(bytes, 1, length(bytes) - 1)",
        "UPDATE blob SET bytes = x''",
        "UPDATE blob SET bytes = x'28b52ffd'",
    };
    const char *path = in_scratch("t.db"), *out = in_scratch("out.db");
    write_sample(path, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        db_image image = {0};
        unlink(out);
        ship(path, out);
        assert_int_equal(chmod(out, 0600), 0);
        run_sql(out, cases[i]);
        CHECK_OK(db_image_load(out, NULL, &image, &err));
        if (image.kernel_count) fail_msg("believed: %s", cases[i]);
        assert_true(image.warning_count > 0);
        db_image_free(&image);
    }
}

/* A frame of a few KiB that unpacks to more than the limit: refused before memory is taken. */
static void bomb_is_left_out(void **state) {
    (void)state;
    enum { BOMB_BYTES = (128 << 20) + 1 };
    const char *path = in_scratch("t.db"), *out = in_scratch("out.db");
    char *zeros = calloc(1, BOMB_BYTES);
    size_t most = ZSTD_compressBound(BOMB_BYTES);
    void *packed = malloc(most);
    assert_true(zeros && packed);
    size_t bytes = ZSTD_compress(packed, most, zeros, BOMB_BYTES, 1);
    assert_false(ZSTD_isError(bytes));
    write_sample(path, 1);
    ship(path, out);
    assert_int_equal(chmod(out, 0600), 0);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(out, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "UPDATE blob SET bytes = ?1, raw_bytes = ?2", -1, &stmt, NULL),
        SQLITE_OK);
    sqlite3_bind_blob64(stmt, 1, packed, bytes, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, BOMB_BYTES);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    db_image image = {0};
    CHECK_OK(db_image_load(out, NULL, &image, &err));
    assert_int_equal(image.kernel_count, 0);
    assert_true(image.warning_count > 0);
    db_image_free(&image);
    free(zeros);
    free(packed);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(shipped_file_holds_winners_and_defaults), TEST(order_of_tuning_does_not_change_a_byte),
        TEST(signed_file_is_read_and_not_written),     TEST(no_byte_of_a_signed_file_can_change),
        TEST(packed_code_that_lies_is_left_out),       TEST(bomb_is_left_out),
    };
    if (sodium_init() < 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
