/* The Lua half of gen, embedded: the files of gen/script/ are linked in as bytes and run once in each state.
 *
 * Each script receives (G, string, table, math) and adds its functions to G. Host scripts are ours and see all of
 * Lua's base library; template files run in G.environment(), which is the sandbox of lua_host.c.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lua5.4/lualib.h>

#include "loaded.h"

#define EMBED(symbol, path)                                                        \
    __asm__(".section .rodata\n" #symbol "_begin:\n.incbin \"" path "\"\n" #symbol \
            "_end:\n.previous\n");                                                 \
    extern const char symbol##_begin[], symbol##_end[]

EMBED(gen_script_formula, "gen/script/formula.lua");
EMBED(gen_script_family, "gen/script/family.lua");
EMBED(gen_script_maps, "gen/script/maps.lua");
EMBED(gen_script_bind, "gen/script/bind.lua");
EMBED(gen_script_space, "gen/script/space.lua");
EMBED(gen_script_cost, "gen/script/cost.lua");
EMBED(gen_script_render, "gen/script/render.lua");

static const struct {
    const char *name, *begin, *end;
} scripts[] = {
    {"=gen/script/formula.lua", gen_script_formula_begin, gen_script_formula_end},
    {"=gen/script/family.lua", gen_script_family_begin, gen_script_family_end},
    {"=gen/script/maps.lua", gen_script_maps_begin, gen_script_maps_end},
    {"=gen/script/bind.lua", gen_script_bind_begin, gen_script_bind_end},
    {"=gen/script/space.lua", gen_script_space_begin, gen_script_space_end},
    {"=gen/script/cost.lua", gen_script_cost_begin, gen_script_cost_end},
    {"=gen/script/render.lua", gen_script_render_begin, gen_script_render_end},
};

static const char SCRIPTS_KEY;

/* read(path): the file's text, nil if there is no such file. */
static int read_file(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    ts_buf text = {0};
    ts_err err;
    if (access(path, F_OK) != 0) return 0;
    ts_status status = ts_file_read(path, &text, &err);
    if (status == TS_STATUS_OK) lua_pushlstring(L, text.bytes ? text.data : "", text.bytes);
    ts_buf_free(&text);
    if (status == TS_STATUS_OK) return 1;
    gen_raise(L, status, "%s", err.message);
}

/* list(dir): sorted names in a folder, an empty list if there is no such folder. */
static int list_folder(lua_State *L) {
    struct dirent **entries = NULL;
    int count = scandir(luaL_checkstring(L, 1), &entries, NULL, alphasort);
    lua_newtable(L);
    for (int i = 0, n = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            lua_pushstring(L, entries[i]->d_name);
            lua_rawseti(L, -2, ++n);
        }
        free(entries[i]);
    }
    free(entries);
    return 1;
}

static int environment(lua_State *L) {
    gen_push_environment(L);
    return 1;
}

void gen_scripts_start(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"read", read_file},
        {"list", list_folder},
        {"environment", environment},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SCRIPTS_KEY);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        size_t bytes = (size_t)(scripts[i].end - scripts[i].begin);
        if (luaL_loadbufferx(L, scripts[i].begin, bytes, scripts[i].name, "t") != LUA_OK)
            lua_error(L);
        gen_push_script(L, NULL);
        luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
        luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
        luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
        lua_call(L, 4, 0);
    }
    lua_pop(L, 1);
}

void gen_push_script(lua_State *L, const char *name) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SCRIPTS_KEY);
    if (!name) return;
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

static void push_entry(lua_State *L, const char *list, const char *name) {
    gen_push_script(L, list);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

void gen_push_family(lua_State *L, const gen_family *family) {
    push_entry(L, "families", family->name);
}
void gen_push_target(lua_State *L, const gen_target *target) {
    push_entry(L, "targets", target->name);
}

void gen_push_values(lua_State *L, const gen_problem *problem, bool extents) {
    const gen_family *family = problem->family;
    lua_newtable(L);
    for (size_t i = 0; i < family->field_count; i++) {
        const gen_field *field = &family->fields[i];
        if (field->is_extent && !extents) continue;
        if (field->list.names)
            lua_pushstring(L, field->list.names[problem->values[i]]);
        else
            lua_pushinteger(L, problem->values[i]);
        lua_setfield(L, -2, field->name);
    }
}

void *gen_alloc(lua_State *L, gen *g, size_t bytes) {
    void *memory = ts_arena_alloc(&g->arena, bytes ? bytes : 1);
    if (!memory) gen_raise(L, TS_STATUS_OUT_OF_MEMORY, "out of memory for the template tables");
    return memory;
}

const char *gen_strdup(lua_State *L, gen *g, const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(gen_alloc(L, g, bytes), text, bytes);
}

const char *gen_get_text(lua_State *L, gen *g, const char *key) {
    lua_getfield(L, -1, key);
    const char *text = lua_tostring(L, -1);
    if (!text) gen_raise(L, TS_STATUS_TEMPLATE, "'%s' is not a text", key);
    text = gen_strdup(L, g, text);
    lua_pop(L, 1);
    return text;
}

int64_t gen_get_integer(lua_State *L, const char *key) {
    int is_integer;
    lua_getfield(L, -1, key);
    int64_t value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer) gen_raise(L, TS_STATUS_TEMPLATE, "'%s' is not an integer", key);
    lua_pop(L, 1);
    return value;
}

double gen_get_number(lua_State *L, const char *key) {
    int is_number;
    lua_getfield(L, -1, key);
    double value = lua_tonumberx(L, -1, &is_number);
    if (!is_number) gen_raise(L, TS_STATUS_TEMPLATE, "'%s' is not a number", key);
    lua_pop(L, 1);
    return value;
}
