/* The lookup: which of the stored kernels a device uses, and what it says about its choice. */
#include "numbered_kernels.h"

#include <pthread.h>

#include "runtime/group.h"

/* ---- the ladder ---- */

/* The kernel of a newer driver is refused by name before anything is loaded. */
static void driver_too_old(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1024), .driver_min = 99010});
    const ts_kernel *kernel = NULL;
    ts_err err = {0};
    assert_int_not_equal(ts_kernel_find(kernels, P(1, 1024), &kernel, &err), TS_STATUS_OK);
    assert_null(kernel);
    if (!strstr(err.message, "needs a driver for CUDA 99.1")) fail_msg("%s", err.message);
    ts_kernels_close(kernels);
    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1024), .driver_min = 99010},
                        {.number = 2, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1024)), 2); /* the default serves meanwhile */
    assert_non_null(strstr(ts_kernels_warning(kernels, 0), "needs a driver for CUDA 99.1"));
    assert_warnings(kernels, 2, "untuned, using the default");
    ts_kernels_close(kernels);
}

static void exact_device_and_nearest_extents(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1024)},
                                    {.number = 2, .problem = P(64, 1024)},
                                    {.number = 3, .problem = P(64, 8192)},
                                    {.number = 4, .problem = P(7, 7), .device = "Another CPU"},
                                    {.number = 5, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1024)), 1);
    assert_int_equal(found(kernels, P(64, 1024)), 2);
    assert_int_equal(found(kernels, P(7, 1000)),
                     1); /* 7 is nearer to 1 than to 64, in ratio 7 to 9.1 */
    assert_int_equal(found(kernels, P(9, 1000)), 2);
    assert_int_equal(found(kernels, P(100, 3000)), 3); /* 2.73 below 8192, 2.93 above 1024 */
    assert_int_equal(found(kernels, P(0, 0)), 1);
    assert_int_equal(found(kernels, P(7, 7)), 1); /* the other device's entry takes no part */
    assert_warnings(kernels, 0, "");

    const rt_group *group = NULL;
    int32_t out = -1;
    struct number_args args = {NULL, &out, 80, 9000};
    assert_int_equal(rt_group_find(kernels, "number", "dtype=fp32 act=none", &group, NULL),
                     TS_STATUS_OK);
    assert_string_equal(ts_kernel_variant(rt_group_pick(group, &args)), "number/v t=3");
    assert_string_equal(ts_kernel_launch_data(rt_group_pick(group, &args)), number_launch);
    assert_int_equal(rt_group_launch(group, NULL, &args, sizeof args, NULL), TS_STATUS_OK);
    assert_int_equal(out, 3);
    assert_int_equal(rt_group_workspace(group, &args), 0);
    ts_kernels_close(kernels);
}

static void nearest_core_count(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1), .device = "A", .sm_count = 200},
        {.number = 2, .problem = P(64, 64), .device = "B", .sm_count = 3},
        {.number = 3, .problem = P(1, 1), .device = "C", .sm_count = 9},
        {.number = 4, .problem = P(1, 1), .device = "", .evidence = "predicted"});
    assert_int_equal(found(kernels, P(1, 1)), 2); /* only B's entries: devices are not mixed */
    assert_warnings(kernels, 1, "using what was tuned on B");
    assert_int_equal(found(kernels, P(64, 64)), 2);
    assert_warnings(kernels, 1, "B"); /* said once */
    ts_kernels_close(kernels);
}

/* A winner whose code changed keeps the extents that it was chosen for, and is said to be one. */
static void changed_code_stays_in_its_place(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1)},
        {.number = 2, .problem = P(64, 64), .evidence = "predicted"},
        {.number = 3, .problem = P(64, 64), .evidence = "predicted", .device = ""},
        {.number = 4, .problem = P(64, 64), .device = "D"});
    assert_int_equal(found(kernels, P(1, 1)), 1);
    assert_int_equal(found(kernels, P(64, 64)), 2);
    assert_warnings(kernels, 1, "1 of 2 winners are not what was measured on");
    ts_kernels_close(kernels);
    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)}, {.number = 2, .problem = P(64, 64)});
    assert_int_equal(found(kernels, P(64, 64)), 2);
    assert_warnings(kernels, 0, "");
    ts_kernels_close(kernels);
}

static void predicted_then_older_then_default(void **state) {
    (void)state;
    const char *older = device->targets[1];
    if (!older) skip(); /* this CPU has only the lowest level */
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1), .evidence = "predicted", .device = ""},
        {.number = 2, .problem = P(1, 1), .target = older});
    assert_int_equal(found(kernels, P(1, 1)), 1);
    assert_warnings(kernels, 1, "never measured");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 2, .problem = P(1, 1), .target = older},
                        {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1)), 2);
    assert_warnings(kernels, 1, "untuned");
    assert_non_null(strstr(ts_kernels_warning(kernels, 0), older));
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 4, .is_default = true, .target = older},
                        {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(5, 5)), 3);
    assert_warnings(kernels, 1, "using the default number/v t=3");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 4, .is_default = true, .target = older});
    assert_int_equal(found(kernels, P(5, 5)), 4);
    ts_kernels_close(kernels);
}

static void a_kernel_that_does_not_load_is_skipped(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1), .broken = true},
                                    {.number = 2, .problem = P(64, 64)},
                                    {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1)), 2);
    assert_warnings(kernels, 1, "number/v t=1");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1), .broken = true},
                        {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1)), 3);
    assert_warnings(kernels, 2, "default");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1), .broken = true});
    const ts_kernel *kernel = NULL;
    ts_err err;
    assert_int_equal(ts_kernel_find(kernels, P(1, 1), &kernel, &err), TS_STATUS_CORRUPT);
    assert_non_null(strstr(err.message, "none of 1 stored kernels loads"));
    ts_kernels_close(kernels);
}

/* A family of the table whose args another library version made is skipped and said. */
static void another_abi_is_skipped(void **state) {
    (void)state;
    if (!rt_abi_table[0].family) skip();
    row foreign = {
        .number = 1, .family = rt_abi_table[0].family, .spec = "a=1", .is_default = true};
    ts_kernels *kernels = open_rows(&foreign, 1);
    assert_warnings(kernels, 1, rt_abi_table[0].family);
    const rt_group *group = NULL;
    assert_int_equal(rt_group_find(kernels, foreign.family, "a=1", &group, NULL),
                     TS_STATUS_NOT_FOUND);
    ts_kernels_close(kernels);
}

/* ---- threads ---- */

static void *find_often(void *argument) {
    for (int i = 0; i < 200; i++) {
        const ts_kernel *kernel = NULL;
        int32_t out = -1;
        struct number_args args = {NULL, &out, 1, 1};
        if (ts_kernel_find(argument, i % 2 ? P(1, 1) : P(64, 64), &kernel, NULL) != TS_STATUS_OK ||
            ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL) != TS_STATUS_OK ||
            out != (i % 2 ? 1 : 2))
            return argument;
    }
    return NULL;
}

static void several_threads_find(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)},
                                    {.number = 2, .problem = P(64, 64)});
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_often, kernels), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = kernels;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    ts_kernels_close(kernels);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, remove_database)
    const struct CMUnitTest tests[] = {
        TEST(driver_too_old),
        TEST(exact_device_and_nearest_extents),
        TEST(nearest_core_count),
        TEST(changed_code_stays_in_its_place),
        TEST(predicted_then_older_then_default),
        TEST(a_kernel_that_does_not_load_is_skipped),
        TEST(another_abi_is_skipped),
        TEST(several_threads_find),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
