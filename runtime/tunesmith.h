/* Tunesmith: run a Hugging Face model directory with tuned kernels.
 *
 *     ts_engine *engine;  ts_model *model;  ts_session *session;
 *     ts_tokenizer *tokenizer;  ts_err err;
 *     ts_engine_options options = ts_engine_defaults();
 *     options.device = "auto";
 *     options.database = "tunesmith.db";
 *     ts_engine_open(&options, &engine, &err);
 *     ts_model_load(engine, "mamba-130m-hf", TS_DTYPE_AUTO, &model, &err);
 *     ts_session_create(model, NULL, &session, &err);
 *     ts_tokenizer_load("mamba-130m-hf", &tokenizer, &err);
 *     ts_tokenizer_encode(tokenizer, text, strlen(text), true, &ids, &count, &err);
 *     ts_session_prefill(session, ids, count, NULL, &err);
 *     while (ts_session_next(session, NULL, &id, &err) == TS_STATUS_OK &&
 *            !ts_model_is_end(model, id))
 *         ts_tokenizer_stream(tokenizer, &stream, id, write_text, NULL);
 *
 * An engine is a device and a database; a model is weights on that device; a session is one
 * sequence, or several side by side: their states, their logits. Weights are shared by sessions. Not
 * in this header: not API.
 *
 * Errors: every fallible call returns a ts_status and fills `err` (NULL is allowed) with a message
 * that names the file, tensor or key. Outputs are set only on success. No function prints, exits or
 * aborts.
 *
 * Threads: an engine, a model, a tokenizer and an embedding table may be used by several threads at
 * once; a session and a sampler by one at a time. Close in the reverse order of creation; every
 * close takes NULL.
 */
#ifndef TUNESMITH_H
#define TUNESMITH_H

#include <stdbool.h>

#include "tunesmith_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_engine ts_engine;
typedef struct ts_model ts_model;
typedef struct ts_session ts_session;
typedef struct ts_tokenizer ts_tokenizer;
typedef struct ts_sampler ts_sampler;
typedef struct ts_embeds ts_embeds;

/* Frees what a function of this header documents as the caller's. NULL is allowed. */
TS_API void ts_free(void *memory);

/* ---- engine ---- */

/* Option structs start with their size, so that an older program runs with a newer library: always
 * begin from the defaults function. Text is borrowed during the call only. */
typedef struct ts_engine_options {
    size_t size;
    const char *device; /* "auto" (default), "cpu", "cuda", "cuda:1" */
    int threads;        /* CPU workers; 0 (default): one a core */
    const char
        *database; /* NULL (default): TUNESMITH_DB, the user's, the system's data directory */
    /* Called with one line of text, without newline, for what deserves a user's eye (a database row
     * that was skipped, an unexpected tensor). May come from any thread that uses the engine. NULL:
     * dropped. */
    void (*log)(void *context, const char *message);
    void *log_context;
} ts_engine_options;

TS_API ts_engine_options ts_engine_defaults(void);
/* Opens the device, then the database. `options` NULL: the defaults. NO_DEVICE says what was found;
 * NOT_FOUND lists where a database was looked for. */
TS_API ts_status ts_engine_open(const ts_engine_options *options, ts_engine **out, ts_err *err);
TS_API void ts_engine_close(ts_engine *engine);
/* The engine's device, borrowed. */
TS_API ts_device *ts_engine_device(const ts_engine *engine);
/* The engine's kernels, borrowed. */
TS_API ts_kernels *ts_engine_kernels(const ts_engine *engine);

/* ---- model ---- */

/* The type of weights and activations; sums, norms, scan and states are fp32 in all of them. */
typedef enum ts_dtype {
    TS_DTYPE_AUTO, /* fp32 on the CPU, the checkpoint's own on a GPU */
    TS_DTYPE_FP32,
    TS_DTYPE_FP16,
    TS_DTYPE_BF16,
} ts_dtype;

/* "fp32"; static text. */
TS_API const char *ts_dtype_name(ts_dtype dtype);

