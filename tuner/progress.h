/* What the user sees while the tuner works, on standard error: a bar on a terminal, plain lines in
 * a log. */
#ifndef TUNER_PROGRESS_H
#define TUNER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tuner_progress {
    bool quiet, terminal;
    const char *stage;
    double begin_s, end_s; /* end_s: the stage ends then (a budget); 0: it ends when all is done */
    double shown_s;
    bool bar_shown;
} tuner_progress;

void tuner_progress_init(tuner_progress *progress, bool quiet);
/* Begins a stage; `budget_s` 0: it takes as long as it takes. */
void tuner_progress_stage(tuner_progress *progress, const char *stage, double budget_s);
/* `done` of `total` steps are done (total 0: only the budget counts); `note` says what is best or
 * under way. Shown at most a few times a second, in a log every few seconds. */
void tuner_progress_show(tuner_progress *progress, size_t done, size_t total, const char *note);
/* A line that stays. */
void tuner_progress_line(tuner_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Removes the bar. */
void tuner_progress_end(tuner_progress *progress);

#endif
