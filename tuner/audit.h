/* `tune verify` at work: a database that was read, and this machine's device. */
#ifndef TUNER_AUDIT_H
#define TUNER_AUDIT_H

#include "bout.h"
#include "progress.h"

typedef struct tuner_audit {
    const tuner_options *options;
    tuner_session session;
    tuner_progress progress;
    ts_buf path; /* of the database */
    db_image image, against;
    size_t right, wrong, slower, differing, losing; /* problems */
    double worst_loss;
} tuner_audit;

/* Is the problem among the user's picks, if there are any? */
bool tuner_audit_picked(const tuner_audit *audit, const char *problem);
/* Of `*left` things options->sample are taken, by seed: each next one with the share that is left. */
bool tuner_audit_drawn(const tuner_audit *audit, size_t index, size_t *left, size_t *to_take);

/* NOT_FOUND: what the file holds instead of winners that can be verified here. */
ts_status tuner_audit_nothing(const tuner_audit *audit, ts_err *err);

/* Ends the progress of `to_do` problems; says so if it was interrupted. */
void tuner_audit_end(tuner_audit *audit, size_t done, size_t to_do);

/* `--held-out`: prints what the nearest choice costs at shapes that were not tuned. Counts wrong
 * problems in *audit. NOT_FOUND: nothing was tuned for the target. held_out.c */
ts_status tuner_audit_held_out(tuner_audit *audit, ts_err *err);

#endif
