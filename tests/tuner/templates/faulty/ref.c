/* faulty in fp64: one row a lane. */
#include "faulty_ref.h"

void faulty_ref(const struct faulty_ref *p, int64_t lane) {
    for (int64_t i = 0; i < p->k; i++) p->y[lane * p->k + i] = 2 * p->x[lane * p->k + i];
}
