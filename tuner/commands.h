/* The subcommands. Each gets its own argument list (argv[0] is its name) and returns what the
 * program exits with; a failure that needs words is in *err. */
#ifndef TUNER_COMMANDS_H
#define TUNER_COMMANDS_H

#include <signal.h>

#include "../db/base.h"

enum { TUNER_EXIT_OK = 0, TUNER_EXIT_FAILED = 1, TUNER_EXIT_USAGE = 2, TUNER_EXIT_NO_DEVICE = 3 };

/* What a command may look at: set once SIGINT or SIGTERM arrived. */
extern volatile sig_atomic_t tuner_interrupted;

/* *exit_code is set where the status is TS_STATUS_OK; otherwise main maps the status. */
ts_status tuner_command_tune(int argc, char **argv, int *exit_code, ts_err *err);   /* tune.c */
ts_status tuner_command_check(int argc, char **argv, int *exit_code, ts_err *err);  /* check.c */
ts_status tuner_command_regret(int argc, char **argv, int *exit_code, ts_err *err); /* regret.c */
ts_status tuner_command_verify(int argc, char **argv, int *exit_code, ts_err *err); /* verify.c */
ts_status tuner_command_simulate(int argc, char **argv, int *exit_code,
                                 ts_err *err); /* search/simulate.c */
ts_status tuner_command_report(int argc, char **argv, int *exit_code, ts_err *err);  /* report/ */
ts_status tuner_command_ls(int argc, char **argv, int *exit_code, ts_err *err);      /* query.c */
ts_status tuner_command_explain(int argc, char **argv, int *exit_code, ts_err *err); /* query.c */
ts_status tuner_command_export(int argc, char **argv, int *exit_code, ts_err *err);  /* export/ */
ts_status tuner_command_merge(int argc, char **argv, int *exit_code, ts_err *err);   /* merge.c */
ts_status tuner_command_build(int argc, char **argv, int *exit_code, ts_err *err);   /* build/ */
ts_status tuner_command_keygen(int argc, char **argv, int *exit_code,
                               ts_err *err);                                      /* ship/sign.c */
ts_status tuner_command_sign(int argc, char **argv, int *exit_code, ts_err *err); /* ship/sign.c */

#endif
