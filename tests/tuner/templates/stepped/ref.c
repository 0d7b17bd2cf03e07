/* stepped in fp64: one element a lane. */
#include "stepped_ref.h"

void stepped_ref(const struct stepped_ref *p, int64_t lane) { p->y[lane] = 2 * p->x[lane]; }
