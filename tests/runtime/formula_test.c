/* Launch data: postfix formulas and the JSON around them, good and bad. */
#include "runtime/launch_data.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JSON_HEAD                                                       \
    "{\"format\":1,\"kind\":\"cuda\",\"args_bytes\":32,"                \
    "\"args\":[{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0}," \
    "{\"name\":\"m\",\"type\":\"i64\",\"offset\":8},{\"name\":\"k\",\"type\":\"i32\",\"offset\":16}],"
#define JSON_LAUNCH                                                             \
    "\"launches\":[{\"entry\":\"f\",\"grid\":[\"m 128 ceil_div\",\"1\",\"1\"]," \
    "\"block\":[\"128\",\"1\",\"1\"],\"shared\":\"0\"}]}"

static rt_launch_data data;

static int setup(void **state) {
    (void)state;
    return rt_launch_data_parse(
               JSON_HEAD
               "\"extents\":[\"m\",\"k\"],\"workspace\":\"m 4 *\",\"zero\":[]," JSON_LAUNCH,
               &data, NULL) != TS_STATUS_OK;
}

static const struct good {
    const char *text;
    int64_t value;
} good[] = {
    /* m = 1000, k = 7, sm_count = 132 */
    {"0", 0},
    {"m", 1000},
    {"  m   k  + ", 1007},
    {"m 128 ceil_div", 8},
    {"m 125 ceil_div", 8},
    {"m 128 //", 7},
    {"k m - 2 // 500 +", 3},       /* floor(-993 / 2) = -497 */
    {"k m - 2 ceil_div 500 +", 4}, /* ceil(-993 / 2) = -496 */
    {"m sm_count min", 132},
    {"m sm_count max k *", 7000},
    {"1 2 3 4 5 + + + +", 15},
    {"-5 k +", 2},
    {"9223372036854775807", INT64_MAX},
};

static void evaluates(void **state) {
    (void)state;
    const rt_values values = {.extents = {1000, 7}, .sm_count = 132};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        rt_formula formula;
        int64_t value = -1;
        assert_int_equal(rt_formula_parse(&data, good[i].text, &formula, NULL), TS_STATUS_OK);
        assert_int_equal(rt_formula_eval(&data, formula, &values, INT64_MAX, "x", &value, NULL),
                         TS_STATUS_OK);
        assert_int_equal(value, good[i].value);
    }
}

static void refuses_malformed_formulas(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "+",
        "m +",
        "m k",
        "m k + +",
        "q",
        "m 2 /",
        "m 2 %",
        "12x",
        "0x10",
        "1.5",
        "-",
        "m-1",
        "9223372036854775808",
        "1 1 1 1 1 1 1 1 1 1 1 1 1 + + + + + + + + + + + +",
        "a_token_that_is_far_longer_than_any_name_of_an_extent_may_be",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rt_formula formula;
        ts_err err;
        assert_int_equal(rt_formula_parse(&data, bad[i], &formula, &err), TS_STATUS_CORRUPT);
        assert_non_null(strstr(err.message, "formula"));
    }
}

static void reports_arithmetic(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"m 0 //", "division"},
        {"m k k - ceil_div", "division"},
        {"m 9223372036854775807 +", "overflow"},
        {"m 9223372036854775807 *", "overflow"},
        {"-9223372036854775807 m -", "overflow"},
        {"-9223372036854775807 1 - -1 //", "overflow"},
        {"k m -", "outside"},
        {"m m * m *", "outside"},
    };
    const rt_values values = {.extents = {1000, 7}, .sm_count = 132};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rt_formula formula;
        int64_t value = 42;
        ts_err err;
        assert_int_equal(rt_formula_parse(&data, bad[i].text, &formula, NULL), TS_STATUS_OK);
        assert_int_equal(rt_formula_eval(&data, formula, &values, 100000, "grid", &value, &err),
                         TS_STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, bad[i].part));
        assert_non_null(strstr(err.message, "grid"));
        assert_int_equal(value, 42);
    }
}

