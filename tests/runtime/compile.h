/* Tests only: C text to a kernel object with the flags of the loader's contract and the system's
 * compiler. */
#ifndef TESTS_RUNTIME_COMPILE_H
#define TESTS_RUNTIME_COMPILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/base.h"
#include "runtime/elf_image.h"

/* Compiles `source` in a fresh folder of /tmp; `extra` replaces the contract's flags where not NULL
 * (a NULL-terminated list). Appends the object to *out. False if the compiler fails; its words are
 * on stderr. */
static inline bool compile_kernel(const char *source, const char *const *extra, ts_buf *out) {
    static const char *const contract[] = {RT_IMAGE_CC_FLAGS, "-O3", NULL};
    char folder[] = "/tmp/tunesmith-test-XXXXXX", c_path[64], so_path[64];
    if (!mkdtemp(folder)) return false;
    snprintf(c_path, sizeof c_path, "%s/k.c", folder);
    snprintf(so_path, sizeof so_path, "%s/k.so", folder);
    const char *argv[40] = {"cc"};
    size_t n = 1;
    for (const char *const *flag = extra ? extra : contract; *flag; flag++) argv[n++] = *flag;
    argv[n++] = c_path;
    argv[n++] = "-o";
    argv[n] = so_path;

    bool ok = ts_file_write(c_path, source, strlen(source), NULL) == TS_STATUS_OK;
    pid_t child = ok ? fork() : -1;
    if (child == 0) {
        execvp("cc", (char *const *)argv);
        _exit(127);
    }
    int status = -1;
    ok = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    ok = ok && ts_file_read(so_path, out, NULL) == TS_STATUS_OK;
    unlink(c_path);
    unlink(so_path);
    rmdir(folder);
    return ok;
}

/* The same with the families' shared prelude in front. */
static inline bool compile_with_prelude(const char *source, ts_buf *out) {
    ts_buf text = {0};
    bool ok = ts_file_read(TS_TEMPLATES_DIR "/shared/prelude.c.in", &text, NULL) == TS_STATUS_OK;
    ts_buf_append(&text, source, strlen(source));
    ok = ok && compile_kernel(text.data, NULL, out);
    ts_buf_free(&text);
    return ok;
}

#endif
