/* `tune verify --held-out`: what is lost where a model's shapes fall between the tuned ones.
 *
 * For each specialization with winners on this target, shapes beside the tuned ones are derived. At
 * each, the variant that the runtime's own lookup picks and all other stored kernels of the
 * specialization (the winners of its other shapes, and the default) are verified, then the pick
 * races the others. The loss is how much slower it is than the best of them. Where there is one
 * kernel only, nothing can be lost: it is verified, and left out of the losses. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "commands.h"
#include "held_out_shapes.h"

typedef struct loss {
    const char *family;
    double share; /* 0.05: the pick takes 5 % longer than the best */
} loss;

typedef struct held_out {
    tuner_audit *audit;
    struct {
        const db_kernel *like; /* its family and specialization */
        tuner_shapes shapes;
    } * specs;
    size_t spec_count, total; /* total: of shapes */
    loss *losses;
    size_t loss_count, verified;
} held_out;

/* ---- which shapes ---- */

static bool same_spec(const db_kernel *a, const db_kernel *b) {
    return strcmp(a->family, b->family) == 0 && strcmp(a->spec, b->spec) == 0 &&
           strcmp(a->target, b->target) == 0;
}

static bool is_here(const tuner_audit *a, const db_kernel *kernel) {
    return strcmp(kernel->target, gen_target_name(a->session.target)) == 0;
}

/* Tuned problems of one specialization, each once however many devices have it. */
static size_t tuned_like(const tuner_audit *a, const db_kernel *like, const char **texts) {
    size_t count = 0;
    for (size_t i = 0; i < a->image.winner_count; i++) {
        const db_winner_row *row = &a->image.winners[i];
        bool known = !same_spec(row->kernel, like);
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(texts[k], row->winner.problem) == 0;
        if (!known) texts[count++] = row->winner.problem;
    }
    return count;
}

static bool any_picked(const tuner_audit *a, const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (tuner_audit_picked(a, texts[i])) return true;
    return false;
}

static ts_status add_spec(held_out *h, const db_kernel *like, const char **texts, ts_err *err) {
    for (size_t i = 0; i < h->spec_count; i++)
        if (same_spec(h->specs[i].like, like)) return TS_STATUS_OK;
    size_t count = tuned_like(h->audit, like, texts);
    if (!any_picked(h->audit, texts, count)) return TS_STATUS_OK;
    tuner_shapes *shapes = &h->specs[h->spec_count].shapes;
    h->specs[h->spec_count++].like = like;
    TS_TRY(tuner_shapes_derive(h->audit->session.g, texts, count, like->spec, shapes, err));
    h->total += shapes->count;
    return TS_STATUS_OK;
}

static ts_status plan(held_out *h, ts_err *err) {
    const tuner_audit *a = h->audit;
    const char **texts = calloc(a->image.winner_count + 1, sizeof *texts);
    h->specs = calloc(a->image.winner_count + 1, sizeof *h->specs);
    ts_status status = texts && h->specs
                           ? TS_STATUS_OK
                           : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of held-out shapes");
    for (size_t i = 0; i < a->image.winner_count && status == TS_STATUS_OK; i++)
        if (is_here(a, a->image.winners[i].kernel))
            status = add_spec(h, a->image.winners[i].kernel, texts, err);
    free(texts);
    if (status == TS_STATUS_OK && !(h->losses = calloc(h->total + 1, sizeof *h->losses)))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of losses");
    return status;
}

/* ---- one shape ---- */

/* The kernels that another shape of the specialization would run, and the default: what is in the
 * image. The pick of the runtime is first. */
static ts_status choose_kernels(const held_out *h, const db_kernel *like, const char *pick,
                                const db_kernel **out, size_t *count, ts_err *err) {
    const db_image *image = &h->audit->image;
    *count = 0;
    for (int others = 0; others < 2; others++)
        for (size_t i = 0; i < image->kernel_count; i++) {
            const db_kernel *k = &image->kernels[i];
            bool known = !same_spec(k, like) || (strcmp(k->variant, pick) == 0) == others;
            for (size_t j = 0; j < *count && !known; j++)
                known = strcmp(out[j]->variant, k->variant) == 0 || tuner_same_code(out[j], k);
            if (!known && (others || *count == 0)) out[(*count)++] = k;
        }
    if (*count == 0 || strcmp(out[0]->variant, pick) != 0)
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "%s: the runtime picks %s, which is not stored for %s", h->audit->path.data,
                       pick, like->target);
    return TS_STATUS_OK;
}

