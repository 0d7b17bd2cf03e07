/* Which kernels a model uses: one table, read by the tuner (as problems) and by the model (as
 * groups). */
#ifndef RUNTIME_MODEL_USES_H
#define RUNTIME_MODEL_USES_H

#include "../kernel.h"
#include "../tunesmith.h"
#include "dims.h"

/* A pass over several rows, and the pass over the one row of a decode step. */
typedef enum rt_phase { RT_PREFILL, RT_DECODE, RT_PHASES } rt_phase;

/* One operation of a model. Texts may hold {names} of dims, {dtype}, and {m}, the rows of a
 * pass. */
typedef struct rt_use {
    const char *part; /* of a profile: "vision/attention", or without a stroke */
    const char *spec;
    struct {
        const char *family, *extents;
    } phase[RT_PHASES]; /* family NULL: not in this phase */
    int32_t rows[2];    /* {m} of the prefill phase; zeros: RT_ROWS_SHORT and RT_ROWS_CHUNK */
    const char *keys;   /* extent of which a pass over one row tells an upper bound; NULL: none */
} rt_use;

/* The kernels of an operation in one phase. */
typedef struct rt_used {
    const rt_group *group; /* NULL: not in this phase */
    const rt_use *use;
    rt_phase phase;
} rt_used;

/* Rows that kernels are tuned for: a short prompt and a full chunk. */
enum { RT_ROWS_SHORT = 64, RT_ROWS_CHUNK = 512 };

typedef void (*rt_problem_each)(void *context, const char *problem);

/* Calls back for every problem of the table with one dtype, once where two rows are alike. */
ts_status rt_uses_problems(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                           rt_problem_each each, void *context, ts_err *err);
/* Fills groups[i][phase]. NOT_FOUND names the first problem that is
 * missing. */
ts_status rt_uses_find(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                       ts_kernels *kernels, rt_used (*groups)[RT_PHASES], ts_err *err);

#endif
