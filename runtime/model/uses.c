/* Expansion of a model's kernel table, for both of its readers. */
#include "uses.h"

#include <string.h>

static ts_status bad_table(const char *text, ts_err *err) {
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "kernel table: cannot expand \"%s\"", text);
}

static ts_status emit(const rt_use *use, rt_phase phase, const rt_dim *dims, const char *dtype,
                      int32_t m, rt_problem_each each, void *context, ts_err *err) {
    ts_buf text = {0};
    ts_status status = TS_STATUS_OK;
    ts_buf_printf(&text, "%s ", use->phase[phase].family);
    if (!rt_dims_expand(dims, use->phase[phase].extents, dtype, m, &text)) {
        status = bad_table(use->phase[phase].extents, err);
    }
    if (use->spec[0] != '\0') ts_buf_printf(&text, " ");
    if (!rt_dims_expand(dims, use->spec, dtype, m, &text)) status = bad_table(use->spec, err);
    if (text.failed) status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "kernel table");
    if (status == TS_STATUS_OK) each(context, text.data);
    ts_buf_free(&text);
    return status;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Does an earlier row ask for the same kernels, for another part of the model? */
static bool asked_before(const rt_use *uses, size_t i) {
    for (const rt_use *u = uses; u < uses + i; u++) {
        bool same = strcmp(u->spec, uses[i].spec) == 0 &&
                    memcmp(u->rows, uses[i].rows, sizeof u->rows) == 0;
        for (int phase = 0; phase < RT_PHASES; phase++)
            same = same && same_text(u->phase[phase].family, uses[i].phase[phase].family) &&
                   same_text(u->phase[phase].extents, uses[i].phase[phase].extents);
        if (same) return true;
    }
    return false;
}

ts_status rt_uses_problems(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                           rt_problem_each each, void *context, ts_err *err) {
    static const int32_t usual[] = {RT_ROWS_SHORT, RT_ROWS_CHUNK};
    const char *name = ts_dtype_name(dtype);
    for (size_t i = 0; i < count; i++) {
        if (asked_before(uses, i)) continue;
        if (uses[i].phase[RT_DECODE].family) {
            TS_TRY(emit(&uses[i], RT_DECODE, dims, name, 1, each, context, err));
        }
        if (!uses[i].phase[RT_PREFILL].family) continue;
        const int32_t *rows = uses[i].rows[0] ? uses[i].rows : usual;
        bool fixed = strstr(uses[i].phase[RT_PREFILL].extents, "{m}") == NULL;
        for (size_t r = 0; r < (fixed ? 1 : sizeof usual / sizeof *usual); r++) {
            TS_TRY(emit(&uses[i], RT_PREFILL, dims, name, rows[r], each, context, err));
        }
    }
    return TS_STATUS_OK;
}

ts_status rt_uses_find(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                       ts_kernels *kernels, rt_used (*groups)[RT_PHASES], ts_err *err) {
    ts_buf spec = {0};
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++) {
        ts_buf_clear(&spec);
        ts_buf_append(&spec, "", 0);
        if (!rt_dims_expand(dims, uses[i].spec, ts_dtype_name(dtype), 1, &spec))
            status = bad_table(uses[i].spec, err);
        if (spec.failed) status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "kernel table");
        for (int phase = 0; phase < RT_PHASES && status == TS_STATUS_OK; phase++) {
            const char *family = uses[i].phase[phase].family;
            rt_used *used = &groups[i][phase];
            *used = (rt_used){.use = &uses[i], .phase = (rt_phase)phase};
            if (family) status = rt_group_find(kernels, family, spec.data, &used->group, err);
        }
    }
    ts_buf_free(&spec);
    return status;
}
