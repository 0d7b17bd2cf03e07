/* Reading Kernel Tuner's cache files: "tune_params_keys" names the tunables, "tune_params" lists their
 * values, "cache" holds an object a configuration. What else it holds (times, compile time under
 * either of its names) is not needed here.
 *
 * Its writer appends and never closes a file that it may go on with, so what ends early is read up to
 * the last whole configuration. A failure is an error's name, as the time or under any other key, or
 * in older files a time of 1e20 and more. */
#include "recorded.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_FILE_BYTES = 1 << 30, MAX_TUNABLES = 255 };

/* gzread passes a plain file through. */
static ts_status read_whole(const char *path, ts_buf *text, ts_err *err) {
    char chunk[1 << 16];
    int got, code = Z_OK;
    errno = 0;
    gzFile file = gzopen(path, "rb");
    if (!file)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "cannot read %s: %s", path,
                       errno ? strerror(errno) : "out of memory");
    while ((got = gzread(file, chunk, sizeof chunk)) > 0 && text->bytes < MAX_FILE_BYTES)
        ts_buf_append(text, chunk, (size_t)got);
    const char *why = gzerror(file, &code);
    ts_status status = TS_STATUS_OK;
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
        status = ts_fail(err, TS_STATUS_CORRUPT, "%s: damaged or cut off: %s", path, why);
    else if (got > 0)
        status = ts_fail(err, TS_STATUS_CORRUPT, "%s: more than %d MiB of text", path,
                         MAX_FILE_BYTES >> 20);
    else if (text->failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
    /* A gzip file without its end reads as shorter, and says so only here. */
    int closed = gzclose(file);
    if (status == TS_STATUS_OK && closed != Z_OK)
        status = ts_fail(err, TS_STATUS_CORRUPT, "%s: damaged or cut off", path);
    return status;
}

/* ---- text ---- */

/* Python writes numbers that JSON does not have. No time is negative, so that is what they become. */
static void blank_number(char *at, size_t left) {
    static const char *const words[] = {"NaN", "Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (left < length || memcmp(at, words[i], length) != 0) continue;
        const char *negative = at[-1] == '-' ? "1" : "-1";
        memset(at, ' ', length);
        memcpy(at, negative, strlen(negative));
    }
}

/* Replaces those numbers. Returns where the last whole configuration ends, if the text does not close
 * all that it opens; else 0. */
static size_t find_torn_end(ts_buf *text) {
    size_t whole = 0, depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text->bytes; i++) {
        char c = text->data[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
            if (c == '}' && depth == 2) whole = i + 1;
        } else if ((c == 'N' || c == 'I') && i > 0) {
            blank_number(text->data + i, text->bytes - i);
        }
    }
    return depth > 0 ? whole : 0;
}

static ts_status parse_text(const char *path, ts_buf *text, json_t **out, bool *torn, ts_err *err) {
    json_error_t why, again;
    size_t whole = find_torn_end(text);
    json_t *root = json_loadb(text->data ? text->data : "", text->bytes, 0, &why);
    if (!root && whole) {
        text->bytes = whole;
        ts_buf_append(text, "}}", 2);
        root = text->failed ? NULL : json_loadb(text->data, text->bytes, 0, &again);
        *torn = root != NULL;
    }
    if (!root) return ts_fail(err, TS_STATUS_CORRUPT, "%s: line %d: %s", path, why.line, why.text);
    *out = root;
    return TS_STATUS_OK;
}

/* ---- contents ---- */

typedef struct reading {
    const char *path, *objective;
    bool higher_is_better;
    const char *names[MAX_TUNABLES];
    json_t *values[MAX_TUNABLES]; /* of each tunable, in order of first appearance */
    size_t tunables;
    tuner_recorded *out;
} reading;

/* A text, in newer files a list of them; time, where there is none. */
static void read_objective(reading *r, const json_t *root) {
    static const char *const rates[] = {"GFLOP/s",  "TFLOP/s", "GB/s",    "TB/s",   "GFLOPS/W",
                                        "TFLOPS/W", "GFLOP/J", "TFLOP/J", "fitness"};
    json_t *objective = json_object_get(root, "objective");
    if (json_is_array(objective)) objective = json_array_get(objective, 0);
    r->objective = json_is_string(objective) ? json_string_value(objective) : "time";
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        r->higher_is_better |= strcmp(r->objective, rates[i]) == 0;
}

static bool same_value(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* Index of the value in the tunable's list; a value that is not listed is added. */
static int32_t value_index(json_t *list, json_t *value) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (same_value(json_array_get(list, i), value)) return (int32_t)i;
    json_array_append(list, value);
    return (int32_t)json_array_size(list) - 1;
}

