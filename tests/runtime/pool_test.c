/* The thread pool: every item exactly once, whatever the counts, the callers and the timing. */
#include "runtime/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ITEMS = 5000, THREADS = 4 };

typedef struct tally {
    _Atomic uint32_t hits[MAX_ITEMS];
    _Atomic int bad_worker;
    rt_pool *pool;
} tally;

static tally shared; /* one at a time; large */

static void count_items(void *context, int worker, uint64_t begin, uint64_t end) {
    tally *t = context;
    if (worker < 0 || worker >= rt_pool_threads(t->pool)) atomic_store(&t->bad_worker, 1);
    for (uint64_t i = begin; i < end; i++) atomic_fetch_add(&t->hits[i], 1);
}

static void check_once(rt_pool *pool, uint64_t count) {
    memset(&shared, 0, sizeof shared);
    shared.pool = pool;
    assert_int_equal(rt_pool_run(pool, count, 0, count_items, &shared, NULL), TS_STATUS_OK);
    for (uint64_t i = 0; i < MAX_ITEMS; i++) assert_int_equal(shared.hits[i], i < count);
    assert_int_equal(shared.bad_worker, 0);
}

static void every_item_once(void **state) {
    (void)state;
    static const uint64_t counts[] = {0, 1, 2, 3, 31, 32, 33, 257, MAX_ITEMS};
    for (int threads = 1; threads <= THREADS; threads++) {
        rt_pool *pool = NULL;
        assert_int_equal(rt_pool_create(threads, &pool, NULL), TS_STATUS_OK);
        assert_int_equal(rt_pool_threads(pool), threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) check_once(pool, counts[i]);
        rt_pool_destroy(pool);
    }
}

static void add_begin(void *context, int worker, uint64_t begin, uint64_t end) {
    (void)worker;
    for (uint64_t i = begin; i < end; i++) atomic_fetch_add((_Atomic uint64_t *)context, i + 1);
}

/* Jobs in quick succession, then with pauses that send the workers to sleep. */
static void many_tiny_jobs(void **state) {
    (void)state;
    rt_pool *pool = NULL;
    assert_int_equal(rt_pool_create(THREADS, &pool, NULL), TS_STATUS_OK);
    for (int i = 0; i < 20000; i++) {
        _Atomic uint64_t sum = 0;
        assert_int_equal(rt_pool_run(pool, 7, 0, add_begin, &sum, NULL), TS_STATUS_OK);
        assert_int_equal(sum, 28);
    }
    for (int i = 0; i < 50; i++) {
        _Atomic uint64_t sum = 0;
        usleep(1000);
        assert_int_equal(rt_pool_run(pool, 7, 0, add_begin, &sum, NULL), TS_STATUS_OK);
        assert_int_equal(sum, 28);
    }
    rt_pool_destroy(pool);
}

static void *run_jobs(void *argument) {
    for (int i = 0; i < 500; i++) {
        _Atomic uint64_t sum = 0;
        if (rt_pool_run(argument, 50, 64, add_begin, &sum, NULL) != TS_STATUS_OK || sum != 1275)
            return argument;
    }
    return NULL;
}

static void several_callers(void **state) {
    (void)state;
    rt_pool *pool = NULL;
    pthread_t callers[3];
    assert_int_equal(rt_pool_create(2, &pool, NULL), TS_STATUS_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, run_jobs, pool), 0);
    for (int i = 0; i < 3; i++) {
        void *failed = pool;
        pthread_join(callers[i], &failed);
        assert_null(failed);
    }
    rt_pool_destroy(pool);
}

typedef struct scratch_check {
    rt_pool *pool;
    size_t bytes;
    _Atomic int bad;
} scratch_check;

/* Fills the worker's scratch with its index, waits a little and finds it untouched. */
static void use_scratch(void *context, int worker, uint64_t begin, uint64_t end) {
    scratch_check *c = context;
    unsigned char *scratch = rt_pool_scratch(c->pool, worker);
    if ((uintptr_t)scratch % 64) atomic_store(&c->bad, 1);
    memset(scratch, worker + 1, c->bytes);
    for (uint64_t i = begin; i < end; i++)
        for (size_t at = 0; at < c->bytes; at += 61)
            if (scratch[at] != worker + 1) atomic_store(&c->bad, 1);
}

static void scratch_is_private_and_grows(void **state) {
    (void)state;
    rt_pool *pool = NULL;
    assert_int_equal(rt_pool_create(THREADS, &pool, NULL), TS_STATUS_OK);
    for (size_t bytes = 100; bytes < 1000000; bytes *= 7) {
        scratch_check c = {.pool = pool, .bytes = bytes};
        assert_int_equal(rt_pool_run(pool, 64, bytes, use_scratch, &c, NULL), TS_STATUS_OK);
        assert_int_equal(c.bad, 0);
    }
    ts_err err;
    assert_int_equal(rt_pool_run(pool, 64, SIZE_MAX / 2, use_scratch, NULL, &err),
                     TS_STATUS_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "scratch"));
    rt_pool_destroy(pool);
}

static void refuses_impossible_counts(void **state) {
    (void)state;
    rt_pool *pool = NULL;
    assert_int_equal(rt_pool_create(-1, &pool, NULL), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(rt_pool_create(1000000, &pool, NULL), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(rt_pool_create(0, &pool, NULL), TS_STATUS_OK);
    assert_true(rt_pool_threads(pool) >= 1);
    assert_int_equal(rt_pool_run(pool, UINT64_MAX, 0, add_begin, NULL, NULL),
                     TS_STATUS_INVALID_ARGUMENT);
    rt_pool_destroy(pool);
}

static void no_pool_is_the_caller(void **state) {
    (void)state;
    _Atomic uint64_t sum = 0;
    ts_err err;
    assert_int_equal(rt_pool_run(NULL, 7, 0, add_begin, &sum, NULL), TS_STATUS_OK);
    assert_int_equal(sum, 28);
    assert_int_equal(rt_pool_run(NULL, 7, 1, add_begin, &sum, &err), TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "needs a pool"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once),           cmocka_unit_test(many_tiny_jobs),
        cmocka_unit_test(several_callers),           cmocka_unit_test(scratch_is_private_and_grows),
        cmocka_unit_test(refuses_impossible_counts), cmocka_unit_test(no_pool_is_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
