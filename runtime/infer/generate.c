/* The main mode: feed the prompt, then print what follows as it comes. Text is written in whole
 * UTF-8 characters; without a tokenizer the ids are written. Ctrl-C ends the loop, not the program:
 * what was generated is flushed and the summary still printed. A second Ctrl-C ends the program.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../db/base.h"
#include "infer.h"

enum { DEFAULT_NEW_TOKENS = 128 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

typedef struct generation {
    infer *in;
    ts_session *session;
    ts_sampler *sampler;
    ts_text_stream stream;
    ts_buf text;  /* --json: what the present token completes */
    size_t limit; /* most tokens of prompt and output together; 0: no limit */
    size_t prompt_tokens, new_tokens;
    double begin, first, end; /* prompt begun, first token there, last token there; seconds */
    const char *finish;       /* "stop", "length", "cancelled" */
} generation;

static void write_text(void *context, const char *text, size_t bytes) {
    generation *g = context;
    if (g->in->options->json) {
        ts_buf_append(&g->text, text, bytes);
    } else {
        fwrite(text, 1, bytes, stdout);
    }
}

static void print_json(json_t *object) {
    char *line = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (line) puts(line);
    fflush(stdout);
    free(line);
    json_decref(object);
}

/* One generated id on stdout. */
static void emit(generation *g, int32_t id) {
    const infer *in = g->in;
    ts_buf_clear(&g->text);
    if (in->tokenizer) {
        ts_tokenizer_stream(in->tokenizer, &g->stream, id, write_text, g);
    } else if (!in->options->json) {
        printf(g->new_tokens ? ",%d" : "%d", id);
    }
    if (in->options->json) {
        json_t *text = in->tokenizer ? json_stringn(g->text.data ? g->text.data : "", g->text.bytes)
                                     : json_null();
        print_json(json_pack("{s:i, s:o}", "token", id, "text", text));
    }
    fflush(stdout);
}

static bool context_is_full(const generation *g) {
    return g->limit > 0 && g->prompt_tokens + g->new_tokens >= g->limit;
}

static size_t most_new_tokens(const infer_options *o) {
    return o->new_tokens < 0 ? DEFAULT_NEW_TOKENS : (size_t)o->new_tokens;
}

static ts_status loop(generation *g, ts_err *err) {
    int32_t id;
    size_t most = most_new_tokens(g->in->options);
    g->finish = "length";
    while (g->new_tokens < most && !context_is_full(g)) {
        if (interrupted) {
            g->finish = "cancelled";
            break;
        }
        TS_TRY(ts_session_next(g->session, g->sampler, &id, err));
        g->end = infer_now();
        if (g->first == 0) g->first = g->end;
        if (ts_model_is_end(g->in->model, id)) {
            g->finish = "stop";
            break;
        }
        emit(g, id);
        g->new_tokens++;
    }
    return TS_STATUS_OK;
}

/* The prompt, its logits written if wanted. */
static ts_status feed(generation *g, const infer_prompt *prompt, ts_err *err) {
    const char *path = g->in->options->logits;
    infer_logits logits = {0};
    g->begin = infer_now();
    g->prompt_tokens = prompt->count;
    if (!path) return infer_prompt_feed(prompt, g->session, NULL, err);
    if (!infer_logits_make(prompt->count, (size_t)ts_model_describe(g->in->model).vocab, &logits)) {
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "logits of %zu positions", prompt->count);
    }
    ts_status status = infer_prompt_feed(prompt, g->session, logits.values, err);
    if (status == TS_STATUS_OK) status = ts_file_write(path, logits.file, logits.bytes, err);
    free(logits.file);
    return status;
}

/* The cache of a session takes memory by its context: as much as prompt and answer can need. */
static ts_status choose_context(generation *g, size_t prompt_tokens, int32_t *context,
                                ts_err *err) {
    const infer_options *o = g->in->options;
    int32_t most = ts_model_describe(g->in->model).context;
    if (most > 0 && o->context > most)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "-c %d: the model takes %d tokens (max_position_embeddings)", o->context,
                       most);
    g->limit = (size_t)(o->context > 0 ? o->context : most);
    if (g->limit > 0 && prompt_tokens > g->limit) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "the prompt has %zu tokens, %s %zu",
                       prompt_tokens, o->context > 0 ? "-c allows" : "the model takes", g->limit);
    }
    size_t wanted = prompt_tokens + most_new_tokens(o);
    *context = most == 0 ? 0 : (int32_t)(wanted < g->limit ? wanted : g->limit);
    return TS_STATUS_OK;
}

