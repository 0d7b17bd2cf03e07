/* A family and a target added by a second folder alone (tests/fixtures/toy_templates), beside the built-in ones:
 * inherited facts, capabilities, bindings, the oracle's header and slots. */
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen/gen.h"
#include "tests/fixtures/toy_templates/axpy/args.h"

#define TOY_DIR TS_TEMPLATES_DIR "/../tests/fixtures/toy_templates"

static ts_err err;

static int setup(void **state) {
    static const char *const dirs[] = {TS_TEMPLATES_DIR, TOY_DIR, NULL};
    gen *g = NULL;
    if (gen_open(dirs, &g, &err) != TS_STATUS_OK) fprintf(stderr, "%s\n", err.message);
    *state = g;
    return g == NULL;
}

static int teardown(void **state) {
    gen_close(*state);
    return 0;
}

static void both_folders(void **state) {
    gen *g = *state;
    assert_non_null(gen_family_find(g, "axpy"));
    assert_non_null(gen_family_find(g, "norm"));
    assert_null(gen_family_find(g, "targets"));
    assert_null(gen_family_find(g, "shared"));
    for (size_t i = 1; i < gen_family_count(g); i++)
        assert_true(strcmp(gen_family_name(gen_family_at(g, i - 1)),
                           gen_family_name(gen_family_at(g, i))) < 0);
    for (size_t i = 0; i < gen_target_count(g); i++)
        assert_ptr_equal(gen_target_find(g, gen_target_name(gen_target_at(g, i))),
                         gen_target_at(g, i));
    /* The same folder twice holds everything twice. */
    static const char *const twice[] = {TOY_DIR, TS_TEMPLATES_DIR, TOY_DIR, NULL};
    gen *none = NULL;
    assert_int_equal(gen_open(twice, &none, &err), TS_STATUS_TEMPLATE);
    assert_null(none);
    static const char *const missing[] = {TOY_DIR "/nowhere", NULL};
    assert_int_equal(gen_open(missing, &none, &err), TS_STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "nowhere"));
}

static void target(void **state) {
    gen *g = *state;
    double value = 0;
    const gen_target *toy = gen_target_find(g, "toy-cpu"),
                     *parent = gen_target_find(g, "cpu-x86-64-v2");
    assert_ptr_equal(gen_target_parent(toy), parent);
    assert_null(gen_target_parent(parent));
    assert_int_equal(gen_target_kind(toy), GEN_CPU);
    assert_true(gen_target_has(toy, "toy_unroll"));
    assert_false(gen_target_has(parent, "toy_unroll"));
    assert_true(gen_target_fact(toy, "toy_rows", &value) && value == 8);
    assert_true(gen_target_fact(toy, "vector_bytes", &value) && value == 16);
    assert_false(gen_target_fact(parent, "toy_rows", &value));
    assert_string_equal(gen_target_options(toy)[0],
                        gen_target_options(parent)[0]); /* none of its own */
    assert_null(gen_target_options(toy)[1]);

    const gen_target *hopper = gen_target_find(g, "sm_90a");
    assert_true(gen_target_has(hopper, "wgmma") && gen_target_has(hopper, "ldmatrix"));
    assert_string_equal(gen_target_options(hopper)[0], "--gpu-architecture=sm_90a");
    assert_null(gen_target_options(hopper)[1]); /* a child's options replace, they do not add */
    assert_true(gen_target_fact(hopper, "compute_capability", &value) && value == 90);
}

static void assert_names(gen *g, const char *target_name, const char *expected) {
    gen_problem problem;
    gen_variant *variants = NULL;
    size_t count = 0;
    ts_buf names = {0};
    assert_int_equal(gen_problem_parse(g, "axpy m=4 k=8 dtype=bf16", &problem, &err), TS_STATUS_OK);
    assert_int_equal(
        gen_enumerate(g, &problem, gen_target_find(g, target_name), &variants, &count, &err),
        TS_STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        gen_variant_name(&variants[i], &names);
        ts_buf_printf(&names, "\n");
    }
    assert_string_equal(names.data, expected);
    ts_buf_free(&names);
    free(variants);
}

