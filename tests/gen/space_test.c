/* Search spaces: solved rather than walked, in declared order, capped; defaults; names of variants. */
#include <time.h>

#include "scratch.h"

static ts_status enumerate(scratch *s, const char *problem_text, gen_variant **variants,
                           size_t *count) {
    gen_problem problem;
    if (s->status != TS_STATUS_OK) fail_msg("does not open: %s", s->err.message);
    TS_TRY(gen_problem_parse(s->g, problem_text, &problem, &s->err));
    return gen_enumerate(s->g, &problem, gen_target_find(s->g, "t"), variants, count, &s->err);
}

/* All names, one a line. */
static void assert_variants(const scratch_parts *parts, const char *problem, const char *expected) {
    scratch s;
    gen_variant *variants = NULL;
    size_t count = 0;
    ts_buf names = {0};
    scratch_open(&s, parts);
    if (enumerate(&s, problem, &variants, &count) != TS_STATUS_OK) fail_msg("%s", s.err.message);
    for (size_t i = 0; i < count; i++) {
        gen_variant_name(&variants[i], &names);
        ts_buf_printf(&names, "\n");
    }
    assert_string_equal(names.data ? names.data : "", expected);
    ts_buf_free(&names);
    free(variants);
    scratch_close(&s);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* 16 tunables of 8 values: 2^48 products. Each constraint ties a tunable to the one before, so that only the
 * 8 diagonals remain; whoever walks the product does not come back. */
static void vast_space(void **state) {
    (void)state;
    ts_buf tunables = {0}, constraints = {0};
    for (int i = 0; i < GEN_MAX_TUNABLES; i++) {
        ts_buf_printf(&tunables, "{ \"t%d\", { 1, 2, 3, 4, 5, 6, 7, 8 } }, ", i);
        if (i > 0) ts_buf_printf(&constraints, "\"t%d == t%d\", ", i, i - 1);
    }
    scratch s;
    gen_variant *variants = NULL;
    size_t count = 0;
    scratch_open(&s, &(scratch_parts){.tunables = tunables.data,
                                      .constraints = constraints.data,
                                      .search_only = true});
    double start = seconds();
    if (enumerate(&s, "f m=1 k=1", &variants, &count) != TS_STATUS_OK)
        fail_msg("%s", s.err.message);
    assert_true(seconds() - start < 0.5);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < GEN_MAX_TUNABLES; t++)
            assert_int_equal(variants[i].tunables[t], i + 1);
    free(variants);
    scratch_close(&s);
    ts_buf_free(&tunables);
    ts_buf_free(&constraints);
}

static void strings_and_order(void **state) {
    (void)state;
    /* The default first, then the declared order without it; a constraint over a string and the specialization. */
    assert_variants(
        &(scratch_parts){
            .tunables = "{ \"walk\", { \"down\", \"across\" } }, { \"n\", { 4, 1, 2 } }",
            .constraints = "'walk == \"down\" or n > 1', \"n * bytes(dtype) <= 8\"",
            .defaults = "walk = \"across\", n = \"8 // bytes(dtype)\""},
        "f m=1 k=1 dtype=fp32", "f/v walk=across n=2\nf/v walk=down n=1\nf/v walk=down n=2\n");
}

static void targets_count(void **state) {
    (void)state;
    assert_variants(
        &(scratch_parts){
            .tunables = "{ \"n\", { 1, 2, 4, 8 } }",
            .constraints = "\"n <= lanes\", 'has(\"fast\") and n > 1 and not has(\"slow\")'",
            .defaults = "n = \"lanes\""},
        "f m=1 k=1", "f/v n=4\nf/v n=2\n");
}

static void no_tunables(void **state) {
    (void)state;
    assert_variants(&(scratch_parts){.tunables = ""}, "f m=1 k=1", "f/v\n");
}

