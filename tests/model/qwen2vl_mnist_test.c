/* qwen2vl-mnist: from image files and a question to the words of the reference, and its accuracy on
 * 1,000 handwritten digits. TUNESMITH_TEST_DTYPE: fp32 (default), bf16, fp16. */
#include <jansson.h>
#include <time.h>

#include "mamba.h"

#include "runtime/image/image.h"
#include "runtime/model/engine.h"
#include "runtime/text/chat.h"

#define QWEN_MNIST "tests/fixtures/qwen2vl-mnist"

enum { SIDE = 56, DIGITS = 1000, MOST_IDS = 16, MOST_IMAGES = 2, BATCH = 50 };

static ts_model *model;
static ts_tokenizer *tokenizer;
static ts_session *session;
static rt_chat_form form;
static rt_processor processor;
static rt_pool *pool;

/* A question about images, as a session takes it. */
typedef struct question {
    ts_prompt prompt;
    int32_t *ids;
    ts_medium media[MOST_IMAGES];
    float *rows[MOST_IMAGES];
} question;

/* Zero-initialised questions; free with drop. `q` must stay where it is. */
static void pose(question *q, int32_t sequence, const rt_image *images, size_t count,
                 const char *text) {
    rt_grid grids[MOST_IMAGES];
    size_t id_count = 0;
    for (size_t i = 0; i < count; i++) {
        OK(rt_processor_grid(&processor, images[i].width, images[i].height, 1, &grids[i], err));
        q->rows[i] = malloc(rt_grid_rows(grids[i]) * rt_processor_row_floats(&processor) *
                            sizeof *q->rows[i]);
        OK(rt_processor_image(&processor, grids[i], &images[i], pool, q->rows[i], err));
        q->media[i] = (ts_medium){
            .t = grids[i].t, .h = grids[i].h, .w = grids[i].w, .rows = q->rows[i]};
    }
    rt_media named = {.images = grids, .image_count = count};
    OK(rt_chat_ask(&form, tokenizer, rt_model_media_ids(model), &named, text, strlen(text), NULL,
                   &q->ids, &id_count, err));
    q->prompt = (ts_prompt){.sequence = sequence,
                            .ids = q->ids,
                            .count = id_count,
                            .media = q->media,
                            .media_count = count};
}

static void drop(question *q) {
    for (size_t i = 0; i < MOST_IMAGES; i++) free(q->rows[i]);
    ts_free(q->ids);
    *q = (question){0};
}

/* The ids that the model answers with, the end included. */
static size_t ask(const rt_image *images, size_t count, const char *text, int32_t *answer) {
    question q = {0};
    size_t answered = 0;
    pose(&q, 0, images, count, text);
    OK(ts_session_reset(session, err));
    OK(ts_session_prefill_batch(session, &q.prompt, 1, err));
    do {
        OK(ts_session_next(session, NULL, &answer[answered], err));
    } while (!ts_model_is_end(model, answer[answered++]) && answered < MOST_IDS);
    drop(&q);
    return answered;
}

/* The same of many questions at once: each goes on until its own end. */
static void answer_all(ts_session *batch, const question *questions, size_t count,
                       int32_t answers[][MOST_IDS], size_t *answered) {
    ts_prompt prompts[BATCH];
    int32_t going[BATCH], ids[BATCH];
    size_t left = count;
    for (size_t i = 0; i < count; i++) {
        prompts[i] = questions[i].prompt;
        going[i] = (int32_t)i;
        answered[i] = 0;
    }
    OK(ts_session_reset(batch, err));
    OK(ts_session_prefill_batch(batch, prompts, count, err));
    while (left > 0) {
        OK(ts_session_next_batch(batch, going, left, NULL, ids, err));
        size_t still = 0;
        for (size_t i = 0; i < left; i++) {
            size_t who = (size_t)going[i];
            answers[who][answered[who]++] = ids[i];
            if (!ts_model_is_end(model, ids[i]) && answered[who] < MOST_IDS)
                going[still++] = going[i];
        }
        left = still;
    }
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

static void read_file(const char *name, long from, void *out, size_t bytes) {
    FILE *file = fopen(scratch_path(QWEN_MNIST, name), "rb");
    if (!file || fseek(file, from, SEEK_SET) || fread(out, bytes, 1, file) != 1)
        fail_msg("%s cannot be read", name);
    fclose(file);
}

/* Through the batch path. */
static void digits_match(void **state) {
    (void)state;
    static const char *const words[] = {"zero", "one", "two",   "three", "four",
                                        "five", "six", "seven", "eight", "nine"};
    static uint8_t pixels[DIGITS][SIDE * SIDE], labels[DIGITS];
    static question questions[BATCH];
    static int32_t answers[BATCH][MOST_IDS];
    json_t *expected = read_json("expected.json");
    const json_t *predictions = json_object_get(expected, "predictions");
    read_file("test_images.idx3", 16, pixels, sizeof pixels);
    read_file("test_labels.idx1", 8, labels, sizeof labels);
    rt_image image = {0};
    ts_session_options options = ts_session_defaults();
    ts_session *batch = NULL;
    options.sequences = BATCH;
    options.context = 64;
    OK(rt_image_allocate(SIDE, SIDE, &image, err));
    OK(ts_session_create(model, &options, &batch, err));
    int right = 0, as_reference = 0;
    double begin = now();
    for (size_t first = 0; first < DIGITS; first += BATCH) {
        size_t answered[BATCH];
        for (size_t n = 0; n < BATCH; n++) {
            for (size_t i = 0; i < SIDE * SIDE; i++)
                memset(image.pixels + 3 * i, pixels[first + n][i], 3);
            pose(&questions[n], (int32_t)n, &image, 1, "What digit is this?");
        }
        answer_all(batch, questions, BATCH, answers, answered);
        for (size_t n = 0; n < BATCH; n++) {
            char *text = text_of(answers[n], answered[n]);
            right += strcmp(text, words[labels[first + n]]) == 0;
            as_reference += strcmp(text,
                                   json_string_value(json_array_get(predictions, first + n))) == 0;
            ts_free(text);
            drop(&questions[n]);
        }
    }
    printf("accuracy %.3f on %d digits in batches of %d, %d answers as the reference, %.2f s\n",
           (double)right / DIGITS, DIGITS, BATCH, as_reference, now() - begin);
    assert_true(abs(right - 979) <= 2);
    assert_true(as_reference >= 997);
    ts_session_close(batch);
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
