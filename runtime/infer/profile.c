/* --profile: where the time of a run goes, as a table on stderr, or with --json as an object a row
 * on stdout; and as a page.
 *
 * The run is from the prompt's text and images to the last token; loading the model and creating the
 * session are not part of it. A row's limit is what the device's peaks allow at best for its FLOPs
 * and bytes, call by call.
 */
#include "profile.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../db/base.h"
#include "../model/engine.h"

ts_status infer_profile_open(infer *in, ts_err *err) {
    ts_device *device = ts_engine_device(in->engine);
    bool halves = ts_model_describe(in->model).dtype != TS_DTYPE_FP32;
    ts_err why = {0};
    ts_status status = rt_peaks_find(device, halves, &in->peaks, &why);
    if (status == TS_STATUS_UNSUPPORTED) { /* bytes are a limit all the same */
        fprintf(stderr, "infer: %s\n", why.message);
        in->peaks.gflops = INFINITY;
    } else if (status != TS_STATUS_OK) {
        return ts_fail(err, status, "the device's peaks, for --profile: %s", why.message);
    }
    TS_TRY(rt_profile_create(device, &in->peaks, &in->profile, err));
    rt_engine_watch(in->engine, in->profile);
    return TS_STATUS_OK;
}

/* ---- rows ---- */

size_t profile_layer_bytes(const char *part) { return strcspn(part, "/"); }

static bool is_of_layer(const rt_profile_row *row, const char *part) {
    size_t bytes = profile_layer_bytes(part);
    return profile_layer_bytes(row->part) == bytes && memcmp(row->part, part, bytes) == 0;
}

const rt_profile_row *profile_layer(const profile_report *r, const char *name) {
    for (size_t i = 0; i < r->layer_count; i++)
        if (is_of_layer(&r->layers[i], name)) return &r->layers[i];
    return NULL;
}

double profile_limit_share(const rt_profile_row *row) {
    return row->has_work && row->us > 0 ? row->limit_us / row->us : NAN;
}

static void add_to_layer(profile_report *r, const rt_profile_row *row) {
    rt_profile_row *sum = (rt_profile_row *)profile_layer(r, row->part);
    if (!sum) {
        r->layers[r->layer_count++] = *row;
        return;
    }
    sum->calls += row->calls;
    sum->us += row->us;
    sum->step_us += row->step_us;
    sum->has_work = sum->has_work && row->has_work;
    sum->flops += row->flops;
    sum->bytes += row->bytes;
    sum->limit_us += row->limit_us;
}

static ts_status make_report(const infer *in, const infer_prompt *prompt, profile_report *r,
                             ts_err *err) {
    r->elapsed_us = rt_profile_elapsed_us(in->profile);
    TS_TRY(rt_profile_rows(in->profile, &r->rows, &r->count, err));
    r->layers = calloc(r->count, sizeof *r->layers);
    if (!r->layers) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "profile");
    for (size_t i = 0; i < r->count; i++) add_to_layer(r, &r->rows[i]);
    for (size_t i = 0; i < prompt->media.count; i++) {
        const ts_medium *m = &prompt->media.items[i];
        r->patches += (int64_t)m->t * m->h * m->w;
    }
    profile_explain(r);
    return r->reason.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "profile") : TS_STATUS_OK;
}

/* ---- the table ---- */

static void print_row(const rt_profile_row *row, const char *name, int indent, double elapsed_us) {
    double share = profile_limit_share(row);
    fprintf(stderr, "%*s%-*s %8lld %12.3f %8.1f %%", indent, "", 22 - indent, name,
            (long long)row->calls, row->us * 1e-3, 100 * row->us / elapsed_us);
    if (!isnan(share))
        fprintf(stderr, " %10.3f %10.3f %8.1f %%", row->flops * 1e-9, row->bytes * 1e-9,
                100 * share);
    fputc('\n', stderr);
}