static void knows_constants(void **state) {
    (void)state;
    rt_formula formula;
    int64_t value;
    assert_int_equal(rt_formula_parse(&data, "48 1024 *", &formula, NULL), TS_STATUS_OK);
    assert_true(rt_formula_constant(&data, formula, &value));
    assert_int_equal(value, 49152);
    assert_int_equal(rt_formula_parse(&data, "k 4 *", &formula, NULL), TS_STATUS_OK);
    assert_false(rt_formula_constant(&data, formula, &value));
    assert_int_equal(rt_formula_parse(&data, "sm_count", &formula, NULL), TS_STATUS_OK);
    assert_false(rt_formula_constant(&data, formula, &value));
}

static void reads_extents(void **state) {
    (void)state;
    struct {
        void *workspace;
        int64_t m;
        int32_t k, rest[3];
    } args = {NULL, INT64_C(5000000000), 12, {0}};
    rt_values values;
    assert_int_equal(rt_launch_data_values(&data, &args, 3, &values, NULL), TS_STATUS_OK);
    assert_int_equal(values.extents[0], INT64_C(5000000000));
    assert_int_equal(values.extents[1], 12);
    assert_int_equal(values.sm_count, 3);
    args.k = -1;
    ts_err err;
    assert_int_equal(rt_launch_data_values(&data, &args, 3, &values, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "extent k is -1"));
}

static void refuses_malformed_json(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"format\":2}",
        "{\"format\":1}",
        "{\"format\":1,\"kind\":\"tpu\"}",
        JSON_HEAD "\"extents\":[\"q\"],\"workspace\":\"0\"," JSON_LAUNCH, /* no such member */
        JSON_HEAD
        "\"extents\":[\"workspace\"],\"workspace\":\"0\"," JSON_LAUNCH, /* not an integer */
        JSON_HEAD "\"extents\":[7],\"workspace\":\"0\"," JSON_LAUNCH,
        JSON_HEAD "\"extents\":[\"m\"]," JSON_LAUNCH,                     /* no workspace */
        JSON_HEAD "\"extents\":[\"m\"],\"workspace\":\"k\"," JSON_LAUNCH, /* k is not listed */
        JSON_HEAD "\"extents\":[\"m\"],\"workspace\":\"0\",\"zero\":[[\"0\"]]," JSON_LAUNCH,
        JSON_HEAD
        "\"extents\":[\"m\"],\"work\":{\"flops\":\"m\"},\"workspace\":\"0\"," JSON_LAUNCH,
        JSON_HEAD "\"extents\":[\"m\"],\"work\":{\"flops\":\"m k\",\"bytes\":\"0\"},"
                  "\"workspace\":\"0\"," JSON_LAUNCH,
        JSON_HEAD "\"extents\":[\"m\"],\"workspace\":\"0\",\"launches\":[]}",
        JSON_HEAD "\"extents\":[\"m\"],\"workspace\":\"0\",\"launches\":[{\"entry\":\"f\"}]}",
        JSON_HEAD
        "\"extents\":[\"m\"],\"workspace\":\"0\",\"launches\":[{\"entry\":\"\",\"grid\":[\"1\",\"1\",\"1\"],"
        "\"block\":[\"1\",\"1\",\"1\"],\"shared\":\"0\"}]}",
        "{\"format\":1,\"kind\":\"cpu\",\"args_bytes\":12,\"args\":[{\"name\":\"m\",\"type\":\"i64\",\"offset\":8}],"
        "\"extents\":[\"m\"],\"workspace\":\"0\",\"launches\":[]}", /* member beyond the struct */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        static rt_launch_data out;
        ts_err err;
        assert_int_equal(rt_launch_data_parse(bad[i], &out, &err), TS_STATUS_CORRUPT);
        assert_true(err.message[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluates),          cmocka_unit_test(refuses_malformed_formulas),
        cmocka_unit_test(reports_arithmetic), cmocka_unit_test(knows_constants),
        cmocka_unit_test(reads_extents),      cmocka_unit_test(refuses_malformed_json),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