/* Races the pick with kernels [from, count), as many as fit a race. */
static ts_status heat(held_out *h, const char *problem, const db_kernel *const *kernels,
                      size_t count, size_t from, tuner_bout *bout, ts_err *err) {
    TS_TRY(tuner_bout_open(&h->audit->session, problem, bout, err));
    tuner_bout_add(bout, kernels[0]);
    for (size_t k = from; k < count && tuner_bout_add(bout, kernels[k]);) k++;
    TS_TRY(tuner_bout_verify(&h->audit->session, bout, 0, err));
    return bout->count > 1 ? tuner_bout_race(&h->audit->session, bout, err) : TS_STATUS_OK;
}

typedef struct outcome { /* of one shape */
    const char *problem, *pick, *best;
    size_t kernels;
    double time_us, loss;
    char reason[1200];
} outcome;

static void note_heat(const tuner_bout *bout, uint64_t seed, outcome *out) {
    if (bout->reason[0]) snprintf(out->reason, sizeof out->reason, "%s", bout->reason);
    if (isnan(out->time_us)) out->time_us = tuner_bout_us(bout, 0, seed);
    for (size_t k = 1; k < bout->count && bout->raced; k++) {
        double lag = tuner_bout_lag(bout, 0, k, seed).median_us;
        if (isnan(out->loss)) out->loss = 0, out->best = out->pick;
        if (lag > out->loss) out->loss = lag, out->best = bout->kernels[k]->variant;
    }
}

static ts_status run_shape(held_out *h, const db_kernel *like, const char *pick, outcome *out,
                           ts_err *err) {
    static tuner_bout bout; /* its rounds are large */
    const db_kernel **kernels = calloc(h->audit->image.kernel_count + 1, sizeof *kernels);
    if (!kernels) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "kernels to race");
    ts_status status = choose_kernels(h, like, pick, kernels, &out->kernels, err);
    if (status == TS_STATUS_OK) out->pick = kernels[0]->variant;
    size_t from = 1;
    while (status == TS_STATUS_OK && !out->reason[0] && !tuner_interrupted) {
        status = heat(h, out->problem, kernels, out->kernels, from, &bout, err);
        if (status == TS_STATUS_OK) note_heat(&bout, h->audit->options->seed, out);
        tuner_bout_free(&bout);
        from += TUNER_MAX_FINALISTS - 1;
        if (from >= out->kernels) break;
    }
    free(kernels);
    return status;
}

/* ---- said ---- */

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(object);
    putchar('\n');
    fflush(stdout);
}

static void print_outcome(const tuner_audit *a, const outcome *o) {
    const char *status = o->reason[0] ? "wrong" : "right";
    if (a->options->json) {
        print_json(json_pack("{ss ss ss ss so so ss? sI}", "problem", o->problem, "variant",
                             o->pick, "status", status, "reason", o->reason, "time_us",
                             number(o->time_us), "loss", number(o->loss), "best", o->best,
                             "kernels", (json_int_t)o->kernels));
        return;
    }
    printf("%-6s ", status);
    if (isnan(o->loss))
        printf("%15s", o->kernels == 1 ? "only kernel" : "-");
    else
        printf("loss %6.2f %%  ", 100 * o->loss);
    printf("  %s  %s", o->problem, o->pick);
    if (o->loss > 0) printf("  best %s", o->best);
    printf("%s%s\n", o->reason[0] ? "  " : "", o->reason);
    fflush(stdout);
}

static int by_share(const void *a, const void *b) {
    double x = ((const loss *)a)->share, y = ((const loss *)b)->share;
    return (x > y) - (x < y);
}

/* Of sorted losses, the smallest that `q` of them do not exceed. */
static double quantile(const loss *sorted, size_t count, double q) {
    size_t rank = (size_t)ceil(q * (double)count);
    return sorted[rank ? rank - 1 : 0].share;
}

