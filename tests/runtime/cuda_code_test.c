/* Code of device_cuda.c: cubins and PTX, shared memory beyond the default limit, and kernels of a
 * database that need a newer driver.
 */
#include "fake_device.h"

#include <sys/stat.h>

#include "db/store.h"
#include "runtime/kernel.h"

static const char good_ptx[] =
    "// good PTX, which must end where its text ends, whatever the size says";

static void loads_code(void **state) {
    (void)state;
    rt_module *module = NULL;
    void *function = NULL;
    ts_err err;
    char ptx[200]; /* no NUL behind the text */
    memset(ptx, 'x', sizeof ptx);
    memcpy(ptx, good_ptx, sizeof good_ptx - 1);
    OK(ops->module_load(device, ptx, sizeof good_ptx - 1, &module, NULL));
    ops->module_unload(device, module);
    OK(ops->module_load(device, good_cubin, sizeof good_cubin, &module, NULL));

    fake->dynamic_limit = -1;
    OK(ops->function(device, module, "plain", 48 << 10, &function, NULL));
    assert_int_equal(fake->dynamic_limit, -1); /* the default limit is enough */
    OK(ops->function(device, module, "plain", 100000, &function, NULL));
    assert_int_equal(fake->dynamic_limit, 100000);
    OK(ops->function(device, module, "fixed", SIZE_MAX, &function, NULL));
    assert_int_equal(fake->dynamic_limit, 232448 - 1024);
    assert_int_equal(ops->function(device, module, "fixed", 232448, &function, &err),
                     TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "232448 + 1024"));
    assert_int_equal(ops->function(device, module, "absent", 0, &function, &err), TS_STATUS_DEVICE);
    assert_non_null(
        strstr(err.message, "cuModuleGetFunction failed on absent: named symbol not found"));
    ops->module_unload(device, module);

    char bad_cubin[sizeof good_cubin];
    memcpy(bad_cubin, good_cubin, sizeof bad_cubin);
    bad_cubin[4] = 'b';
    assert_int_equal(ops->module_load(device, bad_cubin, sizeof bad_cubin, &module, &err),
                     TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "ptxas says line 7"));
    assert_non_null(strstr(err.message, "CUDA_ERROR_INVALID_IMAGE"));
    assert_int_equal(ops->module_load(device, good_cubin, 12, &module, &err), TS_STATUS_CORRUPT);
}

static const char launch_plain[] =
    "{\"format\":1,\"kind\":\"cuda\",\"args_bytes\":64,\"args\":["
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"m\",\"type\":\"i32\",\"offset\":8}],"
    "\"tensors\":[],\"extents\":[\"m\"],\"workspace\":\"0\",\"zero\":[],\"launches\":[{\"entry\":\"plain\","
    "\"grid\":[\"m\",\"1\",\"1\"],\"block\":[\"32\",\"1\",\"1\"],\"shared\":\"0\"}]}";

/* A database with one kernel that needs the driver of `driver_min`, and its default for 12.0. */
static void write_kernels(const char *path, int driver_min) {
    db_writer *writer = NULL;
    int64_t id = 0;
    db_kernel kernel = {.family = "plain",
                        .version = "v",
                        .variant = "plain/v t=2",
                        .spec = "",
                        .target = "sm_90a",
                        .abi = "1",
                        .signature = "s",
                        .compiler = "nvrtc",
                        .options = "",
                        .launch = launch_plain,
                        .blob = good_cubin,
                        .blob_bytes = sizeof good_cubin,
                        .driver_min = driver_min};
    OK(db_writer_open(path, &writer, NULL));
    OK(db_write_kernel(writer, &kernel, &id, NULL));
    db_winner winner = {
        .problem = "plain m=1",
        .target = "sm_90a",
        .kernel_id = id,
        .device = {.name = ts_device_name(device), .target = "sm_90a", .driver = ""},
        .variant = kernel.variant,
        .evidence = "measured",
        .family_hash = "",
        .oracle_hash = "",
        .compiler = "nvrtc",
        .verdict = "win"};
    OK(db_write_winner(writer, &winner, NULL));
    kernel.variant = "plain/v t=1", kernel.is_default = true, kernel.driver_min = 12000;
    OK(db_write_kernel(writer, &kernel, &id, NULL));
    db_writer_close(writer);
    assert_int_equal(chmod(path, 0644), 0);
}

/* On a driver of CUDA 12.4: code for 12.x loads, code for 13.0 is refused by name before it is
 * loaded, and the default that an older compiler made serves meanwhile. */
static void code_for_a_newer_driver(void **state) {
    (void)state;
    static const struct {
        int driver_min;
        const char *variant;
    } cases[] = {{12000, "plain/v t=2"}, {13000, "plain/v t=1"}, {12080, "plain/v t=1"}};
    ts_device *old = NULL;
    fake->driver_version = 12040;
    OK(ts_device_open("cuda:1", 0, &old, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "/tmp/tunesmith-driver-XXXXXX";
        ts_kernels *kernels = NULL;
        const ts_kernel *kernel = NULL;
        close(mkstemp(path));
        unlink(path);
        write_kernels(path, cases[i].driver_min);
        OK(ts_kernels_open(old, path, &kernels, NULL));
        OK(ts_kernel_find(kernels, "plain m=1", &kernel, NULL));
        assert_string_equal(ts_kernel_variant(kernel), cases[i].variant);
        char wanted[100];
        snprintf(wanted, sizeof wanted, "needs a driver for CUDA %d.%d, this one is for 12.4",
                 cases[i].driver_min / 1000, cases[i].driver_min % 1000 / 10);
        const char *warning = ts_kernels_warning(kernels, 0);
        assert_true((warning && strstr(warning, wanted)) == (cases[i].driver_min > 12040));
        assert_true(!warning || strstr(warning, "--nvrtc"));
        ts_kernels_close(kernels);
        unlink(path);
    }
    ts_device_close(old);
    fake->driver_version = 13000;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        TEST(loads_code),
        TEST(code_for_a_newer_driver),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