/* Reads DIR/config.json, finds every kernel the model needs, then maps and uploads the weights
 * (model.safetensors or its shards). NOT_FOUND: a file, or a kernel, with the command that adds it.
 * UNSUPPORTED: another model_type, a pickle checkpoint. CORRUPT: a file that breaks its format.
 * INVALID_ARGUMENT: a config field or tensor that does not fit, by name. */
TS_API ts_status ts_model_load(ts_engine *engine, const char *dir, ts_dtype dtype, ts_model **out,
                               ts_err *err);
/* The same without weight files: values are made up from `seed` as before a training, which gives the
 * speed of a model but no sense. `dir` needs only a config.json, or is the path of one. */
TS_API ts_status ts_model_make_up(ts_engine *engine, const char *dir, ts_dtype dtype, uint64_t seed,
                                  ts_model **out, ts_err *err);
TS_API void ts_model_close(ts_model *model);

typedef struct ts_model_info {
    const char *model_type; /* "mamba"; static text */
    ts_dtype dtype;         /* in use, never AUTO */
    int32_t vocab, hidden, layers;
    size_t weight_bytes; /* on the device */
    size_t step_bytes;   /* that a decode step must move: weights read, state read and written */
    int32_t context;     /* most tokens of a sequence; 0: any number */
} ts_model_info;

TS_API ts_model_info ts_model_describe(const ts_model *model);
/* True for the ids that end a text: eos_token_id of generation_config.json, else of config.json. */
TS_API bool ts_model_is_end(const ts_model *model, int32_t id);

/* ---- sampling ---- */

/* Applied in this order: repetition penalty, temperature, top-k, top-p, min-p, draw. */
typedef struct ts_sampler_options {
    size_t size;
    float temperature; /* 0 (default): greedy, the largest logit, the lowest id among equals */
    int32_t top_k;     /* keep the k best and their equals; 0 (default): all */
    float top_p;       /* keep the smallest set of at least this probability; 1 (default): all */
    float min_p;       /* drop below this share of the best one's probability; 0 (default): none */
    float repeat_penalty; /* of every id seen in prompt and output; 1 (default): off */
    uint64_t seed;        /* a seed gives the same text on every run */
} ts_sampler_options;

TS_API ts_sampler_options ts_sampler_defaults(void);
/* The defaults with what generation_config.json asks for; it samples only if it says do_sample. */
TS_API ts_sampler_options ts_model_sampling(const ts_model *model);
/* INVALID_ARGUMENT names the option that is out of its range. */
TS_API ts_status ts_sampler_create(const ts_sampler_options *options, int32_t vocab,
                                   ts_sampler **out, ts_err *err);
TS_API void ts_sampler_close(ts_sampler *sampler);
/* Chooses an id from `logits` [vocab]; `seen` [vocab] is nonzero for ids under the repetition
 * penalty (NULL: none). The n-th call of a seed draws the n-th random number, whatever else
 * runs. */
TS_API int32_t ts_sampler_pick(ts_sampler *sampler, const float *logits, const uint8_t *seen);

/* ---- caller's embeddings ---- */

/* A safetensors file with `embeddings.weight` [V', e] and optionally `projection.weight` [hidden,
 * e] and `projection.bias` [hidden]: the vector of an id is projection * embedding + bias in fp32.
 * V' must be at least the model's vocabulary, because generated ids go through the table too.
 * INVALID_ARGUMENT names the tensor that does not fit or holds a value that is not finite. */
TS_API ts_status ts_embeds_open(const char *path, const ts_model *model, ts_embeds **out,
                                ts_err *err);
TS_API void ts_embeds_close(ts_embeds *embeds);
/* The number of ids of the table (V'). */
TS_API int32_t ts_embeds_count(const ts_embeds *embeds);
/* Vectors of `count` ids to `vectors` [count, hidden]. INVALID_ARGUMENT names an id outside the
 * table. */
TS_API ts_status ts_embeds_lookup(const ts_embeds *embeds, const int32_t *ids, size_t count,
                                  float *vectors, ts_err *err);

/* ---- session ---- */

