/* Variants: enumeration, names, rendering to a translation unit with its launch data and hash. */
#include <stdlib.h>
#include <string.h>

#include "loaded.h"

/* ---- names and parts ---- */

void gen_variant_name(const gen_variant *variant, ts_buf *out) {
    const gen_version *version = variant->version;
    ts_buf_printf(out, "%s/%s", version->family->name, version->name);
    for (size_t i = 0; i < version->tunable_count; i++) {
        ts_buf_printf(out, " %s=", version->tunables[i].name);
        gen_value_text(&version->tunables[i].list, variant->tunables[i], out);
    }
}

ts_status gen_variant_parse(gen *g, const char *name, gen_variant *out, ts_err *err) {
    size_t head = strcspn(name, " "), slash = strcspn(name, "/");
    gen_variant variant = {0};
    for (size_t f = 0; f < g->family_count && slash < head; f++) {
        const gen_family *family = g->families[f];
        if (strlen(family->name) != slash || memcmp(family->name, name, slash) != 0) continue;
        for (size_t v = 0; v < family->version_count; v++) {
            const char *own = family->versions[v].name;
            if (strlen(own) == head - slash - 1 && memcmp(own, name + slash + 1, strlen(own)) == 0)
                variant.version = &family->versions[v];
        }
    }
    if (!variant.version)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "'%s': no such family and version", name);
    const char *word = name + head;
    for (size_t i = 0; i < variant.version->tunable_count; i++) {
        const gen_tunable *tunable = &variant.version->tunables[i];
        word += strspn(word, " ");
        size_t bytes = strcspn(word, " "), own = strlen(tunable->name);
        if (bytes <= own || memcmp(word, tunable->name, own) != 0 || word[own] != '=' ||
            !gen_value_parse(&tunable->list, word + own + 1, bytes - own - 1, &variant.tunables[i]))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "'%s': expected %s=VALUE as tunable %zu", name, tunable->name, i + 1);
        word += bytes;
    }
    if (word[strspn(word, " ")])
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "'%s': too many tunables", name);
    *out = variant;
    return TS_STATUS_OK;
}

const gen_family *gen_version_family(const gen_version *version) { return version->family; }
const char *gen_version_name(const gen_version *version) { return version->name; }
size_t gen_version_tunable_count(const gen_version *version) { return version->tunable_count; }
size_t gen_version_values(const gen_version *version, size_t tunable, const int64_t **values) {
    *values = version->tunables[tunable].list.values;
    return version->tunables[tunable].list.count;
}

/* ---- enumeration ---- */

typedef struct space_call {
    const gen_problem *problem;
    const gen_target *target;
    ts_buf variants; /* of gen_variant */
} space_call;

/* Appends the variant whose version number and value indices are stack[index]'s list. */
static void read_variant(lua_State *L, const gen_family *family, int index, gen_variant *out) {
    *out = (gen_variant){0};
    lua_rawgeti(L, index, 1);
    out->version = &family->versions[lua_tointeger(L, -1) - 1];
    lua_pop(L, 1);
    for (size_t i = 0; i < out->version->tunable_count; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, index, (lua_Integer)i + 2);
        out->tunables[i] = out->version->tunables[i].list.values[lua_tointeger(L, -1) - 1];
    }
}

static void push_space(lua_State *L, const char *function, const space_call *call) {
    gen_push_script(L, function);
    gen_push_family(L, call->problem->family);
    gen_push_values(L, call->problem, false);
    gen_push_target(L, call->target);
}

static void enumerate(lua_State *L, void *context) {
    space_call *call = context;
    push_space(L, "enumerate", call);
    lua_call(L, 3, 1);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        gen_variant variant;
        read_variant(L, call->problem->family, lua_gettop(L), &variant);
        ts_buf_append(&call->variants, &variant, sizeof variant);
    }
}

