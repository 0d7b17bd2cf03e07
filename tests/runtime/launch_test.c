/* One kernel made from parts and launched on the CPU: formulas, workspace, clearing, refusals. */
#include "compile.h"

#include <setjmp.h>

#include <cmocka.h>

#include "runtime/kernel.h"

struct two_args {
    void *workspace;
    int32_t *out;
    int32_t m, k;
};

/* Step one counts its blocks into the workspace, which starts cleared; step two copies it out and
 * adds the block's place. Blocks of one launch touch different elements. */
static const char source[] =
    "struct two_args { void *workspace; int32_t *out; int32_t m, k; };\n"
    "KERNEL void count(const struct two_args *a, void *scratch, uint32_t bx, uint32_t by, uint32_t bz) {\n"
    "    int32_t *own = scratch, *sums = a->workspace;\n"
    "    own[0] = 1 + (int32_t)bz * 0;\n"
    "    sums[by * (uint32_t)a->m + bx] += own[0];\n"
    "}\n"
    "KERNEL void copy(const struct two_args *a, void *scratch, uint32_t bx, uint32_t by, uint32_t bz) {\n"
    "    int32_t *sums = a->workspace;\n"
    "    uint32_t at = by * (uint32_t)a->m + bx;\n"
    "    a->out[at] = sums[at] * 1000 + (int32_t)(by * 100 + bx) + (int32_t)bz;\n"
    "    (void)scratch;\n"
    "}\n";

#define LAUNCH_HEAD                                                                                                      \
    "{\"format\":1,\"kind\":\"cpu\",\"args_bytes\":24,"                                                                  \
    "\"args\":[{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"out\",\"type\":\"ptr\",\"offset\":8}," \
    "{\"name\":\"m\",\"type\":\"i32\",\"offset\":16},{\"name\":\"k\",\"type\":\"i32\",\"offset\":20}],"                  \
    "\"tensors\":[{\"name\":\"out\",\"dtype\":\"int32\",\"direction\":\"out\",\"pitch\":\"\",\"optional\":false}],"      \
    "\"extents\":[\"m\",\"k\"],"
static const char launch[] = LAUNCH_HEAD
    "\"workspace\":\"m k * 4 *\",\"zero\":[[\"0\",\"m k * 4 *\"]],\"launches\":["
    "{\"entry\":\"count\",\"grid\":[\"m\",\"k\",\"1\"],\"scratch\":\"m 64 max\"},"
    "{\"entry\":\"copy\",\"grid\":[\"m\",\"k\",\"1\"],\"scratch\":\"0\"}]}";

static ts_device *device;
static ts_buf object;
static ts_kernel *kernel;

static int setup(void **state) {
    (void)state;
    return ts_device_open("cpu", 3, &device, NULL) != TS_STATUS_OK ||
           !compile_with_prelude(source, &object) ||
           rt_kernel_create(device, object.data, object.bytes, launch, &kernel, NULL) !=
               TS_STATUS_OK;
}

static int teardown(void **state) {
    (void)state;
    rt_kernel_destroy(kernel);
    rt_kernel_destroy(NULL);
    ts_buf_free(&object);
    ts_device_close(device);
    ts_device_close(NULL);
    return 0;
}

enum { M = 37, K = 11 };

static void runs_every_step(void **state) {
    (void)state;
    static int32_t out[M * K], workspace[M * K];
    struct two_args args = {workspace, out, M, K};
    assert_int_equal(ts_kernel_workspace_bytes(kernel, &args), sizeof workspace);
    for (int round = 0; round < 50; round++) {
        memset(workspace, 0xff, sizeof workspace);
        memset(out, 0xff, sizeof out);
        assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, NULL), TS_STATUS_OK);
        for (int y = 0; y < K; y++)
            for (int x = 0; x < M; x++) assert_int_equal(out[y * M + x], 1000 + y * 100 + x);
    }
}

