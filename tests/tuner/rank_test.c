/* The static model: occupancy and waves, by cases that can be worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../tuner/rank.h"

static gen *templates;
static const gen_target *hopper;

/* sm_90a: 132 SMs, 32 blocks, 2048 threads, 65536 registers, 233472 bytes shared memory a SM. */
static double cycles(gen_cost cost, int registers, int shared_bytes) {
    tuner_compiled compiled = {.registers = registers, .shared_bytes = shared_bytes};
    double clock_mhz = 0, us = tuner_predict_us(hopper, &cost, 1, &compiled);
    assert_true(gen_target_fact(hopper, "clock_mhz", &clock_mhz));
    return isfinite(us) ? round((us - 1.0) * clock_mhz) : us;
}

static void one_block_takes_its_latency(void **state) {
    (void)state;
    gen_cost cost = {.blocks = 1, .threads = 128, .latency = 1000, .issue = 10};
    assert_true(cycles(cost, 32, 0) == 1000);
    cost.blocks = 132; /* one an SM */
    assert_true(cycles(cost, 32, 0) == 1000);
}

static void resident_blocks_share_the_busiest_unit(void **state) {
    (void)state;
    gen_cost cost = {.blocks = 132 * 4, .threads = 128, .latency = 1000, .issue = 400};
    assert_true(cycles(cost, 32, 0) == 1600); /* 4 an SM, 400 each */
    cost.issue = 10;
    assert_true(cycles(cost, 32, 0) == 1000); /* all four hide in the latency of one */
}

static void registers_and_shared_memory_make_waves(void **state) {
    (void)state;
    gen_cost cost = {.blocks = 132 * 4, .threads = 512, .latency = 1000, .issue = 10};
    assert_true(cycles(cost, 32, 0) == 1000);      /* 4 x 512 threads fit */
    assert_true(cycles(cost, 64, 0) == 2000);      /* 64 x 512 registers: two blocks */
    assert_true(cycles(cost, 128, 0) == 4000);     /* one */
    assert_true(cycles(cost, 32, 100000) == 2000); /* two by shared memory */
    cost.shared_bytes = 100000;
    assert_true(cycles(cost, 32, 20000) == 4000); /* dynamic and static together: one */
}

static void what_does_not_fit_is_never_picked(void **state) {
    (void)state;
    gen_cost cost = {.blocks = 1, .threads = 1024, .latency = 1000, .issue = 10};
    assert_true(isinf(cycles(cost, 255, 0)));
    assert_true(isinf(cycles(cost, 32, 240000)));
}

static void before_compiling_the_family_says_registers(void **state) {
    (void)state;
    gen_cost cost = {.blocks = 132 * 4, .threads = 512, .latency = 1000, .issue = 10};
    double clock_mhz = 0, free_us = tuner_predict_us(hopper, &cost, 1, NULL);
    assert_true(gen_target_fact(hopper, "clock_mhz", &clock_mhz));
    assert_true(round((free_us - 1.0) * clock_mhz) == 1000);
    cost.registers = 64;
    assert_true(round((tuner_predict_us(hopper, &cost, 1, NULL) - 1.0) * clock_mhz) == 2000);
    assert_true(cycles(cost, 128, 0) == 4000); /* the compiler knows better */
}

static double estimate(const gen_problem *problem, const gen_variant *variant) {
    double us = NAN;
    assert_int_equal(tuner_estimate_us(templates, problem, hopper, variant, NULL, &us, NULL),
                     TS_STATUS_OK);
    return us;
}

static void favourites_are_the_least_estimates(void **state) {
    (void)state;
    gen_problem problem;
    gen_variant *variants = NULL;
    size_t count = 0;
    tuner_shortlist list;
    assert_int_equal(
        gen_problem_parse(templates, "selective_scan b=8 l=2048 d=5120 dtype=bf16", &problem, NULL),
        TS_STATUS_OK);
    assert_int_equal(gen_enumerate(templates, &problem, hopper, &variants, &count, NULL),
                     TS_STATUS_OK);
    assert_int_equal(tuner_favourites(templates, &problem, hopper, variants, count, &list, NULL),
                     TS_STATUS_OK);
    assert_int_equal(list.count, TUNER_SHORTLIST);
    double last = 0;
    for (size_t i = 0; i < list.count; i++) {
        double us = estimate(&problem, &variants[list.index[i]]);
        assert_true(us >= last);
        last = us;
    }
    size_t less = 0;
    for (size_t i = 0; i < count; i++) less += estimate(&problem, &variants[i]) < last;
    assert_true(less < TUNER_SHORTLIST);
    free(variants);
}

static int open_templates(void **state) {
    (void)state;
    static const char *const dirs[] = {TS_TEMPLATES_DIR, NULL};
    if (gen_open(dirs, &templates, NULL) != TS_STATUS_OK) return -1;
    hopper = gen_target_find(templates, "sm_90a");
    return hopper ? 0 : -1;
}

static int close_templates(void **state) {
    (void)state;
    gen_close(templates);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_block_takes_its_latency),
        cmocka_unit_test(resident_blocks_share_the_busiest_unit),
        cmocka_unit_test(registers_and_shared_memory_make_waves),
        cmocka_unit_test(what_does_not_fit_is_never_picked),
        cmocka_unit_test(before_compiling_the_family_says_registers),
        cmocka_unit_test(favourites_are_the_least_estimates),
    };
    return cmocka_run_group_tests(tests, open_templates, close_templates);
}
