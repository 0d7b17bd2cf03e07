/* The compile worker: requests in, compiled kernels out. Which compiler is a table by kind of
 * target. */
#include "compile.h"
#include "compile_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const tuner_backend *const backends[] = {[GEN_CUDA] = &tuner_nvrtc, [GEN_CPU] = &tuner_cc};

enum { REQUEST_DESCRIBE, REQUEST_JOB };
enum { MAX_OPTIONS = 64 };

void tuner_compiled_free(tuner_compiled *compiled) {
    ts_buf_free(&compiled->blob);
    ts_buf_free(&compiled->log);
}

static size_t gather_options(gen_kind kind, const char *const *own, const char *out[MAX_OPTIONS]) {
    size_t count = 0;
    for (const char *const *o = backends[kind]->options; *o && count < MAX_OPTIONS - 1; o++)
        out[count++] = *o;
    for (; *own && count < MAX_OPTIONS - 1; own++) out[count++] = *own;
    out[count] = NULL;
    return count;
}

void tuner_compile_options(const gen_target *target, ts_buf *out) {
    const char *options[MAX_OPTIONS];
    size_t count = gather_options(gen_target_kind(target), gen_target_options(target), options);
    for (size_t i = 0; i < count; i++) ts_buf_printf(out, "%s%s", i ? " " : "", options[i]);
}

/* ---- what a compiler can do ---- */

ts_status tuner_compiler_check(const tuner_compiler *compiler, const gen_target *target,
                               ts_err *err) {
    double wanted = 0;
    int32_t newest = 0;
    bool known = !compiler->capabilities[0] ||
                 !gen_target_fact(target, "compute_capability", &wanted);
    for (const int32_t *c = compiler->capabilities; *c && !known; c++) {
        newest = *c;
        known = *c == (int32_t)wanted;
    }
    if (known) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_UNSUPPORTED,
                   "%s makes no code for %s (it knows sm_%d to sm_%d); give another NVRTC library "
                   "with --nvrtc PATH",
                   compiler->name, gen_target_name(target), compiler->capabilities[0], newest);
}

int32_t tuner_driver_min(const tuner_compiler *compiler, const gen_target *target) {
    double of_chip = 0;
    gen_target_fact(target, "driver_min", &of_chip);
    return compiler->driver_min > (int32_t)of_chip ? compiler->driver_min : (int32_t)of_chip;
}

/* ---- requests, from the tuner's side ---- */

void tuner_compile_put_describe(ts_buf *request, gen_kind kind) {
    tuner_put_u64(request, REQUEST_DESCRIBE);
    tuner_put_u64(request, (uint64_t)kind);
}

void tuner_compile_put_job(ts_buf *request, const gen_target *target, const char *ptx,
                           const ts_buf *source) {
    static const char ARCHITECTURE[] = "--gpu-architecture=";
    const char *options[MAX_OPTIONS];
    char chosen[64];
    size_t count = gather_options(gen_target_kind(target), gen_target_options(target), options);
    tuner_put_u64(request, REQUEST_JOB);
    tuner_put_u64(request, (uint64_t)gen_target_kind(target));
    tuner_put_u64(request, count);
    snprintf(chosen, sizeof chosen, "%s%s", ARCHITECTURE, ptx ? ptx : "");
    for (size_t i = 0; i < count; i++) {
        bool replace = ptx && strncmp(options[i], ARCHITECTURE, sizeof ARCHITECTURE - 1) == 0;
        tuner_put_text(request, replace ? chosen : options[i]);
    }
    tuner_put_bytes(request, source->data, source->bytes);
}

static ts_status open_answer(const ts_buf *answer, tuner_reader *reader, ts_err *err) {
    *reader = tuner_read(answer);
    ts_status status = (ts_status)tuner_get_u64(reader);
    const char *message = tuner_get_text(reader);
    if (reader->failed)
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of a compile worker");
    if (status != TS_STATUS_OK) return ts_fail(err, TS_STATUS_COMPILE, "%s", message);
    return TS_STATUS_OK;
}

ts_status tuner_compile_get_describe(const ts_buf *answer, tuner_compiler *out, ts_err *err) {
    tuner_reader reader;
    TS_TRY(open_answer(answer, &reader, err));
    size_t bytes;
    const void *compiler = tuner_get_bytes(&reader, &bytes);
    if (reader.failed || bytes != sizeof *out)
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of a compile worker");
    memcpy(out, compiler, sizeof *out);
    return TS_STATUS_OK;
}

ts_status tuner_compile_get_job(const ts_buf *answer, tuner_compiled *out, ts_err *err) {
    tuner_reader reader;
    TS_TRY(open_answer(answer, &reader, err));
    tuner_compiled compiled = {0};
    size_t bytes;
    compiled.ok = tuner_get_u64(&reader) != 0;
    compiled.registers = (int32_t)tuner_get_u64(&reader);
    compiled.spill_bytes = (int32_t)tuner_get_u64(&reader);
    compiled.shared_bytes = (int32_t)tuner_get_u64(&reader);
    const void *data = tuner_get_bytes(&reader, &bytes);
    ts_buf_append(&compiled.blob, data, bytes);
    data = tuner_get_bytes(&reader, &bytes);
    ts_buf_append(&compiled.log, data, bytes);
    if (reader.failed || compiled.blob.failed || compiled.log.failed) {
        tuner_compiled_free(&compiled);
        return ts_fail(err, TS_STATUS_CORRUPT, "unreadable answer of a compile worker");
    }
    *out = compiled;
    return TS_STATUS_OK;
}

