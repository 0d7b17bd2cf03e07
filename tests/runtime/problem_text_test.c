/* Problems as text: their fields in any order, and what is said of one that is wrong. */
#include "numbered_kernels.h"

#include "runtime/group.h"

static void fields_in_any_order(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1)},
        {.number = 2,
         .problem = "number m=1 k=1 dtype=bf16 act=none",
         .spec = "dtype=bf16 act=none"},
        {.number = 3, .problem = "other m=1 k=1", .spec = "", .family = "other"});
    assert_int_equal(found(kernels, "number act=none k=3 dtype=bf16 m=4"), 2);
    assert_int_equal(found(kernels, "  number dtype=fp32  k=3 act=none m=4 "), 1);
    assert_int_equal(found(kernels, "other k=1 m=1"), 3);
    const rt_group *a = NULL, *b = NULL;
    assert_int_equal(rt_group_find(kernels, "number", "act=none dtype=bf16", &a, NULL),
                     TS_STATUS_OK);
    assert_int_equal(rt_group_find(kernels, "number", "dtype=bf16  act=none", &b, NULL),
                     TS_STATUS_OK);
    assert_ptr_equal(a, b);
    ts_kernels_close(kernels);
}

static void says_what_is_wrong_with_a_problem(void **state) {
    (void)state;
    static const struct {
        const char *problem, *part;
        ts_status status;
    } cases[] = {
        {"", "family", TS_STATUS_INVALID_ARGUMENT},
        {"m=1", "family", TS_STATUS_INVALID_ARGUMENT},
        {"number m", "field=value", TS_STATUS_INVALID_ARGUMENT},
        {"number m=", "field=value", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 m=2 k=1 dtype=fp32 act=none", "m is given twice", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=1 dtype=fp32", "lacks the field act", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 dtype=fp32 act=none", "lacks the extent k", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=x dtype=fp32 act=none", "extent k is 'x'", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=-1 dtype=fp32 act=none", "extent k", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=99999999999999999999 dtype=fp32 act=none", "extent k",
         TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=1 j=1 dtype=fp32 act=none", "5 fields", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=1 dtype=bf16 act=none", "dtype=bf16", TS_STATUS_NOT_FOUND},
        {"number m=1 k=1 dtype=bf16 act=none", "tune --db", TS_STATUS_NOT_FOUND},
        {"absent m=1", "absent m=1", TS_STATUS_NOT_FOUND},
    };
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const ts_kernel *kernel = NULL;
        ts_err err;
        assert_int_equal(ts_kernel_find(kernels, cases[i].problem, &kernel, &err), cases[i].status);
        if (!strstr(err.message, cases[i].part))
            fail_msg("'%s' says: %s", cases[i].problem, err.message);
        assert_null(kernel);
    }
    const rt_group *group = NULL;
    ts_err err;
    assert_int_equal(rt_group_find(kernels, "number", "dtype=fp32", &group, &err),
                     TS_STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "tune --db"));
    ts_kernels_close(kernels);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, remove_database)
    const struct CMUnitTest tests[] = {
        TEST(fields_in_any_order),
        TEST(says_what_is_wrong_with_a_problem),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
