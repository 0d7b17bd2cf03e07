/* Judging races: real gains win, noise does not, a tie goes to the default or the older winner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tuner/numeric.h"
#include "tuner/race.h"

enum { ROUNDS = 30 };

static double samples[TUNER_MAX_FINALISTS][TUNER_MAX_SAMPLES];

/* Kernel `k` takes mean_us, one per cent of noise, and in each round what disturbs everybody. */
static void fill(int k, double mean_us, uint64_t seed) {
    for (int r = 0; r < ROUNDS; r++) {
        double noise = 0.02 * (tuner_random_unit(seed, (uint64_t)k, (uint64_t)r) - 0.5);
        double disturbance = r % 7 == 0 ? 1.3 : 1;
        samples[k][r] = mean_us * disturbance * (1 + noise);
    }
}

static tuner_race judge(int count, int incumbent) {
    tuner_race race;
    tuner_race_judge(samples, count, ROUNDS, 0, incumbent, 9, &race);
    return race;
}

static void a_faster_kernel_wins(void **state) {
    (void)state;
    fill(0, 100, 1), fill(1, 95, 1), fill(2, 80, 1);
    tuner_race race = judge(3, TUNER_NOBODY);
    assert_int_equal(race.winner, 2);
    assert_string_equal(race.verdict, "win");
    assert_true(race.ci_low_us <= race.time_us && race.time_us <= race.ci_high_us);
    assert_true(race.time_us > 78 && race.time_us < 82);
    assert_true(race.default_us > 98 && race.default_us < 102);
}

static void equal_kernels_never_take_the_title(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        for (int k = 0; k < 5; k++) fill(k, 100, seed);
        assert_int_equal(judge(5, TUNER_NOBODY).winner, 0);
    }
}

static void a_tie_and_a_default_that_is_best_are_told_apart(void **state) {
    (void)state;
    fill(0, 100, 2), fill(1, 99.9, 2);
    for (int r = 0; r < ROUNDS; r++) samples[1][r] = 0.999 * samples[0][r];
    assert_string_equal(judge(2, TUNER_NOBODY).verdict, "tie");
    fill(1, 120, 2);
    assert_string_equal(judge(2, TUNER_NOBODY).verdict, "default");
}

static void an_older_winner_keeps_its_title_in_a_tie(void **state) {
    (void)state;
    fill(0, 100, 3), fill(1, 80, 3), fill(2, 79.9, 3);
    assert_int_equal(judge(3, 1).winner, 1);
    fill(2, 60, 3);
    assert_int_equal(judge(3, 1).winner, 2);
    fill(1, 120, 3), fill(2, 110, 3); /* it no longer beats the default */
    assert_int_equal(judge(3, 1).winner, 0);
}

static void one_kernel_alone_gets_its_interval(void **state) {
    (void)state;
    fill(0, 100, 4);
    tuner_race race = judge(1, TUNER_NOBODY);
    assert_int_equal(race.winner, 0);
    assert_string_equal(race.verdict, "default");
    assert_true(race.ci_low_us > 98 && race.ci_high_us < 105);
}

static void quantiles_interpolate(void **state) {
    (void)state;
    double values[] = {4, 1, 3, 2};
    assert_true(tuner_quantile(values, 4, 0.5) == 2.5);
    assert_true(tuner_quantile(values, 4, 0) == 1);
    assert_true(tuner_quantile(values, 4, 1) == 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_faster_kernel_wins),
        cmocka_unit_test(equal_kernels_never_take_the_title),
        cmocka_unit_test(a_tie_and_a_default_that_is_best_are_told_apart),
        cmocka_unit_test(an_older_winner_keeps_its_title_in_a_tie),
        cmocka_unit_test(one_kernel_alone_gets_its_interval),
        cmocka_unit_test(quantiles_interpolate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
