/* device_cuda.c against the fake driver of fake_cuda.c: what is called, in which context and
 * capture mode, with which numbers, and what the errors say. What only a GPU can show is
 * tests/gpu's.
 *
 * The fake is loaded first under the soname libcuda.so.1, so the runtime's own dlopen finds it.
 */
#include "fake_cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/store.h"
#include "runtime/device_cuda.h"
#include "runtime/group.h"
#include "runtime/kernel.h"
#include "runtime/model/run.h"
#include "runtime/model/sight.h"

static fake_state *fake;
static ts_device *device;
static const rt_device_ops *ops;

static int load_fake(void **state) {
    (void)state;
    char folder[] = "/tmp/tunesmith-fake-XXXXXX", library[64], command[1024];
    if (!mkdtemp(folder)) return 1;
    snprintf(library, sizeof library, "%s/libcuda.so.1", folder);
    snprintf(
        command, sizeof command,
        "cc -std=gnu17 -shared -fPIC -I%s/.. -Wl,-soname,libcuda.so.1 %s/../tests/runtime/fake_cuda.c -o %s",
        TS_TEMPLATES_DIR, TS_TEMPLATES_DIR, library);
    void *handle = system(command) == 0 ? dlopen(library, RTLD_NOW | RTLD_GLOBAL) : NULL;
    fake = handle ? dlsym(handle, "fake") : NULL;
    unlink(library);
    rmdir(folder);
    return !fake;
}

static int open_device(void **state) {
    (void)state;
    if (ts_device_open("cuda:1", 0, &device, NULL) != TS_STATUS_OK) return 1;
    ops = device->ops;
    return 0;
}

/* Every test must leave nothing behind. */
static int close_device(void **state) {
    (void)state;
    ts_device_close(device);
    return fake->contexts || fake->streams || fake->events || fake->modules || fake->graphs ||
           fake->allocations;
}

#define OK(call) assert_int_equal(call, TS_STATUS_OK)

static void describes_the_device(void **state) {
    (void)state;
    const rt_device_info *info = &device->info;
    assert_string_equal(ts_device_name(device), "Fake GPU 1");
    assert_string_equal(ts_device_target(device), "sm_90a");
    assert_int_equal(info->compute_capability, 90);
    assert_int_equal(info->sm_count, 133);
    assert_int_equal(info->l2_bytes, 50 << 20);
    assert_int_equal(info->memory_bytes, 1 << 20);
    assert_int_equal(info->driver_version, 13000);
    assert_false(info->is_cpu);
    assert_string_equal(device->targets[0], "sm_90a");
    assert_string_equal(device->targets[1], "sm_90");
    assert_null(device->targets[2]);
    assert_int_equal(rt_cuda_count(), 2);
    assert_int_equal(fake->contexts, 1);
}

