/* selective_scan oracle: the recurrence as README.md states it, in float64. One lane is one channel of one sequence. */
#include <math.h>

#include "selective_scan_ref.h"

/* The steps of one sequence. */
typedef struct {
    int64_t batch, row0, length;
} sequence;

static sequence find_sequence(const struct selective_scan_ref *p, int64_t batch) {
    if (!p->varlen) return (sequence){batch, batch * p->l, p->l};
    int64_t row0 = (int64_t)p->cu_l[batch];
    return (sequence){batch, row0, (int64_t)p->cu_l[batch + 1] - row0};
}

/* Where step t of column c lies in a dense tensor with `columns` channels, or states of the groups. */
static int64_t element(const struct selective_scan_ref *p, const sequence *s, int64_t t, int64_t c,
                       int64_t columns) {
    if (p->layout == SELECTIVE_SCAN_LAYOUT_CHANNEL_FIRST) return (s->batch * columns + c) * p->l + t;
    return (s->row0 + t) * columns + c;
}

static double step_size(const struct selective_scan_ref *p, int64_t at, int64_t c) {
    double dt = p->delta[at] + (p->dt_bias ? p->dt_bias[c] : 0.0);
    if (p->softplus && dt <= 20.0) dt = log1p(exp(dt));
    return dt;
}

void selective_scan_ref(const struct selective_scan_ref *p, int64_t lane) {
    int64_t c = lane % p->d, n = p->n, state0 = c / (p->d / p->g) * n;
    sequence s = find_sequence(p, lane / p->d);
    double h[256]; /* the largest n of family.lua */
    for (int64_t j = 0; j < n; j++) h[j] = p->h0 ? p->h0[lane * n + j] : 0.0;

    for (int64_t t = 0; t < s.length; t++) {
        int64_t at = element(p, &s, t, c, p->d);
        double dt = step_size(p, at, c), u = p->u[at], y = p->D ? p->D[c] * u : 0.0;
        for (int64_t j = 0; j < n; j++) {
            int64_t state = element(p, &s, t, state0 + j, p->g * n);
            h[j] = exp(dt * p->A[c * n + j]) * h[j] + dt * u * p->B[state];
            y += p->C[state] * h[j];
        }
        if (p->gate) y *= p->z[at] / (1.0 + exp(-p->z[at]));
        p->out[at] = y;
    }
    for (int64_t j = 0; p->h_last && j < n; j++) p->h_last[lane * n + j] = h[j];
}
