/* Which samples a timing may count, given the clocks that they were taken under. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tuner/clocks.h"

static tuner_clock_log steady(int count, double mhz) {
    tuner_clock_log log = {.count = count};
    for (int i = 0; i < count; i++) log.mhz[i] = mhz * (1 + 0.01 * (i % 3 - 1));
    return log;
}

static void other_clocks_and_throttled_samples_are_dropped(void **state) {
    (void)state;
    bool keep[TUNER_MAX_CLOCK_READINGS];
    tuner_clock_log log = steady(20, 1800);
    assert_int_equal(tuner_clocks_judge(&log, keep), 0);
    log.mhz[4] = 1400;
    log.throttled[7] = true;
    log.mhz[9] = NAN; /* one reading failed: no reason to drop its sample */
    assert_int_equal(tuner_clocks_judge(&log, keep), 2);
    assert_false(keep[4]);
    assert_false(keep[7]);
    assert_true(keep[9] && keep[5]);
    assert_true(fabs(tuner_clocks_usual_mhz(&log) - 1800) < 20);
}

static void nothing_is_dropped_where_nothing_is_known(void **state) {
    (void)state;
    bool keep[TUNER_MAX_CLOCK_READINGS];
    tuner_clock_log log = {0};
    for (int i = 0; i < 2 * TUNER_MAX_CLOCK_READINGS; i++) tuner_clocks_read(NULL, &log);
    assert_int_equal(log.count, TUNER_MAX_CLOCK_READINGS);
    assert_int_equal(tuner_clocks_judge(&log, keep), 0);
    assert_true(isnan(tuner_clocks_usual_mhz(&log)));
}

static unsigned now_mhz;
static unsigned long long now_reasons;
static int fake_clock(nvmlDevice_t device, int type, unsigned *mhz) {
    (void)device;
    *mhz = now_mhz;
    return type == NVML_CLOCK_SM ? NVML_SUCCESS : 1;
}
static int fake_reasons(nvmlDevice_t device, unsigned long long *reasons) {
    (void)device;
    *reasons = now_reasons;
    return NVML_SUCCESS;
}

static void heat_is_throttling_and_the_power_cap_is_not(void **state) {
    (void)state;
    const struct {
        unsigned long long reasons;
        bool throttled;
    } cases[] = {{0, false},   {1, false},   {4, false},  {8, true},
                 {0x20, true}, {0x44, true}, {0x80, true}};
    tuner_nvml nvml = {.clock = fake_clock, .reasons = fake_reasons};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuner_clock_log log = {0};
        now_mhz = 1500 + (unsigned)i;
        now_reasons = cases[i].reasons;
        tuner_clocks_read(&nvml, &log);
        assert_int_equal(log.throttled[0], cases[i].throttled);
        assert_true(log.mhz[0] == 1500 + (double)i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_clocks_and_throttled_samples_are_dropped),
        cmocka_unit_test(nothing_is_dropped_where_nothing_is_known),
        cmocka_unit_test(heat_is_throttling_and_the_power_cap_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
