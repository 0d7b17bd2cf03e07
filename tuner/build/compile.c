/* Entries to kernels. Equal sources compile once, which is the lab's business; afterwards each
 * entry learns whether its time was measured with the very kernel that was made here. */
#include "build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../progress.h"

static ts_status submit(tuner_build *build, tuner_build_entry *entry, ts_err *err) {
    tuner_candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "candidate");
    *candidate = (tuner_candidate){.problem = &entry->problem,
                                   .target = entry->target,
                                   .variant = entry->variant,
                                   .want = TUNER_WANT_COMPILED};
    entry->candidate = candidate;
    TS_TRY(tuner_lab_prepare(&build->session.lab, candidate, err));
    tuner_lab_submit(&build->session.lab, candidate);
    return TS_STATUS_OK;
}

static ts_status compile_all(tuner_build *build, tuner_progress *progress,
                             const volatile sig_atomic_t *interrupted, ts_err *err) {
    tuner_lab *lab = &build->session.lab;
    size_t next = 0, done = 0, count = tuner_build_count(build);
    tuner_progress_stage(progress, "compile", 0);
    while (!*interrupted) {
        while (next < count && tuner_lab_has_room(lab)) {
            tuner_build_entry *entry = tuner_build_at(build, next++);
            if (entry->left_out)
                done++;
            else
                TS_TRY(submit(build, entry, err));
        }
        tuner_candidate *candidate = NULL;
        TS_TRY(tuner_lab_next(lab, &candidate, err));
        if (!candidate && next == count) return TS_STATUS_OK;
        if (candidate) tuner_progress_show(progress, ++done, count, candidate->name);
    }
    return ts_fail(err, TS_STATUS_CANCELLED, "interrupted; nothing was written");
}

/* Would the signature be the text's with the compiler and oracle that it names? */
static bool same_source(const tuner_build_entry *entry) {
    char signature[TS_HASH_HEX];
    const db_winner *winner = &entry->text->winner;
    tuner_signature(entry->candidate->built->source_hash, winner->compiler, winner->oracle_hash,
                    signature);
    return strcmp(signature, entry->text->signature) == 0;
}

/* Says what is different, if this is not the kernel that was measured. */
static void compare(tuner_build_entry *entry, const tuner_compiler *compiler) {
    const db_text_winner *text = entry->text;
    bool same_abi = strcmp(text->abi, gen_family_abi(entry->problem.problem.family)) == 0;
    if (strcmp(text->winner.evidence, "measured") != 0) return;
    if (same_abi && strcmp(text->signature, entry->candidate->signature) == 0) return;
    if (!same_abi)
        snprintf(entry->changed, sizeof entry->changed, "measured with other arguments");
    else if (!same_source(entry))
        snprintf(entry->changed, sizeof entry->changed, "measured with other source");
    else if (strcmp(text->winner.compiler, compiler->name) != 0)
        snprintf(entry->changed, sizeof entry->changed, "measured with code of %.60s",
                 text->winner.compiler);
    else
        snprintf(entry->changed, sizeof entry->changed, "verified against another oracle");
}

static ts_status judge(tuner_build *build, tuner_build_entry *entry, ts_err *err) {
    const tuner_compiler *compiler = NULL;
    const tuner_run_result *result = &entry->candidate->result;
    if (strcmp(result->status, "ok") != 0) {
        entry->left_out = ts_arena_printf(&build->arena, "%s: %s", result->status, result->reason);
        if (!entry->left_out) entry->left_out = result->status;
        return TS_STATUS_OK;
    }
    TS_TRY(tuner_lab_compiler(&build->session.lab, gen_target_kind(entry->target), &compiler, err));
    if (entry->text) compare(entry, compiler);
    return TS_STATUS_OK;
}

ts_status tuner_build_compile(tuner_build *build, const volatile sig_atomic_t *interrupted,
                              ts_err *err) {
    tuner_progress progress;
    tuner_progress_init(&progress, build->session.options->quiet);
    ts_status status = compile_all(build, &progress, interrupted, err);
    build->session.lab.queued = 0; /* after a failure: the candidates are the entries' */
    tuner_progress_end(&progress);
    for (size_t i = 0; i < tuner_build_count(build) && status == TS_STATUS_OK; i++) {
        tuner_build_entry *entry = tuner_build_at(build, i);
        if (!entry->left_out) status = judge(build, entry, err);
    }
    return status;
}
