/* The verifier's host half: what must be caught is seeded into the bytes that a right kernel would
 * leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "norm_ref.h"
#include "templates/norm/args.h"
#include "tuner/numeric.h"
#include "tuner/parallel.h"
#include "tuner/trial.h"

enum { ROWS = 7, COLS = 33, X = 0, OUT_ELEMENT = 40 };

static gen *templates;

/* norm, but its last row is left alone and one element is a real NaN. */
static void partial_oracle(const void *slots, int64_t lane) {
    const struct norm_ref *p = slots;
    if (lane == p->m - 1) return;
    norm_ref(p, lane);
    if (lane == 2) p->out[2 * p->d + 5] = NAN;
}

static void whole_oracle(const void *slots, int64_t lane) { norm_ref(slots, lane); }

static size_t find_tensor(const tuner_trial *trial, const char *name) {
    size_t i = 0;
    while (strcmp(trial->binding.tensors[i].name, name) != 0) i++;
    return i;
}

static tuner_trial *make_trial(const char *problem, gen_oracle oracle, double max_flops,
                               const char *alias) {
    gen_case test = {.pad = *alias ? "x=3 delta=11 out=11" : "x=3 delta=11 out=27",
                     .init = "",
                     .omit = "",
                     .alias = alias,
                     .note = ""};
    tuner_trial_options options = {
        .oracle = oracle, .seed = 5, .max_flops = max_flops, .threads = 2};
    tuner_trial *trial = NULL;
    ts_err err = {0};
    assert_int_equal(gen_problem_parse(templates, problem, &test.problem, &err), TS_STATUS_OK);
    if (tuner_trial_create(templates, &test, &options, &trial, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    return trial;
}

static const char plain[] = "norm m=7 d=33 kind=rms dtype=fp32 add=1";

/* The slab as a right kernel leaves it. */
static unsigned char *right_result(const tuner_trial *trial) {
    unsigned char *after = malloc(trial->image_bytes);
    assert_non_null(after);
    memcpy(after, trial->image, trial->image_bytes);
    for (size_t i = 0; i < trial->binding.tensor_count; i++) {
        const gen_tensor *t = &trial->binding.tensors[i];
        for (int64_t e = 0; t->direction != GEN_IN && e < trial->expect[i].count; e++) {
            int64_t element = trial->expect[i].index ? trial->expect[i].index[e] : e;
            int64_t at = element / t->cols * t->pitch + element % t->cols;
            if (!tuner_is_unwritten(trial->expect[i].value[e]))
                tuner_store_element(t->dtype, after + trial->offset[i], at,
                                    trial->expect[i].value[e]);
        }
    }
    return after;
}

static float *element_of(const tuner_trial *trial, unsigned char *after, const char *tensor,
                         int64_t row, int64_t col) {
    size_t i = find_tensor(trial, tensor);
    return (float *)(void *)(after + trial->offset[i]) + row * trial->binding.tensors[i].pitch +
           col;
}

static void expect_verdict(const tuner_trial *trial, unsigned char *after,
                           const char *message_part) {
    ts_buf message = {0};
    double error = 0;
    bool right = tuner_trial_check(trial, after, 0, &message, &error);
    if (!message_part) {
        if (!right) fail_msg("refused: %s", message.data);
        assert_true(error < 1e-7);
    } else {
        assert_false(right);
        if (!strstr(message.data, message_part))
            fail_msg("\"%s\" lacks \"%s\"", message.data, message_part);
    }
    ts_buf_free(&message);
}

static void right_output_passes(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, whole_oracle, 0, "");
    unsigned char *after = right_result(trial);
    expect_verdict(trial, after, NULL);
    free(after);
    tuner_trial_free(trial);
}

/* Each writes one value where it must not, or leaves one out. */
static const struct {
    const char *tensor;
    int64_t row, col;
    float add;
    const char *message;
} faults[] = {
    {"out", 3, 20, 0.01f, "out[3,20] differs"},
    {"out", 0, 0, NAN, "out[0,0] differs"},
    {"x", 6, 32, 0.01f, "x[6,32] differs"},
    {"out", 0, COLS, 1, "between rows of out (after row 0)"},
    {"out", ROWS - 1, COLS, 1, "past the end of out"},
    {"out", 0, -1, 1, "before the start of out"},
    {"delta", 2, 3, 1, "wrote to the input delta"},
    {"weight", 0, COLS, 1, "past the end of weight"},
};

static void seeded_faults_are_caught(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, whole_oracle, 0, "");
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        unsigned char *after = right_result(trial);
        float *value = element_of(trial, after, faults[i].tensor, faults[i].row, faults[i].col);
        *value = isnan(*value) ? faults[i].add : *value + faults[i].add;
        expect_verdict(trial, after, faults[i].message);
        free(after);
    }
    tuner_trial_free(trial);
}

