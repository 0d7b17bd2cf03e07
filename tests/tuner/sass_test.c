/* Operations counted in real cubins, whose sources say how many there must be; damaged ones count as none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tuner/compile.h"
#include "tuner/sass.h"

static const char source[] =
    "extern \"C\" __global__ void f(const float *x, float *y, int n) {\n"
    "    __shared__ float t[64];\n"
    "    float a = x[threadIdx.x], b = x[threadIdx.x + 64], c = a;\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 37; i++) c = __fmaf_rn(c, a, b);\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 11; i++) { float r; asm volatile(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(r) : \"f\"(c)); c = r; }\n"
    "    t[threadIdx.x] = c;\n"
    "    __syncthreads();\n"
    "    y[threadIdx.x] = t[63 - threadIdx.x] + __shfl_xor_sync(0xffffffffu, c, 1);\n"
    "}\n";

static tuner_compiled compile(const char *architecture) {
    const char *options[64] = {0};
    size_t count = 0;
    ts_err err = {0};
    tuner_compiled compiled = {.registers = -1, .spill_bytes = -1, .shared_bytes = -1};
    for (; tuner_nvrtc.options[count]; count++) options[count] = tuner_nvrtc.options[count];
    options[count] = architecture;
    if (tuner_nvrtc.compile(source, strlen(source), options, &compiled, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    assert_true(compiled.ok);
    return compiled;
}

static void skip_without_nvrtc(void) {
    tuner_compiler compiler;
    if (tuner_nvrtc.describe(&compiler, NULL) != TS_STATUS_OK) skip();
}

static void counts_agree_with_the_source(void **state) {
    (void)state;
    static const char *const architectures[] = {
        "--gpu-architecture=sm_75", "--gpu-architecture=sm_86", "--gpu-architecture=sm_90a",
        "--gpu-architecture=sm_120"};
    skip_without_nvrtc();
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        tuner_compiled compiled = compile(architectures[i]);
        tuner_sass sass;
        tuner_sass_count(compiled.blob.data, compiled.blob.bytes, &sass);
        assert_true(sass.instructions > 37 + 11 && sass.instructions < 1000);
        assert_int_equal(sass.counts[TUNER_FFMA], 37);
        assert_int_equal(sass.counts[TUNER_MUFU], 11);
        assert_int_equal(sass.counts[TUNER_LDG], 2);
        assert_int_equal(sass.counts[TUNER_STG], 1);
        assert_int_equal(sass.counts[TUNER_LDS], 1);
        assert_int_equal(sass.counts[TUNER_STS], 1);
        assert_int_equal(sass.counts[TUNER_FADD], 1);
        assert_int_equal(sass.counts[TUNER_SHFL], 1);
        assert_int_equal(sass.counts[TUNER_BAR], 1);
        assert_int_equal(sass.counts[TUNER_LDL] + sass.counts[TUNER_STL], 0);
        ts_buf text = {0};
        tuner_sass_write(&sass, &text);
        assert_non_null(strstr(text.data, "\"mufu\":11,\"ffma\":37"));
        ts_buf_free(&text);
        tuner_compiled_free(&compiled);
    }
}

/* Every length, and every byte of the headers turned over, from memory of exactly that size. */
static void damaged_cubins_are_read_no_further(void **state) {
    (void)state;
    skip_without_nvrtc();
    tuner_compiled compiled = compile("--gpu-architecture=sm_86");
    tuner_sass sass;
    for (size_t bytes = 0; bytes < compiled.blob.bytes; bytes += 7) {
        unsigned char *cut = malloc(bytes ? bytes : 1);
        assert_non_null(cut);
        memcpy(cut, compiled.blob.data, bytes);
        tuner_sass_count(cut, bytes, &sass);
        assert_true(sass.instructions < 1000);
        free(cut);
    }
    for (size_t at = 0; at < 64; at++) {
        compiled.blob.data[at] ^= (char)0xff;
        tuner_sass_count(compiled.blob.data, compiled.blob.bytes, &sass);
        compiled.blob.data[at] ^= (char)0xff;
    }
    tuner_compiled_free(&compiled);
}

static void what_is_no_cubin_has_no_instructions(void **state) {
    (void)state;
    tuner_sass sass;
    ts_buf text = {0};
    tuner_sass_count("\x7f"
                     "ELF",
                     4, &sass);
    assert_int_equal(sass.instructions, 0);
    tuner_sass_count(source, sizeof source, &sass);
    assert_int_equal(sass.instructions, 0);
    tuner_sass_write(&sass, &text);
    assert_int_equal(text.bytes, 0);
    ts_buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_agree_with_the_source),
        cmocka_unit_test(damaged_cubins_are_read_no_further),
        cmocka_unit_test(what_is_no_cubin_has_no_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
