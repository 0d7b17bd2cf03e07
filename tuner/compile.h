/* Kernel source to kernel blob: one back end a kind of target, and the worker process that runs
 * them.
 *
 * The compilers run in worker processes only: a compiler that hangs or crashes is killed there, and
 * the tuner itself never loads NVRTC. */
#ifndef TUNER_COMPILE_H
#define TUNER_COMPILE_H

#include "../gen/gen.h"
#include "channel.h"

/* One translation unit compiled. Zero-initialise; tuner_compiled_free. */
typedef struct tuner_compiled {
    bool ok;
    ts_buf blob; /* cubin or ELF shared object */
    ts_buf log;  /* the compiler's messages, whole */
    int32_t registers, spill_bytes,
        shared_bytes; /* most of any entry; -1 where the compiler does not say */
} tuner_compiled;

void tuner_compiled_free(tuner_compiled *compiled);

/* What a back end is; part of every signature. */
typedef struct tuner_compiler {
    char name[64]; /* "nvrtc 13.0", "gcc 12.2.0" */
    int32_t
        driver_min; /* CUDA driver that its blobs need, as cuDriverGetVersion counts; 0 for CPU */
    int32_t capabilities[48]; /* compute capabilities that it knows, upwards; 0 ends them. None:
                                 any */
} tuner_compiler;

typedef struct tuner_backend {
    const char *const *options; /* given before the target's own; NULL-terminated */
    ts_status (*describe)(tuner_compiler *out, ts_err *err);
    /* A source that does not compile is TS_STATUS_OK with out->ok false; a status is a broken
     * compiler. */
    ts_status (*compile)(const char *source, size_t bytes, const char *const *options,
                         tuner_compiled *out, ts_err *err);
} tuner_backend;

extern const tuner_backend tuner_nvrtc; /* nvrtc.c */
extern const tuner_backend tuner_cc;    /* cc.c */

/* The NVRTC library file that workers forked from now on use, instead of the first one found;
 * borrowed. NULL: back to the search. */
void tuner_nvrtc_use(const char *path);

/* UNSUPPORTED where the compiler is too old for the target's chip, naming both. */
ts_status tuner_compiler_check(const tuner_compiler *compiler, const gen_target *target,
                               ts_err *err);
/* The CUDA driver that the compiler's code for this target needs, as cuDriverGetVersion counts. */
int32_t tuner_driver_min(const tuner_compiler *compiler, const gen_target *target);

/* All options of a target as one line, space-separated: what the database stores. */
void tuner_compile_options(const gen_target *target, ts_buf *out);

/* Serves compile requests on `fd`; `context` is the folder for temporary files (char *). */
void tuner_compile_serve(int fd, void *context);
/* Requests to such a worker, and reading their answers. An unreadable answer is CORRUPT; a compiler
 * that cannot run at all is COMPILE with its message. */
void tuner_compile_put_describe(ts_buf *request, gen_kind kind);
ts_status tuner_compile_get_describe(const ts_buf *answer, tuner_compiler *out, ts_err *err);
/* `ptx`: a virtual architecture ("compute_86") to stop at instead of the target's own, or NULL. */
void tuner_compile_put_job(ts_buf *request, const gen_target *target, const char *ptx,
                           const ts_buf *source);
ts_status tuner_compile_get_job(const ts_buf *answer, tuner_compiled *out, ts_err *err);

#endif
