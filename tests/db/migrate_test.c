/* Files of schema version 1: read as they are, brought to version 2 by a writer, never half of it.
 */
#include "sample.h"

#include <signal.h>
#include <sys/wait.h>

static void check_content(const char *path, int winners) {
    db_image image = load(path);
    assert_int_equal(image.winner_count, winners);
    for (int i = 0; i < winners; i++) {
        db_winner winner = sample_winner(i, 0);
        db_kernel kernel = sample_kernel(i);
        winner.race = "{}";
        assert_true(same_winner(&winner, &image.winners[i].winner));
        assert_true(same_kernel(&kernel, image.winners[i].kernel));
    }
    db_image_free(&image);
}

static void version_1_is_read_as_it_is(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    write_version_1(path, 3);
    check_content(path, 3);
    assert_int_equal(query_int(path, "PRAGMA user_version"), 1);
}

static void writer_brings_version_1_to_2(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *fresh = in_scratch("fresh.db");
    write_version_1(path, 3);
    int64_t results = query_int(path, "SELECT count(*) FROM result");
    db_writer_close(open_writer(path));
    assert_int_equal(query_int(path, "PRAGMA user_version"), 2);
    assert_int_equal(query_int(path, "SELECT count(*) FROM result"), results);
    assert_int_equal(query_int(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_int_equal(query_int(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
                     1);
    check_content(path, 3);
    write_sample(fresh, 1);
    db_writer *w = open_writer(path); /* stores as into a new file */
    db_kernel kernel = sample_kernel(5);
    db_winner winner = sample_winner(5, write_kernel(w, &kernel));
    CHECK_OK(db_write_winner(w, &winner, &err));
    db_writer_close(w);
    db_image image = load(path);
    assert_int_equal(image.winner_count, 4);
    db_image_free(&image);
}

static void damaged_version_1_is_refused(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_image image = {0};
    db_writer *w = NULL;
    write_version_1(path, 1);
    run_sql(path, "CREATE VIEW v AS SELECT 1");
    CHECK_FAILS(db_image_load(path, NULL, &image, &err), TS_STATUS_CORRUPT, "view v");
    CHECK_FAILS(db_writer_open(path, &w, &err), TS_STATUS_CORRUPT, "view v");
    assert_int_equal(query_int(path, "PRAGMA user_version"), 1);
}

/* A row that failed its hash before fails it after. */
static void migration_believes_nothing_new(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_image image = {0};
    write_version_1(path, 2);
    run_sql(path, "UPDATE winner SET time_us = 1 WHERE id = (SELECT min(id) FROM winner)");
    db_writer_close(open_writer(path));
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    assert_int_equal(image.winner_count, 1);
    assert_int_equal(image.warning_count, 1);
    db_image_free(&image);
}

static void killed_migration_loses_nothing(void **state) {
    (void)state;
    enum { KILLS = 40 };
    const char *path = in_scratch("t.db"), *wal = in_scratch("t.db-wal"),
               *shm = in_scratch("t.db-shm");
    write_version_1(path, 4);
    ts_buf before = {0};
    CHECK_OK(ts_file_read(path, &before, &err));
    for (int i = 0; i < KILLS; i++) {
        CHECK_OK(ts_file_write(path, before.data, before.bytes, &err));
        unlink(wal);
        unlink(shm);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            db_writer *w = NULL;
            db_writer_open(path, &w, NULL);
            db_writer_close(w);
            _exit(0);
        }
        usleep((useconds_t)(i * 300));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        db_writer_close(open_writer(path)); /* the next writer ends what was begun */
        assert_int_equal(query_int(path, "PRAGMA user_version"), 2);
        check_content(path, 4);
    }
    ts_buf_free(&before);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(version_1_is_read_as_it_is),     TEST(writer_brings_version_1_to_2),
        TEST(damaged_version_1_is_refused),   TEST(migration_believes_nothing_new),
        TEST(killed_migration_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
