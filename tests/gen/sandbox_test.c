/* What scripts cannot do: reach the world, change the state for the next script, vary, run or grow without end. */
#include "scratch.h"

static void refuses_the_world(void **state) {
    (void)state;
    static const char *const names[] = {
        "io",      "os",           "load",         "loadstring", "loadfile",       "dofile",
        "require", "package",      "debug",        "coroutine",  "collectgarbage", "pcall",
        "xpcall",  "setmetatable", "getmetatable", "rawset",     "rawget",         "_G",
        "print",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char template[64], unknown[64];
        snprintf(template, sizeof template, "line\n$ local x = %s\n", names[i]);
        snprintf(unknown, sizeof unknown, "unknown name '%s'", names[i]);
        assert_render_fails(&(scratch_parts){.template = template}, "templates/f/1_f.c.in:2",
                            unknown);
    }
}

static void refuses_parts_of_libraries(void **state) {
    (void)state;
    static const struct {
        const char *template, *text;
    } bad[] = {
        {"$ local x = math.random(3)\n", "nil value"},
        {"$ math.randomseed(3)\n", "nil value"},
        {"$ local x = string.dump(fail)\n", "nil value"},
        {"$ local x = (\"\").dump(fail)\n", "nil value"},
        {"$ for k in pairs(target) do end\n", "no stable order"},
        {"$ string.format = nil\n", "read-only"},
        {"$ math.huge = 0\n", "read-only"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_render_fails(&(scratch_parts){.template = bad[i].template}, "templates/f/1_f.c.in:1",
                            bad[i].text);
}

/* A global of one rendering is not there in the next. */
static void scripts_do_not_meet(void **state) {
    (void)state;
    scratch s;
    gen_source source = {0};
    scratch_open(
        &s, &(scratch_parts){.template = "$ if dtype == \"fp32\" then left = 3 end\n${left}\n"});
    assert_int_equal(scratch_render(&s, &source), TS_STATUS_OK);
    gen_source_free(&source);
    gen_problem problem;
    gen_variant variant;
    assert_int_equal(gen_problem_parse(s.g, "f m=1 k=1 dtype=bf16", &problem, &s.err),
                     TS_STATUS_OK);
    assert_int_equal(gen_default(s.g, &problem, gen_target_find(s.g, "t"), &variant, &s.err),
                     TS_STATUS_OK);
    assert_int_equal(
        gen_render(s.g, &variant, &problem, gen_target_find(s.g, "t"), &source, &s.err),
        TS_STATUS_TEMPLATE);
    assert_non_null(strstr(s.err.message, "unknown name 'left'"));
    scratch_close(&s);
}

/* After a script was stopped the state still works. */
static void stops_and_goes_on(const char *bad, const char *text) {
    char template[256];
    scratch s;
    gen_source source = {0};
    gen_problem problem;
    gen_variant variant;
    snprintf(template, sizeof template, "$ if dtype == \"fp32\" then %s end\nfine\n", bad);
    scratch_open(&s, &(scratch_parts){.template = template});
    assert_int_equal(scratch_render(&s, &source), TS_STATUS_TEMPLATE);
    if (!strstr(s.err.message, text)) fail_msg("'%s' lacks '%s'", s.err.message, text);
    const gen_target *target = gen_target_find(s.g, "t");
    assert_int_equal(gen_problem_parse(s.g, "f m=1 k=1 dtype=bf16", &problem, &s.err),
                     TS_STATUS_OK);
    assert_int_equal(gen_default(s.g, &problem, target, &variant, &s.err), TS_STATUS_OK);
    assert_int_equal(gen_render(s.g, &variant, &problem, target, &source, &s.err), TS_STATUS_OK);
    gen_source_free(&source);
    scratch_close(&s);
}

static void endless_loop(void **state) {
    (void)state;
    stops_and_goes_on("while true do end", "million Lua instructions");
}

static void huge_string(void **state) {
    (void)state;
    stops_and_goes_on("local s = (\"x\"):rep(1 << 30)", "memory");
}

static void growing_table(void **state) {
    (void)state;
    stops_and_goes_on("local t = {} while true do t[#t + 1] = (\"x\"):rep(100000) .. #t end",
                      "memory");
}

/* family.lua runs under the same rules. */
static void description_files(void **state) {
    (void)state;
    assert_open_fails(&(scratch_parts){.family = "-- comment\nlocal x = os.time()\nreturn {}\n"},
                      "templates/f/family.lua:2", "unknown name 'os'");
    assert_open_fails(&(scratch_parts){.family = "while true do end\n"}, "templates/f/family.lua:1",
                      "million Lua instructions");
    assert_open_fails(&(scratch_parts){.target = "local x = io.open(\"/etc/passwd\")\nreturn {}\n"},
                      "templates/targets/t.lua:1", "unknown name 'io'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_the_world),   cmocka_unit_test(refuses_parts_of_libraries),
        cmocka_unit_test(scripts_do_not_meet), cmocka_unit_test(endless_loop),
        cmocka_unit_test(huge_string),         cmocka_unit_test(growing_table),
        cmocka_unit_test(description_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
