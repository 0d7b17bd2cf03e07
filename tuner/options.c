/* getopt_long over one table; every option says for which command it is and how its value is read.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "templates_dir.h"

enum command_bits { TUNE = 1, CHECK = 2, REGRET = 4, VERIFY = 8, BUILD = 16 };

static const struct {
    const char *name;
    int bit;
} commands[] = {
    {"tune", TUNE}, {"check", CHECK}, {"regret", REGRET}, {"verify", VERIFY}, {"build", BUILD},
};

static ts_status read_number(const char *name, const char *text, double low, double high,
                             double *out, ts_err *err) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !(value >= low && value <= high))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "--%s %s: not a number from %.0f to %.0f",
                       name, text, low, high);
    *out = value;
    return TS_STATUS_OK;
}

/* "90", "90s", "3m", "1h" */
static ts_status read_duration(const char *name, const char *text, double *out, ts_err *err) {
    static const struct {
        const char *suffix;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (end == text || strcmp(end, units[i].suffix) != 0 || !(value >= 0 && value < 1e7))
            continue;
        *out = value * units[i].seconds;
        return TS_STATUS_OK;
    }
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "--%s %s: not a time such as 90s, 3m or 1h",
                   name, text);
}

/* "2/8": plain digits, from 1. */
static ts_status read_shard(const char *text, int *shard, int *shards, ts_err *err) {
    enum { MOST = 100000 };
    long numbers[2] = {0, 0};
    const char *at = text;
    for (int i = 0; i < 2; i++) {
        size_t digits = strspn(at, "0123456789");
        if (digits == 0 || digits > 6 || at[digits] != (i ? '\0' : '/')) break;
        numbers[i] = strtol(at, NULL, 10);
        at += digits + 1;
    }
    if (numbers[0] < 1 || numbers[0] > numbers[1] || numbers[1] > MOST)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "--shard %s: not I/N such as 2/8, with I from 1 to N and N up to %d", text,
                       MOST);
    *shard = (int)numbers[0];
    *shards = (int)numbers[1];
    return TS_STATUS_OK;
}

static ts_status add_pick(tuner_options *o, tuner_pick_kind kind, const char *text, ts_err *err) {
    if (o->pick_count == TUNER_MAX_PICKS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "more than %d selections", TUNER_MAX_PICKS);
    o->picks[o->pick_count++] = (tuner_pick){kind, text};
    return TS_STATUS_OK;
}

static ts_status add_templates(tuner_options *o, const char *dir, ts_err *err) {
    size_t count = 0;
    while (o->template_dirs[count]) count++;
    if (count == TUNER_MAX_TEMPLATE_DIRS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "more than %d --templates",
                       TUNER_MAX_TEMPLATE_DIRS - 1);
    o->template_dirs[count] = dir;
    return TS_STATUS_OK;
}

static ts_status set_gpu(tuner_options *o, const char *name, ts_err *err) {
    size_t count = 0;
    while (o->gpus[count]) count++;
    if (count == TUNER_MAX_GPUS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "more than %d --gpu", TUNER_MAX_GPUS);
    o->gpu = o->gpus[count] = name;
    return TS_STATUS_OK;
}

enum option_id {
    OPT_GPU,
    OPT_DB,
    OPT_MODEL,
    OPT_FAMILY,
    OPT_PROBLEM,
    OPT_DTYPE,
    OPT_SHARD,
    OPT_BUDGET,
    OPT_TIMEOUT,
    OPT_DEVICE,
    OPT_TEMPLATES,
    OPT_TEMPLATES_ROOT,
    OPT_STRATEGY,
    OPT_SEED,
    OPT_JOBS,
    OPT_FRESH,
    OPT_DRY_RUN,
    OPT_REQUIRE_DEVICE,
    OPT_JSON,
    OPT_QUIET,
    OPT_REPORT,
    OPT_SAMPLE,
    OPT_COMPILE_ONLY,
    OPT_AGAINST,
    OPT_HELD_OUT,
    OPT_VARIANT,
    OPT_TIME,
    OPT_PTX,
    OPT_NVRTC,
    OPT_COUNT
};

