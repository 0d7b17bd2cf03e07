/* How near a stored winner is: as far as its extents are off (the sum of |log2 ratio|, as lookup counts
 * at run time), and as far as its target is related. What is not related is left out: across kinds a
 * variant does not even exist. */
#include "seeds.h"

#include <math.h>
#include <string.h>

/* A step to a parent target counts like an extent that is four times another. */
static const double kin_step = 2;

/* Steps from one target to the other through their nearest common ancestor; -1: there is none. */
static int kinship(const gen_target *a, const gen_target *b) {
    int up = 0;
    for (const gen_target *x = a; x; x = gen_target_parent(x), up++) {
        int down = 0;
        for (const gen_target *y = b; y; y = gen_target_parent(y), down++)
            if (x == y) return up + down;
    }
    return -1;
}

/* Only extents differ within a specialization. */
static double extents_apart(const gen_problem *a, const gen_problem *b) {
    double sum = 0;
    for (size_t i = 0; i < GEN_MAX_FIELDS; i++)
        sum += fabs(log2(fmax(1, (double)a->values[i])) - log2(fmax(1, (double)b->values[i])));
    return sum;
}

static bool same_spec(const gen_problem *a, const gen_problem *b) {
    ts_buf x = {0}, y = {0};
    gen_problem_spec(a, &x);
    gen_problem_spec(b, &y);
    bool same = !x.failed && !y.failed && x.bytes == y.bytes &&
                (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);
    ts_buf_free(&x);
    ts_buf_free(&y);
    return same;
}

/* INFINITY: no guess. A row may be of templates that are no longer here. */
static double distance(gen *g, const db_winner *winner, const gen_problem *problem,
                       const gen_target *target) {
    const gen_target *other = gen_target_find(g, winner->target);
    const char *family = gen_family_name(problem->family);
    size_t length = strlen(family);
    gen_problem theirs = {0};
    int steps = other ? kinship(target, other) : -1;
    if (strcmp(winner->evidence, "measured") != 0 || steps < 0) return INFINITY;
    if (strncmp(winner->problem, family, length) != 0 || winner->problem[length] != ' ')
        return INFINITY;
    if (gen_problem_parse(g, winner->problem, &theirs, NULL) != TS_STATUS_OK ||
        !same_spec(problem, &theirs))
        return INFINITY;
    return extents_apart(problem, &theirs) + kin_step * steps;
}

typedef struct guesses {
    const char **variants;
    double apart[TUNER_MAX_SEEDS];
    size_t count;
} guesses;

static void forget(guesses *list, size_t at) {
    size_t behind = --list->count - at;
    memmove(list->variants + at, list->variants + at + 1, behind * sizeof *list->variants);
    memmove(list->apart + at, list->apart + at + 1, behind * sizeof *list->apart);
}

static void insert(guesses *list, const char *variant, double apart) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->variants[i], variant) != 0) continue;
        if (list->apart[i] <= apart) return;
        forget(list, i);
    }
    if (list->count == TUNER_MAX_SEEDS) {
        if (list->apart[TUNER_MAX_SEEDS - 1] <= apart) return;
        list->count--;
    }
    size_t at = list->count++;
    for (; at > 0 && list->apart[at - 1] > apart; at--) {
        list->variants[at] = list->variants[at - 1];
        list->apart[at] = list->apart[at - 1];
    }
    list->variants[at] = variant;
    list->apart[at] = apart;
}

void tuner_seeds_find(gen *g, const db_image *stored, const gen_problem *problem,
                      const gen_target *target, const char *variants[TUNER_MAX_SEEDS],
                      size_t *count) {
    guesses list = {.variants = variants};
    for (size_t i = 0; i < stored->winner_count; i++) {
        const db_winner *winner = &stored->winners[i].winner;
        double apart = distance(g, winner, problem, target);
        if (isfinite(apart)) insert(&list, winner->variant, apart);
    }
    *count = list.count;
}
