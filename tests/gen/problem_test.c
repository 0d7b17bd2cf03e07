/* Problem texts: parsed, defaulted, checked, and written in the canonical form. */
#include "scratch.h"

static const char FAMILY[] =
    "return { name = \"f\",\n"
    "fields = { { \"m\", \"extent\" }, { \"k\", \"extent\" }, { \"dtype\", \"spec\", { \"fp32\", \"bf16\" } },\n"
    "           { \"width\", \"spec\", { 2, 3, 4 }, default = 4 }, { \"n\", \"spec\", \"1..256\", default = 16 } },\n"
    "domain = { \"k % width == 0\", \"dtype == 'fp32' or n > 1\" },\n"
    "tensors = { { \"x\", \"in\", dtype = \"dtype\", shape = { \"m\", \"k\" }, pitch = \"x_pitch\" },\n"
    "            { \"out\", \"out\", dtype = \"fp32\", shape = { \"1\", \"m\" } } }, scalars = {}, lanes = \"m\",\n"
    "work = { flops = 0, bytes = 0 }, tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 } }, versions = {} }\n";
static const char CASES[] =
    "return { verify = { { m = 1, k = 6 }, { m = 2, k = 12, pad = 3, note = \"padded\" }, { m = 3, k = 7 } },\n"
    "smoke = { \"f m=5 k=4 dtype=bf16\" }, model = { \"f k=8 m=5 dtype=fp32 width=2\", \"f m=1 k=4 dtype=fp32\" } }\n";

static int setup(void **state) {
    static scratch s;
    scratch_open(&s, &(scratch_parts){.family = FAMILY, .cases = CASES});
    *state = &s;
    return s.status != TS_STATUS_OK;
}

static int teardown(void **state) {
    scratch_close(*state);
    return 0;
}

static void round_trip(void **state) {
    static const char *const texts[][3] = {
        /* given, canonical, specialization */
        {"f m=1 k=8 dtype=fp32 width=2 n=256", "f m=1 k=8 dtype=fp32 width=2 n=256",
         "dtype=fp32 width=2 n=256"},
        {"f m=1 k=8 dtype=bf16", "f m=1 k=8 dtype=bf16 width=4 n=16", "dtype=bf16 width=4 n=16"},
        {"  f   n=1 dtype=fp32  k=0 m=2147483647 ", "f m=2147483647 k=0 dtype=fp32 width=4 n=1",
         "dtype=fp32 width=4 n=1"},
    };
    scratch *s = *state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        gen_problem problem, again;
        ts_buf text = {0}, spec = {0};
        if (gen_problem_parse(s->g, texts[i][0], &problem, &s->err) != TS_STATUS_OK)
            fail_msg("%s", s->err.message);
        gen_problem_text(&problem, &text);
        gen_problem_spec(&problem, &spec);
        assert_string_equal(text.data, texts[i][1]);
        assert_string_equal(spec.data, texts[i][2]);
        assert_int_equal(gen_problem_parse(s->g, text.data, &again, NULL), TS_STATUS_OK);
        assert_memory_equal(problem.values, again.values, sizeof problem.values);
        ts_buf_free(&text);
        ts_buf_free(&spec);
    }
}

static void values(void **state) {
    scratch *s = *state;
    gen_problem problem;
    assert_int_equal(gen_problem_parse(s->g, "f m=3 k=8 dtype=bf16 width=2", &problem, NULL),
                     TS_STATUS_OK);
    const int64_t expected[] = {3, 8, 1, 2, 16}; /* a string as its index, an integer as itself */
    assert_memory_equal(problem.values, expected, sizeof expected);
    assert_string_equal(gen_family_name(problem.family), "f");
}

