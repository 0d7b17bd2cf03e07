/* Every variant of every specialization through the compiler.
 *
 * A specialization is listed as soon as its last variant is compiled, in the order of the static
 * model: the sum of a variant's estimates over the selected problems of the specialization, which
 * differ only in extents and so have the same kernels. What has no estimate (the family has no
 * costs, or the variant did not compile) follows in the order of enumeration. */
#include "dry_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "progress.h"
#include "rank.h"
#include "report.h"

typedef struct listing {    /* of one specialization */
    tuner_problem *problem; /* the first of those that share it */
    gen_variant *variants;
    size_t count;
    tuner_listed *done; /* those that are finished */
    size_t done_count;
} listing;

typedef struct dry_run {
    tuner_session *session;
    tuner_progress progress;
    listing *listings;
    size_t listing_count;
    size_t total, done, ok, ranked; /* variants */
    bool default_failed;
} dry_run;

static bool same_spec(const tuner_problem *a, const tuner_problem *b) {
    return a->problem.family == b->problem.family && strcmp(a->spec, b->spec) == 0;
}

static listing *find_listing(const dry_run *d, const tuner_problem *problem) {
    for (size_t i = 0; i < d->listing_count; i++)
        if (same_spec(d->listings[i].problem, problem)) return &d->listings[i];
    return NULL;
}

static ts_status plan(dry_run *d, ts_err *err) {
    tuner_session *s = d->session;
    d->listings = calloc(s->selection.count + 1, sizeof *d->listings);
    if (!d->listings) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of specializations");
    for (size_t i = 0; i < s->selection.count; i++) {
        tuner_problem *problem = &s->selection.problems[i];
        if (find_listing(d, problem)) continue;
        listing *l = &d->listings[d->listing_count++];
        l->problem = problem;
        TS_TRY(gen_enumerate(s->g, &problem->problem, s->target, &l->variants, &l->count, err));
        l->done = calloc(l->count + 1, sizeof *l->done);
        if (!l->done) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of variants");
        d->total += l->count;
    }
    return TS_STATUS_OK;
}

/* ---- one variant ---- */

static ts_status submit(tuner_session *s, listing *l, size_t index, ts_err *err) {
    tuner_candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
    candidate->problem = l->problem;
    candidate->target = s->target;
    candidate->variant = l->variants[index];
    candidate->want = TUNER_WANT_COMPILED;
    candidate->index = index;
    candidate->owner = l;
    ts_status status = tuner_lab_prepare(&s->lab, candidate, err);
    if (status == TS_STATUS_OK)
        tuner_lab_submit(&s->lab, candidate);
    else
        tuner_candidate_free(candidate);
    return status;
}

/* Over all selected problems of the specialization; INFINITY: no estimate. */
static ts_status estimate(const tuner_session *s, const tuner_candidate *candidate, double *sum_us,
                          ts_err *err) {
    *sum_us = strcmp(candidate->result.status, "ok") == 0 ? 0 : INFINITY;
    for (size_t i = 0; i < s->selection.count && isfinite(*sum_us); i++) {
        const tuner_problem *problem = &s->selection.problems[i];
        double us = INFINITY;
        if (!same_spec(problem, candidate->problem)) continue;
        TS_TRY(tuner_estimate_us(s->g, &problem->problem, candidate->target, &candidate->variant,
                                 &candidate->built->compiled, &us, err));
        *sum_us += us;
    }
    return TS_STATUS_OK;
}

/* ---- the list ---- */

static int by_estimate(const void *a, const void *b) {
    const tuner_listed *x = a, *y = b;
    if (x->estimate_us != y->estimate_us) return x->estimate_us < y->estimate_us ? -1 : 1;
    return x->candidate->index < y->candidate->index ? -1 : 1;
}

static void print_listing(dry_run *d, listing *l) {
    tuner_progress_end(&d->progress);
    if (l->done_count) qsort(l->done, l->done_count, sizeof *l->done, by_estimate);
    for (size_t i = 0; i < l->done_count; i++) {
        tuner_listed *listed = &l->done[i];
        bool ok = strcmp(listed->candidate->result.status, "ok") == 0;
        listed->rank = isfinite(listed->estimate_us) ? i + 1 : 0;
        d->ok += ok;
        d->ranked += listed->rank > 0;
        if (listed->candidate->index == 0 && !ok) d->default_failed = true;
        tuner_report_listed(listed, d->session->options->json);
        tuner_candidate_free(listed->candidate);
    }
    l->done_count = 0;
}

static ts_status take_next(dry_run *d, bool *idle, ts_err *err) {
    tuner_candidate *candidate = NULL;
    double us;
    TS_TRY(tuner_lab_next(&d->session->lab, &candidate, err));
    *idle = candidate == NULL;
    if (!candidate) return TS_STATUS_OK;
    listing *l = candidate->owner;
    ts_status status = estimate(d->session, candidate, &us, err);
    if (status != TS_STATUS_OK) {
        tuner_candidate_free(candidate);
        return status;
    }
    tuner_progress_show(&d->progress, ++d->done, d->total, candidate->name);
    l->done[l->done_count++] = (tuner_listed){.candidate = candidate, .estimate_us = us};
    if (l->done_count == l->count) print_listing(d, l);
    return TS_STATUS_OK;
}

static ts_status compile_all(dry_run *d, ts_err *err) {
    tuner_lab *lab = &d->session->lab;
    bool idle = false;
    tuner_progress_stage(&d->progress, "compile", 0);
    for (size_t i = 0; i < d->listing_count; i++)
        for (size_t k = 0; k < d->listings[i].count && !tuner_interrupted; k++) {
            while (!tuner_lab_has_room(lab) && !tuner_interrupted) TS_TRY(take_next(d, &idle, err));
            TS_TRY(submit(d->session, &d->listings[i], k, err));
        }
    while (!idle) TS_TRY(take_next(d, &idle, err));
    for (size_t i = 0; i < d->listing_count; i++) print_listing(d, &d->listings[i]);
    return TS_STATUS_OK;
}

static void release(dry_run *d) {
    for (size_t i = 0; i < d->listing_count; i++) {
        listing *l = &d->listings[i];
        for (size_t k = 0; k < l->done_count; k++) tuner_candidate_free(l->done[k].candidate);
        free(l->done);
        free(l->variants);
    }
    free(d->listings);
}

ts_status tuner_dry_run(tuner_session *session, int *exit_code, ts_err *err) {
    dry_run d = {.session = session};
    tuner_progress_init(&d.progress, session->options->quiet);
    ts_status status = plan(&d, err);
    if (status == TS_STATUS_OK) status = compile_all(&d, err);
    tuner_progress_end(&d.progress);
    if (status == TS_STATUS_OK)
        tuner_progress_line(&d.progress,
                            "%s%zu of %zu variants of %zu specializations for %s: %zu compile, "
                            "%zu rejected; %zu ranked",
                            tuner_interrupted ? "interrupted: " : "", d.done, d.total,
                            d.listing_count, gen_target_name(session->target), d.ok, d.done - d.ok,
                            d.ranked);
    *exit_code = d.default_failed || tuner_interrupted ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    release(&d);
    return status;
}
