/* Simulated annealing (Kirkpatrick et al. 1983): a walk over neighbours that follows a worse point
 * with a probability that falls with its cost and with time. Costs count by their ratio, so that the
 * temperature needs no unit. */
#include "inside.h"

#include <math.h>

enum { RANDOM_START = 10 };
/* Of the logarithm of a cost: at first a point 40 % worse is followed one time in e; after 100 points
 * one 5 % worse. */
static const double first_temperature = 0.35, cooling = 0.98, least_temperature = 0.01;

static void walk(tuner_search *s) {
    for (; s->walked < s->told_count; s->walked++) {
        size_t point = s->told[s->walked];
        double temperature = fmax(least_temperature,
                                  first_temperature * pow(cooling, (double)s->walked));
        if (!isfinite(s->cost[point])) continue;
        if (s->current == SIZE_MAX ||
            tuner_search_unit(s) < exp(log(s->cost[s->current] / s->cost[point]) / temperature))
            s->current = point;
    }
}

size_t tuner_next_annealing(tuner_search *s) {
    size_t best, point = SIZE_MAX;
    walk(s);
    if (s->told_count >= RANDOM_START && s->current != SIZE_MAX)
        point = tuner_search_neighbour(s, s->current);
    if (point == SIZE_MAX && s->told_count >= RANDOM_START &&
        tuner_search_leaders(s, &best, 1) == 1) { /* a dead end: on from the best */
        s->current = best;
        point = tuner_search_neighbour(s, best);
    }
    return point != SIZE_MAX ? point : tuner_search_any(s);
}
