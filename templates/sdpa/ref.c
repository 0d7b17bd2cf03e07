/* sdpa in fp64: one query row of one head a lane. */
#include <math.h>
#include <stdint.h>

#include "sdpa_ref.h"

/* Where a query row lives: its index in the sequence, the sequence's first key and its lengths. */
typedef struct {
    int64_t i, lq, lk, key0;
} place;

/* False for a row that belongs to no sequence (varlen only). */
static int find_place(const struct sdpa_ref *p, int64_t row, place *out) {
    if (!p->varlen) {
        *out = (place){row % p->lq, p->lq, p->lk, row / p->lq * p->lk};
        return 1;
    }
    for (int64_t s = 0; s < p->b; s++) {
        int64_t q0 = (int64_t)p->cu_q[s], q1 = (int64_t)p->cu_q[s + 1];
        int64_t k0 = (int64_t)p->cu_k[s], k1 = (int64_t)p->cu_k[s + 1];
        if (row < q0 || row >= q1) continue;
        *out = (place){row - q0, q1 - q0, k1 - k0, k0};
        return 1;
    }
    return 0;
}

static double score(const struct sdpa_ref *p, const double *q, int64_t key, int64_t head) {
    const double *k = p->k + (key * p->hkv + head) * p->head_dim;
    double sum = 0;
    for (int64_t c = 0; c < p->head_dim; c++) sum += q[c] * k[c];
    return sum * p->scale;
}

void sdpa_ref(const struct sdpa_ref *p, int64_t lane) {
    int64_t row = lane / p->hq, head = lane % p->hq, kv_head = head / (p->hq / p->hkv),
            dim = p->head_dim;
    place at;
    if (!find_place(p, row, &at)) return;
    const double *q = p->q + (row * p->hq + head) * dim;
    double *out = p->out + (row * p->hq + head) * dim;
    int64_t visible = at.lk;
    if (p->causal && at.i + at.lk - at.lq + 1 < visible) visible = at.i + at.lk - at.lq + 1;
    for (int64_t c = 0; c < dim; c++) out[c] = 0;

    double top = -INFINITY, total = 0;
    for (int64_t j = 0; j < visible; j++) top = fmax(top, score(p, q, at.key0 + j, kv_head));
    for (int64_t j = 0; j < visible; j++) {
        const double *v = p->v + ((at.key0 + j) * p->hkv + kv_head) * dim;
        double weight = exp(score(p, q, at.key0 + j, kv_head) - top);
        total += weight;
        for (int64_t c = 0; c < dim; c++) out[c] += weight * v[c];
    }
    for (int64_t c = 0; c < dim && visible > 0; c++) out[c] /= total;
}
