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

/* The product of x with one row of w, and the bias. */
static double product(const struct gemv_ref *p, int64_t row) {
    const double *w = p->w + row * p->k;
    double sum = p->bias ? p->bias[row] : 0;
    for (int64_t i = 0; i < p->k; i++) sum += p->x[i] * w[i];
    return sum;
}

void gemv_ref(const struct gemv_ref *p, int64_t lane) {
    double y;
    if (p->act == GEMV_ACT_SWIGLU) {
        double gate = product(p, 2 * lane), up = product(p, 2 * lane + 1);
        y = gate / (1 + exp(-gate)) * up;
    } else {
        y = activation(p->act, product(p, lane));
    }
    p->out[lane] = y + (p->residual ? p->residual[lane] : 0);
}