/* The version that needs the toy target's capability exists there alone; the default follows a fact. */
static void variants(void **state) {
    assert_names(*state, "cpu-x86-64-v2",
                 "axpy/rows rows=4\naxpy/rows rows=1\naxpy/rows rows=8\naxpy/rows rows=16\n");
    assert_names(*state, "cpu-x86-64-v3",
                 "axpy/rows rows=8\naxpy/rows rows=1\naxpy/rows rows=4\naxpy/rows rows=16\n");
    assert_names(
        *state, "toy-cpu",
        "axpy/rows rows=4\naxpy/rows rows=1\naxpy/rows rows=8\naxpy/rows rows=16\n"
        "axpy/strides rows=1 unroll=1\naxpy/strides rows=1 unroll=2\naxpy/strides rows=1 unroll=4\n"
        "axpy/strides rows=8 unroll=1\naxpy/strides rows=8 unroll=2\n");
}

static const gen_tensor *tensor(const gen_binding *b, const char *name) {
    for (size_t i = 0; i < b->tensor_count; i++)
        if (strcmp(b->tensors[i].name, name) == 0) return &b->tensors[i];
    return NULL;
}

/* The one verify case with the note or, for "", the first. */
static gen_case find_case(gen *g, const char *problem_text, const char *note, gen_case **all) {
    gen_problem like;
    size_t count = 0;
    assert_int_equal(gen_problem_parse(g, problem_text, &like, &err), TS_STATUS_OK);
    assert_int_equal(gen_cases(g, like.family, "verify", &like, all, &count, &err), TS_STATUS_OK);
    for (size_t i = 0; i < count; i++)
        if (strncmp((*all)[i].note, note, strlen(note)) == 0) return (*all)[i];
    fail_msg("no case '%s'", note);
    return (gen_case){0};
}

static void binding(void **state) {
    gen_case *all = NULL,
             c = find_case(*state, "axpy m=1 k=9 dtype=bf16 add=1 scale=3", "no row but", &all);
    gen_binding b;
    assert_int_equal(gen_bind(*state, &c, &b, &err), TS_STATUS_OK);
    assert_int_equal(b.args_bytes, sizeof(struct axpy_args));
    assert_int_equal(b.tensor_count, 4);
    const gen_tensor *x = tensor(&b, "x"), *z = tensor(&b, "z"), *out = tensor(&b, "out"),
                     *bias = tensor(&b, "bias");
    assert_true(x && z && out && bias);
    assert_true(x->dtype == GEN_BF16 && z->dtype == GEN_FP32 && out->direction == GEN_OUT &&
                x->direction == GEN_IN);
    assert_true(x->rows == 37 && x->cols == 96 && x->pitch == 99 && z->pitch == 96);
    assert_true(bias->rows == 1 && bias->cols == 96 && bias->optional && !x->optional);
    assert_int_equal(x->offset, offsetof(struct axpy_args, x));
    assert_int_equal(x->pitch_offset, offsetof(struct axpy_args, x_pitch));
    assert_int_equal(z->pitch_offset, -1);
    assert_true(z->init == GEN_INIT_UNIFORM && z->init_a == -1 &&
                z->init_b == 3);                              /* a formula over the fields */
    assert_true(out->rtol == 8e-3 && out->norm == 4e-5 * 96); /* a formula too */
    assert_int_equal(b.scalar_count, 1);
    assert_int_equal(b.scalars[0].offset, offsetof(struct axpy_args, alpha));
    assert_true(b.scalars[0].value == 0.75);
    assert_int_equal(b.extent_count, 2);
    assert_true(b.extents[0].offset == offsetof(struct axpy_args, m) && b.extents[0].bytes == 4 &&
                b.extents[0].value == 37);
    assert_true(b.extents[1].offset == offsetof(struct axpy_args, k) && b.extents[1].bytes == 8 &&
                b.extents[1].value == 96);
    assert_true(b.flops == 37 * 96 * 2 && b.bytes == 37 * 96 * 8 && b.lanes == 37);
    free(all);
}

static void assert_pads(gen *g, const char *note, const char *pads, int64_t x_pitch,
                        int64_t out_pitch) {
    gen_case *all = NULL, c = find_case(g, "axpy m=1 k=8 dtype=fp32", note, &all);
    gen_binding b;
    assert_string_equal(c.pad, pads);
    assert_int_equal(gen_bind(g, &c, &b, &err), TS_STATUS_OK);
    assert_int_equal(tensor(&b, "x")->pitch, x_pitch);
    assert_int_equal(tensor(&b, "out")->pitch, out_pitch);
    assert_int_equal(tensor(&b, "bias")->pitch, tensor(&b, "bias")->cols);
    free(all);
}

