/* The process that owns the device: verifies and times candidates there.
 *
 * Illegal accesses, hangs and crashes end this process only; the tuner reads the outcome from the
 * channel and starts another. The tuner itself opens no device. Below: the worker's side
 * (tuner_device_serve), then pairs of functions with which the tuner writes a request and reads its
 * answer. */
#ifndef TUNER_DEVICE_WORKER_H
#define TUNER_DEVICE_WORKER_H

#include "../gen/gen.h"
#include "../runtime/device.h"
#include "channel.h"
#include "timing.h"

/* What a worker inherits by fork. */
typedef struct tuner_device_context {
    gen *g;
    const char *device;  /* ts_device_open's name: "auto", "cpu", "cuda:1" */
    const char *scratch; /* folder for temporary files; holds oracles built at tune time */
    uint64_t seed;
} tuner_device_context;

/* Serves requests on `fd`; `context` is a tuner_device_context. */
void tuner_device_serve(int fd, void *context);

/* ---- who is there ---- */
typedef struct tuner_device_facts {
    rt_device_info info;
    char targets[8][32]; /* targets whose kernels it can load, best first */
    size_t target_count;
    char notice[200]; /* who else may disturb the times (neighbours.h); "" if nobody does */
} tuner_device_facts;

void tuner_device_put_hello(ts_buf *request);
/* NO_DEVICE carries the message of ts_device_open. */
ts_status tuner_device_get_hello(const ts_buf *answer, tuner_device_facts *out, ts_err *err);

/* ---- the limit ---- */
void tuner_device_put_limit(ts_buf *request);
ts_status tuner_device_get_limit(const ts_buf *answer, double *copy_gbytes, ts_err *err);

/* ---- one candidate ---- */
typedef struct tuner_kernel_code {
    const void *blob;
    size_t blob_bytes;
    const char *launch; /* launch data, JSON */
} tuner_kernel_code;

typedef struct tuner_run_job {
    const char *problem;
    tuner_kernel_code code;
    bool verify_cases; /* the family's verify cases with this specialization */
    bool verify_bench; /* the problem itself, sampled lanes */
    bool time;
    double best_us; /* time to beat; 0: none */
} tuner_run_job;

typedef struct tuner_run_result {
    char status[16];                  /* db_result.status: ok, launch, wrong, crash, slow */
    char reason[1024];                /* as long as a ts_err message */
    double time_us, spread_us, error; /* NaN: not timed, not verified */
    int32_t samples;
    double prepare_s, verify_s, measure_s; /* where the time went; prepare: inputs and oracle */
    bool leaving;        /* the device was left in doubt: the worker ends after this answer */
    char evidence[2048]; /* members of a JSON object; "" if not timed */
} tuner_run_result;

/* Sets status and reason; a longer reason is cut. */
void tuner_run_result_set(tuner_run_result *result, const char *status, const char *reason);
void tuner_device_put_run(ts_buf *request, const tuner_run_job *job);
ts_status tuner_device_get_run(const ts_buf *answer, tuner_run_result *out, ts_err *err);

/* ---- a race ---- */
void tuner_device_put_race(ts_buf *request, const char *problem, const tuner_kernel_code *codes,
                           size_t count);
ts_status tuner_device_get_race(const ts_buf *answer, tuner_rounds *out, ts_err *err);

/* ---- what a model would get ---- */
void tuner_device_put_lookup(ts_buf *request, const char *database, const char *problem);
/* The variant that the runtime's own lookup picks there, with the statuses of ts_kernel_find. */
ts_status tuner_device_get_lookup(const ts_buf *answer, ts_buf *variant, ts_err *err);

enum tuner_device_request {
    TUNER_ASK_HELLO,
    TUNER_ASK_LIMIT,
    TUNER_ASK_RUN,
    TUNER_ASK_RACE,
    TUNER_ASK_LOOKUP
};

#endif
