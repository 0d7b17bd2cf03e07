/* What every command that compiles or measures needs: templates, target, device, lab, problems. */
#ifndef TUNER_SESSION_H
#define TUNER_SESSION_H

#include "lab.h"
#include "options.h"
#include "selection.h"

typedef struct tuner_session {
    const tuner_options *options;
    gen *g;
    tuner_lab lab;
    int scratch_lock;
    char scratch[256];    /* oracles built at tune time */
    char device_name[96]; /* as ts_device_open takes it */
    const gen_target *target;
    bool have_device; /* the target's code can run here */
    bool any_device;  /* `facts` describe a device, though not of this target */
    tuner_device_facts facts;
    tuner_selection selection;
} tuner_session;

/* Opens all of it: the device is looked at first. `list` of cases.lua serves where the user picked
 * nothing. INVALID_ARGUMENT: unknown target, family or problem. NO_DEVICE: none and
 * options->require_device. Free with tuner_session_close, also after a failure. */
ts_status tuner_session_open(tuner_session *session, const tuner_options *options, const char *list,
                             const volatile sig_atomic_t *interrupted, ts_err *err);
/* Opens templates and compilers alone: no device is looked at, nothing is selected. Close it the
 * same way. */
ts_status tuner_session_open_compilers(tuner_session *session, const tuner_options *options,
                                       const volatile sig_atomic_t *interrupted, ts_err *err);
/* The compiler for the session's target. UNSUPPORTED: it does not know the target, or its code needs
 * a newer driver than the device's. */
ts_status tuner_session_compiler(tuner_session *session, const tuner_compiler **out, ts_err *err);
/* The oldest level that a CPU's target descends from: defaults for it are stored too, so that the
 * file runs on an older chip. NULL for other targets. */
const gen_target *tuner_oldest_level(const gen_target *target);
void tuner_session_close(tuner_session *session);

#endif
