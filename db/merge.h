/* Several databases into one. */
#ifndef DB_MERGE_H
#define DB_MERGE_H

#include <signal.h>

#include "store.h"

typedef enum db_merge_action {
    DB_MERGE_ADDED,    /* there was none of its key */
    DB_MERGE_REPLACED, /* it took the place of one with less evidence */
    DB_MERGE_KEPT,     /* it gave way to one with more */
    DB_MERGE_SAME,     /* it was there already */
    DB_MERGE_SKIPPED,  /* damaged */
    DB_MERGE_ACTIONS
} db_merge_action;

/* What became of one winner, or of a row that cannot be used. */
typedef struct db_merge_decision {
    db_merge_action action;
    const char *problem, *target, *device; /* NULL: skipped */
    const char *variant, *file; /* the one that the database holds now, and where it came from;
                                   file NULL: it was there before. Skipped: where the row is */
    const char *other_variant, *other_file; /* the one that was not taken; NULL: there is none */
    const char *reason;                     /* the rule that decided, what is damaged; or NULL */
} db_merge_decision;

typedef struct db_merge_report {
    ts_arena arena; /* holds the texts, but for the names of files */
    db_merge_decision *decisions;
    size_t decision_count;
    size_t kernels[DB_MERGE_ACTIONS], results[DB_MERGE_ACTIONS], winners[DB_MERGE_ACTIONS];
} db_merge_report;

/* Merges the databases `files` into the one at `into`, which is made if it is missing: kernels (code
 * that several share is stored once), results, winners, their devices. Of two winners for the same problem,
 * target and device name, and of a measured and a predicted one for the same target, the one with
 * better evidence stays; of two results of the same variant the newer one (evidence.c has the
 * rules). So what the database ends with does not depend on the order of the files, and merging
 * again changes nothing. A file that is `into` itself is passed over.
 *
 * Sources are opened as by db_image_load: also signed, packed, read-only or of an older schema version. A
 * row that fails its hash, or whose kernel does, is skipped; each is a decision of the report.
 *
 * All or nothing: whatever fails, `into` holds what it held before. One transaction, during which other writers
 * of `into` wait. CANCELLED once *interrupted is set. Other errors: those of db_image_load, of
 * db_writer_open, and IO. The report is freed with db_merge_report_free. */
ts_status db_merge(const char *into, const char *const *files, size_t count,
                   const volatile sig_atomic_t *interrupted, db_merge_report *out, ts_err *err);
void db_merge_report_free(db_merge_report *report);

#endif
