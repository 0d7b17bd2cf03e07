/* What the parts of the infer program share. Each mode is one function that returns the exit
 * status. */
#ifndef RUNTIME_INFER_INFER_H
#define RUNTIME_INFER_INFER_H

#include "../tunesmith.h"
#include "../model/profile.h"
#include "media.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DEVICE = 3 };

/* An open model with what the modes need beside it. */
typedef struct infer {
    const infer_options *options;
    ts_engine *engine;
    ts_model *model;
    ts_tokenizer *tokenizer; /* NULL: ids go in and out */
    ts_embeds *embeds;       /* NULL: the model's own */
    double load_s;
    rt_profile *profile; /* --profile; NULL: none */
    rt_peaks peaks;      /* the device's, with a profile */
} infer;

/* The prompt: ids, with media for their placeholders, or vectors. */
typedef struct infer_prompt {
    int32_t *ids;   /* free(); NULL for vectors */
    float *vectors; /* free(); [count, hidden] */
    size_t count;
    infer_media media;
} infer_prompt;

/* Seconds of a clock that only moves forward. */
double infer_now(void);
/* Prints the error on stderr; returns the exit status for it. */
int infer_fail(const ts_err *err);

/* main.c: a session's options as the command line has them: embeddings and attention. */
ts_session_options infer_session(const infer *in);
/* main.c: what -p, -f, --tokens or --embeds ask for. False: *status is the exit status. */
bool infer_prompt_make(infer *in, infer_prompt *out, int *status);
void infer_prompt_free(infer_prompt *prompt);
/* Feeds the prompt to the session; `logits` NULL or [count, vocab]. */
ts_status infer_prompt_feed(const infer_prompt *prompt, ts_session *session, float *logits,
                            ts_err *err);

int infer_tokenize(const infer_options *options);   /* text.c */
int infer_detokenize(const infer_options *options); /* text.c */
int infer_pixels(const infer_options *options);     /* pixels.c */
int infer_generate(infer *in);                      /* generate.c */
int infer_perplexity(infer *in);                    /* perplexity.c */
int infer_bench(infer *in);                         /* bench.c */

/* profile.c: --profile. From `open` on sessions that are created are watched, and time counts
 * while in->profile is not paused, which it is at first; `report` ends it: table or JSON, and the page if one is wanted. */
ts_status infer_profile_open(infer *in, ts_err *err);
ts_status infer_profile_report(const infer *in, const infer_prompt *prompt, size_t new_tokens,
                               ts_err *err);

/* tensors.c: a safetensors file in memory, so that values land in their place and the file appears
 * whole or not at all. */
typedef struct infer_tensor {
    const char *name, *dtype; /* of 4-byte elements: "F32", "I32" */
    size_t rows, columns;
    void *values; /* set by infer_tensors_make: inside the file, aligned */
} infer_tensor;

/* *file: free(). False: out of memory. */
bool infer_tensors_make(infer_tensor *tensors, size_t count, unsigned char **file, size_t *bytes);

/* logits.c: a safetensors file in memory with one tensor `logits` [rows, columns]. */
typedef struct infer_logits {
    unsigned char *file; /* free() */
    size_t bytes;
    float *values; /* inside the file */
} infer_logits;

bool infer_logits_make(size_t rows, size_t columns, infer_logits *out);

#endif
