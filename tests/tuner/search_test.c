/* Strategies on a synthetic space: every point once, reproducible, and local search earns its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tuner/numeric.h"
#include "tuner/search/search.h"

/* Two versions, five tunables of four values each: 2048 points. */
enum { VERSIONS = 2, TUNABLES = 5, VALUES = 4, POINTS = VERSIONS * 1024, DIMS = 1 + TUNABLES };

static int32_t coords[POINTS][DIMS];
static double costs[POINTS];
static const tuner_space space = {POINTS, DIMS, &coords[0][0], NULL};

/* Tunables interact in pairs and each point has a quirk of its own; one point in ten fails. Cost 1
 * is best. */
static void make_space(uint64_t seed) {
    double least = INFINITY;
    for (int p = 0; p < POINTS; p++) {
        int rest = p / VERSIONS;
        coords[p][0] = p % VERSIONS;
        costs[p] = 1 + 0.3 * coords[p][0];
        for (int t = 1; t <= TUNABLES; t++, rest /= VALUES) coords[p][t] = rest % VALUES;
        for (int t = 1; t <= TUNABLES; t++) {
            uint64_t pair = (uint64_t)(coords[p][t] * VALUES + coords[p][t % TUNABLES + 1]);
            costs[p] *= 1 + 0.8 * tuner_random_unit(seed, (uint64_t)t, pair);
        }
        costs[p] *= 1 + 0.1 * tuner_random_unit(seed, 50, (uint64_t)p);
        if (tuner_random_unit(seed, 60, (uint64_t)p) < 0.1) costs[p] = INFINITY;
        least = fmin(least, costs[p]);
    }
    for (int p = 0; p < POINTS; p++) costs[p] /= least;
}

/* Best time of the space over the best found in `evaluations`, with `ahead` points always under
 * way. */
static double share_of_best(const char *strategy, int evaluations, uint64_t seed, int ahead) {
    tuner_search *search = tuner_search_create(tuner_strategy_find(strategy), &space, seed);
    assert_non_null(search);
    double best = INFINITY;
    size_t queue[16], queued = 0;
    for (int i = 0; i < evaluations; i++) {
        while (queued < (size_t)ahead && tuner_search_next(search, &queue[queued])) queued++;
        tuner_search_tell(search, queue[0], costs[queue[0]]);
        best = fmin(best, costs[queue[0]]);
        memmove(queue, queue + 1, --queued * sizeof *queue);
    }
    tuner_search_free(search);
    return 1 / best;
}

static double mean_share(const char *strategy, int evaluations, int ahead) {
    enum { SEEDS = 60 };
    double sum = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        make_space(seed / 6);
        sum += share_of_best(strategy, evaluations, seed, ahead);
    }
    return sum / SEEDS;
}

static void every_strategy_hands_out_every_point_once(void **state) {
    (void)state;
    make_space(1);
    for (const tuner_strategy *s = tuner_strategies; s->name; s++) {
        static bool seen[POINTS];
        memset(seen, 0, sizeof seen);
        tuner_search *search = tuner_search_create(s, &space, 3);
        size_t point, count = 0;
        tuner_search_claim(search, 7); /* tried by other means */
        tuner_search_tell(search, 7, costs[7]);
        for (; tuner_search_next(search, &point); count++) {
            assert_true(point < POINTS && !seen[point] && point != 7);
            seen[point] = true;
            tuner_search_tell(search, point, costs[point]);
        }
        assert_int_equal(count, POINTS - 1);
        tuner_search_free(search);
    }
}

static void seeds_decide(const tuner_strategy *strategy) {
    tuner_search *a = tuner_search_create(strategy, &space, 4);
    tuner_search *b = tuner_search_create(strategy, &space, 4);
    tuner_search *c = tuner_search_create(strategy, &space, 5);
    int different = 0;
    for (int i = 0; i < 100; i++) {
        size_t x, y, z;
        assert_true(tuner_search_next(a, &x) && tuner_search_next(b, &y) &&
                    tuner_search_next(c, &z));
        assert_int_equal(x, y);
        different += x != z;
        tuner_search_tell(a, x, costs[x]);
        tuner_search_tell(b, y, costs[y]);
        tuner_search_tell(c, z, costs[z]);
    }
    assert_true(different > 50 || strcmp(strategy->name, "exhaustive") == 0);
    tuner_search_free(a);
    tuner_search_free(b);
    tuner_search_free(c);
}

static void the_same_seed_gives_the_same_points(void **state) {
    (void)state;
    make_space(2);
    for (const tuner_strategy *s = tuner_strategies; s->name; s++) seeds_decide(s);
}

static void those_that_learn_beat_random(void **state) {
    (void)state;
    static const char *const learners[] = {"auto", "local", "annealing", "genetic", "model"};
    double random = mean_share("random", 100, 1);
    for (size_t i = 0; i < sizeof learners / sizeof *learners; i++) {
        double share = mean_share(learners[i], 100, 1);
        print_message("share of the best after 100 of %d: random %.3f, %s %.3f\n", POINTS, random,
                      learners[i], share);
        assert_true(share > random + 0.05);
        assert_true(share > 0.9 || strcmp(learners[i], "auto") != 0);
    }
}

