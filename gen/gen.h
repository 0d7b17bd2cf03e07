/* gen: (family, variant, specialization, target) -> source text and launch data. No GPU, no database.
 *
 * A `gen` holds one sandboxed Lua state with all families and targets of the template folders loaded.
 * It is not thread-safe; workers fork. Everything returned lives as long as the `gen` unless it says
 * otherwise. The family folder's contract is in templates/README.md.
 */
#ifndef GEN_GEN_H
#define GEN_GEN_H

#include "../db/base.h"

enum { GEN_MAX_FIELDS = 24, GEN_MAX_TUNABLES = 16, GEN_MAX_TENSORS = 24, GEN_MAX_SCALARS = 8 };

typedef struct gen gen;
typedef struct gen_family gen_family;   /* one folder under templates/ */
typedef struct gen_version gen_version; /* one template file of a family */
typedef struct gen_target gen_target;   /* one file under templates/targets/ */

typedef enum gen_kind { GEN_CUDA, GEN_CPU } gen_kind;
typedef enum gen_dtype { GEN_FP32, GEN_FP16, GEN_BF16, GEN_INT32 } gen_dtype;

size_t gen_dtype_bytes(gen_dtype dtype);
const char *gen_dtype_name(gen_dtype dtype); /* "fp32" */

/* Loads every family and target below each folder of the NULL-terminated list. A later folder adds to an
 * earlier one; the same name twice is an error. Errors name file and line. */
ts_status gen_open(const char *const *template_dirs, gen **out, ts_err *err);
void gen_close(gen *g);

/* ---- what is there ---- */
size_t gen_family_count(const gen *g);
const gen_family *gen_family_at(const gen *g, size_t index);       /* sorted by name */
const gen_family *gen_family_find(const gen *g, const char *name); /* NULL if absent */
const char *gen_family_name(const gen_family *family);
const char *gen_family_dir(const gen_family *family); /* its folder */
const char *gen_family_abi(
    const gen_family *family); /* hash: fields, args.h members, launch format */
const char *gen_family_hash(
    const gen_family *family); /* hash: family.lua, args.h, templates, shared kernel text */
const char *gen_family_oracle_hash(const gen_family *family); /* hash: ref.c, verify cases */

size_t gen_target_count(const gen *g);
const gen_target *gen_target_at(const gen *g, size_t index);
const gen_target *gen_target_find(const gen *g, const char *name);
const gen_target *gen_target_parent(const gen_target *target); /* NULL at the root */
const char *gen_target_name(const gen_target *target);
gen_kind gen_target_kind(const gen_target *target);
bool gen_target_has(const gen_target *target, const char *capability); /* own or inherited */
/* A numeric fact ("shared_block_bytes", "compute_capability" = 90, ...), own or inherited; false if unknown. */
bool gen_target_fact(const gen_target *target, const char *name, double *value);
/* Compiler arguments of the target, NULL-terminated (nvrtc: "--gpu-architecture=sm_90a"; cc: "-march=..."). */
const char *const *gen_target_options(const gen_target *target);

/* ---- problems ---- */
typedef struct gen_problem {
    const gen_family *family;
    int64_t values
        [GEN_MAX_FIELDS]; /* by field order; an enumerated field holds the index of its value */
} gen_problem;

/* Parses "family field=value ..."; a field with a declared default may be left out. Checks values and the
 * family's domain rules; an impossible problem is INVALID_ARGUMENT and says which rule. */
ts_status gen_problem_parse(gen *g, const char *text, gen_problem *out, ts_err *err);
/* Canonical texts (db/store.h); appended to *out. */
void gen_problem_text(const gen_problem *problem, ts_buf *out);
void gen_problem_spec(const gen_problem *problem, ts_buf *out);

/* The family's cases.lua. `list` is "verify", "smoke" or "model". */
typedef struct gen_case {
    gen_problem problem;
    const char *pad;  /* "x=1 out=9": elements added to row pitches, space-separated; "" for none */
    const char *init; /* opaque handle text of init overrides; "" for none */
    const char *omit; /* space-separated optional tensors passed as NULL; "" for none */
    const char *alias; /* "out=in" pairs sharing memory, space-separated; "" for none */
    const char *note;  /* why this case exists */
} gen_case;

/* Cases of the list; for "verify" the extents are combined with the specialization of `like` and those
 * outside the family's domain are left out. *out is malloc'ed, free() it. */
ts_status gen_cases(gen *g, const gen_family *family, const char *list, const gen_problem *like,
                    gen_case **out, size_t *count, ts_err *err);

/* ---- tensors, scalars, work of one problem ---- */
typedef enum gen_direction { GEN_IN, GEN_OUT, GEN_INOUT } gen_direction;

typedef enum gen_init_kind {
    GEN_INIT_NORMAL,  /* a = mean, b = standard deviation */
    GEN_INIT_UNIFORM, /* a <= x < b */
    GEN_INIT_INDEX,   /* integers 0 <= x < a */
    GEN_INIT_OFFSETS, /* from 0, each step a random integer 0..a, some of them 0 (cu_seqlens) */
    GEN_INIT_DISTINCT, /* integers 0 <= x < a in scattered order, the first a of them all different */
} gen_init_kind;

typedef struct gen_tensor {
    const char *name; /* also the args.h pointer member and the oracle's member */
    gen_dtype dtype;
    gen_direction direction;
    int64_t rows, cols;   /* leading dimensions are flattened into rows; cols contiguous */
    int64_t pitch;        /* elements between rows: cols, plus the case's pad of this tensor */
    int32_t offset;       /* of the pointer member in the args struct */
    int32_t pitch_offset; /* of the int64_t pitch member; -1 if rows are always dense */
    int32_t slot;         /* place among the family's declared tensors */
    bool optional;        /* NULL allowed */
    gen_init_kind init;
    double init_a, init_b;
    double rtol, atol,
        norm; /* outputs: |e| <= atol*rms(ref) + rtol*|ref| each, ||e|| <= norm*||ref|| */
} gen_tensor;

