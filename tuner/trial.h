/* One case of a family made concrete: inputs, expected outputs, and the check of what a kernel left
 * behind.
 *
 * All tensors lie in one slab of bytes: inputs first, then everything that a kernel may write, with
 * guard bytes round each tensor. A kernel is run on a copy of the slab, and every byte is accounted
 * for: elements against the oracle, all other bytes against their old value. Host memory only;
 * device work is verify.c's. */
#ifndef TUNER_TRIAL_H
#define TUNER_TRIAL_H

#include "../gen/gen.h"

enum { TUNER_GUARD_BYTES = 256 };

/* What one tensor must hold afterwards. */
typedef struct tuner_expect {
    int64_t count;  /* elements to check */
    int64_t *index; /* dense element numbers (row * cols + col); NULL: 0..count-1 */
    double *value;  /* what the oracle wrote; tuner_unwritten where it wrote nothing */
    double rms;     /* root mean square of the finite values */
} tuner_expect;

typedef struct tuner_trial {
    gen_case test; /* texts borrowed from the gen */
    gen_binding binding;
    unsigned char *image; /* the slab's bytes before a launch */
    size_t image_bytes;
    size_t writable_at;               /* everything from here on may be written */
    size_t offset[GEN_MAX_TENSORS];   /* of element 0; SIZE_MAX: omitted, the pointer is NULL */
    int shared_with[GEN_MAX_TENSORS]; /* tensor whose memory it shares, -1 for its own */
    tuner_expect expect[GEN_MAX_TENSORS];
} tuner_trial;

typedef struct tuner_trial_options {
    gen_oracle oracle;
    uint64_t seed;
    double max_flops; /* bound on oracle work: lanes are sampled beyond it; 0 = every lane */
    int threads;
    bool longest; /* every sequence has its greatest length: the work that is timed and counted */
} tuner_trial_options;

/* Draws the inputs and runs the oracle. Free with tuner_trial_free. */
ts_status tuner_trial_create(gen *g, const gen_case *test, const tuner_trial_options *options,
                             tuner_trial **out, ts_err *err);
void tuner_trial_free(tuner_trial *trial);

/* Fills `args` (binding.args_bytes) for a slab whose copy lies at `slab`. */
void tuner_trial_args(const tuner_trial *trial, void *slab, void *workspace, void *args);

/* Compares `after`, the slab's bytes from `from` (0 or writable_at) to its end, with what is
 * expected. True if all is right; else *message gets one sentence naming tensor, element, value and
 * bound. *error receives the worst relative error norm of any tensor. */
bool tuner_trial_check(const tuner_trial *trial, const unsigned char *after, size_t from,
                       ts_buf *message, double *error);

/* Marks an element that the oracle did not write: a NaN that no computation yields. */
extern const double tuner_unwritten;
bool tuner_is_unwritten(double value);

#endif
