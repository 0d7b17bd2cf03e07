/* One sandboxed Lua state: what scripts may call, how much they may use, and how C code fails inside it. */
#ifndef GEN_LUA_HOST_H
#define GEN_LUA_HOST_H

#include <lua5.4/lua.h>

#include "../db/base.h"

typedef struct gen_host {
    lua_State *L;
    size_t used_bytes;
    bool out_of_quota;    /* an allocation was refused by the limit, not by the system */
    int64_t instructions; /* run in the current protected call */
    ts_status status;     /* of the error being raised */
} gen_host;

/* Fills *host, whose address must not change until gen_host_close. */
ts_status gen_host_open(gen_host *host, ts_err *err);
void gen_host_close(gen_host *host);

/* Runs body(L, context) protected: a Lua error, or gen_raise below it, becomes the returned status with the
 * message and the Lua lines that led there. The stack is left as it was. May not be nested. */
typedef void (*gen_body)(lua_State *L, void *context);
ts_status gen_protect(gen_host *host, gen_body body, void *context, ts_err *err);

/* Raises a Lua error with this status. Only inside gen_protect. Nothing of C may be held across it. */
_Noreturn void gen_raise(lua_State *L, ts_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Raises the error value on top of the stack again. */
_Noreturn void gen_reraise(lua_State *L);

/* Pushes a new environment: an empty table behind which lie the sandbox's functions. Reading a name that is
 * in neither raises "unknown name". */
void gen_push_environment(lua_State *L);
/* Is it one of the sandbox's functions or libraries? */
bool gen_sandbox_has(lua_State *L, const char *name);

#endif
