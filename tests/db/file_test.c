/* The database as a file: it stands alone once closed, opens read-only wherever it lies, and several writers
 * work on it at once.
 */
#include "sample.h"

#include "db/file.h"

#include <sys/wait.h>

static bool has_wal(const char *path) {
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", path);
    return access(wal, F_OK) == 0;
}

/* No companion file, and the header says rollback journal (bytes 18 and 19; WAL would be 2). Asked only when
 * all is closed: closing a plain descriptor of the file drops this process's SQLite locks. */
static bool stands_alone(const char *path) {
    ts_buf bytes = {0};
    CHECK_OK(ts_file_read(path, &bytes, &err));
    bool rollback = bytes.data[18] == 1 && bytes.data[19] == 1;
    ts_buf_free(&bytes);
    return rollback && !has_wal(path);
}

static void last_writer_leaves_the_file_alone(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *one = open_writer(path), *two = open_writer(path);
    db_result result = sample_result(0);
    CHECK_OK(db_write_result(one, &result, &err));
    db_writer_close(one);
    assert_true(has_wal(path));
    CHECK_OK(db_write_result(two, &result, &err)); /* still works */
    db_writer_close(two);
    assert_true(stands_alone(path));
    db_writer_close(NULL);
}

static void reader_sees_an_open_writers_commits(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    db_kernel kernel = sample_kernel(1);
    write_kernel(w, &kernel);
    db_image image = load(path);
    assert_int_equal(image.kernel_count, 1);
    db_image_free(&image);
    db_winner winner = sample_winner(1, 1);
    CHECK_OK(db_write_winner(w, &winner, &err)); /* the reader's close took no lock away */
    db_writer_close(w);
    assert_true(stands_alone(path));
}

static void closed_file_opens_read_only_under_odd_names(void **state) {
    (void)state;
    static const char *const names[] = {"a b?mode=rw#x%41.db", "\xc3\xa9&=.db"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = in_scratch(names[i]);
        write_sample(path, 1);
        assert_int_equal(chmod(path, 0400), 0);
        assert_int_equal(chmod(scratch, 0500), 0);
        db_image image = load(path);
        assert_int_equal(image.winner_count, 1);
        db_image_free(&image);
        assert_int_equal(chmod(scratch, 0700), 0);
    }
}

static void meta_is_replaced(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    CHECK_OK(db_meta_set(w, "version", "1", &err));
    CHECK_OK(db_meta_set(w, "version", "2", &err));
    db_writer_close(w);
    assert_int_equal(query_int(path, "SELECT value = '2' FROM meta WHERE key = 'version'"), 1);
    assert_int_equal(query_int(path, "SELECT count(*) FROM meta"), 1);
}

/* One of several processes: makes the file with the others, then stores what nobody else stores. */
static int write_as(const char *path, int process, int results) {
    db_writer *w = NULL;
    if (db_writer_open(path, &w, NULL) != TS_STATUS_OK) return 1;
    for (int i = 0; i < results; i++) {
        char variant[64];
        snprintf(variant, sizeof variant, "axpy/rows process=%d i=%d", process, i);
        db_kernel kernel = sample_kernel(0); /* the same for all: found, not stored again */
        db_result result = sample_result(0);
        result.variant = variant;
        if (db_write_kernel(w, &kernel, &result.kernel_id, NULL) != TS_STATUS_OK) return 2;
        if (db_write_result(w, &result, NULL) != TS_STATUS_OK) return 3;
    }
    db_writer_close(w);
    return 0;
}

static void several_processes_write_at_once(void **state) {
    (void)state;
    enum { PROCESSES = 6, RESULTS = 40 };
    const char *path = in_scratch("t.db");
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) _exit(write_as(path, i, RESULTS));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(query_int(path, "SELECT count(*) FROM result"), PROCESSES * RESULTS);
    assert_int_equal(query_int(path, "SELECT count(*) FROM kernel"), 1);
    assert_int_equal(query_int(path, "SELECT count(*) FROM device"), 1);
    db_image image = load(path);
    db_image_free(&image);
}

static void known_schema_is_schema_sqls(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    char hash[TS_HASH_HEX];
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, db_schema_sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK_OK(db_file_schema_hash(db, ":memory:", hash, &err));
    assert_string_equal(hash, DB_SCHEMA_HASH);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE more (x)", NULL, NULL, NULL), SQLITE_OK);
    CHECK_OK(db_file_schema_hash(db, ":memory:", hash, &err));
    assert_string_not_equal(hash, DB_SCHEMA_HASH);
    sqlite3_close(db);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(last_writer_leaves_the_file_alone),
        TEST(reader_sees_an_open_writers_commits),
        TEST(closed_file_opens_read_only_under_odd_names),
        TEST(meta_is_replaced),
        TEST(several_processes_write_at_once),
        TEST(known_schema_is_schema_sqls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
