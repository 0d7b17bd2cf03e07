/* norm in fp64: one row a lane. */
#include <math.h>
#include <stdint.h>

#include "norm_ref.h"

void norm_ref(const struct norm_ref *p, int64_t lane) {
    int64_t d = p->d;
    double *x = p->x + lane * d, *out = p->out + lane * d;
    if (p->add)
        for (int64_t i = 0; i < d; i++) x[i] += p->delta[lane * d + i];
    double mean = 0, squares = 0;
    if (p->kind == NORM_KIND_LAYER) {
        for (int64_t i = 0; i < d; i++) mean += x[i];
        mean /= (double)d;
    }
    for (int64_t i = 0; i < d; i++) squares += (x[i] - mean) * (x[i] - mean);
    double rstd = 1 / sqrt(squares / (double)d + p->eps);
    for (int64_t i = 0; i < d; i++)
        out[i] = (x[i] - mean) * rstd * p->weight[i] + (p->bias ? p->bias[i] : 0);
}
