/* What the files of gen/ share: the loaded form of families and targets, and who owns which step.
 *
 *   lua_host.c  sandbox, protected calls        formula.c  formulas of family.lua, evaluated to numbers
 *   table.c     checked reading of Lua tables   symbol.c   formulas over unknown extents, to postfix text
 *   open.c      gen_open: folders to families   args.c     args.h to members
 *   family.c    family.lua: fields, tensors     version.c  family.lua: versions, tunables, launches
 *   cases.c     cases.lua                       target.c   targets/NAME.lua
 *   problem.c   problem texts                   bind.c     tensors and work of one problem
 *   oracle.c    what ref.c sees                 solve.c    which variants a search space holds
 *   variant.c   variant names                   expand.c   template text to kernel text
 *   render.c    translation unit and hash       launch.c   launch data
 *
 * Error rule: functions that take a lua_State report failure by raising (gen_raise) and never return it; they
 * run inside gen_protect and hold nothing that a jump would leak: memory comes from the gen's arena, from Lua,
 * or from buffers that the public function owns. Public functions return ts_status.
 */
#ifndef GEN_INTERNAL_H
#define GEN_INTERNAL_H

#include <lua5.4/lua.h>

#include "gen.h"
#include "lua_host.h"

enum { GEN_MAX_RANK = 4, GEN_MAX_LAUNCHES = 8, GEN_MAX_ZERO = 4, GEN_MAX_VERSIONS = 32 };

/* A template folder. `label` is its last path component: what messages and #line show, so that neither
 * depends on where a checkout lies. */
typedef struct gen_root {
    const char *path, *label;
} gen_root;

/* A Lua expression of family.lua, compiled once. */
typedef struct gen_formula {
    const char *text;
    const char *where;    /* "templates/axpy/family.lua:25: versions[1].constraints[1]" */
    int ref;              /* of the compiled chunk in the Lua registry */
    int last_tunable;     /* highest tunable index it names; -1 if none */
    bool names_extents;   /* an extent or sm_count: known at run time only */
} gen_formula;

typedef enum gen_member_type { GEN_PTR, GEN_I32, GEN_I64, GEN_U32, GEN_F32 } gen_member_type;
typedef struct gen_member {
    const char *name;
    gen_member_type type;
    const char *pointee; /* "void", "float", "int32_t"; NULL unless a pointer */
    int32_t offset, bytes;
    bool used;           /* some field, tensor or scalar stands for it */
} gen_member;

/* A list of allowed values, of a field or tunable. `names` is NULL for integers; for strings `values` are
 * the indices 0, 1, ... */
typedef struct gen_values {
    const char **names;
    int64_t *values;
    size_t count;
} gen_values;

typedef struct gen_field {
    const char *name;
    bool is_extent;
    gen_values list;      /* count 0: any integer low..high */
    int64_t low, high;
    bool has_default;
    int64_t default_value; /* as in gen_problem.values */
    const gen_member *member; /* extents */
} gen_field;

typedef struct gen_tensor_decl {
    const char *name;
    gen_direction direction;
    int dtype_field;      /* index of the field that names the dtype; -1: `dtype` */
    gen_dtype dtype;
    gen_formula *shape[GEN_MAX_RANK];
    size_t rank;
    const gen_member *member, *pitch; /* pitch NULL: dense */
    gen_formula *when;    /* NULL: always present */
    bool optional;
    gen_init_kind init;
    gen_formula *init_a, *init_b; /* NULL: 0 */
} gen_tensor_decl;

typedef struct gen_scalar_decl {
    const char *name;
    const gen_member *member;
    gen_formula *value;
} gen_scalar_decl;

typedef struct gen_tolerance {
    bool set;
    double rtol, atol, norm;
} gen_tolerance;

typedef struct gen_tunable {
    const char *name;
    gen_values list;
} gen_tunable;

typedef struct gen_launch_decl {
    const char *entry;
    gen_formula *grid[3], *block[3]; /* block: CUDA */
    gen_formula *shared;             /* CUDA: bytes of dynamic shared memory; CPU: scratch bytes a block */
} gen_launch_decl;

struct gen_version {
    const gen_family *family;
    const char *name, *file;
    gen_kind kind;
    const char **needs;
    size_t need_count;
    gen_tunable tunables[GEN_MAX_TUNABLES];
    size_t tunable_count;
    gen_formula **constraints;
    size_t constraint_count;
    bool has_default;
    gen_formula *defaults[GEN_MAX_TUNABLES];
    int64_t default_names[GEN_MAX_TUNABLES]; /* string tunables: index of the literal value, -1: a formula */
    gen_formula *workspace;
    gen_formula *zero[GEN_MAX_ZERO][2];      /* offset, bytes */
    size_t zero_count;
    gen_launch_decl launches[GEN_MAX_LAUNCHES];
    size_t launch_count;
};

/* One row of cases.lua's verify list. */
typedef struct gen_verify_decl {
    int64_t extents[GEN_MAX_FIELDS]; /* by field index */
    int32_t pad;
    const char *init, *omit, *alias, *note;
} gen_verify_decl;

