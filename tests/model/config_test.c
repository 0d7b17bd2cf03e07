/* config.json: what is read, what is refused and by which name, and the problems that follow from
 * it. Needs no database: this is what the tuner reads of a model.
 */
#include "files.h"

#include "runtime/model.h"

static const char CONFIG[] =
    "{\"architectures\":[\"MambaForCausalLM\"],\"model_type\":\"mamba\",\"vocab_size\":331,\"hidden_size\":96,"
    "\"num_hidden_layers\":3,\"state_size\":16,\"conv_kernel\":4,\"expand\":2,\"time_step_rank\":6,"
    "\"hidden_act\":\"silu\",\"use_bias\":false,\"dtype\":\"float32\",\"something_new\":[1,2]}";

static const char *const NAMES[] = {"config.json", NULL};

static void append_line(void *context, const char *problem) {
    ts_buf_printf(context, "%s\n", problem);
}

/* Problems of CONFIG with `from` replaced by `to`, one a line. */
static ts_status problems(const char *from, const char *to, const char *dtype, ts_buf *out,
                          ts_err *err) {
    ts_buf text = {0};
    const char *at = strstr(CONFIG, from);
    assert_non_null(at);
    ts_buf_append(&text, CONFIG, (size_t)(at - CONFIG));
    ts_buf_printf(&text, "%s%s", to, at + strlen(from));
    const char *folder = scratch_make();
    scratch_text(folder, "config.json", text.data);
    ts_status status = rt_model_problems(folder, dtype, append_line, out, err);
    scratch_remove(folder, NAMES);
    ts_buf_free(&text);
    return status;
}

static void refused_configs(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        ts_status status;
        const char *message;
    } cases[] = {
        {"\"model_type\":\"mamba\"", "\"model_type\":\"mamba2\"", TS_STATUS_UNSUPPORTED, "mamba2"},
        {"\"model_type\":\"mamba\"", "\"model_type\":\"falcon_mamba\"", TS_STATUS_UNSUPPORTED,
         "falcon_mamba"},
        {"\"model_type\":\"mamba\"", "\"model_type\":\"jamba\"", TS_STATUS_UNSUPPORTED, "jamba"},
        {"\"model_type\":\"mamba\"", "\"model_type\":\"llama\"", TS_STATUS_UNSUPPORTED, "llama"},
        {"\"architectures\":[\"MambaForCausalLM\"],\"model_type\":\"mamba\"",
         "\"d_model\":96,\"n_layer\":3,\"ssm_cfg\":{}", TS_STATUS_UNSUPPORTED, "-hf"},
        {"\"vocab_size\":331,", "", TS_STATUS_INVALID_ARGUMENT, "vocab_size"},
        {"\"hidden_size\":96,", "", TS_STATUS_INVALID_ARGUMENT, "hidden_size"},
        {"\"num_hidden_layers\":3,", "", TS_STATUS_INVALID_ARGUMENT, "num_hidden_layers"},
        {"\"hidden_size\":96", "\"hidden_size\":-96", TS_STATUS_INVALID_ARGUMENT, "hidden_size"},
        {"\"hidden_size\":96", "\"hidden_size\":\"96\"", TS_STATUS_INVALID_ARGUMENT, "hidden_size"},
        {"\"hidden_size\":96", "\"hidden_size\":96.5", TS_STATUS_INVALID_ARGUMENT, "hidden_size"},
        {"\"hidden_size\":96", "\"hidden_size\":4000000000", TS_STATUS_INVALID_ARGUMENT,
         "hidden_size"},
        {"\"state_size\":16", "\"state_size\":0", TS_STATUS_INVALID_ARGUMENT, "state_size"},
        {"\"conv_kernel\":4", "\"conv_kernel\":true", TS_STATUS_INVALID_ARGUMENT, "conv_kernel"},
        {"\"expand\":2", "\"expand\":1000000", TS_STATUS_INVALID_ARGUMENT, "expand"},
        {"\"time_step_rank\":6", "\"time_step_rank\":\"six\"", TS_STATUS_INVALID_ARGUMENT,
         "time_step_rank"},
        {"\"hidden_act\":\"silu\"", "\"hidden_act\":\"gelu\"", TS_STATUS_INVALID_ARGUMENT,
         "hidden_act"},
        {"\"use_bias\":false", "\"use_bias\":0", TS_STATUS_INVALID_ARGUMENT, "use_bias"},
        {"{\"arch", "{\"hidden_size\":1,\"arch", TS_STATUS_CORRUPT, "duplicate"},
        {"\"expand\":2", "\"expand\":", TS_STATUS_CORRUPT, "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ts_buf out = {0};
        ts_err err = {0};
        ts_status status = problems(cases[i].from, cases[i].to, NULL, &out, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].message) ||
            !strstr(err.message, "config.json")) {
            fail_msg("%s: status %d, \"%s\"", cases[i].to, (int)status, err.message);
        }
        ts_buf_free(&out);
    }
}

