/* Sampling on the host, in the order and with the formulas of the reference: penalty, temperature,
 * top-k, top-p, min-p, softmax, draw. Candidates live in one array sorted best first; each filter
 * only shortens it.
 *
 * Random numbers are counter based: draw n of seed s is a hash of (s, n), so that a seed gives the
 * same text whatever runs beside it.
 */
#include "sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "random.h"

typedef struct candidate {
    float score;
    int32_t id;
} candidate;

struct ts_sampler {
    ts_sampler_options options;
    uint64_t draws;
    int32_t vocab;
    candidate *candidates; /* [vocab] */
    double *weights;       /* [vocab] */
};

ts_sampler_options ts_sampler_defaults(void) {
    return (ts_sampler_options){
        .size = sizeof(ts_sampler_options), .top_p = 1, .repeat_penalty = 1};
}

ts_status ts_sampler_create(const ts_sampler_options *options, int32_t vocab, ts_sampler **out,
                            ts_err *err) {
    ts_sampler_options o = ts_sampler_defaults();
    rt_options_copy(&o, options, sizeof o);
    const char *bad = !(o.temperature >= 0 && o.temperature < INFINITY)
                          ? "temperature is not 0 or more"
                      : o.top_k < 0                     ? "top_k is not 0 or more"
                      : !(o.top_p > 0 && o.top_p <= 1)  ? "top_p is not in (0, 1]"
                      : !(o.min_p >= 0 && o.min_p <= 1) ? "min_p is not in [0, 1]"
                      : !(o.repeat_penalty > 0 && o.repeat_penalty < INFINITY)
                          ? "repeat_penalty is not above 0"
                      : vocab < 1 ? "vocab is not 1 or more"
                                  : NULL;
    if (bad) return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "sampling: %s", bad);
    ts_sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "sampler");
    sampler->options = o;
    sampler->vocab = vocab;
    sampler->candidates = malloc((size_t)vocab * sizeof *sampler->candidates);
    sampler->weights = malloc((size_t)vocab * sizeof *sampler->weights);
    if (!sampler->candidates || !sampler->weights) {
        ts_sampler_close(sampler);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "sampler of %d ids", vocab);
    }
    *out = sampler;
    return TS_STATUS_OK;
}

void ts_sampler_close(ts_sampler *sampler) {
    if (!sampler) return;
    free(sampler->candidates);
    free(sampler->weights);
    free(sampler);
}

bool rt_sampler_is_greedy(const ts_sampler *sampler) {
    return !sampler || (sampler->options.temperature == 0 && sampler->options.repeat_penalty == 1);
}

/* Best first; the lower id first among equals. */
static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Logits to candidates, with the repetition penalty; NaN counts as the worst score. */
static void fill(ts_sampler *s, const float *logits, const uint8_t *seen) {
    float penalty = s->options.repeat_penalty;
    for (int32_t i = 0; i < s->vocab; i++) {
        float score = logits[i];
        if (seen && seen[i]) score = score < 0 ? score * penalty : score / penalty;
        s->candidates[i] = (candidate){score == score ? score : -INFINITY, i};
    }
}

static int32_t best(const ts_sampler *s) {
    const candidate *top = &s->candidates[0];
    for (int32_t i = 1; i < s->vocab; i++) {
        if (s->candidates[i].score > top->score) top = &s->candidates[i];
    }
    return top->id;
}

/* Candidates left by top-k: those not below the k-th best. */
static size_t keep_top_k(const ts_sampler *s, size_t count) {
    size_t k = (size_t)s->options.top_k;
    if (k == 0 || k >= count) return count;
    while (k < count && s->candidates[k].score == s->candidates[k - 1].score) k++;
    return k;
}

/* weights[i] = exp(score - best score), not normalised. Returns their sum. */
static double weigh(ts_sampler *s, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        s->weights[i] = exp((double)s->candidates[i].score - (double)s->candidates[0].score);
        sum += s->weights[i];
    }
    return sum;
}

/* Drops from the worst up while the probability dropped stays within 1 - p; the best one always
 * stays. */
static size_t keep_top_p(const ts_sampler *s, size_t count, double sum) {
    double dropped = 0, limit = (1 - (double)s->options.top_p) * sum;
    while (count > 1 && dropped + s->weights[count - 1] <= limit) dropped += s->weights[--count];
    return count;
}

static size_t keep_min_p(const ts_sampler *s, size_t count) {
    while (count > 1 && s->weights[count - 1] < (double)s->options.min_p)
        count--; /* the best one weighs 1 */
    return count;
}

static int32_t draw(ts_sampler *s, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += s->weights[i];
    double left = rt_uniform(s->options.seed, s->draws++) * sum;
    for (size_t i = 0; i + 1 < count; i++) {
        left -= s->weights[i];
        if (left < 0) return s->candidates[i].id;
    }
    return s->candidates[count - 1].id;
}

int32_t ts_sampler_pick(ts_sampler *s, const float *logits, const uint8_t *seen) {
    fill(s, logits, seen);
    if (s->options.temperature == 0) return best(s);
    size_t count = (size_t)s->vocab;
    for (size_t i = 0; i < count; i++) s->candidates[i].score /= s->options.temperature;
    qsort(s->candidates, count, sizeof *s->candidates, by_score);
    if (s->candidates[0].score == -INFINITY)
        return s->candidates[0].id; /* no number to choose by */
    count = keep_top_k(s, count);
    double sum = weigh(s, count);
    count = keep_top_p(s, count, sum);
    return draw(s, keep_min_p(s, count));
}
