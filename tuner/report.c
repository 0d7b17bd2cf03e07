/* Tables and JSON lines. Every line is flushed: a reader at the other end of a pipe sees it at
 * once. */
#include "report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* JSON has no NaN: a value that does not exist is null. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *count_or_null(int32_t value) {
    return value >= 0 ? json_integer(value) : json_null();
}

static void print_line(json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(object);
    putchar('\n');
    fflush(stdout);
}

void tuner_report_result(const tuner_candidate *c) {
    print_line(json_pack("{ss ss ss ss so}", "problem", c->problem->text, "variant", c->name,
                         "status", c->result.status, "reason", c->result.reason, "time_us",
                         number(c->result.time_us)));
}

void tuner_report_listed(const tuner_listed *listed, bool json) {
    static const tuner_compiled nothing = {.registers = -1, .spill_bytes = -1, .shared_bytes = -1};
    const tuner_candidate *c = listed->candidate;
    const tuner_compiled *compiled = c->built ? &c->built->compiled : &nothing;
    if (json) {
        print_line(json_pack("{ss ss ss ss ss so so so ss so so}", "family",
                             gen_family_name(c->problem->problem.family), "variant", c->name,
                             "target", gen_target_name(c->target), "status", c->result.status,
                             "reason", c->result.reason, "registers",
                             count_or_null(compiled->registers), "spill_bytes",
                             count_or_null(compiled->spill_bytes), "shared_bytes",
                             count_or_null(compiled->shared_bytes), "spec", c->problem->spec,
                             "estimate_us", number(listed->estimate_us), "rank",
                             listed->rank ? json_integer((json_int_t)listed->rank) : json_null()));
        return;
    }
    if (listed->rank)
        printf("%4zu %10.1f us  ", listed->rank, listed->estimate_us);
    else
        printf("%4s %10s     ", "-", "-");
    printf("%-10s %s  %s", c->result.status, c->name, c->problem->spec);
    if (compiled->registers >= 0)
        printf("  %d registers, %d bytes spilled, %d bytes shared", compiled->registers,
               compiled->spill_bytes, compiled->shared_bytes);
    printf("%s%s\n", c->result.reason[0] ? "  " : "", c->result.reason);
    fflush(stdout);
}

void tuner_report_winner(const db_winner *w) {
    print_line(json_pack("{ss ss so so so so so}", "problem", w->problem, "variant", w->variant,
                         "time_us", number(w->time_us), "default_us", number(w->default_us),
                         "speedup", number(w->default_us / w->time_us), "ci_low_us",
                         number(w->ci_low_us), "ci_high_us", number(w->ci_high_us)));
}

/* ---- the table ---- */

enum { CELL_BYTES = 200, COLUMNS = 8 };
typedef char table_row[COLUMNS][CELL_BYTES];

static const char *const headings[COLUMNS] = {"problem",  "winner", "time us", "default us",
                                              "speed-up", "GB/s",   "GFLOP/s", "of copy limit"};

static void format_number(char cell[CELL_BYTES], const char *format, double value) {
    if (!isfinite(value))
        snprintf(cell, CELL_BYTES, "-");
    else
        snprintf(cell, CELL_BYTES, format, value);
}

static void fill_row(table_row row, const db_winner *w, double copy_gbytes) {
    double time_s = 1e-6 * w->time_us, gbytes = w->gbytes / time_s;
    const char *version = strchr(w->variant, '/');
    snprintf(row[0], CELL_BYTES, "%s", w->problem);
    snprintf(row[1], CELL_BYTES, "%s", version ? version + 1 : w->variant);
    format_number(row[2], "%.2f", w->time_us);
    format_number(row[3], "%.2f", w->default_us);
    format_number(row[4], "%.2fx", w->default_us / w->time_us);
    if (strcmp(w->evidence, "measured") != 0)
        snprintf(row[4], CELL_BYTES, "%s, %s", w->evidence, w->verdict);
    else if (strcmp(w->verdict, "win") != 0)
        snprintf(row[4], CELL_BYTES, "%s", w->verdict);
    format_number(row[5], "%.1f", gbytes);
    format_number(row[6], "%.1f", w->gflops / time_s);
    format_number(row[7], "%.0f %%", copy_gbytes > 0 ? 100 * gbytes / copy_gbytes : NAN);
}

static void print_row(table_row row, const int widths[COLUMNS]) {
    for (int c = 0; c < COLUMNS; c++) printf(c < 2 ? "%-*s  " : "%*s  ", widths[c], row[c]);
    putchar('\n');
}

void tuner_report_table(const db_winner *winners, size_t count, double copy_gbytes) {
    int widths[COLUMNS];
    static table_row row;
    for (int c = 0; c < COLUMNS; c++) widths[c] = (int)strlen(headings[c]);
    for (size_t i = 0; i < count; i++) {
        fill_row(row, &winners[i], copy_gbytes);
        for (int c = 0; c < COLUMNS; c++)
            if ((int)strlen(row[c]) > widths[c]) widths[c] = (int)strlen(row[c]);
    }
    for (int c = 0; c < COLUMNS; c++) snprintf(row[c], CELL_BYTES, "%s", headings[c]);
    print_row(row, widths);
    for (size_t i = 0; i < count; i++) {
        fill_row(row, &winners[i], copy_gbytes);
        print_row(row, widths);
    }
    if (copy_gbytes > 0)
        printf("copy limit: %.1f GB/s read plus written, measured on this device by a plain copy;\n"
               "above 100 %% the data came from a cache, far below it the arithmetic decides\n",
               copy_gbytes);
    fflush(stdout);
}
