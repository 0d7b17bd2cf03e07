/* Sequences side by side against the same sequences one by one, for both models: prompts of different
 * lengths in one call, steps of all and of some, a sequence that begins again while others go on. */
#include "qwen2vl_cases.h"

enum { SEQUENCES = 4, NEW = 10, MOST_VOCAB = 512 };

/* What one of the models is asked. */
typedef struct subject {
    ts_model *model;
    size_t vocab;
    prompt prompts[SEQUENCES];
    double bound; /* of a logit's error, relative where it is larger than 1 */
} subject;

/* What follows a prompt: ids, and the logits that each was chosen from. */
typedef struct course {
    int32_t ids[NEW];
    float logits[NEW][MOST_VOCAB];
} course;

static subject mamba, qwen;
static course alone[SEQUENCES];

static ts_session *make(const subject *s, int32_t sequences, int32_t chunk) {
    ts_session_options options = ts_session_defaults();
    ts_session *session = NULL;
    options.sequences = sequences;
    options.chunk = chunk;
    OK(ts_session_create(s->model, &options, &session, err));
    return session;
}

static ts_prompt as_prompt(const prompt *p, int32_t sequence) {
    return (ts_prompt){.sequence = sequence,
                       .ids = p->ids,
                       .count = p->count,
                       .media = p->media,
                       .media_count = p->media_count};
}

static void run_alone(const subject *s) {
    ts_session *session = make(s, 1, 512);
    for (size_t i = 0; i < SEQUENCES; i++) {
        const prompt *p = &s->prompts[i];
        OK(ts_session_reset(session, err));
        OK(ts_session_prefill_media(session, p->ids, p->count, p->media, p->media_count, NULL,
                                    err));
        for (size_t n = 0; n < NEW; n++) {
            const float *logits;
            OK(ts_session_next(session, NULL, &alone[i].ids[n], err));
            OK(ts_session_logits(session, &logits, err));
            memcpy(alone[i].logits[n], logits, s->vocab * sizeof *logits);
        }
    }
    ts_session_close(session);
}

static void check_course(const subject *s, ts_session *session, int32_t sequence, size_t who,
                         size_t n, int32_t id) {
    const float *logits;
    OK(ts_session_sequence_logits(session, sequence, &logits, err));
    for (size_t i = 0; i < s->vocab; i++) {
        double wanted = (double)alone[who].logits[n][i], d = fabs((double)logits[i] - wanted);
        if (!(d <= s->bound * fmax(1, fabs(wanted))))
            fail_msg("prompt %zu, step %zu: logit %zu is %.7g, not %.7g", who, n, i,
                     (double)logits[i], wanted);
    }
    assert_int_equal(id, alone[who].ids[n]);
}

static void prefill_all(const subject *s, ts_session *session) {
    ts_prompt prompts[SEQUENCES];
    for (int32_t i = 0; i < SEQUENCES; i++) /* in any order */
        prompts[i] = as_prompt(&s->prompts[SEQUENCES - 1 - i], SEQUENCES - 1 - i);
    OK(ts_session_prefill_batch(session, prompts, SEQUENCES, err));
    for (int32_t i = 0; i < SEQUENCES; i++)
        assert_int_equal(ts_session_sequence_length(session, i), s->prompts[i].count);
}

/* All sequences step by step, for several sizes of a pass. */
static void together(const subject *s) {
    static const int32_t chunks[] = {512, 24, 7, 2};
    static const int32_t all[SEQUENCES] = {0, 1, 2, 3};
    run_alone(s);
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        ts_session *session = make(s, SEQUENCES, chunks[c]);
        prefill_all(s, session);
        for (size_t n = 0; n < NEW; n++) {
            int32_t ids[SEQUENCES];
            OK(ts_session_next_batch(session, all, SEQUENCES, NULL, ids, err));
            for (int32_t i = 0; i < SEQUENCES; i++)
                check_course(s, session, i, (size_t)i, n, ids[i]);
        }
        ts_session_close(session);
    }
}

