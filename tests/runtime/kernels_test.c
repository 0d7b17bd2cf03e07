/* The lookup: which of the stored kernels a device uses, what it says about it, and which files it
 * refuses.
 *
 * Every stored kernel writes its own number, so a launch tells which one was found. The databases
 * are written with the tuner's writer into a folder of /tmp.
 */
#include "compile.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "db/store.h"
#include "runtime/group.h"
#include "runtime/kernel.h"

struct number_args {
    void *workspace;
    int32_t *out;
    int32_t m, k;
};

static const char launch[] =
    "{\"format\":1,\"kind\":\"cpu\",\"args_bytes\":24,\"args\":["
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"out\",\"type\":\"ptr\",\"offset\":8},"
    "{\"name\":\"m\",\"type\":\"i32\",\"offset\":16},{\"name\":\"k\",\"type\":\"i32\",\"offset\":20}],"
    "\"tensors\":[],\"extents\":[\"m\",\"k\"],\"workspace\":\"0\",\"zero\":[],"
    "\"launches\":[{\"entry\":\"number\",\"grid\":[\"1\",\"1\",\"1\"],\"scratch\":\"0\"}]}";

enum { BLOBS = 6 };

static ts_device *device;
static ts_buf blobs[BLOBS]; /* kernel i writes i */
static char folder[] = "/tmp/tunesmith-kernels-XXXXXX";
static char path[64];

static int setup(void **state) {
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

static int remove_database(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static int teardown(void **state) {
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

static void write_row(db_writer *writer, const row *r) {
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
        .launch = launch,
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
static ts_kernels *open_rows(const row *rows, size_t count) {
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

static int launched(const ts_kernel *kernel) {
    int32_t out = -1;
    struct number_args args = {NULL, &out, 1, 1};
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL), TS_STATUS_OK);
    return out;
}

static int found(ts_kernels *kernels, const char *problem) {
    const ts_kernel *kernel = NULL;
    ts_err err;
    if (ts_kernel_find(kernels, problem, &kernel, &err) != TS_STATUS_OK)
        fail_msg("%s: %s", problem, err.message);
    return launched(kernel);
}

static void assert_warnings(const ts_kernels *kernels, size_t count, const char *part) {
    assert_null(ts_kernels_warning(kernels, count));
    if (count == 0) return;
    const char *last = ts_kernels_warning(kernels, count - 1);
    assert_non_null(last);
    if (!strstr(last, part)) fail_msg("the warning is: %s", last);
}

/* ---- the ladder ---- */

#define P(m, k) "number m=" #m " k=" #k " dtype=fp32 act=none"

/* The kernel of a newer driver is refused by name before anything is loaded. */
static void driver_too_old(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1024), .driver_min = 99010});
    const ts_kernel *kernel = NULL;
    ts_err err = {0};
    assert_int_not_equal(ts_kernel_find(kernels, P(1, 1024), &kernel, &err), TS_STATUS_OK);
    assert_null(kernel);
    if (!strstr(err.message, "needs a driver for CUDA 99.1")) fail_msg("%s", err.message);
    ts_kernels_close(kernels);
    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1024), .driver_min = 99010},
                        {.number = 2, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1024)), 2); /* the default serves meanwhile */
    assert_non_null(strstr(ts_kernels_warning(kernels, 0), "needs a driver for CUDA 99.1"));
    assert_warnings(kernels, 2, "untuned, using the default");
    ts_kernels_close(kernels);
}

static void exact_device_and_nearest_extents(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1024)},
                                    {.number = 2, .problem = P(64, 1024)},
                                    {.number = 3, .problem = P(64, 8192)},
                                    {.number = 4, .problem = P(7, 7), .device = "Another CPU"},
                                    {.number = 5, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1024)), 1);
    assert_int_equal(found(kernels, P(64, 1024)), 2);
    assert_int_equal(found(kernels, P(7, 1000)),
                     1); /* 7 is nearer to 1 than to 64, in ratio 7 to 9.1 */
    assert_int_equal(found(kernels, P(9, 1000)), 2);
    assert_int_equal(found(kernels, P(100, 3000)), 3); /* 2.73 below 8192, 2.93 above 1024 */
    assert_int_equal(found(kernels, P(0, 0)), 1);
    assert_int_equal(found(kernels, P(7, 7)), 1); /* the other device's entry takes no part */
    assert_warnings(kernels, 0, "");

    const rt_group *group = NULL;
    int32_t out = -1;
    struct number_args args = {NULL, &out, 80, 9000};
    assert_int_equal(rt_group_find(kernels, "number", "dtype=fp32 act=none", &group, NULL),
                     TS_STATUS_OK);
    assert_string_equal(ts_kernel_variant(rt_group_pick(group, &args)), "number/v t=3");
    assert_string_equal(ts_kernel_launch_data(rt_group_pick(group, &args)), launch);
    assert_int_equal(rt_group_launch(group, NULL, &args, sizeof args, NULL), TS_STATUS_OK);
    assert_int_equal(out, 3);
    assert_int_equal(rt_group_workspace(group, &args), 0);
    ts_kernels_close(kernels);
}

