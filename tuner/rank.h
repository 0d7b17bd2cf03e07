/* The static model: how long a variant would take on a target's chip, from the family's own costs
 * and the compiler's log, with no device. It orders variants; its microseconds are no promise. */
#ifndef TUNER_RANK_H
#define TUNER_RANK_H

#include "session.h"

/* Predicted microseconds of the launches `costs` on `target`. `compiled` NULL: not compiled yet,
 * it has as many registers as the family says, or no limit. INFINITY where a block does not fit a SM. */
double tuner_predict_us(const gen_target *target, const gen_cost *costs, size_t count,
                        const tuner_compiled *compiled);

/* The same for one variant of a problem, by its family's cost formulas. INFINITY: the family
 * estimates nothing for it, or a block does not fit. Errors: a formula that cannot be evaluated. */
ts_status tuner_estimate_us(gen *g, const gen_problem *problem, const gen_target *target,
                            const gen_variant *variant, const tuner_compiled *compiled, double *us,
                            ts_err *err);

enum { TUNER_SHORTLIST = 10 };
/* The model's first choices, best first, as indices of the variants that were ranked. */
typedef struct tuner_shortlist {
    size_t index[TUNER_SHORTLIST], count;
} tuner_shortlist;

/* The model's first choices of `variants` before anything is compiled; none where the family estimates nothing. Errors: a
 * formula that cannot be evaluated. */
ts_status tuner_favourites(gen *g, const gen_problem *problem, const gen_target *target,
                           const gen_variant *variants, size_t count, tuner_shortlist *list,
                           ts_err *err);

/* The best of `variants` by the model: all are estimated, the most promising are compiled, and of
 * those that compile without a spill the best with its registers counted is picked. *pick is the
 * finished candidate (free it) and its index that of the variant; NULL: the family estimates
 * nothing for these variants, none of them compiles, or the lab was interrupted. The lab's queue
 * must be empty. `first` (may be NULL) receives the first choices, the pick among them. */
ts_status tuner_rank(tuner_session *session, tuner_problem *problem, const gen_target *target,
                     const gen_variant *variants, size_t count, tuner_candidate **pick,
                     tuner_shortlist *first, ts_err *err);

#endif
