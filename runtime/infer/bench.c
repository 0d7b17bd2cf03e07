/* --bench: prefill and decode speed as a user meets them, sampling included. The prompt is the
 * given one, else 512 made-up ids. One round warms up, then the best of three is taken: what
 * disturbs a round only ever slows it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../db/base.h"
#include "infer.h"

enum { PROMPT_TOKENS = 512, NEW_TOKENS = 128, ROUNDS = 3 };

typedef struct speed {
    double prefill_s, decode_s;
} speed;

/* Ids spread over the vocabulary, the same every time. */
static bool invent_prompt(infer_prompt *out, int32_t vocab) {
    out->ids = malloc(PROMPT_TOKENS * sizeof *out->ids);
    if (!out->ids) return false;
    for (int32_t i = 0; i < PROMPT_TOKENS; i++) out->ids[i] = (int32_t)((int64_t)i * 7919 % vocab);
    out->count = PROMPT_TOKENS;
    return true;
}

/* The prompt until its first token is there, then `steps` more tokens. */
static ts_status round_trip(ts_session *session, ts_sampler *sampler, const infer_prompt *prompt,
                            int32_t steps, speed *out, ts_err *err) {
    int32_t id;
    TS_TRY(ts_session_reset(session, err));
    double begin = infer_now();
    TS_TRY(infer_prompt_feed(prompt, session, NULL, err));
    TS_TRY(ts_session_next(session, sampler, &id, err));
    double first = infer_now();
    for (int32_t i = 0; i < steps; i++) TS_TRY(ts_session_next(session, sampler, &id, err));
    *out = (speed){first - begin, infer_now() - first};
    return TS_STATUS_OK;
}

static ts_status measure(infer *in, const infer_prompt *prompt, int32_t steps, speed *best,
                         ts_err *err) {
    ts_session_options options = ts_session_defaults();
    ts_sampler_options sampling = infer_sampling(in->options, in->model);
    ts_session *session = NULL;
    ts_sampler *sampler = NULL;
    options.embeds = in->embeds;
    ts_status status = ts_sampler_create(&sampling, ts_model_describe(in->model).vocab, &sampler,
                                         err);
    if (status == TS_STATUS_OK) status = ts_session_create(in->model, &options, &session, err);
    for (int round = 0; round <= ROUNDS && status == TS_STATUS_OK; round++) {
        speed s = {0};
        status = round_trip(session, sampler, prompt, steps, &s, err);
        if (round == 1 || (round > 1 && s.prefill_s < best->prefill_s))
            best->prefill_s = s.prefill_s;
        if (round == 1 || (round > 1 && s.decode_s < best->decode_s)) best->decode_s = s.decode_s;
    }
    ts_session_close(session);
    ts_sampler_close(sampler);
    return status;
}

int infer_bench(infer *in) {
    infer_prompt prompt = {0};
    ts_err err = {0};
    speed best = {0};
    int status = EXIT_DONE;
    int32_t steps = in->options->new_tokens > 0 ? in->options->new_tokens : NEW_TOKENS;
    if (!infer_prompt_make(in, &prompt, &status)) return status;
    if (!prompt.ids && !prompt.vectors &&
        !invent_prompt(&prompt, ts_model_describe(in->model).vocab)) {
        ts_fail(&err, TS_STATUS_OUT_OF_MEMORY, "prompt");
        return infer_fail(&err);
    }
    if (measure(in, &prompt, steps, &best, &err) != TS_STATUS_OK) {
        status = infer_fail(&err);
    } else if (in->options->json) {
        printf("{\"load_s\":%.6f,\"prefill_tokens\":%zu,\"prefill_tokens_per_s\":%.3f,\"decode_tokens\":%d,"
               "\"decode_tokens_per_s\":%.3f}\n",
               in->load_s, prompt.count, (double)prompt.count / best.prefill_s, steps,
               steps / best.decode_s);
    } else {
        printf("load     %.3f s\nprefill  %zu tokens, %.1f tok/s\ndecode   %d tokens, %.1f tok/s\n",
               in->load_s, prompt.count, (double)prompt.count / best.prefill_s, steps,
               steps / best.decode_s);
    }
    infer_prompt_free(&prompt);
    return status;
}
