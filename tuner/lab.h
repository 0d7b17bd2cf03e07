/* The lab: takes candidates, compiles them in the pool, runs them on the device, hands them back.
 *
 * The tuner submits candidates and collects finished ones in any order; how many processes work on
 * them, that equal sources are compiled once, and that a crash costs one candidate is the lab's
 * business. On a CPU target that is timed, compiling and timing take turns, since both need the
 * cores. */
#ifndef TUNER_LAB_H
#define TUNER_LAB_H

#include <signal.h>

#include "compile.h"
#include "device_worker.h"
#include "sass.h"
#include "worker.h"

/* A problem as the tuner carries it around. */
typedef struct tuner_problem {
    gen_problem problem;
    char *text, *spec; /* canonical (db/store.h) */
    bool required;     /* named by the user: no version for the target is a failure */
    unsigned prepared; /* incarnation of the device worker that has its trials ready; 0: none */
} tuner_problem;

/* One source, compiled once whoever asks. Owned by the lab, lives as long. */
typedef struct tuner_built {
    char source_hash[TS_HASH_HEX];
    char signature[TS_HASH_HEX]; /* source, compiler, oracle: what a result belongs to */
    const gen_target *target;
    ts_buf source, launch; /* source is freed once compiled */
    enum { TUNER_BUILT_NEW, TUNER_BUILT_COMPILING, TUNER_BUILT_DONE } state;
    const char *status; /* "ok", "compile", "spill", "timeout", "crash" */
    tuner_compiled compiled;
    tuner_sass sass;
    char reason[512];
    double compile_s; /* wall time of the compiler */
    double started_s;
    bool cases_verified; /* the family's verify cases passed with this kernel */
} tuner_built;

typedef enum tuner_want { TUNER_WANT_COMPILED, TUNER_WANT_VERIFIED, TUNER_WANT_TIMED } tuner_want;

typedef struct tuner_candidate {
    /* set by the caller */
    tuner_problem *problem;
    const gen_target *target;
    gen_variant variant;
    tuner_want want;
    double best_us; /* time to beat, 0 if none */
    void *owner;    /* the caller's */
    size_t index;   /* the caller's */
    double search_s; /* time its strategy took to choose it */
    /* set by tuner_lab_prepare */
    char *name; /* canonical variant name */
    char signature[TS_HASH_HEX];
    tuner_built *built; /* NULL: the template refused (result says why) */
    /* set when finished */
    tuner_run_result result; /* status "ok" and no time if only compiled */
    double cost_s;           /* machine time that it took */
    bool running;
    double started_s;
} tuner_candidate;

enum { TUNER_MAX_QUEUE = 512, TUNER_MAX_JOBS = 128 };

typedef struct tuner_lab {
    gen *g;
    tuner_worker workers[1 + TUNER_MAX_JOBS]; /* 0: the device; then the compile pool */
    size_t jobs;
    double run_timeout_s; /* for one candidate on the device; several times as long for a problem's
                             first */
    tuner_device_context device_context;
    tuner_compiler compilers[2]; /* by gen_kind; empty name: not asked yet */
    tuner_built **built;
    size_t built_count, built_capacity;
    tuner_candidate *queue[TUNER_MAX_QUEUE];
    size_t queued;
    const char *ptx;  /* stop at PTX for this virtual architecture; NULL: machine code */
    double busy_s;    /* the device worker was at work: preparing, verifying, timing */
    double prepare_s; /* of that: drawing inputs and asking the oracle, the device idle */
    bool exclusive;   /* compiling and running take turns */
    bool running_turn;
    /* Which of `count` compiled candidates of one problem runs first; NULL: the one that was submitted
     * first. */
    size_t (*choose)(tuner_candidate *const *ready, size_t count);
    tuner_reply reply;
    const volatile sig_atomic_t *interrupted; /* set by a signal handler; the lab stops waiting */
} tuner_lab;

/* Sets up processes lazily: none runs before it is needed. `context` is copied, its texts are
 * borrowed. */
void tuner_lab_init(tuner_lab *lab, const tuner_device_context *context, size_t jobs,
                    double run_timeout_s, const volatile sig_atomic_t *interrupted);
/* Ends the workers; frees what is still queued. */
void tuner_lab_close(tuner_lab *lab);

/* ---- questions, answered at once (lab_ask.c) ---- */
ts_status tuner_lab_facts(tuner_lab *lab, tuner_device_facts *out, ts_err *err);
ts_status tuner_lab_limit(tuner_lab *lab, double *copy_gbytes, ts_err *err);
/* The compiler of a kind of target; asked once. */
ts_status tuner_lab_compiler(tuner_lab *lab, gen_kind kind, const tuner_compiler **out,
                             ts_err *err);
/* The variant that the runtime picks from a database for a problem on this device, appended. */
ts_status tuner_lab_lookup(tuner_lab *lab, const char *database, const char *problem,
                           ts_buf *variant, ts_err *err);
/* Times compiled kernels of one problem against each other. Nothing may be queued. */
ts_status tuner_lab_race(tuner_lab *lab, const tuner_problem *problem, tuner_built *const *built,
                         size_t count, tuner_rounds *out, ts_err *err);

/* ---- candidates (lab.c) ---- */
/* What a result belongs to: a source (gen_source.hash), a compiler (its name) and an oracle. */
void tuner_signature(const char *source_hash, const char *compiler, const char *oracle_hash,
                     char out[TS_HASH_HEX]);
/* Names and renders the candidate: name, signature and built are set; a template that refuses the
 * variant leaves built NULL and the result filled. A status is a failure of ours (memory, no
 * compiler). */
ts_status tuner_lab_prepare(tuner_lab *lab, tuner_candidate *candidate, ts_err *err);
/* Queues a prepared candidate, which must stay in place until it comes back. */
void tuner_lab_submit(tuner_lab *lab, tuner_candidate *candidate);
/* True while another candidate would keep someone busy. */
bool tuner_lab_has_room(const tuner_lab *lab);
/* Works until a candidate is finished; NULL if none is queued, or if interrupted. A status is a
 * failure that would hit every candidate (workers cannot be started). */
ts_status tuner_lab_next(tuner_lab *lab, tuner_candidate **out, ts_err *err);
/* Forgets the queued candidates that are not running on the device and frees them; what is being
 * compiled ends by itself. For when time is up. */
void tuner_lab_drop_waiting(tuner_lab *lab);
void tuner_candidate_free(tuner_candidate *candidate);

#endif
