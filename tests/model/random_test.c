/* Made-up weights: the right distributions, a seed that is the whole story, no equal rows, and
 * activations that stay finite over depth.
 */
#include "mamba.h"

#include "runtime/device.h"
#include "runtime/model.h"
#include "runtime/model/mamba.h"

enum { ROWS = 3000, COLUMNS = 512, STATES = 24, CHANNELS = 60000 };

static const rt_dim dims[] = {
    {"rows", ROWS}, {"columns", COLUMNS}, {"n", STATES}, {"e", CHANNELS}, {NULL, 0}};
static ts_device *cpu;

static int open_cpu(void **state) {
    (void)state;
    return ts_device_open("cpu", 1, &cpu, NULL) != TS_STATUS_OK;
}

static int close_cpu(void **state) {
    (void)state;
    ts_device_close(cpu);
    return 0;
}

/* The tensor of one table row, made up; free(). */
static void *make_up(const rt_weight *weight, const char *prefix, uint64_t seed, size_t count,
                     ts_dtype dtype) {
    rt_upload upload = {.device = cpu, .seed = seed, .dtype = dtype, .dims = dims};
    unsigned char *place = malloc(count * 4 + 64);
    assert_non_null(place);
    memset(place, 0xA5, count * 4 + 64);
    OK(rt_weight_make_up(weight, prefix, place, &upload, err));
    return place;
}

static void uniform_matrix(void **state) {
    (void)state;
    size_t count = (size_t)ROWS * COLUMNS;
    const rt_weight weight = {.name = "w", .shape = "rows columns", .kind = RT_MATRIX};
    float *a = make_up(&weight, "x.", 1, count, TS_DTYPE_FP32);
    float *again = make_up(&weight, "x.", 1, count, TS_DTYPE_FP32);
    double bound = 1 / sqrt(COLUMNS), sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(fabs((double)a[i]) <= bound);
        sum += (double)a[i];
        squares += (double)a[i] * (double)a[i];
    }
    double n = (double)count;
    assert_true(fabs(sum / n) < 0.01 * bound);
    assert_true(fabs(squares / n - bound * bound / 3) < 0.01 * bound * bound);
    assert_memory_equal(a, again, count * sizeof *a);
    const unsigned char *after = (const unsigned char *)(a + count);
    for (size_t i = 0; i < 64; i++) assert_int_equal(after[i], 0xA5);
    /* Rows that start anew in the copied block would be equal to the first. */
    for (size_t r = 1; r < ROWS; r++)
        assert_int_not_equal(memcmp(a, a + r * COLUMNS, COLUMNS * sizeof *a), 0);
    free(a);
    free(again);
}

static void seeds_and_names_differ(void **state) {
    (void)state;
    const rt_weight weight = {.name = "w", .shape = "columns", .kind = RT_FLOATS};
    const rt_weight other = {.name = "v", .shape = "columns", .kind = RT_FLOATS};
    float *made[] = {make_up(&weight, "x.", 1, COLUMNS, TS_DTYPE_FP32),
                     make_up(&weight, "x.", 2, COLUMNS, TS_DTYPE_FP32),
                     make_up(&weight, "y.", 1, COLUMNS, TS_DTYPE_FP32),
                     make_up(&other, "x.", 1, COLUMNS, TS_DTYPE_FP32)};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = i + 1; k < 4; k++)
            assert_int_not_equal(memcmp(made[i], made[k], COLUMNS * sizeof(float)), 0);
    }
    for (size_t i = 0; i < 4; i++) free(made[i]);
}

static void stored_in_the_models_dtype(void **state) {
    (void)state;
    size_t count = (size_t)ROWS * COLUMNS;
    const rt_weight weight = {.name = "w", .shape = "rows columns", .kind = RT_MATRIX};
    float *exact = make_up(&weight, "x.", 1, count, TS_DTYPE_FP32);
    void *half = make_up(&weight, "x.", 1, count, TS_DTYPE_BF16);
    float *wide = malloc(count * sizeof *wide);
    rt_to_fp32(TS_DTYPE_BF16, half, count, wide);
    for (size_t i = 0; i < count; i++)
        assert_true(fabsf(exact[i] - wide[i]) <= 0x1p-8f * fabsf(exact[i]));
    free(exact);
    free(half);
    free(wide);
}

/* A block's length that is no multiple of the columns would shift the states. */
static void states_and_steps(void **state) {
    (void)state;
    const rt_weight decay = {
        .name = "A_log", .shape = "e n", .kind = RT_FLOATS_DECAY, .init = RT_INIT_STATES};
    const rt_weight step = {
        .name = "b", .shape = "e", .kind = RT_FLOATS, .init = RT_INIT_TIME_STEP};
    const rt_weight one = {.name = "o", .shape = "e", .kind = RT_FLOATS, .init = RT_INIT_ONES};
    float *A = make_up(&decay, "", 1, (size_t)CHANNELS * STATES, TS_DTYPE_BF16);
    float *b = make_up(&step, "", 1, CHANNELS, TS_DTYPE_BF16);
    float *o = make_up(&one, "", 1, CHANNELS, TS_DTYPE_BF16);
    int below = 0;
    for (size_t i = 0; i < (size_t)CHANNELS * STATES; i++)
        assert_true(fabs((double)A[i] + (double)(i % STATES + 1)) < 1e-4);
    for (size_t i = 0; i < CHANNELS; i++) {
        double dt = log1p(exp((double)b[i]));
        assert_true(dt > 0.99e-3 && dt < 1.01e-1);
        below += dt < 1e-2;
        assert_true(o[i] == 1);
    }
    assert_true(abs(below - CHANNELS / 2) < CHANNELS / 50); /* 1e-2 halves the logarithm */
    free(A);
    free(b);
    free(o);
}

