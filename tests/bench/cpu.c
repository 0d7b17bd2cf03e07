/* The CPU families beside plain C loops (plain_loops.c) and, for the products, OpenBLAS where it is
 * installed.
 *
 * Ours and the loops run on all cores and on one; all sides take turns on the same inputs; the median
 * of the rounds counts. Prints one JSON line a problem, after one line with the machine's own limits.
 * Usage: cpu DATABASE */
#include <dlfcn.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../runtime/tunesmith_kernels.h"
#include "plain_loops.h"

enum { ROUNDS = 15 };

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static float *random_floats(size_t count, float low, float high) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    float *x = aligned_alloc(64, (count * sizeof *x + 63) / 64 * 64);
    if (!x) exit(1);
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = low + (high - low) * (float)(state >> 40) / 16777216.0f;
    }
    return x;
}

/* ---- OpenBLAS, if it is here ---- */

typedef void (*sgemm_fn)(int, int, int, int, int, int, float, const float *, int, const float *,
                         int, float, float *, int);
typedef void (*sgemv_fn)(int, int, int, int, float, const float *, int, const float *, int, float,
                         float *, int);
static sgemm_fn sgemm;
static sgemv_fn sgemv;

static void find_openblas(int threads) {
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (!library) return;
    sgemm = (sgemm_fn)dlsym(library, "cblas_sgemm");
    sgemv = (sgemv_fn)dlsym(library, "cblas_sgemv");
    void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    if (set_threads) set_threads(threads);
}

/* ---- one problem ---- */

typedef struct problem {
    const char *family;
    plain_loop *loop;
    const char *text;
    void *args;
    size_t args_bytes, out_count;
    float **out;
    double flops, bytes;
    int p, q; /* what the loop needs besides */
    float *state;
    size_t state_count; /* updated in place, so every side that is compared starts from a copy; 0: none */
} problem;

enum { OURS, OURS_ONE, LOOP, LOOP_ONE, BLAS, SIDES };

/* The same kernel on all cores and on one. */
typedef struct kernel_pair {
    const ts_kernel *all, *one;
} kernel_pair;

