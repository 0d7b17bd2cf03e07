/* The text export: exact bytes, independence of the order of tuning, file names, and what it refuses. */
#include "sample.h"

#include <jansson.h>
#include <math.h>

#include "db/winners.h"

/* The winners of these numbers in this order, so that row ids differ between databases. */
static void write_winners(const char *path, const int *order, size_t count) {
    db_writer *w = NULL;
    CHECK_OK(db_writer_open(path, &w, &err));
    for (size_t i = 0; i < count; i++) {
        db_kernel kernel = sample_kernel(order[i]);
        int64_t id = 0;
        CHECK_OK(db_write_kernel(w, &kernel, &id, &err));
        db_winner winner = sample_winner(order[i], id);
        CHECK_OK(db_write_winner(w, &winner, &err));
    }
    db_writer_close(w);
}

static ts_buf read_file(const char *path) {
    ts_buf bytes = {0};
    CHECK_OK(ts_file_read(path, &bytes, &err));
    return bytes;
}

static void export_is_exactly_this(void **state) {
    (void)state;
    static const int one[] = {0};
    write_winners(in_scratch("t.db"), one, 1);
    CHECK_OK(db_export_winners(in_scratch("t.db"), in_scratch("out.json"), &err));
    ts_buf text = read_file(in_scratch("out.json"));
    assert_string_equal(
        text.data,
        "{\n\"format\": 1,\n\"target\": \"sm_90a\",\n\"device\": \"NVIDIA H200\",\n\"winners\": [\n"
        "{\"problem\": \"axpy m=1 k=1536 dtype=bf16\", \"device_target\": \"sm_90a\", "
        "\"sm_count\": 132, \"memory_bytes\": 150754820096, \"driver\": \"580.159.04\", "
        "\"variant\": \"axpy/rows threads=64 vec=4\", \"evidence\": \"measured\", "
        "\"time_us\": 12.345, \"ci_low_us\": 12.25, \"ci_high_us\": 12.5, \"default_us\": 20.0, "
        "\"gflops\": 0.006, \"gbytes\": 0.0125, \"family_hash\": \"family-hash\", "
        "\"oracle_hash\": \"oracle-hash\", \"compiler\": \"nvrtc 13.0\", \"verdict\": \"win\", "
        "\"race\": \"{\\\"rounds\\\":12}\", "
        "\"spec\": \"dtype=bf16\", \"abi\": \"abi-hash\", \"signature\": \"signature-hash\"}\n"
        "]\n}\n");
    ts_buf_free(&text);
}

static void order_of_tuning_does_not_show(void **state) {
    (void)state;
    static const int one[] = {0, 1, 2}, two[] = {2, 0, 1};
    write_winners(in_scratch("1.db"), one, 3);
    write_winners(in_scratch("2.db"), two, 3);
    CHECK_OK(db_export_winners(in_scratch("1.db"), in_scratch("1.json"), &err));
    CHECK_OK(db_export_winners(in_scratch("2.db"), in_scratch("2.json"), &err));
    ts_buf a = read_file(in_scratch("1.json")), b = read_file(in_scratch("2.json"));
    assert_string_equal(a.data, b.data);

    json_t *root = json_loadb(a.data, a.bytes, 0, NULL);
    json_t *winners = json_object_get(root, "winners");
    assert_int_equal(json_array_size(winners), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(winners, 2), "problem")),
                        "axpy m=4 k=1536 dtype=bf16");
    json_decref(root);
    ts_buf_free(&a);
    ts_buf_free(&b);
}

static void a_folder_gets_a_file_a_device(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *folder = in_scratch("winners");
    db_writer *w = NULL;
    CHECK_OK(db_writer_open(path, &w, &err));
    db_kernel kernel = sample_kernel(0);
    int64_t id = 0;
    CHECK_OK(db_write_kernel(w, &kernel, &id, &err));
    db_winner winner = sample_winner(0, id);
    CHECK_OK(db_write_winner(w, &winner, &err));
    winner.device = epyc;
    winner.device.name = "../AMD (EPYC)  9654";
    winner.target = "cpu-x86-64-v4";
    winner.default_us = NAN;
    CHECK_OK(db_write_winner(w, &winner, &err));
    db_writer_close(w);

    CHECK_FAILS(db_export_winners(path, in_scratch("one.json"), &err), TS_STATUS_INVALID_ARGUMENT,
                "must be a folder");
    assert_int_equal(mkdir(folder, 0700), 0);
    CHECK_OK(db_export_winners(path, folder, &err));
    ts_buf gpu = read_file(in_scratch("winners/sm_90a-nvidia-h200.json"));
    ts_buf cpu = read_file(in_scratch("winners/cpu-x86-64-v4-amd-epyc-9654.json"));
    assert_non_null(strstr(gpu.data, "\"device\": \"NVIDIA H200\""));
    assert_non_null(strstr(cpu.data, "\"device\": \"../AMD (EPYC)  9654\""));
    assert_non_null(strstr(cpu.data, "\"default_us\": null"));
    assert_null(strstr(gpu.data, "EPYC"));
    ts_buf_free(&gpu);
    ts_buf_free(&cpu);

    CHECK_OK(db_writer_open(path, &w, &err));
    winner.device.name = "amd-epyc-9654"; /* would overwrite the other one's file */
    CHECK_OK(db_write_winner(w, &winner, &err));
    db_writer_close(w);
    CHECK_FAILS(db_export_winners(path, folder, &err), TS_STATUS_INVALID_ARGUMENT,
                "share the file");
}

