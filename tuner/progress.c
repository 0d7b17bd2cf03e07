/* Progress lines. A bar is redrawn in place on a terminal; a log gets whole lines, rarely. */
#include "progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "channel.h"

enum { BAR_CELLS = 24 };
static const double terminal_period_s = 0.1, log_period_s = 10;

void tuner_progress_init(tuner_progress *progress, bool quiet) {
    *progress = (tuner_progress){.quiet = quiet, .terminal = isatty(2) == 1};
}

void tuner_progress_end(tuner_progress *progress) {
    if (progress->bar_shown) fprintf(stderr, "\r\033[K");
    progress->bar_shown = false;
}

void tuner_progress_stage(tuner_progress *progress, const char *stage, double budget_s) {
    tuner_progress_end(progress);
    double now_s = tuner_now_s();
    progress->stage = stage;
    progress->begin_s = progress->shown_s = now_s;
    progress->end_s = budget_s > 0 ? now_s + budget_s : 0;
}

static void format_duration(double seconds, char text[32]) {
    long s = seconds > 0 ? lround(seconds) : 0;
    if (s < 60)
        snprintf(text, 32, "%lds", s);
    else
        snprintf(text, 32, "%ldm%02lds", s / 60, s % 60);
}

void tuner_progress_show(tuner_progress *progress, size_t done, size_t total, const char *note) {
    double now_s = tuner_now_s(), elapsed_s = now_s - progress->begin_s;
    if (progress->quiet ||
        now_s - progress->shown_s < (progress->terminal ? terminal_period_s : log_period_s))
        return;
    progress->shown_s = now_s;
    double share = total ? (double)done / (double)total : 0, left_s = NAN;
    if (progress->end_s > 0) {
        double by_time = elapsed_s / (progress->end_s - progress->begin_s);
        share = fmin(1, fmax(share, by_time));
        left_s = progress->end_s - now_s;
    }
    if (share > 0 && done > 0 && total > 0) { /* the work may run out before the budget does */
        double by_work_s = elapsed_s * (double)(total - done) / (double)done;
        if (isnan(left_s) || by_work_s < left_s) left_s = by_work_s;
    }
    char eta[32] = "?", bar[BAR_CELLS + 1];
    if (!isnan(left_s)) format_duration(left_s, eta);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < (int)(share * BAR_CELLS) ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K%-8s [%s] %3.0f %%  %zu/%zu  ETA %s  %.60s", progress->stage, bar,
                100 * share, done, total, eta, note);
        progress->bar_shown = true;
    } else
        fprintf(stderr, "%s: %.0f %% (%zu of %zu), ETA %s  %s\n", progress->stage, 100 * share,
                done, total, eta, note);
    fflush(stderr);
}

void tuner_progress_line(tuner_progress *progress, const char *format, ...) {
    if (progress->quiet) return;
    tuner_progress_end(progress);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}
