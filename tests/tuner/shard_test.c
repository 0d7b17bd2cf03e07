/* Shards: a partition that depends on nothing but the problems, and is balanced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tuner/shard.h"

static gen *g;

static int open_gen(void **state) {
    static const char *const dirs[] = {TS_TEMPLATES_DIR, NULL};
    (void)state;
    return gen_open(dirs, &g, NULL) == TS_STATUS_OK ? 0 : -1;
}

static int close_gen(void **state) {
    (void)state;
    gen_close(g);
    return 0;
}

/* The model shapes of all families, picked from the first or from the last. */
static tuner_selection all_problems(bool backwards) {
    tuner_options options = {.pick_count = gen_family_count(g)};
    tuner_selection selection;
    ts_err err = {0};
    for (size_t i = 0; i < options.pick_count; i++) {
        size_t at = backwards ? options.pick_count - 1 - i : i;
        options.picks[i] = (tuner_pick){TUNER_PICK_FAMILY, gen_family_name(gen_family_at(g, at))};
    }
    if (tuner_select(g, &options, "model", gen_target_find(g, "sm_90a"), &selection, &err) !=
        TS_STATUS_OK)
        fail_msg("%s", err.message);
    return selection;
}

static tuner_selection shard_of(bool backwards, int index, int count) {
    tuner_selection selection = all_problems(backwards);
    ts_err err = {0};
    if (tuner_shard(g, &selection, index, count, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    return selection;
}

static bool holds(const tuner_selection *selection, const char *text) {
    for (size_t i = 0; i < selection->count; i++)
        if (strcmp(selection->problems[i].text, text) == 0) return true;
    return false;
}

/* In the same order. */
static void assert_part_of(const tuner_selection *part, const tuner_selection *whole) {
    size_t at = 0;
    for (size_t i = 0; i < part->count; i++) {
        while (at < whole->count && strcmp(whole->problems[at].text, part->problems[i].text) != 0)
            at++;
        assert_true(at < whole->count);
    }
}

static void shards_are_a_partition(void **state) {
    (void)state;
    static const int counts[] = {1, 2, 3, 7, 1000};
    tuner_selection whole = all_problems(false);
    assert_true(whole.count > 20 && whole.count < 1000);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        int count = counts[c];
        size_t total = 0, least = SIZE_MAX, most = 0;
        for (int i = 1; i <= count; i++) {
            tuner_selection part = shard_of(false, i, count);
            assert_part_of(&part, &whole);
            total += part.count;
            if (part.count < least) least = part.count;
            if (part.count > most) most = part.count;
            tuner_selection_free(&part);
            if (count == 1000 && i > (int)whole.count + 2) break; /* the others are empty too */
        }
        assert_int_equal(total, whole.count); /* so none is missing, and none in two shards */
        assert_true(most - least <= 1);
    }
    tuner_selection_free(&whole);
}

static void the_order_of_the_picks_does_not_matter(void **state) {
    (void)state;
    for (int i = 1; i <= 3; i++) {
        tuner_selection a = shard_of(false, i, 3), b = shard_of(true, i, 3);
        assert_int_equal(a.count, b.count);
        assert_string_not_equal(a.problems[0].text, b.problems[0].text);
        for (size_t k = 0; k < a.count; k++) assert_true(holds(&b, a.problems[k].text));
        tuner_selection_free(&a);
        tuner_selection_free(&b);
    }
}

static double flops_of(const tuner_selection *selection, double *largest) {
    double total = 0;
    for (size_t i = 0; i < selection->count; i++) {
        double flops, bytes;
        assert_int_equal(tuner_problem_work(g, &selection->problems[i], &flops, &bytes, NULL),
                         TS_STATUS_OK);
        total += flops;
        if (flops > *largest) *largest = flops;
    }
    return total;
}

static void work_is_balanced(void **state) {
    (void)state;
    enum { COUNT = 4 };
    double largest = 0, none = 0;
    tuner_selection whole = all_problems(false);
    double total = flops_of(&whole, &largest);
    for (int i = 1; i <= COUNT; i++) {
        tuner_selection part = shard_of(false, i, COUNT);
        double work = flops_of(&part, &none);
        assert_true(work < total / COUNT + largest);
        assert_true(work > total / COUNT - largest);
        tuner_selection_free(&part);
    }
    tuner_selection_free(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_a_partition),
        cmocka_unit_test(the_order_of_the_picks_does_not_matter),
        cmocka_unit_test(work_is_balanced),
    };
    return cmocka_run_group_tests(tests, open_gen, close_gen);
}
