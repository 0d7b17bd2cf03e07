/* gen_open: template folders to the loaded form, and everything that only reads it.
 *
 * Targets come first (families name their facts), then families in name order. A folder without family.lua is no
 * family. Hashes are made here: they decide what is tuned again.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loaded.h"

/* What hashes and cannot be seen in any file: raise it when gen's own output changes for the same templates. */
static const char GENERATOR_VERSION[] = "gen 2";

/* How messages and #line call every template folder: neither depends on where a checkout lies. */
static const char ROOT_LABEL[] = "templates";

static void read_values(lua_State *L, gen *g, gen_values *out) {
    lua_getfield(L, -1, "values");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        out->low = gen_get_integer(L, "low");
        out->high = gen_get_integer(L, "high");
        return;
    }
    out->count = (size_t)lua_rawlen(L, -1);
    out->values = gen_alloc(L, g, out->count * sizeof *out->values);
    for (size_t i = 0; i < out->count; i++) {
        bool is_text = lua_rawgeti(L, -1, (lua_Integer)i + 1) == LUA_TSTRING;
        if (is_text && !out->names) out->names = gen_alloc(L, g, out->count * sizeof *out->names);
        if (is_text) out->names[i] = gen_strdup(L, g, lua_tostring(L, -1));
        out->values[i] = is_text ? (int64_t)i : lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_field(lua_State *L, gen *g, gen_field *field) {
    field->name = gen_get_text(L, g, "name");
    lua_getfield(L, -1, "extent");
    field->is_extent = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (field->is_extent)
        field->list.high = INT32_MAX;
    else
        read_values(L, g, &field->list);
    if (lua_getfield(L, -1, "default") != LUA_TNIL) {
        size_t bytes;
        const char *text = luaL_tolstring(L, -1, &bytes);
        field->has_default = true;
        if (!gen_value_parse(&field->list, text, bytes, &field->default_value))
            gen_raise(L, TS_STATUS_TEMPLATE, "field %s: default %s is not among its values",
                      field->name, text);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static size_t list_length(lua_State *L, const char *key, size_t most) {
    lua_getfield(L, -1, key);
    size_t length = (size_t)lua_rawlen(L, -1);
    lua_pop(L, 1);
    if (length > most) gen_raise(L, TS_STATUS_TEMPLATE, "more than %zu %s", most, key);
    return length;
}

/* Calls read(L, g, item, i) with each element of the list `key` of the table on top of the stack on top. */
#define EACH(L, key, count)                             \
    lua_getfield(L, -1, key);                           \
    for (size_t i = 0; i < (count); lua_pop(L, 1), i++) \
        if (lua_rawgeti(L, -1, (lua_Integer)i + 1))

static void read_version(lua_State *L, gen *g, const gen_family *family, gen_version *version) {
    version->family = family;
    version->name = gen_get_text(L, g, "name");
    version->number = (int)gen_get_integer(L, "number");
    version->tunable_count = list_length(L, "tunables", GEN_MAX_TUNABLES);
    EACH(L, "tunables", version->tunable_count) {
        version->tunables[i].name = gen_get_text(L, g, "name");
        read_values(L, g, &version->tunables[i].list);
    }
    lua_pop(L, 1);
}

/* Hash over files of a folder whose name the filter takes, names included, in sorted order. */
static void hash_files(lua_State *L, ts_hash *hash, const char *dir,
                       bool (*take)(const char *name)) {
    gen_push_script(L, "list");
    lua_pushstring(L, dir);
    lua_call(L, 1, 1);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        const char *name = lua_tostring(L, -1);
        if (!take(name)) continue;
        gen_push_script(L, "read");
        lua_pushfstring(L, "%s/%s", dir, name);
        lua_call(L, 1, 1);
        size_t bytes;
        const char *text = lua_tolstring(L, -1, &bytes);
        ts_hash_text(hash, name);
        if (text) ts_hash_part(hash, text, bytes);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

static bool ends_with(const char *name, const char *ending) {
    size_t n = strlen(name), e = strlen(ending);
    return n >= e && strcmp(name + n - e, ending) == 0;
}
static bool is_template(const char *name) { return ends_with(name, ".in"); }
static bool is_kernel_file(const char *name) {
    return is_template(name) || strcmp(name, "family.lua") == 0 || strcmp(name, "args.h") == 0;
}
static bool is_oracle_file(const char *name) { return strcmp(name, "ref.c") == 0; }

static void hash_family(lua_State *L, gen *g, gen_family *family) {
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_text(&hash, GENERATOR_VERSION);
    hash_files(L, &hash, family->dir, is_kernel_file);
    for (size_t i = 0; i < g->root_count; i++) {
        lua_pushfstring(L, "%s/shared", g->roots[i]);
        hash_files(L, &hash, lua_tostring(L, -1), is_template);
        lua_pop(L, 1);
    }
    ts_hash_final(&hash, family->hash);
    ts_hash_init(&hash);
    hash_files(L, &hash, family->dir, is_oracle_file);
    gen_push_script(L, "verify_text");
    gen_push_family(L, family);
    lua_call(L, 1, 1);
    ts_hash_text(&hash, lua_tostring(L, -1));
    lua_pop(L, 1);
    ts_hash_final(&hash, family->oracle_hash);
    ts_hash_init(&hash);
    gen_push_script(L, "abi_text");
    gen_push_family(L, family);
    lua_call(L, 1, 1);
    ts_hash_text(&hash, lua_tostring(L, -1));
    lua_pop(L, 1);
    /* DB_LAUNCH_FORMAT; who cannot read DB_LAUNCH_FORMAT_MAPS refuses one kernel, not the family. */
    ts_hash_text(&hash, "launch format 1");
    ts_hash_final(&hash, family->abi);
}

/* The script's family is on top of the stack. */
static gen_family *read_family(lua_State *L, gen *g) {
    gen_family *family = gen_alloc(L, g, sizeof *family);
    family->name = gen_get_text(L, g, "name");
    family->dir = gen_get_text(L, g, "dir");
    family->field_count = list_length(L, "fields", GEN_MAX_FIELDS);
    EACH(L, "fields", family->field_count) read_field(L, g, &family->fields[i]);
    lua_pop(L, 1);
    family->tensor_count = list_length(L, "tensors", GEN_MAX_TENSORS);
    family->scalar_count = list_length(L, "scalars", GEN_MAX_SCALARS);
    family->version_count = list_length(L, "versions", 64);
    family->versions = gen_alloc(L, g, family->version_count * sizeof *family->versions);
    EACH(L, "versions", family->version_count) read_version(L, g, family, &family->versions[i]);
    lua_pop(L, 1);
    lua_getfield(L, -1, "regret");
    family->regret = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : NAN;
    lua_pop(L, 1);
    lua_getfield(L, -1, "warm");
    family->warm = lua_toboolean(L, -1);
    lua_pop(L, 1);
    hash_family(L, g, family);
    return family;
}

static const char **read_texts(lua_State *L, gen *g, const char *key) {
    size_t count = list_length(L, key, 64);
    const char **texts = gen_alloc(L, g, (count + 1) * sizeof *texts);
    EACH(L, key, count) texts[i] = gen_strdup(L, g, lua_tostring(L, -1));
    lua_pop(L, 1);
    return texts;
}

/* The script's resolved target is on top of the stack. */
static void read_target(lua_State *L, gen *g, gen_target *target) {
    const char *kind = gen_get_text(L, g, "kind");
    target->kind = strcmp(kind, "cuda") == 0 ? GEN_CUDA : GEN_CPU;
    target->options = read_texts(L, g, "options");
    size_t facts = 0, capabilities = 0;
    lua_getfield(L, -1, "facts");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) facts++;
    target->facts = gen_alloc(L, g, (facts + 1) * sizeof *target->facts);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        target->facts[target->fact_count++] = (gen_fact){gen_strdup(L, g, lua_tostring(L, -2)),
                                                         lua_tonumber(L, -1)};
    lua_pop(L, 1);
    lua_getfield(L, -1, "capabilities");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) capabilities++;
    target->capabilities = gen_alloc(L, g, (capabilities + 1) * sizeof *target->capabilities);
    size_t at = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        target->capabilities[at++] = gen_strdup(L, g, lua_tostring(L, -2));
    lua_pop(L, 1);
}

static void load_targets(lua_State *L, gen *g) {
    g->targets = gen_alloc(L, g, 256 * sizeof *g->targets);
    for (size_t r = 0; r < g->root_count; r++) {
        gen_push_script(L, "list");
        lua_pushfstring(L, "%s/targets", g->roots[r]);
        lua_call(L, 1, 1);
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            if (!ends_with(lua_tostring(L, -1), ".lua")) continue;
            if (g->target_count == 256) gen_raise(L, TS_STATUS_TEMPLATE, "more than 256 targets");
            gen_push_script(L, "load_target");
            lua_pushfstring(L, "%s/targets/%s", g->roots[r], lua_tostring(L, -2));
            lua_pushfstring(L, "%s/targets/%s", ROOT_LABEL, lua_tostring(L, -3));
            lua_call(L, 2, 1);
            gen_target *target = gen_alloc(L, g, sizeof *target);
            target->name = gen_strdup(L, g, lua_tostring(L, -1));
            g->targets[g->target_count++] = target;
            lua_pop(L, 1);
        }
        lua_pop(L, 2);
    }
    gen_push_script(L, "resolve_targets");
    lua_call(L, 0, 0);
    for (size_t i = 0; i < g->target_count; i++) {
        gen_push_target(L, g->targets[i]);
        read_target(L, g, g->targets[i]);
        if (lua_getfield(L, -1, "parent") == LUA_TSTRING)
            g->targets[i]->parent = gen_target_find(g, lua_tostring(L, -1));
        lua_pop(L, 2);
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(gen_family *const *)a)->name, (*(gen_family *const *)b)->name);
}

