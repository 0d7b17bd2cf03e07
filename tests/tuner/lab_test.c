/* The lab's order of work, on the CPU: the device never waits for the caller, and runs what it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tuner/session.h"

enum { CANDIDATES = 3 };
static const char problem[] = "norm m=16 d=96 kind=rms dtype=fp32 add=0";

static tuner_options options = {.gpu = "cpu",
                                .timeout_s = 40,
                                .jobs = 2,
                                .seed = 1,
                                .picks = {{TUNER_PICK_PROBLEM, problem}},
                                .pick_count = 1,
                                .template_dirs = {TS_TEMPLATES_DIR, NULL}};
static volatile sig_atomic_t interrupted;
static tuner_session session;

static int open_session(void **state) {
    (void)state;
    ts_err err = {0};
    if (tuner_session_open(&session, &options, "model", &interrupted, &err) == TS_STATUS_OK)
        return 0;
    print_message("%s\n", err.message);
    return 1;
}

static int close_session(void **state) {
    (void)state;
    tuner_session_close(&session);
    return 0;
}

/* As the tuner does on a CPU: all are compiled, then all of them run. */
static void submit_all(void) {
    gen_variant *variants = NULL;
    size_t count = 0;
    tuner_problem *wanted = &session.selection.problems[0];
    session.lab.exclusive = true;
    assert_int_equal(
        gen_enumerate(session.g, &wanted->problem, session.target, &variants, &count, NULL),
        TS_STATUS_OK);
    assert_true(count >= CANDIDATES);
    for (size_t i = 0; i < CANDIDATES; i++) {
        tuner_candidate *candidate = calloc(1, sizeof *candidate);
        assert_non_null(candidate);
        *candidate = (tuner_candidate){.problem = wanted,
                                       .target = session.target,
                                       .variant = variants[i],
                                       .want = TUNER_WANT_VERIFIED,
                                       .index = i};
        assert_int_equal(tuner_lab_prepare(&session.lab, candidate, NULL), TS_STATUS_OK);
        tuner_lab_submit(&session.lab, candidate);
    }
    free(variants);
}

static size_t next_index(void) {
    tuner_candidate *candidate = NULL;
    ts_err err = {0};
    assert_int_equal(tuner_lab_next(&session.lab, &candidate, &err), TS_STATUS_OK);
    assert_non_null(candidate);
    assert_string_equal(candidate->result.status, "ok");
    size_t index = candidate->index;
    tuner_candidate_free(candidate);
    return index;
}

static void the_device_goes_on_while_the_caller_works(void **state) {
    (void)state;
    submit_all();
    for (size_t i = 0; i < CANDIDATES; i++) {
        assert_int_equal(next_index(), i);
        assert_int_equal(session.lab.workers[0].busy, i + 1 < CANDIDATES);
    }
}

static size_t last(tuner_candidate *const *ready, size_t count) {
    for (size_t i = 0; i < count; i++) assert_ptr_equal(ready[i]->problem, ready[0]->problem);
    return count - 1;
}

static void what_was_chosen_runs_first(void **state) {
    (void)state;
    session.lab.choose = last;
    submit_all();
    for (size_t i = CANDIDATES; i > 0; i--) assert_int_equal(next_index(), i - 1);
    session.lab.choose = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_goes_on_while_the_caller_works),
        cmocka_unit_test(what_was_chosen_runs_first),
    };
    return cmocka_run_group_tests(tests, open_session, close_session);
}