static ts_status read_tunables(reading *r, const json_t *root, ts_err *err) {
    const json_t *keys = json_object_get(root, "tune_params_keys");
    const json_t *lists = json_object_get(root, "tune_params");
    r->tunables = json_array_size(keys);
    if (r->tunables == 0 || r->tunables > MAX_TUNABLES)
        return ts_fail(
            err, TS_STATUS_CORRUPT,
            "%s: no Kernel Tuner cache: \"tune_params_keys\" is missing or has more than "
            "%d names",
            r->path, MAX_TUNABLES);
    for (size_t i = 0; i < r->tunables; i++) {
        r->names[i] = json_string_value(json_array_get(keys, i));
        if (!r->names[i])
            return ts_fail(err, TS_STATUS_CORRUPT, "%s: a tunable's name is no text", r->path);
        json_t *listed = json_object_get(lists, r->names[i]);
        r->values[i] = json_is_array(listed) ? json_deep_copy(listed) : json_array();
    }
    return TS_STATUS_OK;
}

static bool has_failed(const json_t *configuration) {
    static const char *const errors[] = {"ErrorConfig", "InvalidConfig", "CompilationFailedConfig",
                                         "RuntimeFailedConfig"};
    const char *key;
    json_t *value;
    json_object_foreach(
        (json_t *)configuration, key,
        value) for (size_t i = 0; json_is_string(value) && i < sizeof errors / sizeof *errors;
                    i++) if (strcmp(json_string_value(value), errors[i]) == 0) return true;
    return false;
}

/* The smaller the better: a rate is turned round. */
static double cost_of(const reading *r, const json_t *configuration) {
    static const double failed = 1e20;
    double value = json_number_value(json_object_get(configuration, r->objective)); /* 0: none */
    if (!(value > 0 && value < failed) || has_failed(configuration)) return INFINITY;
    return r->higher_is_better ? 1 / value : value;
}

static ts_status read_configuration(reading *r, const char *name, const json_t *configuration,
                                    ts_err *err) {
    tuner_recorded *out = r->out;
    int32_t *row = out->coords + out->space.count * out->space.dims;
    row[0] = 0;
    for (size_t i = 0; i < r->tunables; i++) {
        json_t *value = json_object_get(configuration, r->names[i]);
        if (!value)
            return ts_fail(err, TS_STATUS_CORRUPT, "%s: configuration %s has no value of %s",
                           r->path, name, r->names[i]);
        row[1 + i] = value_index(r->values[i], value);
    }
    double cost = cost_of(r, configuration);
    out->costs[out->space.count++] = cost;
    if (!isfinite(cost)) out->failed++;
    out->best = fmin(out->best, cost);
    return TS_STATUS_OK;
}

static ts_status read_cache(reading *r, json_t *root, ts_err *err) {
    tuner_recorded *out = r->out;
    json_t *cache = json_object_get(root, "cache"), *configuration;
    const char *name;
    size_t count = json_object_size(cache);
    if (count == 0)
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: no Kernel Tuner cache: \"cache\" is empty",
                       r->path);
    out->space.dims = 1 + r->tunables;
    out->coords = malloc(count * out->space.dims * sizeof *out->coords);
    out->costs = malloc(count * sizeof *out->costs);
    if (!out->coords || !out->costs)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: %zu configurations", r->path, count);
    out->best = INFINITY;
    json_object_foreach(cache, name, configuration)
        TS_TRY(read_configuration(r, name, configuration, err));
    out->space.coords = out->coords;
    if (!isfinite(out->best))
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: no configuration has a number as \"%s\"",
                       r->path, r->objective);
    return TS_STATUS_OK;
}

static void copy_text(const json_t *root, const char *key, char *out, size_t bytes) {
    const char *text = json_string_value(json_object_get(root, key));
    snprintf(out, bytes, "%s", text ? text : "?");
}

ts_status tuner_recorded_load(const char *path, tuner_recorded *out, ts_err *err) {
    ts_buf text = {0};
    json_t *root = NULL;
    *out = (tuner_recorded){0};
    reading r = {.path = path, .out = out};
    ts_status status = read_whole(path, &text, err);
    if (status == TS_STATUS_OK) status = parse_text(path, &text, &root, &out->torn, err);
    ts_buf_free(&text);
    read_objective(&r, root);
    if (status == TS_STATUS_OK) status = read_tunables(&r, root, err);
    if (status == TS_STATUS_OK) status = read_cache(&r, root, err);
    out->best_value = r.higher_is_better ? 1 / out->best : out->best;
    copy_text(root, "device_name", out->device, sizeof out->device);
    copy_text(root, "kernel_name", out->kernel, sizeof out->kernel);
    for (size_t i = 0; i < r.tunables; i++) json_decref(r.values[i]);
    json_decref(root);
    if (status != TS_STATUS_OK) tuner_recorded_free(out);
    return status;
}

void tuner_recorded_free(tuner_recorded *recorded) {
    free(recorded->coords);
    free(recorded->costs);
    *recorded = (tuner_recorded){0};
}
