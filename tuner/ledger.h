/* The tuner's dealings with the database: one committed row a result, what earlier runs left, the
 * choice. */
#ifndef TUNER_LEDGER_H
#define TUNER_LEDGER_H

#include "../db/store.h"
#include "lab.h"
#include "race.h"

typedef struct tuner_ledger {
    db_writer *db;
    db_device device; /* texts borrowed from the session's facts */
} tuner_ledger;

/* A stored result, as far as the search needs it. Texts live in the arena it was read into. */
typedef struct tuner_past {
    const char *variant, *signature, *status;
    double time_us;
} tuner_past;

typedef struct tuner_past_list {
    tuner_past *items;
    size_t count;
} tuner_past_list;

/* mkdir -p of the folder that `path` lies in. One that cannot be made shows up as a file that cannot be. */
void tuner_make_folder_of(const char *path);
/* Opens the file, making its folder if there is none. */
ts_status tuner_ledger_open(tuner_ledger *ledger, const char *path, const tuner_device_facts *facts,
                            ts_err *err);
void tuner_ledger_close(tuner_ledger *ledger);

/* All stored results of the problem on this target and device. */
ts_status tuner_ledger_past(tuner_ledger *ledger, const tuner_problem *problem,
                            const gen_target *target, ts_arena *arena, tuner_past_list *out,
                            ts_err *err);
/* Whether there is any of this variant. */
bool tuner_past_has(const tuner_past_list *list, const char *variant);
/* The one of this variant and signature; NULL if there is none. */
const tuner_past *tuner_past_find(const tuner_past_list *list, const char *variant,
                                  const char *signature);

/* The stored winner; NOT_FOUND if there is none. */
ts_status tuner_ledger_winner(tuner_ledger *ledger, const tuner_problem *problem,
                              const gen_target *target, ts_arena *arena, db_winner *out,
                              ts_err *err);
/* Made from the same templates, oracle and compiler. */
bool tuner_winner_matches(const db_winner *winner, const gen_family *family,
                          const tuner_compiler *compiler);
/* Nothing to do: it matches, and is the measured winner of a finished search, or, where nothing can
 * be `measured`, the outcome of a finished ranking. */
bool tuner_winner_is_current(const db_winner *winner, const gen_family *family,
                             const tuner_compiler *compiler, bool measured);

/* Stores the candidate's kernel; *id receives its row. */
ts_status tuner_ledger_kernel(tuner_ledger *ledger, const tuner_candidate *candidate,
                              const tuner_compiler *compiler, bool is_default, int64_t *id,
                              ts_err *err);
/* Stores the candidate's result, committed when it returns. `kernel_id` 0: its kernel is not
 * stored. */
ts_status tuner_ledger_result(tuner_ledger *ledger, const tuner_candidate *candidate,
                              int64_t kernel_id, ts_err *err);

/* A choice to be stored. A race with ci_low_us NaN is provisional: the next run goes on searching.
 */
typedef struct tuner_choice {
    const tuner_candidate *candidate;
    const tuner_compiler *compiler;
    int64_t kernel_id;
    const char *evidence; /* "measured", "predicted" */
    double time_us, ci_low_us, ci_high_us, default_us;
    double flops, bytes; /* of one launch */
    const char *verdict;
    const char *race; /* JSON (tuner_race_text); "{}" where there was none */
} tuner_choice;

ts_status tuner_ledger_choose(tuner_ledger *ledger, const tuner_choice *choice, ts_err *err);

#endif
