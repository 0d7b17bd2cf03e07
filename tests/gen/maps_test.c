/* Tensor maps of family.lua: in the launch data of the variant, in a format of its own, and each fault by its place. */
#include "scratch.h"

/* A family whose one version has `maps` in its launch; KIND and NEEDS are the version's. */
#define FAMILY(KIND, NEEDS, MAPS)                                                                                              \
    "return { name = \"f\", fields = { { \"m\", \"extent\" }, { \"k\", \"extent\" },\n"                                        \
    "  { \"dtype\", \"spec\", { \"bf16\", \"fp32\" }, default = \"bf16\" }, { \"part\", \"spec\", { 80 }, default = 80 } },\n" \
    "tensors = { { \"x\", \"in\", dtype = \"dtype\", shape = { \"m\", \"2\", \"k*part\" }, pitch = \"x_pitch\" },\n"           \
    "  { \"out\", \"out\", dtype = \"fp32\", shape = { \"m\" } } },\n"                                                         \
    "lanes = \"m\", work = { flops = 0, bytes = 0 }, tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 } },\n"               \
    "versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"" KIND "\", needs = { " NEEDS                                  \
    " },\n"                                                                                                                    \
    "  tunables = { { \"n\", { 64 } } }, default = { n = 64 },\n"                                                              \
    "  launches = { { entry = \"f\", grid = { \"m\" }, block = { 32 }, " MAPS " } } } } }\n"
#define TMA(MAPS) FAMILY("cuda", "\"tma\"", MAPS)
#define ONE(MAP) TMA("maps = { " MAP " }")
static const char target[] = "return { name = \"t\", kind = \"cuda\", has = { \"tma\" } }\n";

static void assert_launch(const char *family, const char *head, const char *end) {
    scratch s;
    gen_source source = {0};
    scratch_open(&s, &(scratch_parts){.family = family, .target = target});
    if (s.status != TS_STATUS_OK) fail_msg("%s", s.err.message);
    if (scratch_render(&s, &source) != TS_STATUS_OK) fail_msg("%s", s.err.message);
    assert_ptr_equal(strstr(source.launch.data, head), source.launch.data);
    const char *found = strstr(source.launch.data, ",\"launches\":");
    assert_non_null(found);
    assert_string_equal(found, end);
    gen_source_free(&source);
    scratch_close(&s);
}

#define LAUNCH \
    ",\"launches\":[{\"entry\":\"f\",\"grid\":[\"m\",\"1\",\"1\"],\"block\":[\"32\",\"1\",\"1\"],\"shared\":\"0\""

static void maps_in_launch_data(void **state) {
    (void)state;
    assert_launch(TMA(""), "{\"format\":1,", LAUNCH "}]}");
    assert_launch(
        ONE("{ \"x\", part = \"part\", box = { \"n\", \"2 * n\" } }, { \"x\", part = 8, box = { 16, 1 } }, "
            "{ \"x\", box = { 16, 1 } }"),
        "{\"format\":2,",
        LAUNCH
        ",\"maps\":[{\"tensor\":\"x\",\"pitch\":\"x_pitch\",\"bytes\":2,\"columns\":\"k 80 *\",\"rows\":\"m 2 *\","
        "\"part\":80,\"box\":[64,128]},"
        "{\"tensor\":\"x\",\"pitch\":\"x_pitch\",\"bytes\":2,\"columns\":\"k 80 *\",\"rows\":\"m 2 *\","
        "\"part\":8,\"box\":[16,1]},"
        "{\"tensor\":\"x\",\"pitch\":\"x_pitch\",\"bytes\":2,\"columns\":\"k 80 *\",\"rows\":\"m 2 *\","
        "\"box\":[16,1]}]}]}");
}

static void refused_at_loading(void **state) {
    (void)state;
#define X "{ \"x\", part = 16, box = { 16, 16 } }"
    static const char *const bad[][2] = {
        {FAMILY("cpu", "\"tma\"", "maps = { " X " }"), "CUDA only"},
        {FAMILY("cuda", "\"wgmma\"", "maps = { " X " }"), "must need \"tma\""},
        {TMA("maps = 3"), "a table of 1 to 4"},
        {TMA("maps = {}"), "a table of 1 to 4"},
        {ONE(X ", " X ", " X ", " X ", " X), "a table of 1 to 4"},
        {ONE(X ", 7"), "maps[2] must be a table"},
        {ONE("{ \"y\", part = 16, box = { 16, 16 } }"), "maps[1]: no tensor named 'y'"},
        {ONE("{ part = 16, box = { 16, 16 } }"), "maps[1]: no tensor named 'nil'"},
        {ONE("{ \"out\", part = 16, box = { 16, 16 } }"), "maps[1]: tensor out has no pitch"},
        {ONE("{ \"x\", part = 16 }"), "maps[1].box must be"},
        {ONE("{ \"x\", part = 16, box = { 16 } }"), "maps[1].box must be"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_open_fails(&(scratch_parts){.family = bad[i][0], .target = target},
                          "templates/f/family.lua: version v.launches[1].maps", bad[i][1]);
}

static void refused_when_bound(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {ONE("{ \"x\", part = \"m\", box = { 16, 16 } }"), "maps[1].part: 'm': "},
        {ONE(X ", { \"x\", part = 0, box = { 16, 16 } }"), "maps[2].part: 0 columns of 2 bytes"},
        {ONE("{ \"x\", part = -8, box = { 16, 16 } }"), "-8 columns"},
        {ONE("{ \"x\", part = 12, box = { 16, 16 } }"), "12 columns of 2 bytes"},
        {ONE("{ \"x\", part = 1.5, box = { 16, 16 } }"), "not an integer"},
        {ONE("{ \"x\", part = 16, box = { 8, 16 } }"),
         "maps[1].box: a row of 8 columns of 2 bytes"},
        {ONE("{ \"x\", part = 16, box = { \"2 * n\", 16 } }"), "a row of 128 columns"},
        {ONE("{ \"x\", part = 16, box = { \"k\", 16 } }"), "maps[1].box: 'k'"},
        {ONE("{ \"x\", part = 16, box = { 16, 0 } }"), "maps[1].box: 0 rows"},
        {ONE("{ \"x\", part = 16, box = { 16, \"4 * n + 1\" } }"), "257 rows"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_render_fails(&(scratch_parts){.family = bad[i][0], .target = target},
                            "version v: launches[1].maps", bad[i][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_in_launch_data),
        cmocka_unit_test(refused_at_loading),
        cmocka_unit_test(refused_when_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
