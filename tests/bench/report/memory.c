/* Memory and time of a forward pass over several sequences with made-up weights:
 *
 *     memory --db FILE [--device NAME] [--dtype NAME] [--sequences N] [--tokens N] [--runs N] CONFIG_DIR
 *
 * Prints one JSON object: the plan (what the runtime says beforehand that it will take, in bytes),
 * what the process or the GPU really held more at the end than before the model was there, and the
 * median time of a pass. One run a process: a peak can only be read once. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/device.h"
#include "runtime/tunesmith.h"

enum { MOST_RUNS = 100, MOST_SEQUENCES = 64, WARM_RUNS = 2 };

typedef struct options {
    const char *db, *device, *dir;
    ts_dtype dtype;
    int32_t sequences, tokens, runs;
} options;

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

/* A line of /proc/self/status in bytes; 0 if it is not there. */
static int64_t process_bytes(const char *key) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long long kilobytes = 0;
    size_t length = strlen(key);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            kilobytes = strtoll(line + length + 1, NULL, 10);
    if (file) fclose(file);
    return kilobytes * 1024;
}

/* What is held now; on the CPU with `peak` the most that ever was. */
static ts_status held(ts_device *device, bool peak, int64_t *bytes, ts_err *err) {
    int64_t free_bytes, total_bytes;
    if (device->info.is_cpu) {
        *bytes = process_bytes(peak ? "VmHWM" : "VmRSS");
        return TS_STATUS_OK;
    }
    TS_TRY(device->ops->memory_info(device, &free_bytes, &total_bytes, err));
    *bytes = total_bytes - free_bytes;
    return TS_STATUS_OK;
}

/* ---- the pass ---- */

static ts_session_options session_options(const options *o) {
    ts_session_options s = ts_session_defaults();
    s.sequences = o->sequences;
    s.chunk = o->sequences * o->tokens; /* all of them in one pass */
    return s;
}

static ts_status forward(ts_session *session, const ts_prompt *prompts, const options *o,
                         double *ms, ts_err *err) {
    const float *logits;
    TS_TRY(ts_session_reset(session, err));
    double begin = now_ms();
    TS_TRY(ts_session_prefill_batch(session, prompts, (size_t)o->sequences, err));
    for (int32_t i = 0; i < o->sequences; i++)
        TS_TRY(ts_session_sequence_logits(session, i, &logits, err)); /* done when they are here */
    *ms = now_ms() - begin;
    return TS_STATUS_OK;
}

static ts_status measure(ts_model *model, const options *o, double *ms, ts_err *err) {
    ts_session_options so = session_options(o);
    ts_session *session = NULL;
    ts_prompt prompts[MOST_SEQUENCES] = {0};
    int32_t *ids = malloc((size_t)so.chunk * sizeof *ids), vocab = ts_model_describe(model).vocab;
    if (!ids) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%d ids", so.chunk);
    for (int32_t i = 0; i < so.chunk; i++) ids[i] = (int32_t)((int64_t)i * 7919 % vocab);
    for (int32_t i = 0; i < o->sequences; i++)
        prompts[i] = (ts_prompt){
            .sequence = i, .ids = ids + i * o->tokens, .count = (size_t)o->tokens};
    ts_status status = ts_session_create(model, &so, &session, err);
    for (int32_t run = -WARM_RUNS; run < o->runs && status == TS_STATUS_OK; run++)
        status = forward(session, prompts, o, &ms[run < 0 ? 0 : run], err);
    ts_session_close(session);
    free(ids);
    return status;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ts_status run(const options *o, ts_engine *engine, ts_err *err) {
    ts_session_options so = session_options(o);
    ts_device *device = ts_engine_device(engine);
    ts_model *model = NULL;
    ts_plan plan;
    int64_t before, after;
    double ms[MOST_RUNS];
    TS_TRY(ts_plan_model(engine, o->dir, o->dtype, &so, &plan, err));
    TS_TRY(held(device, false, &before, err));
    TS_TRY(ts_model_make_up(engine, o->dir, o->dtype, 1, &model, err));
    const char *dtype = ts_dtype_name(ts_model_describe(model).dtype);
    ts_status status = measure(model, o, ms, err);
    if (status == TS_STATUS_OK) status = held(device, true, &after, err);
    ts_model_close(model);
    TS_TRY(status);
    qsort(ms, (size_t)o->runs, sizeof *ms, ascending);
    printf("{\"device\":\"%s\",\"target\":\"%s\",\"dtype\":\"%s\",\"sequences\":%d,\"tokens\":%d,"
           "\"weight_bytes\":%zu,\"state_bytes\":%zu,\"work_bytes\":%zu,\"held_bytes\":%lld,"
           "\"runs\":%d,\"ms\":%.4f,\"least_ms\":%.4f,\"most_ms\":%.4f}\n",
           device->info.name, device->info.target, dtype, o->sequences, o->tokens,
           plan.weight_bytes, plan.state_bytes, plan.work_bytes, (long long)(after - before),
           o->runs, (ms[(o->runs - 1) / 2] + ms[o->runs / 2]) / 2, ms[0], ms[o->runs - 1]);
    return TS_STATUS_OK;
}

/* ---- program ---- */

static bool parse_dtype(const char *text, ts_dtype *out) {
    for (ts_dtype dtype = TS_DTYPE_FP32; dtype <= TS_DTYPE_BF16; dtype++)
        if (strcmp(text, ts_dtype_name(dtype)) == 0) {
            *out = dtype;
            return true;
        }
    return false;
}

static bool parse(int argc, char **argv, options *o) {
    static const struct option table[] = {
        {"db", required_argument, NULL, 'd'},
        {"device", required_argument, NULL, 'g'},
        {"dtype", required_argument, NULL, 't'},
        {"runs", required_argument, NULL, 'r'},
        {"sequences", required_argument, NULL, 's'},
        {"tokens", required_argument, NULL, 'n'},
        {0},
    };
    *o = (options){
        .device = "auto", .dtype = TS_DTYPE_FP32, .sequences = 2, .tokens = 32, .runs = 11};
    for (int found; (found = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (found) {
        case 'd': o->db = optarg; break;
        case 'g': o->device = optarg; break;
        case 'r': o->runs = atoi(optarg); break;
        case 's': o->sequences = atoi(optarg); break;
        case 'n': o->tokens = atoi(optarg); break;
        case 't':
            if (!parse_dtype(optarg, &o->dtype)) return false;
            break;
        default: return false;
        }
    }
    o->dir = argv[optind];
    return argc - optind == 1 && o->runs > 0 && o->runs <= MOST_RUNS && o->sequences > 0 &&
           o->sequences <= MOST_SEQUENCES && o->tokens > 0 && o->tokens <= 4096;
}

int main(int argc, char **argv) {
    options o;
    ts_err err = {0};
    ts_engine *engine = NULL;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "memory --db FILE [--device NAME] [--dtype fp32|fp16|bf16] [--sequences N] "
                        "[--tokens N] [--runs N] CONFIG_DIR\n");
        return 2;
    }
    ts_engine_options eo = ts_engine_defaults();
    eo.device = o.device, eo.database = o.db;
    ts_status status = ts_engine_open(&eo, &engine, &err);
    if (status == TS_STATUS_OK) status = run(&o, engine, &err);
    ts_engine_close(engine);
    if (status == TS_STATUS_OK) return 0;
    fprintf(stderr, "memory: %s\n", err.message);
    return err.status == TS_STATUS_NO_DEVICE ? 3 : 1;
}
