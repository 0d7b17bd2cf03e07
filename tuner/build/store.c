/* Kernels and winners into a new database.
 *
 * A measured winner whose kernel came out as the one that was measured is stored as the text has it.
 * Where it did not, nobody has run the kernel that is stored: the row says "predicted" and names
 * what was measured in its verdict; its times are empty, and what the text said of them moves to
 * `race`, below "measured". It keeps the device's name, unlike the static model's predictions: there
 * it was the best choice once, the runtime uses it in its place, and the tuner tries it first.
 */
#include "build.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/tunesmith_kernels.h"
#include "../ledger.h"

/* ---- a winner whose kernel is another ---- */

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* {"measured": {...}}; NULL: out of memory. */
static char *former_race(const db_text_winner *text) {
    const db_winner *w = &text->winner;
    json_t *race = json_loads(w->race, 0, NULL);
    json_t *former = json_pack(
        "{s{ss ss so so so so so*}}", "measured", "signature", text->signature, "verdict",
        w->verdict, "time_us", number(w->time_us), "ci_low_us", number(w->ci_low_us), "ci_high_us",
        number(w->ci_high_us), "default_us", number(w->default_us), "race", race);
    char *out = former ? json_dumps(former, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(former);
    return out;
}

static ts_status write_winner(const tuner_build_entry *entry, db_writer *db, int64_t kernel_id,
                              ts_err *err) {
    db_winner winner = entry->text->winner;
    winner.problem = entry->problem.text;
    winner.variant = entry->candidate->name;
    winner.kernel_id = kernel_id;
    if (!entry->changed[0]) return db_write_winner(db, &winner, err);
    char *race = former_race(entry->text);
    if (!race) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "evidence of a winner");
    winner.evidence = "predicted";
    winner.verdict = entry->changed;
    winner.time_us = winner.ci_low_us = winner.ci_high_us = winner.default_us = NAN;
    winner.race = race;
    ts_status status = db_write_winner(db, &winner, err);
    free(race);
    return status;
}

/* ---- the file ---- */

static ts_status write_entry(tuner_build *build, const tuner_build_entry *entry,
                             tuner_ledger *ledger, ts_err *err) {
    const tuner_compiler *compiler = NULL;
    int64_t id = 0;
    TS_TRY(tuner_lab_compiler(&build->session.lab, gen_target_kind(entry->target), &compiler, err));
    TS_TRY(tuner_ledger_kernel(ledger, entry->candidate, compiler, entry->is_default, &id, err));
    return entry->text ? write_winner(entry, ledger->db, id, err) : TS_STATUS_OK;
}

static ts_status write_rows(tuner_build *build, tuner_ledger *ledger, ts_err *err) {
    size_t winners = 0;
    for (size_t i = 0; i < tuner_build_count(build); i++) {
        const tuner_build_entry *entry = tuner_build_at(build, i);
        if (entry->left_out) continue;
        winners += entry->text != NULL;
        TS_TRY(write_entry(build, entry, ledger, err));
    }
    if (winners == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "nothing is left to store; see what was left out");
    TS_TRY(db_meta_set(ledger->db, "tunesmith", ts_version(), err));
    return db_meta_set(ledger->db, "built", "from text", err);
}

ts_status tuner_build_store(tuner_build *build, const char *path, ts_err *err) {
    tuner_ledger ledger = {0};
    ts_buf scratch = {0};
    tuner_make_folder_of(path);
    ts_buf_printf(&scratch, "%s.%ld.new", path, (long)getpid());
    if (scratch.failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "path of the database");
    unlink(scratch.data);
    ts_status status = db_writer_open(scratch.data, &ledger.db, err);
    if (status == TS_STATUS_OK) status = write_rows(build, &ledger, err);
    tuner_ledger_close(&ledger);
    /* link, not rename: a file that appeared meanwhile is not replaced. */
    if (status == TS_STATUS_OK && link(scratch.data, path) != 0)
        status = ts_fail(err, TS_STATUS_IO, "cannot make %s: %m", path);
    unlink(scratch.data);
    ts_buf_free(&scratch);
    return status;
}
