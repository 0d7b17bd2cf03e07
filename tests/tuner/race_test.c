/* Judging races: real gains win, noise does not, a tie goes to the default or the older winner. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tuner/numeric.h"
#include "tuner/race.h"

enum { ROUNDS = 30 };

static tuner_rounds rounds;

/* Kernel `k` takes mean_us, one per cent of noise, and in each round what disturbs everybody. */
static void fill(int k, double mean_us, uint64_t seed) {
    rounds.counts[k] = ROUNDS;
    for (int r = 0; r < ROUNDS; r++) {
        double noise = 0.02 * (tuner_random_unit(seed, (uint64_t)k, (uint64_t)r) - 0.5);
        double disturbance = r % 7 == 0 ? 1.3 : 1;
        rounds.samples_us[k][r] = mean_us * disturbance * (1 + noise);
    }
}

static tuner_race judge(int count, int incumbent) {
    tuner_race race;
    tuner_race_judge(&rounds, count, 0, incumbent, 9, &race);
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
    for (int r = 0; r < ROUNDS; r++) rounds.samples_us[1][r] = 0.999 * rounds.samples_us[0][r];
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

static void one_that_left_early_is_not_the_fastest(void **state) {
    (void)state;
    fill(0, 100, 5), fill(1, 70, 5), fill(2, 80, 5);
    rounds.counts[1] = 6; /* a lucky start would have made it the fastest */
    assert_int_equal(judge(3, TUNER_NOBODY).winner, 2);
    rounds.counts[1] = 0; /* all its rounds dropped: as an incumbent it holds nothing */
    assert_int_equal(judge(3, 1).winner, 2);
}

static void ratios_have_an_interval(void **state) {
    (void)state;
    fill(0, 100, 6), fill(1, 103, 7);
    tuner_interval ratio = tuner_race_ratio(&rounds, 1, 0, 3);
    assert_true(ratio.low_us < ratio.median_us && ratio.median_us < ratio.high_us);
    assert_true(ratio.low_us > 1.02 && ratio.high_us < 1.04);
}

static void the_text_of_a_race_is_json(void **state) {
    (void)state;
    const char *const names[] = {"f/a t=1", "f/b t=2"};
    ts_buf text = {0};
    fill(0, 100, 8), fill(1, 90, 8);
    rounds.conditions = (tuner_conditions){.warm_s = 0.003, .drift = NAN, .clock_mhz = 1980};
    tuner_race race = judge(2, TUNER_NOBODY);
    tuner_race_text(&rounds, names, 2, &race, true, 9, &text);
    json_t *json = json_loadb(text.data, text.bytes, 0, NULL);
    assert_non_null(json);
    json_t *finalists = json_object_get(json, "finalists"), *best = json_array_get(finalists, 1);
    assert_int_equal(json_array_size(finalists), 2);
    assert_string_equal(json_string_value(json_object_get(json, "cache")), "warm");
    assert_string_equal(json_string_value(json_object_get(json, "verdict")), "win");
    assert_true(json_is_null(json_object_get(json, "drift")));
    assert_int_equal(json_array_size(json_object_get(best, "samples_us")), ROUNDS);
    /* What is shown of the winner and what is stored of it are the same numbers. */
    assert_true(fabs(json_number_value(json_object_get(best, "ci_low_us")) / race.ci_low_us - 1) <
                1e-4);
    json_decref(json);
    ts_buf_free(&text);
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
        cmocka_unit_test(one_that_left_early_is_not_the_fastest),
        cmocka_unit_test(ratios_have_an_interval),
        cmocka_unit_test(the_text_of_a_race_is_json),
        cmocka_unit_test(quantiles_interpolate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
