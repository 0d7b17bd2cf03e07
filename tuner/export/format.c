/* From rows to the words and units that other tuners use. */
#include "format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char failed_run[] = "RuntimeFailedConfig";

static const tuner_rejection rejections[] = {
    {"constraint", "InvalidConfig", "constraints"},
    {"compile", "CompilationFailedConfig", "compile"},
    {"spill", "CompilationFailedConfig", "compile"},
    {"wrong", failed_run, "correctness"},
    {"timeout", failed_run, "timeout"},
    {"launch", failed_run, "runtime"},
    {"crash", failed_run, "runtime"},
    {NULL, failed_run, "runtime"},
};

const tuner_rejection *tuner_rejection_of(const tuner_space_row *row) {
    const tuner_rejection *r = rejections;
    if (!isnan(row->time_us)) return NULL;
    while (r->status && strcmp(r->status, row->status) != 0) r++;
    return r;
}

static double evidence(const tuner_space_row *row, const char *name) {
    double value = json_number_value(json_object_get(row->evidence, name));
    return isfinite(value) ? value : 0;
}

double tuner_row_stage_ms(const tuner_space_row *row, const char *stage) {
    char name[32];
    snprintf(name, sizeof name, "%s_ms", stage);
    return evidence(row, name);
}

json_t *tuner_row_samples(const tuner_space_row *row) {
    json_t *samples = json_array(), *us;
    size_t i;
    json_array_foreach(json_object_get(row->evidence, "samples_us"), i, us)
        json_array_append_new(samples, json_real(1e-3 * json_number_value(us)));
    return samples;
}

json_t *tuner_row_timestamp(const tuner_space_row *row) {
    double at = evidence(row, "at");
    time_t seconds = (time_t)at;
    struct tm utc;
    char text[40];
    if (!(at > 0 && at < 1e11) || !gmtime_r(&seconds, &utc)) return NULL;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
    int milliseconds = (int)(1e3 * (at - (double)seconds));
    return json_sprintf("%s.%03d000+00:00", text, milliseconds);
}

static void put_number(json_t *object, const char *name, double value) {
    if (isfinite(value)) json_object_set_new(object, name, json_real(value));
}

json_t *tuner_row_measures(const tuner_space_row *row) {
    static const char *const counts[] = {"registers", "spill_bytes", "shared_bytes"};
    json_t *measures = json_object();
    put_number(measures, "time", 1e-3 * row->time_us);
    put_number(measures, "spread", 1e-3 * row->spread_us);
    put_number(measures, "error", row->error);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_t *count = json_object_get(row->evidence, counts[i]);
        if (json_is_integer(count)) json_object_set(measures, counts[i], count);
    }
    if (*row->reason) json_object_set_new(measures, "reason", tuner_export_text(row->reason));
    return measures;
}

const char *tuner_measure_unit(const char *name) {
    bool is_time = strcmp(name, "time") == 0 || strcmp(name, "spread") == 0;
    return is_time ? "ms" : strstr(name, "_bytes") ? "bytes" : "";
}

json_t *tuner_export_text(const char *text) {
    json_t *value = json_string(text);
    char *plain = value ? NULL : strdup(text);
    for (char *c = plain; c && *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    if (plain) value = json_string(plain);
    free(plain);
    return value;
}

json_t *tuner_space_place(const tuner_results_space *space) {
    return json_pack("{so so so}", "problem", tuner_export_text(space->problem), "target",
                     tuner_export_text(space->target), "device",
                     tuner_export_text(space->device.name));
}

/* Seven digits are finer than any clock here resolves. */
void tuner_export_append(ts_buf *out, json_t *value) {
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7)) : NULL;
    if (text)
        ts_buf_append(out, text, strlen(text));
    else
        out->failed = true;
    free(text);
    json_decref(value);
}

ts_status tuner_export_write(ts_buf *text, const char *path, ts_err *err) {
    ts_status status = text->failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path)
                                    : ts_file_write(path, text->data, text->bytes, err);
    ts_buf_free(text);
    return status;
}
