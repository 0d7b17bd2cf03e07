/* Writer and reader together: what goes in comes out, and rows replace each other by the stated rules. */
#include "sample.h"

#include <math.h>

/* ---- round trips ---- */

static void image_gives_back_what_was_written(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    write_sample(path, 3);
    db_image image = load(path);
    assert_int_equal(image.winner_count, 3);
    assert_int_equal(image.kernel_count, 4); /* three winners' and one default */
    for (int i = 0; i < 3; i++) {
        const db_winner_row *row = &image.winners[i];
        db_winner winner = sample_winner(i, row->winner.kernel_id);
        db_kernel kernel = sample_kernel(i);
        assert_true(same_winner(&row->winner, &winner));
        assert_true(same_kernel(row->kernel, &kernel));
        assert_int_equal(row->kernel->id, row->winner.kernel_id);
        assert_int_equal(strlen(row->kernel->hash), TS_HASH_HEX - 1);
    }
    db_image_free(&image);
    assert_null(image.kernels);
    db_image_free(NULL);
}

static void extreme_values_survive(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    db_kernel kernel = sample_kernel(0);
    kernel.blob = NULL;
    kernel.blob_bytes = 0;
    kernel.launch = "{\"quote\":\"'\\u00e9\xc3\xa9\"}";
    kernel.registers = INT32_MIN;
    kernel.driver_min = INT32_MAX;
    db_winner winner = sample_winner(0, write_kernel(w, &kernel));
    winner.device.memory_bytes = INT64_MAX;
    winner.time_us = NAN;
    winner.ci_low_us = INFINITY;
    winner.ci_high_us = -0.0;
    winner.default_us = 5e-324;
    winner.gflops = 3; /* SQLite stores whole numbers as integers */
    winner.verdict = "";
    CHECK_OK(db_write_winner(w, &winner, &err));
    db_writer_close(w);

    db_image image = load(path);
    assert_int_equal(image.winner_count, 1);
    assert_true(same_winner(&image.winners[0].winner, &winner));
    kernel.blob = "";
    assert_true(same_kernel(image.winners[0].kernel, &kernel));
    db_image_free(&image);
}

static void writer_reads_back_kernel_and_winner(void **state) {
    (void)state;
    db_writer *w = open_writer(in_scratch("t.db"));
    db_kernel kernel = sample_kernel(1), kernel_back = {0};
    int64_t id = write_kernel(w, &kernel);
    db_winner winner = sample_winner(1, id), winner_back = {0};
    CHECK_OK(db_write_winner(w, &winner, &err));

    ts_arena arena = {0};
    CHECK_OK(db_read_kernel(db_writer_reader(w), id, &arena, &kernel_back, &err));
    assert_true(same_kernel(&kernel, &kernel_back));
    assert_int_equal(kernel_back.id, id);
    CHECK_OK(db_read_winner(db_writer_reader(w), winner.problem, "sm_90a", "NVIDIA H200", &arena,
                            &winner_back, &err));
    assert_true(same_winner(&winner, &winner_back));
    assert_int_equal(winner_back.kernel_id, id);

    CHECK_FAILS(db_read_kernel(db_writer_reader(w), id + 1, &arena, &kernel_back, &err),
                TS_STATUS_NOT_FOUND, "kernel 2");
    CHECK_FAILS(db_read_winner(db_writer_reader(w), "none", "sm_90a", "NVIDIA H200", &arena,
                               &winner_back, &err),
                TS_STATUS_NOT_FOUND, "none");
    CHECK_FAILS(db_read_winner(db_writer_reader(w), winner.problem, "sm_80", "NVIDIA H200", &arena,
                               &winner_back, &err),
                TS_STATUS_NOT_FOUND, "sm_80");
    ts_arena_free(&arena);
    db_writer_close(w);
}

/* ---- results ---- */

typedef struct seen {
    int count;
    db_result last; /* numbers only: strings end with the call */
    char last_variant[64];
    char last_status[16];
    char last_driver[16];
} seen;

static void see(void *context, const db_result *result) {
    seen *s = context;
    s->count++;
    s->last = *result;
    snprintf(s->last_variant, sizeof s->last_variant, "%s", result->variant);
    snprintf(s->last_status, sizeof s->last_status, "%s", result->status);
    snprintf(s->last_driver, sizeof s->last_driver, "%s", result->device.driver);
}

static seen results_of(db_writer *w, const db_result *like) {
    seen s = {0};
    CHECK_OK(db_each_result(db_writer_reader(w), like->problem, like->target, like->device.name,
                            see, &s, &err));
    return s;
}