static void incomplete_or_missing_winners_are_refused(void **state) {
    (void)state;
    const char *path = in_scratch("t.db"), *out = in_scratch("out.json");
    CHECK_FAILS(db_export_winners(path, out, &err), TS_STATUS_NOT_FOUND, "no database at");
    write_sample(path, 0);
    CHECK_FAILS(db_export_winners(path, out, &err), TS_STATUS_NOT_FOUND, "no winners");
    write_sample(path, 2);
    run_sql(path, "UPDATE winner SET verdict = 'tie' WHERE id = 1");
    CHECK_FAILS(db_export_winners(path, out, &err), TS_STATUS_CORRUPT, "winner row 1");
    assert_int_not_equal(access(out, F_OK), 0);
}

static void text_that_is_no_utf8_is_refused(void **state) {
    (void)state;
    const char *path = in_scratch("t.db");
    db_writer *w = NULL;
    CHECK_OK(db_writer_open(path, &w, &err));
    db_kernel kernel = sample_kernel(0);
    int64_t id = 0;
    CHECK_OK(db_write_kernel(w, &kernel, &id, &err));
    db_winner winner = sample_winner(0, id);
    winner.verdict = "\xff";
    CHECK_OK(db_write_winner(w, &winner, &err));
    db_writer_close(w);
    CHECK_FAILS(db_export_winners(path, in_scratch("out.json"), &err), TS_STATUS_CORRUPT, "UTF-8");
}

/* Every field comes back as it was stored; what format 1 did not always have may be missing. */
static void text_is_read_back(void **state) {
    (void)state;
    static const int order[] = {1, 0};
    const char *path = in_scratch("out.json");
    db_text_winners read = {0};
    ts_arena arena = {0};
    write_winners(in_scratch("t.db"), order, 2);
    CHECK_OK(db_export_winners(in_scratch("t.db"), path, &err));
    CHECK_OK(db_text_winners_read(path, &arena, &read, &err));
    assert_int_equal(read.count, 2);
    for (int i = 0; i < 2; i++) {
        db_winner expected = sample_winner(i, 0), *w = &read.items[i].winner;
        db_kernel kernel = sample_kernel(i);
        assert_string_equal(w->problem, expected.problem);
        assert_string_equal(w->device.name, expected.device.name);
        assert_string_equal(w->race, expected.race);
        assert_int_equal(w->device.memory_bytes, expected.device.memory_bytes);
        assert_true(w->time_us == expected.time_us && w->gbytes == expected.gbytes);
        assert_string_equal(read.items[i].spec, kernel.spec);
        assert_string_equal(read.items[i].signature, kernel.signature);
    }
    ts_buf text = read_file(path);
    char *race = strstr(text.data, "\"race\"");
    memcpy(race, "\"rice\"", 6);
    memcpy(strstr(text.data, "\"default_us\": 20.0"), "\"default_us\": null", 18);
    CHECK_OK(ts_file_write(path, text.data, text.bytes, &err));
    CHECK_OK(db_text_winners_read(path, &arena, &read, &err));
    assert_string_equal(read.items[0].winner.race, "{}");
    assert_true(isnan(read.items[0].winner.default_us));
    ts_buf_free(&text);
    ts_arena_free(&arena);
}

/* Cut anywhere, it is refused whole. */
static void cut_text_is_refused(void **state) {
    (void)state;
    static const int one[] = {0};
    const char *path = in_scratch("out.json");
    write_winners(in_scratch("t.db"), one, 1);
    CHECK_OK(db_export_winners(in_scratch("t.db"), path, &err));
    ts_buf text = read_file(path);
    for (size_t bytes = 0; bytes + 2 < text.bytes; bytes += 7) {
        ts_arena arena = {0};
        db_text_winners read = {0};
        CHECK_OK(ts_file_write(path, text.data, bytes, &err));
        CHECK_FAILS(db_text_winners_read(path, &arena, &read, &err), TS_STATUS_CORRUPT,
                    "out.json: line");
        assert_null(read.items);
        ts_arena_free(&arena);
    }
    ts_buf_free(&text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(export_is_exactly_this),          TEST(order_of_tuning_does_not_show),
        TEST(a_folder_gets_a_file_a_device),   TEST(incomplete_or_missing_winners_are_refused),
        TEST(text_that_is_no_utf8_is_refused), TEST(text_is_read_back),
        TEST(cut_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
