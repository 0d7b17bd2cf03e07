/* The profile of a real session (mamba-tiny): which parts, how often, how much work, and that it covers
 * the time that passed. The events of a GPU are tests/runtime/cuda_time_test.c's.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mamba.h"
#include "runtime/model/engine.h"

enum { LAYERS = 3, HIDDEN = 96, INNER = 192, VOCAB = 331, PROMPT = 5, STEPS = 4 };

static rt_peaks peaks;

static int setup(void **state) {
    (void)state;
    ts_err err = {0};
    engine = engine_open();
    if (!engine) return 1;
    if (rt_peaks_find(engine->device, false, &peaks, &err) == TS_STATUS_OK) return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

static int teardown(void **state) {
    (void)state;
    ts_engine_close(engine);
    return 0;
}

static const rt_profile_row *find_row(const rt_profile_row *rows, size_t count, const char *part) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].part, part) == 0) return &rows[i];
    fail_msg("no row %s", part);
    return NULL;
}

/* A prompt and some greedy steps, all of it watched; what is generated is the same without. */
static void run_session(ts_model *model, rt_profile *profile, int32_t *ids) {
    static const int32_t prompt[PROMPT] = {1, 2, 3, 4, 5};
    rt_engine_watch(engine, profile);
    ts_session *session = session_make(model, 64, NULL);
    if (profile) rt_profile_resume(profile);
    OK(ts_session_prefill(session, prompt, PROMPT, NULL, err));
    for (int i = 0; i <= STEPS; i++) OK(ts_session_next(session, NULL, &ids[i], err));
    if (profile) OK(rt_profile_pause(profile, err));
    ts_session_close(session);
    rt_engine_watch(engine, NULL);
}

static void covers_a_session(void **state) {
    (void)state;
    ts_model *model = model_load(TINY, TS_DTYPE_FP32);
    rt_profile *profile = NULL;
    rt_profile_row *rows = NULL;
    size_t count = 0;
    int32_t watched[STEPS + 1], alone[STEPS + 1];
    OK(rt_profile_create(engine->device, &peaks, &profile, err));
    run_session(model, profile, watched);
    run_session(model, NULL, alone);
    assert_memory_equal(watched, alone, sizeof alone);
    OK(rt_profile_rows(profile, &rows, &count, err));

    double sum_us = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(rows[i].us >= 0 && rows[i].step_us <= rows[i].us);
        sum_us += rows[i].us;
    }
    double elapsed_us = rt_profile_elapsed_us(profile);
    assert_true(elapsed_us > 0 && fabs(sum_us - elapsed_us) < 1e-6 * elapsed_us);

    /* The last id is chosen, not consumed. */
    const rt_profile_row *in = find_row(rows, count, "text/in_proj");
    assert_int_equal(in->calls, LAYERS * (1 + STEPS));
    assert_true(in->has_work && in->step_us > 0 && in->step_us < in->us && in->limit_us > 0);
    assert_true(in->flops == 2.0 * LAYERS * (PROMPT + STEPS) * 2 * INNER * HIDDEN);
    const rt_profile_row *logits = find_row(rows, count, "head/logits");
    assert_int_equal(logits->calls, 1 + STEPS);
    assert_true(logits->flops == 2.0 * (1 + STEPS) * VOCAB * HIDDEN);
    assert_int_equal(find_row(rows, count, "head/norm")->calls, 1 + STEPS);
    assert_int_equal(find_row(rows, count, "text/norm")->calls, LAYERS * (1 + STEPS));
    /* In a pass over several rows the convolution's state is copied, which counts as its own. */
    assert_int_equal(find_row(rows, count, "text/conv")->calls, LAYERS * (2 + STEPS));
    assert_false(find_row(rows, count, "download")->has_work);
    free(rows);
    rt_profile_destroy(profile);
    ts_model_close(model);
}

static void knows_the_peaks(void **state) {
    (void)state;
    assert_true(peaks.gflops > 1 && peaks.gflops < 1e7);
    assert_true(peaks.gbytes > 0.1 && peaks.gbytes < 1e5);
}

/* Time of the host that the caller measured is a row like others; only running time counts. */
static void adds_the_hosts_time(void **state) {
    (void)state;
    rt_profile *profile = NULL;
    rt_profile_row *rows = NULL;
    size_t count = 0;
    OK(rt_profile_create(engine->device, &peaks, &profile, err));
    assert_true(rt_profile_elapsed_us(profile) == 0);
    rt_profile_add(profile, "images", 2.5);
    rt_profile_add(profile, "images", 1.5);
    OK(rt_profile_rows(profile, &rows, &count, err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].part, "images");
    assert_true(rows[0].calls == 2 && rows[0].us == 4 && !rows[0].has_work);
    assert_true(rows[1].us == 0); /* never below zero */
    free(rows);
    rt_profile_destroy(profile);
    rt_profile_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_a_session),
        cmocka_unit_test(knows_the_peaks),
        cmocka_unit_test(adds_the_hosts_time),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
