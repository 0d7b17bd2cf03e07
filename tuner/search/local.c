/* Local search with restarts: neighbours of the few best points known, and now and then a jump. */
#include "inside.h"

enum {
    RANDOM_START = 16, /* points before the first neighbour is tried */
    LEADERS = 6,       /* best points whose neighbours are explored */
    JUMP_ONE_IN = 10,  /* random restarts among the local steps */
};

size_t tuner_next_local(tuner_search *s) {
    size_t list[LEADERS];
    if (s->space->count - s->left < RANDOM_START || tuner_search_draw(s, JUMP_ONE_IN) == 0)
        return tuner_search_any(s);
    size_t count = tuner_search_leaders(s, list, LEADERS);
    for (size_t i = 0; i < count; i++) {
        size_t point = tuner_search_neighbour(s, list[i]);
        if (point != SIZE_MAX) return point;
    }
    return tuner_search_any(s);
}
