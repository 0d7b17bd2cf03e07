/* The CPU as a device: ordinary memory, kernels from ELF images, blocks spread over a thread pool.
 *
 * There is one queue and it is always empty: every call is done when it returns, streams are NULL,
 * events are clock readings. A function pointer handed out as `void *` is the block function of
 * templates/README.md.
 */
#include "device.h"
#include "elf_image.h"
#include "host_memory.h"
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    ALIGNMENT = 256,     /* what the device contract promises */
    HUGE_PAGE = 2 << 20, /* weights in huge pages save address translation misses */
    HUGE_FROM = 2 * HUGE_PAGE,
};

typedef void (*block_function)(const void *args, void *scratch, uint32_t bx, uint32_t by,
                               uint32_t bz);

typedef struct cpu_device {
    ts_device base;
    rt_pool *pool;
} cpu_device;

struct rt_event {
    struct timespec time;
};

static cpu_device *cpu(ts_device *device) { return (cpu_device *)device; }

static void cpu_close(ts_device *device) {
    rt_pool_destroy(cpu(device)->pool);
    free(device);
}

/* ---- memory ---- */

static ts_status cpu_alloc(ts_device *device, size_t bytes, void **out, ts_err *err) {
    TS_TRY(rt_host_has(bytes, device->info.name, err));
    size_t alignment = bytes >= HUGE_FROM ? HUGE_PAGE : ALIGNMENT;
    size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
    void *memory = rounded < bytes ? NULL : aligned_alloc(alignment, rounded ? rounded : alignment);
    if (!memory) return rt_host_lacks(bytes, device->info.name, err);
    if (alignment == HUGE_PAGE)
        madvise(memory, rounded, MADV_HUGEPAGE); /* a wish: nothing depends on it */
    *out = memory;
    return TS_STATUS_OK;
}

static void cpu_free(ts_device *device, void *memory) {
    (void)device;
    free(memory);
}

static ts_status cpu_copy(ts_device *device, void *stream, void *dst, const void *src, size_t bytes,
                          ts_err *err) {
    (void)device, (void)stream, (void)err;
    if (bytes) memmove(dst, src, bytes);
    return TS_STATUS_OK;
}

static ts_status cpu_fill(ts_device *device, void *stream, void *dst, uint8_t byte, size_t bytes,
                          ts_err *err) {
    (void)device, (void)stream, (void)err;
    if (bytes) memset(dst, byte, bytes);
    return TS_STATUS_OK;
}

static ts_status cpu_memory_info(ts_device *device, int64_t *free_bytes, int64_t *total_bytes,
                                 ts_err *err) {
    (void)err;
    *free_bytes = rt_host_free_bytes();
    *total_bytes = device->info.memory_bytes;
    return TS_STATUS_OK;
}

/* ---- streams, events, graphs ---- */

static ts_status cpu_stream_create(ts_device *device, void **out, ts_err *err) {
    (void)device, (void)err;
    *out = NULL;
    return TS_STATUS_OK;
}

static void cpu_stream_destroy(ts_device *device, void *stream) { (void)device, (void)stream; }

static ts_status cpu_sync(ts_device *device, void *stream, ts_err *err) {
    (void)device, (void)stream, (void)err;
    return TS_STATUS_OK;
}

static ts_status cpu_event_create(ts_device *device, rt_event **out, ts_err *err) {
    (void)device;
    rt_event *event = calloc(1, sizeof *event);
    if (!event) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for an event");
    *out = event;
    return TS_STATUS_OK;
}

static void cpu_event_destroy(ts_device *device, rt_event *event) {
    (void)device;
    free(event);
}

static ts_status cpu_event_record(ts_device *device, rt_event *event, void *stream, ts_err *err) {
    (void)device, (void)stream, (void)err;
    clock_gettime(CLOCK_MONOTONIC, &event->time);
    return TS_STATUS_OK;
}

static ts_status cpu_event_wait(ts_device *device, rt_event *event, ts_err *err) {
    (void)device, (void)event, (void)err;
    return TS_STATUS_OK;
}

