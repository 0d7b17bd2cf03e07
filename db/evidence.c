/* The rules by which one row replaces another when databases are merged.
 *
 * They are asked one after the other and the first that tells the two apart decides; each makes a
 * number of a row, of which the larger is better. The newer race comes before the narrower interval: it knows
 * the later templates, compiler and driver, while an interval is as narrow as the machine was quiet.
 */
#include "evidence.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* Seconds since 1970 as the tuner writes them; where a row does not say, before all that do. */
static double written_at(const char *text) {
    json_t *object = json_loads(text ? text : "", 0, NULL);
    const json_t *at = json_object_get(object, "at");
    double value = json_is_number(at) ? json_number_value(at) : -INFINITY;
    json_decref(object);
    return value;
}

static double is_measured(const db_winner *w) { return strcmp(w->evidence, "measured") == 0; }
static double is_raced(const db_winner *w) { return !isnan(w->ci_low_us); }
static double is_ranked(const db_winner *w) { return strcmp(w->verdict, DB_UNRANKED) != 0; }
static double raced_at(const db_winner *w) { return written_at(w->race); }

static double narrowness(const db_winner *w) {
    double width = (w->ci_high_us - w->ci_low_us) / w->time_us;
    return isnan(width) ? -INFINITY : -width;
}

static double speed(const db_winner *w) { return isnan(w->time_us) ? -INFINITY : -w->time_us; }

/* A shipped file leaves the samples out. */
static double is_recorded(const db_winner *w) { return strcmp(w->race, "{}") != 0; }

static const struct {
    double (*value)(const db_winner *);
    const char *why;
} rules[] = {
    {is_measured, "measured over predicted"}, {is_raced, "raced over provisional"},
    {is_ranked, "ranked over unranked"},      {raced_at, "the newer race"},
    {narrowness, "the narrower interval"},    {speed, "the faster one"},
    {is_recorded, "the race on record"},
};

int db_winner_compare(const db_winner *a, const char *a_hash, const db_winner *b,
                      const char *b_hash, const char **why) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        double x = rules[i].value(a), y = rules[i].value(b);
        *why = rules[i].why;
        if (x != y) return x > y ? 1 : -1;
    }
    *why = "equal evidence"; /* any rule that is the same everywhere */
    return strcmp(a_hash, b_hash);
}

int db_result_compare(const db_result *a, const char *a_hash, const db_result *b,
                      const char *b_hash) {
    double x = written_at(a->evidence), y = written_at(b->evidence);
    if (x != y) return x > y ? 1 : -1;
    return strcmp(a_hash, b_hash);
}