static void results_come_back_whole(void **state) {
    (void)state;
    db_writer *w = open_writer(in_scratch("t.db"));
    db_kernel kernel = sample_kernel(0);
    db_result result = sample_result(0);
    result.kernel_id = write_kernel(w, &kernel);
    CHECK_OK(db_write_result(w, &result, &err));
    seen s = results_of(w, &result);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.last_variant, result.variant);
    assert_string_equal(s.last_status, "ok");
    assert_string_equal(s.last_driver, h200.driver);
    assert_int_equal(s.last.kernel_id, result.kernel_id);
    assert_int_equal(s.last.samples, 20);
    assert_true(s.last.time_us == result.time_us && s.last.spread_us == result.spread_us);
    assert_true(s.last.error == result.error);

    db_result rejected = sample_result(1);
    rejected.status = "compile";
    rejected.reason = "ptxas: too many registers";
    rejected.time_us = rejected.spread_us = rejected.error = NAN;
    CHECK_OK(db_write_result(w, &rejected, &err));
    s = results_of(w, &result);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.last_status, "compile");
    assert_int_equal(s.last.kernel_id, 0);
    assert_true(isnan(s.last.time_us) && isnan(s.last.spread_us) && isnan(s.last.error));

    db_result other = sample_result(0);
    other.device = epyc;
    assert_int_equal(results_of(w, &other).count, 0);
    db_writer_close(w);
}

static void same_result_replaces_the_older(void **state) {
    (void)state;
    db_writer *w = open_writer(in_scratch("t.db"));
    db_result result = sample_result(0);
    CHECK_OK(db_write_result(w, &result, &err));
    result.status = "timeout";
    result.device.driver = "590.10"; /* a new driver is the same device */
    CHECK_OK(db_write_result(w, &result, &err));
    seen s = results_of(w, &result);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.last_status, "timeout");
    assert_string_equal(s.last_driver, "590.10");
    result.signature = "new-source"; /* another kernel of that name */
    CHECK_OK(db_write_result(w, &result, &err));
    assert_int_equal(results_of(w, &result).count, 2);
    db_writer_close(w);
}

static void second_connection_sees_each_result(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *one = open_writer(path), *two = open_writer(path);
    for (int i = 0; i < 5; i++) {
        db_result result = sample_result(i);
        CHECK_OK(db_write_result(i % 2 ? one : two, &result, &err));
        seen s = results_of(i % 2 ? two : one, &result); /* the other one looks */
        assert_int_equal(s.count, i + 1);
        assert_string_equal(s.last_variant, result.variant);
    }
    db_writer_close(one);
    db_writer_close(two);
}

/* ---- kernels and winners ---- */

static void equal_kernels_and_blobs_are_stored_once(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    db_kernel a = sample_kernel(0), b = a;
    int64_t first = write_kernel(w, &a);
    assert_int_equal(write_kernel(w, &a), first);
    b.variant = "axpy/rows threads=1 vec=4"; /* other row, same code */
    int64_t second = write_kernel(w, &b);
    assert_int_not_equal(second, first);
    db_writer_close(w);
    assert_int_equal(query_int(path, "SELECT count(*) FROM kernel"), 2);
    assert_int_equal(query_int(path, "SELECT count(*) FROM blob"), 1);
}

static void measured_is_never_replaced_by_predicted(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    db_kernel kernel = sample_kernel(0);
    int64_t id = write_kernel(w, &kernel);
    const struct {
        const char *evidence, *driver;
        double time_us, expected_us;
    } steps[] = {
        {"predicted", "1", 9, 9},  {"predicted", "1", 8, 8},  {"measured", "1", 20, 20},
        {"predicted", "1", 1, 20}, {"predicted", "2", 1, 20}, {"measured", "2", 30, 30},
        {"measured", "2", 15, 15},
    };
    ts_arena arena = {0};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        db_winner winner = sample_winner(0, id), back = {0};
        winner.evidence = steps[i].evidence;
        winner.device.driver = steps[i].driver;
        winner.time_us = steps[i].time_us;
        CHECK_OK(db_write_winner(w, &winner, &err));
        CHECK_OK(db_read_winner(db_writer_reader(w), winner.problem, winner.target,
                                winner.device.name, &arena, &back, &err));
        assert_true(back.time_us == steps[i].expected_us);
    }
    ts_arena_free(&arena);
    db_writer_close(w);
    assert_int_equal(query_int(path, "SELECT count(*) FROM winner"), 1);
}

/* A prediction is for any device of its target: the first measurement there ends it. */
static void measuring_ends_predictions_for_other_devices(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    db_kernel kernel = sample_kernel(0);
    int64_t id = write_kernel(w, &kernel);
    db_winner predicted = sample_winner(0, id), elsewhere = predicted, measured = predicted;
    predicted.evidence = elsewhere.evidence = "predicted";
    predicted.device.name = "";
    elsewhere.problem = "another problem"; /* stays */
    elsewhere.device.name = "";
    CHECK_OK(db_write_winner(w, &predicted, &err));
    CHECK_OK(db_write_winner(w, &elsewhere, &err));
    assert_int_equal(query_int(path, "SELECT count(*) FROM winner"), 2);
    CHECK_OK(db_write_winner(w, &measured, &err));
    db_writer_close(w);
    assert_int_equal(query_int(path, "SELECT count(*) FROM winner WHERE evidence = 'measured'"), 1);
    assert_int_equal(query_int(path, "SELECT count(*) FROM winner"), 2);
}

