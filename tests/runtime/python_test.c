/* The Python door: writes a database with one CPU kernel, then python_check.py uses it through the
 * shared library. Skipped where there is no python3 or no shared library beside this program's
 * build.
 */
#include "compile.h"

#include <setjmp.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "db/store.h"
#include "runtime/device.h"

static const char source[] =
    "struct scale_args { void *workspace; const float *x; const float *bias; float *y; int64_t x_pitch, y_pitch;\n"
    "                    int32_t m, k; float factor; const void *z; int64_t z_pitch; };\n"
    "KERNEL void scale(const struct scale_args *a, void *scratch, uint32_t bx, uint32_t by, uint32_t bz) {\n"
    "    float *rows = a->workspace;\n" /* cleared before: proves that there is a workspace */
    "    for (int i = 0; i < a->k; i++)\n"
    "        a->y[bx * a->y_pitch + i] = rows[bx] + a->x[bx * a->x_pitch + i] * a->factor + (a->bias ? a->bias[i] : 0);\n"
    "    (void)scratch; (void)by; (void)bz;\n"
    "}\n";

static const char launch[] =
    "{\"format\":1,\"kind\":\"cpu\",\"args_bytes\":80,\"args\":["
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"x\",\"type\":\"ptr\",\"offset\":8},"
    "{\"name\":\"bias\",\"type\":\"ptr\",\"offset\":16},{\"name\":\"y\",\"type\":\"ptr\",\"offset\":24},"
    "{\"name\":\"x_pitch\",\"type\":\"i64\",\"offset\":32},{\"name\":\"y_pitch\",\"type\":\"i64\",\"offset\":40},"
    "{\"name\":\"m\",\"type\":\"i32\",\"offset\":48},{\"name\":\"k\",\"type\":\"i32\",\"offset\":52},"
    "{\"name\":\"factor\",\"type\":\"f32\",\"offset\":56},"
    /* of a tensor that this specialization does not have */
    "{\"name\":\"z\",\"type\":\"ptr\",\"offset\":64},{\"name\":\"z_pitch\",\"type\":\"i64\",\"offset\":72}],"
    "\"tensors\":["
    "{\"name\":\"x\",\"dtype\":\"fp32\",\"direction\":\"in\",\"pitch\":\"x_pitch\",\"optional\":false},"
    "{\"name\":\"bias\",\"dtype\":\"fp32\",\"direction\":\"in\",\"optional\":true},"
    "{\"name\":\"y\",\"dtype\":\"fp32\",\"direction\":\"out\",\"pitch\":\"y_pitch\",\"optional\":false}],"
    "\"extents\":[\"m\",\"k\"],\"workspace\":\"m 4 *\",\"zero\":[[\"0\",\"m 4 *\"]],"
    "\"launches\":[{\"entry\":\"scale\",\"grid\":[\"m\",\"1\",\"1\"],\"scratch\":\"0\"}]}";

static void write_database(const char *path) {
    ts_device *device = NULL;
    db_writer *writer = NULL;
    ts_buf blob = {0};
    int64_t id = 0;
    assert_int_equal(ts_device_open("cpu", 1, &device, NULL), TS_STATUS_OK);
    assert_true(compile_with_prelude(source, &blob));
    const db_kernel kernel = {
        .family = "scale",
        .version = "v",
        .variant = "scale/v",
        .spec = "dtype=fp32",
        .target = device->info.target,
        .abi = "0",
        .signature = "s",
        .compiler = "cc",
        .options = "",
        .launch = launch,
        .blob = blob.data,
        .blob_bytes = blob.bytes,
        .registers = -1,
        .spill_bytes = -1,
        .shared_bytes = -1,
        .is_default = true,
    };
    assert_int_equal(db_writer_open(path, &writer, NULL), TS_STATUS_OK);
    assert_int_equal(db_write_kernel(writer, &kernel, &id, NULL), TS_STATUS_OK);
    db_writer_close(writer);
    ts_buf_free(&blob);
    ts_device_close(device);
    assert_int_equal(chmod(path, 0600), 0);
}

/* build/tests/runtime/python_test -> build/libtunesmith.so */
static bool library_path(char out[600]) {
    char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) return false;
    self[length] = '\0';
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(self, '/');
        if (!slash) return false;
        *slash = '\0';
    }
    snprintf(out, 600, "%s/libtunesmith.so", self);
    return access(out, R_OK) == 0;
}

static void the_python_module(void **state) {
    (void)state;
    char library[600], folder[] = "/tmp/tunesmith-python-XXXXXX", path[64];
    if (!library_path(library) || system("python3 -c 'import ctypes' >/dev/null 2>&1") != 0) skip();
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.db", folder);
    write_database(path);
    assert_int_equal(setenv("TUNESMITH_LIB", library, 1), 0);
    assert_int_equal(setenv("TUNESMITH_DB", path, 1), 0);
    assert_int_equal(setenv("PYTHONDONTWRITEBYTECODE", "1", 1), 0);
    int status = system("python3 " TS_TEMPLATES_DIR "/../tests/runtime/python_check.py");
    unlink(path);
    rmdir(folder);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_python_module)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
