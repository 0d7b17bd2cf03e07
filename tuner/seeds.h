/* First guesses for a search: what won on other devices, on related targets, for nearby problems. */
#ifndef TUNER_SEEDS_H
#define TUNER_SEEDS_H

#include "../db/store.h"
#include "../gen/gen.h"

enum { TUNER_MAX_SEEDS = 4 };

/* The measured winners that stand nearest to `problem` on `target`: problems of its specialization, on the
 * target or one of its kin. Sets variants[0..*count), names borrowed from `stored`, each once, nearest first. */
void tuner_seeds_find(gen *g, const db_image *stored, const gen_problem *problem,
                      const gen_target *target, const char *variants[TUNER_MAX_SEEDS],
                      size_t *count);

#endif
