/* gemm in fp64: one element of out a lane. */
#include <math.h>
#include <stdint.h>

#include "gemm_ref.h"

static double activation(int64_t act, double x) {
    switch (act) {
    case GEMM_ACT_SILU: return x / (1 + exp(-x));
    case GEMM_ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case GEMM_ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case GEMM_ACT_SOFTPLUS: return x > 20 ? x : log1p(exp(x));
    default: return x;
    }
}

/* The product of one row of x with one row of w, and the bias. */
static double product(const struct gemm_ref *p, int64_t row, int64_t col) {
    const double *x = p->x + row * p->k, *w = p->w + col * p->k;
    double sum = p->bias ? p->bias[col] : 0;
    for (int64_t i = 0; i < p->k; i++) sum += x[i] * w[i];
    return sum;
}

void gemm_ref(const struct gemm_ref *p, int64_t lane) {
    int64_t pairs = p->act == GEMM_ACT_SWIGLU, columns = pairs ? p->n / 2 : p->n;
    int64_t row = lane / columns, col = lane % columns;
    double y;
    if (pairs) {
        double gate = product(p, row, 2 * col), up = product(p, row, 2 * col + 1);
        y = gate / (1 + exp(-gate)) * up;
    } else {
        y = activation(p->act, product(p, row, col));
    }
    p->out[lane] = y + (p->residual ? p->residual[lane] : 0);
}
