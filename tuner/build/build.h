/* A database from text: what `tune build` has to make, from winners' files to stored rows.
 *
 *   text.c     files to entries: which problem, variant and target a line means today
 *   compile.c  entries to kernels, in the lab's pool; what a time was measured with
 *   store.c    kernels to a new file
 */
#ifndef TUNER_BUILD_BUILD_H
#define TUNER_BUILD_BUILD_H

#include "../../db/winners.h"
#include "../session.h"

/* One kernel to be built. */
typedef struct tuner_build_entry {
    const db_text_winner *text; /* NULL: the default of a specialization */
    const char *file;           /* that said it; "" */
    tuner_problem problem;      /* texts in the build's arena */
    const gen_target *target;
    gen_variant variant;
    bool is_default;
    tuner_candidate *candidate; /* NULL until compiled */
    const char *left_out;       /* why it is not in the database; NULL: it is */
    char changed[96]; /* what its time was measured with, where that is not this kernel; "" */
} tuner_build_entry;

typedef struct tuner_build {
    tuner_session session;
    ts_arena arena;
    ts_buf entries; /* of tuner_build_entry: the texts in their order, then the defaults */
} tuner_build;

size_t tuner_build_count(const tuner_build *build);
tuner_build_entry *tuner_build_at(const tuner_build *build, size_t index);

/* Reads files, and the *.json of folders, in the order given. A line whose problem, variant or
 * target the templates do not know becomes an entry that is left out. Then adds the default of every
 * specialization, for a CPU also that of the oldest level. Status: a file that cannot be read as
 * winners, an unknown --gpu, nothing to build. */
ts_status tuner_build_read(tuner_build *build, ts_err *err);
/* Compiles all that is not left out. What does not compile is; a status is a failure of ours. */
ts_status tuner_build_compile(tuner_build *build, const volatile sig_atomic_t *interrupted,
                              ts_err *err);
/* Writes the database to `path`, which must not exist; it appears whole or not at all. */
ts_status tuner_build_store(tuner_build *build, const char *path, ts_err *err);

#endif
