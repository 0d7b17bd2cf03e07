/* First guesses from stored winners, and what --budget accepts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tuner/budget.h"
#include "tuner/seeds.h"

static gen *g;

static int open_templates(void **state) {
    (void)state;
    static const char *const dirs[] = {TS_TEMPLATES_DIR, NULL};
    return gen_open(dirs, &g, NULL) != TS_STATUS_OK;
}

static int close_templates(void **state) {
    (void)state;
    gen_close(g);
    return 0;
}

typedef struct row {
    const char *problem, *target, *variant, *evidence;
} row;

/* The guesses for a problem on a target, with commas between. */
static const char *guesses(const row *rows, size_t count, const char *problem, const char *target) {
    static char text[400];
    db_winner_row winners[16] = {0};
    db_image stored = {.winners = winners, .winner_count = count};
    const char *variants[TUNER_MAX_SEEDS];
    gen_problem wanted;
    size_t found = 99;
    for (size_t i = 0; i < count; i++)
        winners[i].winner = (db_winner){.problem = rows[i].problem,
                                        .target = rows[i].target,
                                        .variant = rows[i].variant,
                                        .evidence = rows[i].evidence};
    assert_int_equal(gen_problem_parse(g, problem, &wanted, NULL), TS_STATUS_OK);
    tuner_seeds_find(g, &stored, &wanted, gen_target_find(g, target), variants, &found);
    text[0] = '\0';
    for (size_t i = 0; i < found; i++) {
        if (i) strcat(text, ",");
        strcat(text, variants[i]);
    }
    return text;
}

#define NORM(m, dtype) "norm m=" #m " d=256 kind=rms dtype=" #dtype " add=0"

static void the_nearest_comes_first(void **state) {
    (void)state;
    static const row rows[] = {
        {NORM(4096, fp32), "sm_86", "far", "measured"},
        {NORM(128, fp32), "sm_86", "near", "measured"},
        {NORM(64, fp32), "sm_80", "parent's", "measured"},
        {NORM(64, fp32), "sm_86", "same", "measured"},
        {NORM(64, fp32), "sm_90a", "cousin's", "measured"},
    };
    assert_string_equal(guesses(rows, 5, NORM(64, fp32), "sm_86"), "same,near,parent's,cousin's");
    assert_string_equal(guesses(rows, 1, NORM(64, fp32), "sm_89"), "far");
}

static void what_is_no_guess_is_left_out(void **state) {
    (void)state;
    static const row rows[] = {
        {NORM(64, bf16), "sm_86", "of another type", "measured"},
        {NORM(64, fp32), "sm_86", "predicted", "predicted"},
        {NORM(64, fp32), "cpu-x86-64-v3", "of another kind", "measured"},
        {NORM(64, fp32), "sm_999", "of no target", "measured"},
        {"normal m=64", "sm_86", "of no family", "measured"},
        {"norm m=64 d=256 kind=none", "sm_86", "of no problem", "measured"},
    };
    assert_string_equal(guesses(rows, 6, NORM(64, fp32), "sm_86"), "");
}

static void each_variant_once_and_few_of_them(void **state) {
    (void)state;
    static const row rows[] = {
        {NORM(1024, fp32), "sm_86", "a", "measured"}, {NORM(512, fp32), "sm_86", "b", "measured"},
        {NORM(256, fp32), "sm_86", "c", "measured"},  {NORM(128, fp32), "sm_86", "d", "measured"},
        {NORM(2048, fp32), "sm_86", "e", "measured"}, {NORM(64, fp32), "sm_86", "a", "measured"},
        {NORM(4096, fp32), "sm_86", "d", "measured"},
    };
    assert_string_equal(guesses(rows, 7, NORM(64, fp32), "sm_86"), "a,d,c,b");
}

static void budgets(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double seconds; /* INFINITY: of variants */
        size_t of_1000;
    } good[] = {
        {"90", 90, 1000},         {"90s", 90, 1000},
        {"3m", 180, 1000},        {"1h", 3600, 1000},
        {"0", 0, 1000},           {"200evals", INFINITY, 200},
        {"0evals", INFINITY, 0},  {"5000evals", INFINITY, 1000},
        {"25%", INFINITY, 250},   {"0.01%", INFINITY, 1},
        {"100%", INFINITY, 1000},
    };
    static const char *const bad[] = {"",         "s",    "3x",  "-1s",  "-5evals",
                                      "1.5evals", "101%", "-1%", "nan%", "infevals",
                                      "evals",    "3 m",  "%",   "3m20", "20 evals"};
    tuner_budget budget;
    ts_err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(tuner_budget_parse(good[i].text, &budget, &err), TS_STATUS_OK);
        assert_true(tuner_budget_seconds(&budget) == good[i].seconds);
        assert_int_equal(tuner_budget_variants(&budget, 1000), good[i].of_1000);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tuner_budget_parse(bad[i], &budget, &err), TS_STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "200evals"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_comes_first),
        cmocka_unit_test(what_is_no_guess_is_left_out),
        cmocka_unit_test(each_variant_once_and_few_of_them),
        cmocka_unit_test(budgets),
    };
    return cmocka_run_group_tests(tests, open_templates, close_templates);
}
