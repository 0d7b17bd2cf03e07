/* embedding in fp64: one token a lane. */
#include <stdint.h>

#include "embedding_ref.h"

void embedding_ref(const struct embedding_ref *p, int64_t lane) {
    int64_t id = (int64_t)p->ids[lane];
    for (int64_t i = 0; i < p->d; i++)
        p->out[lane * p->d + i] = id >= 0 && id < p->v ? p->table[id * p->d + i] : 0;
}
