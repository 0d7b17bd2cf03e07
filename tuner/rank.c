/* Ranking without a device.
 *
 * A launch is waves of blocks. An SM works on as many blocks as fit it; they share its busiest unit
 * (`issue` cycles each), and no block ends before its own chain of dependent work does (`latency`).
 * So a wave of r blocks on an SM takes max(latency, r * issue). Both cycle counts are the family's
 * formulas; how many blocks fit follows from the compiler's registers and shared memory. */
#include "rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Compiled of each problem; the model without registers orders the rest out. */
enum { COMPILED_VARIANTS = 12 };

/* Of one launch inside a captured graph, measured on an H100 (empty kernels). */
static const double launch_us = 1.0;

/* Registers are given out to a warp in units of 256 (CUDA occupancy tables, all of our targets). */
static double warp_registers(double per_thread) { return 256 * ceil(per_thread * 32 / 256); }

static double fact(const gen_target *target, const char *name) {
    double value = NAN;
    return gen_target_fact(target, name, &value) ? value : NAN;
}

/* Blocks that fit one SM. */
static double resident_blocks(const gen_target *target, const gen_cost *cost,
                              const tuner_compiled *compiled) {
    enum { SYSTEM_SHARED_BYTES = 1024 }; /* the driver's own share of each block's */
    double shared = cost->shared_bytes + SYSTEM_SHARED_BYTES;
    double blocks = fmin(fact(target, "blocks_sm"),
                         floor(fact(target, "threads_sm") / cost->threads));
    if (compiled && compiled->shared_bytes > 0) shared += compiled->shared_bytes;
    blocks = fmin(blocks, floor(fact(target, "shared_sm_bytes") / shared));
    double registers = compiled && compiled->registers > 0 ? compiled->registers : cost->registers;
    if (registers > 0)
        blocks = fmin(blocks, floor(fact(target, "registers_sm") /
                                    (warp_registers(registers) * ceil(cost->threads / 32))));
    return blocks;
}

static double wave_cycles(const gen_cost *cost, double blocks) {
    return blocks > 0 ? fmax(cost->latency, blocks * cost->issue) : 0;
}

double tuner_predict_us(const gen_target *target, const gen_cost *costs, size_t count,
                        const tuner_compiled *compiled) {
    double us = 0, sm_count = fact(target, "sm_count");
    for (size_t i = 0; i < count; i++) {
        double resident = resident_blocks(target, &costs[i], compiled);
        if (!(resident >= 1)) return INFINITY;
        double waves = floor(costs[i].blocks / (sm_count * resident));
        double rest = costs[i].blocks - waves * sm_count * resident;
        double cycles = waves * wave_cycles(&costs[i], resident) +
                        wave_cycles(&costs[i], ceil(rest / sm_count));
        us += launch_us + cycles / fact(target, "clock_mhz");
    }
    return us;
}

ts_status tuner_estimate_us(gen *g, const gen_problem *problem, const gen_target *target,
                            const gen_variant *variant, const tuner_compiled *compiled, double *us,
                            ts_err *err) {
    gen_cost costs[GEN_MAX_LAUNCHES];
    size_t launches = 0;
    ts_status status = gen_costs(g, variant, problem, target, costs, &launches, err);
    if (status != TS_STATUS_OK && status != TS_STATUS_NOT_FOUND) return status;
    bool known = status == TS_STATUS_OK && launches > 0;
    *us = known ? tuner_predict_us(target, costs, launches, compiled) : INFINITY;
    return TS_STATUS_OK;
}

ts_status tuner_favourites(gen *g, const gen_problem *problem, const gen_target *target,
                           const gen_variant *variants, size_t count, tuner_shortlist *list,
                           ts_err *err) {
    double best[TUNER_SHORTLIST];
    list->count = 0;
    for (size_t i = 0; i < count; i++) {
        double us;
        TS_TRY(tuner_estimate_us(g, problem, target, &variants[i], NULL, &us, err));
        if (!isfinite(us)) continue;
        size_t at = list->count;
        while (at > 0 && us < best[at - 1]) at--;
        if (at == TUNER_SHORTLIST) continue;
        if (list->count < TUNER_SHORTLIST) list->count++;
        for (size_t j = list->count - 1; j > at; j--) {
            best[j] = best[j - 1];
            list->index[j] = list->index[j - 1];
        }
        best[at] = us;
        list->index[at] = i;
    }
    return TS_STATUS_OK;
}

