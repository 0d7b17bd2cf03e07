/* argmax: one row a lane. */
#include <math.h>
#include <stdint.h>

#include "argmax_ref.h"

void argmax_ref(const struct argmax_ref *p, int64_t lane) {
    const double *x = p->x + lane * p->v;
    int64_t best = -1;
    for (int64_t i = 0; i < p->v; i++)
        if (!isnan(x[i]) && (best < 0 || x[i] > x[best])) best = i;
    p->out[lane] = (double)(best < 0 ? 0 : best);
}
