/* The sandboxed Lua state in which family.lua, targets and templates run.
 *
 * Scripts see an allow-list: what computes, and nothing that reads the world, changes the state for the next
 * script, or differs between two runs (hash order, random numbers, addresses). pcall and coroutines are left
 * out because they would outlive the instruction limit. The sandbox is for reproducible text and contained
 * mistakes; it is no defence against a hostile template, whose kernels run natively anyway.
 *
 * Limits hold for one protected call (instructions) and for the state (memory). All C code that touches the
 * state runs inside gen_protect; errors travel as Lua errors whose status waits in the host.
 */
#include "lua_host.h"

#include <lua5.4/lauxlib.h>
#include <lua5.4/lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All families with their tables need about 2 MiB. */
static const size_t MEMORY_LIMIT_BYTES = (size_t)128 << 20;
/* About a second. The largest space here takes under a tenth of it to solve. */
static const int64_t INSTRUCTION_LIMIT = 200000000;
enum { HOOK_PERIOD = 10000, TRACE_LINES = 4 };

static const char SANDBOX_KEY = 0; /* its address is the registry key */

static gen_host *host_of(lua_State *L) { return *(gen_host **)lua_getextraspace(L); }

static void *allocate(void *context, void *block, size_t old_bytes, size_t new_bytes) {
    gen_host *host = context;
    if (!block) old_bytes = 0; /* Lua passes the kind of object then */
    if (new_bytes == 0) {
        free(block);
        host->used_bytes -= old_bytes;
        return NULL;
    }
    if (new_bytes > old_bytes && host->used_bytes + (new_bytes - old_bytes) > MEMORY_LIMIT_BYTES) {
        host->out_of_quota = true;
        return NULL;
    }
    void *grown = realloc(block, new_bytes);
    if (grown) host->used_bytes += new_bytes - old_bytes;
    return grown;
}

static void count_instructions(lua_State *L, lua_Debug *ar) {
    (void)ar;
    gen_host *host = host_of(L);
    host->instructions += HOOK_PERIOD;
    if (host->instructions > INSTRUCTION_LIMIT)
        luaL_error(L, "ran for more than %d million Lua instructions (an endless loop?)",
                   (int)(INSTRUCTION_LIMIT / 1000000));
}

/* ---- the allow-list ---- */

static int refuse_pairs(lua_State *L) {
    return luaL_error(
        L, "pairs has no stable order and would make the output vary: use a list and ipairs");
}

static int refuse_write(lua_State *L) { return luaL_error(L, "library tables are read-only"); }

static int unknown_name(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SANDBOX_KEY);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    return luaL_error(L, "unknown name '%s'", luaL_tolstring(L, 2, NULL));
}

static int ceil_div(lua_State *L) {
    lua_Integer a = luaL_checkinteger(L, 1), b = luaL_checkinteger(L, 2);
    if (b <= 0) return luaL_error(L, "ceil_div by %I, which is not positive", b);
    lua_pushinteger(L, a / b + (a % b > 0));
    return 1;
}

/* Replaces the library table on top of the stack by a read-only view of it, without the names in `hidden`. */
static void make_read_only(lua_State *L, const char *const *hidden) {
    for (; *hidden; hidden++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *hidden);
    }
    lua_newtable(L);
    lua_newtable(L);
    lua_rotate(L, -3, -1); /* view, metatable, library */
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* string.rep of an empty text loops in C as often as it is told to, and uses no memory that would end it. */
static int bounded_rep(lua_State *L) {
    size_t text, separator;
    luaL_checklstring(L, 1, &text);
    luaL_optlstring(L, 3, "", &separator);
    if (text + separator == 0) return lua_pushliteral(L, ""), 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* The string library is on top of the stack; strings find its functions through the same table. */
static void limit_rep(lua_State *L) {
    lua_getfield(L, -1, "rep");
    lua_pushcclosure(L, bounded_rep, 1);
    lua_setfield(L, -2, "rep");
}

static void build_sandbox(lua_State *L) {
    static const char *const base[] = {"assert",   "error",    "ipairs", "select",
                                       "tonumber", "tostring", "type",   NULL};
    static const struct {
        const char *name;
        lua_CFunction open;
        const char *hidden[3];
    } libraries[] = {
        {"math", luaopen_math, {"random", "randomseed", NULL}},
        {"string", luaopen_string, {"dump", NULL, NULL}},
        {"table", luaopen_table, {"move", NULL, NULL}}, /* loops in C, where no limit reaches it */
    };
    lua_newtable(L);
    luaL_requiref(L, "_G", luaopen_base, 0);
    for (size_t i = 0; base[i]; i++) {
        lua_getfield(L, -1, base[i]);
        lua_setfield(L, -3, base[i]);
    }
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].open, 0);
        if (strcmp(libraries[i].name, "string") == 0) limit_rep(L);
        make_read_only(L, libraries[i].hidden);
        lua_setfield(L, -2, libraries[i].name);
    }
    lua_getfield(L, -1, "math"); /* min and max by their short names, as in launch data */
    lua_getfield(L, -1, "min");
    lua_setfield(L, -3, "min");
    lua_getfield(L, -1, "max");
    lua_setfield(L, -3, "max");
    lua_pop(L, 1);
    lua_pushcfunction(L, ceil_div);
    lua_setfield(L, -2, "ceil_div");
    lua_pushcfunction(L, refuse_pairs);
    lua_setfield(L, -2, "pairs");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SANDBOX_KEY);
}

