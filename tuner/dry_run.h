/* `tune --dry-run`: what would be tried is compiled, ranked and listed; nothing is run or stored. */
#ifndef TUNER_DRY_RUN_H
#define TUNER_DRY_RUN_H

#include "session.h"

/* Lists every variant of every selected specialization, best estimate first. *exit_code is 1 if a
 * default does not compile, or if interrupted: then what was compiled by then is listed. */
ts_status tuner_dry_run(tuner_session *session, int *exit_code, ts_err *err);

#endif
