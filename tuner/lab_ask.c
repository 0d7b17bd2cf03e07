/* Questions to the lab's workers that are answered before anything else happens. */
#include <stdio.h>

#include "lab.h"

/* CUDA's first context of a boot, or a cold compiler, may take many seconds. */
static const double ask_timeout_s = 120;

/* Sends lab->workers[index] one request and waits for its answer, which is left in lab->reply. */
static ts_status ask(tuner_lab *lab, size_t index, const ts_buf *request, ts_err *err) {
    tuner_worker *worker = &lab->workers[index];
    TS_TRY(tuner_worker_send(worker, request, ask_timeout_s, NULL, err));
    while (worker->busy && !tuner_workers_wait(worker, 1, 500, &lab->reply))
        if (*lab->interrupted) return ts_fail(err, TS_STATUS_CANCELLED, "interrupted");
    if (lab->reply.outcome == TUNER_REPLY) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_DEVICE, "worker process: %s", lab->reply.detail);
}

ts_status tuner_lab_facts(tuner_lab *lab, tuner_device_facts *out, ts_err *err) {
    ts_buf request = {0};
    tuner_device_put_hello(&request);
    ts_status status = ask(lab, 0, &request, err);
    ts_buf_free(&request);
    return status == TS_STATUS_OK ? tuner_device_get_hello(&lab->reply.message, out, err) : status;
}

ts_status tuner_lab_limit(tuner_lab *lab, double *copy_gbytes, ts_err *err) {
    ts_buf request = {0};
    tuner_device_put_limit(&request);
    ts_status status = ask(lab, 0, &request, err);
    ts_buf_free(&request);
    return status == TS_STATUS_OK ? tuner_device_get_limit(&lab->reply.message, copy_gbytes, err)
                                  : status;
}

ts_status tuner_lab_compiler(tuner_lab *lab, gen_kind kind, const tuner_compiler **out,
                             ts_err *err) {
    tuner_compiler *compiler = &lab->compilers[kind];
    if (!compiler->name[0]) {
        /* Any idle compile worker will do; all of them may be busy with jobs of another kind. */
        size_t index = 1;
        while (index < lab->jobs && lab->workers[index].busy) index++;
        if (lab->workers[index].busy)
            return ts_fail(err, TS_STATUS_COMPILE, "no idle compile worker to ask");
        ts_buf request = {0};
        tuner_compile_put_describe(&request, kind);
        ts_status status = ask(lab, index, &request, err);
        ts_buf_free(&request);
        if (status != TS_STATUS_OK) return status;
        TS_TRY(tuner_compile_get_describe(&lab->reply.message, compiler, err));
    }
    *out = compiler;
    return TS_STATUS_OK;
}

ts_status tuner_lab_lookup(tuner_lab *lab, const char *database, const char *problem,
                           ts_buf *variant, ts_err *err) {
    ts_buf request = {0};
    tuner_device_put_lookup(&request, database, problem);
    ts_status status = ask(lab, 0, &request, err);
    ts_buf_free(&request);
    return status == TS_STATUS_OK ? tuner_device_get_lookup(&lab->reply.message, variant, err)
                                  : status;
}

ts_status tuner_lab_race(tuner_lab *lab, const tuner_problem *problem, tuner_built *const *built,
                         size_t count, tuner_rounds *out, ts_err *err) {
    tuner_kernel_code codes[TUNER_MAX_FINALISTS];
    ts_buf request = {0};
    for (size_t i = 0; i < count; i++)
        codes[i] = (tuner_kernel_code){built[i]->compiled.blob.data, built[i]->compiled.blob.bytes,
                                       built[i]->launch.data};
    tuner_device_put_race(&request, problem->text, codes, count);
    ts_status status = ask(lab, 0, &request, err);
    ts_buf_free(&request);
    if (status == TS_STATUS_OK) status = tuner_device_get_race(&lab->reply.message, out, err);
    if (status != TS_STATUS_OK)
        tuner_worker_stop(&lab->workers[0]); /* the next race gets a new one */
    return status;
}
