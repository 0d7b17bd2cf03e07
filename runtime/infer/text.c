/* --tokenize and --detokenize: the tokenizer alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../db/base.h"
#include "infer.h"

int infer_tokenize(const infer_options *options) {
    ts_err err = {0};
    ts_tokenizer *tokenizer = NULL;
    ts_buf text = {0};
    int32_t *ids = NULL;
    size_t count = 0;
    int status = EXIT_FAILED;
    if (options->prompt) {
        ts_buf_append(&text, options->prompt, strlen(options->prompt));
    } else if (ts_file_read(options->prompt_file, &text, &err) != TS_STATUS_OK) {
        infer_fail(&err);
        goto done;
    }
    if (ts_tokenizer_load(options->model_dir, &tokenizer, &err) != TS_STATUS_OK ||
        ts_tokenizer_encode(tokenizer, text.data ? text.data : "", text.bytes, true, &ids, &count,
                            &err) != TS_STATUS_OK) {
        infer_fail(&err);
        goto done;
    }
    printf("[");
    for (size_t i = 0; i < count; i++) printf(i ? ",%d" : "%d", ids[i]);
    printf("]\n");
    status = EXIT_DONE;
done:
    ts_free(ids);
    ts_buf_free(&text);
    ts_tokenizer_close(tokenizer);
    return status;
}

int infer_detokenize(const infer_options *options) {
    ts_err err = {0};
    ts_tokenizer *tokenizer = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t count = 0, bytes = 0;
    int status = EXIT_FAILED;
    if (!infer_parse_ids(options->detokenize, "detokenize", &ids, &count)) return EXIT_USAGE;
    if (ts_tokenizer_load(options->model_dir, &tokenizer, &err) != TS_STATUS_OK ||
        ts_tokenizer_decode(tokenizer, ids, count, false, &text, &bytes, &err) != TS_STATUS_OK) {
        infer_fail(&err);
        goto done;
    }
    fwrite(text, 1, bytes, stdout);
    if (isatty(STDOUT_FILENO)) printf("\n");
    status = EXIT_DONE;
done:
    free(ids);
    ts_free(text);
    ts_tokenizer_close(tokenizer);
    return status;
}
