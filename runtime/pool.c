/* The thread pool behind CPU launches.
 *
 * One job at a time. The word `epoch` is even while no job is open and odd while one is; opening
 * and closing both add one. A worker that sees a new odd epoch enters (`inside` + 1), looks at the
 * epoch again, and only if it is still the same touches the job. The caller closes the epoch when
 * the items have run out and then waits for `inside` to be 0. In the single total order of these
 * sequentially consistent operations either the worker sees the closed epoch or the caller sees the
 * worker inside, so
 *   - a worker that wakes late takes no part, and the caller never waits for it;
 *   - the job's fields change only while nobody is inside.
 * Items are handed out by an atomic counter in chunks, several a thread, so that uneven blocks even
 * out.
 *
 * Idle workers spin shortly, because the next launch of a model usually follows within
 * microseconds, then sleep on the epoch word (futex). The caller pays for a wake-up call only while
 * somebody sleeps.
 */
#include "pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    CACHE_LINE = 64,
    SPIN_ROUNDS =
        2000, /* 20 to 100 us of pause instructions: longer than the gap between two launches */
    CHUNKS_PER_THREAD = 8, /* balance against one atomic operation a chunk */
};

typedef struct worker {
    rt_pool *pool;
    int index;
    pthread_t thread;
} worker;

struct rt_pool {
    int threads;
    worker *workers; /* threads - 1 of them: the caller is worker 0 */
    pthread_mutex_t run_lock;

    /* the open job */
    rt_pool_work work;
    void *context;
    uint64_t count, chunk;
    unsigned char *scratch;
    size_t scratch_stride;

    /* each word that many threads write has a cache line of its own */
    _Alignas(CACHE_LINE) _Atomic uint64_t next;
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch;
    _Alignas(CACHE_LINE) _Atomic uint32_t inside;
    _Atomic uint32_t caller_sleeps;
    _Alignas(CACHE_LINE) _Atomic uint32_t sleepers;
    _Atomic bool stop;
};

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Sleeps while *word == value; may return early, so callers look again. */
static void sleep_while(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_sleepers(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void take_items(rt_pool *pool, int index) {
    for (;;) {
        uint64_t begin = atomic_fetch_add_explicit(&pool->next, pool->chunk, memory_order_relaxed);
        if (begin >= pool->count) return;
        uint64_t left = pool->count - begin;
        pool->work(pool->context, index, begin, begin + (left < pool->chunk ? left : pool->chunk));
    }
}

static void leave(rt_pool *pool) {
    if (atomic_fetch_sub(&pool->inside, 1) == 1 && atomic_load(&pool->caller_sleeps))
        wake_sleepers(&pool->inside);
}

/* Returns the first epoch that differs from `seen`. */
static uint32_t await_epoch(rt_pool *pool, uint32_t seen) {
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        uint32_t epoch = atomic_load_explicit(&pool->epoch, memory_order_relaxed);
        if (epoch != seen) return atomic_load(&pool->epoch);
        pause_cpu();
    }
    /* The caller changes the epoch first and looks for sleepers second; a worker announces itself
     * first and lets the kernel compare the epoch second. One of the two always notices the other.
     */
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->epoch) == seen) sleep_while(&pool->epoch, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
    return atomic_load(&pool->epoch);
}

static void *worker_main(void *argument) {
    worker *self = argument;
    rt_pool *pool = self->pool;
    uint32_t seen = 0;
    while (!atomic_load(&pool->stop)) {
        seen = await_epoch(pool, seen);
        if (seen % 2 == 0) continue;
        atomic_fetch_add(&pool->inside, 1);
        if (atomic_load(&pool->epoch) == seen && !atomic_load(&pool->stop))
            take_items(pool, self->index);
        leave(pool);
    }
    return NULL;
}

static void await_leavers(rt_pool *pool) {
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load(&pool->inside) == 0) return;
        pause_cpu();
    }
    atomic_store(&pool->caller_sleeps, 1);
    for (uint32_t n; (n = atomic_load(&pool->inside)) != 0;) sleep_while(&pool->inside, n);
    atomic_store(&pool->caller_sleeps, 0);
}

