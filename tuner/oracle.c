/* Oracles: one independent lane a call, so lanes spread over threads and can be sampled. */
#include "oracle.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parallel.h"
#include "process.h"

enum { COMPILE_LIMIT_S = 120 };

ts_status tuner_oracle_build(gen *g, const gen_family *family, const char *folder, ts_err *err) {
    const char *name = gen_family_name(family);
    ts_buf header = {0}, output = {0};
    char header_path[400], source_path[1200], library_path[400], include[300];
    snprintf(header_path, sizeof header_path, "%s/%s_ref.h", folder, name);
    snprintf(source_path, sizeof source_path, "%s/ref.c", gen_family_dir(family));
    snprintf(library_path, sizeof library_path, "%s/%s.so", folder, name);
    snprintf(include, sizeof include, "-I%s", folder);
    int code = 0;
    const char *const argv[] = {"cc", "-std=c17",   "-O2",       "-fPIC", "-shared", include,
                                "-o", library_path, source_path, "-lm",   NULL};
    ts_status status = gen_ref_header(g, family, &header, err);
    if (status == TS_STATUS_OK) status = ts_file_write(header_path, header.data, header.bytes, err);
    if (status == TS_STATUS_OK)
        status = tuner_process_run(argv, COMPILE_LIMIT_S, &output, &code, err);
    if (status == TS_STATUS_OK && code != 0)
        status = ts_fail(err, TS_STATUS_COMPILE, "oracle of %s: %.800s", name,
                         output.data ? output.data : "");
    ts_buf_free(&header);
    ts_buf_free(&output);
    return status;
}

static gen_oracle linked(const char *family) {
    for (const gen_oracle_entry *entry = gen_oracle_table; entry->family; entry++)
        if (strcmp(entry->family, family) == 0) return entry->oracle;
    return NULL;
}

bool tuner_oracle_is_linked(const char *family) { return linked(family) != NULL; }

ts_status tuner_oracle_find(const char *family, const char *folder, gen_oracle *out, ts_err *err) {
    char path[400], symbol[128];
    snprintf(path, sizeof path, "%s/%s.so", folder, family);
    snprintf(symbol, sizeof symbol, "%s_ref", family);
    if (access(path, R_OK) != 0) {
        gen_oracle oracle = linked(family);
        if (!oracle) return ts_fail(err, TS_STATUS_NOT_FOUND, "family %s has no oracle", family);
        *out = oracle;
        return TS_STATUS_OK;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *address = library ? dlsym(library, symbol) : NULL;
    if (!address) return ts_fail(err, TS_STATUS_NOT_FOUND, "oracle of %s: %s", family, dlerror());
    memcpy(out, &address, sizeof address);
    return TS_STATUS_OK;
}

typedef struct lane_work {
    gen_oracle oracle;
    const void *slots;
    const int64_t *lanes;
} lane_work;

static void run_lanes(void *context, int64_t begin, int64_t end) {
    const lane_work *work = context;
    for (int64_t i = begin; i < end; i++)
        work->oracle(work->slots, work->lanes ? work->lanes[i] : i);
}

void tuner_oracle_run(gen_oracle oracle, const void *slots, const int64_t *lanes, int64_t count,
                      int threads) {
    lane_work work = {oracle, slots, lanes};
    tuner_parallel(count, 1, threads, run_lanes, &work);
}