static const struct option_row {
    const char *name;
    bool takes_value;
    int commands;
} rows[OPT_COUNT] = {
    [OPT_GPU] = {"gpu", true, TUNE | CHECK | REGRET | VERIFY | BUILD},
    [OPT_DB] = {"db", true, TUNE | REGRET | VERIFY | BUILD},
    [OPT_MODEL] = {"model", true, TUNE | CHECK | VERIFY},
    [OPT_FAMILY] = {"family", true, TUNE | CHECK | VERIFY},
    [OPT_PROBLEM] = {"problem", true, TUNE | CHECK | VERIFY},
    [OPT_DTYPE] = {"dtype", true, TUNE | CHECK | VERIFY},
    [OPT_SHARD] = {"shard", true, TUNE},
    [OPT_BUDGET] = {"budget", true, TUNE},
    [OPT_TIMEOUT] = {"timeout", true, TUNE | CHECK | REGRET | VERIFY},
    [OPT_DEVICE] = {"device", true, TUNE | CHECK | VERIFY},
    [OPT_TEMPLATES] = {"templates", true, TUNE | CHECK | REGRET | VERIFY | BUILD},
    [OPT_TEMPLATES_ROOT] = {"templates-root", true, TUNE | CHECK | REGRET | VERIFY | BUILD},
    [OPT_STRATEGY] = {"strategy", true, TUNE},
    [OPT_SEED] = {"seed", true, TUNE | CHECK | VERIFY},
    [OPT_JOBS] = {"jobs", true, TUNE | CHECK | REGRET | BUILD},
    [OPT_FRESH] = {"fresh", false, TUNE},
    [OPT_DRY_RUN] = {"dry-run", false, TUNE},
    [OPT_REQUIRE_DEVICE] = {"require-device", false, TUNE | CHECK},
    [OPT_JSON] = {"json", false, TUNE | REGRET | VERIFY},
    [OPT_REPORT] = {"report", true, TUNE},
    [OPT_QUIET] = {"quiet", false, TUNE | CHECK | REGRET | VERIFY | BUILD},
    [OPT_SAMPLE] = {"sample", true, CHECK | VERIFY},
    [OPT_AGAINST] = {"against", true, VERIFY},
    [OPT_HELD_OUT] = {"held-out", false, VERIFY},
    [OPT_COMPILE_ONLY] = {"compile-only", false, CHECK},
    [OPT_VARIANT] = {"variant", true, CHECK},
    [OPT_TIME] = {"time", false, CHECK},
    [OPT_PTX] = {"ptx", true, CHECK},
    [OPT_NVRTC] = {"nvrtc", true, TUNE | CHECK | BUILD},
};

static ts_status add_variant(tuner_options *o, const char *value, ts_err *err) {
    size_t count = 0;
    while (o->variants[count]) count++;
    if (count == TUNER_MAX_VARIANTS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "more than %d --variant",
                       TUNER_MAX_VARIANTS);
    o->variants[count] = value;
    return TS_STATUS_OK;
}

static ts_status set_number(tuner_options *o, enum option_id id, const char *value, ts_err *err) {
    const char *name = rows[id].name;
    double number = 0;
    switch (id) {
    case OPT_SEED:
        TS_TRY(read_number(name, value, 0, 1e15, &number, err));
        o->seed = (uint64_t)number;
        return TS_STATUS_OK;
    case OPT_JOBS:
        TS_TRY(read_number(name, value, 1, 128, &number, err));
        o->jobs = (int)number;
        return TS_STATUS_OK;
    default:
        TS_TRY(read_number(name, value, 0, 1e6, &number, err));
        o->sample = (int)number;
        return TS_STATUS_OK;
    }
}

