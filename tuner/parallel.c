/* Threads that live for one call: what is spread over them takes milliseconds at least. */
#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_HELPERS = 64 };

typedef struct pieces {
    tuner_piece *work;
    void *context;
    int64_t total, grain;
    atomic_llong next;
} pieces;

static void *take_pieces(void *context) {
    pieces *p = context;
    for (int64_t begin; (begin = atomic_fetch_add(&p->next, p->grain)) < p->total;)
        p->work(p->context, begin, begin + p->grain < p->total ? begin + p->grain : p->total);
    return NULL;
}

void tuner_parallel(int64_t total, int64_t grain, int threads, tuner_piece *work, void *context) {
    pieces p = {work, context, total, grain, 0};
    pthread_t helpers[MAX_HELPERS];
    int64_t count = (total - 1) / grain; /* pieces besides the caller's first */
    int started = 0;
    while (started < threads - 1 && started < MAX_HELPERS && started < count &&
           pthread_create(&helpers[started], NULL, take_pieces, &p) == 0)
        started++;
    take_pieces(&p);
    while (started > 0) pthread_join(helpers[--started], NULL);
}