static void refused(void **state) {
    static const struct {
        const char *text;
        ts_status status;
        const char *first, *second;
    } bad[] = {
        {"", TS_STATUS_INVALID_ARGUMENT, "family field=value", ""},
        {"g m=1", TS_STATUS_NOT_FOUND, "g", "family"},
        {"f m=1 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "k", "missing"},
        {"f m=1 k=8 dtype=fp32 m=1", TS_STATUS_INVALID_ARGUMENT, "m", "twice"},
        {"f m=1 k=8 dtype=fp16", TS_STATUS_INVALID_ARGUMENT, "fp16", "fp32, bf16"},
        {"f m=1 k=8 dtype=", TS_STATUS_INVALID_ARGUMENT, "dtype", "fp32, bf16"},
        {"f m=1 k=8 dtype=fp32 width=5", TS_STATUS_INVALID_ARGUMENT, "5", "2, 3, 4"},
        {"f m=1 k=8 dtype=fp32 n=257", TS_STATUS_INVALID_ARGUMENT, "257", "1..256"},
        {"f m=1 k=8 dtype=fp32 n=0", TS_STATUS_INVALID_ARGUMENT, "n", "1..256"},
        {"f m=-1 k=8 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "-1", "m"},
        {"f m=2147483648 k=8 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "2147483648", "m"},
        {"f m=99999999999999999999 k=8 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "m", ""},
        {"f m=1x k=8 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "1x", "m"},
        {"f m=0x1 k=8 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "0x1", "m"},
        {"f m k=8 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "field=value", "dtype"},
        {"f m=1 k=8 dtype=fp32 heads=2", TS_STATUS_INVALID_ARGUMENT, "heads=2", "width"},
        {"f m=1 k=7 dtype=fp32", TS_STATUS_INVALID_ARGUMENT, "k % width == 0", "f m=1 k=7"},
        {"f m=1 k=8 dtype=bf16 n=1", TS_STATUS_INVALID_ARGUMENT, "n > 1", ""},
    };
    scratch *s = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gen_problem problem;
        if (gen_problem_parse(s->g, bad[i].text, &problem, &s->err) != bad[i].status)
            fail_msg("'%s': not status %d", bad[i].text, (int)bad[i].status);
        if (!strstr(s->err.message, bad[i].first) || !strstr(s->err.message, bad[i].second))
            fail_msg("'%s' lacks '%s' or '%s'", s->err.message, bad[i].first, bad[i].second);
    }
}

static void assert_cases(scratch *s, const char *list, const char *like_text,
                         const char *expected) {
    gen_problem like;
    gen_case *cases = NULL;
    size_t count = 0;
    ts_buf text = {0};
    assert_int_equal(gen_problem_parse(s->g, like_text, &like, NULL), TS_STATUS_OK);
    if (gen_cases(s->g, gen_family_find(s->g, "f"), list, &like, &cases, &count, &s->err) !=
        TS_STATUS_OK)
        fail_msg("%s", s->err.message);
    for (size_t i = 0; i < count; i++) {
        gen_problem_text(&cases[i].problem, &text);
        ts_buf_printf(&text, " pad (%s) %s\n", cases[i].pad, cases[i].note);
    }
    assert_string_equal(text.data, expected);
    ts_buf_free(&text);
    free(cases);
}

static void cases(void **state) {
    /* verify: extents of the list with the specialization of `like`, what the domain allows */
    assert_cases(
        *state, "verify", "f m=9 k=9 dtype=bf16 width=3 n=2",
        "f m=1 k=6 dtype=bf16 width=3 n=2 pad () \nf m=2 k=12 dtype=bf16 width=3 n=2 pad (x=3) padded\n");
    assert_cases(*state, "verify", "f m=8 k=8 dtype=fp32",
                 "f m=2 k=12 dtype=fp32 width=4 n=16 pad (x=3) padded\n");
    assert_cases(*state, "smoke", "f m=8 k=8 dtype=fp32",
                 "f m=5 k=4 dtype=bf16 width=4 n=16 pad () \n");
    assert_cases(
        *state, "model", "f m=8 k=8 dtype=fp32",
        "f m=5 k=8 dtype=fp32 width=2 n=16 pad () \nf m=1 k=4 dtype=fp32 width=4 n=16 pad () \n");
}

static void bad_cases(void **state) {
    (void)state;
    static const struct {
        const char *cases, *list, *first, *second;
    } bad[] = {
        {"return { verify = { { m = 1 } } }", "verify", "templates/f/cases.lua", "no value for k"},
        {"return { verify = { { m = 1, k = 1, init = { x = { \"cauchy\", 1 } } } } }", "verify",
         "verify[1]", "cauchy"},
        {"return { verify = { { m = 1, k = 1, pad = { out = 1 } } } }", "verify", "verify[1]",
         "pad of out"},
        {"return { verify = { { m = 1, k = 1, pad = 0.5 } } }", "verify", "verify[1]", "integer"},
        {"return { verify = { { m = 1, k = 1, pad = 1, alias = { x = \"out\" } }, { m = 1, k = 1, pad = { x = 1 }, "
         "alias = { x = \"out\" } } } }",
         "verify", "verify[2]", "pad of x"},
        {"return { smoke = { \"f m=1\" } }", "smoke", "f", "k is missing"},
        {"return { smoke = { \"f m=1 k=1 dtype=fp64\" } }", "smoke", "fp64", "fp32, bf16"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        scratch s;
        gen_problem like;
        gen_case *list = NULL;
        size_t count = 0;
        scratch_open(&s, &(scratch_parts){.cases = bad[i].cases});
        if (s.status != TS_STATUS_OK) fail_msg("%s", s.err.message);
        assert_int_equal(gen_problem_parse(s.g, "f m=1 k=1", &like, NULL), TS_STATUS_OK);
        assert_int_not_equal(gen_cases(s.g, like.family, bad[i].list, &like, &list, &count, &s.err),
                             TS_STATUS_OK);
        assert_null(list);
        if (!strstr(s.err.message, bad[i].first) || !strstr(s.err.message, bad[i].second))
            fail_msg("'%s' lacks '%s' or '%s'", s.err.message, bad[i].first, bad[i].second);
        scratch_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(values),    cmocka_unit_test(refused),
        cmocka_unit_test(cases),      cmocka_unit_test(bad_cases),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
