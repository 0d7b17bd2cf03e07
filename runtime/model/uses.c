/* Expansion of a model's kernel table, for both of its readers. */
#include "uses.h"

#include <string.h>

static ts_status bad_table(const char *text, ts_err *err) {
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "kernel table: cannot expand \"%s\"", text);
}

/* What the problems of one phase are made of. */
typedef struct listing {
    const rt_use *use;
    rt_phase phase;
    const rt_dim *dims;
    const char *dtype;
    rt_problem_each each;
    void *context;
    ts_buf last; /* told before: extents that are cut to a model's limit may be equal */
} listing;

/* One problem: `bytes` of extents, with `m` rows. */
static ts_status emit(listing *l, const char *extents, size_t bytes, int32_t m, ts_err *err) {
    ts_buf part = {0}, text = {0};
    ts_status status = TS_STATUS_OK;
    ts_buf_append(&part, extents, bytes);
    ts_buf_printf(&text, "%s ", l->use->phase[l->phase].family);
    if (part.failed || !rt_dims_expand(l->dims, part.data, l->dtype, m, &text))
        status = bad_table(extents, err);
    if (l->use->spec[0] != '\0') ts_buf_printf(&text, " ");
    if (!rt_dims_expand(l->dims, l->use->spec, l->dtype, m, &text))
        status = bad_table(l->use->spec, err);
    if (text.failed) status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "kernel table");
    bool told = status == TS_STATUS_OK && l->last.data && strcmp(l->last.data, text.data) == 0;
    if (status == TS_STATUS_OK && !told) l->each(l->context, text.data);
    ts_buf_free(&part);
    ts_buf_free(&l->last);
    l->last = text;
    return status;
}

/* Each of the extents with each of the rows, or once where it says none. */
static ts_status emit_all(listing *l, const int32_t rows[RT_MAX_ROWS], ts_err *err) {
    static const char separator[] = "; ";
    for (const char *at = l->use->phase[l->phase].extents; at;) {
        const char *end = strstr(at, separator), *named = strstr(at, "{m}");
        size_t bytes = end ? (size_t)(end - at) : strlen(at);
        bool fixed = !named || named >= at + bytes;
        for (int r = 0; r < RT_MAX_ROWS && rows[r] && (r == 0 || !fixed); r++)
            TS_TRY(emit(l, at, bytes, rows[r], err));
        at = end ? end + strlen(separator) : NULL;
    }
    return TS_STATUS_OK;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Does an earlier row ask for the same kernels, for another part of the model? */
static bool asked_before(const rt_use *uses, size_t i) {
    for (const rt_use *u = uses; u < uses + i; u++) {
        bool same = strcmp(u->spec, uses[i].spec) == 0;
        for (int phase = 0; phase < RT_PHASES; phase++)
            same = same && same_text(u->phase[phase].family, uses[i].phase[phase].family) &&
                   same_text(u->phase[phase].extents, uses[i].phase[phase].extents) &&
                   memcmp(u->phase[phase].rows, uses[i].phase[phase].rows,
                          sizeof u->phase[phase].rows) == 0;
        if (same) return true;
    }
    return false;
}

ts_status rt_uses_problems(const rt_use *uses, size_t count, const rt_dim *dims, ts_dtype dtype,
                           int32_t most, rt_problem_each each, void *context, ts_err *err) {
    int32_t usual[RT_MAX_ROWS] = RT_ROWS_USUAL;
    ts_status status = TS_STATUS_OK;
    for (int r = 0; r < RT_MAX_ROWS && most > 0; r++)
        if (usual[r] > most) usual[r] = most;
    for (size_t i = 0; i < 2 * count && status == TS_STATUS_OK; i++) {
        const rt_use *use = &uses[i / 2];
        listing l = {.use = use,
                     .phase = i % 2 ? RT_PREFILL : RT_DECODE,
                     .dims = dims,
                     .dtype = ts_dtype_name(dtype),
                     .each = each,
                     .context = context};
        const int32_t *own = use->phase[l.phase].rows;
        if (!use->phase[l.phase].family || asked_before(uses, i / 2)) continue;
        status = emit_all(&l, own[0] ? own : usual, err);
        ts_buf_free(&l.last);
    }
    return status;
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