static void print_layer(const profile_report *r, const rt_profile_row *layer) {
    char name[40];
    size_t bytes = profile_layer_bytes(layer->part);
    snprintf(name, sizeof name, "%.*s", (int)bytes, layer->part);
    print_row(layer, name, 0, r->elapsed_us);
    for (size_t i = 0; i < r->count; i++)
        if (is_of_layer(&r->rows[i], layer->part) && r->rows[i].part[bytes] == '/')
            print_row(&r->rows[i], r->rows[i].part + bytes + 1, 2, r->elapsed_us);
}

static void print_table(const profile_report *r) {
    fprintf(stderr, "\n%s, %s, on %s (%s): %.3f ms for %zu tokens of prompt and %zu new ones\n",
            r->info.model_type, ts_dtype_name(r->info.dtype), r->device, r->target,
            r->elapsed_us * 1e-3, r->prompt_tokens, r->new_tokens);
    fprintf(stderr, "%-22s %8s %12s %10s %10s %10s %10s\n", "part", "calls", "time ms", "share",
            "GFLOP", "GB", "of limit");
    for (size_t i = 0; i < r->layer_count; i++) print_layer(r, &r->layers[i]);
    fprintf(stderr, "limit: %.1f GFLOP/s, %.1f GB/s; above 100 %% the data came from a cache\n%s",
            r->peaks.gflops, r->peaks.gbytes, r->reason.data);
}

/* ---- JSON ---- */

static void print_object(json_t *object) {
    char *line = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (line) puts(line);
    free(line);
    json_decref(object);
}

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void print_json(const profile_report *r) {
    const rt_profile_row *vision = profile_layer(r, "vision");
    print_object(json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:o, s:f, s:f, s:f, s:s}", "figure", "profile",
        "model_type", r->info.model_type, "dtype", ts_dtype_name(r->info.dtype), "device",
        r->device, "target", r->target, "prompt_tokens", (json_int_t)r->prompt_tokens, "new_tokens",
        (json_int_t)r->new_tokens, "elapsed_us", r->elapsed_us, "peak_gflops",
        real_or_null(r->peaks.gflops), "copy_gbytes_per_s", r->peaks.gbytes, "vision_share",
        vision ? vision->us / r->elapsed_us : 0, "reported_vision_share", PROFILE_REPORTED_SHARE,
        "reason", r->reason.data));
    for (size_t i = 0; i < r->count; i++) {
        const rt_profile_row *row = &r->rows[i];
        print_object(json_pack("{s:s, s:I, s:f, s:f, s:f, s:o, s:o, s:o}", "part", row->part,
                               "calls", (json_int_t)row->calls, "time_us", row->us, "step_time_us",
                               row->step_us, "share", row->us / r->elapsed_us, "flops",
                               real_or_null(row->has_work ? row->flops : NAN), "bytes",
                               real_or_null(row->has_work ? row->bytes : NAN), "limit_share",
                               real_or_null(profile_limit_share(row))));
    }
    fflush(stdout);
}

/* ---- all of it ---- */

static ts_status write_page(const char *path, const profile_report *r, ts_err *err) {
    ts_buf page = {0};
    profile_page(r, &page);
    ts_status status = page.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path)
                                   : ts_file_write(path, page.data, page.bytes, err);
    ts_buf_free(&page);
    return status;
}

ts_status infer_profile_report(const infer *in, const infer_prompt *prompt, size_t new_tokens,
                               ts_err *err) {
    const ts_device *device = ts_engine_device(in->engine);
    profile_report r = {.model = in->options->model_dir,
                        .info = ts_model_describe(in->model),
                        .device = ts_device_name(device),
                        .target = ts_device_target(device),
                        .peaks = in->peaks,
                        .sees = rt_model_media_ids(in->model) != NULL,
                        .prompt_tokens = prompt->count,
                        .new_tokens = new_tokens};
    ts_status status = rt_profile_pause(in->profile, err);
    if (status == TS_STATUS_OK) status = make_report(in, prompt, &r, err);
    if (status == TS_STATUS_OK) in->options->json ? print_json(&r) : print_table(&r);
    if (status == TS_STATUS_OK && in->options->profile[0])
        status = write_page(in->options->profile, &r, err);
    free(r.rows);
    free(r.layers);
    ts_buf_free(&r.reason);
    return status;
}
