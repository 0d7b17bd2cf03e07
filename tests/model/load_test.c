/* What loading refuses, and the caller's own embeddings. Directories are made from mamba-tiny's
 * files with one thing changed.
 */
#include "mamba.h"

enum { VOCAB = 331, HIDDEN = 96, WIDTH = 8, PROMPT = 12 };

static const int32_t PROMPT_IDS[PROMPT] = {3, 1, 4, 1, 5, 92, 65, 35, 89, 79, 323, 84};
static const char *const DIR_FILES[] = {"config.json", "model.safetensors", NULL};

/* The text of mamba-tiny's file with the first `from` replaced; header texts keep their length. */
static void copy_changed(const char *folder, const char *name, const char *from, const char *to) {
    ts_buf file = {0};
    char path[128];
    snprintf(path, sizeof path, TINY "/%s", name);
    OK(ts_file_read(path, &file, err));
    if (from) {
        char *at = memmem(file.data, file.bytes, from, strlen(from));
        assert_non_null(at);
        if (strlen(from) == strlen(to)) {
            memcpy(at, to, strlen(to));
        } else { /* text files only */
            ts_buf longer = {0};
            ts_buf_append(&longer, file.data, (size_t)(at - file.data));
            ts_buf_printf(&longer, "%s%s", to, at + strlen(from));
            ts_buf_free(&file);
            file = longer;
        }
    }
    scratch_write(folder, name, file.data, file.bytes);
    ts_buf_free(&file);
}

static void refused_directories(void **state) {
    (void)state;
    static const struct {
        const char *file, *from, *to;
        ts_status status;
        const char *message;
    } cases[] = {
        {"config.json", "\"vocab_size\": 331", "\"vocab_size\": 332", TS_STATUS_INVALID_ARGUMENT,
         "backbone.embeddings.weight has shape [331, 96], the config asks for [332, 96]"},
        {"config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4",
         TS_STATUS_INVALID_ARGUMENT, "backbone.layers.3.norm.weight is missing"},
        {"config.json", "\"use_bias\": false", "\"use_bias\": true", TS_STATUS_INVALID_ARGUMENT,
         "in_proj.bias is missing"},
        {"config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false",
         TS_STATUS_INVALID_ARGUMENT, "lm_head.weight is missing"},
        {"config.json", "\"eos_token_id\": 0", "\"eos_token_id\": \"x\"",
         TS_STATUS_INVALID_ARGUMENT, "eos_token_id"},
        {"config.json", "\"conv_kernel\": 4", "\"conv_kernel\": 7", TS_STATUS_NOT_FOUND,
         "tune --model"},
        {"model.safetensors", "layers.0.mixer.D", "layers.0.mixer.X", TS_STATUS_INVALID_ARGUMENT,
         "backbone.layers.0.mixer.D is missing"},
        {"model.safetensors", "\"F32\"", "\"I32\"", TS_STATUS_INVALID_ARGUMENT, "dtype I32"},
        {"model.safetensors", "\"F32\"", "\"F64\"", TS_STATUS_CORRUPT, "disagree"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = scratch_make();
        for (int f = 0; DIR_FILES[f]; f++) {
            bool changed = strcmp(cases[i].file, DIR_FILES[f]) == 0;
            copy_changed(folder, DIR_FILES[f], changed ? cases[i].from : NULL, cases[i].to);
        }
        ts_model *model = NULL;
        ts_err err = {0};
        ts_status status = ts_model_load(engine, folder, TS_DTYPE_FP32, &model, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].message)) {
            fail_msg("%s: status %d, \"%s\"", cases[i].to, (int)status, err.message);
        }
        assert_null(model);
        scratch_remove(folder, DIR_FILES);
    }
}

/* The embedding's name in the original repositories. */
static void singular_embedding_name(void **state) {
    (void)state;
    const char *folder = scratch_make();
    ts_model *model = NULL;
    copy_changed(folder, "config.json", NULL, NULL);
    copy_changed(folder, "model.safetensors",
                 "\"backbone.embeddings.weight\":", "\"backbone.embedding.weight\" :");
    OK(ts_model_load(engine, folder, TS_DTYPE_FP32, &model, err));
    ts_model_close(model);
    scratch_remove(folder, DIR_FILES);
}

/* ---- embeddings ---- */

static void embeds_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t floats;
        const char *message;
    } cases[] = {
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 1,
         "embeddings.weight is missing"},
        {"{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 1,
         "not a matrix"},
        {"{\"embeddings.weight\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}", 1,
         "not a matrix"},
        {"{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[330,1],\"data_offsets\":[0,1320]}}",
         330, "330 rows"},
        {"{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[331,1],\"data_offsets\":[0,1324]}}",
         331, "no projection.weight"},
        {"{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[331,1],\"data_offsets\":[0,1324]},"
         "\"projection.weight\":{\"dtype\":\"F32\",\"shape\":[96,2],\"data_offsets\":[1324,2092]}}",
         523, "[96, 2]"},
        {"{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[331,1],\"data_offsets\":[0,1324]},"
         "\"projection.bias\":{\"dtype\":\"F32\",\"shape\":[96],\"data_offsets\":[1324,1708]}}",
         427, "without"},
    };
    static const char *const names[] = {"e.safetensors", NULL};
    static float data[600];
    ts_model *model = model_load(TINY, TS_DTYPE_FP32);
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        bool nan = i ==
                   sizeof cases / sizeof *cases; /* the last: a good projection with a NaN in it */
        const char *header =
            nan ? "{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[331,1],\"data_offsets\":[0,1324]},"
                  "\"projection.weight\":{\"dtype\":\"F32\",\"shape\":[96,1],\"data_offsets\":[1324,1708]}}"
                : cases[i].header;
        const char *message = nan ? "projection.weight: value 9 is not finite" : cases[i].message;
        const char *folder = scratch_make();
        ts_embeds *embeds = NULL;
        ts_err err = {0};
        data[331 + 9] = nan ? NAN : 0;
        scratch_tensors(folder, "e.safetensors", header, data,
                        (nan ? 427 : cases[i].floats) * sizeof *data);
        assert_int_equal(
            ts_embeds_open(scratch_path(folder, "e.safetensors"), model, &embeds, &err),
            TS_STATUS_INVALID_ARGUMENT);
        if (!strstr(err.message, message))
            fail_msg("\"%s\" expected in \"%s\"", message, err.message);
        scratch_remove(folder, names);
    }
    ts_model_close(model);
}

