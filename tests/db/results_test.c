/* The walk over all results: place by place, whatever the order of writing; damaged rows, refusals. */
#include "sample.h"

#include "db/results.h"

typedef struct seen {
    char text[512];
    size_t count, stop_at; /* stop_at 0: never */
} seen;

static ts_status note(void *context, const db_result *result, ts_err *err) {
    seen *s = context;
    size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%s/%s/%s/%.1f ",
             strchr(result->problem, ' ') + 1, result->target, result->device.name,
             result->time_us);
    if (++s->count == s->stop_at) return ts_fail(err, TS_STATUS_CORRUPT, "enough");
    return TS_STATUS_OK;
}

/* Results of two problems, two targets and two devices, one of each at a time. */
static void write_results(const char *path) {
    db_writer *w = open_writer(path);
    for (int i = 0; i < 8; i++) {
        db_result result = sample_result(i);
        result.problem = i & 1 ? "axpy m=1" : "axpy m=2";
        result.target = i & 2 ? "sm_90a" : "sm_80";
        result.device.name = i & 4 ? "one" : "other";
        result.time_us = i;
        CHECK_OK(db_write_result(w, &result, &err));
    }
    db_result again = sample_result(9);
    again.problem = "axpy m=1";
    again.device.name = "one";
    again.time_us = 9;
    CHECK_OK(db_write_result(w, &again, &err));
    db_writer_close(w);
}

static void results_come_place_by_place(void **state) {
    (void)state;
    seen s = {.count = 0};
    size_t damaged = 1;
    write_results(in_scratch("t.db"));
    CHECK_OK(db_results_each(in_scratch("t.db"), note, &s, &damaged, &err));
    assert_string_equal(s.text, "m=1/sm_80/one/5.0 m=1/sm_80/other/1.0 "
                                "m=1/sm_90a/one/7.0 m=1/sm_90a/one/9.0 m=1/sm_90a/other/3.0 "
                                "m=2/sm_80/one/4.0 m=2/sm_80/other/0.0 "
                                "m=2/sm_90a/one/6.0 m=2/sm_90a/other/2.0 ");
    assert_int_equal(damaged, 0);
}

static void damaged_rows_are_left_out_and_counted(void **state) {
    (void)state;
    seen s = {.count = 0};
    size_t damaged = 0;
    sqlite3 *db = NULL;
    write_results(in_scratch("t.db"));
    assert_int_equal(sqlite3_open(in_scratch("t.db"), &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE result SET time_us = 0.5 WHERE id IN (2, 3)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    CHECK_OK(db_results_each(in_scratch("t.db"), note, &s, &damaged, &err));
    assert_int_equal(s.count, 7);
    assert_int_equal(damaged, 2);
}

/* Also with the status that a damaged row has: it is the caller's, so it is no damage. */
static void the_caller_ends_the_walk(void **state) {
    (void)state;
    seen s = {.stop_at = 3};
    size_t damaged = 0;
    write_results(in_scratch("t.db"));
    CHECK_FAILS(db_results_each(in_scratch("t.db"), note, &s, &damaged, &err), TS_STATUS_CORRUPT,
                "enough");
    assert_int_equal(s.count, 3);
    assert_int_equal(damaged, 0);
}

static void foreign_files_are_refused(void **state) {
    (void)state;
    seen s = {.count = 0};
    size_t damaged = 0;
    CHECK_FAILS(db_results_each(in_scratch("none.db"), note, &s, &damaged, &err),
                TS_STATUS_NOT_FOUND, "none.db");
    CHECK_OK(ts_file_write(in_scratch("text.db"), "no database, but long enough", 28, &err));
    CHECK_FAILS(db_results_each(in_scratch("text.db"), note, &s, &damaged, &err), TS_STATUS_CORRUPT,
                "text.db");
    assert_int_equal(s.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_come_place_by_place, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(damaged_rows_are_left_out_and_counted, make_scratch,
                                        remove_scratch),
        cmocka_unit_test_setup_teardown(the_caller_ends_the_walk, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(foreign_files_are_refused, make_scratch, remove_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