typedef struct ts_session_options {
    size_t size;
    int32_t chunk;   /* most prompt tokens in one pass; default 512 */
    bool all_logits; /* prefill may hand out logits of every position; default false */
    /* Every id, generated ones too, is looked up here; NULL (default): the model's own table. */
    const ts_embeds *embeds;
    /* Most tokens of the sequence, for a model with a cache of keys and values, which takes memory by
     * it; 0 (default): 4096, or the model's own most if that is less. No effect on Mamba. */
    int32_t context;
    /* Most sequences side by side (see batches below), each with memory of its own; default 1. */
    int32_t sequences;
    /* Attention as models are commonly written: q, k and v by three products, keys and values copied
     * to the cache. For comparison; default false. */
    bool unfused;
} ts_session_options;

TS_API ts_session_options ts_session_defaults(void);

/* Memory in bytes on the device, before any of it is allocated. */
typedef struct ts_plan {
    size_t weight_bytes; /* once a model */
    size_t state_bytes;  /* a session: what carries from token to token */
    size_t work_bytes;   /* a session: activations, logits, kernel workspace */
    size_t
        vision_bytes; /* a session: to look at the largest image that the directory's preprocessor
                            makes; 0 for a model of text. More images in a prompt, or a video, take
                            more. */
} ts_plan;

/* What `dir` loaded as `dtype` will take; options NULL: the defaults. Errors as ts_model_load. */
TS_API ts_status ts_plan_model(ts_engine *engine, const char *dir, ts_dtype dtype,
                               const ts_session_options *options, ts_plan *out, ts_err *err);

/* A new session of empty sequences. Allocates everything that it will ever need but what looking at
 * media takes. OUT_OF_MEMORY says how much was wanted and how much is free. */
TS_API ts_status ts_session_create(ts_model *model, const ts_session_options *options,
                                   ts_session **out, ts_err *err);
TS_API void ts_session_close(ts_session *session);
/* Back to empty sequences. */
TS_API ts_status ts_session_reset(ts_session *session, ts_err *err);
/* Tokens that the state has consumed. */
TS_API size_t ts_session_length(const ts_session *session);

/* Consumes `count` ids, at least one, after what was consumed before. `logits`, if not NULL (needs
 * all_logits), receives [count, vocab]. INVALID_ARGUMENT names an id outside the vocabulary; the
 * state is then as before. After a device error the session must be reset. */
TS_API ts_status ts_session_prefill(ts_session *session, const int32_t *ids, size_t count,
                                    float *logits, ts_err *err);
/* The same with vectors [count, hidden] in place of the embeddings of ids. */
TS_API ts_status ts_session_prefill_vectors(ts_session *session, const float *vectors, size_t count,
                                            float *logits, ts_err *err);
/* An image (t = 1) or a video as the vision tower reads it: a grid of patches, and their pixels as
 * rows [t * h * w, 3 * frames * patch * patch], the patches of a merge block together. Borrowed. */
typedef struct ts_medium {
    int32_t t, h, w;
    bool video;
    const float *rows;
} ts_medium;

/* The same as ts_session_prefill for ids with placeholders, as many as the media have tokens, in the
 * order of `media`. INVALID_ARGUMENT: which medium does not fit; the state is then as before.
 * UNSUPPORTED: a model of text. Looking at media takes device memory, which the session keeps for the
 * next prompt, lets grow when that has more, and frees when it is closed; OUT_OF_MEMORY says how much
 * is needed and how much is free. */
TS_API ts_status ts_session_prefill_media(ts_session *session, const int32_t *ids, size_t count,
                                          const ts_medium *media, size_t media_count, float *logits,
                                          ts_err *err);
/* Consumes one id by the decode path. No allocation. */
TS_API ts_status ts_session_step(ts_session *session, int32_t id, ts_err *err);
/* Chooses the id that follows; sampler NULL is greedy. The id is consumed by whatever comes next
 * (another ts_session_next, a prefill, a step), so the last id of a text costs no pass. No
 * allocation. */
TS_API ts_status ts_session_next(ts_session *session, ts_sampler *sampler, int32_t *id,
                                 ts_err *err);
