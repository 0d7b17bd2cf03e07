/* The JSON of a model directory. The input is config.json and generation_config.json at once (their
 * fields have different names); the database is an empty one, so that preparing a model ends where
 * its first kernel is looked for, with all of both files read. */
#include <string.h>

#include "db/store.h"
#include "fuzz.h"
#include "runtime/model.h"
#include "runtime/model/engine.h"

static ts_engine *engine_of_empty_database(void) {
    static ts_engine *engine;
    if (engine) return engine;
    db_writer *writer = NULL;
    ts_engine_options options = ts_engine_defaults();
    options.device = "cpu";
    options.threads = 1;
    options.database = fuzz_path("empty.db");
    fuzz_require(db_writer_open(options.database, &writer, NULL) == TS_STATUS_OK, "a new database");
    db_writer_close(writer);
    fuzz_require(ts_engine_open(&options, &engine, NULL) == TS_STATUS_OK, "an engine");
    return engine;
}

static void count_problem(void *context, const char *problem) {
    size_t *count = context;
    fuzz_require(problem[0] != '\0', "a problem has a text");
    (*count)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ts_model *model = NULL;
    ts_err err = {0};
    ts_engine *engine = engine_of_empty_database();
    fuzz_file("model/config.json", data, size);
    fuzz_file("model/generation_config.json", data, size);
    const char *dir = fuzz_path("model");

    ts_status status = rt_model_prepare(engine, dir, TS_DTYPE_AUTO, &model, &err);
    fuzz_require(status != TS_STATUS_OK, "no model runs from an empty database");
    fuzz_check_error(status, &err);
    bool good = status == TS_STATUS_NOT_FOUND;
    if (good)
        fuzz_require(strstr(err.message, "tune --model"), "a missing kernel names its remedy");

    size_t problems = 0;
    err = (ts_err){0};
    status = rt_model_problems(dir, NULL, count_problem, &problems, &err);
    fuzz_check_error(status, &err);
    if (good) fuzz_require(status == TS_STATUS_OK && problems > 0, "a good model has problems");
    return 0;
}
