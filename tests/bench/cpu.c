/* The CPU families beside a plain C loop and, for the products, OpenBLAS where it is installed.
 *
 * The loops are what one would write first: fp32, compiled with -O3 -march=native, parallel over
 * independent rows with OpenMP and as many threads as ours. All sides take turns on the same
 * inputs; the median of the rounds counts. Prints one JSON line a problem, after one line with the
 * machine's own limits. Usage: cpu DATABASE */
#include <dlfcn.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../runtime/tunesmith_kernels.h"
#include "../../templates/gemm/args.h"
#include "../../templates/gemv/args.h"
#include "../../templates/sdpa/args.h"
#include "../../templates/selective_scan/args.h"

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

/* ---- the plain loops ---- */

static void loop_scan(const struct selective_scan_args *a, int n) {
    const float *u = a->u, *delta = a->delta, *z = a->z, *B = a->B, *C = a->C;
    float *out = a->out;
#pragma omp parallel for
    for (int c = 0; c < a->d; c++) {
        float h[64] = {0};
        for (int t = 0; t < a->l; t++) {
            float dt = logf(1 + expf(delta[t * a->delta_pitch + c] + a->dt_bias[c]));
            float x = u[t * a->u_pitch + c], y = 0, g = z[t * a->z_pitch + c];
            for (int i = 0; i < n; i++) {
                h[i] = expf(dt * a->A[c * n + i]) * h[i] + dt * x * B[t * a->B_pitch + i];
                y += h[i] * C[t * a->C_pitch + i];
            }
            out[t * a->out_pitch + c] = (y + a->D[c] * x) * g / (1 + expf(-g));
        }
    }
}

static void loop_sdpa(const struct sdpa_args *a, int dim, int causal) {
    const float *q = a->q, *k = a->k, *v = a->v;
    float *out = a->out;
#pragma omp parallel for collapse(2)
    for (int head = 0; head < a->hq; head++)
        for (int i = 0; i < a->lq; i++) {
            float score[8192], sum = 0, most = -INFINITY;
            int kv = head / (a->hq / a->hkv) * dim, keys = causal ? i + 1 + a->lk - a->lq : a->lk;
            const float *row = q + i * a->q_pitch + head * dim;
            float *o = out + i * a->out_pitch + head * dim;
            for (int j = 0; j < keys; j++) {
                float s = 0;
                for (int e = 0; e < dim; e++) s += row[e] * k[j * a->k_pitch + kv + e];
                score[j] = s * a->scale;
                most = score[j] > most ? score[j] : most;
            }
            for (int j = 0; j < keys; j++) sum += score[j] = expf(score[j] - most);
            memset(o, 0, sizeof(float) * (size_t)dim);
            for (int j = 0; j < keys; j++)
                for (int e = 0; e < dim; e++) o[e] += score[j] / sum * v[j * a->v_pitch + kv + e];
        }
}

static void loop_gemm(const struct gemm_args *a) {
    const float *x = a->x, *w = a->w;
    float *out = a->out;
#pragma omp parallel for collapse(2)
    for (int i = 0; i < a->m; i++)
        for (int j = 0; j < a->n; j++) {
            float s = 0;
            for (int e = 0; e < a->k; e++) s += x[i * a->x_pitch + e] * w[j * a->w_pitch + e];
            out[i * a->out_pitch + j] = s;
        }
}

static void loop_gemv(const struct gemv_args *a) {
    const float *x = a->x, *w = a->w;
    float *out = a->out;
#pragma omp parallel for
    for (int j = 0; j < a->n; j++) {
        float s = 0;
        for (int e = 0; e < a->k; e++) s += x[e] * w[j * a->w_pitch + e];
        out[j] = s;
    }
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
    const char *family, *text;
    void *args;
    size_t args_bytes, out_count;
    float **out;
    double flops, bytes;
    int p, q; /* what the loop needs besides */
} problem;

enum { OURS, LOOP, BLAS, SIDES };