void gen_push_environment(lua_State *L) {
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, unknown_name);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

bool gen_sandbox_has(lua_State *L, const char *name) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SANDBOX_KEY);
    bool known = lua_getfield(L, -1, name) != LUA_TNIL;
    lua_pop(L, 2);
    return known;
}

/* ---- errors ---- */

void gen_raise(lua_State *L, ts_status status, const char *format, ...) {
    char message[sizeof(((ts_err *)0)->message)];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    host_of(L)->status = status;
    lua_pushstring(L, message);
    gen_reraise(L);
}

void gen_reraise(lua_State *L) {
    lua_error(L);
    __builtin_unreachable(); /* lua_error does not return, its declaration does not say so */
}

/* Appends the Lua lines that led to the error, on one line: messages go into tables and logs. */
static int add_trace(lua_State *L) {
    const char *message = luaL_tolstring(L, 1, NULL);
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    luaL_addstring(&text, message);
    int shown = 0;
    lua_Debug frame;
    for (int level = 1; shown < TRACE_LINES && lua_getstack(L, level, &frame); level++) {
        char place[LUA_IDSIZE + 16];
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0) continue;
        snprintf(place, sizeof place, "%s:%d:", frame.short_src, frame.currentline);
        if (strstr(message, place)) continue;
        place[strlen(place) - 1] = '\0';
        luaL_addstring(&text, shown++ == 0 ? " (from " : ", ");
        luaL_addstring(&text, place);
    }
    if (shown) luaL_addchar(&text, ')');
    luaL_pushresult(&text);
    return 1;
}

typedef struct protected_call {
    gen_body body;
    void *context;
} protected_call;

static int run_protected(lua_State *L) {
    protected_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_checkstack(L, 64, NULL);
    call->body(L, call->context);
    return 0;
}

ts_status gen_protect(gen_host *host, gen_body body, void *context, ts_err *err) {
    lua_State *L = host->L;
    protected_call call = {body, context};
    int top = lua_gettop(L);
    host->instructions = 0;
    host->out_of_quota = false;
    host->status = TS_STATUS_TEMPLATE;
    lua_pushcfunction(L, add_trace);
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, &call);
    int rc = lua_pcall(L, 1, 0, top + 1);
    ts_status status = TS_STATUS_OK;
    if (rc == LUA_ERRMEM && !host->out_of_quota)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory in the template engine");
    else if (rc == LUA_ERRMEM)
        status = ts_fail(err, TS_STATUS_TEMPLATE,
                         "templates need more than their limit of %zu MiB of memory",
                         MEMORY_LIMIT_BYTES >> 20);
    else if (rc != LUA_OK)
        status = ts_fail(err, host->status, "%s", lua_tostring(L, -1));
    lua_settop(L, top);
    return status;
}

/* ---- life ---- */

static void set_up(lua_State *L, void *context) {
    (void)context;
    build_sandbox(L);
}

ts_status gen_host_open(gen_host *host, ts_err *err) {
    *host = (gen_host){0};
    host->L = lua_newstate(allocate, host);
    if (!host->L) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory for a Lua state");
    *(gen_host **)lua_getextraspace(host->L) = host;
    lua_sethook(host->L, count_instructions, LUA_MASKCOUNT, HOOK_PERIOD);
    ts_status status = gen_protect(host, set_up, NULL, err);
    if (status != TS_STATUS_OK) gen_host_close(host);
    return status;
}

void gen_host_close(gen_host *host) {
    if (host->L) lua_close(host->L);
    host->L = NULL;
}