static void nearest_core_count(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1), .device = "A", .sm_count = 200},
        {.number = 2, .problem = P(64, 64), .device = "B", .sm_count = 3},
        {.number = 3, .problem = P(1, 1), .device = "C", .sm_count = 9},
        {.number = 4, .problem = P(1, 1), .device = "", .evidence = "predicted"});
    assert_int_equal(found(kernels, P(1, 1)), 2); /* only B's entries: devices are not mixed */
    assert_warnings(kernels, 1, "using what was tuned on B");
    assert_int_equal(found(kernels, P(64, 64)), 2);
    assert_warnings(kernels, 1, "B"); /* said once */
    ts_kernels_close(kernels);
}

/* A winner whose code changed keeps the extents that it was chosen for, and is said to be one. */
static void changed_code_stays_in_its_place(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1)},
        {.number = 2, .problem = P(64, 64), .evidence = "predicted"},
        {.number = 3, .problem = P(64, 64), .evidence = "predicted", .device = ""},
        {.number = 4, .problem = P(64, 64), .device = "D"});
    assert_int_equal(found(kernels, P(1, 1)), 1);
    assert_int_equal(found(kernels, P(64, 64)), 2);
    assert_warnings(kernels, 1, "1 of 2 winners are not what was measured on");
    ts_kernels_close(kernels);
    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)}, {.number = 2, .problem = P(64, 64)});
    assert_int_equal(found(kernels, P(64, 64)), 2);
    assert_warnings(kernels, 0, "");
    ts_kernels_close(kernels);
}

static void predicted_then_older_then_default(void **state) {
    (void)state;
    const char *older = device->targets[1];
    if (!older) skip(); /* this CPU has only the lowest level */
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1), .evidence = "predicted", .device = ""},
        {.number = 2, .problem = P(1, 1), .target = older});
    assert_int_equal(found(kernels, P(1, 1)), 1);
    assert_warnings(kernels, 1, "never measured");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 2, .problem = P(1, 1), .target = older},
                        {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1)), 2);
    assert_warnings(kernels, 1, "untuned");
    assert_non_null(strstr(ts_kernels_warning(kernels, 0), older));
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 4, .is_default = true, .target = older},
                        {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(5, 5)), 3);
    assert_warnings(kernels, 1, "using the default number/v t=3");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 4, .is_default = true, .target = older});
    assert_int_equal(found(kernels, P(5, 5)), 4);
    ts_kernels_close(kernels);
}

static void a_kernel_that_does_not_load_is_skipped(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1), .broken = true},
                                    {.number = 2, .problem = P(64, 64)},
                                    {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1)), 2);
    assert_warnings(kernels, 1, "number/v t=1");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1), .broken = true},
                        {.number = 3, .is_default = true});
    assert_int_equal(found(kernels, P(1, 1)), 3);
    assert_warnings(kernels, 2, "default");
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1), .broken = true});
    const ts_kernel *kernel = NULL;
    ts_err err;
    assert_int_equal(ts_kernel_find(kernels, P(1, 1), &kernel, &err), TS_STATUS_CORRUPT);
    assert_non_null(strstr(err.message, "none of 1 stored kernels loads"));
    ts_kernels_close(kernels);
}

/* ---- texts ---- */

