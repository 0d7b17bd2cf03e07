/* Kernel Tuner's cache file: a header, then an object a configuration under its values joined by
 * commas. Kernel Tuner goes on writing a file whose last three bytes are "}\n}"; any other end it
 * takes for a torn one.
 *
 * It tells caches apart by kernel name, problem size and device alone, so the name here is the whole
 * problem: data types and flags make another kernel. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

/* "gemm m=512 n=256 dtype=fp32" -> [512, 256]: the fields that are numbers. */
static json_t *problem_size(const char *problem) {
    json_t *size = json_array();
    for (const char *at = problem; (at = strchr(at, ' '));) {
        at++;
        const char *value = at + strcspn(at, "= ");
        char *end;
        if (*value != '=') continue;
        long long number = strtoll(value + 1, &end, 10);
        if (end > value + 1 && (*end == ' ' || *end == '\0'))
            json_array_append_new(size, json_integer(number));
    }
    return size;
}

static void append_header(const tuner_results_space *space, ts_buf *out) {
    json_t *names = json_array(), *place = tuner_space_place(space), *values;
    const char *name;
    json_object_foreach(space->columns, name, values)
        json_array_append_new(names, json_string(name));
    const struct {
        const char *key;
        json_t *value;
    } header[] = {{"device_name", json_incref(json_object_get(place, "device"))},
                  {"kernel_name", json_incref(json_object_get(place, "problem"))},
                  {"problem_size", problem_size(space->problem)},
                  {"tune_params_keys", names},
                  {"tune_params", json_incref(space->columns)},
                  {"objective", json_string("time")},
                  {"target", json_incref(json_object_get(place, "target"))}};
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) {
        ts_buf_printf(out, "%s\"%s\": ", i ? ",\n" : "{", header[i].key);
        tuner_export_append(out, header[i].value);
    }
    json_decref(place);
}

/* A failed one has its error as time, which every Kernel Tuner reads, and as "__error__". */
static json_t *entry_of(const tuner_space_row *row) {
    const tuner_rejection *rejection = tuner_rejection_of(row);
    json_t *entry = json_copy(row->configuration), *measures = tuner_row_measures(row);
    const struct {
        const char *key, *stage;
    } stages[] = {{"compile_time", "compile"},
                  {"verification_time", "verify"},
                  {"benchmark_time", "measure"},
                  {"strategy_time", "search"},
                  {"framework_time", "prepare"}};
    if (rejection) {
        json_object_set_new(entry, "time", json_string(rejection->cache));
        json_object_set_new(entry, "__error__", json_string(rejection->cache));
    }
    json_object_update(entry, measures);
    json_object_set_new(entry, "times", tuner_row_samples(row));
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        json_object_set_new(entry, stages[i].key,
                            json_real(tuner_row_stage_ms(row, stages[i].stage)));
    json_t *timestamp = tuner_row_timestamp(row);
    if (timestamp) json_object_set_new(entry, "timestamp", timestamp);
    json_decref(measures);
    return entry;
}

static void append_key(const json_t *configuration, ts_buf *out) {
    ts_buf key = {0};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)configuration, name, value) {
        if (key.bytes) ts_buf_append(&key, ",", 1);
        tuner_space_value_text(value, &key);
    }
    tuner_export_append(out, key.failed ? NULL : json_string(key.data));
    ts_buf_free(&key);
}

static ts_status write(const tuner_results_space *space, const char *path, ts_err *err) {
    ts_buf text = {0};
    append_header(space, &text);
    ts_buf_printf(&text, ",\n\"cache\": {");
    for (size_t i = 0; i < space->count; i++) {
        ts_buf_printf(&text, "%s\n", i ? "," : "");
        append_key(space->rows[i].configuration, &text);
        ts_buf_printf(&text, ": ");
        tuner_export_append(&text, entry_of(&space->rows[i]));
    }
    ts_buf_printf(&text, "}\n}");
    return tuner_export_write(&text, path, err);
}

const tuner_export_format tuner_export_kernel_tuner = {"kernel-tuner", ".json", write};