static void count_problem(void *context, const char *problem) {
    assert_non_null(strchr(problem, ' '));
    ++*(int *)context;
}

/* tests/bench/configs are the published sizes: their weights take the published bytes. */
static void published_configurations(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t fp32_bytes;
    } published[] = {{"130m", 516541440},
                     {"370m", 1486065664},
                     {"790m", 3172816896},
                     {"1.4b", 5488713728},
                     {"2.8b", 11073382400}};
    for (size_t i = 0; i < 5; i++) {
        char dir[64];
        int problems = 0;
        rt_config config = {0};
        rt_arch_shape shape = {0};
        mamba model = {.dtype = TS_DTYPE_FP32};
        rt_layout layout = {0};
        snprintf(dir, sizeof dir, "tests/bench/configs/mamba-%s", published[i].name);
        OK(rt_config_open(dir, "config.json", &config, err));
        OK(rt_mamba.configure(&model, &config, &shape, err));
        rt_mamba.place_weights(&model, &layout);
        assert_true(layout.bytes == published[i].fp32_bytes);
        assert_true(rt_mamba.idle_bytes(&model) == 0);
        model.tied = false; /* then a step reads one row of the embedding */
        assert_true(rt_mamba.idle_bytes(&model) == (size_t)model.V * (size_t)model.d * 4);
        OK(rt_model_problems(dir, "bf16", count_problem, &problems, err));
        assert_true(problems > MAMBA_OPS);
        rt_mamba.release(&model);
        rt_config_close(&config);
    }
}

/* mamba-tiny's shapes, so that its kernels do, but 64 layers. */
static void finite_over_depth(void **state) {
    (void)state;
    enum { PROMPT = 100, VOCAB = 331 };
    static float logits[PROMPT * VOCAB], others[PROMPT * VOCAB];
    const char *folder = scratch_make();
    ts_buf text = {0}, deep = {0};
    OK(ts_file_read(TINY "/config.json", &text, err));
    const char *key = "\"num_hidden_layers\": 3", *at = strstr(text.data, key);
    assert_non_null(at);
    ts_buf_printf(&deep, "%.*s\"num_hidden_layers\": 64%s", (int)(at - text.data), text.data,
                  at + strlen(key));
    scratch_text(folder, "config.json", deep.data);
    ts_buf_free(&text);
    ts_buf_free(&deep);
    int32_t ids[PROMPT];
    for (int32_t i = 0; i < PROMPT; i++) ids[i] = i * 37 % VOCAB;
    const char *paths[] = {folder, scratch_path(folder, "config.json")}; /* both name the model */
    for (size_t i = 0; i < 2; i++) {
        ts_model *model = NULL;
        OK(ts_model_make_up(engine, paths[i], TS_DTYPE_FP32, 5, &model, err));
        ts_model_info info = ts_model_describe(model);
        assert_int_equal(info.layers, 64);
        assert_true(info.step_bytes > info.weight_bytes);
        ts_session *session = session_make(model, 64, NULL);
        OK(ts_session_prefill(session, ids, PROMPT, i ? others : logits, err));
        ts_session_close(session);
        ts_model_close(model);
    }
    double squares = 0;
    for (size_t i = 0; i < PROMPT * VOCAB; i++) {
        assert_true(isfinite(logits[i]));
        squares += (double)logits[i] * (double)logits[i];
    }
    double rms = sqrt(squares / (PROMPT * VOCAB));
    if (!(rms > 0.05 && rms < 5)) fail_msg("logits of size %g", rms);
    assert_memory_equal(logits, others, sizeof logits);
    scratch_remove(folder, (const char *const[]){"config.json", NULL});
}

static int setup(void **state) {
    (void)state;
    return (engine = engine_open()) == NULL;
}

static int teardown(void **state) {
    (void)state;
    ts_engine_close(engine);
    return 0;
}

int main(void) {
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(uniform_matrix),
        cmocka_unit_test(seeds_and_names_differ),
        cmocka_unit_test(stored_in_the_models_dtype),
        cmocka_unit_test(states_and_steps),
        cmocka_unit_test(published_configurations),
    };
    const struct CMUnitTest models[] = {cmocka_unit_test(finite_over_depth)};
    int failed = cmocka_run_group_tests_name("random weights", alone, open_cpu, close_cpu);
    return failed + cmocka_run_group_tests_name("random models", models, setup, teardown);
}