typedef struct gen_scalar {
    const char *name;
    int32_t offset; /* of the float member in the args struct */
    double value;
} gen_scalar;

typedef struct gen_binding {
    int32_t args_bytes;
    size_t tensor_count, scalar_count, field_count;
    gen_tensor tensors[GEN_MAX_TENSORS]; /* those present in this specialization */
    gen_scalar scalars[GEN_MAX_SCALARS];
    struct {
        int32_t offset, bytes;
        int64_t value;
    } extents[GEN_MAX_FIELDS]; /* integer args members */
    size_t extent_count;
    double flops,
        bytes;     /* of one launch: the work that a perfect kernel must do, for share of limit */
    int64_t lanes; /* independent pieces the oracle computes one at a time */
} gen_binding;

/* Resolves everything that filling an args struct for this case needs. */
ts_status gen_bind(gen *g, const gen_case *c, gen_binding *out, ts_err *err);

/* ---- the fp64 oracle ---- */
/* `slots` are 8 bytes each: int64_t fields in declared order, double scalars, then double* of every
 * declared tensor (dense, pitch = cols; NULL where absent or omitted), the order of the generated ref.h. */
typedef void (*gen_oracle)(const void *slots, int64_t lane);

/* Oracles of the families that this program was built with (generated: build/generated/oracles.c). */
typedef struct gen_oracle_entry {
    const char *family;
    gen_oracle oracle;
} gen_oracle_entry;
extern const gen_oracle_entry gen_oracle_table[]; /* ends with {NULL, NULL} */

/* Text of the generated `<family>_ref.h`: struct <family>_ref, enums for enumerated fields, prototype. */
ts_status gen_ref_header(gen *g, const gen_family *family, ts_buf *out, ts_err *err);
/* Fills `slots` (GEN_MAX_FIELDS + GEN_MAX_SCALARS + GEN_MAX_TENSORS of 8 bytes) for a binding; `data[i]`
 * belongs to binding->tensors[i]. */
void gen_ref_slots(const gen_case *c, const gen_binding *binding, double *const *data, void *slots);

/* ---- variants ---- */
typedef struct gen_variant {
    const gen_version *version;
    int64_t
        tunables[GEN_MAX_TUNABLES]; /* enumerated string tunables hold the index of their value */
} gen_variant;

/* All variants of the family for the problem's specialization on `target`: versions of the target's kind
 * whose `needs` it has, constraints solved by depth-first search that checks each constraint as soon as
 * its last tunable is set. Default first, then declared order. *out malloc'ed. More than the family's cap
 * is TEMPLATE. */
ts_status gen_enumerate(gen *g, const gen_problem *problem, const gen_target *target,
                        gen_variant **out, size_t *count, ts_err *err);
/* The default variant of the family for this specialization and target; NOT_FOUND if no version fits. */
ts_status gen_default(gen *g, const gen_problem *problem, const gen_target *target,
                      gen_variant *out, ts_err *err);
/* Canonical name "family/version a=1 b=2", appended; and back again. */
void gen_variant_name(const gen_variant *variant, ts_buf *out);
ts_status gen_variant_parse(gen *g, const char *name, gen_variant *out, ts_err *err);
const gen_family *gen_version_family(const gen_version *version);
const char *gen_version_name(const gen_version *version); /* "seq" */
/* Tunables, for search neighbourhoods: number of tunables, values of each, value's index. */
size_t gen_version_tunable_count(const gen_version *version);
size_t gen_version_values(const gen_version *version, size_t tunable, const int64_t **values);

/* ---- what a variant costs, by the family's own estimate ---- */
enum { GEN_MAX_LAUNCHES = 8 };

/* One launch on the chip that the target's facts describe. Cycles are SM clock cycles. */
typedef struct gen_cost {
    double blocks, threads; /* of the grid; of a block */
    double shared_bytes;    /* dynamic shared memory of a block */
    double registers;       /* that the compiler may use for a thread; 0: not said */
    double latency;         /* cycles of a block that has an SM to itself */
    double issue;           /* cycles for which a block occupies the SM's busiest unit */
} gen_cost;

/* The costs of each launch, in order; *out has room for GEN_MAX_LAUNCHES. NOT_FOUND: the version
 * estimates nothing. */
ts_status gen_costs(gen *g, const gen_variant *variant, const gen_problem *problem,
                    const gen_target *target, gen_cost *out, size_t *count, ts_err *err);
/* The family's `regret`: how much slower than the best measured variant the first pick of these
 * estimates was (0.05: 5 %), the median of the problems measured; NaN if unknown. */
double gen_family_regret(const gen_family *family);
/* Where a model's launches of the family find their inputs: in the cache (`cache = "warm"`: just
 * written by the launch before), or in memory ("cold", the default). Timed accordingly. */
bool gen_family_is_warm(const gen_family *family);

typedef struct gen_source {
    ts_buf text;   /* complete translation unit; #line points into the template files */
    ts_buf launch; /* launch data, JSON (templates/README.md) */
    char hash
        [TS_HASH_HEX]; /* of the text with folder-relative #line paths, launch and target options */
} gen_source;

/* Expands the variant for the problem's specialization (extents do not enter). Zero-initialise *out. */
ts_status gen_render(gen *g, const gen_variant *variant, const gen_problem *problem,
                     const gen_target *target, gen_source *out, ts_err *err);
void gen_source_free(gen_source *source);

#endif
