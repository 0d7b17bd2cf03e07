/* `tune`: the whole run, from options to the table of winners. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"
#include "commands.h"
#include "dry_run.h"
#include "local_copy.h"
#include "report.h"
#include "report/events.h"

/* ---- notices ---- */

static void say_device(tuner_campaign *campaign, const char *path) {
    const tuner_session *s = campaign->session;
    tuner_progress *progress = &campaign->progress;
    const char *target = gen_target_name(s->target);
    if (s->have_device) {
        tuner_progress_line(progress, "device: %s (%s), compiler: %s", s->facts.info.name, target,
                            campaign->compiler->name);
        if (s->facts.notice[0]) tuner_progress_line(progress, "%s", s->facts.notice);
        return;
    }
    if (s->any_device)
        tuner_progress_line(progress, "no %s device here; found: %s (%s)", target,
                            s->facts.info.name, s->facts.info.target);
    else
        tuner_progress_line(progress, "no %s device here; found: none", target);
    tuner_progress_line(
        progress,
        "compiling only: variants are ranked by a static model and the first is stored as predicted, "
        "which works but is not measured. On the target run the same command:\n"
        "  tune --gpu %s --db %s ...",
        target, path);
}

static void say_shard(tuner_campaign *campaign) {
    const tuner_session *s = campaign->session;
    if (s->options->shards)
        tuner_progress_line(&campaign->progress, "shard %d/%d: %zu of %zu problems",
                            s->options->shard, s->options->shards, s->selection.count,
                            s->selection.whole);
}

static void say_nothing_new(tuner_campaign *campaign, const char *path) {
    if (campaign->session->selection.count == 0) return; /* an empty shard has said so */
    tuner_progress_line(
        &campaign->progress,
        "nothing new to measure: %zu problems are up to date in %s (--fresh measures them again)",
        campaign->session->selection.count, path);
}

static bool has_work(const tuner_campaign *campaign) {
    for (size_t i = 0; i < campaign->count; i++)
        if (campaign->tasks[i].state == TUNER_TASK_COVERED && campaign->tasks[i].search)
            return true;
    return campaign->measured > 0;
}

/* ---- the report ---- */

static ts_status load_winners(tuner_campaign *campaign, db_winner *winners, size_t *count,
                              ts_err *err) {
    const tuner_session *s = campaign->session;
    *count = 0;
    for (size_t i = 0; i < s->selection.count; i++) {
        ts_status status = tuner_ledger_winner(&campaign->ledger, &s->selection.problems[i],
                                               s->target, &campaign->arena, &winners[*count], err);
        if (status == TS_STATUS_OK)
            (*count)++;
        else if (status != TS_STATUS_NOT_FOUND)
            return status;
    }
    return TS_STATUS_OK;
}

static ts_status report(tuner_campaign *campaign, ts_err *err) {
    const tuner_session *s = campaign->session;
    double copy_gbytes = 0;
    size_t count = 0;
    db_winner *winners = calloc(s->selection.count + 1, sizeof *winners);
    if (!winners) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "table of winners");
    tuner_progress_end(&campaign->progress);
    ts_status status = load_winners(campaign, winners, &count, err);
    for (size_t i = 0; i < count && s->options->json && status == TS_STATUS_OK; i++)
        if (strcmp(winners[i].evidence, "measured") == 0) tuner_report_winner(&winners[i]);
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++)
        tuner_tally_winner(&campaign->tally, &winners[i]);
    /* Without the limit the table only lacks a column. */
    if (s->have_device && count > 0 && (!s->options->json || s->options->report))
        tuner_lab_limit(&campaign->session->lab, &copy_gbytes, NULL);
    if (status == TS_STATUS_OK && !s->options->json && count > 0)
        tuner_report_table(winners, count, copy_gbytes);
    if (status == TS_STATUS_OK && s->options->report)
        status = tuner_campaign_page(campaign, s->options->report, copy_gbytes, err);
    free(winners);
    return status;
}

static void say_totals(tuner_campaign *campaign) {
    const tuner_tally *tally = &campaign->tally;
    tuner_counts total = tuner_tally_total(tally);
    ts_buf text = {0};
    tuner_counts_text(&total, &text);
    if (!text.failed && text.data && isnan(tuner_tally_speedup(tally))) /* nothing was timed */
        tuner_progress_line(&campaign->progress, "%s", text.data);
    else if (!text.failed && text.data)
        tuner_progress_line(&campaign->progress,
                            "%s; %zu winners of %zu problems, %.2fx over the defaults", text.data,
                            tuner_tally_winners(tally), tally->count, tuner_tally_speedup(tally));
    ts_buf_free(&text);
}

/* ---- the run ---- */

static size_t count_failed(const tuner_campaign *campaign) {
    size_t failed = campaign->failed;
    for (size_t i = 0; i < campaign->count; i++) {
        const tuner_task *task = &campaign->tasks[i];
        failed += task->state == TUNER_TASK_FAILED;
        failed += task->state == TUNER_TASK_ABSENT && task->problem->required &&
                  !task->default_only;
    }
    return failed;
}

static ts_status run_stages(tuner_campaign *campaign, ts_err *err) {
    tuner_session *s = campaign->session;
    TS_TRY(tuner_campaign_cover(campaign, err));
    if (!s->have_device)
        return *campaign->interrupted ? TS_STATUS_OK : tuner_campaign_predict(campaign, err);
    if (!*campaign->interrupted) TS_TRY(tuner_campaign_hunt(campaign, err));
    if (!*campaign->interrupted) TS_TRY(tuner_campaign_finals(campaign, err));
    return *campaign->interrupted ? tuner_campaign_keep_best(campaign, err) : TS_STATUS_OK;
}