static ts_status cpu_event_elapsed(ts_device *device, rt_event *begin, rt_event *end, double *us,
                                   ts_err *err) {
    (void)device, (void)err;
    *us = (double)(end->time.tv_sec - begin->time.tv_sec) * 1e6 +
          (double)(end->time.tv_nsec - begin->time.tv_nsec) * 1e-3;
    return TS_STATUS_OK;
}

static ts_status no_graphs(ts_err *err) {
    return ts_fail(err, TS_STATUS_UNSUPPORTED, "the CPU has no launch graphs: launch directly");
}

static ts_status cpu_graph_begin(ts_device *device, void *stream, ts_err *err) {
    (void)device, (void)stream;
    return no_graphs(err);
}

static ts_status cpu_graph_end(ts_device *device, void *stream, rt_graph **out, ts_err *err) {
    (void)device, (void)stream, (void)out;
    return no_graphs(err);
}

static ts_status cpu_graph_launch(ts_device *device, rt_graph *graph, void *stream, ts_err *err) {
    (void)device, (void)graph, (void)stream;
    return no_graphs(err);
}

static void cpu_graph_destroy(ts_device *device, rt_graph *graph) { (void)device, (void)graph; }

/* ---- code; an rt_module is an rt_image here ---- */

static ts_status cpu_module_load(ts_device *device, const void *blob, size_t bytes, rt_module **out,
                                 ts_err *err) {
    (void)device;
    rt_image *image = NULL;
    TS_TRY(rt_image_load(blob, bytes, &image, err));
    *out = (rt_module *)image;
    return TS_STATUS_OK;
}

static void cpu_module_unload(ts_device *device, rt_module *module) {
    (void)device;
    rt_image_unload((rt_image *)module);
}

static ts_status cpu_function(ts_device *device, rt_module *module, const char *entry,
                              size_t shared_bytes, void **out, ts_err *err) {
    (void)device, (void)shared_bytes;
    void *function = rt_image_function((const rt_image *)module, entry);
    if (!function)
        return ts_fail(err, TS_STATUS_CORRUPT, "CPU kernel object: no function '%s' is exported",
                       entry);
    *out = function;
    return TS_STATUS_OK;
}

typedef struct job {
    rt_pool *pool;
    block_function function;
    const rt_launch *launch;
    bool spoil_scratch;
} job;

enum { SPOILED_BYTE = 0xff }; /* NaN in every floating-point type */

/* Blocks begin .. end-1 of the grid in x-fastest order, which is the order a GPU starts them in
 * too. */
static void run_blocks(void *context, int worker, uint64_t begin, uint64_t end) {
    const job *j = context;
    const uint32_t *grid = j->launch->grid;
    void *scratch = rt_pool_scratch(j->pool, worker);
    uint32_t x = (uint32_t)(begin % grid[0]), y = (uint32_t)(begin / grid[0] % grid[1]),
             z = (uint32_t)(begin / grid[0] / grid[1]);
    for (uint64_t i = begin; i < end; i++) {
        if (j->spoil_scratch && scratch) memset(scratch, SPOILED_BYTE, j->launch->scratch_bytes);
        j->function(j->launch->args, scratch, x, y, z);
        if (++x < grid[0]) continue;
        x = 0;
        if (++y < grid[1]) continue;
        y = 0;
        z++;
    }
}

static ts_status cpu_launch(ts_device *device, void *stream, const rt_launch *launch, ts_err *err) {
    (void)stream;
    uint64_t blocks = (uint64_t)launch->grid[0] * launch->grid[1];
    if (__builtin_mul_overflow(blocks, launch->grid[2], &blocks))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "grid %u x %u x %u is too large",
                       launch->grid[0], launch->grid[1], launch->grid[2]);
    job j = {.pool = cpu(device)->pool, .launch = launch, .spoil_scratch = device->spoil_scratch};
    memcpy(&j.function, &launch->function,
           sizeof j.function); /* ISO C has no cast from void * to this */
    return rt_pool_run(j.pool, blocks, launch->scratch_bytes, run_blocks, &j, err);
}

