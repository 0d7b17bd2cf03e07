/* selective_scan_step oracle: one step of the recurrence in float64. One lane is one channel of one sequence. */
#include <math.h>

#include "selective_scan_step_ref.h"

/* u, or the causal convolution at it with SiLU; what the convolution keeps moves on. */
static double input(const struct selective_scan_step_ref *p, int64_t batch, int64_t c) {
    double u = p->u[batch * p->d + c];
    if (p->conv == 0) return u;
    int64_t kept = p->conv - 1;
    double *state = p->conv_state + batch * kept * p->d + c;
    const double *weight = p->conv_weight + c * p->conv;
    double y = (p->conv_bias ? p->conv_bias[c] : 0.0) + weight[kept] * u;
    for (int64_t j = 0; j < kept; j++) y += weight[j] * state[j * p->d];
    for (int64_t j = 0; j < kept; j++) state[j * p->d] = j + 1 < kept ? state[(j + 1) * p->d] : u;
    return y / (1.0 + exp(-y));
}

void selective_scan_step_ref(const struct selective_scan_step_ref *p, int64_t lane) {
    int64_t batch = lane / p->d, c = lane % p->d, group = c / (p->d / p->g), n = p->n;
    const double *B = p->B + (batch * p->g + group) * n, *C = p->C + (batch * p->g + group) * n;
    double *h = p->h + lane * n;

    double dt = p->delta[lane] + (p->dt_bias ? p->dt_bias[c] : 0.0), u = input(p, batch, c);
    if (p->softplus && dt <= 20.0) dt = log1p(exp(dt));
    double y = p->D ? p->D[c] * u : 0.0;
    for (int64_t j = 0; j < n; j++) {
        h[j] = exp(dt * p->A[c * n + j]) * h[j] + dt * u * B[j];
        y += C[j] * h[j];
    }
    if (p->gate) y *= p->z[lane] / (1.0 + exp(-p->z[lane]));
    p->out[lane] = y;
}
