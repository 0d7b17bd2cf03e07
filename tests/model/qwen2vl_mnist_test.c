/* qwen2vl-mnist: from image files and a question to the words of the reference, and its accuracy on
 * 1,000 handwritten digits. TUNESMITH_TEST_DTYPE: fp32 (default), bf16, fp16. */
#include <jansson.h>
#include <time.h>

#include "mamba.h"

#include "runtime/image/image.h"
#include "runtime/model/engine.h"
#include "runtime/text/chat.h"

#define QWEN_MNIST "tests/fixtures/qwen2vl-mnist"

enum { SIDE = 56, DIGITS = 1000, MOST_IDS = 16, MOST_IMAGES = 2 };

static ts_model *model;
static ts_tokenizer *tokenizer;
static ts_session *session;
static rt_chat_form form;
static rt_processor processor;
static rt_pool *pool;

/* The ids that the model answers with, the end included. */
static size_t ask(const rt_image *images, size_t count, const char *question, int32_t *answer) {
    ts_medium media[MOST_IMAGES];
    rt_grid grids[MOST_IMAGES];
    float *rows[MOST_IMAGES] = {0};
    int32_t *ids = NULL;
    size_t id_count = 0, answered = 0;
    for (size_t i = 0; i < count; i++) {
        OK(rt_processor_grid(&processor, images[i].width, images[i].height, 1, &grids[i], err));
        rows[i] = malloc(rt_grid_rows(grids[i]) * rt_processor_row_floats(&processor) *
                         sizeof *rows[i]);
        OK(rt_processor_image(&processor, grids[i], &images[i], pool, rows[i], err));
        media[i] = (ts_medium){.t = grids[i].t, .h = grids[i].h, .w = grids[i].w, .rows = rows[i]};
    }
    rt_media named = {.images = grids, .image_count = count};
    OK(rt_chat_ask(&form, tokenizer, rt_model_media_ids(model), &named, question, strlen(question),
                   NULL, &ids, &id_count, err));
    OK(ts_session_reset(session, err));
    OK(ts_session_prefill_media(session, ids, id_count, media, count, NULL, err));
    do {
        OK(ts_session_next(session, NULL, &answer[answered], err));
    } while (!ts_model_is_end(model, answer[answered++]) && answered < MOST_IDS);
    for (size_t i = 0; i < count; i++) free(rows[i]);
    ts_free(ids);
    return answered;
}

static char *text_of(const int32_t *ids, size_t count) {
    char *text = NULL;
    OK(ts_tokenizer_decode(tokenizer, ids, count, true, &text, NULL, err));
    return text;
}

static json_t *read_json(const char *name) {
    json_error_t error;
    json_t *root = json_load_file(scratch_path(QWEN_MNIST, name), 0, &error);
    if (!root) fail_msg("%s: %s", name, error.text);
    return root;
}

static void cases_match(void **state) {
    (void)state;
    json_t *cases = read_json("cases/cases.json"), *entry, *value;
    size_t index, i;
    json_array_foreach(cases, index, entry) {
        rt_image images[MOST_IMAGES] = {0};
        int32_t answer[MOST_IDS];
        size_t count = 0;
        json_array_foreach(json_object_get(entry, "images"), i, value) {
            const char *path = scratch_path(QWEN_MNIST "/cases", json_string_value(value));
            OK(rt_image_read(path, NULL, &images[count++], err));
        }
        size_t answered = ask(images, count, json_string_value(json_object_get(entry, "prompt")),
                              answer);
        const json_t *tokens = json_object_get(entry, "tokens");
        char *text = text_of(answer, answered);
        assert_string_equal(text, json_string_value(json_object_get(entry, "text")));
        assert_int_equal(answered, json_array_size(tokens));
        json_array_foreach(tokens, i, value) assert_int_equal(answer[i], json_integer_value(value));
        ts_free(text);
        for (i = 0; i < count; i++) rt_image_free(&images[i]);
    }
    json_decref(cases);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void digits_match(void **state) {
    (void)state;
    static const char *const words[] = {"zero", "one", "two",   "three", "four",
                                        "five", "six", "seven", "eight", "nine"};
    static uint8_t pixels[DIGITS][SIDE * SIDE], labels[DIGITS];
    json_t *expected = read_json("expected.json");
    const json_t *predictions = json_object_get(expected, "predictions");
    FILE *images = fopen(QWEN_MNIST "/test_images.idx3", "rb"),
         *answers = fopen(QWEN_MNIST "/test_labels.idx1", "rb");
    if (!images || !answers || fseek(images, 16, SEEK_SET) || fseek(answers, 8, SEEK_SET) ||
        fread(pixels, sizeof pixels, 1, images) != 1 ||
        fread(labels, sizeof labels, 1, answers) != 1)
        fail_msg("the digits cannot be read");
    fclose(images);
    fclose(answers);
    rt_image image = {0};
    OK(rt_image_allocate(SIDE, SIDE, &image, err));
    int right = 0, as_reference = 0;
    double begin = now();
    for (size_t n = 0; n < DIGITS; n++) {
        int32_t answer[MOST_IDS];
        for (size_t i = 0; i < SIDE * SIDE; i++) memset(image.pixels + 3 * i, pixels[n][i], 3);
        size_t answered = ask(&image, 1, "What digit is this?", answer);
        char *text = text_of(answer, answered);
        right += strcmp(text, words[labels[n]]) == 0;
        as_reference += strcmp(text, json_string_value(json_array_get(predictions, n))) == 0;
        ts_free(text);
    }
    printf("accuracy %.3f on %d digits, %d answers as the reference, %.2f s\n",
           (double)right / DIGITS, DIGITS, as_reference, now() - begin);
    assert_true(abs(right - 979) <= 2);
    assert_true(as_reference >= 997);
    rt_image_free(&image);
    json_decref(expected);
}

static ts_dtype test_dtype(void) {
    const char *name = getenv("TUNESMITH_TEST_DTYPE");
    for (ts_dtype d = TS_DTYPE_FP32; name && d <= TS_DTYPE_BF16; d++)
        if (strcmp(name, ts_dtype_name(d)) == 0) return d;
    return TS_DTYPE_FP32;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases_match),
                                       cmocka_unit_test(digits_match)};
    ts_err err = {0};
    engine = engine_open();
    if (!engine) return 1;
    if (ts_model_load(engine, QWEN_MNIST, test_dtype(), &model, &err) ||
        ts_tokenizer_load(QWEN_MNIST, &tokenizer, &err) || rt_chat_load(QWEN_MNIST, &form, &err) ||
        rt_processor_read(QWEN_MNIST, &processor, &err) || rt_pool_create(1, &pool, &err) ||
        ts_session_create(model, NULL, &session, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ts_session_close(session);
    rt_pool_destroy(pool);
    rt_chat_free(&form);
    ts_tokenizer_close(tokenizer);
    ts_model_close(model);
    ts_engine_close(engine);
    return failed;
}
