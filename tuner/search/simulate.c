/* `tune simulate`: strategies replayed on a recorded space, scored by the share of the optimum that
 * they reach in so many evaluations. */
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../commands.h"
#include "../timing.h"
#include "recorded.h"

enum { MAX_BUDGETS = 16, MAX_REPEATS = 100000 };

typedef struct simulation {
    const char *path;
    const tuner_strategy *strategy; /* NULL: all of them */
    long budgets[MAX_BUDGETS];      /* evaluations, ascending */
    size_t budget_count;
    long repeats, seed;
    bool json;
} simulation;

/* ---- options ---- */

static bool read_count(const char *text, long most, long *out, const char **end) {
    char *rest;
    *out = strtol(text, &rest, 10);
    *end = rest;
    return rest != text && *out >= 1 && *out <= most;
}

/* "50,100,200" */
static bool read_budgets(const char *text, simulation *s) {
    for (s->budget_count = 0; s->budget_count < MAX_BUDGETS; text++) {
        long *budget = &s->budgets[s->budget_count++];
        if (!read_count(text, 1000000, budget, &text)) return false;
        if (s->budget_count > 1 && *budget <= budget[-1]) return false;
        if (*text != ',') return *text == '\0';
    }
    return false;
}

static ts_status refuse(const char *option, const char *value, ts_err *err) {
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "--%s %s: %s", option, value,
                   strcmp(option, "strategy") == 0 ? "no such strategy; see tune --help"
                   : strcmp(option, "evals") == 0  ? "counts of evaluations, ascending: 50,100,200"
                                                   : "not a count");
}

static ts_status parse(int argc, char **argv, simulation *out, ts_err *err) {
    static const struct option longs[] = {
        {"strategy", required_argument, NULL, 's'}, {"evals", required_argument, NULL, 'e'},
        {"repeats", required_argument, NULL, 'r'},  {"seed", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},           {NULL, 0, NULL, 0}};
    const char *end = "";
    *out = (simulation){.budgets = {50, 100, 200}, .budget_count = 3, .repeats = 60, .seed = 1};
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        bool good = true;
        switch (id) {
        case 's': good = (out->strategy = tuner_strategy_find(optarg)) != NULL; break;
        case 'e': good = read_budgets(optarg, out); break;
        case 'r': good = read_count(optarg, MAX_REPEATS, &out->repeats, &end) && !*end; break;
        case 'n': good = read_count(optarg, MAX_REPEATS, &out->seed, &end) && !*end; break;
        case 'j': out->json = true; break;
        default:
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option or missing value: %s",
                           argv[optind - 1]);
        }
        for (size_t i = 0; !good && longs[i].name; i++)
            if (longs[i].val == id) return refuse(longs[i].name, optarg, err);
    }
    if (optind != argc - 1)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "tune simulate needs one cache file");
    out->path = argv[optind];
    return TS_STATUS_OK;
}

/* ---- replay ---- */

/* shares[b]: the best cost of the space over the best found within budgets[b]. */
static bool replay(const simulation *s, const tuner_recorded *recorded,
                   const tuner_strategy *strategy, uint64_t seed, double *shares) {
    tuner_search *search = tuner_search_create(strategy, &recorded->space, seed);
    double found = INFINITY;
    size_t point, budget = 0;
    if (!search) return false;
    for (long n = 1; budget < s->budget_count; n++) {
        if (tuner_search_next(search, &point)) {
            tuner_search_tell(search, point, recorded->costs[point]);
            found = fmin(found, recorded->costs[point]);
        }
        if (n == s->budgets[budget]) shares[budget++] = recorded->best / found;
    }
    tuner_search_free(search);
    return true;
}

static void print_score(const simulation *s, const tuner_strategy *strategy, long evals,
                        double *shares) {
    double sum = 0;
    for (long r = 0; r < s->repeats; r++) sum += shares[r];
    double mean = sum / (double)s->repeats, p10 = tuner_quantile(shares, (int)s->repeats, 0.1);
    if (s->json) {
        printf("{\"strategy\":\"%s\",\"evals\":%ld,\"repeats\":%ld,\"mean\":%.4f,\"p10\":%.4f,"
               "\"shares\":[",
               strategy->name, evals, s->repeats, mean, p10);
        for (long r = 0; r < s->repeats; r++) printf("%s%.4f", r ? "," : "", shares[r]);
        printf("]}\n");
    } else
        printf("%-10s %6ld evaluations  mean %.4f  10th percentile %.4f\n", strategy->name, evals,
               mean, p10);
    fflush(stdout);
}

static ts_status score(const simulation *s, const tuner_recorded *recorded,
                       const tuner_strategy *strategy, ts_err *err) {
    size_t repeats = (size_t)s->repeats;
    double *shares = malloc(repeats * s->budget_count * sizeof *shares), one[MAX_BUDGETS];
    bool good = shares != NULL;
    for (size_t r = 0; good && r < repeats && !tuner_interrupted; r++) {
        good = replay(s, recorded, strategy, (uint64_t)s->seed + r, one);
        for (size_t b = 0; b < s->budget_count; b++) shares[b * repeats + r] = one[b];
    }
    for (size_t b = 0; good && !tuner_interrupted && b < s->budget_count; b++)
        print_score(s, strategy, s->budgets[b], shares + b * repeats);
    free(shares);
    return good ? TS_STATUS_OK : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "simulation");
}

ts_status tuner_command_simulate(int argc, char **argv, int *exit_code, ts_err *err) {
    simulation s;
    tuner_recorded recorded;
    TS_TRY(parse(argc, argv, &s, err));
    TS_TRY(tuner_recorded_load(s.path, &recorded, err));
    if (recorded.torn)
        fprintf(stderr, "tune simulate: %s is unfinished: its %zu whole configurations are used\n",
                s.path, recorded.space.count);
    if (!s.json)
        printf("%s on %s: %zu configurations, %zu failed, best %.6g\n", recorded.kernel,
               recorded.device, recorded.space.count, recorded.failed, recorded.best_value);
    ts_status status = TS_STATUS_OK;
    for (const tuner_strategy *one = tuner_strategies; one->name && status == TS_STATUS_OK; one++)
        if (!s.strategy || s.strategy == one) status = score(&s, &recorded, one, err);
    tuner_recorded_free(&recorded);
    *exit_code = tuner_interrupted ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    return status;
}
