/* Results of one place: copied, put in order, spread over columns.
 *
 * Only the database is read: the templates may have changed since, or not be there. A variant's
 * name says it all ("gemm/packed mr=12 nv=2"). */
#include "space.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const version_column = "version", *const absent_text = "-";

/* What the formats themselves call things; a tunable of such a name gets a longer one. */
static const char *const taken[] = {
    "version",       "time",           "times",          "timestamp",         "compile_time",
    "strategy_time", "framework_time", "benchmark_time", "verification_time", "error",
    "spread",        "reason",         "__error__",      "registers",         "spill_bytes",
    "shared_bytes",  "grid_size_x",    "grid_size_y",    "grid_size_z",       "status"};

/* ---- adding ---- */

static bool is_timed(const char *status, double time_us) {
    return (strcmp(status, "ok") == 0 || strcmp(status, "slow") == 0) && time_us > 0 &&
           isfinite(time_us);
}

static bool is_rejected(const char *status) {
    return strcmp(status, "ok") != 0 && strcmp(status, "slow") != 0;
}

static ts_status no_memory(ts_err *err) {
    return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "results to export");
}

static ts_status open_place(tuner_results_space *space, const db_result *result, ts_err *err) {
    space->problem = ts_arena_strdup(&space->arena, result->problem);
    space->target = ts_arena_strdup(&space->arena, result->target);
    space->device = result->device;
    space->device.name = ts_arena_strdup(&space->arena, result->device.name);
    space->device.target = ts_arena_strdup(&space->arena, result->device.target);
    space->device.driver = ts_arena_strdup(&space->arena, result->device.driver);
    bool good = space->problem && space->target && space->device.name && space->device.target &&
                space->device.driver;
    return good ? TS_STATUS_OK : no_memory(err);
}

ts_status tuner_space_add(tuner_results_space *space, const db_result *result, ts_err *err) {
    if (!space->problem) TS_TRY(open_place(space, result, err));
    bool timed = is_timed(result->status, result->time_us);
    if (!timed && !is_rejected(result->status)) return TS_STATUS_OK;
    if (space->count == space->capacity) {
        size_t capacity = space->capacity ? 2 * space->capacity : 64;
        tuner_space_row *grown = realloc(space->rows, capacity * sizeof *grown);
        if (!grown) return no_memory(err);
        space->rows = grown;
        space->capacity = capacity;
    }
    tuner_space_row row = {.variant = ts_arena_strdup(&space->arena, result->variant),
                           .status = ts_arena_strdup(&space->arena, result->status),
                           .reason = ts_arena_strdup(&space->arena, result->reason),
                           .time_us = timed ? result->time_us : NAN,
                           .spread_us = timed ? result->spread_us : NAN,
                           .error = result->error,
                           .evidence = json_loads(result->evidence, 0, NULL),
                           .order = space->count};
    if (!json_is_object(row.evidence)) {
        json_decref(row.evidence);
        row.evidence = json_object();
    }
    if (!row.variant || !row.status || !row.reason || !row.evidence) {
        json_decref(row.evidence);
        return no_memory(err);
    }
    space->rows[space->count++] = row;
    return TS_STATUS_OK;
}

/* ---- one row a variant ---- */

static double measured_at(const tuner_space_row *row) {
    return json_number_value(json_object_get(row->evidence, "at"));
}

/* By name, the newest first. */
static int compare_rows(const void *left, const void *right) {
    const tuner_space_row *a = left, *b = right;
    int name = strcmp(a->variant, b->variant);
    double at_a = measured_at(a), at_b = measured_at(b);
    if (name) return name;
    if (at_a != at_b) return at_a > at_b ? -1 : 1;
    return a->order > b->order ? -1 : a->order < b->order;
}

static void drop_row(tuner_space_row *row) {
    json_decref(row->evidence);
    json_decref(row->configuration);
}

/* A variant whose kernel text has changed since was measured twice. */
static void keep_newest(tuner_results_space *space) {
    size_t kept = 0;
    if (space->count) qsort(space->rows, space->count, sizeof *space->rows, compare_rows);
    for (size_t i = 0; i < space->count; i++) {
        if (kept && strcmp(space->rows[kept - 1].variant, space->rows[i].variant) == 0)
            drop_row(&space->rows[i]);
        else
            space->rows[kept++] = space->rows[i];
    }
    space->count = kept;
}

/* ---- columns ---- */

static json_t *value_of(const char *text) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return *text && !*end && !errno ? json_integer(number) : json_string(text);
}

