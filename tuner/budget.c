/* One table of what may stand behind the number. */
#include "budget.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct unit {
    const char *suffix;
    tuner_budget one;
    double most;
} units[] = {
    {"", {TUNER_BUDGET_TIME, 1}, 1e7},       {"s", {TUNER_BUDGET_TIME, 1}, 1e7},
    {"m", {TUNER_BUDGET_TIME, 60}, 1e7},     {"h", {TUNER_BUDGET_TIME, 3600}, 1e7},
    {"evals", {TUNER_BUDGET_EVALS, 1}, 1e9}, {"%", {TUNER_BUDGET_SHARE, 0.01}, 100},
};

ts_status tuner_budget_parse(const char *text, tuner_budget *out, ts_err *err) {
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const struct unit *unit = &units[i];
        if (end == text || strcmp(end, unit->suffix) != 0 || !(value >= 0 && value <= unit->most))
            continue;
        if (unit->one.kind == TUNER_BUDGET_EVALS && value != floor(value)) continue;
        *out = (tuner_budget){unit->one.kind, value * unit->one.amount};
        return TS_STATUS_OK;
    }
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                   "--budget %s: not a time such as 90s, 3m or 1h, not a number of variants such "
                   "as 200evals, not a share of the space such as 25%%",
                   text);
}

double tuner_budget_seconds(const tuner_budget *budget) {
    return budget->kind == TUNER_BUDGET_TIME ? budget->amount : INFINITY;
}

size_t tuner_budget_variants(const tuner_budget *budget, size_t count) {
    double most = budget->kind == TUNER_BUDGET_EVALS   ? budget->amount
                  : budget->kind == TUNER_BUDGET_SHARE ? ceil(budget->amount * (double)count)
                                                       : (double)count;
    return most < (double)count ? (size_t)most : count;
}