/* Logits [vocab] of the last consumed position, borrowed until the next call on the session. */
TS_API ts_status ts_session_logits(ts_session *session, const float **logits, ts_err *err);

/* ---- batches ---- */

/* A session has sequences 0 to `sequences` - 1. Rows of all of them go through the layers together,
 * which is faster than one after the other and gives the same. The functions above work on
 * sequence 0, those below on any; every call leaves the sequences that it does not name alone. */
typedef struct ts_prompt {
    int32_t sequence;
    const int32_t *ids;     /* [count], borrowed during the call */
    size_t count;           /* at least 1 */
    const ts_medium *media; /* as in ts_session_prefill_media; NULL and 0: none */
    size_t media_count;
} ts_prompt;

/* Consumes prompts of different sequences, of any lengths; all media are looked at together, and
 * take memory together. Errors as ts_session_prefill_media; the sequences are then as before. */
TS_API ts_status ts_session_prefill_batch(ts_session *session, const ts_prompt *prompts,
                                          size_t count, ts_err *err);
/* Chooses ids[i], which follows sequences[i], as ts_session_next does: one pass for all of them.
 * `samplers` [count] or NULL: greedy; entries may be NULL. INVALID_ARGUMENT: a sequence that is
 * empty, full or listed twice. No allocation. */
TS_API ts_status ts_session_next_batch(ts_session *session, const int32_t *sequences, size_t count,
                                       ts_sampler *const *samplers, int32_t *ids, ts_err *err);
/* Logits [vocab] of the last consumed position of a sequence, borrowed until the next call on the
 * session. */
TS_API ts_status ts_session_sequence_logits(ts_session *session, int32_t sequence,
                                            const float **logits, ts_err *err);
/* Tokens that a sequence has consumed; 0 for one that the session does not have. */
TS_API size_t ts_session_sequence_length(const ts_session *session, int32_t sequence);
/* Back to the empty sequence. */
TS_API ts_status ts_session_reset_sequence(ts_session *session, int32_t sequence, ts_err *err);

/* ---- tokenizer ---- */

/* Reads DIR/tokenizer.json, or the file itself if `path` is one: byte-level BPE. Needs no engine.
 * CORRUPT or UNSUPPORTED name the key. */
TS_API ts_status ts_tokenizer_load(const char *path, ts_tokenizer **out, ts_err *err);
TS_API void ts_tokenizer_close(ts_tokenizer *tokenizer);
/* One more than the largest id that names a text. */
TS_API int32_t ts_tokenizer_size(const ts_tokenizer *tokenizer);
/* Ids of `bytes` bytes of text; bad UTF-8 counts as U+FFFD. `special`: text that spells a special
 * token becomes that token; false: it is ordinary characters (for text that is not trusted). *ids:
 * ts_free. */
TS_API ts_status ts_tokenizer_encode(const ts_tokenizer *tokenizer, const char *text, size_t bytes,
                                     bool special, int32_t **ids, size_t *count, ts_err *err);
/* Text of ids, always valid UTF-8, NUL-terminated; ids without a text decode to nothing, special
 * tokens too if `skip_special`. *text: ts_free; `bytes` may be NULL. */
TS_API ts_status ts_tokenizer_decode(const ts_tokenizer *tokenizer, const int32_t *ids,
                                     size_t count, bool skip_special, char **text, size_t *bytes,
                                     ts_err *err);

/* Decoding one id at a time: what ends inside a UTF-8 character is held back. Zero-initialise. */
typedef struct ts_text_stream {
    unsigned char held[4];
    uint32_t held_bytes;
} ts_text_stream;

typedef void (*ts_text_write)(void *context, const char *text, size_t bytes);

/* Writes the text that `id` completes (none, or one or more calls); special tokens are left out. */
TS_API void ts_tokenizer_stream(const ts_tokenizer *tokenizer, ts_text_stream *stream, int32_t id,
                                ts_text_write write, void *context);
/* Writes U+FFFD for a character that never became complete. */
TS_API void ts_text_stream_end(ts_text_stream *stream, ts_text_write write, void *context);

#ifdef __cplusplus
}
#endif
#endif
