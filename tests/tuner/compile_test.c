/* The compilers as the compile worker runs them: what they report of good, bad and spilling
 * sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tuner/compile.h"

static tuner_compiled compile(const tuner_backend *backend, const char *source,
                              const char *target_option) {
    const char *options[64] = {0};
    size_t count = 0;
    while (backend->options[count]) {
        options[count] = backend->options[count];
        count++;
    }
    options[count] = target_option;
    tuner_compiled compiled = {.registers = -1, .spill_bytes = -1, .shared_bytes = -1};
    ts_err err = {0};
    if (backend->compile(source, strlen(source), options, &compiled, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    return compiled;
}

static void skip_without_nvrtc(void) {
    tuner_compiler compiler;
    if (tuner_nvrtc.describe(&compiler, NULL) != TS_STATUS_OK) skip();
    assert_memory_equal(compiler.name, "nvrtc ", 6);
    assert_true(compiler.driver_min >= 12000);
}

static void nvrtc_reports_what_ptxas_found(void **state) {
    (void)state;
    skip_without_nvrtc();
    tuner_compiled c = compile(
        &tuner_nvrtc,
        "extern \"C\" __global__ void small(float *x) { x[threadIdx.x] *= 2; }\n"
        "extern \"C\" __global__ void shared(float *x) {\n"
        "    __shared__ float t[128]; t[threadIdx.x] = x[threadIdx.x]; __syncthreads();\n"
        "    x[threadIdx.x] = t[127 - threadIdx.x]; }\n",
        "--gpu-architecture=sm_86");
    assert_true(c.ok && c.blob.bytes > 100);
    assert_memory_equal(c.blob.data,
                        "\x7f"
                        "ELF",
                        4);
    assert_true(c.registers > 0 && c.registers < 64);
    assert_int_equal(c.spill_bytes, 0);
    assert_int_equal(c.shared_bytes, 512); /* the most of any entry */
    tuner_compiled_free(&c);
}

/* 100 live values a thread in blocks of 1024: at most 64 registers. */
static void nvrtc_reports_spills(void **state) {
    (void)state;
    skip_without_nvrtc();
    tuner_compiled c = compile(
        &tuner_nvrtc,
        "extern \"C\" __global__ void __launch_bounds__(1024) f(float *x, int n) {\n"
        "    float v[100];\n"
        "#pragma unroll\n"
        "    for (int i = 0; i < 100; i++) v[i] = x[threadIdx.x + i * 1024];\n"
        "    for (int r = 0; r < n; r++)\n"
        "#pragma unroll\n"
        "        for (int i = 0; i < 100; i++) v[i] = v[i] * v[(i + 37) % 100] + 1;\n"
        "#pragma unroll\n"
        "    for (int i = 0; i < 100; i++) x[threadIdx.x + i * 1024] = v[i];\n"
        "}\n",
        "--gpu-architecture=sm_86");
    assert_true(c.ok);
    assert_true(c.spill_bytes > 0);
    tuner_compiled_free(&c);
}

static void nvrtc_names_the_line_of_an_error(void **state) {
    (void)state;
    skip_without_nvrtc();
    tuner_compiled c = compile(&tuner_nvrtc, "#line 41 \"family/1_x.cu.in\"\nthis is not C;\n",
                               "--gpu-architecture=sm_86");
    assert_false(c.ok);
    assert_non_null(strstr(c.log.data, "family/1_x.cu.in(41)"));
    tuner_compiled_free(&c);
}

static void cc_makes_an_object_or_names_the_line(void **state) {
    (void)state;
    tuner_compiler compiler;
    assert_int_equal(tuner_cc.describe(&compiler, NULL), TS_STATUS_OK);
    assert_true(strstr(compiler.name, "gcc ") == compiler.name ||
                strstr(compiler.name, "clang ") == compiler.name);
    assert_int_equal(compiler.driver_min, 0);
    tuner_compiled good = compile(
        &tuner_cc, "__attribute__((visibility(\"default\"))) void f(int *x) { *x = 3; }", NULL);
    assert_true(good.ok && good.blob.bytes > 100);
    assert_memory_equal(good.blob.data,
                        "\x7f"
                        "ELF",
                        4);
    assert_int_equal(good.registers, -1);
    tuner_compiled_free(&good);
    tuner_compiled bad = compile(&tuner_cc, "#line 41 \"family/1_x.c.in\"\nthis is not C;\n", NULL);
    assert_false(bad.ok);
    assert_non_null(strstr(bad.log.data, "family/1_x.c.in:41"));
    tuner_compiled_free(&bad);
    tuner_compiled undefined = compile(&tuner_cc, "void g(void); void f(void) { g(); }", NULL);
    assert_false(undefined.ok); /* a kernel may call nothing outside its file */
    tuner_compiled_free(&undefined);
}

/* A compiler that ends with Hopper: newer chips are refused by name, and their code would need the
 * driver that first knew them. */
static void old_compilers_and_drivers(void **state) {
    (void)state;
    const tuner_compiler old = {"nvrtc 12.4", 12000, {50, 75, 80, 90}}, cc = {"gcc 12", 0, {0}};
    const char *dirs[] = {TS_TEMPLATES_DIR, NULL};
    gen *g = NULL;
    ts_err err = {0};
    assert_int_equal(gen_open(dirs, &g, NULL), TS_STATUS_OK);
    const gen_target *hopper = gen_target_find(g, "sm_90a"), *next = gen_target_find(g, "sm_120");
    const gen_target *cpu = gen_target_find(g, "cpu-x86-64-v2");
    assert_int_equal(tuner_compiler_check(&old, hopper, NULL), TS_STATUS_OK);
    assert_int_equal(tuner_compiler_check(&cc, cpu, NULL), TS_STATUS_OK);
    assert_int_equal(tuner_compiler_check(&old, next, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "nvrtc 12.4 makes no code for sm_120"));
    assert_non_null(strstr(err.message, "sm_50 to sm_90"));
    assert_int_equal(tuner_driver_min(&old, hopper), 12000);
    assert_int_equal(tuner_driver_min(&old, next), 12080);
    assert_int_equal(tuner_driver_min(&cc, cpu), 0);
    gen_close(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nvrtc_reports_what_ptxas_found),
        cmocka_unit_test(nvrtc_reports_spills),
        cmocka_unit_test(nvrtc_names_the_line_of_an_error),
        cmocka_unit_test(cc_makes_an_object_or_names_the_line),
        cmocka_unit_test(old_compilers_and_drivers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
