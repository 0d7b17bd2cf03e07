/* What one would write first for each family: fp32, parallel over independent rows with OpenMP, and left to the compiler
 * (-O3 -march=native). */
#include "plain_loops.h"

#include <math.h>
#include <string.h>

void loop_scan(const void *args, int n, int unused) {
    (void)unused;
    const struct selective_scan_args *a = args;
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

void loop_scan_step(const void *args, int n, int unused) {
    (void)unused;
    const struct selective_scan_step_args *a = args;
    const float *u = a->u, *delta = a->delta, *z = a->z, *B = a->B, *C = a->C;
    float *out = a->out;
#pragma omp parallel for collapse(2)
    for (int s = 0; s < a->b; s++)
        for (int c = 0; c < a->d; c++) {
            float dt = logf(1 + expf(delta[s * a->delta_pitch + c] + a->dt_bias[c]));
            float x = u[s * a->u_pitch + c], y = 0, g = z[s * a->z_pitch + c];
            float *h = a->h + ((size_t)s * (size_t)a->d + (size_t)c) * (size_t)n;
            for (int i = 0; i < n; i++) {
                h[i] = expf(dt * a->A[c * n + i]) * h[i] + dt * x * B[s * a->B_pitch + i];
                y += h[i] * C[s * a->C_pitch + i];
            }
            out[s * a->out_pitch + c] = (y + a->D[c] * x) * g / (1 + expf(-g));
        }
}

void loop_conv(const void *args, int width, int unused) {
    (void)unused;
    const struct causal_conv1d_args *a = args;
    const float *x = a->x;
    float *out = a->out;
#pragma omp parallel for
    for (int t = 0; t < a->l; t++)
        for (int c = 0; c < a->d; c++) {
            float y = a->bias[c];
            for (int j = 0; j < width; j++)
                if (t - width + 1 + j >= 0)
                    y += a->weight[c * width + j] * x[(t - width + 1 + j) * a->x_pitch + c];
            out[t * a->out_pitch + c] = y / (1 + expf(-y));
        }
}

void loop_sdpa(const void *args, int dim, int causal) {
    const struct sdpa_args *a = args;
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

void loop_gemm(const void *args, int unused, int unused_too) {
    (void)unused, (void)unused_too;
    const struct gemm_args *a = args;
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

void loop_gemv(const void *args, int unused, int unused_too) {
    (void)unused, (void)unused_too;
    const struct gemv_args *a = args;
    const float *x = a->x, *w = a->w;
    float *out = a->out;
#pragma omp parallel for
    for (int j = 0; j < a->n; j++) {
        float s = 0;
        for (int e = 0; e < a->k; e++) s += x[e] * w[j * a->w_pitch + e];
        out[j] = s;
    }
}