static void fields_in_any_order(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1)},
        {.number = 2,
         .problem = "number m=1 k=1 dtype=bf16 act=none",
         .spec = "dtype=bf16 act=none"},
        {.number = 3, .problem = "other m=1 k=1", .spec = "", .family = "other"});
    assert_int_equal(found(kernels, "number act=none k=3 dtype=bf16 m=4"), 2);
    assert_int_equal(found(kernels, "  number dtype=fp32  k=3 act=none m=4 "), 1);
    assert_int_equal(found(kernels, "other k=1 m=1"), 3);
    const rt_group *a = NULL, *b = NULL;
    assert_int_equal(rt_group_find(kernels, "number", "act=none dtype=bf16", &a, NULL),
                     TS_STATUS_OK);
    assert_int_equal(rt_group_find(kernels, "number", "dtype=bf16  act=none", &b, NULL),
                     TS_STATUS_OK);
    assert_ptr_equal(a, b);
    ts_kernels_close(kernels);
}

static void says_what_is_wrong_with_a_problem(void **state) {
    (void)state;
    static const struct {
        const char *problem, *part;
        ts_status status;
    } cases[] = {
        {"", "family", TS_STATUS_INVALID_ARGUMENT},
        {"m=1", "family", TS_STATUS_INVALID_ARGUMENT},
        {"number m", "field=value", TS_STATUS_INVALID_ARGUMENT},
        {"number m=", "field=value", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 m=2 k=1 dtype=fp32 act=none", "m is given twice", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=1 dtype=fp32", "lacks the field act", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 dtype=fp32 act=none", "lacks the extent k", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=x dtype=fp32 act=none", "extent k is 'x'", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=-1 dtype=fp32 act=none", "extent k", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=99999999999999999999 dtype=fp32 act=none", "extent k",
         TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=1 j=1 dtype=fp32 act=none", "5 fields", TS_STATUS_INVALID_ARGUMENT},
        {"number m=1 k=1 dtype=bf16 act=none", "dtype=bf16", TS_STATUS_NOT_FOUND},
        {"number m=1 k=1 dtype=bf16 act=none", "tune --db", TS_STATUS_NOT_FOUND},
        {"absent m=1", "absent m=1", TS_STATUS_NOT_FOUND},
    };
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const ts_kernel *kernel = NULL;
        ts_err err;
        assert_int_equal(ts_kernel_find(kernels, cases[i].problem, &kernel, &err), cases[i].status);
        if (!strstr(err.message, cases[i].part))
            fail_msg("'%s' says: %s", cases[i].problem, err.message);
        assert_null(kernel);
    }
    const rt_group *group = NULL;
    ts_err err;
    assert_int_equal(rt_group_find(kernels, "number", "dtype=fp32", &group, &err),
                     TS_STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "tune --db"));
    ts_kernels_close(kernels);
}

/* A family of the table whose args another library version made is skipped and said. */
static void another_abi_is_skipped(void **state) {
    (void)state;
    if (!rt_abi_table[0].family) skip();
    row foreign = {
        .number = 1, .family = rt_abi_table[0].family, .spec = "a=1", .is_default = true};
    ts_kernels *kernels = open_rows(&foreign, 1);
    assert_warnings(kernels, 1, rt_abi_table[0].family);
    const rt_group *group = NULL;
    assert_int_equal(rt_group_find(kernels, foreign.family, "a=1", &group, NULL),
                     TS_STATUS_NOT_FOUND);
    ts_kernels_close(kernels);
}

/* ---- threads ---- */

static void *find_often(void *argument) {
    for (int i = 0; i < 200; i++) {
        const ts_kernel *kernel = NULL;
        int32_t out = -1;
        struct number_args args = {NULL, &out, 1, 1};
        if (ts_kernel_find(argument, i % 2 ? P(1, 1) : P(64, 64), &kernel, NULL) != TS_STATUS_OK ||
            ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL) != TS_STATUS_OK ||
            out != (i % 2 ? 1 : 2))
            return argument;
    }
    return NULL;
}

static void several_threads_find(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)},
                                    {.number = 2, .problem = P(64, 64)});
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_often, kernels), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = kernels;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    ts_kernels_close(kernels);
}

/* ---- files ---- */

static void refuses_files_that_others_can_write(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    static const mode_t refused[] = {0664, 0646, 0666, 0620};
    ts_err err;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(chmod(path, refused[i]), 0);
        assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_UNSUPPORTED);
        assert_non_null(strstr(err.message, "chmod go-w"));
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);

    char log[80]; /* a write-ahead log is read with the file */
    snprintf(log, sizeof log, "%s-wal", path);
    assert_int_equal(ts_file_write(log, "x", 1, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(log, 0666), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "-wal"));
    unlink(log);

    if (geteuid() == 0) { /* only root can give a file away */
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_UNSUPPORTED);
        assert_non_null(strstr(err.message, "user 12345"));
    }
}