static double rate(size_t count, double seconds) {
    return seconds > 0 ? (double)count / seconds : 0;
}

static json_t *rate_or_null(size_t count, double seconds) {
    return count > 0 && seconds > 0 ? json_real(rate(count, seconds)) : json_null();
}

/* What is left to say after the last token. The first token's time counts as the prompt's. */
static void finish(generation *g) {
    const infer *in = g->in;
    size_t steps = g->new_tokens > 1 ? g->new_tokens - 1 : 0;
    double prefill_s = (g->first > 0 ? g->first : infer_now()) - g->begin,
           decode_s = g->end - g->first;
    ts_buf_clear(&g->text);
    ts_text_stream_end(&g->stream, write_text, g);
    if (in->options->json) {
        print_json(json_pack("{s:s, s:s%, s:I, s:I, s:f, s:o, s:o}", "finish", g->finish, "text",
                             g->text.data ? g->text.data : "", g->text.bytes, "prompt_tokens",
                             (json_int_t)g->prompt_tokens, "new_tokens", (json_int_t)g->new_tokens,
                             "load_s", in->load_s, "prefill_tokens_per_s",
                             rate_or_null(g->prompt_tokens, prefill_s), "decode_tokens_per_s",
                             rate_or_null(steps, decode_s)));
    } else if ((!in->tokenizer && g->new_tokens > 0) || isatty(STDOUT_FILENO)) {
        printf("\n");
    }
    fflush(stdout);
    if (in->options->verbose) {
        fprintf(stderr,
                "infer: prompt %zu tokens, %.1f tok/s; generated %zu tokens, %.1f tok/s; %s\n",
                g->prompt_tokens, rate(g->prompt_tokens, prefill_s), g->new_tokens,
                rate(steps, decode_s), g->finish);
    }
}

/* What a session takes to create is no part of a run, so a profile does not count it. */
static ts_status create_session(generation *g, const ts_session_options *options, ts_err *err) {
    rt_profile *profile = g->in->profile;
    if (profile) TS_TRY(rt_profile_pause(profile, err));
    TS_TRY(ts_session_create(g->in->model, options, &g->session, err));
    if (profile) rt_profile_resume(profile);
    return TS_STATUS_OK;
}

int infer_generate(infer *in) {
    generation g = {.in = in};
    infer_prompt prompt = {0};
    ts_err err = {0};
    int status = EXIT_DONE;
    if (in->options->profile && infer_profile_open(in, &err) != TS_STATUS_OK)
        return infer_fail(&err);
    if (in->profile) rt_profile_resume(in->profile);
    if (!infer_prompt_make(in, &prompt, &status)) return status;
    ts_session_options session = infer_session(in);
    ts_sampler_options sampling = infer_sampling(in->options, in->model);
    session.all_logits = in->options->logits != NULL;
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    if (choose_context(&g, prompt.count, &session.context, &err) != TS_STATUS_OK ||
        ts_sampler_create(&sampling, ts_model_describe(in->model).vocab, &g.sampler, &err) !=
            TS_STATUS_OK ||
        create_session(&g, &session, &err) != TS_STATUS_OK ||
        feed(&g, &prompt, &err) != TS_STATUS_OK || loop(&g, &err) != TS_STATUS_OK) {
        status = infer_fail(&err);
    } else {
        finish(&g);
        if (in->profile && infer_profile_report(in, &prompt, g.new_tokens, &err) != TS_STATUS_OK)
            status = infer_fail(&err);
    }
    ts_session_close(g.session);
    ts_sampler_close(g.sampler);
    ts_buf_free(&g.text);
    infer_prompt_free(&prompt);
    return status;
}