static void every_unwritten_element_is_caught(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, whole_oracle, 0, "");
    unsigned char *after = right_result(trial);
    size_t out = find_tensor(trial, "out");
    for (int64_t e = 0; e < ROWS * COLS; e++) {
        float *value = element_of(trial, after, "out", e / COLS, e % COLS), kept = *value;
        memcpy(value, trial->image + ((unsigned char *)value - after), sizeof *value);
        expect_verdict(trial, after, "was not written");
        *value = kept;
    }
    expect_verdict(trial, after, NULL);
    assert_int_equal(trial->expect[out].count, ROWS * COLS);
    free(after);
    tuner_trial_free(trial);
}

static void what_the_oracle_leaves_alone_must_stay(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, partial_oracle, 0, "");
    unsigned char *after = right_result(trial);
    expect_verdict(trial, after, NULL);
    *element_of(trial, after, "out", ROWS - 1, 4) = 0;
    expect_verdict(trial, after, "out[6,4] must not be written");
    free(after);
    tuner_trial_free(trial);
}

static void a_real_nan_must_be_nan(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, partial_oracle, 0, "");
    unsigned char *after = right_result(trial);
    *element_of(trial, after, "out", 2, 5) = 1;
    expect_verdict(trial, after, "out[2,5] differs");
    free(after);
    tuner_trial_free(trial);
}

static void small_errors_everywhere_break_the_norm(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, whole_oracle, 0, "");
    unsigned char *after = right_result(trial);
    const gen_tensor *t = &trial->binding.tensors[find_tensor(trial, "out")];
    for (int64_t e = 0; e < ROWS * COLS; e++) /* each within its own bound */
        *element_of(trial, after, "out", e / COLS, e % COLS) *= 1 + 0.5f * (float)t->rtol;
    expect_verdict(trial, after, "relative error norm");
    free(after);
    tuner_trial_free(trial);
}

static void sampled_lanes_check_only_what_they_wrote(void **state) {
    (void)state;
    /* 5 of 40 rows: 40 * 33 * 5 flops in all */
    tuner_trial *trial = make_trial("norm m=40 d=33 kind=rms dtype=fp32 add=1", whole_oracle,
                                    40 * 33 * 5 / 8.0, "");
    size_t out = find_tensor(trial, "out"), x = find_tensor(trial, "x");
    assert_int_equal(trial->expect[out].count, 5 * COLS);
    assert_int_equal(trial->expect[x].count, 5 * COLS);
    assert_int_equal(trial->expect[out].index[0], 0);
    assert_int_equal(trial->expect[out].index[5 * COLS - 1], 40 * COLS - 1);
    unsigned char *after = right_result(trial);
    expect_verdict(trial, after, NULL);
    *element_of(trial, after, "out", 39, 0) += 1;
    expect_verdict(trial, after, "out[39,0] differs");
    free(after);
    tuner_trial_free(trial);
}

enum { MANY_LANES = 97 };
static int lane_calls[MANY_LANES];

static void counting_oracle(const void *slots, int64_t lane) {
    lane_calls[lane]++;
    norm_ref(slots, lane);
}

/* Two threads on one lane would tear its expected values. */
static void no_lane_is_sampled_twice(void **state) {
    (void)state;
    for (int wanted = 2; wanted < MANY_LANES; wanted++) {
        tuner_trial_options options = {.oracle = counting_oracle,
                                       .seed = (uint64_t)wanted,
                                       .max_flops = 33 * 5 * (wanted + 0.5),
                                       .threads = 1};
        gen_case test = {.pad = "", .init = "", .omit = "", .alias = "", .note = ""};
        tuner_trial *trial = NULL;
        ts_err err = {0};
        int lanes = 0;
        memset(lane_calls, 0, sizeof lane_calls);
        assert_int_equal(gen_problem_parse(templates, "norm m=97 d=33 kind=rms dtype=fp32 add=1",
                                           &test.problem, &err),
                         TS_STATUS_OK);
        assert_int_equal(tuner_trial_create(templates, &test, &options, &trial, &err),
                         TS_STATUS_OK);
        for (int i = 0; i < MANY_LANES; i++) {
            assert_in_range(lane_calls[i], 0, 1);
            lanes += lane_calls[i];
        }
        assert_int_equal(lanes, wanted);
        assert_true(lane_calls[0] && lane_calls[MANY_LANES - 1]);
        tuner_trial_free(trial);
    }
}