static void loadable_targets(void **state) {
    (void)state;
    static const struct {
        int cc;
        const char *targets;
    } cases[] = {
        {75, "sm_75 sm_70"},       {80, "sm_80"},
        {86, "sm_86 sm_80"},       {89, "sm_89 sm_86 sm_80"},
        {87, "sm_87 sm_86 sm_80"}, {90, "sm_90a sm_90"},
        {100, "sm_100a sm_100"},   {103, "sm_103 sm_100"},
        {120, "sm_120"},           {121, "sm_121 sm_120"},
        {130, "sm_130"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char names[RT_CUDA_MAX_TARGETS][16], line[200] = "";
        int count = rt_cuda_targets(cases[i].cc, names);
        for (int t = 0; t < count; t++) {
            if (t) strcat(line, " ");
            strcat(line, names[t]);
        }
        assert_string_equal(line, cases[i].targets);
    }
}

static void finds_devices(void **state) {
    (void)state;
    ts_device *other = NULL;
    ts_err err;
    OK(ts_device_open("auto", 0, &other, NULL));
    assert_string_equal(ts_device_name(other), "Fake GPU 0");
    ts_device_close(other);
    OK(ts_device_open("cuda:GPU-a0a1a2a3-a4a5-a6a7-b1b1-b1b1b1b1b1b1", 0, &other, NULL));
    assert_string_equal(ts_device_name(other), "Fake GPU 1");
    ts_device_close(other);
    OK(ts_device_open("cuda:GPU-A0A1A2A3A4A5A6A7B0", 0, &other, NULL));
    assert_string_equal(ts_device_name(other), "Fake GPU 0");
    ts_device_close(other);
    assert_int_equal(ts_device_open("cuda:GPU-a0", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_non_null(strstr(err.message, "2 GPUs match"));
    assert_int_equal(ts_device_open("cuda:GPU-77", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_non_null(strstr(err.message, "GPU-a0a1a2a3a4a5a6a7b0b0b0b0b0b0b0b0"));
    assert_int_equal(ts_device_open("cuda:", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_int_equal(ts_device_open("cuda:2", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_non_null(strstr(err.message, "there are 2"));
}

/* A host with an sm_86 and an sm_89 card: a target finds its own card, then one that can load it. */
static void finds_targets(void **state) {
    (void)state;
    ts_device *other = NULL;
    ts_err err;
    fake->major = 8, fake->minor = 6, fake->minor_step = 3;
    static const char *const cases[][2] = {
        {"cuda:sm_86", "Fake GPU 0"}, {"cuda:sm_89", "Fake GPU 1"}, {"cuda:sm_80", "Fake GPU 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(ts_device_open(cases[i][0], 0, &other, NULL));
        assert_string_equal(ts_device_name(other), cases[i][1]);
        assert_string_equal(other->info.bus_id, i == 1 ? "0000:3c:00.0" : "0000:3b:00.0");
        ts_device_close(other);
    }
    assert_int_equal(ts_device_open("cuda:sm_90a", 0, &other, &err), TS_STATUS_NO_DEVICE);
    assert_string_equal(err.message, "none of the 2 GPUs here runs sm_90a kernels");
    fake->minor = 9, fake->minor_step = -3; /* the other way round: GPU 0 could load it too */
    OK(ts_device_open("cuda:sm_86", 0, &other, NULL));
    assert_string_equal(ts_device_name(other), "Fake GPU 1");
    ts_device_close(other);
    fake->major = 9, fake->minor = 0, fake->minor_step = 0;
}

static void moves_memory(void **state) {
    (void)state;
    unsigned char host[1000], back[1000];
    for (int i = 0; i < 1000; i++) host[i] = (unsigned char)(i * 7);
    void *a = NULL, *b = NULL, *stream = NULL;
    OK(ops->stream_create(device, &stream, NULL));
    OK(ops->alloc(device, sizeof host, &a, NULL));
    OK(ops->alloc(device, sizeof host, &b, NULL));
    int before = fake->synchronised;
    OK(ops->upload(device, stream, a, host, sizeof host, NULL));
    assert_int_equal(fake->synchronised, before + 1);
    OK(ops->copy(device, stream, b, a, sizeof host, NULL));
    OK(ops->fill(device, NULL, b, 0xee, 10, NULL));
    assert_int_equal(fake->synchronised, before + 1);
    OK(ops->download(device, NULL, back, b, sizeof back, NULL));
    assert_int_equal(fake->synchronised, before + 2);
    assert_memory_equal(back + 10, host + 10, sizeof host - 10);
    assert_int_equal(back[9], 0xee);
    OK(ops->upload(device, stream, NULL, NULL, 0, NULL));
    OK(ops->sync(device, stream, NULL));
    ops->free(device, a);
    ops->free(device, b);
    ops->free(device, NULL);

    int64_t unused = 0, total = 0;
    OK(ops->memory_info(device, &unused, &total, NULL));
    assert_int_equal(unused, total);
    ts_err err;
    assert_int_equal(ops->alloc(device, 2 << 20, &a, &err), TS_STATUS_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "1 of 1 MiB are free"));
    ops->stream_destroy(device, stream);
}

/* Page-locked memory; a copy from it is not waited for until its event is. */
static void sends_from_host_memory(void **state) {
    (void)state;
    unsigned char back[1000];
    void *host = NULL, *a = NULL, *stream = NULL;
    rt_event *sent = NULL;
    ts_err err;
    OK(ops->stream_create(device, &stream, NULL));
    OK(ops->alloc(device, sizeof back, &a, NULL));
    OK(ops->alloc_host(device, sizeof back, &host, NULL));
    OK(ops->event_create(device, &sent, NULL));
    assert_int_equal(fake->host_allocations, 1);
    memset(host, 0x5a, sizeof back);
    int before = fake->synchronised;
    OK(ops->send(device, stream, a, host, sizeof back, NULL));
    OK(ops->event_record(device, sent, stream, NULL));
    assert_int_equal(fake->synchronised, before);
    OK(ops->event_wait(device, sent, NULL));
    assert_int_equal(fake->synchronised, before + 1);
    OK(ops->download(device, stream, back, a, sizeof back, NULL));
    assert_memory_equal(back, host, sizeof back);
    OK(ops->send(device, stream, NULL, NULL, 0, NULL));
    ops->event_destroy(device, sent);
    ops->free_host(device, host);
    ops->free_host(device, NULL);
    assert_int_equal(fake->host_allocations, 0);
    assert_int_equal(ops->alloc_host(device, 65 << 20, &host, &err), TS_STATUS_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "page-locked"));
    ops->free(device, a);
    ops->stream_destroy(device, stream);
}

/* Rows through both halves of the buffer, several times: converted, padded, in their order. */
static void sends_rows(void **state) {
    (void)state;
    enum { ROWS = 5000, COLUMNS = 611, PITCH = 616 };
    size_t memory_before = fake->memory_bytes;
    fake->memory_bytes = 16 << 20;
    float *rows = malloc(ROWS * COLUMNS * sizeof *rows);
    uint16_t *back = malloc(ROWS * PITCH * sizeof *back);
    assert_true(rows && back);
    for (int i = 0; i < ROWS * COLUMNS; i++) rows[i] = (float)(i % 127 - 63); /* exact in bf16 */
    rt_sight sight = {0};
    rt_run run = {.device = device};
    OK(ops->stream_create(device, &run.stream, NULL));
    OK(rt_sight_reserve(&sight, device, ROWS * PITCH * sizeof *back, NULL));
    void *memory = sight.memory;
    int before = fake->allocations;
    OK(rt_sight_reserve(&sight, device, 1000, NULL));
    assert_ptr_equal(sight.memory, memory);
    OK(rt_sight_send(&sight, &run, TS_DTYPE_BF16, rows, ROWS, COLUMNS, PITCH, memory, NULL));
    assert_int_equal(fake->allocations, before);
    OK(ops->download(device, run.stream, back, memory, ROWS * PITCH * sizeof *back, NULL));
    for (int i = 0; i < ROWS * PITCH; i++) {
        int row = i / PITCH, column = i % PITCH;
        float value = column < COLUMNS ? rows[row * COLUMNS + column] : 0;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        assert_int_equal(back[i], bits >> 16);
    }
    ts_err err;
    assert_int_equal(rt_sight_reserve(&sight, device, 20 << 20, &err), TS_STATUS_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "16 of 16 MiB are free"));
    assert_null(sight.memory);
    rt_sight_close(&sight, device);
    assert_int_equal(fake->host_allocations, 0);
    ops->stream_destroy(device, run.stream);
    free(rows);
    free(back);
    fake->memory_bytes = memory_before;
}

static void measures_time(void **state) {
    (void)state;
    rt_event *begin = NULL, *end = NULL;
    double us = 0;
    OK(ops->event_create(device, &begin, NULL));
    OK(ops->event_create(device, &end, NULL));
    OK(ops->event_record(device, begin, NULL, NULL));
    OK(ops->event_record(device, end, NULL, NULL));
    OK(ops->event_elapsed(device, begin, end, &us, NULL));
    assert_true(us == 1500);
    ops->event_destroy(device, begin);
    ops->event_destroy(device, end);
}

static void *use_device(void *argument) {
    void *memory = NULL;
    bool ok = ops->alloc(device, 64, &memory, NULL) == TS_STATUS_OK &&
              ops->fill(device, NULL, memory, 1, 64, NULL) == TS_STATUS_OK;
    ops->free(device, memory);
    return ok ? argument : NULL;
}

/* A thread that never saw the context. */
static void any_thread_may_call(void **state) {
    (void)state;
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, use_device, device), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, device);
}

static char good_cubin[64] = "\177ELFgood";
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

    good_cubin[4] = 'b';
    assert_int_equal(ops->module_load(device, good_cubin, sizeof good_cubin, &module, &err),
                     TS_STATUS_DEVICE);
    assert_non_null(strstr(err.message, "ptxas says line 7"));
    assert_non_null(strstr(err.message, "CUDA_ERROR_INVALID_IMAGE"));
    good_cubin[4] = 'g';
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

struct two_args {
    void *workspace;
    int32_t m, k;
    unsigned char rest[48];
};

static const char launch_data[] =
    "{\"format\":1,\"kind\":\"cuda\",\"args_bytes\":64,\"args\":["
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"m\",\"type\":\"i32\",\"offset\":8},"
    "{\"name\":\"k\",\"type\":\"i32\",\"offset\":12}],\"tensors\":[],\"extents\":[\"m\",\"k\"],"
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
    struct two_args args = {.workspace = workspace, .m = 1000, .k = 3};
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

static const char work_data[] =
    "{\"format\":1,\"kind\":\"cuda\",\"args_bytes\":64,\"args\":["
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},{\"name\":\"m\",\"type\":\"i32\",\"offset\":8},"
    "{\"name\":\"k\",\"type\":\"i32\",\"offset\":12}],\"tensors\":[],\"extents\":[\"m\",\"k\"],"
    "\"work\":{\"flops\":\"2 m * k *\",\"bytes\":\"4 m *\"},\"workspace\":\"0\",\"launches\":["
    "{\"entry\":\"plain\",\"grid\":[\"m\",\"1\",\"1\"],\"block\":[\"32\",\"1\",\"1\"],\"shared\":\"0\"}]}";

static const rt_profile_row *find_row(const rt_profile_row *rows, size_t count, const char *part) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].part, part) == 0) return &rows[i];
    fail_msg("no row %s", part);
    return NULL;
}

/* Launches and a captured step under a profile: each event pair of the fake is 1.5 ms apart. */
static void profiles_by_events(void **state) {
    (void)state;
    ts_kernel *kernel = NULL;
    rt_graph *graph = NULL;
    rt_profile_row *rows = NULL;
    size_t count = 0;
    const rt_peaks peaks = {.gflops = 1, .gbytes = 1e9};
    OK(rt_kernel_create(device, good_cubin, sizeof good_cubin, work_data, &kernel, NULL));
    const rt_entry entry = {.kernel = kernel};
    const rt_group group = {.entries = &entry, .entry_count = 1};
    const rt_use step = {.part = "text/step", .keys = "k"}, head = {.part = "head"},
                 look = {.part = "vision/look", .keys = "k"};
    const rt_used used_step = {&group, &step, RT_DECODE}, used_head = {&group, &head, RT_DECODE},
                  used_look = {&group, &look, RT_PREFILL};
    struct two_args args = {.m = 10, .k = 100};
    rt_run run = {.device = device};
    OK(ops->stream_create(device, &run.stream, NULL));
    OK(rt_profile_create(device, &peaks, &run.profile, NULL));

    /* Paused: nothing is recorded but what is captured, one event between two launches. */
    OK(rt_run_launch(&run, &used_head, &args, sizeof args, NULL));
    assert_int_equal(fake->events, 0);
    OK(rt_run_capture(&run, NULL));
    OK(rt_run_launch(&run, &used_step, &args, sizeof args, NULL));
    OK(rt_run_launch(&run, &used_head, &args, sizeof args, NULL));
    assert_int_equal(fake->recorded, 5);
    assert_int_equal(fake->captured_events, 3);
    OK(rt_run_captured(&run, &graph, NULL));
    OK(rt_run_replay(&run, graph, NULL)); /* not counted: paused */

    unsigned char host[16] = {0};
    void *memory = NULL;
    OK(ops->alloc(device, 32, &memory, NULL));
    rt_profile_resume(run.profile);
    OK(rt_run_upload(&run, memory, host, sizeof host, NULL));
    OK(rt_run_launch(&run, &used_look, &args, sizeof args, NULL));
    OK(rt_run_copy(&run, (char *)memory + 16, memory, 16, NULL)); /* the look's */
    int synchronised = fake->synchronised;
    run.keys = 3;
    OK(rt_run_replay(&run, graph, NULL));
    assert_int_equal(fake->synchronised, synchronised); /* nothing waits for a replay */
    run.keys = 4;
    OK(rt_run_replay(&run, graph, NULL));
    OK(rt_profile_pause(run.profile, NULL));
    OK(rt_profile_rows(run.profile, &rows, &count, NULL));
    assert_int_equal(count, 5);
    const rt_profile_row *row = find_row(rows, count, "upload");
    assert_true(row->calls == 1 && row->us == 1500 && !row->has_work);
    row = find_row(rows, count, "vision/look"); /* a launch and a copy */
    assert_true(row->calls == 2 && row->us == 3000 && row->step_us == 0);
    assert_true(row->flops == 2000 && row->bytes == 40 + 32 && row->has_work);
    row = find_row(rows, count, "text/step");
    assert_true(row->calls == 2 && row->us == 3000 && row->step_us == 3000);
    assert_true(row->flops == 2 * 10 * (3 + 4) && row->bytes == 80);
    assert_true(row->limit_us > 0.1399 && row->limit_us < 0.1401);
    row = find_row(rows, count, "head");
    assert_true(row->calls == 2 && row->us == 3000 && row->flops == 2 * 2000);
    assert_string_equal(rows[count - 1].part, "host");
    free(rows);

    rt_profile_destroy(run.profile);
    ops->graph_destroy(device, graph);
    ops->free(device, memory);
    ops->stream_destroy(device, run.stream);
    rt_kernel_destroy(kernel);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        TEST(describes_the_device),
        TEST(loadable_targets),
        TEST(finds_devices),
        TEST(finds_targets),
        TEST(moves_memory),
        TEST(sends_from_host_memory),
        TEST(sends_rows),
        TEST(measures_time),
        TEST(any_thread_may_call),
        TEST(loads_code),
        TEST(code_for_a_newer_driver),
        TEST(launches_kernels),
        TEST(works_beside_a_capture),
        TEST(profiles_by_events),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
