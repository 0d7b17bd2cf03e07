/* Progress lines. A block is redrawn in place on a terminal; a log gets whole lines, rarely. The cursor
 * is never hidden, so that whatever ends the program leaves the terminal as it was. */
#include "progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "channel.h"
#include "report/cells.h"
#include "report/events.h"

enum { BAR_CELLS = 24, NARROW = 60, LOW = 6, PLAIN_COLUMNS = 400 };
static const double terminal_period_s = 0.1, log_period_s = 10, event_period_s = 1;

void tuner_progress_init(tuner_progress *progress, bool quiet) {
    const char *term = getenv("TERM");
    *progress = (tuner_progress){.quiet = quiet,
                                 .terminal = isatty(2) == 1,
                                 .dumb = !term || !*term || strcmp(term, "dumb") == 0,
                                 .busy_share = NAN};
}

/* The size may have changed since the last call. */
static void screen_size(int *columns, int *rows) {
    struct winsize size = {0};
    bool known = ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    *columns = known ? size.ws_col : 80;
    *rows = known && size.ws_row > 0 ? size.ws_row : 24;
}

/* To the first line of the block; a line that no longer fits the window takes several rows. */
static void go_back(const tuner_progress *progress, ts_buf *out) {
    int columns, rows, up = 0;
    screen_size(&columns, &rows);
    for (int i = 0; i < progress->drawn; i++)
        up += (progress->widths[i] > 0 ? progress->widths[i] - 1 : 0) / columns + (i > 0);
    if (progress->drawn && progress->dumb)
        ts_buf_printf(out, "\r%*s\r", progress->widths[0], "");
    else if (progress->drawn && up)
        ts_buf_printf(out, "\r\033[%dA\033[J", up);
    else if (progress->drawn)
        ts_buf_printf(out, "\r\033[J");
}

static void put(ts_buf *text) { /* at once, so that it does not flicker */
    if (!text->failed && text->bytes) fwrite(text->data, 1, text->bytes, stderr);
    fflush(stderr);
    ts_buf_free(text);
}

void tuner_progress_end(tuner_progress *progress) {
    ts_buf out = {0};
    go_back(progress, &out);
    progress->drawn = 0;
    put(&out);
}

void tuner_progress_stage(tuner_progress *progress, const char *stage, double budget_s) {
    tuner_progress_end(progress);
    double now_s = tuner_now_s();
    progress->stage = stage;
    progress->begin_s = progress->shown_s = progress->told_s = now_s;
    progress->end_s = budget_s > 0 ? now_s + budget_s : 0;
    progress->busy_share = NAN;
    if (!progress->tally) return;
    if (progress->events) tuner_event_progress(stage, 0, NAN, NAN, progress->tally);
    if (progress->quiet || progress->terminal) return;
    ts_buf text = {0};
    tuner_counts total = tuner_tally_total(progress->tally);
    tuner_counts_text(&total, &text);
    if (!text.failed) fprintf(stderr, "%s begins; %s\n", stage, text.data);
    fflush(stderr);
    ts_buf_free(&text);
}

static void format_duration(double seconds, char text[32]) {
    long s = seconds > 0 ? lround(seconds) : 0;
    if (s < 60)
        snprintf(text, 32, "%lds", s);
    else
        snprintf(text, 32, "%ldm%02lds", s / 60, s % 60);
}

/* Share of the stage that is done, and what is left of it in seconds (NaN: not known). */
static double share_done(const tuner_progress *progress, size_t done, size_t total,
                         double *left_s) {
    double now_s = tuner_now_s(), elapsed_s = now_s - progress->begin_s;
    double share = total ? (double)done / (double)total : 0;
    *left_s = NAN;
    if (progress->end_s > 0) {
        double by_time = elapsed_s / (progress->end_s - progress->begin_s);
        share = fmin(1, fmax(share, by_time));
        *left_s = fmax(0, progress->end_s - now_s);
    }
    if (share > 0 && done > 0 && total > 0) { /* the work may run out before the budget does */
        double by_work_s = elapsed_s * (double)(total - done) / (double)done;
        if (isnan(*left_s) || by_work_s < *left_s) *left_s = by_work_s;
    }
    return share;
}