static ts_status set_option(tuner_options *o, enum option_id id, const char *value, ts_err *err) {
    switch (id) {
    case OPT_GPU: return set_gpu(o, value, err);
    case OPT_DB: o->db = value; return TS_STATUS_OK;
    case OPT_MODEL: return add_pick(o, TUNER_PICK_MODEL, value, err);
    case OPT_FAMILY: return add_pick(o, TUNER_PICK_FAMILY, value, err);
    case OPT_PROBLEM: return add_pick(o, TUNER_PICK_PROBLEM, value, err);
    case OPT_DEVICE: o->device = value; return TS_STATUS_OK;
    case OPT_DTYPE: o->dtypes = value; return TS_STATUS_OK;
    case OPT_SHARD: return read_shard(value, &o->shard, &o->shards, err);
    case OPT_BUDGET: return tuner_budget_parse(value, &o->budget, err);
    case OPT_TIMEOUT: return read_duration("timeout", value, &o->timeout_s, err);
    case OPT_TEMPLATES: return add_templates(o, value, err);
    case OPT_TEMPLATES_ROOT: o->template_dirs[0] = value; return TS_STATUS_OK;
    case OPT_STRATEGY: o->strategy = value; return TS_STATUS_OK;
    case OPT_REPORT: o->report = value; return TS_STATUS_OK;
    case OPT_FRESH: o->fresh = true; return TS_STATUS_OK;
    case OPT_DRY_RUN: o->dry_run = true; return TS_STATUS_OK;
    case OPT_REQUIRE_DEVICE: o->require_device = true; return TS_STATUS_OK;
    case OPT_JSON: o->json = true; return TS_STATUS_OK;
    case OPT_QUIET: o->quiet = true; return TS_STATUS_OK;
    case OPT_AGAINST: o->against = value; return TS_STATUS_OK;
    case OPT_HELD_OUT: o->held_out = true; return TS_STATUS_OK;
    case OPT_COMPILE_ONLY: o->compile_only = true; return TS_STATUS_OK;
    case OPT_VARIANT: return add_variant(o, value, err);
    case OPT_TIME: o->time = true; return TS_STATUS_OK;
    case OPT_PTX: o->ptx = value; return TS_STATUS_OK;
    case OPT_NVRTC: o->nvrtc = value; return TS_STATUS_OK;
    default: return set_number(o, id, value, err);
    }
}

ts_status tuner_options_parse(int argc, char **argv, const char *command, tuner_options *out,
                              ts_err *err) {
    bool is_tune = strcmp(command, "tune") == 0;
    int bit = 0;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(command, commands[i].name) == 0) bit = commands[i].bit;
    struct option longs[OPT_COUNT + 1] = {0};
    for (int i = 0; i < OPT_COUNT; i++)
        longs[i] = (struct option){
            rows[i].name, rows[i].takes_value ? required_argument : no_argument, NULL, 256 + i};
    tuner_options o = {.gpu = "auto",
                       .budget = {TUNER_BUDGET_TIME, 180},
                       .timeout_s = 40,
                       .strategy = "auto",
                       .seed = 1,
                       .sample = -1};
    o.template_dirs[0] = ""; /* not chosen yet */
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        if (id == '?' && optopt > 0 && optopt < 256) /* one letter, maybe of a group */
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option -%c", optopt);
        if (id == '?')
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option %s", argv[optind - 1]);
        if (id == ':')
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s needs a value", argv[optind - 1]);
        if (!(rows[id - 256].commands & bit))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "--%s is not an option of `tune%s%s`",
                           rows[id - 256].name, is_tune ? "" : " ", is_tune ? "" : command);
        TS_TRY(set_option(&o, (enum option_id)(id - 256), optarg, err));
    }
    if (optind < argc && bit != BUILD)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unexpected argument %s", argv[optind]);
    o.files = argv + optind;
    o.file_count = argc - optind;
    if (!*o.template_dirs[0]) TS_TRY(tuner_templates_dir(&o.template_dirs[0], err));
    *out = o;
    return TS_STATUS_OK;
}

ts_status tuner_database_path(const char *option, ts_buf *out, ts_err *err) {
    const char *chosen = option ? option : getenv("TUNESMITH_DB");
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (chosen && *chosen)
        ts_buf_printf(out, "%s", chosen);
    else if (data && *data)
        ts_buf_printf(out, "%s/tunesmith/tunesmith.db", data);
    else if (home && *home)
        ts_buf_printf(out, "%s/.local/share/tunesmith/tunesmith.db", home);
    else
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "no place for the database; use --db FILE");
    if (out->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "path of the database");
    return TS_STATUS_OK;
}

ts_status tuner_existing_database(const char *option, ts_buf *out, ts_err *err) {
    TS_TRY(tuner_database_path(option, out, err));
    if (access(out->data, R_OK) != 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "no database %s; `tune` makes one", out->data);
    return TS_STATUS_OK;
}
