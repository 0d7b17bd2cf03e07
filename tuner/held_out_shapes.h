/* Shapes that were not tuned, derived from those of one specialization that were. */
#ifndef TUNER_HELD_OUT_SHAPES_H
#define TUNER_HELD_OUT_SHAPES_H

#include "../gen/gen.h"

/* Distinct canonical problem texts. Zero-initialise; tuner_shapes_free. */
typedef struct tuner_shapes {
    char **texts;
    size_t count, capacity;
} tuner_shapes;

/* Appends problems that `tuned` (texts of one specialization, `spec`) does not hold: between each
 * two neighbours the geometric middle, odd where the family allows odd numbers, and beyond what is
 * the last point in some direction twice its extent. Neighbours differ in one extent, or in several
 * by the same factor (queries and keys of attention). What the family's domain excludes is left
 * out. */
ts_status tuner_shapes_derive(gen *g, const char *const *tuned, size_t count, const char *spec,
                              tuner_shapes *out, ts_err *err);
void tuner_shapes_free(tuner_shapes *shapes);

#endif