/* Each sequence at its own pace, and one that begins again with another's prompt. */
static void apart(const subject *s) {
    size_t at[SEQUENCES] = {0}, who[SEQUENCES] = {0, 1, 2, 3};
    run_alone(s);
    ts_session *session = make(s, SEQUENCES, 16);
    prefill_all(s, session);
    for (size_t turn = 0; turn < 3 * NEW; turn++) {
        int32_t list[SEQUENCES], ids[SEQUENCES];
        size_t count = 0;
        if (turn == 5) {
            ts_prompt again = as_prompt(&s->prompts[2], 1);
            OK(ts_session_reset_sequence(session, 1, err));
            assert_int_equal(ts_session_sequence_length(session, 1), 0);
            OK(ts_session_prefill_batch(session, &again, 1, err));
            at[1] = 0, who[1] = 2;
        }
        for (int32_t i = SEQUENCES - 1; i >= 0; i--)
            if (at[i] < NEW && (turn + (size_t)i) % 3 != 0) list[count++] = i;
        OK(ts_session_next_batch(session, list, count, NULL, ids, err));
        for (size_t i = 0; i < count; i++) {
            int32_t q = list[i];
            check_course(s, session, q, who[q], at[q]++, ids[i]);
        }
    }
    for (size_t i = 0; i < SEQUENCES; i++) assert_int_equal(at[i], NEW);
    ts_session_close(session);
}

static void mamba_together(void **state) {
    (void)state;
    together(&mamba);
}

static void mamba_apart(void **state) {
    (void)state;
    apart(&mamba);
}

static void qwen_together(void **state) {
    (void)state;
    together(&qwen);
}

static void qwen_apart(void **state) {
    (void)state;
    apart(&qwen);
}

/* A prompt after a choice that was not consumed yet consumes it first, in that sequence alone. */
static void prompt_after_choice(void **state) {
    (void)state;
    const prompt *p = &mamba.prompts[0];
    const float *logits;
    float wanted[MOST_VOCAB];
    int32_t id, ids[2];
    ts_session *one = make(&mamba, 1, 512), *two = make(&mamba, 2, 512);
    OK(ts_session_prefill(one, p->ids, p->count, NULL, err));
    OK(ts_session_next(one, NULL, &id, err));
    OK(ts_session_prefill(one, p->ids, 3, NULL, err));
    OK(ts_session_logits(one, &logits, err));
    memcpy(wanted, logits, mamba.vocab * sizeof *wanted);
    ts_prompt prompts[2] = {as_prompt(p, 0), as_prompt(p, 1)};
    OK(ts_session_prefill_batch(two, prompts, 2, err));
    OK(ts_session_next_batch(two, (const int32_t[]){0, 1}, 2, NULL, ids, err));
    assert_true(ids[0] == id && ids[1] == id);
    prompts[1].count = 3;
    OK(ts_session_prefill_batch(two, &prompts[1], 1, err));
    assert_int_equal(ts_session_sequence_length(two, 0), p->count);
    assert_int_equal(ts_session_sequence_length(two, 1), p->count + 4);
    OK(ts_session_sequence_logits(two, 1, &logits, err));
    check_same("after a choice", logits, wanted, mamba.vocab);
    ts_session_close(one);
    ts_session_close(two);
}

static void expect_refused(ts_status status, const ts_err *err, const char *words) {
    assert_int_equal(status, TS_STATUS_INVALID_ARGUMENT);
    if (!strstr(err->message, words)) fail_msg("\"%s\" lacks \"%s\"", err->message, words);
}

static void refusals(void **state) {
    (void)state;
    ts_err reason = {0};
    int32_t ids[2];
    ts_session *session = make(&qwen, 2, 512);
    ts_prompt prompts[2] = {as_prompt(&qwen.prompts[0], 0), as_prompt(&qwen.prompts[1], 0)};
    expect_refused(ts_session_prefill_batch(session, prompts, 2, &reason), &reason, "two prompts");
    prompts[1].sequence = 2;
    expect_refused(ts_session_prefill_batch(session, prompts, 2, &reason), &reason, "0..1");
    prompts[1].sequence = 1;
    prompts[1].media_count = 0; /* placeholders without an image: the other prompt waits too */
    expect_refused(ts_session_prefill_batch(session, prompts, 2, &reason), &reason, "image");
    assert_int_equal(ts_session_sequence_length(session, 0), 0);
    prompts[1].count = 0;
    expect_refused(ts_session_prefill_batch(session, prompts, 2, &reason), &reason, "empty prompt");
    OK(ts_session_prefill_batch(session, prompts, 1, err));
    static const int32_t both[] = {0, 1}, twice[] = {0, 0}, far[] = {-1};
    expect_refused(ts_session_next_batch(session, both, 2, NULL, ids, &reason), &reason, "empty");
    expect_refused(ts_session_next_batch(session, twice, 2, NULL, ids, &reason), &reason, "twice");
    expect_refused(ts_session_next_batch(session, far, 1, NULL, ids, &reason), &reason, "0..1");
    OK(ts_session_next_batch(session, both, 1, NULL, ids, err));
    assert_int_equal(ts_session_sequence_length(session, 0), qwen.prompts[0].count);
    ts_session_close(session);
    ts_session_options options = ts_session_defaults();
    options.sequences = 0;
    expect_refused(ts_session_create(qwen.model, &options, &session, &reason), &reason,
                   "sequences");
}