static void image_holds_wanted_targets_and_no_losers(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = open_writer(path);
    db_kernel loser = sample_kernel(2), gpu = sample_kernel(0), cpu = sample_kernel(1);
    write_kernel(w, &loser);
    db_winner gpu_winner = sample_winner(0, write_kernel(w, &gpu));
    cpu.target = "cpu-x86-64-v2"; /* a default */
    write_kernel(w, &cpu);
    CHECK_OK(db_write_winner(w, &gpu_winner, &err));
    db_writer_close(w);

    const struct {
        const char *targets[3];
        size_t winners, kernels;
    } cases[] = {
        {{"sm_90a", NULL}, 1, 1},
        {{"cpu-x86-64-v2", NULL}, 0, 1},
        {{"sm_80", "cpu-x86-64-v2", NULL}, 0, 1},
        {{"sm_90a", "cpu-x86-64-v2", NULL}, 1, 2},
        {{NULL}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        db_image image = {0};
        CHECK_OK(db_image_load(path, cases[i].targets, &image, &err));
        assert_int_equal(image.winner_count, cases[i].winners);
        assert_int_equal(image.kernel_count, cases[i].kernels);
        assert_int_equal(image.warning_count, 0);
        db_image_free(&image);
    }
}

static void what_a_reader_would_refuse_is_not_written(void **state) {
    (void)state;
    db_writer *w = open_writer(in_scratch("t.db"));
    size_t bytes = (4u << 20) + 1;
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    db_kernel kernel = sample_kernel(0);
    int64_t id = 0;
    kernel.launch = text;
    CHECK_FAILS(db_write_kernel(w, &kernel, &id, &err), TS_STATUS_INVALID_ARGUMENT, "launch");
    kernel = sample_kernel(0);
    kernel.blob_bytes = (size_t)1 << 40; /* refused before it is read */
    CHECK_FAILS(db_write_kernel(w, &kernel, &id, &err), TS_STATUS_INVALID_ARGUMENT, "blob");
    db_result result = sample_result(0);
    result.kernel_id = 77;
    CHECK_FAILS(db_write_result(w, &result, &err), TS_STATUS_INVALID_ARGUMENT, "kernel 77");
    db_winner winner = sample_winner(0, 77);
    CHECK_FAILS(db_write_winner(w, &winner, &err), TS_STATUS_INVALID_ARGUMENT, "kernel 77");
    assert_int_equal(id, 0);
    free(text);
    db_writer_close(w);
}

static void tuning_again_repairs_a_damaged_row(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    write_sample(path, 2);
    run_sql(path, "UPDATE kernel SET registers = 1 WHERE id = 1;"
                  "UPDATE blob SET bytes = x'00' WHERE id = 2;"
                  "UPDATE winner SET time_us = 0.5 WHERE id = 2;"
                  "UPDATE result SET time_us = 0.5 WHERE id = 1");
    db_image image = {0};
    CHECK_OK(db_image_load(path, NULL, &image, &err));
    assert_int_equal(image.winner_count, 0);
    /* kernel 1 by its row, its winner without it, winner 2 by its row; kernel 2 by its blob, as a default */
    assert_int_equal(image.warning_count, 4);
    db_image_free(&image);

    db_writer *w = open_writer(path);
    ts_arena arena = {0};
    db_winner winner = sample_winner(1, 2), unused_winner;
    db_kernel unused_kernel;
    CHECK_FAILS(db_read_winner(db_writer_reader(w), winner.problem, "sm_90a", h200.name, &arena,
                               &unused_winner, &err),
                TS_STATUS_NOT_FOUND, "damaged");
    CHECK_FAILS(db_read_kernel(db_writer_reader(w), 1, &arena, &unused_kernel, &err),
                TS_STATUS_CORRUPT, "hash");
    CHECK_FAILS(db_read_kernel(db_writer_reader(w), 2, &arena, &unused_kernel, &err),
                TS_STATUS_CORRUPT, "blob");
    db_result first = sample_result(0);
    assert_int_equal(results_of(w, &first).count, 1); /* of two */
    ts_arena_free(&arena);
    db_writer_close(w);

    write_sample(path, 2);
    image = load(path);
    assert_int_equal(image.winner_count, 2);
    db_image_free(&image);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(image_gives_back_what_was_written),
        TEST(extreme_values_survive),
        TEST(writer_reads_back_kernel_and_winner),
        TEST(results_come_back_whole),
        TEST(same_result_replaces_the_older),
        TEST(second_connection_sees_each_result),
        TEST(equal_kernels_and_blobs_are_stored_once),
        TEST(measured_is_never_replaced_by_predicted),
        TEST(measuring_ends_predictions_for_other_devices),
        TEST(image_holds_wanted_targets_and_no_losers),
        TEST(what_a_reader_would_refuse_is_not_written),
        TEST(tuning_again_repairs_a_damaged_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