static void shared_memory_is_one_region(void **state) {
    (void)state;
    tuner_trial *trial = make_trial("norm m=7 d=33 kind=rms dtype=fp32 add=1", whole_oracle, 0,
                                    "out=delta");
    size_t out = find_tensor(trial, "out"), delta = find_tensor(trial, "delta");
    assert_int_equal(trial->offset[out], trial->offset[delta]);
    assert_true(trial->offset[delta] >= trial->writable_at);
    unsigned char *after = right_result(trial);
    expect_verdict(trial, after, NULL);
    *element_of(trial, after, "out", 1, 1) += 0.5f;
    expect_verdict(trial, after, "out[1,1] differs");
    free(after);
    tuner_trial_free(trial);
}

static void args_point_into_the_slab(void **state) {
    (void)state;
    tuner_trial *trial = make_trial(plain, whole_oracle, 0, "");
    unsigned char args[512], *slab = (unsigned char *)0x10000, *workspace = (unsigned char *)0x900;
    assert_true((size_t)trial->binding.args_bytes <= sizeof args);
    tuner_trial_args(trial, slab, workspace, args);
    void *first;
    memcpy(&first, args, sizeof first);
    assert_ptr_equal(first, workspace);
    for (size_t i = 0; i < trial->binding.tensor_count; i++) {
        const gen_tensor *t = &trial->binding.tensors[i];
        void *pointer;
        memcpy(&pointer, args + t->offset, sizeof pointer);
        assert_ptr_equal(pointer, slab + trial->offset[i]);
        assert_int_equal(trial->offset[i] % 256, 0);
    }
    struct norm_args filled;
    memcpy(&filled, args, sizeof filled);
    assert_int_equal(filled.x_pitch, COLS + 3);
    assert_int_equal(filled.delta_pitch, COLS + 11);
    assert_int_equal(filled.out_pitch, COLS + 27);
    tuner_trial_free(trial);
}

/* Every half and every bfloat16 survives a round trip; halfway cases go to even. */
static void storage_formats_round_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        static const gen_dtype dtypes[] = {GEN_FP16, GEN_BF16};
        for (int d = 0; d < 2; d++) {
            uint16_t in = (uint16_t)bits, out = 0;
            double value = tuner_load_element(dtypes[d], &in, 0);
            if (isnan(value)) continue;
            tuner_store_element(dtypes[d], &out, 0, value);
            assert_int_equal(in, out);
        }
    }
    uint16_t half = 0;
    tuner_store_element(GEN_FP16, &half, 0, 2049); /* between 2048 and 2050 */
    assert_true(tuner_load_element(GEN_FP16, &half, 0) == 2048);
    tuner_store_element(GEN_FP16, &half, 0, 2051);
    assert_true(tuner_load_element(GEN_FP16, &half, 0) == 2052);
    tuner_store_element(GEN_FP16, &half, 0, 65520);
    assert_true(isinf(tuner_load_element(GEN_FP16, &half, 0)));
    tuner_store_element(GEN_BF16, &half, 0, 1 + 1.0 / 256);
    assert_true(tuner_load_element(GEN_BF16, &half, 0) == 1);
}

