/* infer: continues a text with the model of a directory. This file opens things and picks the mode;
 * the modes are in files of their own. Results go to stdout, everything else to stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../db/base.h"
#include "../model/embeds.h"
#include "../model/engine.h"
#include "../text/chat.h"
#include "infer.h"

double infer_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int infer_fail(const ts_err *err) {
    fflush(stdout);
    fprintf(stderr, "infer: %s\n", err->message);
    return err->status == TS_STATUS_NO_DEVICE ? EXIT_NO_DEVICE : EXIT_FAILED;
}

static void log_line(void *context, const char *message) {
    (void)context;
    fprintf(stderr, "infer: %s\n", message);
}

/* ---- prompt ---- */

/* A model of text continues the text; one that was made for chats is asked. */
static ts_status prompt_from_text(infer *in, const char *text, size_t bytes, infer_prompt *out,
                                  ts_err *err) {
    const infer_options *o = in->options;
    const rt_media_ids *names = rt_model_media_ids(in->model);
    if (!names) {
        if (o->images.count + o->videos.count > 0)
            return ts_fail(err, TS_STATUS_UNSUPPORTED, "a model of type %s sees no images",
                           ts_model_describe(in->model).model_type);
        return ts_tokenizer_encode(in->tokenizer, text, bytes, true, &out->ids, &out->count, err);
    }
    double begin_s = infer_now();
    TS_TRY(infer_media_open(o, &out->media, err));
    if (in->profile && out->media.count > 0)
        rt_profile_add(in->profile, "images", 1e6 * (infer_now() - begin_s));
    rt_chat_form form = {0};
    rt_chat_options options = {.system = o->system};
    TS_TRY(rt_chat_load(o->model_dir, &form, err));
    if (form.warning) fprintf(stderr, "infer: %s\n", form.warning);
    ts_status status = rt_chat_ask(&form, in->tokenizer, names, &out->media.grids, text, bytes,
                                   &options, &out->ids, &out->count, err);
    rt_chat_free(&form);
    return status;
}

/* --embeds: vectors in place of the prompt, or a table for every id. */
static bool open_embeds(infer *in, infer_prompt *out, ts_err *err) {
    const char *path = in->options->embeds;
    int32_t hidden = ts_model_describe(in->model).hidden;
    ts_status status = rt_embeds_read_vectors(path, hidden, &out->vectors, &out->count, err);
    if (status == TS_STATUS_NOT_FOUND) status = ts_embeds_open(path, in->model, &in->embeds, err);
    return status == TS_STATUS_OK;
}

bool infer_prompt_make(infer *in, infer_prompt *out, int *status) {
    const infer_options *o = in->options;
    bool has_text = o->prompt || o->prompt_file, good = true;
    ts_err err = {0};
    ts_buf text = {0};
    *out = (infer_prompt){0};
    if (o->embeds) good = open_embeds(in, out, &err);
    if (good && out->vectors && (has_text || o->tokens)) {
        fprintf(
            stderr,
            "infer: %s holds inputs_embeds, which are the prompt: leave out -p, -f and --tokens\n",
            o->embeds);
        *status = EXIT_USAGE;
        infer_prompt_free(out);
        return false;
    }
    if (good && o->tokens && !infer_parse_ids(o->tokens, "tokens", &out->ids, &out->count)) {
        *status = EXIT_USAGE;
        return false;
    }
    if (good && o->prompt) {
        good = prompt_from_text(in, o->prompt, strlen(o->prompt), out, &err) == TS_STATUS_OK;
    }
    if (good && o->prompt_file) {
        good = ts_file_read(o->prompt_file, &text, &err) == TS_STATUS_OK &&
               prompt_from_text(in, text.data ? text.data : "", text.bytes, out, &err) ==
                   TS_STATUS_OK;
    }
    ts_buf_free(&text);
    if (!good) *status = infer_fail(&err);
    if (good && !out->vectors && !has_text && !o->tokens && !o->bench) {
        fprintf(
            stderr,
            "infer: %s holds no inputs_embeds: what prompt? (-p TEXT, -f FILE or --tokens ID,ID,...)\n",
            o->embeds);
        *status = EXIT_USAGE;
        return false;
    }
    return good;
}