static void run_side(int side, const problem *p, const ts_kernel *kernel) {
    ts_err err;
    if (side == OURS) {
        if (ts_kernel_launch(kernel, NULL, p->args, p->args_bytes, &err)) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
    } else if (strcmp(p->family, "selective_scan") == 0)
        loop_scan(p->args, p->p);
    else if (strcmp(p->family, "sdpa") == 0)
        loop_sdpa(p->args, p->p, p->q);
    else if (strcmp(p->family, "gemm") == 0) {
        const struct gemm_args *a = p->args;
        if (side == LOOP)
            loop_gemm(a);
        else /* row-major, w transposed */
            sgemm(101, 111, 112, a->m, a->n, a->k, 1, a->x, a->k, a->w, a->k, 0, a->out, a->n);
    } else {
        const struct gemv_args *a = p->args;
        if (side == LOOP)
            loop_gemv(a);
        else
            sgemv(101, 111, a->n, a->k, 1, a->w, a->k, a->x, 1, 0, a->out, 1);
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

static int bench(ts_kernels *kernels, problem *p) {
    static double us[SIDES][ROUNDS];
    const ts_kernel *kernel;
    ts_err err;
    if (ts_kernel_find(kernels, p->text, &kernel, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    size_t workspace = ts_kernel_workspace_bytes(kernel, p->args);
    void *memory = workspace ? aligned_alloc(64, (workspace + 63) / 64 * 64) : NULL;
    memcpy(p->args, &memory, sizeof memory); /* the first member */
    size_t bytes = p->out_count * sizeof(float);
    float *ours = malloc(bytes);
    run_side(OURS, p, kernel);
    memcpy(ours, *p->out, bytes);
    run_side(LOOP, p, kernel);
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
        "\"loop_us\":%.1f",
        p->family, p->text, ts_kernel_variant(kernel), error, p->flops, p->bytes,
        us[OURS][ROUNDS / 2], us[LOOP][ROUNDS / 2]);
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

static double fma_gflops(int threads) {
    enum { COUNT = 12, WIDTH = 16, STEPS = 4000000 };
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
    ts_device *device = NULL;
    ts_kernels *kernels = NULL;
    ts_err err;
    int threads = omp_get_max_threads(), failed = 0;
    if (argc != 2) return fprintf(stderr, "usage: cpu DATABASE\n"), 2;
    if (ts_device_open("cpu", threads, &device, &err) ||
        ts_kernels_open(device, argv[1], &kernels, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    find_openblas(threads);
    printf(
        "{\"device\":\"%s\",\"target\":\"%s\",\"threads\":%d,\"copy_gb_per_s\":%.1f,\"fma_gflop_per_s\":%.1f}\n",
        ts_device_name(device), ts_device_target(device), threads, copy_gbytes(),
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
    enum { S = 512, HEADS = 12, GROUPS = 2, DIM = 128, VISION_HEADS = 16, VISION_DIM = 80 };
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
        {"selective_scan", "selective_scan b=1 l=512 d=1536 n=16 g=1 dtype=fp32 gate=1 softplus=1",
         &scan, sizeof scan, (size_t)L * D, &out, (double)L * D * (7 * N + 10), 16.0 * L * D, N, 0},
        {"sdpa", "sdpa b=1 lq=512 lk=512 hq=12 hkv=2 head_dim=128 dtype=fp32 causal=1 varlen=0",
         &text, sizeof text, (size_t)S * HEADS * DIM, &out, 2.0 * HEADS * DIM * S * (S + 1),
         8.0 * S * DIM * (HEADS + GROUPS), DIM, 1},
        {"sdpa", "sdpa b=1 lq=512 lk=512 hq=16 hkv=16 head_dim=80 dtype=fp32 causal=0 varlen=0",
         &vision, sizeof vision, (size_t)S * VW, &out, 4.0 * VW * S * S, 16.0 * S * VW, VISION_DIM,
         0},
        {"gemm", "gemm m=512 n=3072 k=768 dtype=fp32 out=fp32 act=none", &gemm, sizeof gemm,
         (size_t)M * COLS, &out, 2.0 * M * COLS * K, 4.0 * (M * K + COLS * K + M * COLS), 0, 0},
        {"gemv", "gemv n=50280 k=768 dtype=fp32 out=fp32 act=none", &gemv, sizeof gemv, VOCAB, &out,
         2.0 * VOCAB * K, 4.0 * VOCAB * K, 0, 0},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        failed += bench(kernels, &problems[i]);
    ts_kernels_close(kernels);
    ts_device_close(device);
    return failed > 0;
}