static char *column_of(ts_arena *arena, const char *tunable) {
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(tunable, taken[i]) == 0) return ts_arena_printf(arena, "tunable_%s", tunable);
    return ts_arena_strdup(arena, tunable);
}

/* "family/version a=1 b=x" -> {"version": "version", "a": 1, "b": "x"} */
static ts_status read_variant(ts_arena *arena, const char *variant, json_t **out, ts_err *err) {
    char *copy = ts_arena_strdup(arena, variant), *rest = NULL;
    char *word = copy ? strtok_r(copy, " ", &rest) : NULL;
    char *slash = word ? strchr(word, '/') : NULL;
    json_t *values = json_object();
    bool good = slash && json_object_set_new(values, version_column, json_string(slash + 1)) == 0;
    while (good && (word = strtok_r(NULL, " ", &rest))) {
        char *equals = strchr(word, '=');
        if (equals) *equals = '\0';
        const char *column = equals ? column_of(arena, word) : NULL;
        good = column && json_object_set_new(values, column, value_of(equals + 1)) == 0;
    }
    if (good) {
        *out = values;
        return TS_STATUS_OK;
    }
    json_decref(values);
    return ts_fail(err, TS_STATUS_CORRUPT, "the name of variant \"%.200s\" cannot be read",
                   variant);
}

/* A column of texts turns numbers into texts too, so that its values compare. */
static json_t *value_in(const json_t *values, const char *column, bool text) {
    json_t *value = json_object_get(values, column);
    if (!value) return text ? json_string(absent_text) : json_integer(0);
    if (!text || json_is_string(value)) return json_incref(value);
    return json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

/* column -> true where it holds a text; in order of appearance. */
static json_t *find_columns(const tuner_results_space *space) {
    json_t *columns = json_object(), *value;
    const char *name;
    for (size_t i = 0; i < space->count; i++)
        json_object_foreach(space->rows[i].configuration, name,
                            value) if (!json_is_true(json_object_get(columns, name)))
            json_object_set_new(columns, name, json_boolean(json_is_string(value)));
    return columns;
}

static int compare_values(const void *left, const void *right) {
    json_t *const *a = left, *const *b = right;
    json_int_t x = json_integer_value(*a), y = json_integer_value(*b);
    if (json_is_string(*a)) return strcmp(json_string_value(*a), json_string_value(*b));
    return (x > y) - (x < y);
}

static json_t *list_values(const tuner_results_space *space, const char *column) {
    json_t *list = json_array(), **values = calloc(space->count + 1, sizeof *values);
    for (size_t i = 0; values && i < space->count; i++)
        values[i] = json_object_get(space->rows[i].configuration, column);
    if (values && space->count) qsort(values, space->count, sizeof *values, compare_values);
    for (size_t i = 0; values && i < space->count; i++)
        if (i == 0 || !json_equal(values[i - 1], values[i])) json_array_append(list, values[i]);
    if (!values) {
        json_decref(list);
        list = NULL;
    }
    free(values);
    return list;
}

static ts_status spread(tuner_results_space *space, ts_err *err) {
    json_t *columns = find_columns(space), *text;
    const char *name;
    bool good = columns && (space->columns = json_object());
    for (size_t i = 0; good && i < space->count; i++) {
        json_t *whole = json_object(), *own = space->rows[i].configuration;
        good = whole != NULL;
        json_object_foreach(columns, name, text)
            good = good &&
                   json_object_set_new(whole, name, value_in(own, name, json_is_true(text))) == 0;
        json_decref(own);
        space->rows[i].configuration = whole;
    }
    if (good)
        json_object_foreach(columns, name, text)
            good = good && json_object_set_new(space->columns, name, list_values(space, name)) == 0;
    json_decref(columns);
    return good ? TS_STATUS_OK : no_memory(err);
}

ts_status tuner_space_finish(tuner_results_space *space, ts_err *err) {
    keep_newest(space);
    for (size_t i = 0; i < space->count; i++) {
        tuner_space_row *row = &space->rows[i];
        TS_TRY(read_variant(&space->arena, row->variant, &row->configuration, err));
        if (!isnan(row->time_us)) space->timed++;
    }
    return spread(space, err);
}

void tuner_space_free(tuner_results_space *space) {
    for (size_t i = 0; i < space->count; i++) drop_row(&space->rows[i]);
    free(space->rows);
    json_decref(space->columns);
    ts_arena_free(&space->arena);
    *space = (tuner_results_space){0};
}

void tuner_space_value_text(const json_t *value, ts_buf *out) {
    if (json_is_string(value))
        ts_buf_printf(out, "%s", json_string_value(value));
    else
        ts_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}
