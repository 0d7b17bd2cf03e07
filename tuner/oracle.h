/* The families' fp64 oracles: finding one, running its lanes, compiling those of added template
 * folders. */
#ifndef TUNER_ORACLE_H
#define TUNER_ORACLE_H

#include "../gen/gen.h"

/* Compiles the family's ref.c (with the header that gen writes for it) into `folder`/<family>.so.
 * COMPILE carries the compiler's messages. */
ts_status tuner_oracle_build(gen *g, const gen_family *family, const char *folder, ts_err *err);

/* Whether the program has this family's oracle linked in. */
bool tuner_oracle_is_linked(const char *family);

/* The oracle of `family`: `folder`/<family>.so if it was built there, else the one linked in.
 * Loaded libraries stay loaded. NOT_FOUND if there is neither. */
ts_status tuner_oracle_find(const char *family, const char *folder, gen_oracle *out, ts_err *err);

/* Runs `count` lanes, those listed in `lanes` or 0..count-1 if it is NULL, on up to `threads`
 * threads. */
void tuner_oracle_run(gen_oracle oracle, const void *slots, const int64_t *lanes, int64_t count,
                      int threads);

#endif