static ts_status write_meta(tuner_campaign *campaign, ts_err *err) {
    TS_TRY(db_meta_set(campaign->ledger.db, "tunesmith", ts_version(), err));
    return db_meta_set(campaign->ledger.db, "compiler", campaign->compiler->name, err);
}

/* Predictions are made for any device of the target, not for the one that happens to be here. */
static ts_status open_ledger(tuner_campaign *campaign, const char *path, ts_err *err) {
    const tuner_session *s = campaign->session;
    rt_device_info *any = &campaign->any_device.info;
    snprintf(any->target, sizeof any->target, "%s", gen_target_name(s->target));
    return tuner_ledger_open(&campaign->ledger, path,
                             s->have_device ? &s->facts : &campaign->any_device, err);
}

/* `path` is what the user knows the database as, `file` what is written. */
static ts_status run_campaign(tuner_campaign *campaign, const char *path, const char *file,
                              int *exit_code, ts_err *err) {
    /* First, so that a wrong one leaves no empty file behind. */
    TS_TRY(tuner_session_compiler(campaign->session, &campaign->compiler, err));
    /* Only for guesses: a file that cannot be read is refused where it is opened to be written. */
    if (!campaign->session->options->fresh &&
        db_image_open(file, NULL, &campaign->stored, NULL) != TS_STATUS_OK)
        campaign->stored = (db_image){0};
    TS_TRY(open_ledger(campaign, file, err));
    campaign->session->lab.exclusive = campaign->session->have_device &&
                                       gen_target_kind(campaign->session->target) == GEN_CPU;
    TS_TRY(tuner_campaign_plan(campaign, err));
    say_device(campaign, path);
    say_shard(campaign);
    TS_TRY(write_meta(campaign, err));
    TS_TRY(tuner_campaign_account(campaign, err));
    campaign->progress.tally = &campaign->tally;
    campaign->progress.events = campaign->session->options->json;
    if (campaign->progress.events)
        tuner_event_start(campaign->ledger.device.name, gen_target_name(campaign->session->target),
                          campaign->compiler->name, &campaign->tally);
    TS_TRY(run_stages(campaign, err));
    if (!has_work(campaign) && !*campaign->interrupted && count_failed(campaign) == 0)
        say_nothing_new(campaign, path);
    TS_TRY(report(campaign, err));
    *exit_code = count_failed(campaign) ? TUNER_EXIT_FAILED : TUNER_EXIT_OK;
    if (*campaign->interrupted) {
        *exit_code = TUNER_EXIT_FAILED;
        tuner_progress_line(
            &campaign->progress,
            "interrupted: everything measured is in %s; run the same command to go on", path);
    }
    if (campaign->measured > 0) say_totals(campaign);
    if (campaign->progress.events)
        tuner_event_end(*campaign->interrupted            ? "interrupted"
                        : *exit_code == TUNER_EXIT_FAILED ? "failed"
                                                          : "ok",
                        campaign->measured, &campaign->tally);
    return TS_STATUS_OK;
}

static ts_status run_on_local_disk(tuner_campaign *campaign, const char *path, int *exit_code,
                                   ts_err *err) {
    tuner_local_copy copy;
    ts_status status = tuner_local_copy_make(path, &copy, err);
    if (status == TS_STATUS_OK && copy.path)
        tuner_progress_line(&campaign->progress,
                            "%s is on a network file system (%s): working on %s until the end",
                            path, copy.kind, copy.path);
    if (status == TS_STATUS_OK)
        status = run_campaign(campaign, path, copy.path ? copy.path : path, exit_code, err);
    tuner_ledger_close(&campaign->ledger);
    if (status == TS_STATUS_OK) status = tuner_local_copy_publish(&copy, err);
    tuner_local_copy_free(&copy);
    return status;
}

ts_status tuner_command_tune(int argc, char **argv, int *exit_code, ts_err *err) {
    tuner_options options;
    tuner_session session;
    ts_buf path = {0};
    TS_TRY(tuner_options_parse(argc, argv, "tune", &options, err));
    if (!tuner_strategy_find(options.strategy)) {
        ts_buf known = {0};
        for (const tuner_strategy *s = tuner_strategies; s->name; s++)
            ts_buf_printf(&known, "\n  %-12s %s", s->name, s->help);
        ts_status status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                                   "no strategy \"%s\"; there are:%s", options.strategy,
                                   known.data ? known.data : "");
        ts_buf_free(&known);
        return status;
    }
    tuner_campaign campaign = {.session = &session, .interrupted = &tuner_interrupted};
    tuner_progress_init(&campaign.progress, options.quiet);
    ts_status status = tuner_session_open(&session, &options, "model", &tuner_interrupted, err);
    if (status == TS_STATUS_OK && options.dry_run)
        status = tuner_dry_run(&session, exit_code, err);
    else if (status == TS_STATUS_OK) {
        status = tuner_database_path(options.db, &path, err);
        if (status == TS_STATUS_OK)
            status = run_on_local_disk(&campaign, path.data, exit_code, err);
    }
    tuner_progress_end(&campaign.progress);
    tuner_campaign_free(&campaign);
    tuner_session_close(&session);
    ts_buf_free(&path);
    return status;
}