static void refuses_bad_arguments(void **state) {
    (void)state;
    int32_t out[4] = {7, 7, 7, 7}, workspace[4];
    struct two_args args = {workspace, out, 2, 2};
    ts_err err;
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args - 1, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "24"));
    args.m = -1;
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "extent m is -1"));
    assert_int_equal(ts_kernel_workspace_bytes(kernel, &args), 0);
    args.m = 2;
    args.workspace = NULL;
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "workspace is NULL"));
    args.workspace = workspace;
    args.m = 0; /* an empty grid is no error and does nothing */
    assert_int_equal(ts_kernel_launch(kernel, NULL, &args, sizeof args, &err), TS_STATUS_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(out[i], 7);
}

/* Tensor maps: what a GPU's kernel may have, and the CPU's may not. */
#define MAPPED_TWO                                                                                                      \
    "\"args\":[{\"name\":\"out\",\"type\":\"ptr\",\"offset\":8},{\"name\":\"pitch\",\"type\":\"i64\",\"offset\":16}]," \
    "\"extents\":[],\"workspace\":\"0\","
#define MAP                                                                                    \
    "\"maps\":[{\"tensor\":\"out\",\"pitch\":\"pitch\",\"bytes\":4,\"columns\":\"4\",\"rows\":\"1\"," \
    "\"part\":4,\"box\":[8,1]}]"

static void refuses_bad_parts(void **state) {
    (void)state;
    static const struct {
        const char *launch, *part;
    } cases[] = {
        {LAUNCH_HEAD
         "\"workspace\":\"0\",\"launches\":[{\"entry\":\"none\",\"grid\":[\"1\",\"1\",\"1\"],"
         "\"scratch\":\"0\"}]}",
         "no function 'none'"},
        {LAUNCH_HEAD "\"workspace\":\"0\",\"launches\":[]}", "launches"},
        {"{\"format\":1,\"kind\":\"cuda\",\"args_bytes\":8,\"args\":[],\"extents\":[],\"workspace\":\"0\","
         "\"launches\":[{\"entry\":\"copy\",\"grid\":[\"1\",\"1\",\"1\"],\"block\":[\"1\",\"1\",\"1\"],"
         "\"shared\":\"0\"}]}",
         "for the GPU"},
        {"{\"format\":2,\"kind\":\"cuda\",\"args_bytes\":24," MAPPED_TWO
         "\"launches\":[{\"entry\":\"copy\",\"grid\":[\"1\",\"1\",\"1\"],\"block\":[\"1\",\"1\",\"1\"],"
         "\"shared\":\"0\"," MAP "}]}",
         "for the GPU"},
        {"{\"format\":2,\"kind\":\"cpu\",\"args_bytes\":24," MAPPED_TWO
         "\"launches\":[{\"entry\":\"copy\",\"grid\":[\"1\",\"1\",\"1\"],\"scratch\":\"0\"," MAP "}]}",
         "maps are for CUDA"},
        {"nonsense", "launch data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ts_kernel *bad = NULL;
        ts_err err;
        assert_int_equal(
            rt_kernel_create(device, object.data, object.bytes, cases[i].launch, &bad, &err),
            TS_STATUS_CORRUPT);
        assert_non_null(strstr(err.message, cases[i].part));
        assert_null(bad);
    }
    ts_kernel *bad = NULL;
    assert_int_equal(rt_kernel_create(device, object.data, 100, launch, &bad, NULL),
                     TS_STATUS_CORRUPT);
}

/* The last step wants more memory than a block may have, so the first may not have run either. */
static void evaluates_before_it_runs(void **state) {
    (void)state;
    static const char huge[] = LAUNCH_HEAD
        "\"workspace\":\"4\",\"launches\":["
        "{\"entry\":\"count\",\"grid\":[\"1\",\"1\",\"1\"],\"scratch\":\"64\"},"
        "{\"entry\":\"copy\",\"grid\":[\"1\",\"1\",\"1\"],\"scratch\":\"m 1073741824 *\"}]}";
    ts_kernel *late = NULL;
    assert_int_equal(rt_kernel_create(device, object.data, object.bytes, huge, &late, NULL),
                     TS_STATUS_OK);
    int32_t out = 7, workspace = 5;
    struct two_args args = {&workspace, &out, 9, 1};
    ts_err err;
    assert_int_equal(ts_kernel_launch(late, NULL, &args, sizeof args, &err),
                     TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "scratch"));
    assert_int_equal(workspace, 5);
    rt_kernel_destroy(late);
}