static void searches_in_order(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    ts_err err;
    char home_file[128], home_folder[96];
    assert_int_equal(setenv("HOME", folder, 1), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", "relative", 1), 0); /* counts as not set */
    assert_int_equal(unsetenv("TUNESMITH_DB"), 0);

    snprintf(home_folder, sizeof home_folder, "mkdir -p %s/.local/share/tunesmith", folder);
    snprintf(home_file, sizeof home_file, "%s/.local/share/tunesmith/tunesmith.db", folder);
    if (access("/usr/share/tunesmith/tunesmith.db", F_OK) &&
        access("/usr/local/share/tunesmith/tunesmith.db", F_OK)) {
        assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_NOT_FOUND);
        assert_non_null(strstr(err.message, home_file));
        assert_non_null(strstr(err.message, "/usr/share/tunesmith"));
    }
    assert_int_equal(system(home_folder), 0);
    assert_int_equal(rename(path, home_file), 0);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);

    assert_int_equal(setenv("TUNESMITH_DB", path, 1), 0); /* named but gone: no silent fall-back */
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "TUNESMITH_DB"));
    assert_int_equal(setenv("TUNESMITH_DB", home_file, 1), 0);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err),
                     TS_STATUS_NOT_FOUND); /* explicit comes first */
    assert_non_null(strstr(err.message, path));
    ts_kernels_close(NULL);

    assert_int_equal(ts_kernels_open(device, folder, &kernels, &err), TS_STATUS_CORRUPT);
    unlink(home_file);
    snprintf(home_folder, sizeof home_folder, "rm -r %s/.local", folder);
    assert_int_equal(system(home_folder), 0);
}

/* ---- layers and signatures ---- */

static const char *below(const char *name) {
    static char names[4][160];
    static int next = 0;
    char *out = names[next++ % 4];
    snprintf(out, sizeof names[0], "%s/%s", folder, name);
    return out;
}

static void move_to(const char *place) {
    ts_buf command = {0};
    const char *target = below(place);
    ts_buf_printf(&command, "mkdir -p $(dirname %s) && mv -f %s %s", target, path, target);
    assert_int_equal(system(command.data), 0);
    ts_buf_free(&command);
}

