/* Memory of device_cuda.c: copies between host and device, what waits for them, and what is said
 * where memory is short.
 */
#include "fake_device.h"

#include "runtime/model/run.h"
#include "runtime/model/sight.h"

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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        TEST(moves_memory),
        TEST(sends_from_host_memory),
        TEST(sends_rows),
    };
    return cmocka_run_group_tests(tests, load_fake, NULL);
}