static void drawn_numbers_have_their_moments(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    static float data[COUNT];
    gen_tensor t = {.dtype = GEN_FP32,
                    .rows = 1,
                    .cols = COUNT,
                    .pitch = COUNT,
                    .init = GEN_INIT_NORMAL,
                    .init_a = 3,
                    .init_b = 0.5};
    tuner_fill_tensor(&t, 1, 0, false, 2, data);
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) sum += (double)data[i];
    for (int i = 0; i < COUNT; i++) squares += ((double)data[i] - 3) * ((double)data[i] - 3);
    assert_true(fabs(sum / COUNT - 3) < 0.01);
    assert_true(fabs(sqrt(squares / COUNT) - 0.5) < 0.01);
    static int32_t offsets[COUNT];
    t = (gen_tensor){.dtype = GEN_INT32,
                     .rows = 1,
                     .cols = COUNT,
                     .pitch = COUNT,
                     .init = GEN_INIT_OFFSETS,
                     .init_a = 4};
    tuner_fill_tensor(&t, 1, 0, false, 2, offsets);
    int empty = 0;
    assert_int_equal(offsets[0], 0);
    for (int i = 1; i < COUNT; i++) {
        assert_in_range(offsets[i] - offsets[i - 1], 0, 4);
        empty += offsets[i] == offsets[i - 1];
    }
    assert_true(empty > COUNT / 8);
    tuner_fill_tensor(&t, 1, 0, true, 2, offsets);
    for (int i = 0; i < COUNT; i++) assert_int_equal(offsets[i], 4 * i);
}

static void count_element(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) ((unsigned char *)context)[i]++;
}

static void pieces_cover_all_elements_once(void **state) {
    (void)state;
    enum { MOST = 1000 };
    const struct {
        int64_t total, grain;
        int threads;
    } cases[] = {{0, 1, 4}, {1, 8, 4}, {MOST, 7, 1}, {MOST, 7, 5}, {999, 1000, 3}, {MOST, 1, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char seen[MOST] = {0};
        tuner_parallel(cases[i].total, cases[i].grain, cases[i].threads, count_element, seen);
        for (int64_t at = 0; at < MOST; at++) assert_int_equal(seen[at], at < cases[i].total);
    }
}

static void drawn_numbers_do_not_depend_on_threads(void **state) {
    (void)state;
    enum { HIGH = 5, WIDE = 50000, PITCH = WIDE + 3 };
    static float one[HIGH * PITCH], many[HIGH * PITCH];
    gen_tensor t = {.dtype = GEN_FP32, .rows = HIGH, .cols = WIDE, .pitch = PITCH, .init_b = 1};
    const gen_init_kind inits[] = {GEN_INIT_NORMAL, GEN_INIT_UNIFORM, GEN_INIT_OFFSETS};
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
        t.init = inits[i];
        t.init_a = 2;
        tuner_fill_tensor(&t, 3, 1, false, 1, one);
        tuner_fill_tensor(&t, 3, 1, false, 7, many);
        assert_memory_equal(one, many, sizeof one);
    }
}

static void distinct_numbers_are_a_permutation(void **state) {
    (void)state;
    enum { MOST = 300 };
    for (int count = 1; count <= MOST; count++) {
        int32_t numbers[MOST];
        bool seen[MOST] = {false};
        gen_tensor t = {.dtype = GEN_INT32,
                        .rows = 1,
                        .cols = count,
                        .pitch = count,
                        .init = GEN_INIT_DISTINCT,
                        .init_a = count};
        tuner_fill_tensor(&t, 1, 0, false, 2, numbers);
        for (int i = 0; i < count; i++) {
            assert_in_range(numbers[i], 0, count - 1);
            assert_false(seen[numbers[i]]);
            seen[numbers[i]] = true;
        }
    }
}

static int open_templates(void **state) {
    (void)state;
    static const char *const dirs[] = {TS_TEMPLATES_DIR, NULL};
    return gen_open(dirs, &templates, NULL) == TS_STATUS_OK ? 0 : -1;
}

static int close_templates(void **state) {
    (void)state;
    gen_close(templates);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_output_passes),
        cmocka_unit_test(seeded_faults_are_caught),
        cmocka_unit_test(every_unwritten_element_is_caught),
        cmocka_unit_test(what_the_oracle_leaves_alone_must_stay),
        cmocka_unit_test(a_real_nan_must_be_nan),
        cmocka_unit_test(small_errors_everywhere_break_the_norm),
        cmocka_unit_test(sampled_lanes_check_only_what_they_wrote),
        cmocka_unit_test(no_lane_is_sampled_twice),
        cmocka_unit_test(shared_memory_is_one_region),
        cmocka_unit_test(args_point_into_the_slab),
        cmocka_unit_test(storage_formats_round_to_nearest_even),
        cmocka_unit_test(drawn_numbers_have_their_moments),
        cmocka_unit_test(pieces_cover_all_elements_once),
        cmocka_unit_test(drawn_numbers_do_not_depend_on_threads),
        cmocka_unit_test(distinct_numbers_are_a_permutation),
    };
    return cmocka_run_group_tests(tests, open_templates, close_templates);
}
