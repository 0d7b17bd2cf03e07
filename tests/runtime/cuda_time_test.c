/* Time by the events of device_cuda.c: between two of them, and in the profile of a session. */
#include "fake_device.h"

#include "runtime/group.h"
#include "runtime/kernel.h"
#include "runtime/model/run.h"

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

static const char work_data[] = PLAIN_HEAD
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
    struct plain_args args = {.m = 10, .k = 100};
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
        TEST(measures_time),
        TEST(profiles_by_events),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
