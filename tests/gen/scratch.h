/* Tests only: a throw-away template folder of one family `f` on one CPU target `t`, from the parts that a test
 * wants to differ. Everything else is the smallest thing that loads. */
#ifndef TESTS_GEN_SCRATCH_H
#define TESTS_GEN_SCRATCH_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen/gen.h"

typedef struct scratch {
    char dir[64];
    gen *g;
    ts_status status; /* of gen_open */
    ts_err err;
} scratch;

/* NULL parts get their default. */
typedef struct scratch_parts {
    const char *family; /* whole family.lua; instead of it: */
    const char *tunables, *constraints, *defaults, *launch,
        *version;         /* texts inside the one version */
    bool search_only;     /* the version has no default */
    const char *args;     /* whole args.h */
    const char *template; /* 1_f.c.in */
    const char *include;  /* f/part.c.in */
    const char *target;   /* targets/t.lua */
    const char *cases;
} scratch_parts;

#define SCRATCH_ARGS \
    "struct f_args {\n    void *workspace;\n    const void *x;\n    float *out;\n    int64_t x_pitch;\n    int32_t m;\n    int32_t k;\n};\n"

static inline void scratch_file(const scratch *s, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    assert_int_equal(ts_file_write(path, text, strlen(text), NULL), TS_STATUS_OK);
}

static inline const char *scratch_or(const char *text, const char *fallback) {
    return text ? text : fallback;
}

/* Writes the folder and opens it; a test looks at status. */
static inline void scratch_open(scratch *s, const scratch_parts *parts) {
    static const char *const folders[] = {"f", "shared", "targets"};
    char path[128], family[4096];
    *s = (scratch){.dir = "/tmp/tunesmith-gen-XXXXXX"};
    assert_non_null(mkdtemp(s->dir));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(
        family, sizeof family,
        "return {\n"
        "  name = \"f\",\n"
        "  fields = { { \"m\", \"extent\" }, { \"k\", \"extent\" }, { \"dtype\", \"spec\", { \"fp32\", \"bf16\" }, default = \"fp32\" } },\n"
        "  tensors = {\n"
        "    { \"x\", \"in\", dtype = \"dtype\", shape = { \"m\", \"k\" }, pitch = \"x_pitch\" },\n"
        "    { \"out\", \"out\", dtype = \"fp32\", shape = { \"1\", \"m\" } },\n"
        "  },\n"
        "  scalars = {}, lanes = \"m\", work = { flops = \"m*k\", bytes = \"4*m*k\" }, cap = 100,\n"
        "  tolerance = { fp32 = { rtol = 1e-5, atol = 1e-5, norm = 1e-6 } },\n"
        "  versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"cpu\", needs = {},\n"
        "    tunables = { %s }, constraints = { %s }, %s = { %s }, %s\n"
        "    launches = { { entry = \"f\", %s } } } },\n"
        "}\n",
        scratch_or(parts->tunables, ""), scratch_or(parts->constraints, ""),
        parts->search_only ? "zero" : "default", scratch_or(parts->defaults, ""),
        scratch_or(parts->version, ""),
        scratch_or(parts->launch, "grid = { \"m\", \"1\", \"1\" }, scratch = \"0\""));
    scratch_file(s, "f/family.lua", scratch_or(parts->family, family));
    scratch_file(s, "f/args.h", scratch_or(parts->args, SCRATCH_ARGS));
    scratch_file(s, "f/1_f.c.in", scratch_or(parts->template, "text\n"));
    scratch_file(s, "f/part.c.in", scratch_or(parts->include, "part\n"));
    scratch_file(s, "f/cases.lua",
                 scratch_or(parts->cases, "return { verify = { { m = 1, k = 1 } } }\n"));
    scratch_file(s, "shared/prelude.c.in", "prelude\n");
    scratch_file(s, "shared/prelude.cu.in", "prelude\n");
    scratch_file(
        s, "targets/t.lua",
        scratch_or(
            parts->target,
            "return { name = \"t\", kind = \"cpu\", facts = { lanes = 4 }, has = { \"fast\" }, options = { \"-O1\" } }\n"));
    const char *const dirs[] = {s->dir, NULL};
    s->status = gen_open(dirs, &s->g, &s->err);
}

static inline void scratch_close(scratch *s) {
    static const char *const names[] = {
        "f/family.lua",
        "f/args.h",
        "f/1_f.c.in",
        "f/part.c.in",
        "f/cases.lua",
        "shared/prelude.c.in",
        "shared/prelude.cu.in",
        "targets/t.lua",
        "f",
        "shared",
        "targets",
        "",
    };
    char path[128];
    gen_close(s->g);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

/* Renders the default variant of "f m=1 k=1" on `t`. */
static inline ts_status scratch_render(scratch *s, gen_source *out) {
    gen_problem problem;
    gen_variant variant;
    const gen_target *target = gen_target_find(s->g, "t");
    assert_non_null(target);
    TS_TRY(gen_problem_parse(s->g, "f m=1 k=1", &problem, &s->err));
    TS_TRY(gen_default(s->g, &problem, target, &variant, &s->err));
    return gen_render(s->g, &variant, &problem, target, out, &s->err);
}

/* The folder with `parts` must open but not render; the message must hold each of the two texts. */
static inline void assert_render_fails(const scratch_parts *parts, const char *first,
                                       const char *second) {
    scratch s;
    gen_source source = {0};
    scratch_open(&s, parts);
    if (s.status != TS_STATUS_OK) fail_msg("does not open: %s", s.err.message);
    ts_status status = scratch_render(&s, &source);
    if (status != TS_STATUS_TEMPLATE)
        fail_msg("status %d, not a template error about '%s'", (int)status, first);
    if (!strstr(s.err.message, first) || !strstr(s.err.message, second))
        fail_msg("'%s' lacks '%s' or '%s'", s.err.message, first, second);
    gen_source_free(&source);
    scratch_close(&s);
}

/* The folder must not open; likewise. */
static inline void assert_open_fails(const scratch_parts *parts, const char *first,
                                     const char *second) {
    scratch s;
    scratch_open(&s, parts);
    if (s.status == TS_STATUS_OK) fail_msg("opens, though '%s'", second);
    assert_int_equal(s.status, TS_STATUS_TEMPLATE);
    if (!strstr(s.err.message, first) || !strstr(s.err.message, second))
        fail_msg("'%s' lacks '%s' or '%s'", s.err.message, first, second);
    scratch_close(&s);
}

#endif
