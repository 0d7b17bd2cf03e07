/* Runs a program to its end and keeps what it prints. */
#ifndef TUNER_PROCESS_H
#define TUNER_PROCESS_H

#include "../db/base.h"

/* Runs argv[0] (searched in PATH) with no standard input; appends its standard output and error to
 * *output, sets *code to its exit code (128 + signal if a signal ended it). IO: it could not be
 * started. The program dies with the calling process, and after `cpu_limit_s` of processor time. */
ts_status tuner_process_run(const char *const *argv, int cpu_limit_s, ts_buf *output, int *code,
                            ts_err *err);

/* Makes a private folder below TMPDIR (or /tmp), path of at most 200 characters into `path`. */
ts_status tuner_scratch_make(char path[256], ts_err *err);
/* Removes it with all that is in it. */
void tuner_scratch_remove(const char *path);

/* The same, locked for as long as this process or one that it forks lives. What runs that were
 * killed have left behind, their lock being gone, is removed first. *lock is closed by the caller.
 */
ts_status tuner_scratch_make_locked(char path[256], int *lock, ts_err *err);

#endif
