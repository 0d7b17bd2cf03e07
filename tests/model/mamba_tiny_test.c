/* mamba-tiny at fp32 against the reference, and the ways of cutting a sequence against each
 * other. */
#include <pthread.h>

#include "mamba.h"

static rt_tensors *expected;
static ts_model *model;
static const int32_t *input_ids, *greedy_ids;
static const float *input_logits, *vectors, *vector_logits;

enum { ROWS = 2, PROMPT = 37, NEW = 24, VECTORS = 19, VOCAB = 331, HIDDEN = 96 };

static const int32_t *prompt_of(int row) { return input_ids + row * PROMPT; }

static void logits_match(void **state) {
    (void)state;
    float logits[PROMPT * VOCAB];
    ts_session *session = session_make(model, 512, NULL);
    for (int row = 0; row < ROWS; row++) {
        OK(ts_session_reset(session, err));
        OK(ts_session_prefill(session, prompt_of(row), PROMPT, logits, err));
        check_close("logits", logits, input_logits + row * PROMPT * VOCAB, PROMPT * VOCAB,
                    fp32_bound());
        assert_int_equal(ts_session_length(session), PROMPT);
    }
    ts_session_close(session);
}

static void greedy_matches(void **state) {
    (void)state;
    ts_session *session = session_make(model, 512, NULL);
    for (int row = 0; row < ROWS; row++) {
        const int32_t *wanted = greedy_ids + row * (PROMPT + NEW);
        assert_memory_equal(wanted, prompt_of(row), PROMPT * sizeof *wanted);
        OK(ts_session_reset(session, err));
        OK(ts_session_prefill(session, prompt_of(row), PROMPT, NULL, err));
        for (int i = 0; i < NEW; i++) {
            int32_t id = -1;
            OK(ts_session_next(session, NULL, &id, err));
            assert_int_equal(id, wanted[PROMPT + i]);
        }
        assert_int_equal(ts_session_length(session),
                         PROMPT + NEW - 1); /* the last one is not consumed */
    }
    ts_session_close(session);
}

static void vectors_match(void **state) {
    (void)state;
    float logits[VECTORS * VOCAB];
    ts_session *session = session_make(model, 512, NULL);
    OK(ts_session_prefill_vectors(session, vectors, VECTORS, logits, err));
    check_close("logits of inputs_embeds", logits, vector_logits, VECTORS * VOCAB, fp32_bound());
    ts_session_close(session);
}

/* The whole prompt in one pass: what every other way of cutting it must equal. */
static void one_shot(float *logits) {
    ts_session *session = session_make(model, 512, NULL);
    OK(ts_session_prefill(session, prompt_of(0), PROMPT, logits, err));
    ts_session_close(session);
}

static void every_split_matches(void **state) {
    (void)state;
    static float whole[PROMPT * VOCAB], parts[PROMPT * VOCAB];
    ts_session *session = session_make(model, 512, NULL);
    one_shot(whole);
    for (size_t split = 1; split < PROMPT; split++) {
        OK(ts_session_reset(session, err));
        OK(ts_session_prefill(session, prompt_of(0), split, parts, err));
        OK(ts_session_prefill(session, prompt_of(0) + split, PROMPT - split, parts + split * VOCAB,
                              err));
        check_same("split prompt", parts, whole, PROMPT * VOCAB);
    }
    ts_session_close(session);
}

static void every_chunk_size_matches(void **state) {
    (void)state;
    static float whole[PROMPT * VOCAB], parts[PROMPT * VOCAB];
    one_shot(whole);
    for (int32_t chunk = 1; chunk <= PROMPT; chunk += chunk < 8 ? 1 : 7) {
        ts_session *session = session_make(model, chunk, NULL);
        OK(ts_session_prefill(session, prompt_of(0), PROMPT, parts, err));
        check_same("chunked prompt", parts, whole, PROMPT * VOCAB);
        ts_session_close(session);
    }
}

static void token_by_token_matches(void **state) {
    (void)state;
    static float whole[PROMPT * VOCAB];
    ts_session *session = session_make(model, 512, NULL);
    one_shot(whole);
    for (size_t i = 0; i < PROMPT; i++) {
        const float *logits = NULL;
        OK(ts_session_step(session, prompt_of(0)[i], err));
        OK(ts_session_logits(session, &logits, err));
        check_same("one token", logits, whole + i * VOCAB, VOCAB);
    }
    ts_session_close(session);
}

