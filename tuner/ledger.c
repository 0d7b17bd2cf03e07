/* Rows in, rows out. What a row means is decided in tune.c. */
#include "ledger.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void tuner_make_folder_of(const char *path) {
    char *copy = strdup(path);
    for (char *at = copy; copy && (at = strchr(at + 1, '/'));) {
        *at = '\0';
        mkdir(copy, 0755); /* one that cannot be made shows up as a file that cannot be opened */
        *at = '/';
    }
    free(copy);
}

ts_status tuner_ledger_open(tuner_ledger *ledger, const char *path, const tuner_device_facts *facts,
                            ts_err *err) {
    *ledger = (tuner_ledger){.device = {.name = facts->info.name,
                                        .target = facts->info.target,
                                        .sm_count = facts->info.sm_count,
                                        .memory_bytes = facts->info.memory_bytes,
                                        .driver = facts->info.driver}};
    tuner_make_folder_of(path);
    return db_writer_open(path, &ledger->db, err);
}

void tuner_ledger_close(tuner_ledger *ledger) {
    db_writer_close(ledger->db);
    ledger->db = NULL;
}

typedef struct past_walk {
    ts_arena *arena;
    tuner_past *items; /* malloc'ed while it grows */
    size_t count, capacity;
    bool failed;
} past_walk;

static void keep_past(void *context, const db_result *result) {
    past_walk *walk = context;
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity ? 2 * walk->capacity : 64;
        tuner_past *grown = realloc(walk->items, capacity * sizeof *grown);
        if (!grown) {
            walk->failed = true;
            return;
        }
        walk->items = grown;
        walk->capacity = capacity;
    }
    tuner_past past = {ts_arena_strdup(walk->arena, result->variant),
                       ts_arena_strdup(walk->arena, result->signature),
                       ts_arena_strdup(walk->arena, result->status), result->time_us};
    if (!past.variant || !past.signature || !past.status)
        walk->failed = true;
    else
        walk->items[walk->count++] = past;
}

ts_status tuner_ledger_past(tuner_ledger *ledger, const tuner_problem *problem,
                            const gen_target *target, ts_arena *arena, tuner_past_list *out,
                            ts_err *err) {
    past_walk walk = {.arena = arena};
    tuner_past_list list = {0};
    ts_status status = db_each_result(db_writer_reader(ledger->db), problem->text,
                                      gen_target_name(target), ledger->device.name, keep_past,
                                      &walk, err);
    if (status == TS_STATUS_OK && walk.count) {
        list.items = ts_arena_alloc(arena, walk.count * sizeof *list.items);
        if (list.items)
            memcpy(list.items, walk.items, walk.count * sizeof *list.items);
        else
            walk.failed = true;
        list.count = walk.count;
    }
    free(walk.items);
    if (walk.failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "stored results");
    if (status == TS_STATUS_OK) *out = list;
    return status;
}

bool tuner_past_has(const tuner_past_list *list, const char *variant) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].variant, variant) == 0) return true;
    return false;
}

const tuner_past *tuner_past_find(const tuner_past_list *list, const char *variant,
                                  const char *signature) {
    for (size_t i = list->count; i > 0; i--) {
        const tuner_past *past = &list->items[i - 1];
        if (strcmp(past->signature, signature) == 0 && strcmp(past->variant, variant) == 0)
            return past;
    }
    return NULL;
}

ts_status tuner_ledger_winner(tuner_ledger *ledger, const tuner_problem *problem,
                              const gen_target *target, ts_arena *arena, db_winner *out,
                              ts_err *err) {
    return db_read_winner(db_writer_reader(ledger->db), problem->text, gen_target_name(target),
                          ledger->device.name, arena, out, err);
}

bool tuner_winner_is_current(const db_winner *winner, const gen_family *family,
                             const tuner_compiler *compiler, bool measured) {
    bool was_measured = strcmp(winner->evidence, "measured") == 0;
    bool finished = was_measured ? !isnan(winner->ci_low_us)
                                 : strcmp(winner->verdict, DB_UNRANKED) != 0;
    return (was_measured || !measured) && finished &&
           tuner_winner_matches(winner, family, compiler);
}

bool tuner_winner_matches(const db_winner *winner, const gen_family *family,
                          const tuner_compiler *compiler) {
    return strcmp(winner->family_hash, gen_family_hash(family)) == 0 &&
           strcmp(winner->oracle_hash, gen_family_oracle_hash(family)) == 0 &&
           strcmp(winner->compiler, compiler->name) == 0;
}

