/* --perplexity: the whole file tokenised; window k is ids[128k .. 128k+127] from an empty sequence,
 * its targets are ids[128k+1 .. 128k+128]; the result is exp of the mean negative log likelihood
 * over all targets. With --embeds the ids are looked up in the caller's table.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../db/base.h"
#include "infer.h"

enum { WINDOW = 128 };

/* -log softmax(logits)[target] */
static double surprise(const float *logits, size_t vocab, int32_t target) {
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < vocab; i++) largest = fmax(largest, (double)logits[i]);
    for (size_t i = 0; i < vocab; i++) sum += exp((double)logits[i] - largest);
    return largest + log(sum) - (double)logits[target];
}

static ts_status run_windows(infer *in, const int32_t *ids, size_t windows, double *mean,
                             ts_err *err) {
    size_t vocab = (size_t)ts_model_describe(in->model).vocab;
    ts_session_options options = infer_session(in);
    options.chunk = WINDOW;
    options.all_logits = true;
    options.embeds = in->embeds;
    ts_session *session = NULL;
    float *logits = malloc(WINDOW * vocab * sizeof *logits);
    ts_status status = logits ? ts_session_create(in->model, &options, &session, err)
                              : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "logits of a window");
    double total = 0;
    for (size_t k = 0; k < windows && status == TS_STATUS_OK; k++) {
        const int32_t *window = ids + k * WINDOW;
        status = ts_session_reset(session, err);
        if (status == TS_STATUS_OK)
            status = ts_session_prefill(session, window, WINDOW, logits, err);
        for (size_t i = 0; i < WINDOW && status == TS_STATUS_OK; i++) {
            if ((size_t)window[i + 1] >= vocab) {
                status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "id %d is not in the vocabulary",
                                 window[i + 1]);
                break;
            }
            total += surprise(logits + i * vocab, vocab, window[i + 1]);
        }
    }
    ts_session_close(session);
    free(logits);
    *mean = total / (double)(windows * WINDOW);
    return status;
}

int infer_perplexity(infer *in) {
    const char *path = in->options->perplexity;
    ts_err err = {0};
    ts_buf text = {0};
    int32_t *ids = NULL;
    size_t count = 0, windows = 0;
    double mean = 0;
    const char *embeds = in->options->embeds;
    ts_status status = embeds ? ts_embeds_open(embeds, in->model, &in->embeds, &err) : TS_STATUS_OK;
    if (status == TS_STATUS_OK) status = ts_file_read(path, &text, &err);
    if (status == TS_STATUS_OK) {
        status = ts_tokenizer_encode(in->tokenizer, text.data ? text.data : "", text.bytes, true,
                                     &ids, &count, &err);
    }
    if (status == TS_STATUS_OK && count <= WINDOW) {
        status = ts_fail(&err, TS_STATUS_INVALID_ARGUMENT, "%s: %zu tokens; at least %d are needed",
                         path, count, WINDOW + 1);
    }
    if (status == TS_STATUS_OK) {
        windows = (count - 1) / WINDOW;
        status = run_windows(in, ids, windows, &mean, &err);
    }
    ts_free(ids);
    ts_buf_free(&text);
    if (status != TS_STATUS_OK) return infer_fail(&err);
    if (in->options->json) {
        printf("{\"perplexity\":%.6f,\"tokens\":%zu,\"windows\":%zu,\"window\":%d}\n", exp(mean),
               count, windows, WINDOW);
    } else {
        printf("perplexity %.2f (%.6f; %zu tokens, %zu windows of %d)\n", exp(mean), exp(mean),
               count, windows, WINDOW);
    }
    return EXIT_DONE;
}
