/* The loaded form of families and targets that gen's files share, and the door to the scripts.
 *
 *   scripts.c   the Lua sources of gen/script/ as bytes, and their start
 *   open.c      gen_open: folders to families; everything that only reads the loaded form
 *   problem.c   problem texts, cases         variant.c  enumeration, names, rendering
 *   bind.c      tensors and work of one problem, what the oracle sees
 *   cost.c      a variant's estimated costs
 *   lua_host.c  the sandbox and protected calls
 *
 * gen/script/ decides (formulas, constraints, expansion); C carries values in and out of it.
 */
#ifndef GEN_LOADED_H
#define GEN_LOADED_H

#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>

#include "gen.h"
#include "lua_host.h"

/* Allowed values of a field or tunable. `names` is NULL for integers; for strings a value is an index. */
typedef struct gen_values {
    const char **names;
    int64_t *values; /* integers, or 0, 1, ... */
    size_t count;    /* 0: any integer low..high */
    int64_t low, high;
} gen_values;

typedef struct gen_field {
    const char *name;
    bool is_extent, has_default;
    int64_t default_value; /* as in gen_problem.values */
    gen_values list;
} gen_field;

typedef struct gen_tunable {
    const char *name;
    gen_values list;
} gen_tunable;

struct gen_version {
    const gen_family *family;
    const char *name;
    int number; /* 1.. in family.lua */
    gen_tunable tunables[GEN_MAX_TUNABLES];
    size_t tunable_count;
};

struct gen_family {
    const char *name, *dir;
    gen_field fields[GEN_MAX_FIELDS];
    size_t field_count, scalar_count, tensor_count; /* declared, present or not */
    gen_version *versions;
    size_t version_count;
    double regret; /* NaN: unknown */
    bool warm;     /* timed with its inputs in the cache */
    char abi[TS_HASH_HEX], hash[TS_HASH_HEX], oracle_hash[TS_HASH_HEX];
};

typedef struct gen_fact {
    const char *name;
    double value;
} gen_fact;

struct gen_target {
    const char *name;
    const gen_target *parent;
    gen_kind kind;
    gen_fact *facts;
    size_t fact_count;
    const char **capabilities, **options; /* NULL-terminated */
};

struct gen {
    gen_host host;
    ts_arena arena;
    const char **roots; /* NULL-terminated */
    size_t root_count;
    gen_family **families;
    size_t family_count;
    gen_target **targets;
    size_t target_count;
};

/* scripts.c: runs gen/script/ once; afterwards gen_push_script finds its functions. */
void gen_scripts_start(lua_State *L);
/* Pushes the scripts' function or table `name`. */
void gen_push_script(lua_State *L, const char *name);
/* Pushes the scripts' table of a family or target. */
void gen_push_family(lua_State *L, const gen_family *family);
void gen_push_target(lua_State *L, const gen_target *target);
/* Pushes {field = value} of a problem; `extents` false leaves the extents out. */
void gen_push_values(lua_State *L, const gen_problem *problem, bool extents);
/* Pushes the scripts' table of a version, and {tunable = value} of a variant. */
void gen_push_version(lua_State *L, const gen_version *version);
void gen_push_tunables(lua_State *L, const gen_variant *variant);

/* Arena memory, or a raised out-of-memory. */
void *gen_alloc(lua_State *L, gen *g, size_t bytes);
const char *gen_strdup(lua_State *L, gen *g, const char *text);
/* Fields of the table on top of the stack; raise when the type is another. Texts are copied to the arena. */
const char *gen_get_text(lua_State *L, gen *g, const char *key);
int64_t gen_get_integer(lua_State *L, const char *key);
double gen_get_number(lua_State *L, const char *key);

/* problem.c: one value's text; index of a text in the list, -1 if it is not there. */
void gen_value_text(const gen_values *list, int64_t value, ts_buf *out);
bool gen_value_parse(const gen_values *list, const char *text, size_t bytes, int64_t *out);

#endif