/* An estimate that is off by a fifth in both directions still tells good from bad. */
static void estimates_help_the_model(void **state) {
    (void)state;
    static double estimates[POINTS];
    tuner_space informed = space;
    informed.estimate = estimates;
    double with = 0, without = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        make_space(seed);
        for (int p = 0; p < POINTS; p++)
            estimates[p] = p % 50 == 0
                               ? NAN
                               : costs[p] * (0.8 + 0.4 * tuner_random_unit(seed, 70, (uint64_t)p));
        for (int informed_run = 0; informed_run < 2; informed_run++) {
            tuner_search *s = tuner_search_create(tuner_strategy_find("model"),
                                                  informed_run ? &informed : &space, seed);
            double best = INFINITY;
            for (int i = 0; i < 40; i++) {
                size_t point;
                assert_true(tuner_search_next(s, &point));
                tuner_search_tell(s, point, costs[point]);
                best = fmin(best, costs[point]);
            }
            *(informed_run ? &with : &without) += 1 / best;
            tuner_search_free(s);
        }
    }
    print_message("share of the best after 40: %.3f, with estimates %.3f\n", without / 12,
                  with / 12);
    assert_true(with > without + 12 * 0.03);
}

/* What a compiler would tell: how often what costs is there, off by a tenth; most features tell nothing. */
static void describe(tuner_search *search, uint64_t seed, size_t point) {
    double features[TUNER_SEARCH_FEATURES];
    for (int f = 0; f < TUNER_SEARCH_FEATURES; f++) {
        double noise = tuner_random_unit(seed, 80 + (uint64_t)f, point), count = noise;
        if (f < TUNABLES) {
            uint64_t pair = (uint64_t)(coords[point][f + 1] * VALUES +
                                       coords[point][(f + 1) % TUNABLES + 1]);
            count = (0.95 + 0.1 * noise) * (1 + tuner_random_unit(seed, (uint64_t)f + 1, pair));
        }
        features[f] = 100 * count;
    }
    tuner_search_describe(search, point, features);
}

/* The share after `evaluations` with 16 points compiled ahead, run in order or as chosen. */
static double share_ahead(const char *strategy, uint64_t seed, int evaluations, bool choose) {
    enum { AHEAD = 16 };
    tuner_search *search = tuner_search_create(tuner_strategy_find(strategy), &space, seed);
    size_t ready[AHEAD], count = 0;
    double best = INFINITY;
    for (int i = 0; i < evaluations; i++) {
        for (; count < AHEAD && tuner_search_next(search, &ready[count]); count++)
            describe(search, seed / 6, ready[count]);
        size_t at = choose ? tuner_search_choose(search, ready, count) : 0, point = ready[at];
        assert_true(at < count);
        memmove(ready + at, ready + at + 1, (--count - at) * sizeof *ready);
        tuner_search_tell(search, point, costs[point]);
        best = fmin(best, costs[point]);
    }
    tuner_search_free(search);
    return 1 / best;
}

static void what_was_compiled_decides_what_runs(void **state) {
    (void)state;
    enum { SEEDS = 12 };
    static const char *const strategies[] = {"random", "auto"};
    for (size_t s = 0; s < 2; s++) {
        double in_order = 0, chosen = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            make_space(seed / 6);
            in_order += share_ahead(strategies[s], seed, 60, false) / SEEDS;
            chosen += share_ahead(strategies[s], seed, 60, true) / SEEDS;
        }
        print_message("%s, share after 60, 16 compiled ahead: in order %.3f, chosen %.3f\n",
                      strategies[s], in_order, chosen);
        assert_true(chosen > in_order + 0.01);
    }
}

/* Before enough was told: the first. With nothing but coordinates: the one that shares a leader's. */
static void little_known_nothing_chosen(void **state) {
    (void)state;
    static double costs_of[POINTS];
    make_space(3);
    for (size_t p = 0; p < POINTS; p++)
        costs_of[p] = (1 + coords[p][1]) * (1 + 0.2 * tuner_random_unit(3, 90, p));
    tuner_search *search = tuner_search_create(tuner_strategy_find("random"), &space, 1);
    size_t ready[3] = {0}, count = 0;
    for (size_t p = POINTS - 1; count < 2; p--)
        if (coords[p][1] == 3) ready[count++] = p;
    for (size_t p = POINTS - 1; count < 3; p--)
        if (coords[p][1] == 0) ready[count++] = p;
    for (size_t p = 0; p < 60; p++) {
        if (p < 16) assert_int_equal(tuner_search_choose(search, ready, 3), 0);
        tuner_search_claim(search, p);
        tuner_search_tell(search, p, costs_of[p]);
    }
    assert_int_equal(tuner_search_choose(search, ready, 3), 2);
    assert_int_equal(tuner_search_choose(search, ready, 1), 0);
    tuner_search_free(search);
}

static void points_under_way_cost_little(void **state) {
    (void)state;
    assert_true(mean_share("local", 100, 8) > mean_share("local", 100, 1) - 0.03);
    assert_true(mean_share("auto", 100, 8) > mean_share("auto", 100, 1) - 0.03);
}

static void a_small_space_is_taken_whole(void **state) {
    (void)state;
    static const int32_t few[3][2] = {{0, 0}, {0, 1}, {1, 0}};
    const tuner_space small = {3, 2, &few[0][0], NULL};
    tuner_search *search = tuner_search_create(tuner_strategy_find("auto"), &small, 1);
    size_t point;
    int count = 0;
    while (tuner_search_next(search, &point)) count++;
    assert_int_equal(count, 3);
    tuner_search_free(search);
    assert_null(tuner_strategy_find("none such"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_strategy_hands_out_every_point_once),
        cmocka_unit_test(the_same_seed_gives_the_same_points),
        cmocka_unit_test(those_that_learn_beat_random),
        cmocka_unit_test(estimates_help_the_model),
        cmocka_unit_test(what_was_compiled_decides_what_runs),
        cmocka_unit_test(little_known_nothing_chosen),
        cmocka_unit_test(points_under_way_cost_little),
        cmocka_unit_test(a_small_space_is_taken_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