/* Sorted losses of one family (NULL: all) as a line. */
static void print_sum(const held_out *h, const char *family) {
    loss *own = calloc(h->loss_count + 1, sizeof *own);
    size_t count = 0;
    for (size_t i = 0; i < h->loss_count && own; i++)
        if (!family || strcmp(h->losses[i].family, family) == 0) own[count++] = h->losses[i];
    double median = NAN, p95 = NAN, worst = NAN;
    if (count) {
        qsort(own, count, sizeof *own, by_share);
        median = quantile(own, count, 0.5);
        p95 = quantile(own, count, 0.95);
        worst = own[count - 1].share;
    }
    free(own);
    if (h->audit->options->json)
        print_json(json_pack("{ss? sI so so so}", "family", family, "shapes", (json_int_t)count,
                             "median_loss", number(median), "p95_loss", number(p95), "worst_loss",
                             number(worst)));
    else if (count)
        printf("%-20s %4zu shapes  loss: median %.2f %%, 95 of 100 below %.2f %%, worst %.2f %%\n",
               family ? family : "all", count, 100 * median, 100 * p95, 100 * worst);
}

static void print_sums(const held_out *h) {
    for (size_t i = 0; i < h->loss_count; i++) {
        bool said = false;
        for (size_t k = 0; k < i && !said; k++)
            said = strcmp(h->losses[k].family, h->losses[i].family) == 0;
        if (!said) print_sum(h, h->losses[i].family);
    }
    print_sum(h, NULL);
    if (!h->audit->options->json)
        printf("%zu held-out shapes right, %zu wrong\n", h->verified - h->audit->wrong,
               h->audit->wrong);
}

/* ---- all shapes ---- */

static ts_status run_one(held_out *h, const db_kernel *like, const char *problem, ts_err *err) {
    outcome out = {.problem = problem, .time_us = NAN, .loss = NAN};
    ts_buf pick = {0};
    ts_status status = tuner_lab_lookup(&h->audit->session.lab, h->audit->path.data, problem, &pick,
                                        err);
    if (status == TS_STATUS_OK) status = run_shape(h, like, pick.data, &out, err);
    ts_buf_free(&pick);
    if (status == TS_STATUS_CANCELLED || tuner_interrupted) return TS_STATUS_OK;
    if (status != TS_STATUS_OK) return status;
    h->verified++;
    h->audit->wrong += out.reason[0] != '\0';
    if (!out.reason[0] && !isnan(out.loss))
        h->losses[h->loss_count++] = (loss){like->family, out.loss};
    tuner_progress_end(&h->audit->progress);
    print_outcome(h->audit, &out);
    return TS_STATUS_OK;
}

static ts_status run_all(held_out *h, ts_err *err) {
    tuner_audit *a = h->audit;
    size_t left = h->total, index = 0;
    bool all = a->options->sample < 0 || (size_t)a->options->sample > h->total;
    size_t to_take = all ? h->total : (size_t)a->options->sample, to_do = to_take;
    tuner_progress_stage(&a->progress, "held out", 0);
    for (size_t i = 0; i < h->spec_count; i++)
        for (size_t k = 0; k < h->specs[i].shapes.count && !tuner_interrupted; k++) {
            const char *problem = h->specs[i].shapes.texts[k];
            if (!tuner_audit_drawn(a, index++, &left, &to_take)) continue;
            tuner_progress_show(&a->progress, h->verified, to_do, problem);
            TS_TRY(run_one(h, h->specs[i].like, problem, err));
        }
    tuner_audit_end(a, h->verified, to_do);
    return TS_STATUS_OK;
}

ts_status tuner_audit_held_out(tuner_audit *audit, ts_err *err) {
    held_out h = {.audit = audit};
    ts_status status = plan(&h, err);
    if (status == TS_STATUS_OK && h.total == 0) status = tuner_audit_nothing(audit, err);
    if (status == TS_STATUS_OK) status = run_all(&h, err);
    tuner_progress_end(&audit->progress);
    if (status == TS_STATUS_OK) print_sums(&h);
    for (size_t i = 0; i < h.spec_count; i++) tuner_shapes_free(&h.specs[i].shapes);
    free(h.specs);
    free(h.losses);
    return status;
}
