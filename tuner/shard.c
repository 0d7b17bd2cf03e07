/* Dealing problems out to shards: from the largest to the smallest, in rounds in which every shard gets one,
 * the one with the least work so far first.
 *
 * So the shards differ by one problem at most, which is what counts on a GPU, where nearly all of the time goes
 * into compiling; and by little work, which is what counts on a CPU. The work of a problem is its
 * operations and ten times its bytes: on a CPU that is about what inputs, oracle and timing of a
 * candidate take, in nanoseconds.
 *
 * A shard covers the default of every specialization that it has a problem of, as any tune does;
 * shards may share a specialization, and merging stores its kernels once.
 */
#include "shard.h"

#include <stdlib.h>
#include <string.h>

typedef struct share {
    size_t problem; /* in the selection */
    const char *text;
    double work;
    int shard; /* from 0 */
} share;

static ts_status weigh(gen *g, const tuner_problem *problem, double *work, ts_err *err) {
    double flops, bytes;
    TS_TRY(tuner_problem_work(g, problem, &flops, &bytes, err));
    *work = flops + 10 * bytes;
    return TS_STATUS_OK;
}

static int by_work(const void *a, const void *b) {
    const share *x = a, *y = b;
    if (x->work != y->work) return x->work < y->work ? 1 : -1;
    return strcmp(x->text, y->text);
}

static int by_problem(const void *a, const void *b) {
    const share *x = a, *y = b;
    return (x->problem > y->problem) - (x->problem < y->problem);
}

/* `dealt` and `work` are zero, one place a shard. */
static void deal(share *shares, size_t total, size_t *dealt, double *work, int count) {
    for (size_t i = 0; i < total; i++) {
        size_t round = i / (size_t)count;
        int least = -1;
        for (int s = 0; s < count; s++)
            if (dealt[s] == round && (least < 0 || work[s] < work[least])) least = s;
        dealt[least]++;
        work[least] += shares[i].work;
        shares[i].shard = least;
    }
}

/* Those of other shards are freed. */
static void keep(tuner_selection *selection, const share *shares, int shard) {
    size_t kept = 0;
    for (size_t i = 0; i < selection->count; i++) {
        tuner_problem *problem = &selection->problems[i];
        if (shares[i].shard == shard) {
            selection->problems[kept++] = *problem;
        } else {
            free(problem->text);
            free(problem->spec);
        }
    }
    selection->count = kept;
}

ts_status tuner_shard(gen *g, tuner_selection *selection, int index, int count, ts_err *err) {
    size_t total = selection->count;
    share *shares = calloc(total + 1, sizeof *shares);
    size_t *dealt = calloc((size_t)count, sizeof *dealt);
    double *work = calloc((size_t)count, sizeof *work);
    ts_status status = TS_STATUS_OK;
    if (!shares || !dealt || !work) status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "shards");
    for (size_t i = 0; i < total && status == TS_STATUS_OK; i++) {
        shares[i] = (share){.problem = i, .text = selection->problems[i].text};
        status = weigh(g, &selection->problems[i], &shares[i].work, err);
    }
    if (status == TS_STATUS_OK) {
        qsort(shares, total, sizeof *shares, by_work);
        deal(shares, total, dealt, work, count);
        qsort(shares, total, sizeof *shares, by_problem);
        keep(selection, shares, index - 1);
    }
    free(shares);
    free(dealt);
    free(work);
    return status;
}
