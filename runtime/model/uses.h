/* Which kernels a model uses: one table, read by the tuner (as problems) and by the model (as
 * groups). */
#ifndef RUNTIME_MODEL_USES_H
#define RUNTIME_MODEL_USES_H

#include "../kernel.h"
#include "../tunesmith.h"
#include "dims.h"

/* A pass over several rows, and the pass over the one row of a decode step. */
typedef enum rt_phase { RT_PREFILL, RT_DECODE, RT_PHASES } rt_phase;

/* Rows of a pass that a table names for one phase, 0 behind the last. */
enum { RT_MAX_ROWS = 4 };

/* One operation of a model. Texts may hold {names} of dims, {dtype}, and {m}, the rows of a
 * pass. Extents may be several, "m={m} d={d}; m=8 d={d}": a database is tuned at each. */
typedef struct rt_use {
    const char *part; /* of a profile: "vision/attention", or without a stroke */
    const char *spec;
    struct {
        const char *family, *extents;
        int32_t rows[RT_MAX_ROWS]; /* {m}; none: RT_ROWS_USUAL */
    } phase[RT_PHASES];            /* family NULL: not in this phase */
    const char *keys; /* extent of which a pass over one row tells an upper bound; NULL: none */
} rt_use;

/* The kernels of an operation in one phase. */
typedef struct rt_used {
    const rt_group *group; /* NULL: not in this phase */
    const rt_use *use;
    rt_phase phase;
} rt_used;

/* Rows that kernels are tuned for: a step of several sequences, a short prompt and a full chunk.
 * What lies between takes the nearest, so the ends of what is usual are among them. */
enum { RT_ROWS_STEP = 8, RT_ROWS_SHORT = 64, RT_ROWS_CHUNK = 512 };
#define RT_ROWS_USUAL \
    { RT_ROWS_STEP, RT_ROWS_SHORT, RT_ROWS_CHUNK }
/* Of an operation that knows sequences: prompts, and steps of one or several sequences. */
#define RT_ROWS_PROMPT \
    { RT_ROWS_SHORT, RT_ROWS_CHUNK }
#define RT_ROWS_STEPS \
    { 1, RT_ROWS_STEP }

typedef void (*rt_problem_each)(void *context, const char *problem);

/* Calls back for every problem of the table with one dtype, once where two rows are alike. Passes
 * have no more than `most` rows (0: any number) where the table names none of its own. */
ts_status rt_uses_problems(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                           int32_t most, rt_problem_each each, void *context, ts_err *err);
/* Fills groups[i][phase]. NOT_FOUND names the first problem that is
 * missing. */
ts_status rt_uses_find(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                       ts_kernels *kernels, rt_used (*groups)[RT_PHASES], ts_err *err);

#endif
