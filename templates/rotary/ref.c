/* rotary in fp64: one head of one row a lane; heads of q, then of k, then (cache) of v. */
#include <stdint.h>

#include "rotary_ref.h"

static int64_t table_row(const struct rotary_ref *p, int64_t row, int64_t frequency) {
    int64_t axis = frequency < p->s0 ? 0 : frequency < p->s1 ? 1 : 2;
    int64_t at = (int64_t)p->positions[axis * p->m + row];
    return at < 0 ? 0 : at >= p->p ? p->p - 1 : at;
}

static void rotate(const struct rotary_ref *p, int64_t row, const double *in, double *out) {
    int64_t half = p->head_dim / 2;
    for (int64_t i = 0; i < half; i++) {
        const double *angle = p->cos_sin + (table_row(p, row, i) * half + i) * 2;
        out[i] = in[i] * angle[0] - in[i + half] * angle[1];
        out[i + half] = in[i + half] * angle[0] + in[i] * angle[1];
    }
}

void rotary_ref(const struct rotary_ref *p, int64_t lane) {
    int64_t heads = p->hq + p->hkv * (1 + p->cache), dim = p->head_dim;
    int64_t row = lane / heads, head = lane % heads;
    if (head < p->hq) {
        rotate(p, row, p->q + (row * p->hq + head) * dim, p->q_out + (row * p->hq + head) * dim);
        return;
    }
    int64_t to = p->cache ? (int64_t)p->slot[row] : row;
    if (p->cache && (to < 0 || to >= p->slots)) return;
    head -= p->hq;
    if (head < p->hkv) {
        rotate(p, row, p->k + (row * p->hkv + head) * dim, p->k_out + (to * p->hkv + head) * dim);
        return;
    }
    head -= p->hkv;
    for (int64_t i = 0; i < dim; i++)
        p->v_out[(to * p->hkv + head) * dim + i] = p->v[(row * p->hkv + head) * dim + i];
}
