/* Launches of device_cuda.c: with which numbers, in which capture mode, and what is done beside a
 * capture.
 */
#include "fake_device.h"

#include "runtime/kernel.h"

static const char launch_data[] = PLAIN_HEAD
    "\"workspace\":\"m 4 *\",\"zero\":[[\"4\",\"m 4 * 4 -\"]],\"launches\":["
    "{\"entry\":\"plain\",\"grid\":[\"m 128 ceil_div sm_count min\",\"k\",\"1\"],\"block\":[\"128\",\"2\",\"1\"],"
    "\"shared\":\"k 1024 *\"}]}";

static void launches_kernels(void **state) {
    (void)state;
    ts_kernel *kernel = NULL;
    void *workspace = NULL, *stream = NULL;
    unsigned char cleared[40];
    ts_err err;
    OK(rt_kernel_create(device, good_cubin, sizeof good_cubin, launch_data, &kernel, NULL));
    assert_int_equal(fake->dynamic_limit, 232448); /* shared memory depends on k: all there is */
    OK(ops->stream_create(device, &stream, NULL));
    OK(ops->alloc(device, 4000, &workspace, NULL));
    OK(ops->fill(device, NULL, workspace, 0xff, 4000, NULL));
    struct plain_args args = {.workspace = workspace, .m = 1000, .k = 3};
    memset(args.rest, 0x42, sizeof args.rest);
    int before = fake->launch.count;
    OK(ts_kernel_launch(kernel, stream, &args, sizeof args, NULL));
    assert_int_equal(fake->launch.count, before + 1);
    assert_memory_equal(fake->launch.grid, ((unsigned[]){8, 3, 1}), sizeof fake->launch.grid);
    assert_memory_equal(fake->launch.block, ((unsigned[]){128, 2, 1}), sizeof fake->launch.block);
    assert_int_equal(fake->launch.shared, 3072);
    assert_ptr_equal(fake->launch.stream, stream);
    assert_memory_equal(fake->launch.args, &args, sizeof args);
    OK(ops->download(device, NULL, cleared, workspace, sizeof cleared, NULL));
    assert_int_equal(cleared[3], 0xff);
    for (int i = 4; i < 40; i++) assert_int_equal(cleared[i], 0);

    args.m = INT32_MAX;
    assert_true(ts_kernel_workspace_bytes(kernel, &args) == (size_t)INT32_MAX * 4);
    args.m = 1000;
    args.k = 70000; /* more than a grid's y axis has */
    assert_int_equal(ts_kernel_launch(kernel, stream, &args, sizeof args, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "65535"));

    /* A launch that the driver refuses is named with its numbers. */
    const rt_launch bad = {.function = NULL, .grid = {1, 2, 3}, .block = {4, 5, 6}, .args = &args};
    assert_int_equal(ops->launch(device, stream, &bad, &err), TS_STATUS_DEVICE);
    assert_non_null(strstr(
        err.message, "cuLaunchKernel failed on Fake GPU 1 (grid 1 2 3, block 4 5 6, shared 0)"));
    ops->free(device, workspace);
    ops->stream_destroy(device, stream);
    rt_kernel_destroy(kernel);
}

