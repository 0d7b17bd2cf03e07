/* Which of two rows about the same thing rests on better evidence. Internal to db/. */
#ifndef DB_EVIDENCE_H
#define DB_EVIDENCE_H

#include "store.h"

/* Compares two winners of one problem on one target: positive where `a` is better, negative where `b`
 * is, zero only where their hashes are equal. *why receives the rule that decided. A total order that
 * looks at nothing but the rows, so that the best of many is the same whatever the order they are
 * met in. */
int db_winner_compare(const db_winner *a, const char *a_hash, const db_winner *b,
                      const char *b_hash, const char **why);

/* The same for two results of one variant: the newer one. */
int db_result_compare(const db_result *a, const char *a_hash, const db_result *b,
                      const char *b_hash);

#endif