/* Grown in powers of two, so that a run over growing extents allocates a few times and then never
 * again. */
static ts_status reserve_scratch(rt_pool *pool, size_t bytes, ts_err *err) {
    if (bytes <= pool->scratch_stride) return TS_STATUS_OK;
    size_t stride = 4096;
    while (stride < bytes && stride <= SIZE_MAX / 2 / (size_t)pool->threads) stride *= 2;
    unsigned char *memory = stride < bytes
                                ? NULL
                                : aligned_alloc(CACHE_LINE, stride * (size_t)pool->threads);
    if (!memory)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY,
                       "no memory for %zu bytes of scratch on each of %d threads", bytes,
                       pool->threads);
    free(pool->scratch);
    pool->scratch = memory;
    pool->scratch_stride = stride;
    return TS_STATUS_OK;
}

static void run_shared(rt_pool *pool, uint64_t count, rt_pool_work work, void *context) {
    uint64_t chunk = count / ((uint64_t)pool->threads * CHUNKS_PER_THREAD);
    pool->work = work;
    pool->context = context;
    pool->count = count;
    pool->chunk = chunk ? chunk : 1;
    atomic_store(&pool->next, 0);
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->sleepers)) wake_sleepers(&pool->epoch);
    take_items(pool, 0);
    atomic_fetch_add(&pool->epoch, 1);
    await_leavers(pool);
}

ts_status rt_pool_run(rt_pool *pool, uint64_t count, size_t scratch_bytes, rt_pool_work work,
                      void *context, ts_err *err) {
    /* Chunks are added to the counter after the end was reached too: keep it far from wrapping. */
    if (count > UINT64_MAX / 4)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%llu items are too many for one job",
                       (unsigned long long)count);
    if (count == 0) return TS_STATUS_OK;
    if (!pool) {
        if (scratch_bytes > 0)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "a job of %zu bytes of scratch needs a pool", scratch_bytes);
        work(context, 0, 0, count);
        return TS_STATUS_OK;
    }
    pthread_mutex_lock(&pool->run_lock);
    ts_status status = reserve_scratch(pool, scratch_bytes, err);
    if (status == TS_STATUS_OK) {
        if (pool->threads == 1 || count == 1)
            work(context, 0, 0, count);
        else
            run_shared(pool, count, work, context);
    }
    pthread_mutex_unlock(&pool->run_lock);
    return status;
}

void *rt_pool_scratch(const rt_pool *pool, int index) {
    return pool->scratch ? pool->scratch + (size_t)index * pool->scratch_stride : NULL;
}

int rt_pool_threads(const rt_pool *pool) { return pool->threads; }

int rt_pool_cpus(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    if (count > 0) return count;
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than cpu_set_t can hold */
    return online > 0 && online < MAX_THREADS ? (int)online : 1;
}

static void stop_workers(rt_pool *pool, int started) {
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->epoch, 2);
    wake_sleepers(&pool->epoch);
    for (int i = 0; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
}

void rt_pool_destroy(rt_pool *pool) {
    if (!pool) return;
    stop_workers(pool, pool->threads - 1);
    pthread_mutex_destroy(&pool->run_lock);
    free(pool->scratch);
    free(pool->workers);
    free(pool);
}

ts_status rt_pool_create(int threads, rt_pool **out, ts_err *err) {
    if (threads < 0 || threads > MAX_THREADS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%d threads: give 1 to %d, or 0 for one a core", threads, MAX_THREADS);
    if (threads == 0) threads = rt_pool_cpus();
    rt_pool *pool = aligned_alloc(CACHE_LINE, sizeof *pool);
    worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        free(pool);
        free(workers);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a pool of %d threads", threads);
    }
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->workers = workers;
    pthread_mutex_init(&pool->run_lock, NULL);
    for (int i = 0; i + 1 < threads; i++) {
        workers[i] = (worker){.pool = pool, .index = i + 1};
        int failed = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (!failed) continue;
        pool->threads = i + 1; /* those that did start */
        rt_pool_destroy(pool);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "cannot start thread %d of %d: %s", i + 2,
                       threads, strerror(failed));
    }
    *out = pool;
    return TS_STATUS_OK;
}