/* Signs a file with a new pair and puts the public key where `key_file` says. */
static void sign_file(const char *file, const char *key_file) {
    db_public_key key;
    unsigned char secret[DB_SECRET_BYTES], trailer[DB_SIGNATURE_BYTES];
    ts_buf bytes = {0}, text = {0};
    crypto_sign_keypair(key.bytes, secret);
    db_public_key_text(&key, &text);
    assert_int_equal(ts_file_write(key_file, text.data, text.bytes, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(key_file, 0644), 0);
    assert_int_equal(ts_file_read(file, &bytes, NULL), TS_STATUS_OK);
    assert_int_equal(db_signature_make(bytes.data, bytes.bytes, secret, trailer, NULL),
                     TS_STATUS_OK);
    ts_buf_append(&bytes, trailer, sizeof trailer);
    assert_int_equal(ts_file_write(file, bytes.data, bytes.bytes, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(file, 0644), 0);
    ts_buf_free(&bytes);
    ts_buf_free(&text);
}

static void use_folders(void) {
    ts_buf command = {0};
    ts_buf_printf(&command, "mkdir -p %s/config/tunesmith/keys", folder);
    assert_int_equal(system(command.data), 0);
    ts_buf_free(&command);
    setenv("XDG_DATA_HOME", below("user"), 1);
    setenv("XDG_DATA_DIRS", below("system"), 1);
    setenv("XDG_CONFIG_HOME", below("config"), 1);
    unsetenv("TUNESMITH_DB");
    unsetenv("TUNESMITH_KEYS");
}

static void drop_folders(void) {
    ts_buf command = {0};
    ts_buf_printf(&command, "rm -rf %s/user %s/system %s/config %s/keys", folder, folder, folder,
                  folder);
    assert_int_equal(system(command.data), 0);
    ts_buf_free(&command);
    unsetenv("XDG_DATA_DIRS");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("TUNESMITH_KEYS");
}

#define SYSTEM_FILE "system/tunesmith/tunesmith.db"
#define USER_FILE "user/tunesmith/tunesmith.db"

static void users_layer_over_the_systems(void **state) {
    (void)state;
    ts_kernels *kernels = OPEN_ROWS(
        {.number = 1, .problem = P(1, 1)}, {.number = 2, .problem = P(1000, 1000)},
        {.number = 3, .problem = P(64, 64), .spec = "dtype=bf16 act=none"});
    ts_kernels_close(kernels);
    use_folders();
    move_to(SYSTEM_FILE);
    sign_file(below(SYSTEM_FILE), below("config/tunesmith/keys/packager.pub"));
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, NULL), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 1);
    ts_kernels_close(kernels);

    kernels = OPEN_ROWS({.number = 4, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    move_to(USER_FILE);
    ts_err err;
    if (ts_kernels_open(device, NULL, &kernels, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    assert_int_equal(found(kernels, P(1, 1)), 4);       /* both know it: the user's */
    assert_int_equal(found(kernels, P(1000, 1000)), 2); /* nearer in the system's */
    assert_warnings(kernels, 0, "");
    ts_kernels_close(kernels);

    /* A measured winner of the system's before a default of the user's. */
    kernels = OPEN_ROWS({.number = 5, .is_default = true});
    ts_kernels_close(kernels);
    move_to(USER_FILE);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, NULL), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 1);
    ts_kernels_close(kernels);
    drop_folders();
}

static void systems_folder_needs_a_trusted_signature(void **state) {
    (void)state;
    ts_err err;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    use_folders();
    move_to(SYSTEM_FILE);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "not signed by a trusted key"));
    sign_file(below(SYSTEM_FILE), below("key.pub")); /* nobody pinned it */
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "not signed by a trusted key"));
    assert_int_equal(mkdir(below("keys"), 0755), 0);
    assert_int_equal(rename(below("key.pub"), below("keys/key.pub")), 0);
    setenv("TUNESMITH_KEYS", below("keys"), 1);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    ts_kernels_close(kernels);
    assert_int_equal(chmod(below("keys/key.pub"), 0666), 0); /* anybody could have put it there */
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_UNSUPPORTED);

    /* It does not take the user's own file down. */
    kernels = OPEN_ROWS({.number = 2, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    move_to(USER_FILE);
    assert_int_equal(ts_kernels_open(device, NULL, &kernels, &err), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 2);
    assert_warnings(kernels, 1, "left out");
    ts_kernels_close(kernels);
    drop_folders();
}

static void signed_file_of_others_loads(void **state) {
    (void)state;
    ts_err err;
    ts_kernels *kernels = OPEN_ROWS({.number = 1, .problem = P(1, 1)});
    ts_kernels_close(kernels);
    use_folders();
    sign_file(path, below("config/tunesmith/keys/other.pub"));
    assert_int_equal(chmod(path, 0666), 0);
    if (geteuid() == 0) assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_OK);
    assert_int_equal(found(kernels, P(1, 1)), 1);
    ts_kernels_close(kernels);

    ts_buf bytes = {0}; /* and a changed one does not, whoever owns it */
    assert_int_equal(ts_file_read(path, &bytes, NULL), TS_STATUS_OK);
    bytes.data[bytes.bytes / 2] ^= 4;
    unlink(path);
    assert_int_equal(ts_file_write(path, bytes.data, bytes.bytes, NULL), TS_STATUS_OK);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(ts_kernels_open(device, path, &kernels, &err), TS_STATUS_CORRUPT);
    assert_non_null(strstr(err.message, "changed after signing"));
    ts_buf_free(&bytes);
    drop_folders();
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, remove_database)
    const struct CMUnitTest tests[] = {
        TEST(driver_too_old),
        TEST(exact_device_and_nearest_extents),
        TEST(nearest_core_count),
        TEST(changed_code_stays_in_its_place),
        TEST(predicted_then_older_then_default),
        TEST(a_kernel_that_does_not_load_is_skipped),
        TEST(fields_in_any_order),
        TEST(says_what_is_wrong_with_a_problem),
        TEST(another_abi_is_skipped),
        TEST(several_threads_find),
        TEST(refuses_files_that_others_can_write),
        TEST(searches_in_order),
        TEST(users_layer_over_the_systems),
        TEST(systems_folder_needs_a_trusted_signature),
        TEST(signed_file_of_others_loads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