static void cap(void **state) {
    (void)state;
    scratch s;
    gen_variant *variants = NULL;
    size_t count = 0;
    scratch_open(
        &s, &(scratch_parts){
                .tunables =
                    "{ \"a\", { 1,2,3,4,5,6,7,8,9,10,11 } }, { \"b\", { 1,2,3,4,5,6,7,8,9,10 } }",
                .search_only = true});
    assert_int_equal(enumerate(&s, "f m=1 k=1", &variants, &count), TS_STATUS_TEMPLATE);
    assert_non_null(strstr(s.err.message, "100"));
    assert_null(variants);
    scratch_close(&s);
}

static void bad_spaces(void **state) {
    (void)state;
    static const struct {
        scratch_parts parts;
        const char *first, *second;
    } bad[] = {
        {{.tunables = "{ \"n\", { 1, 2 } }", .constraints = "\"n < 2\"", .defaults = "n = 2"},
         "n < 2",
         "default"},
        {{.tunables = "{ \"n\", { 1, 2 } }", .defaults = "n = 3"}, "3", "not among its values"},
        {{.tunables = "{ \"n\", { 1, 2 } }", .defaults = ""}, "default.n", "missing"},
        {{.tunables = "{ \"n\", { 1, 2 } }", .constraints = "\"nn < 2\"", .defaults = "n = 1"},
         "nn < 2",
         "unknown name 'nn'"},
        {{.tunables = "{ \"n\", { 1, 2 } }", .constraints = "\"n + 2\"", .defaults = "n = 1"},
         "n + 2",
         "true or false"},
        {{.tunables = "{ \"n\", { 1, 2 } }", .constraints = "\"m > n\"", .defaults = "n = 1"},
         "m > n",
         "unknown name 'm'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_render_fails(&bad[i].parts, bad[i].first, bad[i].second);
}

static void names(void **state) {
    (void)state;
    static const char *const bad[] = {
        "f/v",
        "f/v n=1",
        "f/v n=1 w=b w=b",
        "f/v w=b n=1",
        "f/v n=3 w=b",
        "f/v n=1 w=c",
        "f/u n=1 w=b",
        "g/v n=1 w=b",
        "fv n=1 w=b",
        "",
        "f/v n=1 w=b x=1",
    };
    scratch s;
    gen_variant variant, again;
    ts_buf name = {0};
    const int64_t *values;
    scratch_open(&s,
                 &(scratch_parts){.tunables = "{ \"n\", { 1, 2 } }, { \"w\", { \"a\", \"b\" } }",
                                  .defaults = "n = 1, w = \"a\""});
    assert_int_equal(gen_variant_parse(s.g, "f/v n=2 w=b", &variant, &s.err), TS_STATUS_OK);
    assert_int_equal(variant.tunables[0], 2);
    assert_int_equal(variant.tunables[1], 1);
    assert_string_equal(gen_version_name(variant.version), "v");
    assert_string_equal(gen_family_name(gen_version_family(variant.version)), "f");
    assert_int_equal(gen_version_tunable_count(variant.version), 2);
    assert_int_equal(gen_version_values(variant.version, 0, &values), 2);
    assert_int_equal(values[1], 2);
    assert_int_equal(gen_version_values(variant.version, 1, &values), 2);
    assert_int_equal(values[1], 1);
    gen_variant_name(&variant, &name);
    assert_string_equal(name.data, "f/v n=2 w=b");
    assert_int_equal(gen_variant_parse(s.g, name.data, &again, &s.err), TS_STATUS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (gen_variant_parse(s.g, bad[i], &again, &s.err) == TS_STATUS_OK)
            fail_msg("'%s' parses", bad[i]);
    ts_buf_free(&name);
    scratch_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vast_space),    cmocka_unit_test(strings_and_order),
        cmocka_unit_test(targets_count), cmocka_unit_test(no_tunables),
        cmocka_unit_test(cap),           cmocka_unit_test(bad_spaces),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
