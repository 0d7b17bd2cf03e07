/* A family folder through gen: loaded, its variants listed, its default expanded. The input holds up
 * to four files with a line "====" between: family.lua, the template, args.h, cases.lua; an empty or
 * missing one is a small good one. Endless loops and growing tables are ended by the sandbox, which
 * is part of what is tested here. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gen/gen.h"

static const struct {
    const char *name, *fallback;
} parts[] = {
    {"f/family.lua",
     "return { name = \"f\", fields = { { \"m\", \"extent\" } },\n"
     "  tensors = { { \"out\", \"out\", dtype = \"fp32\", shape = { \"1\", \"m\" } } }, scalars = {},\n"
     "  lanes = \"m\", work = { flops = \"m\", bytes = \"4*m\" }, cap = 100,\n"
     "  tolerance = { fp32 = { rtol = 1e-5, atol = 1e-5, norm = 1e-6 } },\n"
     "  versions = { { name = \"v\", file = \"1_f.c.in\", kind = \"cpu\", needs = {},\n"
     "    tunables = { { \"t\", { 1, 2 } } }, constraints = {}, default = { t = 1 },\n"
     "    launches = { { entry = \"f\", grid = { \"m\", \"1\", \"1\" }, scratch = \"0\" } } } } }\n"},
    {"f/1_f.c.in", "text ${t}\n"},
    {"f/args.h", "struct f_args { void *workspace; float *out; int32_t m; };\n"},
    {"f/cases.lua", "return { verify = { { m = 1 } }, smoke = { { m = 3 } }, model = {} }\n"},
};

enum { PARTS = sizeof parts / sizeof *parts };

static void write_parts(const uint8_t *data, size_t size) {
    static const char mark[] = "====\n";
    for (size_t i = 0; i < PARTS; i++) {
        const uint8_t *end = size ? memmem(data, size, mark, sizeof mark - 1) : NULL;
        size_t bytes = end ? (size_t)(end - data) : size,
               whole = end ? bytes + sizeof mark - 1 : bytes;
        if (bytes > 0)
            fuzz_file(parts[i].name, data, bytes);
        else
            fuzz_file(parts[i].name, parts[i].fallback, strlen(parts[i].fallback));
        if (data) data += whole;
        size -= whole;
    }
    static const char target[] =
        "return { name = \"t\", kind = \"cpu\", facts = { lanes = 4 }, has = { \"fast\" }, options = { \"-O1\" } }\n";
    fuzz_file("shared/prelude.c.in", "prelude\n", 8);
    fuzz_file("shared/part.c.in", "part\n", 5);
    fuzz_file("targets/t.lua", target, sizeof target - 1);
}

static ts_status list_cases(gen *g, const gen_problem *problem, ts_err *err) {
    static const char *const lists[] = {"verify", "smoke", "model"};
    static gen_binding binding;
    ts_status status = TS_STATUS_OK;
    for (size_t k = 0; k < 3 && status == TS_STATUS_OK; k++) {
        gen_case *cases = NULL;
        size_t count = 0;
        status = gen_cases(g, problem->family, lists[k], problem, &cases, &count, err);
        for (size_t i = 0; i < count && i < 4 && status == TS_STATUS_OK; i++)
            status = gen_bind(g, &cases[i], &binding, err);
        free(cases);
    }
    return status;
}

static ts_status expand(gen *g, const gen_problem *problem, ts_err *err) {
    const gen_target *target = gen_target_find(g, "t");
    gen_variant fallback, *variants = NULL;
    size_t count = 0;
    gen_source source = {0};
    TS_TRY(gen_default(g, problem, target, &fallback, err));
    ts_status status = gen_render(g, &fallback, problem, target, &source, err);
    if (status == TS_STATUS_OK) fuzz_touch(source.text.data, source.text.bytes);
    gen_source_free(&source);
    if (status == TS_STATUS_OK) status = gen_enumerate(g, problem, target, &variants, &count, err);
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++) {
        ts_buf name = {0};
        gen_variant again;
        gen_variant_name(&variants[i], &name);
        if (i < 16)
            fuzz_require(gen_variant_parse(g, name.data, &again, NULL) == TS_STATUS_OK,
                         "a variant's name can be read back");
        ts_buf_free(&name);
    }
    free(variants);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gen *g = NULL;
    ts_err err = {0};
    gen_problem problem;
    write_parts(data, size);
    ts_status status = gen_open((const char *const[]){fuzz_folder(), NULL}, &g, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return 0;
    status = gen_problem_parse(g, "f m=5", &problem, &err);
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK) {
        fuzz_check_error(list_cases(g, &problem, &err), &err);
        fuzz_check_error(expand(g, &problem, &err), &err);
    }
    gen_close(g);
    return 0;
}
