/* The text form of a database's winners: what a repository keeps and people can read and compare.
 */
#ifndef DB_WINNERS_H
#define DB_WINNERS_H

#include "store.h"

#define DB_WINNERS_FORMAT 1

/* Writes the winners of the database `db_path` as JSON: one file a (target, device), one winner a
 * line in the order of their problems, every field of db_winner and the kernel's spec, abi and
 * signature, no blobs; NaN is null. Equal winners give equal bytes, whatever the order they were
 * found in.
 *
 * `dir_or_file`: an existing folder receives "<target>-<device>.json" (lower case, other characters
 * than letters, digits and _ as one dash); any other path is one file, and then the database may
 * hold winners of one (target, device) only. Files are replaced atomically.
 *
 * Errors: those of db_image_load; CORRUPT also where rows had to be left out, since half of the
 * winners would look like all; NOT_FOUND: no winners; INVALID_ARGUMENT: several devices for one
 * file; IO. */
ts_status db_export_winners(const char *db_path, const char *dir_or_file, ts_err *err);

/* One winner as the text says it; `winner.kernel_id` is 0. */
typedef struct db_text_winner {
    db_winner winner;
    const char *spec, *abi, *signature; /* of the kernel that was chosen */
} db_text_winner;

typedef struct db_text_winners {
    db_text_winner *items;
    size_t count;
} db_text_winners;

/* Reads such a file, all of it or nothing. Texts and *out live in `arena`; null is NaN; a field that
 * format 1 did not always have takes the value that stands for its absence; members that are no
 * field are passed over. The names in it (problem, variant, target) are not looked up: that is the
 * caller's. Errors: those of ts_file_read; CORRUPT: not JSON, cut off, no winners, a member missing
 * or of the wrong type or size, naming it; UNSUPPORTED: another format. */
ts_status db_text_winners_read(const char *path, ts_arena *arena, db_text_winners *out,
                               ts_err *err);

#endif