/* ---- the worker's side ---- */

static void begin_answer(ts_buf *answer, ts_status status, const ts_err *err) {
    tuner_put_u64(answer, (uint64_t)status);
    tuner_put_text(answer, status == TS_STATUS_OK ? "" : err->message);
}

static void answer_describe(tuner_reader *request, ts_buf *answer) {
    ts_err err = {0};
    tuner_compiler compiler;
    memset(&compiler, 0, sizeof compiler);
    ts_status status = backends[tuner_get_u64(request)]->describe(&compiler, &err);
    begin_answer(answer, status, &err);
    if (status == TS_STATUS_OK) tuner_put_bytes(answer, &compiler, sizeof compiler);
}

static void compile(const tuner_backend *backend, const char *const *options, const char *source,
                    size_t bytes, ts_buf *answer) {
    ts_err err = {0};
    tuner_compiled compiled = {.registers = -1, .spill_bytes = -1, .shared_bytes = -1};
    ts_status status = backend->compile(source, bytes, options, &compiled, &err);
    begin_answer(answer, status, &err);
    if (status == TS_STATUS_OK) {
        tuner_put_u64(answer, compiled.ok);
        tuner_put_u64(answer, (uint64_t)compiled.registers);
        tuner_put_u64(answer, (uint64_t)compiled.spill_bytes);
        tuner_put_u64(answer, (uint64_t)compiled.shared_bytes);
        tuner_put_bytes(answer, compiled.blob.data, compiled.blob.bytes);
        tuner_put_bytes(answer, compiled.log.data, compiled.log.bytes);
    }
    tuner_compiled_free(&compiled);
}

/* All that decides what the compiler says. False: the compiler does not say who it is. */
static bool cache_key(gen_kind kind, const char *const *options, const char *source, size_t bytes,
                      char key[TS_HASH_HEX]) {
    static tuner_compiler compilers[2]; /* of this worker; asked once */
    tuner_compiler *compiler = &compilers[kind];
    if (!compiler->name[0] && backends[kind]->describe(compiler, NULL) != TS_STATUS_OK)
        return false;
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_text(&hash, "compiled 1"); /* of the answer's layout */
    ts_hash_text(&hash, compiler->name);
    for (; *options; options++) ts_hash_text(&hash, *options);
    ts_hash_part(&hash, source, bytes);
    ts_hash_final(&hash, key);
    return true;
}

static void answer_job(const tuner_compile_cache *cache, tuner_reader *request, ts_buf *answer) {
    const char *options[MAX_OPTIONS] = {0};
    char key[TS_HASH_HEX];
    gen_kind kind = (gen_kind)tuner_get_u64(request);
    size_t count = (size_t)tuner_get_u64(request), bytes;
    for (size_t i = 0; i < count && i < MAX_OPTIONS - 1; i++) options[i] = tuner_get_text(request);
    const char *source = tuner_get_bytes(request, &bytes);
    bool keyed = cache_key(kind, options, source, bytes, key);
    if (keyed && tuner_compile_cache_get(cache, key, answer)) return;
    ts_buf_clear(answer);
    compile(backends[kind], options, source, bytes, answer);
    tuner_reader reader = tuner_read(answer);
    if (keyed && tuner_get_u64(&reader) == TS_STATUS_OK)
        tuner_compile_cache_put(cache, key, answer->data, answer->bytes);
}

/* A compiler gone wild must not take the machine's memory with it. AddressSanitizer reserves terabytes of
 * addresses and could get no more of them. */
static void limit_memory(void) {
#ifndef __SANITIZE_ADDRESS__
    struct rlimit memory = {(rlim_t)8 << 30, (rlim_t)8 << 30};
    setrlimit(RLIMIT_AS, &memory);
#endif
}

void tuner_compile_serve(int fd, void *context) {
    /* Compilers leave their temporary files there; the tuner removes the folder. */
    setenv("TMPDIR", context, 1);
    limit_memory();
    ts_buf request = {0}, answer = {0};
    tuner_compile_cache cache;
    tuner_compile_cache_open(&cache);
    while (tuner_channel_receive(fd, 0, &request, NULL) == TS_STATUS_OK) {
        tuner_reader reader = tuner_read(&request);
        ts_buf_clear(&answer);
        if (tuner_get_u64(&reader) == REQUEST_DESCRIBE)
            answer_describe(&reader, &answer);
        else
            answer_job(&cache, &reader, &answer);
        if (tuner_channel_send(fd, &answer, NULL) != TS_STATUS_OK) break;
    }
    ts_buf_free(&request);
    ts_buf_free(&answer);
}
