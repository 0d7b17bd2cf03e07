/* C to a freestanding ELF shared object with the system's C compiler, in the compile worker.
 *
 * The object must be what the runtime's ELF loader accepts (runtime/elf_image.c): position
 * independent, no relocations, no undefined symbols. The compiler reads and writes files in a
 * scratch folder of the job. */
#include "compile.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

enum { CPU_LIMIT_S = 120, MAX_ARGV = 96 };

static ts_status run_in(const char *folder, const char *source, size_t bytes,
                        const char *const *options, tuner_compiled *out, ts_err *err) {
    char input[300], output[300];
    snprintf(input, sizeof input, "%s/kernel.c", folder);
    snprintf(output, sizeof output, "%s/kernel.so", folder);
    TS_TRY(ts_file_write(input, source, bytes, err));
    const char *argv[MAX_ARGV] = {"cc"};
    size_t count = 1;
    while (*options && count < MAX_ARGV - 4) argv[count++] = *options++;
    argv[count++] = "-o";
    argv[count++] = output;
    argv[count++] = input;
    int code = 0;
    TS_TRY(tuner_process_run(argv, CPU_LIMIT_S, &out->log, &code, err));
    out->ok = code == 0;
    return out->ok ? ts_file_read(output, &out->blob, err) : TS_STATUS_OK;
}

static ts_status compile(const char *source, size_t bytes, const char *const *options,
                         tuner_compiled *out, ts_err *err) {
    char folder[256];
    TS_TRY(tuner_scratch_make(folder, err));
    ts_status status = run_in(folder, source, bytes, options, out, err);
    tuner_scratch_remove(folder);
    return status;
}

/* Asks the preprocessor, since "cc --version" has no agreed form. */
static ts_status describe(tuner_compiler *out, ts_err *err) {
    static const char probe[] =
        "#ifdef __clang__\nclang __clang_major__ __clang_minor__ __clang_patchlevel__\n"
        "#else\ngcc __GNUC__ __GNUC_MINOR__ __GNUC_PATCHLEVEL__\n#endif\n";
    static const char *const options[] = {"-E", "-P", NULL};
    tuner_compiled result = {0};
    ts_status status = compile(probe, sizeof probe - 1, options, &result, err);
    char name[16] = "";
    int major = 0, minor = 0, patch = 0;
    if (status == TS_STATUS_OK && (!result.ok || sscanf(result.blob.data, " %15s %d %d %d", name,
                                                        &major, &minor, &patch) != 4))
        status = ts_fail(err, TS_STATUS_COMPILE, "cc does not work: %.300s",
                         result.log.data ? result.log.data : "");
    if (status == TS_STATUS_OK)
        snprintf(out->name, sizeof out->name, "%s %d.%d.%d", name, major, minor, patch);
    out->driver_min = 0;
    tuner_compiled_free(&result);
    return status;
}

/* The second half is what runtime/elf_image.c asks for. -w: a template's warnings are its author's
 * business (gen's tests compile them with warnings on), here they would only hide the errors. */
static const char *const options[] = {"-std=gnu11",
                                      "-O3",
                                      "-ffreestanding",
                                      "-fno-math-errno",
                                      "-fno-trapping-math",
                                      "-fno-stack-protector",
                                      "-w",
                                      "-fPIC",
                                      "-fvisibility=hidden",
                                      "-fno-asynchronous-unwind-tables",
                                      "-shared",
                                      "-nostdlib",
                                      "-s",
                                      "-Wl,-Bsymbolic",
                                      "-Wl,-z,defs",
                                      "-Wl,-z,text",
                                      "-Wl,-z,noseparate-code",
                                      "-Wl,--hash-style=sysv",
                                      "-Wl,--build-id=none",
                                      NULL};

const tuner_backend tuner_cc = {options, describe, compile};
