/* A program outside the tree: one kernel of the database, and a model's first words if it is given one.
 * DATABASE [MODEL_DIR] */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <tunesmith.h>
#include <tunesmith/embedding/args.h>
#include <tunesmith_kernels.h>

static int fail(const ts_err *err) {
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static int launch(const char *database) {
    enum { T = 8, V = 100, D = 32 };
    static float table[V * D], out[T * D];
    int32_t ids[T];
    for (int i = 0; i < V * D; i++) table[i] = (float)i;
    for (int i = 0; i < T; i++) ids[i] = (i * 37) % V;
    struct embedding_args args = {.ids = ids,
                                  .table = table,
                                  .out = out,
                                  .t = T,
                                  .v = V,
                                  .d = D,
                                  .table_pitch = D,
                                  .out_pitch = D};
    ts_device *device = NULL;
    ts_kernels *kernels = NULL;
    const ts_kernel *kernel;
    ts_err err;
    if (ts_device_open("cpu", 2, &device, &err) ||
        ts_kernels_open(device, database, &kernels, &err) ||
        ts_kernel_find(kernels, "embedding t=8 v=100 d=32 dtype=fp32", &kernel, &err) ||
        ts_kernel_launch(kernel, NULL, &args, sizeof args, &err))
        return fail(&err);
    for (int i = 0; i < T * D; i++)
        if (out[i] != table[ids[i / D] * D + i % D])
            return fprintf(stderr, "out[%d] is wrong\n", i), 1;
    printf("kernel %s\n", ts_kernel_variant(kernel));
    ts_kernels_close(kernels), ts_device_close(device);
    return 0;
}

static int generate(const char *database, const char *model_dir) {
    enum { N = 12 };
    static const char prompt[] = "ROMEO:\n";
    ts_engine *engine = NULL;
    ts_model *model = NULL;
    ts_session *session = NULL;
    ts_tokenizer *tokenizer = NULL;
    ts_engine_options options = ts_engine_defaults();
    int32_t *ids = NULL, words[N];
    size_t count, n = 0;
    char *text = NULL;
    ts_err err;
    options.database = database;
    if (ts_engine_open(&options, &engine, &err) ||
        ts_model_load(engine, model_dir, TS_DTYPE_AUTO, &model, &err) ||
        ts_tokenizer_load(model_dir, &tokenizer, &err) ||
        ts_session_create(model, NULL, &session, &err) ||
        ts_tokenizer_encode(tokenizer, prompt, strlen(prompt), true, &ids, &count, &err) ||
        ts_session_prefill(session, ids, count, NULL, &err))
        return fail(&err);
    while (n < N && !ts_session_next(session, NULL, &words[n], &err)) n++;
    if (ts_tokenizer_decode(tokenizer, words, n, true, &text, NULL, &err)) return fail(&err);
    printf("model %s\n", text);
    ts_free(text), ts_free(ids);
    ts_session_close(session), ts_tokenizer_close(tokenizer), ts_model_close(model),
        ts_engine_close(engine);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    printf("version %s\n", ts_version());
    if (launch(argv[1])) return 1;
    return argc > 2 ? generate(argv[1], argv[2]) : 0;
}
