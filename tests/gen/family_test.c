/* What a family folder says about its arguments, and that a wrong folder is refused by file and field. */
#include <stddef.h>

#include "scratch.h"

/* Every member type, in an order that needs padding. The text gen parses and the struct cc compiles are one. */
#define LAYOUT              \
    struct f_args {         \
        void *workspace;    \
        int32_t m;          \
        const float *x;     \
        float alpha;        \
        float beta;         \
        uint32_t flags;     \
        int64_t k;          \
        const int32_t *ids; \
        void *out;          \
        int32_t last;       \
    };
#define TEXT_OF(...) #__VA_ARGS__
#define EXPANDED_TEXT_OF(...) TEXT_OF(__VA_ARGS__)
LAYOUT

static void layout_is_the_compilers(void **state) {
    (void)state;
#define MEMBER(name, type) \
    { #name, type, offsetof(struct f_args, name) }
    static const struct {
        const char *name, *type;
        size_t offset;
    } members[] = {
        MEMBER(workspace, "ptr"), MEMBER(m, "i32"),     MEMBER(x, "ptr"), MEMBER(alpha, "f32"),
        MEMBER(beta, "f32"),      MEMBER(flags, "u32"), MEMBER(k, "i64"), MEMBER(ids, "ptr"),
        MEMBER(out, "ptr"),       MEMBER(last, "i32"),
    };
    static const char family[] =
        "return { name = \"f\", fields = { { \"m\", \"extent\" }, { \"k\", \"extent\" }, { \"last\", \"extent\" } },\n"
        "tensors = { { \"x\", \"in\", dtype = \"fp32\", shape = { \"m\" } }, { \"ids\", \"in\", dtype = \"int32\", shape = { \"m\" }, init = { \"index\", 4 } },\n"
        "  { \"out\", \"out\", dtype = \"fp32\", shape = { \"m\" } } }, scalars = { { \"alpha\", 1 }, { \"beta\", 2 } }, lanes = \"m\",\n"
        "work = { flops = 0, bytes = 0 }, tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 } },\n"
        "versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"cpu\", default = {}, launches = { { entry = \"f\", grid = { 1, 1, 1 } } } } } }\n";
    scratch s;
    gen_source source = {0};
    gen_problem problem;
    gen_variant variant;
    char text[128];
    scratch_open(&s, &(scratch_parts){.family = family, .args = EXPANDED_TEXT_OF(LAYOUT) "\n"});
    if (s.status != TS_STATUS_OK) fail_msg("%s", s.err.message);
    const gen_target *target = gen_target_find(s.g, "t");
    assert_int_equal(gen_problem_parse(s.g, "f m=1 k=1 last=1", &problem, NULL), TS_STATUS_OK);
    assert_int_equal(gen_default(s.g, &problem, target, &variant, NULL), TS_STATUS_OK);
    assert_int_equal(gen_render(s.g, &variant, &problem, target, &source, NULL), TS_STATUS_OK);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        snprintf(text, sizeof text, "{\"name\":\"%s\",\"type\":\"%s\",\"offset\":%zu}",
                 members[i].name, members[i].type, members[i].offset);
        if (!strstr(source.launch.data, text)) fail_msg("%s not in %s", text, source.launch.data);
    }
    snprintf(text, sizeof text, "\"args_bytes\":%zu", sizeof(struct f_args));
    assert_non_null(strstr(source.launch.data, text));
    gen_source_free(&source);
    scratch_close(&s);
}

