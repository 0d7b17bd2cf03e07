/* causal_conv1d oracle in float64. One lane is one channel of one sequence. */
#include <math.h>

#include "causal_conv1d_ref.h"

/* Input of channel c at time t, which may lie before the sequence: then from the state, newest last, or zero. */
static double input_at(const struct causal_conv1d_ref *p, int64_t batch, int64_t c, int64_t t) {
    int64_t kept = p->width - 1;
    if (t >= 0) return p->x[(batch * p->l + t) * p->d + c];
    return p->state_in ? p->state_in[(batch * kept + kept + t) * p->d + c] : 0.0;
}

void causal_conv1d_ref(const struct causal_conv1d_ref *p, int64_t lane) {
    int64_t batch = lane / p->d, c = lane % p->d, kept = p->width - 1;
    for (int64_t t = 0; t < p->l; t++) {
        double y = p->bias ? p->bias[c] : 0.0;
        for (int64_t j = 0; j < p->width; j++)
            y += p->weight[c * p->width + j] * input_at(p, batch, c, t - kept + j);
        if (p->act == CAUSAL_CONV1D_ACT_SILU) y /= 1.0 + exp(-y);
        p->out[(batch * p->l + t) * p->d + c] = y;
    }
    /* Oldest first: were the two states one buffer (l = 1), row j reads row j + 1, not yet written. */
    for (int64_t j = 0; p->state_out && j < kept; j++)
        p->state_out[(batch * kept + j) * p->d + c] = input_at(p, batch, c, p->l - kept + j);
}
