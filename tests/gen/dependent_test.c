/* Which launches may begin before the one that they depend on has ended: those of kernels that wait by themselves. */
#include "scratch.h"

/* A family whose one CUDA version has two kernels; CAPABILITY is the target's. */
static const char family[] =
    "return { name = \"f\", fields = { { \"m\", \"extent\" }, { \"k\", \"extent\" } },\n"
    "tensors = { { \"x\", \"in\", dtype = \"fp32\", shape = { \"m\" } }, { \"out\", \"out\", dtype = \"fp32\", shape = { \"m\" } } },\n"
    "lanes = \"m\", work = { flops = 0, bytes = 0 }, tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 } },\n"
    "versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"cuda\", default = {},\n"
    "  launches = { { entry = \"f\", grid = { \"m\" } }, { entry = \"f_end\", grid = { \"m\" } } } } } }\n";
#define TARGET(CAPABILITY) \
    "return { name = \"t\", kind = \"cuda\", has = { \"" CAPABILITY "\" } }\n"
#define CAN TARGET("dependent_launch")
#define WAIT "wait_for_inputs();"
#define KERNEL(NAME, BODY)                                           \
    "extern \"C\" __global__ void __launch_bounds__(g(1), 2)\n" NAME \
    "(const args (&a)[2], int b)\n{" BODY "}\n"

/* "10": the first launch is dependent, the second is not. */
static void assert_dependent(const char *target, const char *template, const char *want) {
    scratch s;
    gen_source source = {0};
    char found[3] = "";
    scratch_open(&s, &(scratch_parts){.family = family, .target = target, .template = template});
    if (s.status != TS_STATUS_OK) fail_msg("%s", s.err.message);
    if (scratch_render(&s, &source) != TS_STATUS_OK) fail_msg("%s", s.err.message);
    const char *at = strstr(source.launch.data, "\"launches\"");
    for (int i = 0; i < 2; i++) {
        at = strstr(at + 1, "{\"entry\"");
        assert_non_null(at);
        const char *end = strchr(at, '}'), *flag = strstr(at, ",\"dependent\":true}");
        found[i] = flag && flag < end ? '1' : '0';
    }
    assert_string_equal(found, want);
    gen_source_free(&source);
    scratch_close(&s);
}

static void those_that_wait(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {CAN, KERNEL("f", " " WAIT " x; ") KERNEL("f_end", WAIT), "11"},
        {TARGET("tma"), KERNEL("f", " " WAIT " x; ") KERNEL("f_end", WAIT), "00"},
        {CAN, KERNEL("f", "if (x) { y; }\n " WAIT) KERNEL("f_end", "x;"), "10"},
        {CAN, KERNEL("f", "") KERNEL("f_end", WAIT), "01"},
        {CAN, "DEVICE void g_f() { " WAIT " }\n" KERNEL("f", "g_f();") KERNEL("f_end", ""), "00"},
        {CAN, "// f(x) " WAIT "\n" KERNEL("f", "") KERNEL("f_end", ""), "00"},
        {CAN, KERNEL("f", "// " WAIT "\n x;") KERNEL("f_end", "/* now\n " WAIT " */ x;"), "00"},
        {CAN, KERNEL("f", "// a } alone\n" WAIT) KERNEL("f_end", "/* { */ " WAIT), "11"},
        {CAN, "neither is here\n", "00"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_dependent(cases[i][0], cases[i][1], cases[i][2]);
}

/* The first variant of each version that `problem` has on sm_90a. */
static void assert_waits(gen *g, const gen_problem *problem, int *kernels) {
    const gen_target *target = gen_target_find(g, "sm_90a");
    gen_variant *variants = NULL;
    const gen_version *version = NULL;
    size_t count = 0;
    ts_err err;
    assert_int_equal(gen_enumerate(g, problem, target, &variants, &count, &err), TS_STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        gen_source source = {0};
        if (variants[i].version == version) continue;
        version = variants[i].version;
        assert_int_equal(gen_render(g, &variants[i], problem, target, &source, &err), TS_STATUS_OK);
        for (const char *at = source.launch.data; (at = strstr(at, "{\"entry\"")); at++) {
            const char *end = strstr(at, "\"dependent\":true}"),
                       *next = strstr(at + 1, "{\"entry\"");
            if (!end || (next && next < end)) fail_msg("a kernel does not wait: %.60s", at);
            (*kernels)++;
        }
        gen_source_free(&source);
    }
    free(variants);
}

static void all_of_ours_do(void **state) {
    (void)state;
    static const char *const dirs[] = {TS_TEMPLATES_DIR, NULL};
    gen *g = NULL;
    ts_err err;
    int kernels = 0;
    assert_int_equal(gen_open(dirs, &g, &err), TS_STATUS_OK);
    for (size_t f = 0; f < gen_family_count(g); f++) {
        gen_case *cases = NULL;
        size_t count = 0;
        assert_int_equal(gen_cases(g, gen_family_at(g, f), "smoke", NULL, &cases, &count, &err),
                         TS_STATUS_OK);
        for (size_t i = 0; i < count; i++) assert_waits(g, &cases[i].problem, &kernels);
        free(cases);
    }
    assert_true(kernels > 100);
    gen_close(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_wait),
        cmocka_unit_test(all_of_ours_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
