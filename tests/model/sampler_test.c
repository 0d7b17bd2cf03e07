/* Sampling: each filter against counted draws, order of the filters, reproducibility. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/tunesmith.h"

enum { VOCAB = 6, DRAWS = 20000 };

/* Probabilities 0.5 0.25 0.125 0.0625 0.03125 0.03125 at temperature 1. */
static const float LOGITS[VOCAB] = {
    0, -0.69314718f, -1.38629436f, -2.07944154f, -2.77258872f, -2.77258872f};

static ts_sampler *make(ts_sampler_options options) {
    ts_sampler *sampler = NULL;
    ts_err err = {0};
    if (ts_sampler_create(&options, VOCAB, &sampler, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    return sampler;
}

static ts_sampler_options sampling(float temperature) {
    ts_sampler_options options = ts_sampler_defaults();
    options.temperature = temperature;
    options.seed = 7;
    return options;
}

/* Shares of many draws must be `expected` to within five standard deviations. */
static void check_shares(ts_sampler_options options, const uint8_t *seen, const double *expected) {
    ts_sampler *sampler = make(options);
    size_t counts[VOCAB] = {0};
    for (int i = 0; i < DRAWS; i++) counts[ts_sampler_pick(sampler, LOGITS, seen)]++;
    for (int i = 0; i < VOCAB; i++) {
        double share = (double)counts[i] / DRAWS;
        double deviation = sqrt(expected[i] * (1 - expected[i]) / DRAWS);
        if (fabs(share - expected[i]) > 5 * deviation)
            fail_msg("id %d: %.4f, not %.4f", i, share, expected[i]);
    }
    ts_sampler_close(sampler);
}

static void temperature(void **state) {
    (void)state;
    check_shares(sampling(1), NULL, (double[]){0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125});
    double weights[VOCAB], sum = 0; /* halving the logits takes square roots of probabilities */
    for (int i = 0; i < VOCAB; i++) sum += weights[i] = exp(LOGITS[i] / 2);
    for (int i = 0; i < VOCAB; i++) weights[i] /= sum;
    check_shares(sampling(2), NULL, weights);
}

static void top_k(void **state) {
    (void)state;
    ts_sampler_options options = sampling(1);
    options.top_k = 2;
    check_shares(options, NULL, (double[]){2.0 / 3, 1.0 / 3, 0, 0, 0, 0});
    options.top_k = 5; /* the sixth equals the fifth: it stays */
    check_shares(options, NULL, (double[]){0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125});
    options.top_k = 100;
    check_shares(options, NULL, (double[]){0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125});
}

static void top_p(void **state) {
    (void)state;
    ts_sampler_options options = sampling(1);
    options.top_p = 0.7f; /* 0.5 is not enough, 0.75 is */
    check_shares(options, NULL, (double[]){2.0 / 3, 1.0 / 3, 0, 0, 0, 0});
    options.top_p = 1e-6f; /* the best one always stays */
    check_shares(options, NULL, (double[]){1, 0, 0, 0, 0, 0});
    options.top_k = 2; /* probabilities are those after top-k: 2/3 reaches 0.6 alone */
    options.top_p = 0.6f;
    check_shares(options, NULL, (double[]){1, 0, 0, 0, 0, 0});
}

static void min_p(void **state) {
    (void)state;
    ts_sampler_options options = sampling(1);
    options.min_p = 0.2f; /* of the best one's 0.5 */
    check_shares(options, NULL, (double[]){0.5 / 0.875, 0.25 / 0.875, 0.125 / 0.875, 0, 0, 0});
    options.min_p = 1;
    check_shares(options, NULL, (double[]){1, 0, 0, 0, 0, 0});
}

static void repeat_penalty(void **state) {
    (void)state;
    ts_sampler_options options = ts_sampler_defaults(); /* greedy */
    const float logits[VOCAB] = {3, 2, -1, -5, -5, -5},
                negative[VOCAB] = {-1, -1.5f, -9, -9, -9, -9};
    const uint8_t seen[VOCAB] = {1, 0, 0, 0, 0, 0};
    options.repeat_penalty = 2;
    ts_sampler *sampler = make(options);
    assert_int_equal(ts_sampler_pick(sampler, logits, NULL), 0);
    assert_int_equal(ts_sampler_pick(sampler, logits, seen), 1);   /* 3 / 2 < 2 */
    assert_int_equal(ts_sampler_pick(sampler, negative, seen), 1); /* -1 * 2 < -1.5 */
    ts_sampler_close(sampler);
}

static void greedy(void **state) {
    (void)state;
    ts_sampler *sampler = make(ts_sampler_defaults());
    const float ties[VOCAB] = {1, 5, 5, 2, 5, 0}, holes[VOCAB] = {NAN, -INFINITY, 3, NAN, 2, 1};
    assert_int_equal(ts_sampler_pick(sampler, ties, NULL), 1);
    assert_int_equal(ts_sampler_pick(sampler, holes, NULL), 2);
    ts_sampler_close(sampler);
}

/* A seed is a text: the same draws again, other draws for another seed, and NaN never chosen. */
static void seeds(void **state) {
    (void)state;
    ts_sampler_options options = sampling(1), other = sampling(1);
    other.seed = 8;
    ts_sampler *a = make(options), *b = make(options), *c = make(other);
    const float holes[VOCAB] = {NAN, 1, NAN, 1, 1, NAN};
    int differ = 0;
    for (int i = 0; i < 200; i++) {
        int32_t id = ts_sampler_pick(a, LOGITS, NULL);
        assert_int_equal(id, ts_sampler_pick(b, LOGITS, NULL));
        differ += id != ts_sampler_pick(c, LOGITS, NULL);
        id = ts_sampler_pick(c, holes, NULL);
        assert_true(id == 1 || id == 3 || id == 4);
    }
    assert_true(differ > 0);
    ts_sampler_close(a);
    ts_sampler_close(b);
    ts_sampler_close(c);
}

static void bad_options(void **state) {
    (void)state;
    ts_sampler_options o[8];
    const char *names[8] = {"temperature", "temperature", "top_k",          "top_p",
                            "top_p",       "min_p",       "repeat_penalty", "repeat_penalty"};
    for (int i = 0; i < 8; i++) o[i] = ts_sampler_defaults();
    o[0].temperature = -1;
    o[1].temperature = NAN;
    o[2].top_k = -1;
    o[3].top_p = 0;
    o[4].top_p = 1.5f;
    o[5].min_p = -0.1f;
    o[6].repeat_penalty = 0;
    o[7].repeat_penalty = INFINITY;
    for (int i = 0; i < 8; i++) {
        ts_sampler *sampler = NULL;
        ts_err err = {0};
        assert_int_equal(ts_sampler_create(&o[i], VOCAB, &sampler, &err),
                         TS_STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, names[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature), cmocka_unit_test(top_k),          cmocka_unit_test(top_p),
        cmocka_unit_test(min_p),       cmocka_unit_test(repeat_penalty), cmocka_unit_test(greedy),
        cmocka_unit_test(seeds),       cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