ts_status gen_enumerate(gen *g, const gen_problem *problem, const gen_target *target,
                        gen_variant **out, size_t *count, ts_err *err) {
    space_call call = {problem, target, {0}};
    ts_status status = gen_protect(&g->host, enumerate, &call, err);
    if (status == TS_STATUS_OK && call.variants.failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory for variants");
    if (status != TS_STATUS_OK) {
        ts_buf_free(&call.variants);
        return status;
    }
    *count = call.variants.bytes / sizeof(gen_variant);
    *out = (gen_variant *)(void *)call.variants.data;
    return TS_STATUS_OK;
}

static void find_default(lua_State *L, void *context) {
    space_call *call = context;
    push_space(L, "default_variant", call);
    lua_call(L, 3, 2);
    if (lua_isnil(L, -2)) return;
    lua_Integer number = lua_tointeger(L, -2);
    lua_newtable(L);
    lua_pushinteger(L, number);
    lua_rawseti(L, -2, 1);
    for (lua_Integer i = 1; lua_rawgeti(L, -2, i) != LUA_TNIL; i++) lua_rawseti(L, -2, i + 1);
    lua_pop(L, 1);
    gen_variant variant;
    read_variant(L, call->problem->family, lua_gettop(L), &variant);
    ts_buf_append(&call->variants, &variant, sizeof variant);
}

ts_status gen_default(gen *g, const gen_problem *problem, const gen_target *target,
                      gen_variant *out, ts_err *err) {
    space_call call = {problem, target, {0}};
    ts_status status = gen_protect(&g->host, find_default, &call, err);
    if (status == TS_STATUS_OK && call.variants.bytes == 0)
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s has no version for %s",
                         problem->family->name, target->name);
    if (status == TS_STATUS_OK) memcpy(out, call.variants.data, sizeof *out);
    ts_buf_free(&call.variants);
    return status;
}

/* ---- rendering ---- */

typedef struct render_call {
    gen *g;
    const gen_variant *variant;
    const gen_problem *problem;
    const gen_target *target;
    const char *title;
    gen_source *out;
} render_call;

void gen_push_version(lua_State *L, const gen_version *version) {
    gen_push_family(L, version->family);
    lua_getfield(L, -1, "versions");
    lua_rawgeti(L, -1, version->number);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void gen_push_tunables(lua_State *L, const gen_variant *variant) {
    lua_newtable(L);
    for (size_t i = 0; i < variant->version->tunable_count; i++) {
        const gen_tunable *tunable = &variant->version->tunables[i];
        if (tunable->list.names)
            lua_pushstring(L, tunable->list.names[variant->tunables[i]]);
        else
            lua_pushinteger(L, variant->tunables[i]);
        lua_setfield(L, -2, tunable->name);
    }
}

/* Pushes `function` and the five arguments that render and launch_data share. */
static void push_render(lua_State *L, const char *function, const render_call *call) {
    gen_push_script(L, function);
    gen_push_family(L, call->problem->family);
    gen_push_version(L, call->variant->version);
    gen_push_tunables(L, call->variant);
    gen_push_values(L, call->problem, false);
    gen_push_target(L, call->target);
}

static void render(lua_State *L, void *context) {
    render_call *call = context;
    size_t bytes;
    push_render(L, "render", call);
    lua_pushstring(L, call->title);
    lua_newtable(L);
    lua_pushstring(L, call->g->roots[0]);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, "templates");
    lua_setfield(L, -2, "label");
    lua_call(L, 7, 1);
    const char *text = lua_tolstring(L, -1, &bytes);
    ts_buf_append(&call->out->text, text, bytes);
    int source = lua_gettop(L);
    push_render(L, "launch_data", call);
    lua_pushvalue(L, source);
    lua_call(L, 6, 1);
    text = lua_tolstring(L, -1, &bytes);
    ts_buf_append(&call->out->launch, text, bytes);
}

ts_status gen_render(gen *g, const gen_variant *variant, const gen_problem *problem,
                     const gen_target *target, gen_source *out, ts_err *err) {
    ts_buf title = {0};
    gen_variant_name(variant, &title);
    ts_buf_printf(&title, " | ");
    gen_problem_spec(problem, &title);
    ts_buf_printf(&title, " | %s", target->name);
    gen_source source = {0};
    render_call call = {g, variant, problem, target, title.data, &source};
    ts_status status = gen_protect(&g->host, render, &call, err);
    if (status == TS_STATUS_OK && (title.failed || source.text.failed || source.launch.failed))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory for a kernel's source");
    ts_buf_free(&title);
    if (status != TS_STATUS_OK) {
        gen_source_free(&source);
        return status;
    }
    ts_hash hash;
    ts_hash_init(&hash);
    ts_hash_part(&hash, source.text.data, source.text.bytes);
    ts_hash_part(&hash, source.launch.data, source.launch.bytes);
    for (const char **option = target->options; *option; option++) ts_hash_text(&hash, *option);
    ts_hash_final(&hash, source.hash);
    *out = source;
    return TS_STATUS_OK;
}

void gen_source_free(gen_source *source) {
    ts_buf_free(&source->text);
    ts_buf_free(&source->launch);
}