/* An id that was chosen is consumed before whatever follows: the same as feeding it. */
static void pending_id_is_consumed(void **state) {
    (void)state;
    ts_session *a = session_make(model, 512, NULL), *b = session_make(model, 512, NULL);
    int32_t id = -1, more[2] = {5, 6};
    const float *left = NULL, *right = NULL;
    OK(ts_session_prefill(a, prompt_of(0), 10, NULL, err));
    OK(ts_session_next(a, NULL, &id, err));
    OK(ts_session_prefill(a, more, 2, NULL, err));
    OK(ts_session_prefill(b, prompt_of(0), 10, NULL, err));
    OK(ts_session_step(b, id, err));
    OK(ts_session_prefill(b, more, 2, NULL, err));
    OK(ts_session_logits(a, &left, err));
    OK(ts_session_logits(b, &right, err));
    assert_int_equal(ts_session_length(a), 13);
    check_close("pending", left, right, VOCAB, 0);
    ts_session_close(a);
    ts_session_close(b);
}

/* Sampling a seeded text twice gives it twice, also after a reset, and a repetition penalty so
 * large that nothing may come back leaves no id twice. */
static void sampling_in_a_session(void **state) {
    (void)state;
    ts_sampler_options options = ts_sampler_defaults();
    ts_session *session = session_make(model, 512, NULL);
    int32_t texts[2][NEW];
    options.temperature = 1;
    options.seed = 3;
    for (int round = 0; round < 2; round++) {
        ts_sampler *sampler = NULL;
        OK(ts_sampler_create(&options, VOCAB, &sampler, err));
        OK(ts_session_reset(session, err));
        OK(ts_session_prefill(session, prompt_of(0), PROMPT, NULL, err));
        for (int i = 0; i < NEW; i++) OK(ts_session_next(session, sampler, &texts[round][i], err));
        ts_sampler_close(sampler);
    }
    assert_memory_equal(texts[0], texts[1], sizeof texts[0]);
    ts_sampler *penalty = NULL;
    uint8_t seen[VOCAB] = {0};
    options = ts_sampler_defaults();
    options.repeat_penalty = 1e6f;
    OK(ts_sampler_create(&options, VOCAB, &penalty, err));
    OK(ts_session_reset(session, err));
    OK(ts_session_prefill(session, prompt_of(0), PROMPT, NULL, err));
    for (int i = 0; i < PROMPT; i++) seen[prompt_of(0)[i]] = 1;
    for (int i = 0; i < NEW; i++) {
        int32_t id = -1;
        OK(ts_session_next(session, penalty, &id, err));
        assert_int_equal(seen[id], 0);
        seen[id] = 1;
    }
    ts_sampler_close(penalty);
    ts_session_close(session);
}

