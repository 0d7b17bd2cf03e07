/* The attention classifier of tests/fixtures/mnist-attention on tuned kernels, in two forms.
 *
 * A digit is 28 tokens, its rows: h = inp(x), attention of 4 query and 2 key heads of 32 with rotary
 * positions, y = h + o_proj(attention), logits = out(mean of y over the tokens). What differs is how
 * the attention is laid out:
 *   unfused  a product each for q, k and v; rotary to new tensors; copies of q, k and v with heads
 *            before tokens, keys and values repeated for each query head; attention over sequences
 *            of one head; a copy back
 *   fused    one product for q, k and v, from a weight put together at load; rotary in place and
 *            attention on strided views of its result; no copies
 * Copies are launches of the embedding family, which gathers rows. Mean and out are one product in
 * both forms: x is a digit's y as one row, w is out.weight / 28 once for each token.
 *
 * Only public functions find and launch kernels; memory comes from runtime/device.h. */
#ifndef TESTS_BENCH_REPORT_NETWORK_H
#define TESTS_BENCH_REPORT_NETWORK_H

#include "runtime/device.h"
#include "templates/embedding/args.h"
#include "templates/gemm/args.h"
#include "templates/rotary/args.h"
#include "templates/sdpa/args.h"

enum {
    TOKENS = 28,
    FEATURES = 28,
    HIDDEN = 128,
    HEAD = 32,
    HEADS = 4,
    KV_HEADS = 2,
    CLASSES = 10,
};

enum { UNFUSED, FUSED, FORMS };
extern const char *const form_names[FORMS];

/* One launch: what it asks of the database, and its arguments. */
typedef struct step {
    char problem[128];
    union {
        struct gemm_args gemm;
        struct rotary_args rotary;
        struct sdpa_args sdpa;
        struct embedding_args embedding;
    } args;
    size_t args_bytes;
    const ts_kernel *kernel;
} step;

typedef struct form {
    step steps[16];
    int count;
} form;

typedef struct network {
    ts_device *device;
    int32_t digits, batch; /* all digits are on the device; `batch` of them go through at once */
    float *pixels;         /* [digits, TOKENS * FEATURES] */
    float *logits;         /* [digits, CLASSES] */
    form forms[FORMS];
    void *blocks[48]; /* all that network_close frees */
    int block_count;
} network;

/* The launches' problems alone, without a device: for the tuner. */
void network_describe(network *net, int32_t batch);
/* Weights of `path` and `digits` rows of `pixels` to the device, kernels found. `batch` divides
 * `digits`. NOT_FOUND names a missing kernel or tensor. */
ts_status network_open(network *net, ts_device *device, ts_kernels *kernels, const char *path,
                       const float *pixels, int32_t digits, int32_t batch, ts_err *err);
/* Queues all digits through one form; net->logits holds the result once the device is done. */
ts_status network_run(network *net, int which, ts_err *err);
void network_close(network *net);

#endif