/* Pitches of a padded case differ by whole accesses, but where tensors share memory. */
static void pads(void **state) {
    assert_pads(*state, "", "", 8, 8);
    assert_pads(*state, "no row but", "x=3 out=27", 96 + 3, 96 + 27);
    assert_pads(*state, "in place", "x=2 out=2", 18, 18);
    assert_pads(*state, "out alone", "x=0 out=31", 16, 16 + 31);
}

static void case_overrides(void **state) {
    gen *g = *state;
    gen_case *all = NULL, c = find_case(g, "axpy m=1 k=8 dtype=fp32", "in place", &all);
    gen_binding b;
    assert_string_equal(c.alias, "out=x");
    assert_int_equal(gen_bind(g, &c, &b, &err), TS_STATUS_OK);
    assert_null(tensor(&b, "z")); /* add=0 */
    assert_true(tensor(&b, "x")->init == GEN_INIT_NORMAL && tensor(&b, "x")->init_b == 1);
    size_t overridden = 0, omitted = 0;
    for (const gen_case *at = all; at->problem.values[0] != 0;
         at++) { /* the list ends with m = 0 */
        assert_int_equal(gen_bind(g, at, &b, &err), TS_STATUS_OK);
        const gen_tensor *x = tensor(&b, "x");
        overridden += x->init == GEN_INIT_UNIFORM && x->init_a == 1e-3 && x->init_b == 2e-3;
        omitted += strcmp(at->omit, "bias") == 0;
    }
    assert_int_equal(overridden, 1);
    assert_int_equal(omitted, 1);
    free(all);
}

/* The generated header compiles with ref.c as C17, and the slots are the struct that it declares. */
static void oracle(void **state) {
    gen *g = *state;
    const gen_family *family = gen_family_find(g, "axpy");
    char dir[] = "/tmp/tunesmith-gen-XXXXXX", path[256], command[1024];
    ts_buf header = {0};
    assert_int_equal(gen_ref_header(g, family, &header, &err), TS_STATUS_OK);
    assert_non_null(strstr(header.data, "AXPY_DTYPE_BF16"));
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/axpy_ref.h", dir);
    assert_int_equal(ts_file_write(path, header.data, header.bytes, &err), TS_STATUS_OK);
    snprintf(command, sizeof command,
             "cc -std=c17 -Wall -Wextra -Werror -I%s -c %s/ref.c -o /dev/null", dir,
             gen_family_dir(family));
    assert_int_equal(system(command), 0);
    unlink(path);
    rmdir(dir);
    ts_buf_free(&header);
}

static void slots(void **state) {
    /* As axpy_ref.h declares it: fields, scalars, tensors in declared order. */
    struct {
        int64_t m, k, dtype, add, scale;
        double alpha, *x, *z, *bias, *out;
    } p;
    union {
        int64_t words[GEN_MAX_FIELDS + GEN_MAX_SCALARS + GEN_MAX_TENSORS];
        double number;
    } raw;
    gen_case *all = NULL,
             c = find_case(*state, "axpy m=1 k=8 dtype=bf16 scale=4", "no row but", &all);
    gen_binding b;
    double x = 0, bias = 0, out = 0, *data[GEN_MAX_TENSORS] = {&x, &bias, &out};
    assert_int_equal(gen_bind(*state, &c, &b, &err), TS_STATUS_OK);
    assert_int_equal(b.tensor_count, 3);
    memset(&raw, 0xff, sizeof raw);
    gen_ref_slots(&c, &b, data, &raw);
    memcpy(&p, &raw, sizeof p);
    assert_true(p.m == 37 && p.k == 96 && p.dtype == 1 && p.add == 0 && p.scale == 4 &&
                p.alpha == 1.0);
    assert_true(p.x == &x && p.z == NULL && p.bias == &bias && p.out == &out);
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_folders), cmocka_unit_test(target), cmocka_unit_test(variants),
        cmocka_unit_test(binding),      cmocka_unit_test(pads),   cmocka_unit_test(case_overrides),
        cmocka_unit_test(oracle),       cmocka_unit_test(slots),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
