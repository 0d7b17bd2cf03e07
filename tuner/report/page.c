/* From database rows to the page. */
#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../runtime/tunesmith_kernels.h"
#include "assets.h"

/* ---- one problem ---- */

typedef struct rows {
    tuner_tally *tally;
    const char *key;
    json_t *list;
} rows;

static json_t *when(const char *evidence) {
    json_t *object = json_loads(evidence, 0, NULL), *at = json_object_get(object, "at");
    json_t *copy = json_is_number(at) ? json_copy(at) : json_null();
    json_decref(object);
    return copy;
}

static void take_result(void *context, const db_result *result) {
    rows *r = context;
    tuner_tally_result(r->tally, r->key, result->variant, result->signature, result->status,
                       result->time_us);
    json_array_append_new(r->list, json_pack("{ss ss ss so so}", "variant", result->variant,
                                             "status", result->status, "reason", result->reason,
                                             "time_us", tuner_json_number(result->time_us), "at",
                                             when(result->evidence)));
}

/* The winner's interval is what the row itself has of the race. */
static json_t *finalists(const db_winner *w) {
    json_t *race = json_loads(w->race ? w->race : "{}", 0, NULL);
    json_t *raced = json_incref(json_object_get(race, "finalists"));
    json_decref(race);
    if (json_array_size(raced) > 0) return raced;
    json_decref(raced);
    return json_pack("[{ss so so so}]", "variant", w->variant, "median_us",
                     tuner_json_number(w->time_us), "ci_low_us", tuner_json_number(w->ci_low_us),
                     "ci_high_us", tuner_json_number(w->ci_high_us));
}

static json_t *winner_json(const db_winner *w) {
    return json_pack("{ss ss ss so so so so so so so}", "variant", w->variant, "verdict",
                     w->verdict, "evidence", w->evidence, "time_us", tuner_json_number(w->time_us),
                     "default_us", tuner_json_number(w->default_us), "ci_low_us",
                     tuner_json_number(w->ci_low_us), "ci_high_us",
                     tuner_json_number(w->ci_high_us), "gflops", tuner_json_number(w->gflops),
                     "gbytes", tuner_json_number(w->gbytes), "finalists", finalists(w));
}

static ts_status add_place(db_reader *db, const tuner_page_place *place, const char *key,
                           tuner_tally *tally, json_t *problems, ts_err *err) {
    ts_arena arena = {0};
    db_winner winner;
    rows r = {tally, key, json_array()};
    json_t *chosen = json_null();
    TS_TRY(db_each_result(db, place->problem, place->target, place->device, take_result, &r, err));
    ts_status status = db_read_winner(db, place->problem, place->target, place->device, &arena,
                                      &winner, err);
    if (status == TS_STATUS_OK) {
        winner.problem = key;
        tuner_tally_winner(tally, &winner);
        chosen = winner_json(&winner);
    }
    ts_arena_free(&arena);
    const tuner_tally_problem *p = tuner_tally_problem_of(tally, key);
    if (!p || (status != TS_STATUS_OK && status != TS_STATUS_NOT_FOUND)) {
        json_decref(r.list), json_decref(chosen);
        return p ? status : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "report");
    }
    json_t *object = tuner_counts_json(&p->counts);
    json_object_set_new(object, "problem", json_string(key));
    json_object_set_new(object, "best", tuner_tally_best_json(p));
    json_object_set_new(object, "winner", chosen);
    json_object_set_new(object, "results", r.list);
    json_array_append_new(problems, object);
    return TS_STATUS_OK;
}

/* ---- all ---- */

static bool one_place(const tuner_page_place *places, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (strcmp(places[i].target, places[0].target) != 0 ||
            strcmp(places[i].device, places[0].device) != 0)
            return false;
    return true;
}

static ts_status collect(db_reader *db, const tuner_page_place *places, size_t count,
                         double copy_gbytes, json_t **out, ts_err *err) {
    tuner_tally tally = {0};
    json_t *problems = json_array();
    bool one = one_place(places, count);
    char date[32] = "";
    time_t now = time(NULL);
    struct tm local;
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++) {
        ts_buf key = {0}; /* one account a problem and device */
        ts_buf_printf(&key, "%s", places[i].problem);
        if (!one) ts_buf_printf(&key, " on %s (%s)", places[i].device, places[i].target);
        status = key.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "report")
                            : add_place(db, &places[i], key.data, &tally, problems, err);
        ts_buf_free(&key);
    }
    if (localtime_r(&now, &local)) strftime(date, sizeof date, "%Y-%m-%d %H:%M", &local);
    bool known = copy_gbytes > 0 && isfinite(copy_gbytes);
    *out = json_pack("{ss ss ss ss so so so}", "version", ts_version(), "date", date, "device",
                     one && count && *places[0].device ? places[0].device : "several devices",
                     "target", one && count ? places[0].target : "", "copy_gbytes",
                     known ? json_real(copy_gbytes) : json_null(), "tally",
                     tuner_tally_json(&tally), "problems", problems);
    if (status == TS_STATUS_OK && (!*out || tally.failed))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "report");
    tuner_tally_free(&tally);
    return status;
}

/* JSON inside a script element: "<" would be able to end the element. */
static void put_data(ts_buf *page, json_t *data) {
    char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(7));
    for (const char *at = text; at && *at;) {
        size_t plain = strcspn(at, "<>&");
        ts_buf_append(page, at, plain);
        at += plain;
        if (*at) ts_buf_printf(page, "\\u%04x", (unsigned)(unsigned char)*at++);
    }
    if (!text) page->failed = true;
    free(text);
}

ts_status tuner_page_write(db_reader *db, const tuner_page_place *places, size_t count,
                           double copy_gbytes, const char *path, ts_err *err) {
    json_t *data = NULL;
    ts_buf page = {0};
    ts_status status = collect(db, places, count, copy_gbytes, &data, err);
    if (status == TS_STATUS_OK) {
        ts_buf_printf(&page,
                      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                      "<title>Tunesmith: what was tuned</title>\n<style>%s</style></head>\n"
                      "<body><main id=\"page\"></main>\n<script type=\"application/json\" "
                      "id=\"data\">",
                      tuner_page_style);
        put_data(&page, data);
        ts_buf_printf(&page, "</script>\n<script>");
        ts_buf_append(&page, tuner_page_chart_js, strlen(tuner_page_chart_js));
        ts_buf_printf(&page, "</script>\n<script>");
        ts_buf_append(&page, tuner_page_script, strlen(tuner_page_script));
        ts_buf_printf(&page, "</script>\n</body></html>\n");
        status = page.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "report")
                             : ts_file_write(path, page.data, page.bytes, err);
    }
    json_decref(data);
    ts_buf_free(&page);
    return status;
}
