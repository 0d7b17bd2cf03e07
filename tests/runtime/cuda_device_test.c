/* GPUs as device_cuda.c opens them: what it says of one, by which names and targets it finds one,
 * and calls from any thread.
 */
#include "fake_device.h"

#include <pthread.h>

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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        TEST(describes_the_device), TEST(loadable_targets),    TEST(finds_devices),
        TEST(finds_targets),        TEST(any_thread_may_call),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