static void missing_config(void **state) {
    (void)state;
    ts_err err = {0};
    assert_int_not_equal(rt_model_problems("/nonexistent", NULL, append_line, NULL, &err),
                         TS_STATUS_OK);
    assert_non_null(strstr(err.message, "/nonexistent/config.json"));
}

/* The whole list for one dtype: what a database must hold for this model. */
static void problem_list(void **state) {
    (void)state;
    ts_buf out = {0};
    ts_err err = {0};
    assert_int_equal(problems("", "", "fp32", &out, &err), TS_STATUS_OK);
    assert_string_equal(out.data,
                        "embedding t=1 v=331 d=96 dtype=fp32\n"
                        "embedding t=8 v=331 d=96 dtype=fp32\n"
                        "embedding t=64 v=331 d=96 dtype=fp32\n"
                        "embedding t=512 v=331 d=96 dtype=fp32\n"
                        "norm m=1 d=96 kind=rms dtype=fp32 add=0\n"
                        "norm m=8 d=96 kind=rms dtype=fp32 add=0\n"
                        "norm m=64 d=96 kind=rms dtype=fp32 add=0\n"
                        "norm m=512 d=96 kind=rms dtype=fp32 add=0\n"
                        "gemv n=384 k=96 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=8 n=384 k=96 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=64 n=384 k=96 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=512 n=384 k=96 dtype=fp32 out=fp32 act=none\n"
                        "causal_conv1d b=1 l=1 d=192 width=4 dtype=fp32 act=silu\n"
                        "causal_conv1d b=8 l=1 d=192 width=4 dtype=fp32 act=silu\n"
                        "causal_conv1d b=1 l=64 d=192 width=4 dtype=fp32 act=silu\n"
                        "causal_conv1d b=1 l=512 d=192 width=4 dtype=fp32 act=silu\n"
                        "gemv n=38 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=8 n=38 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=64 n=38 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=512 n=38 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemv n=192 k=6 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=8 n=192 k=6 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=64 n=192 k=6 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=512 n=192 k=6 dtype=fp32 out=fp32 act=none\n"
                         "selective_scan b=1 l=64 d=192 n=16 g=1 dtype=fp32 gate=1 softplus=1 "
                         "varlen=0 layout=channel_last\n"
                         "selective_scan b=1 l=512 d=192 n=16 g=1 dtype=fp32 gate=1 softplus=1 "
                         "varlen=0 layout=channel_last\n"
                         "selective_scan_step b=1 d=192 n=16 g=1 dtype=fp32 gate=1 softplus=1 "
                         "conv=0\n"
                         "selective_scan_step b=8 d=192 n=16 g=1 dtype=fp32 gate=1 softplus=1 "
                         "conv=0\n"
                        "gemv n=96 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=8 n=96 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=64 n=96 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=512 n=96 k=192 dtype=fp32 out=fp32 act=none\n"
                        "gemv n=331 k=96 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=8 n=331 k=96 dtype=fp32 out=fp32 act=none\n"
                        "gemm m=64 n=331 k=96 dtype=fp32 out=fp32 act=none\n"
                        "argmax m=1 v=331\n"
                        "argmax m=8 v=331\n");
    ts_buf_free(&out);
}

static size_t count_of(const char *text, const char *word) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) count++;
    return count;
}

