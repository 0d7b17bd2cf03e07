/* T4, the autotuning community's results, schema version 1.0.0: an object a configuration, and beside
 * it a file about the device, which the results themselves do not name.
 *
 * The schema calls the compiler's time "compilation_time", the tools that write and read such files
 * "compilation"; both are here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime/tunesmith_kernels.h"
#include "format.h"

#define SCHEMA_VERSION "1.0.0"

static json_t *times_of(const tuner_space_row *row) {
    static const struct {
        const char *key, *stage;
    } stages[] = {{"compilation_time", "compile"}, {"compilation", "compile"},
                  {"validation", "verify"},        {"benchmark", "measure"},
                  {"search_algorithm", "search"},  {"framework", "prepare"}};
    json_t *times = json_object();
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        json_object_set_new(times, stages[i].key,
                            json_real(tuner_row_stage_ms(row, stages[i].stage)));
    json_object_set_new(times, "runtimes", tuner_row_samples(row));
    return times;
}

static json_t *measurements_of(const tuner_space_row *row) {
    json_t *list = json_array(), *measures = tuner_row_measures(row), *value;
    const char *name;
    json_object_foreach(measures, name, value)
        json_array_append_new(list, json_pack("{ss sO ss}", "name", name, "value", value, "unit",
                                              tuner_measure_unit(name)));
    json_decref(measures);
    return list;
}

/* Correct is what the oracle agreed with: everything that was timed. */
static json_t *result_of(const tuner_space_row *row) {
    const tuner_rejection *rejection = tuner_rejection_of(row);
    json_t *result = json_object(), *timestamp = tuner_row_timestamp(row);
    if (timestamp) json_object_set_new(result, "timestamp", timestamp);
    json_object_set(result, "configuration", row->configuration);
    json_object_set_new(result, "objectives", json_pack("[s]", "time"));
    json_object_set_new(result, "times", times_of(row));
    json_object_set_new(result, "invalidity",
                        json_string(rejection ? rejection->invalidity : "correct"));
    json_object_set_new(result, "correctness", json_integer(rejection ? 0 : 1));
    json_object_set_new(result, "measurements", measurements_of(row));
    return result;
}

static ts_status write_results(const tuner_results_space *space, const char *path, ts_err *err) {
    ts_buf text = {0};
    json_t *metadata = tuner_space_place(space);
    json_object_set_new(metadata, "timeunit", json_string("milliseconds"));
    ts_buf_printf(&text, "{\"schema_version\": \"" SCHEMA_VERSION "\",\n\"metadata\": ");
    tuner_export_append(&text, metadata);
    ts_buf_printf(&text, ",\n\"results\": [");
    for (size_t i = 0; i < space->count; i++) {
        ts_buf_printf(&text, "%s\n", i ? "," : "");
        tuner_export_append(&text, result_of(&space->rows[i]));
    }
    ts_buf_printf(&text, "\n]\n}\n");
    return tuner_export_write(&text, path, err);
}

/* "x.json" -> "x-metadata.json". There is no other system on which tune runs than the one named. */
static ts_status write_metadata(const tuner_results_space *space, const char *path, ts_err *err) {
    const db_device *device = &space->device;
    ts_buf text = {0}, beside = {0};
    ts_buf_printf(&beside, "%.*s-metadata.json", (int)(strlen(path) - strlen(".json")), path);
    json_t *hardware = json_pack("{so ss sI sI so}", "name", tuner_export_text(device->name),
                                 "target", device->target, "sm_count", (json_int_t)device->sm_count,
                                 "memory_bytes", (json_int_t)device->memory_bytes, "driver",
                                 tuner_export_text(device->driver));
    json_t *root = json_pack(
        "{ss s{s{s[o] ss} s{s{s{so ss}} s[o]}}}", "schema_version", SCHEMA_VERSION, "metadata",
        "hardware", "hardware_description", hardware, "operating_system", "Linux", "environment",
        "device_query", "tunesmith", "problem", tuner_export_text(space->problem), "target",
        space->target, "requirements", json_sprintf("tunesmith==%s", ts_version()));
    tuner_export_append(&text, root);
    ts_buf_printf(&text, "\n");
    ts_status status = beside.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path)
                                     : tuner_export_write(&text, beside.data, err);
    ts_buf_free(&text);
    ts_buf_free(&beside);
    return status;
}

static ts_status write(const tuner_results_space *space, const char *path, ts_err *err) {
    TS_TRY(write_metadata(space, path, err));
    return write_results(space, path, err);
}

const tuner_export_format tuner_export_t4 = {"t4", "-t4.json", write};
