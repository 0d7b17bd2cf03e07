/* What the user sees while the tuner works: on a terminal some lines redrawn in place (one where it is
 * narrow or TERM is dumb), plain lines in a log, both on standard error; with events, JSON lines on
 * standard output. All of them print the numbers of one tally. */
#ifndef TUNER_PROGRESS_H
#define TUNER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "report/tally.h"

enum { TUNER_VIEW_LINES = 4 };

typedef struct tuner_progress {
    bool quiet, terminal, dumb;
    bool events;              /* progress events as JSON */
    const tuner_tally *tally; /* NULL: only a bar */
    double busy_share;        /* of the stage's time the device worked; NaN: not known */
    const char *stage;
    double begin_s, end_s; /* end_s: the stage ends then (a budget); 0: it ends when all is done */
    double shown_s, told_s;
    int widths[TUNER_VIEW_LINES]; /* columns of the lines on the screen, to find their first */
    int drawn;                    /* lines on the screen */
} tuner_progress;

void tuner_progress_init(tuner_progress *progress, bool quiet);
/* Begins a stage; `budget_s` 0: it takes as long as it takes. */
void tuner_progress_stage(tuner_progress *progress, const char *stage, double budget_s);
/* `done` of `total` steps are done (total 0: only the budget counts); `note` says what is under way.
 * Shown at most a few times a second, in a log and as events every few seconds. */
void tuner_progress_show(tuner_progress *progress, size_t done, size_t total, const char *note);
/* A line that stays. */
void tuner_progress_line(tuner_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Removes what is redrawn. */
void tuner_progress_end(tuner_progress *progress);

#endif
