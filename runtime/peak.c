/* Peaks of a device.
 *
 * GPU: SMs times the highest clock times what an SM does in a cycle, from a table of compute
 * capabilities; a measured product would only say how good that product is. CPU: neither the clock
 * under load nor the number of multiply-add units can be asked for, so a loop of multiply-adds on
 * registers is timed on all threads, in the widest vectors that the device's kernels use. The CPU's
 * kernels compute in fp32 whatever the weights are, so that one figure holds for every dtype.
 */
#include "peak.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "copy_speed.h"

/* ---- GPU ---- */

/* FLOPs a cycle and SM: fp32 multiply-adds, and dense 16-bit matrix products with fp32 sums. */
static const struct {
    int compute_capability, fp32, halves;
} gpus[] = {
    {75, 128, 1024}, {80, 128, 2048},  {86, 256, 512},   {87, 256, 512},  {89, 256, 512},
    {90, 256, 4096}, {100, 256, 8192}, {103, 256, 8192}, {120, 256, 512}, {121, 256, 512},
};

static ts_status gpu_gflops(const rt_device_info *info, bool halves, double *out, ts_err *err) {
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++) {
        if (gpus[i].compute_capability != info->compute_capability) continue;
        int flops = halves ? gpus[i].halves : gpus[i].fp32;
        *out = 1e-3 * flops * (double)info->sm_count * info->clock_mhz;
        return TS_STATUS_OK;
    }
    return ts_fail(
        err, TS_STATUS_UNSUPPORTED,
        "%s: the peak of a GPU of compute capability %d.%d is not known (runtime/peak.c)",
        info->name, info->compute_capability / 10, info->compute_capability % 10);
}

/* ---- CPU ---- */

enum { CHAINS = 12, ROUNDS = 1 << 19, REPEATS = 24, MAX_THREADS = 256 };

/* Enough independent chains to hide the latency of a multiply-add, few enough for 16 registers. The
 * factors come through a volatile, so nothing is known about them when the loop is compiled. */
static volatile float factor = 0.999F, addend = 0.001F;
static volatile float sink;

#define MULTIPLY_ADDS(name, lanes, attributes)                             \
    typedef float name##_vector __attribute__((vector_size(4 * (lanes)))); \
    attributes static void name(void) {                                    \
        name##_vector sums[CHAINS], a = {0}, b = {0};                      \
        a += factor, b += addend;                                          \
        for (int c = 0; c < CHAINS; c++) sums[c] = b * (float)c;           \
        for (int i = 0; i < ROUNDS; i++) {                                 \
            _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++)      \
                sums[c] = FUSED(sums[c], a, b);                            \
        }                                                                  \
        for (int c = 1; c < CHAINS; c++) sums[0] += sums[c];               \
        sink = sums[0][0];                                                 \
    }

typedef struct fma_loop {
    const char *target; /* NULL: any other */
    void (*run)(void);
    int lanes;
} fma_loop;

#if defined(__x86_64__)
#include <immintrin.h>
#define FUSED _mm512_fmadd_ps
MULTIPLY_ADDS(loop_512, 16, __attribute__((target("avx512f"))))
#undef FUSED
#define FUSED _mm256_fmadd_ps
MULTIPLY_ADDS(loop_256, 8, __attribute__((target("avx2,fma"))))
#undef FUSED
#endif
#define FUSED(x, y, z) ((x) * (y) + (z))
MULTIPLY_ADDS(loop_128, 4, )

static const fma_loop loops[] = {
#if defined(__x86_64__)
    {"cpu-x86-64-v4", loop_512, 16},
    {"cpu-x86-64-v3", loop_256, 8},
#endif
    {NULL, loop_128, 4},
};

static void *run_loop(void *context) {
    ((const fma_loop *)context)->run();
    return NULL;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Best of several: it is a limit, not an average. */
static double cpu_gflops(const rt_device_info *info) {
    const fma_loop *loop = loops;
    while (loop->target && strcmp(loop->target, info->target) != 0) loop++;
    int threads = info->sm_count < MAX_THREADS ? info->sm_count : MAX_THREADS;
    double most = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        pthread_t helpers[MAX_THREADS];
        int started = 0;
        double begin_s = now_s();
        while (started < threads - 1 &&
               pthread_create(&helpers[started], NULL, run_loop, (void *)(uintptr_t)loop) == 0)
            started++;
        loop->run();
        for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
        double flops = 2.0 * CHAINS * ROUNDS * loop->lanes * (started + 1);
        most = fmax(most, 1e-9 * flops / (now_s() - begin_s));
    }
    return most;
}

ts_status rt_peaks_find(ts_device *device, bool halves, rt_peaks *out, ts_err *err) {
    TS_TRY(rt_copy_speed(device, NULL, &out->gbytes, err));
    if (!device->info.is_cpu) return gpu_gflops(&device->info, halves, &out->gflops, err);
    out->gflops = cpu_gflops(&device->info);
    return TS_STATUS_OK;
}
