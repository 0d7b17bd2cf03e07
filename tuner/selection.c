/* From picks to problems. Order is kept: the user's, then the families' own. */
#include "selection.h"

#include <stdlib.h>
#include <string.h>

#include "../runtime/model.h"

void tuner_selection_free(tuner_selection *selection) {
    for (size_t i = 0; i < selection->count; i++) {
        free(selection->problems[i].text);
        free(selection->problems[i].spec);
    }
    free(selection->problems);
    *selection = (tuner_selection){0};
}

/* Is the value of the problem's field "dtype" in the comma-separated list? A problem without one is
 * kept. */
static bool has_dtype(const char *dtypes, const char *text) {
    const char *field = strstr(text, " dtype=");
    if (!dtypes || !field) return true;
    field += strlen(" dtype=");
    size_t length = strcspn(field, " ");
    for (const char *at = dtypes; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && memcmp(at, field, length) == 0) return true;
    return false;
}

static bool holds(const tuner_selection *selection, const char *text) {
    for (size_t i = 0; i < selection->count; i++)
        if (strcmp(selection->problems[i].text, text) == 0) return true;
    return false;
}

static ts_status grow(tuner_selection *selection, ts_err *err) {
    if (selection->count < selection->capacity) return TS_STATUS_OK;
    size_t capacity = selection->capacity ? 2 * selection->capacity : 64;
    tuner_problem *grown = realloc(selection->problems, capacity * sizeof *grown);
    if (!grown) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of problems");
    selection->problems = grown;
    selection->capacity = capacity;
    return TS_STATUS_OK;
}

static ts_status add(tuner_selection *selection, const gen_problem *problem, const char *dtypes,
                     bool required, ts_err *err) {
    ts_buf text = {0}, spec = {0};
    gen_problem_text(problem, &text);
    ts_buf_append(&spec, "",
                  0); /* a family without specialization fields has the empty text, not NULL */
    gen_problem_spec(problem, &spec);
    ts_status status = grow(selection, err);
    if (status == TS_STATUS_OK && (text.failed || spec.failed))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of problems");
    if (status == TS_STATUS_OK && has_dtype(dtypes, text.data) && !holds(selection, text.data)) {
        char *spec_text = strdup(spec.data ? spec.data : "");
        if (spec_text) {
            selection->problems[selection->count++] = (tuner_problem){
                .problem = *problem, .text = text.data, .spec = spec_text, .required = required};
            text = (ts_buf){0};
        } else
            status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of problems");
    }
    ts_buf_free(&text);
    ts_buf_free(&spec);
    return status;
}

static ts_status add_text(gen *g, tuner_selection *selection, const char *text, const char *dtypes,
                          ts_err *err) {
    gen_problem problem;
    TS_TRY(gen_problem_parse(g, text, &problem, err));
    return add(selection, &problem, dtypes, true, err);
}

static ts_status add_family(gen *g, tuner_selection *selection, const gen_family *family,
                            const char *list, const char *dtypes, ts_err *err) {
    gen_case *cases = NULL;
    size_t count = 0;
    ts_status status = gen_cases(g, family, list, NULL, &cases, &count, err);
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++)
        status = add(selection, &cases[i].problem, dtypes, false, err);
    free(cases);
    return status;
}

/* One launch of more work than this takes a CPU seconds: a model's largest images, in most cases.
 * They run there with the choice for smaller ones. */
static const double max_cpu_flops = 2e11;

typedef struct model_walk {
    gen *g;
    const gen_target *target;
    tuner_selection *selection;
    ts_status status;
    ts_err *err;
} model_walk;

static void add_model_problem(void *context, const char *problem) {
    model_walk *walk = context;
    gen_case test = {.pad = "", .init = "", .omit = "", .alias = "", .note = ""};
    gen_binding binding;
    if (walk->status == TS_STATUS_OK)
        walk->status = gen_problem_parse(walk->g, problem, &test.problem, walk->err);
    if (walk->status == TS_STATUS_OK) walk->status = gen_bind(walk->g, &test, &binding, walk->err);
    if (walk->status != TS_STATUS_OK ||
        (gen_target_kind(walk->target) == GEN_CPU && binding.flops > max_cpu_flops))
        return;
    walk->status = add(walk->selection, &test.problem, NULL, true, walk->err);
}

/* The list of dtypes is the model's here: each one is asked for; none means fp32 and the
 * checkpoint's. */
static ts_status add_model(gen *g, const gen_target *target, tuner_selection *selection,
                           const char *dir, const char *dtypes, ts_err *err) {
    model_walk walk = {g, target, selection, TS_STATUS_OK, err};
    if (!dtypes) {
        TS_TRY(rt_model_problems(dir, NULL, add_model_problem, &walk, err));
        return walk.status;
    }
    for (const char *at = dtypes; *at && walk.status == TS_STATUS_OK;) {
        char dtype[16] = "";
        size_t length = strcspn(at, ",");
        memcpy(dtype, at, length < sizeof dtype ? length : sizeof dtype - 1);
        TS_TRY(rt_model_problems(dir, dtype, add_model_problem, &walk, err));
        at += length + (at[length] == ',');
    }
    return walk.status;
}

static ts_status add_pick(gen *g, const gen_target *target, tuner_selection *selection,
                          const tuner_pick *pick, const char *list, const char *dtypes,
                          ts_err *err) {
    if (pick->kind == TUNER_PICK_PROBLEM) return add_text(g, selection, pick->text, dtypes, err);
    if (pick->kind == TUNER_PICK_MODEL)
        return add_model(g, target, selection, pick->text, dtypes, err);
    const gen_family *family = gen_family_find(g, pick->text);
    if (family) return add_family(g, selection, family, list, dtypes, err);
    ts_buf known = {0};
    for (size_t i = 0; i < gen_family_count(g); i++)
        ts_buf_printf(&known, " %s", gen_family_name(gen_family_at(g, i)));
    ts_status status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "no family \"%s\"; there are:%s",
                               pick->text, known.data ? known.data : "");
    ts_buf_free(&known);
    return status;
}

ts_status tuner_select(gen *g, const tuner_options *options, const char *list,
                       const gen_target *target, tuner_selection *out, ts_err *err) {
    tuner_selection selection = {0};
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < options->pick_count && status == TS_STATUS_OK; i++)
        status = add_pick(g, target, &selection, &options->picks[i], list, options->dtypes, err);
    for (size_t i = 0; i < gen_family_count(g) && !options->pick_count && status == TS_STATUS_OK;
         i++)
        status = add_family(g, &selection, gen_family_at(g, i), list, options->dtypes, err);
    if (status == TS_STATUS_OK && selection.count == 0)
        status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "the selection holds no problem%s%s",
                         options->dtypes ? " with dtype " : "",
                         options->dtypes ? options->dtypes : "");
    if (status == TS_STATUS_OK)
        *out = selection;
    else
        tuner_selection_free(&selection);
    return status;
}

ts_status tuner_problem_work(gen *g, const tuner_problem *problem, double *flops, double *bytes,
                             ts_err *err) {
    gen_case test = {
        .problem = problem->problem, .pad = "", .init = "", .omit = "", .alias = "", .note = ""};
    gen_binding binding;
    TS_TRY(gen_bind(g, &test, &binding, err));
    *flops = binding.flops;
    *bytes = binding.bytes;
    return TS_STATUS_OK;
}
