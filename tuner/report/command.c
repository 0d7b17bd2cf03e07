/* `tune report` and `tune --report`: which rows the page shows, and where it goes. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../campaign.h"
#include "../commands.h"
#include "page.h"

ts_status tuner_campaign_page(tuner_campaign *campaign, const char *path, double copy_gbytes,
                              ts_err *err) {
    const tuner_session *s = campaign->session;
    size_t count = 0;
    tuner_page_place *places = calloc(campaign->count + 1, sizeof *places);
    if (!places) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "report");
    for (size_t i = 0; i < campaign->count; i++)
        if (!campaign->tasks[i].default_only)
            places[count++] = (tuner_page_place){campaign->tasks[i].problem->text,
                                                 gen_target_name(s->target),
                                                 campaign->ledger.device.name};
    ts_status status = tuner_page_write(db_writer_reader(campaign->ledger.db), places, count,
                                        copy_gbytes, path, err);
    free(places);
    return status;
}

/* Every winner's place, or those of the named problems. */
static ts_status write_page(const char *path, char **problems, int count, const char *out,
                            ts_err *err) {
    db_image image = {0};
    db_reader *db = NULL;
    size_t found = 0;
    TS_TRY(db_image_load(path, NULL, &image, err));
    ts_status status = db_reader_open(path, &db, err);
    tuner_page_place *places = calloc(image.winner_count + 1, sizeof *places);
    if (status == TS_STATUS_OK && !places) status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "report");
    for (size_t i = 0; i < image.winner_count && status == TS_STATUS_OK; i++) {
        const db_winner *w = &image.winners[i].winner;
        bool wanted = count == 0;
        for (int p = 0; p < count && !wanted; p++) wanted = strcmp(problems[p], w->problem) == 0;
        if (wanted) places[found++] = (tuner_page_place){w->problem, w->target, w->device.name};
    }
    if (status == TS_STATUS_OK && found == 0)
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s holds no such problem; `tune ls` lists them",
                         path);
    if (status == TS_STATUS_OK) status = tuner_page_write(db, places, found, NAN, out, err);
    free(places);
    db_reader_close(db);
    db_image_free(&image);
    return status;
}

ts_status tuner_command_report(int argc, char **argv, int *exit_code, ts_err *err) {
    static const struct option longs[] = {
        {"db", required_argument, NULL, 'd'}, {"out", required_argument, NULL, 'o'}, {NULL}};
    const char *db = NULL, *out = "report.html";
    ts_buf path = {0};
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        if (id == 'd')
            db = optarg;
        else if (id == 'o')
            out = optarg;
        else
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option or missing value: %s",
                           argv[optind - 1]);
    }
    ts_status status = tuner_existing_database(db, &path, err);
    if (status == TS_STATUS_OK)
        status = write_page(path.data, argv + optind, argc - optind, out, err);
    ts_buf_free(&path);
    *exit_code = TUNER_EXIT_OK;
    return status;
}
