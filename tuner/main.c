/* The `tune` program: picks the command, prints its failure, maps it to an exit code. Only this
 * file prints usage and exits. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../runtime/tunesmith_kernels.h"
#include "commands.h"

static const char tune_help[] =
    "tune [options]          tunes kernels for this machine and stores the winners in a database\n"
    "\n"
    "What to tune (default: the model shapes of every family; all may be repeated)\n"
    "  --model DIR           all that a Hugging Face model directory needs (reads config.json)\n"
    "  --family NAME         the model shapes of one family\n"
    "  --problem 'SPEC'      one problem: \"norm m=64 d=256 kind=rms dtype=fp32\"\n"
    "  --dtype LIST          only these dtypes: fp32,bf16,fp16\n"
    "  --shard I/N           of all that, the I-th of N parts, for N machines; see tune merge\n"
    "  --templates DIR       families and targets besides the built-in ones\n"
    "  --templates-root DIR  instead of the built-in ones\n"
    "For what\n"
    "  --gpu auto|cpu|TARGET auto: GPU 0, else the CPU. A target such as sm_86 needs no such\n"
    "                        device, but then only predictions are stored\n"
    "  --device N|UUID       which GPU (default 0)\n"
    "  --require-device      exit 3 if the target is not here\n"
    "How\n"
    "  --db FILE             default: TUNESMITH_DB, else tunesmith/tunesmith.db in the user's\n"
    "                        data directory\n"
    "  --budget TIME|NUMBER|SHARE\n"
    "                        of the search, after every default is stored: 90s, 3m (default), 1h;\n"
    "                        200evals: so many variants of each problem, the default and what\n"
    "                        earlier runs measured included; 25%: that share of each space\n"
    "  --nvrtc PATH          this NVRTC library: an older one makes code for older drivers\n"
    "  --timeout TIME        for one candidate on the device (default 40s), then it is given up\n"
    "  --strategy NAME       auto, exhaustive, random, local, annealing, genetic, model\n"
    "  --seed N              of inputs and strategies (default 1)\n"
    "  --jobs N              compilers at a time (default: one a core)\n"
    "  --fresh               forgets what earlier runs measured\n"
    "  --dry-run             compiles, ranks and lists every variant; runs and stores nothing\n"
    "Output\n"
    "  --json                one JSON object a line: events, results, winners\n"
    "  --report FILE.html    a page: what was tried, why it was rejected, how the winners stand\n"
    "  --quiet               no progress on standard error\n"
    "\n"
    "A run may be stopped at any time; the same command goes on where it was.\n"
    "Exit codes: 0 ok, 1 something failed, 2 usage, 3 no such device\n";

static const char check_help[] =
    "tune check [options]    checks variants against the fp64 oracle, and times them; stores nothing\n"
    "\n"
    "  --gpu, --device, --problem, --family, --model, --dtype, --templates, --templates-root,\n"
    "  --jobs, --seed, --timeout, --require-device, --nvrtc, --quiet\n"
    "                        as for tune; without a selection: the smoke cases of every family\n"
    "  --sample N            each version's first variant and N others, by --seed (default: all)\n"
    "  --compile-only        do not run them\n"
    "  --ptx ARCH            build PTX for a virtual architecture (compute_86), which the driver\n"
    "                        compiles for the newer GPU that is here\n"
    "  --variant NAME        only this version (gemm/mma), or one variant given in full; may be\n"
    "                        repeated\n"
    "  --time                measure what is right, as a tune's search does, and print it\n"
    "\n"
    "Prints a line for each failure, then \"N passed, N failed, N skipped\"; exit 1 if any\n";

static const char regret_help[] =
    "tune regret [options]   how good the static model's picks are where all was measured\n"
    "\n"
    "  --gpu TARGET          whose measurements (default auto)\n"
    "  --db FILE             a database that a GPU was tuned into\n"
    "  --templates, --templates-root, --jobs, --timeout, --json, --quiet\n"
    "                        as for tune\n"
    "\n"
    "For each measured problem the model picks among the variants that were timed; regret is how\n"
    "much slower the pick was than the best. The last lines are the medians of the families, which\n"
    "family.lua keeps.\n";

static const char verify_help[] =
    "tune verify [options]   are a database's winners right and fast on this machine?\n"
    "\n"
    "  --key FILE            with --db alone: is it signed by this public key, and unchanged?\n"
    "  --db FILE             the database; no compiler is needed, its kernels are run\n"
    "  --against FILE        another database: what would its winners save here?\n"
    "  --held-out            shapes that were not tuned, between the tuned ones and beyond: what is\n"
    "                        lost by running the nearest choice there? Some seconds a shape\n"
    "  --sample N            N problems, by --seed (default: all of the device's target)\n"
    "  --gpu, --device, --problem, --family, --model, --dtype, --templates, --templates-root,\n"
    "  --timeout, --json, --quiet\n"
    "                        as for tune\n"
    "\n"
    "Each winner is checked against the fp64 oracle as when it was tuned, then raced with the\n"
    "default and the other file's winner. Exit 1 if one is wrong or slower than the default.\n"
    "With --held-out the kernel that a model would get races all others of its specialization; loss\n"
    "is how much slower it is than the best of them. Exit 1 if one is wrong; a loss is only told.\n";

static const char simulate_help[] =
    "tune simulate FILE      replays strategies on a Kernel Tuner cache file (plain or gzip)\n"
    "\n"
    "  --strategy NAME       as for tune (default: all of them)\n"
    "  --evals N,N,...       evaluations allowed (default 50,100,200)\n"
    "  --repeats N           runs with other seeds (default 60)\n"
    "  --seed N              of the first run (default 1)\n"
    "  --json                one JSON object a strategy and count\n"
    "\n"
    "Prints mean and 10th percentile of the share of the optimum: the best time of the space over\n"
    "the best found. A configuration that failed costs one evaluation. A file that its writer did\n"
    "not finish is read up to its last whole configuration, with a note.\n";

static const char ls_help[] = "tune ls [--db FILE] [--json]          the winners in a database\n";
static const char explain_help[] =
    "tune explain [--db FILE] PROBLEM      why this winner: all that was tried for a problem\n";
static const char report_help[] =
    "tune report [--db FILE] [--out FILE.html] [PROBLEM...]\n"
    "                                      the page of --report, from a database (report.html)\n";
static const char export_help[] =
    "tune export [--db FILE] [--out PATH]  winners as text, a file to ship, other tuners' formats\n"
    "\n"
    "  --db FILE             what to export\n"
    "  --out PATH            a file, or a folder that gets one a device (default db/winners)\n"
    "  --ship                PATH becomes a database of the winners and defaults only, packed and\n"
    "                        read-only; sign it with `tune sign`\n"
    "\n"
    "tune export --format NAME [--db FILE] [--out PATH] [PROBLEM...]\n"
    "\n"
    "  --format kernel-tuner all that was measured or rejected, as cache files of Kernel Tuner,\n"
    "                        which it and `tune simulate` replay\n"
    "  --format t4           as T4 results (schema 1.0.0), a metadata file of the device beside\n"
    "                        each\n"
    "  --out PATH            FILE.json, or a folder that gets a file a problem, target and device\n"
    "                        (default: where you are)\n"
    "  PROBLEM               only those that have all of its words: gemm, 'gemm dtype=bf16'\n"
    "\n"
    "The first tunable is \"version\", the family's template; a tunable that a version lacks is 0\n"
    "there, or - among texts. Times are milliseconds.\n";
static const char merge_help[] =
    "tune merge [--db FILE] FILE...        several databases into one\n"
    "\n"
    "  --db FILE             what they are merged into; made if it is missing, else added to\n"
    "  --json                one JSON object a decision, then the numbers\n"
    "\n"
    "Of two entries for the same problem, target and device one stays: measured over predicted,\n"
    "raced over provisional, then the newer race, then the narrower interval. Each such choice is\n"
    "a line. Files may be signed, shipped or of an older version. A damaged row is skipped, said,\n"
    "and makes the exit code 1; any other failure leaves --db as it was.\n";
static const char build_help[] =
    "tune build [options] FILE|DIR...      a database from winners' text, without a device\n"
    "\n"
    "  --db FILE             the new database; it must not exist\n"
    "  --gpu TARGET          only this target (or cpu: all of its levels); may be repeated\n"
    "  --nvrtc PATH          this NVRTC library: an older one makes code for older drivers\n"
    "  --templates, --templates-root, --jobs, --quiet\n"
    "                        as for tune\n"
    "\n"
    "Reads what `tune export` writes (a folder: its *.json), compiles each winner and the default of\n"
    "its specialization, and stores them with the times of the text. Where the source, the compiler\n"
    "or the oracle is not the one that was measured, the entry is stored as predicted, with the old\n"
    "times as history, and `tune` measures it again. What no longer fits is named and left out;\n"
    "exit 1 then, though the rest is stored.\n";
static const char keygen_help[] =
    "tune keygen --key FILE                makes FILE (secret) and FILE.pub (public)\n";
static const char sign_help[] =
    "tune sign --key FILE [--db FILE]      signs a database with a secret key\n";

static const struct command {
    const char *name;
    ts_status (*run)(int, char **, int *, ts_err *);
    const char *help;
} commands[] = {
    {"tune", tuner_command_tune, tune_help}, /* also what runs without a name */
    {"check", tuner_command_check, check_help},
    {"regret", tuner_command_regret, regret_help},
    {"verify", tuner_command_verify, verify_help},
    {"simulate", tuner_command_simulate, simulate_help},
    {"ls", tuner_command_ls, ls_help},
    {"explain", tuner_command_explain, explain_help},
    {"report", tuner_command_report, report_help},
    {"export", tuner_command_export, export_help},
    {"merge", tuner_command_merge, merge_help},
    {"build", tuner_command_build, build_help},
    {"keygen", tuner_command_keygen, keygen_help},
    {"sign", tuner_command_sign, sign_help},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find_command(const char *name) {
    for (size_t i = 1; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

static void print_help(const struct command *command) {
    fputs(command->help, stdout);
    if (command != &commands[0]) return;
    puts("\nOther commands (each with --help)");
    for (size_t i = 1; i < COMMANDS; i++)
        printf("  %.*s\n", (int)strcspn(commands[i].help, "\n"), commands[i].help);
}

/* The first signal asks for an orderly end, the second is the system's own. */
static void interrupt(int number) {
    tuner_interrupted = 1;
    signal(number, SIG_DFL);
}

static int exit_code_of(ts_status status) {
    if (status == TS_STATUS_INVALID_ARGUMENT) return TUNER_EXIT_USAGE;
    if (status == TS_STATUS_NO_DEVICE) return TUNER_EXIT_NO_DEVICE;
    return TUNER_EXIT_FAILED;
}

int main(int argc, char **argv) {
    const struct command *command = argc > 1 && argv[1][0] != '-' ? find_command(argv[1])
                                                                  : &commands[0];
    if (!command) {
        fprintf(stderr, "tune: no command \"%s\"; see tune --help\n", argv[1]);
        return TUNER_EXIT_USAGE;
    }
    int skip = command != &commands[0];
    if (asks_for_help(argc, argv)) {
        print_help(command);
        return TUNER_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("tune %s\n", ts_version());
        return TUNER_EXIT_OK;
    }
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    ts_err err = {0};
    int exit_code = TUNER_EXIT_OK;
    ts_status status = command->run(argc - skip, argv + skip, &exit_code, &err);
    if (status == TS_STATUS_OK) return exit_code;
    fprintf(stderr, "tune%s%s: %s\n", skip ? " " : "", skip ? command->name : "", err.message);
    return exit_code_of(status);
}