/* Samplers of the sequences draw what they draw alone. */
static void samplers_apart(void **state) {
    (void)state;
    ts_sampler_options options = ts_sampler_defaults();
    ts_sampler *samplers[2], *again;
    const prompt *p = &mamba.prompts[1];
    int32_t ids[NEW][2];
    ts_session *one = make(&mamba, 1, 512), *two = make(&mamba, 2, 512);
    ts_prompt prompts[2] = {as_prompt(p, 0), as_prompt(p, 1)};
    options.temperature = 20; /* logits of random weights lie far apart */
    options.repeat_penalty = 1.3F;
    for (size_t i = 0; i < 2; i++) {
        options.seed = 7 + i;
        OK(ts_sampler_create(&options, (int32_t)mamba.vocab, &samplers[i], err));
    }
    OK(ts_session_prefill_batch(two, prompts, 2, err));
    for (size_t n = 0; n < NEW; n++)
        OK(ts_session_next_batch(two, (const int32_t[]){0, 1}, 2, samplers, ids[n], err));
    bool differ = false;
    for (size_t n = 0; n < NEW; n++) differ = differ || ids[n][0] != ids[n][1];
    assert_true(differ);
    OK(ts_sampler_create(&options, (int32_t)mamba.vocab, &again, err));
    OK(ts_session_prefill(one, p->ids, p->count, NULL, err));
    for (size_t n = 0; n < NEW; n++) {
        int32_t id;
        OK(ts_session_next(one, again, &id, err));
        assert_int_equal(id, ids[n][1]);
    }
    for (size_t i = 0; i < 2; i++) ts_sampler_close(samplers[i]);
    ts_sampler_close(again);
    ts_session_close(one);
    ts_session_close(two);
}

/* Prompts of 1, 5, 37 and 20 ids out of the fixture. */
static int open_mamba(rt_tensors **tensors, ts_err *err) {
    static const size_t counts[SEQUENCES] = {1, 5, 37, 20};
    if (rt_tensors_open(TINY "/expected.safetensors", tensors, err) ||
        ts_model_load(engine, TINY, TS_DTYPE_FP32, &mamba.model, err))
        return 1;
    const int32_t *ids = rt_tensors_find(*tensors, "input_ids")->data;
    mamba.vocab = (size_t)ts_model_describe(mamba.model).vocab;
    mamba.bound = same_bound();
    for (size_t i = 0; i < SEQUENCES; i++)
        mamba.prompts[i] = (prompt){.ids = ids + i, .count = counts[i]};
    return 0;
}

static int open_qwen(ts_err *err) {
    if (rt_tensors_open(QWEN_TINY "/expected.safetensors", &expected, err) ||
        ts_model_load(engine, QWEN_TINY, TS_DTYPE_FP32, &qwen.model, err))
        return 1;
    qwen.vocab = (size_t)ts_model_describe(qwen.model).vocab;
    qwen.bound = 2 * same_bound(); /* as for chunks: six layers, of which two see */
    for (size_t i = 0; i < SEQUENCES; i++) qwen.prompts[i] = read_case(names[i]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mamba_together),      cmocka_unit_test(mamba_apart),
        cmocka_unit_test(qwen_together),       cmocka_unit_test(qwen_apart),
        cmocka_unit_test(prompt_after_choice), cmocka_unit_test(refusals),
        cmocka_unit_test(samplers_apart),
    };
    rt_tensors *tensors = NULL;
    ts_err err = {0};
    engine = engine_open();
    if (!engine) return 1;
    if (open_mamba(&tensors, &err) || open_qwen(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ts_model_close(mamba.model);
    ts_model_close(qwen.model);
    rt_tensors_close(tensors);
    rt_tensors_close(expected);
    ts_engine_close(engine);
    return failed;
}