static void load_families(lua_State *L, gen *g) {
    g->families = gen_alloc(L, g, 256 * sizeof *g->families);
    for (size_t r = 0; r < g->root_count; r++) {
        gen_push_script(L, "list");
        lua_pushstring(L, g->roots[r]);
        lua_call(L, 1, 1);
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            gen_push_script(L, "load_family");
            lua_pushstring(L, g->roots[r]);
            lua_pushstring(L, ROOT_LABEL);
            lua_pushvalue(L, -4);
            lua_call(L, 3, 1);
            if (!lua_isnil(L, -1)) {
                if (g->family_count == 256)
                    gen_raise(L, TS_STATUS_TEMPLATE, "more than 256 families");
                g->families[g->family_count] = read_family(L, g);
                g->family_count++;
            }
            lua_pop(L, 1);
        }
        lua_pop(L, 2);
    }
    qsort(g->families, g->family_count, sizeof *g->families, by_name);
}

static void load_all(lua_State *L, void *context) {
    gen *g = context;
    gen_scripts_start(L);
    load_targets(L, g);
    load_families(L, g);
}

ts_status gen_open(const char *const *template_dirs, gen **out, ts_err *err) {
    gen *g = calloc(1, sizeof *g);
    if (!g) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory for the template tables");
    ts_status status = TS_STATUS_OK;
    while (template_dirs[g->root_count]) g->root_count++;
    g->roots = ts_arena_alloc(&g->arena, (g->root_count + 1) * sizeof *g->roots);
    for (size_t i = 0; g->roots && i < g->root_count && status == TS_STATUS_OK; i++) {
        struct stat info;
        g->roots[i] = ts_arena_strdup(&g->arena, template_dirs[i]);
        if (stat(template_dirs[i], &info) != 0 || !S_ISDIR(info.st_mode))
            status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s: no such template folder",
                             template_dirs[i]);
    }
    if (status == TS_STATUS_OK) status = gen_host_open(&g->host, err);
    if (status == TS_STATUS_OK) status = gen_protect(&g->host, load_all, g, err);
    if (status == TS_STATUS_OK)
        *out = g;
    else
        gen_close(g);
    return status;
}

