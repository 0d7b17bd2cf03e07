/* CUDA C++ to cubin with NVRTC, loaded by dlopen in the compile worker.
 *
 * Search order: --nvrtc and TUNESMITH_NVRTC (a library file, and then no other), the loader's path,
 * toolkit folders, the folders of the Python package nvidia-cuda-nvrtc (site-packages and build/nvrtc, where `make setup`
 * unpacks it). NVRTC needs no GPU. It compiles for a real architecture, so the answer is machine
 * code; ptxas's -v report arrives in the compile log and says registers, spills and static shared
 * memory. */
#include "compile.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct nvrtc_program nvrtc_program;

typedef struct nvrtc_api {
    void *library;
    int major, minor;
    const char *(*error)(int);
    int (*version)(int *, int *);
    int (*capability_count)(int *);
    int (*capabilities)(int *);
    int (*create)(nvrtc_program **, const char *, const char *, int, const char *const *,
                  const char *const *);
    int (*destroy)(nvrtc_program **);
    int (*compile)(nvrtc_program *, int, const char *const *);
    int (*log_size)(nvrtc_program *, size_t *);
    int (*log)(nvrtc_program *, char *);
    int (*cubin_size)(nvrtc_program *, size_t *);
    int (*cubin)(nvrtc_program *, char *);
    int (*ptx_size)(nvrtc_program *, size_t *);
    int (*ptx)(nvrtc_program *, char *);
} nvrtc_api;

static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL};

/* Newest toolkit first where a pattern matches several: glob sorts upwards, the last match wins. */
static const char *const patterns[] = {
    "/usr/local/cuda/lib64/libnvrtc.so.1[23]",
    "/usr/local/cuda-*/lib64/libnvrtc.so.1[23]",
    "/usr/local/cuda-*/targets/*/lib/libnvrtc.so.1[23]",
    "/opt/cuda/lib64/libnvrtc.so.1[23]",
    "/usr/lib/x86_64-linux-gnu/libnvrtc.so.1[23]",
    "/usr/lib/python3*/site-packages/nvidia/cu*/lib/libnvrtc.so.1[23]",
    "/usr/*/lib/python3*/*-packages/nvidia/cu*/lib/libnvrtc.so.1[23]",
    "/usr/lib/python3/dist-packages/nvidia/cu*/lib/libnvrtc.so.1[23]",
    "/usr/local/lib/python3*/*-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.1[23]",
    "/usr/lib/python3/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.1[23]",
    "/opt/*/lib/python3*/site-packages/nvidia/cu*/lib/libnvrtc.so.1[23]",
};

/* The same, below a folder that is known only at run time. */
static const char *const rooted[] = {
    "%s/nvrtc/nvidia/*/lib/libnvrtc.so.1[23]", /* build/nvrtc, next to the program */
    "%s/nvrtc/*/lib/libnvrtc.so.1[23]",
    "%s/../build/nvrtc/nvidia/*/lib/libnvrtc.so.1[23]",
    "%s/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23]", /* VIRTUAL_ENV, CONDA_PREFIX */
    "%s/.local/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23]",
};

/* NVRTC opens libnvrtc-builtins by its bare name. The wheel's libraries carry no run path, so the loader would not look
 * beside them: the builtins of the same folder are loaded first, and the name then finds them. */
static void *open_library(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash) {
        ts_buf pattern = {0};
        glob_t found;
        ts_buf_append(&pattern, path, (size_t)(slash + 1 - path));
        ts_buf_printf(&pattern, "libnvrtc-builtins.so.*");
        if (!pattern.failed && glob(pattern.data, 0, NULL, &found) == 0) {
            for (size_t i = 0; i < found.gl_pathc; i++)
                dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_GLOBAL);
            globfree(&found);
        }
        ts_buf_free(&pattern);
    }
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static void *open_glob(const char *pattern) {
    glob_t found;
    void *library = NULL;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = found.gl_pathc; i > 0 && !library; i--)
            library = open_library(found.gl_pathv[i - 1]);
        globfree(&found);
    }
    return library;
}

