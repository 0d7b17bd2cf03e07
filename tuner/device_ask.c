/* The tuner's side of the device worker's protocol: packing requests, unpacking answers. */
#include <stdio.h>
#include <string.h>

#include "device_worker.h"

static ts_status open_answer(const ts_buf *answer, tuner_reader *reader, ts_err *err) {
    *reader = tuner_read(answer);
    ts_status status = (ts_status)tuner_get_u64(reader);
    const char *message = tuner_get_text(reader);
    if (reader->failed)
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of the device worker");
    if (status != TS_STATUS_OK) return ts_fail(err, status, "%s", message);
    return TS_STATUS_OK;
}

/* Structs travel whole: both ends are this program. */
static ts_status get_struct(const ts_buf *answer, void *out, size_t out_bytes, ts_err *err) {
    tuner_reader reader;
    size_t bytes;
    TS_TRY(open_answer(answer, &reader, err));
    const void *data = tuner_get_bytes(&reader, &bytes);
    if (!data || bytes != out_bytes)
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of the device worker");
    memcpy(out, data, bytes);
    return TS_STATUS_OK;
}

void tuner_device_put_hello(ts_buf *request) { tuner_put_u64(request, TUNER_ASK_HELLO); }

ts_status tuner_device_get_hello(const ts_buf *answer, tuner_device_facts *out, ts_err *err) {
    return get_struct(answer, out, sizeof *out, err);
}

void tuner_device_put_limit(ts_buf *request) { tuner_put_u64(request, TUNER_ASK_LIMIT); }

ts_status tuner_device_get_limit(const ts_buf *answer, double *copy_gbytes, ts_err *err) {
    return get_struct(answer, copy_gbytes, sizeof *copy_gbytes, err);
}

static void put_code(ts_buf *request, const tuner_kernel_code *code) {
    tuner_put_text(request, code->launch);
    tuner_put_bytes(request, code->blob, code->blob_bytes);
}

void tuner_run_result_set(tuner_run_result *result, const char *status, const char *reason) {
    snprintf(result->status, sizeof result->status, "%s", status);
    snprintf(result->reason, sizeof result->reason, "%s", reason);
}

void tuner_device_put_run(ts_buf *request, const tuner_run_job *job) {
    tuner_put_u64(request, TUNER_ASK_RUN);
    tuner_put_text(request, job->problem);
    tuner_put_u64(request, job->verify_cases);
    tuner_put_u64(request, job->verify_bench);
    tuner_put_u64(request, job->time);
    tuner_put_f64(request, job->best_us);
    put_code(request, &job->code);
}

ts_status tuner_device_get_run(const ts_buf *answer, tuner_run_result *out, ts_err *err) {
    return get_struct(answer, out, sizeof *out, err);
}

void tuner_device_put_race(ts_buf *request, const char *problem, const tuner_kernel_code *codes,
                           size_t count) {
    tuner_put_u64(request, TUNER_ASK_RACE);
    tuner_put_text(request, problem);
    tuner_put_u64(request, count);
    for (size_t i = 0; i < count; i++) put_code(request, &codes[i]);
}

ts_status tuner_device_get_race(const ts_buf *answer, tuner_rounds *out, ts_err *err) {
    tuner_reader reader;
    size_t bytes = 0;
    TS_TRY(open_answer(answer, &reader, err));
    const void *rounds = tuner_get_bytes(&reader, &bytes);
    if (reader.failed || bytes != sizeof *out)
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of the device worker");
    memcpy(out, rounds, sizeof *out);
    return TS_STATUS_OK;
}

void tuner_device_put_lookup(ts_buf *request, const char *database, const char *problem) {
    tuner_put_u64(request, TUNER_ASK_LOOKUP);
    tuner_put_text(request, database);
    tuner_put_text(request, problem);
}

ts_status tuner_device_get_lookup(const ts_buf *answer, ts_buf *variant, ts_err *err) {
    tuner_reader reader;
    TS_TRY(open_answer(answer, &reader, err));
    const char *text = tuner_get_text(&reader);
    if (reader.failed)
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of the device worker");
    ts_buf_printf(variant, "%s", text);
    if (variant->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "variant name");
    return TS_STATUS_OK;
}
