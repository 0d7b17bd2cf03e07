/* selective_scan oracle: the recurrence as README.md states it, in float64. One lane is one channel of one batch. */
#include <math.h>

#include "selective_scan_ref.h"

/* Channel c of batch row i, dense rows of d. */
static double step_size(const struct selective_scan_ref *p, int64_t i, int64_t c) {
    double dt = p->delta[i * p->d + c] + (p->dt_bias ? p->dt_bias[c] : 0.0);
    if (p->softplus && dt <= 20.0) dt = log1p(exp(dt));
    return dt;
}

void selective_scan_ref(const struct selective_scan_ref *p, int64_t lane) {
    int64_t batch = lane / p->d, c = lane % p->d, group = c / (p->d / p->g), n = p->n;
    double h[256]; /* the largest n of family.lua */
    for (int64_t j = 0; j < n; j++) h[j] = p->h0 ? p->h0[lane * n + j] : 0.0;

    for (int64_t i = batch * p->l; i < (batch + 1) * p->l; i++) {
        double dt = step_size(p, i, c), u = p->u[i * p->d + c];
        const double *B = p->B + (i * p->g + group) * n, *C = p->C + (i * p->g + group) * n;
        double y = p->D ? p->D[c] * u : 0.0;
        for (int64_t j = 0; j < n; j++) {
            h[j] = exp(dt * p->A[c * n + j]) * h[j] + dt * u * B[j];
            y += C[j] * h[j];
        }
        if (p->gate) {
            double z = p->z[i * p->d + c];
            y *= z / (1.0 + exp(-z));
        }
        p->out[i * p->d + c] = y;
    }
    for (int64_t j = 0; p->h_last && j < n; j++) p->h_last[lane * n + j] = h[j];
}