static void *open_below(const char *folder) {
    void *library = NULL;
    for (size_t i = 0; i < sizeof rooted / sizeof *rooted && folder && *folder && !library; i++) {
        ts_buf pattern = {0};
        ts_buf_append(&pattern, "", 0);
        const char *mark = strstr(rooted[i], "%s");
        ts_buf_append(&pattern, folder, strlen(folder));
        ts_buf_append(&pattern, mark + 2, strlen(mark + 2));
        if (!pattern.failed) library = open_glob(pattern.data);
        ts_buf_free(&pattern);
    }
    return library;
}

static const char *chosen_path; /* set before workers are forked, which inherit it */

void tuner_nvrtc_use(const char *path) { chosen_path = path; }

/* The file that the user names, NULL if he names none. */
static const char *chosen_library(void) {
    const char *path = chosen_path ? chosen_path : getenv("TUNESMITH_NVRTC");
    return path && *path ? path : NULL;
}

static void *find_library(void) {
    void *library = NULL;
    for (size_t i = 0; names[i] && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !library; i++)
        library = open_glob(patterns[i]);
    char program[512];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (!library && length > 0) {
        program[length] = '\0';
        char *slash = strrchr(program, '/');
        if (slash) *slash = '\0';
        library = open_below(program);
    }
    const char *const roots[] = {"VIRTUAL_ENV", "CONDA_PREFIX", "HOME"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots && !library; i++)
        library = open_below(getenv(roots[i]));
    return library;
}

static ts_status open_chosen(const char *path, void **out, ts_err *err) {
    *out = open_library(path);
    if (*out) return TS_STATUS_OK;
    const char *why = dlerror();
    return ts_fail(err, TS_STATUS_COMPILE,
                   "%s is no NVRTC library (libnvrtc.so.12 or newer) that can be loaded: %s", path,
                   why ? why : "?");
}

static ts_status load(nvrtc_api *api, ts_err *err) {
    const char *chosen = chosen_library();
    void *library = NULL;
    if (chosen)
        TS_TRY(open_chosen(chosen, &library, err));
    else
        library = find_library();
    if (!library)
        return ts_fail(
            err, TS_STATUS_COMPILE,
            "NVRTC not found; run `make setup`, install the CUDA toolkit or the Python package "
            "nvidia-cuda-nvrtc, or name libnvrtc.so with --nvrtc PATH or in TUNESMITH_NVRTC");
    const struct {
        const char *name;
        void *slot;
    } symbols[] = {
        {"nvrtcGetErrorString", &api->error},
        {"nvrtcVersion", &api->version},
        {"nvrtcGetNumSupportedArchs", &api->capability_count},
        {"nvrtcGetSupportedArchs", &api->capabilities},
        {"nvrtcCreateProgram", &api->create},
        {"nvrtcDestroyProgram", &api->destroy},
        {"nvrtcCompileProgram", &api->compile},
        {"nvrtcGetProgramLogSize", &api->log_size},
        {"nvrtcGetProgramLog", &api->log},
        {"nvrtcGetCUBINSize", &api->cubin_size},
        {"nvrtcGetCUBIN", &api->cubin},
        {"nvrtcGetPTXSize", &api->ptx_size},
        {"nvrtcGetPTX", &api->ptx},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address)
            return ts_fail(err, TS_STATUS_COMPILE,
                           "NVRTC lacks %s; version 12.0 or newer is needed", symbols[i].name);
        memcpy(symbols[i].slot, &address, sizeof address);
    }
    if (api->version(&api->major, &api->minor) != 0)
        return ts_fail(err, TS_STATUS_COMPILE, "nvrtcVersion failed");
    api->library = library;
    return TS_STATUS_OK;
}

/* One library a worker process, kept until it ends. */
static ts_status nvrtc(const nvrtc_api **out, ts_err *err) {
    static nvrtc_api api;
    if (!api.library) TS_TRY(load(&api, err));
    *out = &api;
    return TS_STATUS_OK;
}