/* The model's own table as an external one must change nothing, generated ids included. */
static void own_table_changes_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"e.safetensors", NULL};
    rt_tensors *weights = open_tensors(TINY "/model.safetensors");
    const rt_tensor *table = tensor_of(weights, "backbone.embeddings.weight");
    const char *folder = scratch_make();
    ts_embeds *embeds = NULL;
    ts_model *model = model_load(TINY, TS_DTYPE_FP32);
    scratch_tensors(
        folder, "e.safetensors",
        "{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[331,96],\"data_offsets\":[0,127104]}}",
        table->data, table->bytes);
    OK(ts_embeds_open(scratch_path(folder, "e.safetensors"), model, &embeds, err));
    ts_session *plain = session_make(model, 5, NULL), *with = session_make(model, 5, embeds);
    OK(ts_session_prefill(plain, PROMPT_IDS, PROMPT, NULL, err));
    OK(ts_session_prefill(with, PROMPT_IDS, PROMPT, NULL, err));
    for (int i = 0; i < 20; i++) {
        int32_t a = -1, b = -2;
        OK(ts_session_next(plain, NULL, &a, err));
        OK(ts_session_next(with, NULL, &b, err));
        assert_int_equal(a, b);
    }
    ts_session_close(plain);
    ts_session_close(with);
    ts_embeds_close(embeds);
    ts_model_close(model);
    rt_tensors_close(weights);
    scratch_remove(folder, names);
}

/* P e + b computed here, fed as vectors, against the table's own way. Ids beyond the model's
 * vocabulary count. */
static void projection_is_applied(void **state) {
    (void)state;
    enum { COUNT = 400, FLOATS = COUNT * WIDTH + HIDDEN * WIDTH + HIDDEN };
    static const char *const names[] = {"e.safetensors", NULL};
    static float data[FLOATS], vectors[PROMPT * HIDDEN], looked[PROMPT * HIDDEN];
    static float a[PROMPT * VOCAB], b[PROMPT * VOCAB];
    const float *projection = data + COUNT * WIDTH, *bias = projection + HIDDEN * WIDTH;
    int32_t ids[PROMPT];
    for (size_t i = 0; i < FLOATS; i++) data[i] = (float)((int)(i * 7919 % 997) - 498) / 997;
    for (size_t t = 0; t < PROMPT; t++) {
        ids[t] = t == 0 ? COUNT - 1 : PROMPT_IDS[t];
        for (size_t j = 0; j < HIDDEN; j++) {
            double sum = bias[j];
            for (size_t k = 0; k < WIDTH; k++)
                sum += (double)projection[j * WIDTH + k] * data[(size_t)ids[t] * WIDTH + k];
            vectors[t * HIDDEN + j] = (float)sum;
        }
    }
    const char *folder = scratch_make();
    ts_embeds *embeds = NULL;
    ts_model *model = model_load(TINY, TS_DTYPE_FP32);
    scratch_tensors(
        folder, "e.safetensors",
        "{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[400,8],\"data_offsets\":[0,12800]},"
        "\"projection.weight\":{\"dtype\":\"F32\",\"shape\":[96,8],\"data_offsets\":[12800,15872]},"
        "\"projection.bias\":{\"dtype\":\"F32\",\"shape\":[96],\"data_offsets\":[15872,16256]}}",
        data, sizeof data);
    OK(ts_embeds_open(scratch_path(folder, "e.safetensors"), model, &embeds, err));
    assert_int_equal(ts_embeds_count(embeds), COUNT);
    OK(ts_embeds_lookup(embeds, ids, PROMPT, looked, err));
    check_close("vectors", looked, vectors, PROMPT * HIDDEN, 1e-6);
    ts_session *plain = session_make(model, 512, NULL), *with = session_make(model, 512, embeds);
    OK(ts_session_prefill_vectors(plain, vectors, PROMPT, a, err));
    OK(ts_session_prefill(with, ids, PROMPT, b, err));
    check_same("logits", a, b, PROMPT * VOCAB);
    ts_err err = {0};
    ids[3] = COUNT;
    assert_int_equal(ts_session_prefill(with, ids, PROMPT, NULL, &err), TS_STATUS_INVALID_ARGUMENT);
    ts_session_close(plain);
    ts_session_close(with);
    ts_embeds_close(embeds);
    ts_model_close(model);
    scratch_remove(folder, names);
}

static int setup(void **state) {
    (void)state;
    engine = engine_open();
    return engine ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    ts_engine_close(engine);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_directories),   cmocka_unit_test(singular_embedding_name),
        cmocka_unit_test(embeds_refused),        cmocka_unit_test(own_table_changes_nothing),
        cmocka_unit_test(projection_is_applied),
    };
    return cmocka_run_group_tests_name("load", tests, setup, teardown);
}