/* A kernel that waits by itself is launched early, by a driver that can have that in a graph. */
static void launches_dependent_kernels(void **state) {
    (void)state;
#define LAUNCHES(FLAG)                                                                                            \
    PLAIN_HEAD                                                                                                    \
        "\"workspace\":\"0\",\"zero\":[],\"launches\":["                                                          \
        "{\"entry\":\"plain\",\"grid\":[\"m\",\"1\",\"1\"],\"block\":[\"32\",\"1\",\"1\"],\"shared\":\"16\"" FLAG \
        "}]}"
    static const struct {
        const char *launch;
        int driver_version;
        bool dependent;
    } cases[] = {{LAUNCHES(",\"dependent\":true"), 13000, true},
                 {LAUNCHES(",\"dependent\":true"), 12030, true},
                 {LAUNCHES(",\"dependent\":true"), 12020, false},
                 {LAUNCHES(",\"dependent\":false"), 13000, false},
                 {LAUNCHES(""), 13000, false}};
    const int usual = device->info.driver_version;
    struct plain_args args = {.m = 7, .k = 1};
    ts_kernel *kernel = NULL;
    ts_err err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OK(rt_kernel_create(device, good_cubin, sizeof good_cubin, cases[i].launch, &kernel, NULL));
        device->info.driver_version = cases[i].driver_version;
        fake->launch.grid[0] = 0;
        OK(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL));
        assert_int_equal(fake->launch.dependent, cases[i].dependent);
        assert_memory_equal(fake->launch.grid, ((unsigned[]){7, 1, 1}), sizeof fake->launch.grid);
        assert_memory_equal(fake->launch.block, ((unsigned[]){32, 1, 1}),
                            sizeof fake->launch.block);
        assert_int_equal(fake->launch.shared, 16);
        assert_memory_equal(fake->launch.args, &args, sizeof args);
        rt_kernel_destroy(kernel);
    }
    device->info.driver_version = 13000;
    const rt_launch bad = {.grid = {1, 2, 3}, .block = {4, 5, 6}, .args = &args, .dependent = true};
    assert_int_equal(ops->launch(device, NULL, &bad, &err), TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "cuLaunchKernelEx failed on Fake GPU 1 (grid 1 2 3,"));

    rt_cuda_driver old = *((cuda_device *)device)->driver; /* one from before CUDA 11.8 */
    const rt_cuda_driver *now = ((cuda_device *)device)->driver;
    old.cuLaunchKernelEx = NULL;
    ((cuda_device *)device)->driver = &old;
    assert_int_equal(ops->launch(device, NULL, &bad, &err), TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "cuLaunchKernel failed on"));
    ((cuda_device *)device)->driver = now;
    device->info.driver_version = usual;

    assert_int_equal(rt_kernel_create(device, good_cubin, sizeof good_cubin,
                                      LAUNCHES(",\"dependent\":1"), &kernel, &err),
                     TS_STATUS_CORRUPT);
    assert_non_null(strstr(err.message, "bad dependent"));
}

/* While one stream captures, the same thread allocates, copies and loads on others. */
static void works_beside_a_capture(void **state) {
    (void)state;
    void *capturing = NULL, *other = NULL, *memory = NULL, *more = NULL;
    rt_graph *graph = NULL;
    rt_module *module = NULL;
    unsigned char host[16] = {1, 2, 3}, back[16] = {0};
    ts_err err;
    assert_int_equal(ops->graph_begin(device, NULL, &err), TS_STATUS_INVALID_ARGUMENT);
    OK(ops->stream_create(device, &capturing, NULL));
    OK(ops->stream_create(device, &other, NULL));
    OK(ops->alloc(device, 16, &memory, NULL));
    OK(ops->graph_begin(device, capturing, NULL));
    OK(ops->alloc(device, 16, &more, NULL));
    OK(ops->upload(device, other, memory, host, 16, NULL));
    OK(ops->download(device, other, back, memory, 16, NULL));
    assert_memory_equal(host, back, 16);
    OK(ops->upload(device, NULL, more, host, 16, NULL));
    OK(ops->sync(device, other, NULL));
    OK(ops->module_load(device, good_cubin, sizeof good_cubin, &module, NULL));
    ops->module_unload(device, module);
    ops->free(device, more);

    int synchronised =
        fake->synchronised; /* on the capturing stream a copy is recorded, not waited for */
    host[0] = 9;
    OK(ops->upload(device, capturing, memory, host, 16, NULL));
    OK(ops->fill(device, capturing, memory, 0, 16, NULL));
    assert_int_equal(fake->synchronised, synchronised);
    assert_int_equal(fake->recorded, 2);
    OK(ops->graph_end(device, capturing, &graph, NULL));
    OK(ops->download(device, capturing, back, memory, 16, NULL));
    assert_int_equal(back[0], 1);
    int launches = fake->launch.count;
    OK(ops->graph_launch(device, graph, capturing, NULL));
    assert_int_equal(fake->launch.count, launches + 2);
    ops->graph_destroy(device, graph);
    ops->graph_destroy(device, NULL);

    /* A graph that does not instantiate is not leaked, a capture that never began is an error. */
    OK(ops->graph_begin(device, capturing, NULL));
    assert_int_equal(ops->graph_end(device, capturing, &graph, &err), TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "cuGraphInstantiateWithFlags"));
    assert_int_equal(ops->graph_end(device, capturing, &graph, &err), TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "cuStreamEndCapture"));
    ops->free(device, memory);
    ops->stream_destroy(device, capturing);
    ops->stream_destroy(device, other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        TEST(launches_kernels),
        TEST(launches_dependent_kernels),
        TEST(works_beside_a_capture),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
