/* A race: what its kernels share stays where it is once the first of them has been launched. A
 * captured graph keeps the addresses of its launches, so a workspace that moved would be memory
 * that is no longer there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../runtime/kernel.h"
#include "../../tuner/rig.h"
#include "../../tuner/timing.h"
#include "../runtime/compile.h"
#include "norm_ref.h"

enum { KERNELS = 3 };
static const char *const workspaces[KERNELS] = {"4096", "1048576", "64"};

static rt_device_ops watched; /* the CPU's, with an eye on these */
static const rt_device_ops *real;
static int launches, moves_after_launch;

static void watch_free(ts_device *device, void *memory) {
    moves_after_launch += launches > 0;
    real->free(device, memory);
}

static ts_status watch_launch(ts_device *device, void *stream, const rt_launch *launch,
                              ts_err *err) {
    launches++;
    return real->launch(device, stream, launch, err);
}

static void oracle(const void *slots, int64_t lane) { norm_ref(slots, lane); }

/* Launch data of norm's default for the CPU, but with `bytes` of workspace. */
static void launch_data(gen *g, const gen_problem *problem, const char *bytes, ts_buf *out) {
    const gen_target *target = gen_target_find(g, "cpu-x86-64-v2");
    gen_variant variant;
    gen_source source = {0};
    static const char none[] = "\"workspace\":\"0\"";
    assert_int_equal(gen_default(g, problem, target, &variant, NULL), TS_STATUS_OK);
    assert_int_equal(gen_render(g, &variant, problem, target, &source, NULL), TS_STATUS_OK);
    const char *at = strstr(source.launch.data, none);
    assert_non_null(at);
    ts_buf_append(out, source.launch.data, (size_t)(at - source.launch.data));
    ts_buf_printf(out, "\"workspace\":\"%s\"%s", bytes, at + strlen(none));
    gen_source_free(&source);
}

static void race_reserves_before_it_launches(void **state) {
    (void)state;
    static const char *const dirs[] = {TS_TEMPLATES_DIR, NULL};
    static const char source[] = "KERNEL void norm_rows(const void *a, void *scratch, uint32_t bx,"
                                 " uint32_t by, uint32_t bz) {\n"
                                 "    (void)a, (void)scratch, (void)bx, (void)by, (void)bz;\n}\n";
    static tuner_rounds rounds;
    gen *g = NULL;
    ts_device *device = NULL;
    tuner_trial *trial = NULL;
    tuner_rig *rig = NULL;
    ts_kernel *kernels[KERNELS] = {0};
    ts_buf object = {0};
    ts_err err = {0};
    gen_case test = {.pad = "", .init = "", .omit = "", .alias = "", .note = ""};
    tuner_trial_options options = {.oracle = oracle, .seed = 1, .threads = 1};
    assert_int_equal(gen_open(dirs, &g, &err), TS_STATUS_OK);
    assert_int_equal(ts_device_open("cpu", 1, &device, &err), TS_STATUS_OK);
    assert_int_equal(
        gen_problem_parse(g, "norm m=4 d=32 kind=rms dtype=fp32 add=0", &test.problem, &err),
        TS_STATUS_OK);
    assert_int_equal(tuner_trial_create(g, &test, &options, &trial, &err), TS_STATUS_OK);
    assert_int_equal(tuner_rig_create(device, NULL, trial, &rig, &err), TS_STATUS_OK);
    /* A race may be what a rig runs first: its inputs are there from the beginning. */
    assert_memory_equal(rig->slabs[0], trial->image, trial->image_bytes);
    assert_true(compile_with_prelude(source, &object));
    for (int k = 0; k < KERNELS; k++) {
        ts_buf launch = {0};
        launch_data(g, &test.problem, workspaces[k], &launch);
        if (rt_kernel_create(device, object.data, object.bytes, launch.data, &kernels[k], &err))
            fail_msg("%s", err.message);
        ts_buf_free(&launch);
    }
    real = device->ops;
    watched = *real;
    watched.free = watch_free;
    watched.launch = watch_launch;
    device->ops = &watched;
    if (tuner_time_race(rig, (const ts_kernel *const *)kernels, KERNELS, &rounds, &err))
        fail_msg("%s", err.message);
    device->ops = real;
    assert_true(rounds.counts[0] >= 3 && launches >= 3 * KERNELS);
    assert_true(rounds.conditions.warm_s > 0);
    /* They compute nothing, which is seen after the race, too. */
    for (int k = 0; k < KERNELS; k++) assert_false(rounds.right[k]);
    assert_int_equal(moves_after_launch, 0);
    for (int k = 0; k < KERNELS; k++) rt_kernel_destroy(kernels[k]);
    ts_buf_free(&object);
    tuner_rig_free(rig);
    tuner_trial_free(trial);
    ts_device_close(device);
    gen_close(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(race_reserves_before_it_launches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