/* ---- what this machine is ---- */

/* "AMD EPYC 9654 96-Core Processor"; the machine's architecture where the kernel tells no model. */
static void read_model_name(char *out, size_t bytes) {
    struct utsname system;
    snprintf(out, bytes, "%.64s CPU", uname(&system) == 0 ? system.machine : "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (!value || strncmp(line, "model name", 10) != 0) continue;
        value += 1 + strspn(value + 1, " \t");
        value[strcspn(value, "\n")] = '\0';
        if (*value) snprintf(out, bytes, "%.120s", value);
        break;
    }
    if (file) fclose(file);
}

#if defined(__x86_64__)
/* What the v3 level asks for besides, and clang's feature test has no names for. */
static bool has_small_v3_features(void) {
    unsigned a, b, c, d, extended;
    return __get_cpuid(1, &a, &b, &c, &d) && __get_cpuid(0x80000001, &a, &b, &extended, &d) &&
           (c & bit_MOVBE) && (c & bit_F16C) && (extended & bit_LZCNT);
}
#endif

/* Targets of this CPU, best first (levels of the x86-64 psABI; the system must save the wide
 * registers too, which the compiler's feature test includes). */
static void detect_targets(const char **targets) {
    size_t n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool v2 = __builtin_cpu_supports("sse3") && __builtin_cpu_supports("ssse3") &&
              __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2") &&
              __builtin_cpu_supports("popcnt");
    bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
              has_small_v3_features();
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    if (v4) targets[n++] = "cpu-x86-64-v4";
    if (v3) targets[n++] = "cpu-x86-64-v3";
    if (v2) targets[n++] = "cpu-x86-64-v2";
#elif defined(__aarch64__)
    targets[n++] = "cpu-aarch64";
#endif
    targets[n] = NULL;
}

static const rt_device_ops cpu_ops = {
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .alloc_host = cpu_alloc,
    .free_host = cpu_free,
    .stream_create = cpu_stream_create,
    .stream_destroy = cpu_stream_destroy,
    .sync = cpu_sync,
    .upload = cpu_copy,
    .download = cpu_copy,
    .send = cpu_copy,
    .copy = cpu_copy,
    .fill = cpu_fill,
    .module_load = cpu_module_load,
    .module_unload = cpu_module_unload,
    .function = cpu_function,
    .launch = cpu_launch,
    .event_create = cpu_event_create,
    .event_destroy = cpu_event_destroy,
    .event_record = cpu_event_record,
    .event_wait = cpu_event_wait,
    .event_elapsed = cpu_event_elapsed,
    .graph_begin = cpu_graph_begin,
    .graph_end = cpu_graph_end,
    .graph_launch = cpu_graph_launch,
    .graph_destroy = cpu_graph_destroy,
    .memory_info = cpu_memory_info,
};

ts_status rt_cpu_open(int threads, ts_device **out, ts_err *err) {
    cpu_device *device = calloc(1, sizeof *device);
    if (!device) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a device");
    detect_targets(device->base.targets);
    if (!device->base.targets[0]) {
        free(device);
        return ts_fail(err, TS_STATUS_NO_DEVICE,
                       "this CPU is older than x86-64-v2 (SSE4.2), the oldest target");
    }
    ts_status status = rt_pool_create(threads, &device->pool, err);
    if (status != TS_STATUS_OK) {
        free(device);
        return status;
    }
    rt_device_info *info = &device->base.info;
    read_model_name(info->name, sizeof info->name);
    snprintf(info->target, sizeof info->target, "%s", device->base.targets[0]);
    info->sm_count = rt_pool_threads(device->pool);
    info->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    info->l2_bytes = l2 > 0 ? l2 : 0;
    info->is_cpu = true;
    device->base.ops = &cpu_ops;
    *out = &device->base;
    return TS_STATUS_OK;
}
