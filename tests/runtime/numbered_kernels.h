/* Stored kernels for tests, each of which writes its own number: a launch tells which was found.
 *
 * The databases are written with the tuner's writer into a folder of /tmp, one at a time.
 */
#ifndef TESTS_RUNTIME_NUMBERED_KERNELS_H
#define TESTS_RUNTIME_NUMBERED_KERNELS_H

#include "compile.h"

#include <setjmp.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "db/store.h"
#include "runtime/kernel.h"

struct number_args {
    void *workspace;
    int32_t *out;
    int32_t m, k;
};

static const char number_launch[] =
    "{\"format\":1,\"kind\":\"cpu\",\"args_bytes\":24,\"args\":["
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"out\",\"type\":\"ptr\",\"offset\":8},"
    "{\"name\":\"m\",\"type\":\"i32\",\"offset\":16},{\"name\":\"k\",\"type\":\"i32\",\"offset\":20}],"
    "\"tensors\":[],\"extents\":[\"m\",\"k\"],\"workspace\":\"0\",\"zero\":[],"
    "\"launches\":[{\"entry\":\"number\",\"grid\":[\"1\",\"1\",\"1\"],\"scratch\":\"0\"}]}";

enum { BLOBS = 6 };

static ts_device *device;
static ts_buf blobs[BLOBS]; /* kernel i writes i */
static char folder[] = "/tmp/tunesmith-kernels-XXXXXX";
static char path[64]; /* of the test's database */

/* The group's: the device, the folder, the code. */
static inline int setup(void **state) {
    (void)state;
    if (ts_device_open("cpu", 2, &device, NULL) != TS_STATUS_OK || !mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/t.db", folder);
    for (int i = 0; i < BLOBS; i++) {
        char source[400];
        snprintf(
            source, sizeof source,
            "struct number_args { void *workspace; int32_t *out; int32_t m, k; };\n"
            "KERNEL void number(const struct number_args *a, void *s, uint32_t x, uint32_t y, uint32_t z) {\n"
            "    a->out[0] = %d; (void)s; (void)x; (void)y; (void)z;\n"
            "}\n",
            i);
        if (!compile_with_prelude(source, &blobs[i])) return 1;
    }
    return 0;
}

static inline int remove_database(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    rmdir(folder);
    ts_device_close(device);
    for (int i = 0; i < BLOBS; i++) ts_buf_free(&blobs[i]);
    return 0;
}

/* ---- writing databases ---- */

/* One stored kernel, perhaps a winner. NULL members take the values of an ordinary row. */
typedef struct row {
    int number;          /* blob, and part of the variant's name */
    const char *spec;    /* "act=none dtype=fp32" */
    const char *problem; /* NULL: no winner */
    const char *device;  /* of the winner; NULL: this one */
    int sm_count;
    const char *evidence; /* NULL: measured */
    const char *target;   /* NULL: the best of this device */
    const char *family;   /* NULL: "number" */
    bool is_default, broken;
    int driver_min;
} row;

static const char spec_none[] = "dtype=fp32 act=none";

static inline void write_row(db_writer *writer, const row *r) {
    char variant[64];
    const char *family = r->family ? r->family : "number",
               *target = r->target ? r->target : device->info.target;
    snprintf(variant, sizeof variant, "%s/v t=%d", family, r->number);
    db_kernel kernel = {
        .family = family,
        .version = "v",
        .variant = variant,
        .spec = r->spec ? r->spec : spec_none,
        .target = target,
        .abi = "0123",
        .signature = variant,
        .compiler = "cc",
        .options = "",
        .launch = number_launch,
        .blob = blobs[r->number].data,
        .blob_bytes = r->broken ? 500 : blobs[r->number].bytes,
        .registers = -1,
        .spill_bytes = -1,
        .shared_bytes = -1,
        .driver_min = r->driver_min,
        .is_default = r->is_default,
    };
    ts_err err;
    int64_t id = 0;
    if (db_write_kernel(writer, &kernel, &id, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    if (!r->problem) return;
    db_winner winner = {
        .problem = r->problem,
        .target = target,
        .device = {.name = r->device ? r->device : device->info.name,
                   .target = target,
                   .sm_count = r->sm_count ? r->sm_count : device->info.sm_count,
                   .memory_bytes = 1,
                   .driver = ""},
        .kernel_id = id,
        .variant = variant,
        .evidence = r->evidence ? r->evidence : "measured",
        .time_us = 1,
        .ci_low_us = 1,
        .ci_high_us = 1,
        .default_us = 1,
        .gflops = 1,
        .gbytes = 1,
        .family_hash = "f",
        .oracle_hash = "o",
        .compiler = "cc",
        .verdict = "win",
    };
    if (db_write_winner(writer, &winner, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
}

/* Makes the database of these rows and opens it. */
static inline ts_kernels *open_rows(const row *rows, size_t count) {
    db_writer *writer = NULL;
    ts_kernels *kernels = NULL;
    ts_err err;
    unlink(path);
    if (db_writer_open(path, &writer, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < count; i++) write_row(writer, &rows[i]);
    db_writer_close(writer);
    assert_int_equal(chmod(path, 0644), 0);
    if (ts_kernels_open(device, path, &kernels, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    return kernels;
}
#define OPEN_ROWS(...) \
    open_rows((const row[]){__VA_ARGS__}, sizeof((const row[]){__VA_ARGS__}) / sizeof(row))

/* ---- finding ---- */

/* The problem of these extents. */
#define P(m, k) "number m=" #m " k=" #k " dtype=fp32 act=none"

static inline int launched(const ts_kernel *kernel) {
    int32_t out = -1;
    struct number_args args = {NULL, &out, 1, 1};
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL), TS_STATUS_OK);
    return out;
}

/* The number of the kernel that a problem finds. */
static inline int found(ts_kernels *kernels, const char *problem) {
    const ts_kernel *kernel = NULL;
    ts_err err;
    if (ts_kernel_find(kernels, problem, &kernel, &err) != TS_STATUS_OK)
        fail_msg("%s: %s", problem, err.message);
    return launched(kernel);
}

/* There are `count` warnings, and the last one holds `part`. */
static inline void assert_warnings(const ts_kernels *kernels, size_t count, const char *part) {
    assert_null(ts_kernels_warning(kernels, count));
    if (count == 0) return;
    const char *last = ts_kernels_warning(kernels, count - 1);
    assert_non_null(last);
    if (!strstr(last, part)) fail_msg("the warning is: %s", last);
}

#endif