static void run_ours(const ts_kernel *kernel, const problem *p) {
    ts_err err;
    if (ts_kernel_launch(kernel, NULL, p->args, p->args_bytes, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

static void run_blas(const problem *p) {
    if (strcmp(p->family, "gemm") == 0) {
        const struct gemm_args *a = p->args; /* row-major, w transposed */
        sgemm(101, 111, 112, a->m, a->n, a->k, 1, a->x, a->k, a->w, a->k, 0, a->out, a->n);
    } else {
        const struct gemv_args *a = p->args;
        sgemv(101, 111, a->n, a->k, 1, a->w, a->k, a->x, 1, 0, a->out, 1);
    }
}

static void run_side(int side, const problem *p, kernel_pair kernels) {
    int threads = omp_get_max_threads();
    switch (side) {
    case OURS: run_ours(kernels.all, p); break;
    case OURS_ONE: run_ours(kernels.one, p); break;
    case BLAS: run_blas(p); break;
    case LOOP_ONE: omp_set_num_threads(1); /* fall through */
    default: p->loop(p->args, p->p, p->q); omp_set_num_threads(threads);
    }
}

static bool has_side(int side, const problem *p) {
    return side != BLAS || (strcmp(p->family, "gemm") == 0 && sgemm) ||
           (strcmp(p->family, "gemv") == 0 && sgemv);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double difference(const float *a, const float *b, size_t count) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(error / norm);
}

static int bench(ts_kernels *const opened[2], problem *p) {
    static double us[SIDES][ROUNDS];
    kernel_pair kernel;
    ts_err err;
    if (ts_kernel_find(opened[0], p->text, &kernel.all, &err) ||
        ts_kernel_find(opened[1], p->text, &kernel.one, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    size_t workspace = ts_kernel_workspace_bytes(kernel.all, p->args);
    void *memory = workspace ? aligned_alloc(64, (workspace + 63) / 64 * 64) : NULL;
    memcpy(p->args, &memory, sizeof memory); /* the first member */
    size_t bytes = p->out_count * sizeof(float);
    float *ours = malloc(bytes), *state = malloc((p->state_count + 1) * sizeof(float));
    if (p->state_count) memcpy(state, p->state, p->state_count * sizeof(float));
    run_side(OURS, p, kernel);
    memcpy(ours, *p->out, bytes);
    if (p->state_count) memcpy(p->state, state, p->state_count * sizeof(float));
    run_side(LOOP, p, kernel);
    free(state);
    double error = difference(ours, *p->out, p->out_count);
    if (has_side(BLAS, p)) { /* compares itself with the same result: a wrong layout is no peer */
        run_side(BLAS, p, kernel);
        error = fmax(error, difference(ours, *p->out, p->out_count));
    }
    free(ours);
    if (!(error < 1e-4))
        return fprintf(stderr, "%s: differs from its peers by %g\n", p->text, error), 1;
    for (int round = 0; round < ROUNDS; round++)
        for (int side = 0; side < SIDES; side++) {
            if (!has_side(side, p)) continue;
            double begin = now_us();
            run_side(side, p, kernel);
            us[side][round] = now_us() - begin;
        }
    for (int side = 0; side < SIDES; side++) qsort(us[side], ROUNDS, sizeof us[side][0], compare);
    printf(
        "{\"family\":\"%s\",\"problem\":\"%s\",\"variant\":\"%s\",\"error\":%.2g,\"flops\":%.0f,\"bytes\":%.0f,\"us\":%.1f,"
        "\"one_core_us\":%.1f,\"loop_us\":%.1f,\"loop_one_core_us\":%.1f",
        p->family, p->text, ts_kernel_variant(kernel.all), error, p->flops, p->bytes,
        us[OURS][ROUNDS / 2], us[OURS_ONE][ROUNDS / 2], us[LOOP][ROUNDS / 2],
        us[LOOP_ONE][ROUNDS / 2]);
    if (has_side(BLAS, p)) printf(",\"openblas_us\":%.1f", us[BLAS][ROUNDS / 2]);
    puts("}");
    fflush(stdout);
    free(memory);
    return 0;
}

/* ---- the machine's limits ---- */

/* Twelve independent chains of vectors keep both multiply-add units of a core busy. Named variables:
 * an array of them would live in memory. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define BEGIN(i) vec x##i = (vec){0} + (float)i;
#define STEP(i) x##i = x##i * 0.999f + 0.001f;
#define KEEP(i) __asm__ volatile("" ::"m"(x##i));

#ifdef __AVX512F__
enum { WIDTH = 16 };
#else
enum { WIDTH = 8 }; /* wider ones than the machine has would live in memory */
#endif

static double fma_gflops(int threads) {
    enum { COUNT = 12, STEPS = 4000000 };
    typedef float vec __attribute__((vector_size(4 * WIDTH)));
    double best = 0;
    for (int repeat = 0; repeat < 10; repeat++) {
        double begin = now_us();
#pragma omp parallel num_threads(threads)
        {
            CHAINS(BEGIN)
            for (int i = 0; i < STEPS; i++) {
                CHAINS(STEP)
            }
            CHAINS(KEEP)
        }
        double gflops = 2e-3 * COUNT * WIDTH * (double)STEPS * threads / (now_us() - begin);
        best = gflops > best ? gflops : best;
    }
    return best;
}

static double copy_gbytes(void) {
    size_t count = 1 << 25;
    float *a = random_floats(count, 0, 1), *b = random_floats(count, 0, 1);
    double best = 0;
    for (int repeat = 0; repeat < 8; repeat++) {
        double begin = now_us();
#pragma omp parallel for
        for (size_t part = 0; part < 64; part++)
            memcpy(b + part * (count / 64), a + part * (count / 64), count / 64 * 4);
        double gbytes = 8e-3 * (double)count / (now_us() - begin);
        best = gbytes > best ? gbytes : best;
    }
    free(a);
    free(b);
    return best;
}

int main(int argc, char **argv) {
    ts_device *devices[2] = {NULL};
    ts_kernels *kernels[2] = {NULL};
    ts_err err;
    int threads = omp_get_max_threads(), failed = 0;
    if (argc != 2) return fprintf(stderr, "usage: cpu DATABASE\n"), 2;
    for (int one = 0; one < 2; one++)
        if (ts_device_open("cpu", one ? 1 : threads, &devices[one], &err) ||
            ts_kernels_open(devices[one], argv[1], &kernels[one], &err))
            return fprintf(stderr, "%s\n", err.message), 1;
    find_openblas(threads);
    printf(
        "{\"device\":\"%s\",\"target\":\"%s\",\"threads\":%d,\"copy_gb_per_s\":%.1f,\"fma_gflop_per_s\":%.1f}\n",
        ts_device_name(devices[0]), ts_device_target(devices[0]), threads, copy_gbytes(),
        fma_gflops(threads));

    enum { L = 512, D = 1536, N = 16 };
    float *out = random_floats(1 << 24, 0, 1);
    struct selective_scan_args scan = {.u = random_floats(L * D, -1, 1),
                                       .delta = random_floats(L * D, -6, -2),
                                       .z = random_floats(L * D, -1, 1),
                                       .B = random_floats(L * N, -1, 1),
                                       .C = random_floats(L * N, -1, 1),
                                       .A = random_floats(D * N, -16, -0.5f),
                                       .D = random_floats(D, -1, 1),
                                       .dt_bias = random_floats(D, -0.5f, 0.5f),
                                       .out = out,
                                       .u_pitch = D,
                                       .delta_pitch = D,
                                       .z_pitch = D,
                                       .B_pitch = N,
                                       .C_pitch = N,
                                       .out_pitch = D,
                                       .b = 1,
                                       .l = L,
                                       .d = D};
    enum { STEPPED = 64 };
    struct selective_scan_step_args step = {.u = scan.u,
                                            .delta = scan.delta,
                                            .z = scan.z,
                                            .B = scan.B,
                                            .C = scan.C,
                                            .A = scan.A,
                                            .D = scan.D,
                                            .dt_bias = scan.dt_bias,
                                            .h = random_floats(STEPPED * D * N, -1, 1),
                                            .out = out,
                                            .u_pitch = D,
                                            .delta_pitch = D,
                                            .z_pitch = D,
                                            .B_pitch = N,
                                            .C_pitch = N,
                                            .out_pitch = D,
                                            .b = STEPPED,
                                            .d = D};
    enum { CONV_L = 2048, TAPS = 4 };
    struct causal_conv1d_args conv = {.x = random_floats(CONV_L * D, -1, 1),
                                      .weight = random_floats(D * TAPS, -1, 1),
                                      .bias = random_floats(D, -1, 1),
                                      .out = out,
                                      .x_pitch = D,
                                      .out_pitch = D,
                                      .b = 1,
                                      .l = CONV_L,
                                      .d = D};
    enum { S = 1024, HEADS = 12, GROUPS = 2, DIM = 128, VISION_HEADS = 16, VISION_DIM = 80 };
    float *q = random_floats(S * 2048, -1, 1), *k = random_floats(S * 2048, -1, 1),
          *v = random_floats(S * 2048, -1, 1);
    struct sdpa_args text = {.q = q,
                             .k = k,
                             .v = v,
                             .out = out,
                             .q_pitch = HEADS * DIM,
                             .k_pitch = GROUPS * DIM,
                             .v_pitch = GROUPS * DIM,
                             .out_pitch = HEADS * DIM,
                             .b = 1,
                             .lq = S,
                             .lk = S,
                             .hq = HEADS,
                             .hkv = GROUPS,
                             .scale = 0.088388348f};
    enum { VW = VISION_HEADS * VISION_DIM };
    struct sdpa_args vision = {.q = q,
                               .k = k,
                               .v = v,
                               .out = out,
                               .q_pitch = VW,
                               .k_pitch = VW,
                               .v_pitch = VW,
                               .out_pitch = VW,
                               .b = 1,
                               .lq = S,
                               .lk = S,
                               .hq = VISION_HEADS,
                               .hkv = VISION_HEADS,
                               .scale = 0.111803399f};
    enum { M = 512, COLS = 3072, K = 768, VOCAB = 50280 };
    float *x = random_floats(M * K, -1, 1), *w = random_floats((size_t)VOCAB * K, -1, 1);
    struct gemm_args gemm = {.x = x,
                             .w = w,
                             .out = out,
                             .x_pitch = K,
                             .w_pitch = K,
                             .out_pitch = COLS,
                             .m = M,
                             .n = COLS,
                             .k = K};
    struct gemv_args gemv = {.x = x, .w = w, .out = out, .w_pitch = K, .n = VOCAB, .k = K};
    problem problems[] = {
        {"selective_scan", loop_scan,
         "selective_scan b=1 l=512 d=1536 n=16 g=1 dtype=fp32 gate=1 softplus=1 varlen=0 "
         "layout=channel_last",
         &scan, sizeof scan, (size_t)L * D, &out, (double)L * D * (7 * N + 10), 16.0 * L * D, N, 0},
        {"selective_scan_step", loop_scan_step,
         "selective_scan_step b=64 d=1536 n=16 g=1 dtype=fp32 gate=1 softplus=1 conv=0", &step,
         sizeof step, (size_t)STEPPED * D, &out, (double)STEPPED * D * (7 * N + 10),
         (double)STEPPED * D * (8.0 * N + 16), N, 0, step.h, (size_t)STEPPED * D * N},
        {"causal_conv1d", loop_conv, "causal_conv1d b=1 l=2048 d=1536 width=4 dtype=fp32 act=silu",
         &conv, sizeof conv, (size_t)CONV_L * D, &out, (double)CONV_L * D * (2 * TAPS + 4),
         8.0 * CONV_L * D, TAPS, 0},
        {"sdpa", loop_sdpa,
         "sdpa b=1 lq=1024 lk=1024 hq=12 hkv=2 head_dim=128 dtype=fp32 causal=1 varlen=0", &text,
         sizeof text, (size_t)S * HEADS * DIM, &out, 2.0 * HEADS * DIM * S * (S + 1),
         8.0 * S * DIM * (HEADS + GROUPS), DIM, 1},
        {"sdpa", loop_sdpa,
         "sdpa b=1 lq=1024 lk=1024 hq=16 hkv=16 head_dim=80 dtype=fp32 causal=0 varlen=0", &vision,
         sizeof vision, (size_t)S * VW, &out, 4.0 * VW * S * S, 16.0 * S * VW, VISION_DIM, 0},
        {"gemm", loop_gemm, "gemm m=512 n=3072 k=768 dtype=fp32 out=fp32 act=none", &gemm,
         sizeof gemm, (size_t)M * COLS, &out, 2.0 * M * COLS * K,
         4.0 * (M * K + COLS * K + M * COLS), 0, 0},
        {"gemv", loop_gemv, "gemv n=50280 k=768 dtype=fp32 out=fp32 act=none", &gemv, sizeof gemv,
         VOCAB, &out, 2.0 * VOCAB * K, 4.0 * VOCAB * K, 0, 0},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        failed += bench(kernels, &problems[i]);
    for (int one = 0; one < 2; one++) {
        ts_kernels_close(kernels[one]);
        ts_device_close(devices[one]);
    }
    return failed > 0;
}
