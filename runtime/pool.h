/* A persistent pool of threads that runs the blocks of one CPU launch. */
#ifndef RUNTIME_POOL_H
#define RUNTIME_POOL_H

#include "../db/base.h"

typedef struct rt_pool rt_pool;

/* Runs items [begin, end) of a job. `worker` is 0 .. threads-1; no two running calls share one. */
typedef void (*rt_pool_work)(void *context, int worker, uint64_t begin, uint64_t end);

/* Starts a pool in which `threads` threads take part, the caller of rt_pool_run included; 0 means
 * one for each CPU that this process may run on. The threads do not survive fork(): create the pool
 * after it. */
ts_status rt_pool_create(int threads, rt_pool **out, ts_err *err);
void rt_pool_destroy(rt_pool *pool); /* NULL is allowed; no job may be running */
int rt_pool_threads(const rt_pool *pool);
int rt_pool_cpus(void); /* that this process may run on */

/* Runs every item of [0, count) exactly once and returns when all are done. Before the first item
 * every worker owns `scratch_bytes` of 64-byte aligned memory (rt_pool_scratch). Jobs of several
 * calling threads queue up behind each other; a job must not start another. `pool` NULL: all items on
 * the calling thread as worker 0, without scratch. OUT_OF_MEMORY: scratch; nothing ran. */
ts_status rt_pool_run(rt_pool *pool, uint64_t count, size_t scratch_bytes, rt_pool_work work,
                      void *context, ts_err *err);
/* The worker's private memory; only inside a job. NULL if the pool never had a job that wants some.
 */
void *rt_pool_scratch(const rt_pool *pool, int worker);

#endif