/* ---- from estimates to a pick ---- */

typedef struct estimate {
    size_t index;
    double us;
} estimate;

typedef struct ranking {
    tuner_session *session;
    tuner_problem *problem;
    const gen_target *target;
    const gen_variant *variants;
    estimate *estimates;
    size_t count; /* of estimates */
    tuner_candidate *pick;
    double pick_us;
} ranking;

/* Equal estimates keep the order of enumeration, in which the default is first. */
static int by_time(const void *a, const void *b) {
    const estimate *x = a, *y = b;
    if (x->us != y->us) return x->us < y->us ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static ts_status estimate_one(const ranking *r, size_t index, const tuner_compiled *compiled,
                              double *us, ts_err *err) {
    return tuner_estimate_us(r->session->g, &r->problem->problem, r->target, &r->variants[index],
                             compiled, us, err);
}

static ts_status estimate_all(ranking *r, size_t count, ts_err *err) {
    for (size_t i = 0; i < count; i++) {
        double us;
        TS_TRY(estimate_one(r, i, NULL, &us, err));
        if (isfinite(us)) r->estimates[r->count++] = (estimate){i, us};
    }
    qsort(r->estimates, r->count, sizeof *r->estimates, by_time);
    if (r->count > COMPILED_VARIANTS) r->count = COMPILED_VARIANTS;
    return TS_STATUS_OK;
}

static ts_status submit(ranking *r, size_t index, ts_err *err) {
    tuner_lab *lab = &r->session->lab;
    tuner_candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
    candidate->problem = r->problem;
    candidate->target = r->target;
    candidate->variant = r->variants[index];
    candidate->want = TUNER_WANT_COMPILED;
    candidate->index = index;
    ts_status status = tuner_lab_prepare(lab, candidate, err);
    if (status == TS_STATUS_OK)
        tuner_lab_submit(lab, candidate);
    else
        tuner_candidate_free(candidate);
    return status;
}

/* Keeps the candidate if it is the best so far, else frees it. */
static ts_status judge(ranking *r, tuner_candidate *candidate, ts_err *err) {
    double us = INFINITY;
    ts_status status = TS_STATUS_OK;
    if (strcmp(candidate->result.status, "ok") == 0)
        status = estimate_one(r, candidate->index, &candidate->built->compiled, &us, err);
    for (size_t i = 0; i < r->count; i++)
        if (r->estimates[i].index == candidate->index) r->estimates[i].us = us;
    bool better = us < r->pick_us ||
                  (us == r->pick_us && r->pick && candidate->index < r->pick->index);
    if (better) {
        tuner_candidate_free(r->pick);
        r->pick = candidate;
        r->pick_us = us;
    } else
        tuner_candidate_free(candidate);
    return status;
}

static ts_status compile_and_judge(ranking *r, ts_err *err) {
    tuner_candidate *candidate = NULL;
    for (size_t i = 0; i < r->count; i++) TS_TRY(submit(r, r->estimates[i].index, err));
    do {
        TS_TRY(tuner_lab_next(&r->session->lab, &candidate, err));
        if (candidate) TS_TRY(judge(r, candidate, err));
    } while (candidate);
    return TS_STATUS_OK;
}

/* The estimates by now count registers; what does not compile is at the end, at infinity. */
static void shorten(ranking *r, tuner_shortlist *first) {
    qsort(r->estimates, r->count, sizeof *r->estimates, by_time);
    for (first->count = 0; first->count < TUNER_SHORTLIST && first->count < r->count;
         first->count++) {
        if (!isfinite(r->estimates[first->count].us)) break;
        first->index[first->count] = r->estimates[first->count].index;
    }
}

ts_status tuner_rank(tuner_session *session, tuner_problem *problem, const gen_target *target,
                     const gen_variant *variants, size_t count, tuner_candidate **pick,
                     tuner_shortlist *first, ts_err *err) {
    ranking r = {session, problem, target, variants, NULL, 0, NULL, INFINITY};
    r.estimates = calloc(count + 1, sizeof *r.estimates);
    if (!r.estimates) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "ranking");
    ts_status status = estimate_all(&r, count, err);
    if (status == TS_STATUS_OK) status = compile_and_judge(&r, err);
    if (status == TS_STATUS_OK && first) shorten(&r, first);
    free(r.estimates);
    if (status == TS_STATUS_OK)
        *pick = r.pick;
    else
        tuner_candidate_free(r.pick);
    return status;
}