ts_status tuner_ledger_kernel(tuner_ledger *ledger, const tuner_candidate *candidate,
                              const tuner_compiler *compiler, bool is_default, int64_t *id,
                              ts_err *err) {
    const tuner_built *built = candidate->built;
    const gen_family *family = candidate->problem->problem.family;
    ts_buf options = {0};
    tuner_compile_options(candidate->target, &options);
    if (options.failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "compile options");
    db_kernel kernel = {.family = gen_family_name(family),
                        .version = gen_version_name(candidate->variant.version),
                        .variant = candidate->name,
                        .spec = candidate->problem->spec,
                        .target = gen_target_name(candidate->target),
                        .abi = gen_family_abi(family),
                        .signature = candidate->signature,
                        .compiler = compiler->name,
                        .options = options.data,
                        .launch = built->launch.data,
                        .blob = built->compiled.blob.data,
                        .blob_bytes = built->compiled.blob.bytes,
                        .registers = built->compiled.registers,
                        .spill_bytes = built->compiled.spill_bytes,
                        .shared_bytes = built->compiled.shared_bytes,
                        .driver_min = tuner_driver_min(compiler, candidate->target),
                        .is_default = is_default};
    ts_status status = db_write_kernel(ledger->db, &kernel, id, err);
    ts_buf_free(&options);
    return status;
}

/* What the compiler made of it, where it says so; its kernel may not be stored. */
static void write_code(const tuner_built *built, ts_buf *out) {
    if (!built || !built->compiled.blob.bytes) return;
    const struct {
        const char *name;
        int32_t value;
    } facts[] = {{"registers", built->compiled.registers},
                 {"spill_bytes", built->compiled.spill_bytes},
                 {"shared_bytes", built->compiled.shared_bytes}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (facts[i].value >= 0) ts_buf_printf(out, ",\"%s\":%d", facts[i].name, facts[i].value);
    if (built->sass.instructions) ts_buf_printf(out, ",");
    tuner_sass_write(&built->sass, out);
}

/* When, how long each stage took, what came out of the compiler, then what the timing itself says. */
static void write_evidence(const tuner_candidate *candidate, ts_buf *out) {
    const tuner_run_result *run = &candidate->result;
    double compile_s = candidate->built ? candidate->built->compile_s : 0;
    ts_buf_printf(out,
                  "{\"at\":%.3f,\"search_ms\":%.5g,\"compile_ms\":%.5g,\"prepare_ms\":%.5g,"
                  "\"verify_ms\":%.5g,\"measure_ms\":%.5g",
                  tuner_unix_time_s(), 1e3 * candidate->search_s, 1e3 * compile_s,
                  1e3 * run->prepare_s, 1e3 * run->verify_s, 1e3 * run->measure_s);
    write_code(candidate->built, out);
    ts_buf_printf(out, "%s%s}", run->evidence[0] ? "," : "", run->evidence);
}

ts_status tuner_ledger_result(tuner_ledger *ledger, const tuner_candidate *candidate,
                              int64_t kernel_id, ts_err *err) {
    const tuner_run_result *run = &candidate->result;
    ts_buf evidence = {0};
    write_evidence(candidate, &evidence);
    if (evidence.failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "evidence of a result");
    db_result result = {.kernel_id = kernel_id,
                        .problem = candidate->problem->text,
                        .variant = candidate->name,
                        .target = gen_target_name(candidate->target),
                        .signature = candidate->signature,
                        .status = run->status,
                        .reason = run->reason,
                        .device = ledger->device,
                        .time_us = run->time_us,
                        .spread_us = run->spread_us,
                        .samples = run->samples,
                        .error = run->error,
                        .evidence = evidence.data};
    ts_status status = db_write_result(ledger->db, &result, err);
    ts_buf_free(&evidence);
    return status;
}

ts_status tuner_ledger_choose(tuner_ledger *ledger, const tuner_choice *choice, ts_err *err) {
    const gen_family *family = choice->candidate->problem->problem.family;
    db_winner winner = {.problem = choice->candidate->problem->text,
                        .target = gen_target_name(choice->candidate->target),
                        .device = ledger->device,
                        .kernel_id = choice->kernel_id,
                        .variant = choice->candidate->name,
                        .evidence = choice->evidence,
                        .time_us = choice->time_us,
                        .ci_low_us = choice->ci_low_us,
                        .ci_high_us = choice->ci_high_us,
                        .default_us = choice->default_us,
                        .gflops = 1e-9 * choice->flops,
                        .gbytes = 1e-9 * choice->bytes,
                        .family_hash = gen_family_hash(family),
                        .oracle_hash = gen_family_oracle_hash(family),
                        .compiler = choice->compiler->name,
                        .verdict = choice->verdict,
                        .race = choice->race};
    return db_write_winner(ledger->db, &winner, err);
}
