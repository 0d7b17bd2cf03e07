/* The command line of `tune` and of the commands that compile or measure, parsed and checked for form. */
#ifndef TUNER_OPTIONS_H
#define TUNER_OPTIONS_H

#include "../db/base.h"
#include "budget.h"

enum {
    TUNER_MAX_PICKS = 256,
    TUNER_MAX_TEMPLATE_DIRS = 16,
    TUNER_MAX_GPUS = 16,
    TUNER_MAX_VARIANTS = 64,
};

typedef enum tuner_pick_kind {
    TUNER_PICK_PROBLEM,
    TUNER_PICK_FAMILY,
    TUNER_PICK_MODEL
} tuner_pick_kind;

typedef struct tuner_pick {
    tuner_pick_kind kind;
    const char *text; /* problem, family name, or model directory */
} tuner_pick;

typedef struct tuner_options {
    const char *gpu;                      /* "auto", "cpu", or a target */
    const char *gpus[TUNER_MAX_GPUS + 1]; /* build: each --gpu; NULL-terminated, empty: all */
    char **files;                         /* build: what is not an option */
    int file_count;
    const char *nvrtc; /* library file; NULL: the first one found */
    const char *db;    /* NULL: the default place */
    tuner_pick picks[TUNER_MAX_PICKS];
    size_t pick_count;
    int shard, shards;  /* 1/4: the first of four parts; 0/0: all */
    const char *dtypes; /* comma-separated; NULL: all */
    tuner_budget budget;
    double timeout_s;   /* for one candidate on the device */
    const char *device; /* ordinal or UUID of a GPU; NULL: the first */
    int jobs;           /* 0: one a core */
    uint64_t seed;
    const char *strategy;
    const char *report; /* page to write; NULL: none */
    const char *template_dirs[TUNER_MAX_TEMPLATE_DIRS +
                              1]; /* [0] is the built-in folder; NULL-terminated */
    bool fresh, dry_run, require_device, json, quiet;
    int sample;        /* check: variants a version besides its first; verify: problems; -1: all */
    bool compile_only; /* check */
    bool time;         /* check: measure too */
    const char *variants[TUNER_MAX_VARIANTS + 1]; /* check: versions ("norm/rows") and variants in
                                                     full; NULL-terminated, empty: all */
    const char *ptx; /* check: "compute_86": PTX, which the driver compiles; NULL: machine code */
    const char *against; /* verify: a second database; NULL: none */
    bool held_out;       /* verify: shapes that were not tuned */
} tuner_options;

/* Reads argv[1..]; texts are borrowed from it. `command` is the subcommand, or "tune": options of
 * others are refused. INVALID_ARGUMENT names the option. */
ts_status tuner_options_parse(int argc, char **argv, const char *command, tuner_options *out,
                              ts_err *err);

/* The database to use: --db, TUNESMITH_DB, or tunesmith/tunesmith.db below XDG_DATA_HOME or
 * ~/.local/share. Appended to *out. INVALID_ARGUMENT: none of them is set. */
ts_status tuner_database_path(const char *option, ts_buf *out, ts_err *err);
/* The same, of a database that is there. NOT_FOUND: it is not. */
ts_status tuner_existing_database(const char *option, ts_buf *out, ts_err *err);

#endif