void gen_close(gen *g) {
    if (!g) return;
    gen_host_close(&g->host);
    ts_arena_free(&g->arena);
    free(g);
}

/* ---- reading the loaded form ---- */

size_t gen_family_count(const gen *g) { return g->family_count; }
const gen_family *gen_family_at(const gen *g, size_t index) { return g->families[index]; }
const gen_family *gen_family_find(const gen *g, const char *name) {
    for (size_t i = 0; i < g->family_count; i++)
        if (strcmp(g->families[i]->name, name) == 0) return g->families[i];
    return NULL;
}
const char *gen_family_name(const gen_family *family) { return family->name; }
const char *gen_family_dir(const gen_family *family) { return family->dir; }
const char *gen_family_abi(const gen_family *family) { return family->abi; }
const char *gen_family_hash(const gen_family *family) { return family->hash; }
const char *gen_family_oracle_hash(const gen_family *family) { return family->oracle_hash; }

size_t gen_target_count(const gen *g) { return g->target_count; }
const gen_target *gen_target_at(const gen *g, size_t index) { return g->targets[index]; }
const gen_target *gen_target_find(const gen *g, const char *name) {
    for (size_t i = 0; i < g->target_count; i++)
        if (strcmp(g->targets[i]->name, name) == 0) return g->targets[i];
    return NULL;
}
const gen_target *gen_target_parent(const gen_target *target) { return target->parent; }
const char *gen_target_name(const gen_target *target) { return target->name; }
gen_kind gen_target_kind(const gen_target *target) { return target->kind; }
const char *const *gen_target_options(const gen_target *target) { return target->options; }

bool gen_target_has(const gen_target *target, const char *capability) {
    for (const char **c = target->capabilities; *c; c++)
        if (strcmp(*c, capability) == 0) return true;
    return false;
}

bool gen_target_fact(const gen_target *target, const char *name, double *value) {
    for (size_t i = 0; i < target->fact_count; i++) {
        if (strcmp(target->facts[i].name, name) != 0) continue;
        *value = target->facts[i].value;
        return true;
    }
    return false;
}