/* ---- the lines ---- */

static void write_best(const tuner_tally *tally, ts_buf *out) {
    const tuner_tally_problem *top = tuner_tally_top(tally);
    double speedup = tuner_tally_speedup(tally);
    if (!top) return;
    ts_buf_printf(out, "%.2fx over the defaults of %zu problems; most %.2fx: %s: %s %.2f us",
                  speedup, tally->count, tuner_tally_speedup_of(top), top->text, top->best,
                  top->best_us);
}

static void write_lines(const tuner_progress *progress, double share, double left_s, size_t done,
                        size_t total, const char *note, ts_buf lines[TUNER_VIEW_LINES]) {
    char eta[32] = "?", bar[BAR_CELLS + 3] = "";
    int columns, rows;
    screen_size(&columns, &rows);
    if (!isnan(left_s)) format_duration(left_s, eta);
    for (int i = 0; i < BAR_CELLS; i++) bar[i + 1] = i < (int)(share * BAR_CELLS) ? '#' : '.';
    bar[0] = '[', bar[BAR_CELLS + 1] = ']';
    ts_buf_printf(&lines[0], "%-8s %s %3.0f %%  %zu/%zu  ETA %s", progress->stage,
                  columns < NARROW ? "" : bar, 100 * share, done, total, eta);
    if (!isnan(progress->busy_share))
        ts_buf_printf(&lines[0], "  device %.0f %% busy", 100 * progress->busy_share);
    if (!progress->tally) {
        ts_buf_printf(&lines[0], "  %s", note);
        return;
    }
    tuner_counts counts = tuner_tally_total(progress->tally);
    ts_buf_printf(&lines[1], "now      %s", note);
    ts_buf_printf(&lines[2], "best     ");
    write_best(progress->tally, &lines[2]);
    ts_buf_printf(&lines[3], "tried    ");
    tuner_counts_text(&counts, &lines[3]);
}

static void draw(tuner_progress *progress, ts_buf lines[TUNER_VIEW_LINES], int count) {
    int columns, rows;
    ts_buf out = {0};
    go_back(progress, &out);
    screen_size(&columns, &rows);
    bool one = columns < NARROW || rows < LOW || progress->dumb;
    progress->drawn = one ? 1 : count;
    for (int i = 0; i < progress->drawn; i++) {
        if (i) ts_buf_printf(&out, "\n");
        /* The last column stays free: a letter there may or may not wrap. */
        progress->widths[i] = tuner_cells_fit(lines[i].data ? lines[i].data : "", columns - 1,
                                              &out);
    }
    put(&out);
}

void tuner_progress_show(tuner_progress *progress, size_t done, size_t total, const char *note) {
    double now_s = tuner_now_s(), left_s;
    bool tell = progress->events && progress->tally && now_s - progress->told_s >= event_period_s;
    bool show = !progress->quiet && now_s - progress->shown_s >=
                                        (progress->terminal ? terminal_period_s : log_period_s);
    if (!tell && !show) return;
    double share = share_done(progress, done, total, &left_s);
    if (tell) {
        progress->told_s = now_s;
        tuner_event_progress(progress->stage, share, left_s, progress->busy_share, progress->tally);
    }
    if (!show) return;
    progress->shown_s = now_s;
    ts_buf lines[TUNER_VIEW_LINES] = {0};
    write_lines(progress, share, left_s, done, total, note, lines);
    if (progress->terminal)
        draw(progress, lines, progress->tally ? TUNER_VIEW_LINES : 1);
    else {
        ts_buf out = {0};
        char eta[32] = "?";
        if (!isnan(left_s)) format_duration(left_s, eta);
        ts_buf_printf(&out, "%s: %.0f %% (%zu of %zu), ETA %s  ", progress->stage, 100 * share,
                      done, total, eta);
        tuner_cells_fit(progress->tally && lines[2].data ? lines[2].data + 9 : note, PLAIN_COLUMNS,
                        &out);
        if (progress->tally) ts_buf_printf(&out, "; %s", lines[3].data + 9);
        ts_buf_printf(&out, "\n");
        put(&out);
    }
    for (int i = 0; i < TUNER_VIEW_LINES; i++) ts_buf_free(&lines[i]);
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