static void device_memory_and_clock(void **state) {
    (void)state;
    const rt_device_ops *ops = device->ops;
    static const size_t sizes[] = {0, 1, 255, 4096, 9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *memory = NULL, *copy = malloc(sizes[i] + 1);
        assert_non_null(copy);
        assert_int_equal(ops->alloc(device, sizes[i], (void **)&memory, NULL), TS_STATUS_OK);
        assert_int_equal((uintptr_t)memory % 256, 0);
        assert_int_equal(ops->fill(device, NULL, memory, 0x5a, sizes[i], NULL), TS_STATUS_OK);
        assert_int_equal(ops->download(device, NULL, copy, memory, sizes[i], NULL), TS_STATUS_OK);
        for (size_t b = 0; b < sizes[i]; b += 97) assert_int_equal(copy[b], 0x5a);
        ops->free(device, memory);
        free(copy);
    }
    void *memory = NULL;
    assert_int_equal(ops->alloc(device, SIZE_MAX - 5, &memory, NULL), TS_STATUS_OUT_OF_MEMORY);
    /* As much as the machine has is promised by the kernel, and never there. */
    ts_err err;
    int64_t unused = 0, total = 0;
    assert_int_equal(ops->memory_info(device, &unused, &total, NULL), TS_STATUS_OK);
    assert_true(unused > 0 && unused < total);
    assert_int_equal(ops->alloc(device, (size_t)total, &memory, &err), TS_STATUS_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "MiB are free"));

    rt_event *begin = NULL, *end = NULL;
    double us = -1;
    assert_int_equal(ops->event_create(device, &begin, NULL), TS_STATUS_OK);
    assert_int_equal(ops->event_create(device, &end, NULL), TS_STATUS_OK);
    assert_int_equal(ops->event_record(device, begin, NULL, NULL), TS_STATUS_OK);
    usleep(3000);
    assert_int_equal(ops->event_record(device, end, NULL, NULL), TS_STATUS_OK);
    assert_int_equal(ops->event_elapsed(device, begin, end, &us, NULL), TS_STATUS_OK);
    assert_true(us >= 3000 && us < 3e6);
    ops->event_destroy(device, begin);
    ops->event_destroy(device, end);
    assert_int_equal(ops->graph_begin(device, NULL, NULL), TS_STATUS_UNSUPPORTED);
}

static void device_names(void **state) {
    (void)state;
    ts_device *other = NULL;
    ts_err err;
    assert_int_equal(ts_device_open("tpu", 0, &other, &err), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(ts_device_open("cuda:4000", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_int_equal(ts_device_open("cuda:GPU-00", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_int_equal(ts_device_open("auto", 1, &other, NULL), TS_STATUS_OK);
    assert_true(other->info.is_cpu == (rt_cuda_count() == 0));
    assert_non_null(strstr(ts_device_target(other), other->info.is_cpu ? "cpu-" : "sm_"));
    assert_true(ts_device_name(other)[0] != '\0');
    assert_string_equal(ts_device_target(other), other->targets[0]);
    ts_device_close(other);
    assert_string_equal(ts_version(), "0.1.0");
    assert_string_equal(ts_status_name(TS_STATUS_NOT_FOUND), "not found");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_every_step),         cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(refuses_bad_parts),       cmocka_unit_test(evaluates_before_it_runs),
        cmocka_unit_test(device_memory_and_clock), cmocka_unit_test(device_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
