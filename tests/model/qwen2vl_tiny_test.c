/* qwen2vl-tiny at fp32 against the reference: image features, logits, greedy ids of four prompts, and
 * the ways of cutting a prompt against each other. */
#include "qwen2vl_cases.h"

#include "runtime/image/image.h"
#include "runtime/model/engine.h"
#include "runtime/model/looks.h"
#include "runtime/model/qwen2vl.h"

static ts_model *model;

enum { VOCAB = 419, HIDDEN = 256, NEW = 16, MOST = 64, LAYERS = 3 };

/* The fixture's bound; sums run in another order on a GPU. */
static double bound(void) { return strcmp(test_device(), "cpu") == 0 ? 2e-4 : 1e-3; }

static void feed(ts_session *session, const prompt *p, float *logits) {
    OK(ts_session_reset(session, err));
    OK(ts_session_prefill_media(session, p->ids, p->count, p->media, p->media_count, logits, err));
}

static void features_match(void **state) {
    (void)state;
    EACH_CASE(p) {
        if (!p.features) continue;
        rt_looks looks = {0};
        rt_run run = {.device = model->engine->device};
        rt_sight sight = {0};
        const float *device_rows = NULL;
        float rows[32 * HIDDEN];
        OK(rt_looks_make(p.media, p.media_count, &looks, err));
        OK(model->arch->see(model->self, &run, &sight, looks.seen, p.media_count, &device_rows,
                            err));
        OK(run.device->ops->download(run.device, NULL, rows, device_rows,
                                     p.feature_rows * HIDDEN * sizeof *rows, err));
        check_close(p.name, rows, p.features, p.feature_rows * HIDDEN, bound());
        rt_sight_close(&sight, run.device);
        rt_looks_free(&looks);
    }
}

static void logits_match(void **state) {
    (void)state;
    static float logits[MOST * VOCAB];
    ts_session *session = session_make(model, 512, NULL);
    EACH_CASE(p) {
        feed(session, &p, logits);
        check_close(p.name, logits, p.logits, p.count * VOCAB, bound());
        assert_int_equal(ts_session_length(session), p.count);
    }
    ts_session_close(session);
}

/* What each layer leaves: the model is cut short after it. The last of the fixture's is behind the
 * final norm, which the logits cover. */
static void hidden_states_match(void **state) {
    (void)state;
    static float rows[MOST * HIDDEN];
    qwen2vl *self = model->self;
    for (int32_t layers = 0; layers < LAYERS; layers++) {
        self->L = layers;
        ts_session *session = session_make(model, 512, NULL);
        EACH_CASE(p) {
            char what[16];
            snprintf(what, sizeof what, "hidden.%d", layers);
            feed(session, &p, NULL);
            OK(rt_session_residual(session, (int32_t)p.count, rows, err));
            check_close(what, rows, find(p.name, what, true)->data, p.count * HIDDEN, bound());
        }
        ts_session_close(session);
        self->L = LAYERS;
    }
}

static void greedy_matches(void **state) {
    (void)state;
    ts_session *session = session_make(model, 512, NULL);
    EACH_CASE(p) {
        feed(session, &p, NULL);
        for (size_t i = 0; i < NEW; i++) {
            int32_t id = -1;
            OK(ts_session_next(session, NULL, &id, err));
            if (id != p.greedy[p.count + i])
                fail_msg("%s: new id %zu is %d, not %d", p.name, i, id, p.greedy[p.count + i]);
        }
    }
    ts_session_close(session);
}

/* Chunks end inside images too. */
static void every_chunk_size_matches(void **state) {
    (void)state;
    static float whole[MOST * VOCAB], parts[MOST * VOCAB];
    ts_session *first = session_make(model, 512, NULL);
    EACH_CASE(p) {
        feed(first, &p, whole);
        for (int32_t chunk = 1; chunk < 40; chunk += chunk < 6 ? 1 : 9) {
            ts_session *session = session_make(model, chunk, NULL);
            feed(session, &p, parts);
            check_close(p.name, parts, whole, p.count * VOCAB, 2 * same_bound());
            ts_session_close(session);
        }
    }
    ts_session_close(first);
}

/* Three products and copies give what one product and views give, in prompts and in steps. On a GPU
 * products of other widths take kernels with other orders of sums, as chunks do. */
static void unfused_is_fused(void **state) {
    (void)state;
    double allowed = strcmp(test_device(), "cpu") == 0 ? 1e-5 : 2 * same_bound();
    static float fused[MOST * VOCAB], apart[MOST * VOCAB];
    ts_session_options options = ts_session_defaults();
    ts_session *one = session_make(model, 512, NULL), *other = NULL;
    options.all_logits = true;
    options.unfused = true;
    OK(ts_session_create(model, &options, &other, err));
    EACH_CASE(p) {
        feed(one, &p, fused);
        feed(other, &p, apart);
        check_close(p.name, apart, fused, p.count * VOCAB, allowed);
        for (size_t i = 0; i < NEW; i++) {
            const float *logits = NULL;
            OK(ts_session_step(one, p.greedy[p.count + i], err));
            OK(ts_session_logits(one, &logits, err));
            memcpy(fused, logits, VOCAB * sizeof *logits);
            OK(ts_session_step(other, p.greedy[p.count + i], err));
            OK(ts_session_logits(other, &logits, err));
            check_close("a step", logits, fused, VOCAB, allowed);
        }
    }
    ts_session_close(one);
    ts_session_close(other);
}