void infer_prompt_free(infer_prompt *prompt) {
    free(prompt->ids);
    free(prompt->vectors);
    infer_media_close(&prompt->media);
    *prompt = (infer_prompt){0};
}

ts_status infer_prompt_feed(const infer_prompt *prompt, ts_session *session, float *logits,
                            ts_err *err) {
    return prompt->vectors
               ? ts_session_prefill_vectors(session, prompt->vectors, prompt->count, logits, err)
               : ts_session_prefill_media(session, prompt->ids, prompt->count, prompt->media.items,
                                          prompt->media.count, logits, err);
}

/* ---- opening ---- */

ts_session_options infer_session(const infer *in) {
    ts_session_options options = ts_session_defaults();
    options.embeds = in->embeds;
    options.unfused = in->options->no_fuse;
    return options;
}

static ts_status open_model(infer *in, ts_err *err) {
    const infer_options *o = in->options;
    return o->random_weights
               ? ts_model_make_up(in->engine, o->model_dir, o->dtype, o->seed, &in->model, err)
               : ts_model_load(in->engine, o->model_dir, o->dtype, &in->model, err);
}

/* A directory without tokenizer.json is fine where no text goes in: ids come out then. */
static ts_status open_tokenizer(infer *in, ts_err *err) {
    const infer_options *o = in->options;
    ts_buf path = {0};
    bool wanted = o->prompt || o->prompt_file || o->perplexity;
    ts_buf_printf(&path, "%s/tokenizer.json", o->model_dir);
    bool there = !path.failed && access(path.data, F_OK) == 0;
    ts_buf_free(&path);
    return wanted || there ? ts_tokenizer_load(o->model_dir, &in->tokenizer, err) : TS_STATUS_OK;
}

static void describe(const infer *in) {
    ts_model_info info = ts_model_describe(in->model);
    fprintf(stderr, "infer: %s, %d layers, %s, %.1f MB of weights, on %s (%s); loaded in %.2f s\n",
            info.model_type, info.layers, ts_dtype_name(info.dtype),
            (double)info.weight_bytes * 1e-6, ts_device_name(ts_engine_device(in->engine)),
            ts_device_target(ts_engine_device(in->engine)), in->load_s);
}

static int run(const infer_options *options) {
    infer in = {.options = options};
    ts_err err = {0};
    ts_engine_options engine = ts_engine_defaults();
    engine.device = options->device;
    engine.threads = options->threads;
    engine.database = options->database;
    engine.log = log_line;
    double begin = infer_now();
    int status;
    if (ts_engine_open(&engine, &in.engine, &err) != TS_STATUS_OK ||
        open_model(&in, &err) != TS_STATUS_OK || open_tokenizer(&in, &err) != TS_STATUS_OK) {
        status = infer_fail(&err);
        goto done;
    }
    in.load_s = infer_now() - begin;
    if (options->verbose) describe(&in);
    status = options->perplexity ? infer_perplexity(&in)
             : options->bench    ? infer_bench(&in)
                                 : infer_generate(&in);
done:
    rt_profile_destroy(in.profile);
    ts_embeds_close(in.embeds);
    ts_tokenizer_close(in.tokenizer);
    ts_model_close(in.model);
    ts_engine_close(in.engine);
    return status;
}

int main(int argc, char **argv) {
    infer_options options;
    int status = EXIT_DONE;
    if (!infer_options_parse(argc, argv, &options)) {
        status = EXIT_USAGE;
    } else if (options.help) {
        infer_options_help();
    } else if (options.version) {
        printf("infer %s\n", ts_version());
    } else if (options.tokenize) {
        status = infer_tokenize(&options);
    } else if (options.detokenize) {
        status = infer_detokenize(&options);
    } else if (options.pixels) {
        status = infer_pixels(&options);
    } else {
        status = run(&options);
    }
    infer_options_free(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("infer: stdout");
        if (status == EXIT_DONE) status = EXIT_FAILED;
    }
    return status;
}