static void bad_args(void **state) {
    (void)state;
    static const struct {
        const char *args, *text;
    } bad[] = {
        {"struct g_args {\n    void *workspace;\n};\n", "f_args"},
        {"struct f_args {\n    const void *x;\n    void *workspace;\n};\n", "workspace"},
        {"struct f_args {\n    void *workspace;\n    int m;\n};\n", "int m"},
        {"struct f_args {\n    void *workspace;\n    double d;\n};\n", "double d"},
        {"struct f_args {\n    void *workspace;\n    int32_t m, k;\n};\n", "int32_t m, k"},
        {"struct f_args {\n    void *workspace;\n    int32_t m[4];\n};\n", "m[4]"},
        {"struct f_args {\n    void *workspace;\n    const void *x;\n    float *out;\n    int64_t x_pitch;\n    float m;\n    int32_t k;\n};\n",
         "m"},
        {"struct f_args {\n    void *workspace;\n    const void *x;\n    int64_t x_pitch;\n    int32_t m;\n    int32_t k;\n};\n",
         "out"},
        {"struct f_args {\n    void *workspace;\n    const void *x;\n    float *out;\n    int32_t x_pitch;\n    int32_t m;\n    int32_t k;\n};\n",
         "x_pitch"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_open_fails(&(scratch_parts){.args = bad[i].args}, "templates/f/", bad[i].text);
}

/* A complete family.lua but for one part. */
#define HEAD "return { name = \"f\","
#define FIELDS "fields = { { \"m\", \"extent\" }, { \"k\", \"extent\" } },\n"
#define TENSORS "tensors = { { \"out\", \"out\", dtype = \"fp32\", shape = { \"m\" } } },\n"
#define REST \
    "scalars = {}, lanes = \"m\", work = { flops = 0, bytes = 0 }, tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 } },\n"
#define VERSIONS "versions = {} }\n"

static void bad_families(void **state) {
    (void)state;
    static const struct {
        const char *family, *text;
    } bad[] = {
        {"return 3\n", "must return a table"},
        {"return {\n  name = \"f\",\n  fields = {,}\n}\n", "family.lua:3"},
        {"return { name = \"g\"," FIELDS TENSORS REST VERSIONS, "name must be the folder's"},
        {HEAD TENSORS REST VERSIONS, "fields"},
        {HEAD "fields = { { \"m\", \"size\" } }," TENSORS REST VERSIONS, "fields[1]"},
        {HEAD "fields = { { \"depth\", \"extent\" } }," TENSORS REST VERSIONS, "depth"},
        {HEAD "fields = { { \"d\", \"spec\", { 1, \"a\" } } }," TENSORS REST VERSIONS,
         "all integers or all strings"},
        {HEAD "fields = { { \"d\", \"spec\", \"1-4\" } }," TENSORS REST VERSIONS, "1..256"},
        {HEAD "fields = { { \"d\", \"spec\", { 1, 2 }, default = 3 } }," TENSORS REST VERSIONS,
         "default 3"},
        {HEAD FIELDS
         "tensors = { { \"y\", \"out\", dtype = \"fp32\", shape = { \"m\" } } }," REST VERSIONS,
         "tensor y"},
        {HEAD FIELDS
         "tensors = { { \"out\", \"away\", dtype = \"fp32\", shape = { \"m\" } } }," REST VERSIONS,
         "direction"},
        {HEAD FIELDS
         "tensors = { { \"out\", \"out\", dtype = \"fp8\", shape = { \"m\" } } }," REST VERSIONS,
         "fp8"},
        {HEAD FIELDS
         "tensors = { { \"out\", \"out\", dtype = \"fp32\", shape = \"m\" } }," REST VERSIONS,
         "shape"},
        {HEAD FIELDS
         "tensors = { { \"out\", \"out\", dtype = \"fp32\", shape = { \"m\" }, init = { \"poisson\", 1 } } }," REST
             VERSIONS,
         "poisson"},
        {HEAD FIELDS
         "tensors = { { \"out\", \"out\", dtype = \"fp32\", shape = { \"m\" }, init = { \"normal\", 1 } } }," REST
             VERSIONS,
         "2 numbers"},
        {HEAD FIELDS TENSORS
         "scalars = { { \"eps\", 1 } }, lanes = \"m\", work = {}, tolerance = {}," VERSIONS,
         "eps"},
        {HEAD FIELDS TENSORS "scalars = {}, work = {}, tolerance = {}," VERSIONS, "lanes"},
        {HEAD FIELDS TENSORS REST
         "versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"tpu\", launches = {} } } }",
         "version v: kind"},
        {HEAD FIELDS TENSORS REST
         "versions = { { name = \"v\", kind = \"cpu\", launches = {} } } }",
         "version v.file"},
        {HEAD FIELDS TENSORS REST
         "versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"cpu\" } } }",
         "version v.launches"},
        {HEAD FIELDS TENSORS REST
         "versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"cpu\", tunables = { { \"n\", {} } }, launches = {} } } }",
         "no values"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_open_fails(&(scratch_parts){.family = bad[i].family}, "templates/f/family.lua",
                          bad[i].text);
}

static void bad_targets(void **state) {
    (void)state;
    static const struct {
        const char *target, *text;
    } bad[] = {
        {"return { kind = \"cpu\" }", "name"},
        {"return { name = \"t\", kind = \"gpu\" }", "kind"},
        {"return { name = \"t\", kind = \"cpu\", parent = \"u\" }", "no target named 'u'"},
        {"return { name = \"t\", kind = \"cpu\", parent = \"t\" }", "circle"},
        {"return { name = \"t\", kind = \"cpu\", facts = { level = \"high\" } }", "facts.level"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_open_fails(&(scratch_parts){.target = bad[i].target}, "templates/targets/t.lua",
                          bad[i].text);
}

/* Each of the three hashes changes with what it stands for, and with nothing else. */
static void hashes(void **state) {
    (void)state;
    static const struct {
        scratch_parts parts;
        bool abi, family, oracle; /* differ from the plain folder's */
    } changes[] = {
        {{.template = NULL}, false, false, false},
        {{.template = "other\n"}, false, true, false},
        {{.include = "other\n"}, false, true, false},
        {{.cases = "return { verify = {} }\n"}, false, false, true},
        {{.cases = "return { verify = { { m = 1, k = 2 } } }\n"}, false, false, true},
        {{.cases =
              "return { smoke = { \"f m=1 k=1\" },\n verify = { { k = 1, note = \"a note\", m = 1 } } }\n"},
         false,
         false,
         false}, /* neither the order of writing nor what else is listed */
        {{.tunables = "{ \"n\", { 1 } }", .defaults = "n = 1"}, false, true, false},
        {{.args = "/* more */ " SCRATCH_ARGS}, false, true, false},
        {{.args =
              "struct f_args {\n void *workspace;\n const void *x;\n float *out;\n int64_t x_pitch;\n int32_t k;\n int32_t m;\n};\n"},
         true,
         true,
         false},
    };
    char plain[3][TS_HASH_HEX];
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        scratch s;
        scratch_open(&s, &changes[i].parts);
        if (s.status != TS_STATUS_OK) fail_msg("%s", s.err.message);
        const gen_family *f = gen_family_find(s.g, "f");
        const char *const found[] = {gen_family_abi(f), gen_family_hash(f),
                                     gen_family_oracle_hash(f)};
        const bool expected[] = {changes[i].abi, changes[i].family, changes[i].oracle};
        for (size_t h = 0; h < 3; h++) {
            assert_int_equal(strlen(found[h]), TS_HASH_HEX - 1);
            if (i == 0) memcpy(plain[h], found[h], TS_HASH_HEX);
            if ((strcmp(found[h], plain[h]) != 0) != expected[h])
                fail_msg("change %zu, hash %zu", i, h);
        }
        scratch_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_the_compilers),
        cmocka_unit_test(bad_args),
        cmocka_unit_test(bad_families),
        cmocka_unit_test(bad_targets),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