/* The decode path over a text gives what the prefill path gives. */
static void token_by_token_matches(void **state) {
    (void)state;
    prompt p = read_case("text");
    ts_session *session = session_make(model, 512, NULL);
    for (size_t i = 0; i < p.count; i++) {
        const float *logits = NULL;
        OK(ts_session_step(session, p.ids[i], err));
        OK(ts_session_logits(session, &logits, err));
        check_close("one token", logits, p.logits + i * VOCAB, VOCAB, bound());
    }
    ts_session_close(session);
}

static void expect_refused(ts_session *session, const prompt *p, size_t media_count,
                           const char *words) {
    ts_err err = {0};
    ts_status status = ts_session_prefill_media(session, p->ids, p->count, p->media, media_count,
                                                NULL, &err);
    assert_int_equal(status, TS_STATUS_INVALID_ARGUMENT);
    if (!strstr(err.message, words)) fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    assert_int_equal(ts_session_length(session), 0);
}

static void media_must_fit(void **state) {
    (void)state;
    ts_session *session = session_make(model, 512, NULL);
    prompt image = read_case("image"), text = read_case("text"), two = read_case("two_images");
    expect_refused(session, &image, 0, "is a placeholder without its image: the 0 given");
    expect_refused(session, &two, 1, "is a placeholder without its image: the 1 given");
    text.media[0] = image.media[0];
    expect_refused(session, &text, 1, "1 images given, the prompt has placeholders");
    image.media[0].w += 2;
    expect_refused(session, &image, 1, "image 1 of 1 (grid 1 x");
    image.media[0].rows = NULL;
    expect_refused(session, &image, 1, "no rows");
    ts_session_close(session);
}

static void context_is_kept(void **state) {
    (void)state;
    prompt p = read_case("text");
    ts_session_options options = ts_session_defaults();
    ts_session *session = NULL;
    ts_err reason = {0};
    options.context = (int32_t)p.count;
    OK(ts_session_create(model, &options, &session, err));
    OK(ts_session_prefill(session, p.ids, p.count, NULL, err));
    assert_int_equal(ts_session_step(session, 1, &reason), TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(reason.message, "context"));
    assert_int_equal(ts_session_length(session), p.count);
    ts_session_close(session);
    options.context = 32769;
    assert_int_equal(ts_session_create(model, &options, &session, &reason),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(reason.message, "max_position_embeddings"));
}

/* The plan's figure is what a look of that size takes, and what does not fit is refused with both
 * figures before anything is read. */
static void vision_memory_is_planned(void **state) {
    (void)state;
    rt_processor p = rt_processor_defaults(); /* the directory has no preprocessor_config.json */
    ts_plan plan = {0};
    size_t bytes = 0, half = 0;
    OK(ts_plan_model(engine, QWEN_TINY, TS_DTYPE_FP32, NULL, &plan, err));
    rt_seen look = {.grid = {1, 70, 74}}; /* 35 x 37 of 1280 merged patches */
    OK(model->arch->see_bytes(model->self, model->engine->device, &look, 1, &bytes, err));
    assert_true(p.max_pixels == 1280 * 28 * 28);
    assert_true(plan.vision_bytes >= bytes && plan.vision_bytes < bytes + bytes / 20);
    look.grid = (rt_grid){1, 34, 74};
    OK(model->arch->see_bytes(model->self, model->engine->device, &look, 1, &half, err));
    assert_true(half < bytes * 3 / 5);
    ts_session *session = session_make(model, 512, NULL);
    const float rows[1] = {0};
    ts_medium huge = {.t = 1, .h = 1 << 14, .w = 1 << 14, .rows = rows};
    ts_err reason = {0};
    assert_int_equal(rt_session_see(session, &huge, 1, &reason), TS_STATUS_OUT_OF_MEMORY);
    static const char *const words[] = {"268435456 patches take ", "bytes to look at",
                                        "MiB are free"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strstr(reason.message, words[i]))
            fail_msg("\"%s\" lacks %s", reason.message, words[i]);
    prompt p1 = read_case("image"); /* the session works on */
    feed(session, &p1, NULL);
    ts_session_close(session);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_match),
        cmocka_unit_test(hidden_states_match),
        cmocka_unit_test(logits_match),
        cmocka_unit_test(greedy_matches),
        cmocka_unit_test(every_chunk_size_matches),
        cmocka_unit_test(unfused_is_fused),
        cmocka_unit_test(token_by_token_matches),
        cmocka_unit_test(media_must_fit),
        cmocka_unit_test(context_is_kept),
        cmocka_unit_test(vision_memory_is_planned),
    };
    ts_err err = {0};
    engine = engine_open();
    if (!engine) return 1;
    if (rt_tensors_open(QWEN_TINY "/expected.safetensors", &expected, &err) ||
        ts_model_load(engine, QWEN_TINY, TS_DTYPE_FP32, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ts_model_close(model);
    rt_tensors_close(expected);
    ts_engine_close(engine);
    return failed;
}
