/* The command line of infer. */
#ifndef RUNTIME_INFER_OPTIONS_H
#define RUNTIME_INFER_OPTIONS_H

#include "../tunesmith.h"

/* The values of an option that may be given several times, in their order. */
typedef struct infer_list {
    const char **items; /* malloc */
    size_t count;
} infer_list;

typedef struct infer_options {
    const char *model_dir;
    const char *prompt, *prompt_file, *tokens; /* at most one is set */
    const char *device, *database;
    const char *embeds, *logits, *perplexity, *detokenize, *pixels;
    const char *profile; /* file for the page; "": the table alone; NULL: no profile */
    const char *system;  /* NULL: the model directory's */
    infer_list images, videos;
    int32_t image_min_pixels, image_max_pixels; /* 0: the model directory's */
    float fps;                                  /* 0: the default */
    int32_t max_frames;                         /* 0: the default */
    int32_t new_tokens;                         /* -1: not given */
    int32_t context; /* most tokens of prompt and output together; 0: no limit */
    int32_t threads;
    ts_dtype dtype;
    /* Sampling; what was not given (NaN, -1) is left to the model directory. */
    float temperature, top_p, min_p, repeat_penalty;
    int32_t top_k;
    uint64_t seed;
    bool no_fuse, bench, random_weights, json, verbose, tokenize, version, help;
} infer_options;

/* Parses argv and checks that the options fit together. False: a message is on stderr, exit with 2.
 * Text points into argv; infer_options_free in any case. */
bool infer_options_parse(int argc, char **argv, infer_options *out);
void infer_options_free(infer_options *options);
void infer_options_help(void);

/* Parses "1,2,3"; *ids: free(). False: a message is on stderr. */
bool infer_parse_ids(const char *text, const char *option, int32_t **ids, size_t *count);

/* The directory's sampling with what the command line says in its place. */
ts_sampler_options infer_sampling(const infer_options *options, const ts_model *model);

#endif