static void misuse_is_refused(void **state) {
    (void)state;
    ts_session *session = session_make(model, 512, NULL), *plain = NULL;
    const int32_t bad[3] = {1, VOCAB, 2}, negative = -1;
    static float logits[PROMPT * VOCAB], before[VOCAB];
    const float *now = NULL;
    int32_t id;
    ts_err refused = {0};
    assert_int_equal(ts_session_next(session, NULL, &id, &refused), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(ts_session_logits(session, &now, &refused), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(ts_session_prefill(session, bad, 0, NULL, &refused),
                     TS_STATUS_INVALID_ARGUMENT);
    OK(ts_session_prefill(session, prompt_of(0), 5, NULL, err));
    OK(ts_session_logits(session, &now, err));
    memcpy(before, now, sizeof before);
    assert_int_equal(ts_session_prefill(session, bad, 3, NULL, &refused),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(refused.message, "id 331 (position 1)"));
    assert_int_equal(ts_session_step(session, negative, &refused), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(ts_session_length(session), 5);
    OK(ts_session_logits(session, &now, err));
    check_close("after a refused id", now, before, VOCAB, 0);
    OK(ts_session_create(model, NULL, &plain, err));
    assert_int_equal(ts_session_prefill(plain, prompt_of(0), 5, logits, &refused),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(refused.message, "all_logits"));
    ts_session_options options = ts_session_defaults();
    options.chunk = 0;
    assert_int_equal(ts_session_create(model, &options, &plain, &refused),
                     TS_STATUS_INVALID_ARGUMENT);
    ts_session_close(plain);
    ts_session_close(session);
}

typedef struct job {
    int row;
    bool good;
} job;

/* cmocka's asserts may only be used on the test's own thread, so the verdict is carried back. */
static void *run_job(void *context) {
    job *j = context;
    ts_session *session = NULL;
    j->good = ts_session_create(model, NULL, &session, NULL) == TS_STATUS_OK;
    for (int round = 0; j->good && round < 5; round++) {
        j->good = ts_session_reset(session, NULL) == TS_STATUS_OK &&
                  ts_session_prefill(session, prompt_of(j->row), PROMPT, NULL, NULL) ==
                      TS_STATUS_OK;
        for (int i = 0; j->good && i < NEW; i++) {
            int32_t id = -1;
            j->good = ts_session_next(session, NULL, &id, NULL) == TS_STATUS_OK &&
                      id == greedy_ids[j->row * (PROMPT + NEW) + PROMPT + i];
        }
    }
    ts_session_close(session);
    return NULL;
}

static void two_threads(void **state) {
    (void)state;
    pthread_t threads[ROWS];
    job jobs[ROWS];
    for (int i = 0; i < ROWS; i++) {
        jobs[i] = (job){.row = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < ROWS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < ROWS; i++) assert_true(jobs[i].good);
}

static void plan_is_what_is_taken(void **state) {
    (void)state;
    ts_plan plan = {0}, larger = {0};
    ts_session_options options = ts_session_defaults();
    options.all_logits = true;
    OK(ts_plan_model(engine, TINY, TS_DTYPE_FP32, NULL, &plan, err));
    OK(ts_plan_model(engine, TINY, TS_DTYPE_FP32, &options, &larger, err));
    ts_model_info info = ts_model_describe(model);
    assert_int_equal(plan.weight_bytes, info.weight_bytes);
    assert_true(plan.state_bytes >= 3 * 192 * (16 + 3) * sizeof(float)); /* L * E * (N + K - 1) */
    assert_true(plan.work_bytes >= 512 * HIDDEN * sizeof(float));
    assert_int_equal(larger.state_bytes, plan.state_bytes);
    assert_true(larger.work_bytes >= plan.work_bytes + 63 * VOCAB * sizeof(float));
    assert_string_equal(info.model_type, "mamba");
    assert_int_equal(info.vocab, VOCAB);
    assert_int_equal(info.dtype, TS_DTYPE_FP32);
    assert_true(ts_model_is_end(model, 0));
    assert_false(ts_model_is_end(model, 1));
}

static const void *data_of(const char *name, size_t count) {
    const rt_tensor *tensor = rt_tensors_find(expected, name);
    return tensor && tensor->count == count ? tensor->data : NULL;
}

static int setup(void **state) {
    (void)state;
    ts_err err = {0};
    engine = engine_open();
    if (!engine) return -1;
    if (ts_model_load(engine, TINY, TS_DTYPE_FP32, &model, &err) != TS_STATUS_OK ||
        rt_tensors_open(TINY "/expected.safetensors", &expected, &err) != TS_STATUS_OK) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    input_ids = data_of("input_ids", ROWS * PROMPT);
    greedy_ids = data_of("greedy", ROWS * (PROMPT + NEW));
    input_logits = data_of("logits", ROWS * PROMPT * VOCAB);
    vectors = data_of("inputs_embeds", VECTORS * HIDDEN);
    vector_logits = data_of("inputs_embeds_logits", VECTORS * VOCAB);
    return input_ids && greedy_ids && input_logits && vectors && vector_logits ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    rt_tensors_close(expected);
    ts_model_close(model);
    ts_engine_close(engine);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_match),
        cmocka_unit_test(greedy_matches),
        cmocka_unit_test(vectors_match),
        cmocka_unit_test(every_split_matches),
        cmocka_unit_test(every_chunk_size_matches),
        cmocka_unit_test(token_by_token_matches),
        cmocka_unit_test(pending_id_is_consumed),
        cmocka_unit_test(sampling_in_a_session),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(two_threads),
        cmocka_unit_test(plan_is_what_is_taken),
    };
    return cmocka_run_group_tests_name("mamba-tiny", tests, setup, teardown);
}
