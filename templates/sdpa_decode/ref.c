/* sdpa_decode in fp64: one query head of one sequence a lane. */
#include <math.h>
#include <stdint.h>

#include "sdpa_decode_ref.h"

static double score(const struct sdpa_decode_ref *p, const double *q, int64_t row, int64_t head) {
    const double *k = p->k + (row * p->hkv + head) * p->head_dim;
    double sum = 0;
    for (int64_t c = 0; c < p->head_dim; c++) sum += q[c] * k[c];
    return sum * p->scale;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

void sdpa_decode_ref(const struct sdpa_decode_ref *p, int64_t lane) {
    int64_t dim = p->head_dim, s = lane / (p->hkv * p->group), kv_head = lane / p->group % p->hkv;
    int64_t begin = clamp((int64_t)p->k_begin[s], 0, p->slots);
    int64_t most = p->lk < p->slots - begin ? p->lk : p->slots - begin;
    int64_t keys = clamp((int64_t)p->k_len[s], 0, most);
    const double *q = p->q + lane * dim;
    double *out = p->out + lane * dim;
    for (int64_t c = 0; c < dim; c++) out[c] = 0;

    double top = -INFINITY, total = 0;
    for (int64_t j = begin; j < begin + keys; j++) top = fmax(top, score(p, q, j, kv_head));
    for (int64_t j = begin; j < begin + keys; j++) {
        const double *v = p->v + (j * p->hkv + kv_head) * dim;
        double weight = exp(score(p, q, j, kv_head) - top);
        total += weight;
        for (int64_t c = 0; c < dim; c++) out[c] += weight * v[c];
    }
    for (int64_t c = 0; c < dim && keys > 0; c++) out[c] /= total;
}
