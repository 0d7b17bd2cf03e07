/* Launch formulas: traced into postfix text, constants folded, and refused where launch data cannot hold them. */
#include "scratch.h"

/* The grid's first axis as the launch data of "f m=1 k=1" on `t` has it. */
static void assert_grid(const char *formula, const char *expected) {
    char launch[256], wanted[256];
    scratch s;
    gen_source source = {0};
    snprintf(launch, sizeof launch, "grid = { \"%s\", \"1\", \"1\" }, scratch = \"0\"", formula);
    snprintf(wanted, sizeof wanted, "\"grid\":[\"%s\",\"1\",\"1\"]", expected);
    scratch_open(&s, &(scratch_parts){.tunables = "{ \"n\", { 128 } }, { \"walk\", { \"down\" } }",
                                      .defaults = "n = 128, walk = \"down\"",
                                      .launch = launch});
    if (s.status != TS_STATUS_OK) fail_msg("'%s': %s", formula, s.err.message);
    if (scratch_render(&s, &source) != TS_STATUS_OK) fail_msg("'%s': %s", formula, s.err.message);
    if (!strstr(source.launch.data, wanted))
        fail_msg("'%s' is not '%s' in %s", formula, expected, source.launch.data);
    gen_source_free(&source);
    scratch_close(&s);
}

static void postfix(void **state) {
    (void)state;
    static const char *const formulas[][2] = {
        {"m", "m"},
        {"7", "7"},
        {"ceil_div(m, n)", "m 128 ceil_div"},
        {"m * ceil_div(k, 2 * n)", "m k 256 ceil_div *"},
        {"(m + k) * 3", "m k + 3 *"},
        {"m + k * 3", "m k 3 * +"},
        {"m - k - 1", "m k - 1 -"},
        {"m - (k - 1)", "m k 1 - -"},
        {"m // 4", "m 4 //"},
        {"min(m, 4 * sm_count)", "m 4 sm_count * min"},
        {"max(m, 1)", "m 1 max"},
        {"max(1, 2, m, k)", "2 m max k max"},
        {"min(n, 64) + m", "64 m +"},
        {"ceil_div(n, 100) * m", "2 m *"},
        {"bytes(dtype) * m", "4 m *"},
        {"n // 32", "4"},
        {"n / 2 * m", "64 m *"},
        {"lanes * 8", "32"},
        {"dtype == 'fp32' and m or k", "m"},
        {"walk == 'up' and m or k", "k"},
        {"has('fast') and 2 or 3", "2"},
    };
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++)
        assert_grid(formulas[i][0], formulas[i][1]);
}

static void refused(void **state) {
    (void)state;
    static const char *const formulas[][2] = {
        {"m / 2", "/"},
        {"m % 2", "%"},
        {"m ^ 2", "^"},
        {"-m", "negation"},
        {"m < 4 and 1 or 2", "comparison"},
        {"m == 4 and 1 or 2", "compared"},
        {"k ~= m and k or 2", "compared"},
        {"4 - 5", "negative"},
        {"m * 0.5", "0.5"},
        {"0.5", "0.5"},
        {"mm + 1", "unknown name 'mm'"},
        {"m +", "unexpected symbol"},
        {"ceil_div(m, 0)", "ceil_div by 0"},
        {"dtype", "fp32"},
    };
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        char launch[256];
        snprintf(launch, sizeof launch, "grid = { \"%s\", \"1\", \"1\" }", formulas[i][0]);
        assert_render_fails(&(scratch_parts){.launch = launch}, formulas[i][0], formulas[i][1]);
    }
}

/* The rest of the launch data, whole. */
static void launch_data(void **state) {
    (void)state;
    scratch s;
    gen_source source = {0};
    scratch_open(
        &s,
        &(scratch_parts){
            .version = "workspace = \"4 * m\", zero = { { \"0\", \"4 * m\" }, { 64, 8 } },",
            .launch = "grid = { \"m\" }, scratch = 256 }, { entry = \"g\", grid = { 1, 2, 3 }"});
    assert_int_equal(scratch_render(&s, &source), TS_STATUS_OK);
    assert_string_equal(
        source.launch.data,
        "{\"format\":1,\"kind\":\"cpu\",\"args_bytes\":40,"
        "\"args\":[{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},"
        "{\"name\":\"x\",\"type\":\"ptr\",\"offset\":8},{\"name\":\"out\",\"type\":\"ptr\",\"offset\":16},"
        "{\"name\":\"x_pitch\",\"type\":\"i64\",\"offset\":24},{\"name\":\"m\",\"type\":\"i32\",\"offset\":32},"
        "{\"name\":\"k\",\"type\":\"i32\",\"offset\":36}],"
        "\"tensors\":[{\"name\":\"x\",\"dtype\":\"fp32\",\"direction\":\"in\",\"pitch\":\"x_pitch\",\"optional\":false},"
        "{\"name\":\"out\",\"dtype\":\"fp32\",\"direction\":\"out\",\"pitch\":\"\",\"optional\":false}],"
        "\"extents\":[\"m\",\"k\"],\"work\":{\"flops\":\"m k *\",\"bytes\":\"4 m * k *\"},"
        "\"workspace\":\"4 m *\",\"zero\":[[\"0\",\"4 m *\"],[\"64\",\"8\"]],"
        "\"launches\":[{\"entry\":\"f\",\"grid\":[\"m\",\"1\",\"1\"],\"scratch\":\"256\"},"
        "{\"entry\":\"g\",\"grid\":[\"1\",\"2\",\"3\"],\"scratch\":\"0\"}]}");
    gen_source_free(&source);
    scratch_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postfix),
        cmocka_unit_test(refused),
        cmocka_unit_test(launch_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