static ts_status describe(tuner_compiler *out, ts_err *err) {
    const nvrtc_api *api = NULL;
    TS_TRY(nvrtc(&api, err));
    enum { MOST = sizeof out->capabilities / sizeof *out->capabilities };
    int known[256], count = 0;
    if (api->capability_count(&count) != 0 || count < 1 ||
        count > (int)(sizeof known / sizeof *known) || api->capabilities(known) != 0)
        return ts_fail(err, TS_STATUS_COMPILE, "nvrtcGetSupportedArchs failed");
    for (int i = 0; i < count && i < MOST - 1; i++) out->capabilities[i] = known[i];
    snprintf(out->name, sizeof out->name, "nvrtc %d.%d", api->major, api->minor);
    /* Machine code of a toolkit loads on every driver of its major version: NVIDIA, "CUDA
     * Compatibility", chapter "Minor Version Compatibility", whose table has CUDA 12.x from driver
     * 525 (which is CUDA 12.0), 13.x from 580 (13.0), and newer drivers take older code. What that
     * chapter excepts (PTX, features of a newer driver's API) is not in a cubin. */
    out->driver_min = 1000 * api->major;
    return TS_STATUS_OK;
}

static void keep_most(int32_t *most, long value) {
    if (value > *most) *most = (int32_t)value;
}

/* The number that stands before `words` in the line; false if they are not in it. */
static bool number_before(const char *line, const char *words, long *value) {
    const char *at = strstr(line, words);
    if (!at) return false;
    while (at > line && at[-1] >= '0' && at[-1] <= '9') at--;
    *value = strtol(at, NULL, 10);
    return true;
}

/* What ptxas -v says of each entry, most of all entries:
 *   ptxas         .     0 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
 *   ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem, 360 bytes cmem[0] */
static void parse_log(tuner_compiled *out) {
    for (const char *line = out->log.data; line && *line; line += *line == '\n') {
        size_t length = strcspn(line, "\n");
        char text[512];
        snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text - 1),
                 line);
        long stores = 0, loads = 0, registers = 0, shared = 0;
        if (number_before(text, " bytes spill stores", &stores) &&
            number_before(text, " bytes spill loads", &loads))
            keep_most(&out->spill_bytes, stores + loads);
        if (number_before(text, " registers", &registers)) {
            number_before(text, " bytes smem", &shared);
            keep_most(&out->registers, registers);
            keep_most(&out->shared_bytes, shared);
        }
        line += length;
    }
}

/* What the program was compiled to in one form; false if there is none. */
static bool take(nvrtc_program *program, int (*size)(nvrtc_program *, size_t *),
                 int (*get)(nvrtc_program *, char *), ts_buf *out) {
    size_t bytes = 0;
    char *data = NULL;
    bool taken = size(program, &bytes) == 0 && bytes > 1 && (data = malloc(bytes)) &&
                 get(program, data) == 0;
    if (taken) ts_buf_append(out, data, bytes);
    free(data);
    return taken && !out->failed;
}

static ts_status compile(const char *source, size_t bytes, const char *const *options,
                         tuner_compiled *out, ts_err *err) {
    (void)bytes; /* NUL-terminated by the channel's buffer */
    const nvrtc_api *api = NULL;
    TS_TRY(nvrtc(&api, err));
    int count = 0;
    while (options[count]) count++;
    nvrtc_program *program = NULL;
    int failed = api->create(&program, source, "kernel.cu", 0, NULL, NULL);
    if (failed)
        return ts_fail(err, TS_STATUS_COMPILE, "nvrtcCreateProgram: %s", api->error(failed));
    failed = api->compile(program, count, options);
    size_t log_bytes = 0;
    char *data = NULL;
    if (api->log_size(program, &log_bytes) == 0 && log_bytes > 1 && (data = malloc(log_bytes)) &&
        api->log(program, data) == 0)
        ts_buf_append(&out->log, data, log_bytes - 1);
    free(data);
    parse_log(out);
    if (failed && !out->log.bytes) ts_buf_printf(&out->log, "nvrtc: %s", api->error(failed));
    /* A real architecture gives machine code, a virtual one PTX alone. */
    if (!failed)
        out->ok = take(program, api->cubin_size, api->cubin, &out->blob) ||
                  take(program, api->ptx_size, api->ptx, &out->blob);
    if (!failed && !out->ok) ts_buf_printf(&out->log, "nvrtc produced neither cubin nor PTX");
    api->destroy(&program);
    return TS_STATUS_OK;
}

static const char *const options[] = {"--std=c++17", "--ptxas-options=-v", NULL};

const tuner_backend tuner_nvrtc = {options, describe, compile};
