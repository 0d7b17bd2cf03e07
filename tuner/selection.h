/* What to tune: the user's picks turned into a list of distinct problems. */
#ifndef TUNER_SELECTION_H
#define TUNER_SELECTION_H

#include "lab.h"
#include "options.h"

typedef struct tuner_selection {
    tuner_problem *problems;
    size_t count, capacity;
    size_t whole; /* problems of all shards together */
} tuner_selection;

/* Problems of the picks; without any, those in `list` ("model", "smoke") of every family's cases. Of
 * a model those are left out that would take a CPU `target` seconds a launch. Only those whose dtype
 * is in options->dtypes, if that is set. INVALID_ARGUMENT: an unknown family, a problem that breaks
 * a rule, nothing left. Free with tuner_selection_free. */
ts_status tuner_select(gen *g, const tuner_options *options, const char *list,
                       const gen_target *target, tuner_selection *out, ts_err *err);
/* Operations and bytes of one launch. */
ts_status tuner_problem_work(gen *g, const tuner_problem *problem, double *flops, double *bytes,
                             ts_err *err);
void tuner_selection_free(tuner_selection *selection);

#endif