static void derived_sizes(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *line;
    } cases[] = {
        {"\"time_step_rank\":6", "\"time_step_rank\":\"auto\"", "gemv n=192 k=6 "},
        {"\"time_step_rank\":6,", "", "gemv n=192 k=6 "}, /* ceil(96 / 16) */
        {"\"expand\":2", "\"expand\":1.5", "selective_scan_step b=1 d=144 "},
        {"\"expand\":2", "\"expand\":2,\"intermediate_size\":200",
         "selective_scan_step b=1 d=200 "}, /* the field wins */
        {"\"conv_kernel\":4", "\"conv_kernel\":null", "width=4 "},
        {"\"state_size\":16", "\"state_size\":8", "gemv n=22 k=192 "},
        {"\"model_type\":\"mamba\",", "", "argmax m=1 v=331"}, /* found by its class */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ts_buf out = {0};
        ts_err err = {0};
        ts_status status = problems(cases[i].from, cases[i].to, "fp32", &out, &err);
        if (status != TS_STATUS_OK || count_of(out.data, cases[i].line) == 0) {
            fail_msg("%s: no \"%s\" (%s)", cases[i].to, cases[i].line, err.message);
        }
        ts_buf_free(&out);
    }
}

/* No dtype asked for: fp32 and the checkpoint's own, once each. */
static void dtypes(void **state) {
    (void)state;
    static const struct {
        const char *stored, *asked;
        size_t fp32, bf16, fp16;
    } cases[] = {
        {"\"dtype\":\"float32\"", NULL, 1, 0, 0},       {"\"dtype\":\"bfloat16\"", NULL, 1, 1, 0},
        {"\"torch_dtype\":\"float16\"", NULL, 1, 0, 1}, {"\"dtype\":\"bfloat16\"", "bf16", 0, 1, 0},
        {"\"dtype\":\"bfloat16\"", "fp16", 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ts_buf out = {0};
        assert_int_equal(
            problems("\"dtype\":\"float32\"", cases[i].stored, cases[i].asked, &out, NULL),
            TS_STATUS_OK);
        assert_int_equal(count_of(out.data, "embedding t=1 v=331 d=96 dtype=fp32"), cases[i].fp32);
        assert_int_equal(count_of(out.data, "embedding t=1 v=331 d=96 dtype=bf16"), cases[i].bf16);
        assert_int_equal(count_of(out.data, "embedding t=1 v=331 d=96 dtype=fp16"), cases[i].fp16);
        ts_buf_free(&out);
    }
    ts_err err = {0};
    assert_int_equal(problems("", "", "int8", NULL, &err), TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "int8"));
}

/* Contexts and prompts end where the model does, and what becomes equal is told once. */
static void positions_cut(void **state) {
    (void)state;
    const char *key = "\"max_position_embeddings\": 32768";
    ts_buf config = {0}, text = {0}, out = {0};
    assert_int_equal(ts_file_read("tests/fixtures/qwen2vl-tiny/config.json", &config, NULL), 0);
    const char *at = strstr(config.data, key);
    assert_non_null(at);
    ts_buf_append(&text, config.data, (size_t)(at - config.data));
    ts_buf_printf(&text, "\"max_position_embeddings\": 300%s", at + strlen(key));
    const char *folder = scratch_make();
    scratch_text(folder, "config.json", text.data);
    assert_int_equal(rt_model_problems(folder, "fp32", append_line, &out, NULL), TS_STATUS_OK);
    assert_int_equal(count_of(out.data, "sdpa_decode b=1 lk=300 "), 1);
    assert_int_equal(count_of(out.data, "sdpa_decode b=8 lk=300 "), 1);
    assert_int_equal(count_of(out.data, "sdpa_decode "), 2);
    assert_int_equal(count_of(out.data, "sdpa b=1 lq=300 lk=300 "), 1);
    assert_int_equal(count_of(out.data, "norm m=300 d=256 kind=rms "), 1);
    assert_int_equal(count_of(out.data, "m=512 "), 0);
    out.bytes = 0;
    assert_int_equal(
        rt_model_problems("tests/fixtures/qwen2vl-tiny", "fp32", append_line, &out, NULL), 0);
    assert_int_equal(count_of(out.data, "sdpa_decode b=1 lk=32768 "), 1);
    assert_int_equal(count_of(out.data, "sdpa b=1 lq=512 lk=4096 "), 1);
    assert_int_equal(count_of(out.data, "sdpa b=1 lq=20736 lk=20736 "), 1);
    scratch_remove(folder, NAMES);
    ts_buf_free(&config);
    ts_buf_free(&text);
    ts_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_configs), cmocka_unit_test(missing_config),
        cmocka_unit_test(problem_list),    cmocka_unit_test(derived_sizes),
        cmocka_unit_test(dtypes),          cmocka_unit_test(positions_cut),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
