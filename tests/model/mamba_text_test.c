/* mamba-shakespeare: a trained model, from text to text. */
#include "mamba.h"

#include "runtime/text/json.h"

enum { WINDOW = 128, VOCAB = 1024, POSITIONS = 96 };

static json_t *expected;
static ts_tokenizer *tokenizer;

static void collect(void *context, const char *text, size_t bytes) {
    ts_buf_append(context, text, bytes);
}

static void logits_match(void **state) {
    (void)state;
    static float logits[POSITIONS * VOCAB];
    rt_tensors *reference = open_tensors(SHAKESPEARE "/expected.safetensors");
    ts_model *model = model_load(SHAKESPEARE, TS_DTYPE_FP32);
    ts_session *session = session_make(model, 512, NULL);
    OK(ts_session_prefill(session, tensor_of(reference, "input_ids")->data, POSITIONS, logits,
                          err));
    check_close("logits", logits, tensor_of(reference, "logits")->data, POSITIONS * VOCAB,
                fp32_bound());
    ts_session_close(session);
    ts_model_close(model);
    rt_tensors_close(reference);
}

static void greedy_text(void **state) {
    (void)state;
    const char *prompt = json_string_value(json_object_get(expected, "prompt"));
    ts_model *model = model_load(SHAKESPEARE, TS_DTYPE_FP32);
    ts_session *session = session_make(model, 512, NULL);
    ts_text_stream stream = {0};
    ts_buf text = {0};
    int32_t *ids = NULL, id = 0;
    size_t count = 0;
    OK(ts_tokenizer_encode(tokenizer, prompt, strlen(prompt), true, &ids, &count, err));
    OK(ts_session_prefill(session, ids, count, NULL, err));
    ts_buf_printf(&text, "%s", prompt);
    for (int i = 0; i < 80; i++) {
        OK(ts_session_next(session, NULL, &id, err));
        assert_false(ts_model_is_end(model, id));
        ts_tokenizer_stream(tokenizer, &stream, id, collect, &text);
    }
    ts_text_stream_end(&stream, collect, &text);
    assert_string_equal(text.data, json_string_value(json_object_get(expected, "greedy_text")));
    ts_buf_free(&text);
    ts_free(ids);
    ts_session_close(session);
    ts_model_close(model);
}

static double surprise(const float *logits, int32_t target) {
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < VOCAB; i++) largest = fmax(largest, (double)logits[i]);
    for (int i = 0; i < VOCAB; i++) sum += exp((double)logits[i] - largest);
    return largest + log(sum) - (double)logits[target];
}

/* By the method that expected.json states. */
static double perplexity(ts_dtype dtype) {
    static float logits[WINDOW * VOCAB];
    ts_model *model = model_load(SHAKESPEARE, dtype);
    ts_session *session = session_make(model, WINDOW, NULL);
    ts_buf text = {0};
    int32_t *ids = NULL;
    size_t count = 0;
    double total = 0;
    OK(ts_file_read(SHAKESPEARE "/perplexity.txt", &text, err));
    OK(ts_tokenizer_encode(tokenizer, text.data, text.bytes, true, &ids, &count, err));
    assert_int_equal(count, json_integer_value(json_object_get(expected, "tokens")));
    size_t windows = (count - 1) / WINDOW;
    for (size_t k = 0; k < windows; k++) {
        OK(ts_session_reset(session, err));
        OK(ts_session_prefill(session, ids + k * WINDOW, WINDOW, logits, err));
        for (size_t i = 0; i < WINDOW; i++)
            total += surprise(logits + i * VOCAB, ids[k * WINDOW + i + 1]);
    }
    ts_free(ids);
    ts_buf_free(&text);
    ts_session_close(session);
    ts_model_close(model);
    return exp(total / (double)(windows * WINDOW));
}

static void perplexity_fp32(void **state) {
    (void)state;
    double wanted = json_number_value(json_object_get(expected, "perplexity")),
           got = perplexity(TS_DTYPE_FP32);
    if (!(fabs(got - wanted) < 0.005))
        fail_msg("perplexity %.6f, the reference has %.6f", got, wanted);
}

static void perplexity_bf16(void **state) {
    (void)state;
    double wanted = json_number_value(json_object_get(expected, "perplexity")),
           got = perplexity(TS_DTYPE_BF16);
    if (!(fabs(got / wanted - 1) < 0.005))
        fail_msg("perplexity %.6f, the reference has %.6f", got, wanted);
}

static int setup(void **state) {
    (void)state;
    ts_err err = {0};
    engine = engine_open();
    if (!engine) return -1;
    if (ts_tokenizer_load(SHAKESPEARE, &tokenizer, &err) != TS_STATUS_OK ||
        rt_json_read(SHAKESPEARE "/expected.json", &expected, &err) != TS_STATUS_OK) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    json_decref(expected);
    ts_tokenizer_close(tokenizer);
    ts_engine_close(engine);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_match),
        cmocka_unit_test(greedy_text),
        cmocka_unit_test(perplexity_fp32),
        cmocka_unit_test(perplexity_bf16),
    };
    return cmocka_run_group_tests_name("mamba-shakespeare", tests, setup, teardown);
}
