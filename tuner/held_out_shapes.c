/* Held-out shapes. A problem is looked at as its text, "family name=value ...": a field whose name
 * the specialization does not hold is an extent. */
#include "held_out_shapes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runtime/problem_text.h"

/* Two factors are the same below this: extents are whole numbers. */
static const double same_factor = 0.02;

typedef struct point { /* a tuned problem */
    rt_problem problem;
    int64_t extents[RT_MAX_FIELDS]; /* by field; -1: part of the specialization */
} point;

void tuner_shapes_free(tuner_shapes *shapes) {
    for (size_t i = 0; i < shapes->count; i++) free(shapes->texts[i]);
    free(shapes->texts);
    *shapes = (tuner_shapes){0};
}

static ts_status read_point(const char *text, const rt_problem *spec, point *out, ts_err *err) {
    TS_TRY(rt_problem_parse(text, &out->problem, err));
    for (size_t i = 0; i < out->problem.count; i++) {
        const rt_field *field = &out->problem.fields[i];
        if (rt_problem_value(spec, field->name) || !rt_slice_number(field->value, &out->extents[i]))
            out->extents[i] = -1;
    }
    return TS_STATUS_OK;
}

/* ---- adding ---- */

static bool is_new(const char *text, const char *const *tuned, size_t count,
                   const tuner_shapes *shapes) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(tuned[i], text) == 0) return false;
    for (size_t i = 0; i < shapes->count; i++)
        if (strcmp(shapes->texts[i], text) == 0) return false;
    return true;
}

/* The point with other extents, in canonical form. False: the family does not allow it. */
static bool write_text(gen *g, const point *p, const int64_t *extents, ts_buf *out) {
    ts_buf words = {0};
    gen_problem problem;
    ts_buf_append(&words, p->problem.family.at, p->problem.family.bytes);
    for (size_t i = 0; i < p->problem.count; i++) {
        const rt_field *f = &p->problem.fields[i];
        ts_buf_printf(&words, " %.*s=", (int)f->name.bytes, f->name.at);
        if (extents[i] >= 0)
            ts_buf_printf(&words, "%lld", (long long)extents[i]);
        else
            ts_buf_append(&words, f->value.at, f->value.bytes);
    }
    bool allowed = !words.failed && gen_problem_parse(g, words.data, &problem, NULL) == 0;
    if (allowed) gen_problem_text(&problem, out);
    ts_buf_free(&words);
    return allowed && !out->failed;
}

static ts_status append(tuner_shapes *shapes, ts_buf *text, ts_err *err) {
    if (shapes->count == shapes->capacity) {
        size_t capacity = shapes->capacity ? 2 * shapes->capacity : 32;
        char **grown = realloc(shapes->texts, capacity * sizeof *grown);
        if (!grown) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of shapes");
        shapes->texts = grown;
        shapes->capacity = capacity;
    }
    shapes->texts[shapes->count++] = text->data;
    *text = (ts_buf){0};
    return TS_STATUS_OK;
}

typedef struct derivation {
    gen *g;
    const char *const *tuned;
    size_t count;
    point *points;
    tuner_shapes *shapes;
} derivation;

/* Adds point `p` with the extents marked in `moved` multiplied by `factor`: as odd numbers, else as
 * multiples of 16, else as they come. */
static ts_status add_moved(derivation *d, const point *p, const bool *moved, double factor,
                           ts_err *err) {
    enum { ODD, WHOLE_TILES, PLAIN, FORMS };
    for (int form = 0; form < FORMS; form++) {
        int64_t extents[RT_MAX_FIELDS];
        ts_buf text = {0};
        memcpy(extents, p->extents, sizeof extents);
        for (size_t i = 0; i < p->problem.count; i++) {
            if (!moved[i]) continue;
            int64_t n = llround((double)p->extents[i] * factor);
            extents[i] = form == ODD ? n | 1 : form == WHOLE_TILES ? (n + 15) / 16 * 16 : n;
        }
        bool allowed = write_text(d->g, p, extents, &text);
        ts_status status = TS_STATUS_OK;
        if (allowed && is_new(text.data, d->tuned, d->count, d->shapes))
            status = append(d->shapes, &text, err);
        ts_buf_free(&text);
        if (allowed || status != TS_STATUS_OK) return status;
    }
    return TS_STATUS_OK;
}

/* ---- neighbours ---- */

/* The factor by which those extents of q that differ from p's are larger, all by the same: 0 if not
 * so. `moved` marks them. */
static double step(const point *p, const point *q, bool *moved) {
    double factor = 0;
    for (size_t i = 0; i < p->problem.count; i++) {
        moved[i] = p->extents[i] != q->extents[i];
        if (!moved[i]) continue;
        if (p->extents[i] < 1 || q->extents[i] <= p->extents[i]) return 0;
        double own = (double)q->extents[i] / (double)p->extents[i];
        if (factor > 0 && fabs(own / factor - 1) > same_factor) return 0;
        factor = own;
    }
    return factor;
}

static bool same_fields(const point *p, const bool *a, const bool *b) {
    return memcmp(a, b, p->problem.count * sizeof *a) == 0;
}

/* The nearest point further along the extents in `moved`; 0: none. */
static double next_along(const derivation *d, const point *p, const bool *moved) {
    double nearest = 0;
    bool other[RT_MAX_FIELDS];
    for (size_t i = 0; i < d->count; i++) {
        double factor = step(p, &d->points[i], other);
        if (factor > 1 && same_fields(p, moved, other) && (nearest == 0 || factor < nearest))
            nearest = factor;
    }
    return nearest;
}

/* In the direction `moved`: the middle on the way to the next point, or twice as far where p is the
 * last. */
static ts_status go_along(derivation *d, const point *p, const bool *moved, ts_err *err) {
    double next = next_along(d, p, moved);
    return add_moved(d, p, moved, next > 0 ? sqrt(next) : 2, err);
}

/* Directions: each extent alone, and those sets in which some two points differ. */
static ts_status derive_from(derivation *d, const point *p, ts_err *err) {
    bool moved[RT_MAX_FIELDS];
    for (size_t i = 0; i < p->problem.count; i++) {
        if (p->extents[i] < 1) continue;
        memset(moved, 0, sizeof moved);
        moved[i] = true;
        TS_TRY(go_along(d, p, moved, err));
    }
    for (size_t a = 0; a < d->count; a++)
        for (size_t b = 0; b < d->count; b++)
            if (step(&d->points[a], &d->points[b], moved) > 1) TS_TRY(go_along(d, p, moved, err));
    return TS_STATUS_OK;
}

ts_status tuner_shapes_derive(gen *g, const char *const *tuned, size_t count, const char *spec,
                              tuner_shapes *out, ts_err *err) {
    derivation d = {.g = g, .tuned = tuned, .count = count, .shapes = out};
    rt_problem fields;
    TS_TRY(rt_spec_parse("", spec, &fields, err));
    d.points = calloc(count + 1, sizeof *d.points);
    if (!d.points) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of shapes");
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++)
        status = read_point(tuned[i], &fields, &d.points[i], err);
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++)
        status = derive_from(&d, &d.points[i], err);
    free(d.points);
    return status;
}
