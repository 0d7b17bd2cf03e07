/* gemv in fp64: one element of out a lane. */
#include <math.h>
#include <stdint.h>

#include "gemv_ref.h"

static double activation(int64_t act, double x) {
    switch (act) {
    case GEMV_ACT_SILU: return x / (1 + exp(-x));
    case GEMV_ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case GEMV_ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case GEMV_ACT_SOFTPLUS: return x > 20 ? x : log1p(exp(x));
    default: return x;
    }
}

void gemv_ref(const struct gemv_ref *p, int64_t lane) {
    const double *w = p->w + lane * p->k;
    double sum = p->bias ? p->bias[lane] : 0;
    for (int64_t i = 0; i < p->k; i++) sum += p->x[i] * w[i];
    p->out[lane] = activation(p->act, sum) + (p->residual ? p->residual[lane] : 0);
}