struct gen_family {
    const gen_root *root;
    size_t root_index;
    const char *name, *dir;
    const char *args_text, *args_struct; /* text of args.h, "axpy_args" */
    int32_t args_bytes;
    gen_member *members;
    size_t member_count;
    gen_field fields[GEN_MAX_FIELDS];
    size_t field_count;
    gen_tensor_decl tensors[GEN_MAX_TENSORS];
    size_t tensor_count;
    gen_scalar_decl scalars[GEN_MAX_SCALARS];
    size_t scalar_count;
    gen_formula **domain;
    size_t domain_count;
    gen_formula *lanes, *flops, *bytes;
    gen_tolerance tolerance[GEN_INT32 + 1];
    int64_t cap;
    gen_version versions[GEN_MAX_VERSIONS];
    size_t version_count;
    bool has_cases;
    gen_verify_decl *verify;
    size_t verify_count;
    gen_problem *smoke, *model;
    size_t smoke_count, model_count;
    char abi[TS_HASH_HEX], hash[TS_HASH_HEX], oracle_hash[TS_HASH_HEX];
};

typedef struct gen_fact {
    const char *name;
    double value;
} gen_fact;

struct gen_target {
    const char *name, *parent_name, *where;
    const gen_target *parent;
    gen_kind kind;
    gen_fact *facts;
    size_t fact_count;
    const char **capabilities;
    size_t capability_count;
    const char **options; /* own list or the parent's, NULL-terminated; NULL until resolved */
};

struct gen {
    gen_host host;
    ts_arena arena;
    gen_root *roots;
    size_t root_count;
    gen_family **families;
    size_t family_count;
    gen_target **targets;
    size_t target_count;
    ts_buf file, chunk; /* scratch: a file's text, and the Lua chunk that it becomes */
};

/* open.c: loads only the family `only` (NULL: all); targets are always loaded. */
ts_status gen_open_family(const char *const *template_dirs, const char *only, gen **out, ts_err *err);
/* Reads root/relative into g->file; raises with the system's message. */
void gen_read_file(lua_State *L, gen *g, const char *path);
/* The file `relative` in the first of: root `root_index`, then the roots before it. NULL if in none. */
const gen_root *gen_find_file(const gen *g, size_t root_index, const char *relative, char *path,
                              size_t path_bytes);
/* Arena memory, or a raised out-of-memory. */
void *gen_alloc(lua_State *L, gen *g, size_t bytes);
const char *gen_format(lua_State *L, gen *g, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* family.c, version.c, cases.c, target.c, args.c: loaders, called in this order by open.c. `label` is the file's
 * name in messages. g->file is theirs while they run. */
gen_target *gen_target_load(lua_State *L, gen *g, const char *path, const char *label);
void gen_targets_resolve(lua_State *L, gen *g);
gen_family *gen_family_load(lua_State *L, gen *g, size_t root_index, const char *name);
void gen_cases_load(lua_State *L, gen *g, gen_family *family);
void gen_args_parse(lua_State *L, gen *g, gen_family *family, const char *label);
void gen_family_hashes(lua_State *L, gen *g, gen_family *family);
const gen_member *gen_family_member(const gen_family *family, const char *name); /* NULL if absent */
int gen_family_field(const gen_family *family, const char *name);                /* -1 if absent */
bool gen_dtype_parse(const char *name, gen_dtype *out);
const char *gen_member_type_name(gen_member_type type); /* "i32" */

/* problem.c: raising form of gen_problem_parse, and one value's text. */
void gen_problem_read(lua_State *L, gen *g, const char *text, gen_problem *out);
void gen_problem_check(lua_State *L, gen *g, const gen_problem *problem);
bool gen_problem_in_domain(lua_State *L, gen *g, const gen_problem *problem, const gen_formula **broken);
void gen_value_text(const gen_values *list, int64_t value, ts_buf *out);
/* Index in the list of a value (string lists: of its name); -1 if it is not there. */
int64_t gen_values_find(const gen_values *list, const char *text);

/* solve.c: raises unless the variant is one of the space: needs, constraints. */
void gen_variant_check(lua_State *L, gen *g, const gen_variant *variant, const gen_problem *problem,
                       const gen_target *target);

/* expand.c: appends the expansion of template root-relative `file` to `out`. `env` is the stack index of the
 * template's environment. render.c fills it. */
typedef struct gen_expansion {
    gen *g;
    size_t root_index;  /* files are looked for there first */
    const char *family; /* whose folder may be included, besides shared/ */
    ts_buf *out;
    const char *file;   /* where the next output line is believed to come from; NULL: nowhere yet */
    int line;
    int depth;          /* of includes */
    bool continued;     /* the last line ended in a backslash: no directive may follow it */
} gen_expansion;
void gen_expand(lua_State *L, gen_expansion *expansion, int env, const char *file);
/* One line of output that comes from `file`:`line`, without its newline; emits #line if they drifted. */
void gen_emit_line(gen_expansion *expansion, const char *file, int line, const char *text, size_t bytes);

/* launch.c: appends the launch JSON. */
void gen_launch_data(lua_State *L, gen *g, const gen_variant *variant, const gen_problem *problem,
                     const gen_target *target, ts_buf *out);
/* bind.c: is the tensor there in this specialization, and of which type? */
bool gen_tensor_present(lua_State *L, const gen_tensor_decl *tensor, int scope);
gen_dtype gen_tensor_dtype(const gen_family *family, const gen_tensor_decl *tensor, const gen_problem *problem);

#endif
