/* Tensors, scalars and work of one problem, and what the oracle sees of it. The scripts compute; this carries. */
#include <string.h>

#include "loaded.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [GEN_FP32] = {"fp32", 4},
    [GEN_FP16] = {"fp16", 2},
    [GEN_BF16] = {"bf16", 2},
    [GEN_INT32] = {"int32", 4},
};

size_t gen_dtype_bytes(gen_dtype dtype) { return dtypes[dtype].bytes; }
const char *gen_dtype_name(gen_dtype dtype) { return dtypes[dtype].name; }

/* Index of the text field `key` among `names`. The scripts have checked it. */
static int choice(lua_State *L, const char *key, const char *const *names) {
    lua_getfield(L, -1, key);
    const char *text = lua_tostring(L, -1);
    int found = -1;
    for (int i = 0; text && names[i]; i++)
        if (strcmp(names[i], text) == 0) found = i;
    if (found < 0)
        gen_raise(L, TS_STATUS_TEMPLATE, "'%s' cannot be %s", key, text ? text : "missing");
    lua_pop(L, 1);
    return found;
}

static void read_tensor(lua_State *L, gen *g, gen_tensor *t) {
    static const char *const dtype_names[] = {"fp32", "fp16", "bf16", "int32", NULL};
    static const char *const directions[] = {"in", "out", "inout", NULL};
    static const char *const inits[] = {"normal", "uniform", "index", "offsets", "distinct", NULL};
    *t = (gen_tensor){
        .name = gen_get_text(L, g, "name"),
        .dtype = (gen_dtype)choice(L, "dtype", dtype_names),
        .direction = (gen_direction)choice(L, "direction", directions),
        .rows = gen_get_integer(L, "rows"),
        .cols = gen_get_integer(L, "cols"),
        .pitch = gen_get_integer(L, "pitch"),
        .offset = (int32_t)gen_get_integer(L, "offset"),
        .pitch_offset = (int32_t)gen_get_integer(L, "pitch_offset"),
        .slot = (int32_t)gen_get_integer(L, "number") - 1,
        .init = (gen_init_kind)choice(L, "init", inits),
        .init_a = gen_get_number(L, "a"),
        .init_b = gen_get_number(L, "b"),
    };
    lua_getfield(L, -1, "optional");
    t->optional = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (t->direction == GEN_IN) return;
    t->rtol = gen_get_number(L, "rtol");
    t->atol = gen_get_number(L, "atol");
    t->norm = gen_get_number(L, "norm");
}

typedef struct bind_call {
    gen *g;
    const gen_case *c;
    gen_binding *out;
} bind_call;

static size_t open_list(lua_State *L, const char *key) {
    lua_getfield(L, -1, key);
    return (size_t)lua_rawlen(L, -1);
}

static void bind(lua_State *L, void *context) {
    bind_call *call = context;
    gen_binding *out = call->out;
    gen_push_script(L, "bind");
    gen_push_family(L, call->c->problem.family);
    gen_push_values(L, &call->c->problem, true);
    lua_pushstring(L, call->c->pad);
    lua_pushstring(L, call->c->init);
    lua_pushstring(L, call->c->omit);
    lua_call(L, 5, 1);
    out->args_bytes = (int32_t)gen_get_integer(L, "args_bytes");
    out->flops = gen_get_number(L, "flops");
    out->bytes = gen_get_number(L, "bytes");
    out->lanes = gen_get_integer(L, "lanes");
    out->field_count = call->c->problem.family->field_count;
    out->tensor_count = open_list(L, "tensors");
    for (size_t i = 0; i < out->tensor_count; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_tensor(L, call->g, &out->tensors[i]);
    }
    lua_pop(L, 1);
    out->scalar_count = open_list(L, "scalars");
    for (size_t i = 0; i < out->scalar_count; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        out->scalars[i] = (gen_scalar){gen_get_text(L, call->g, "name"),
                                       (int32_t)gen_get_integer(L, "offset"),
                                       gen_get_number(L, "value")};
    }
    lua_pop(L, 1);
    out->extent_count = open_list(L, "extents");
    for (size_t i = 0; i < out->extent_count; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        out->extents[i].offset = (int32_t)gen_get_integer(L, "offset");
        out->extents[i].bytes = (int32_t)gen_get_integer(L, "bytes");
        out->extents[i].value = gen_get_integer(L, "value");
    }
}

ts_status gen_bind(gen *g, const gen_case *c, gen_binding *out, ts_err *err) {
    gen_binding binding = {0};
    bind_call call = {g, c, &binding};
    TS_TRY(gen_protect(&g->host, bind, &call, err));
    *out = binding;
    return TS_STATUS_OK;
}

/* ---- the oracle ---- */

typedef struct header_call {
    const gen_family *family;
    ts_buf *out;
} header_call;

static void write_header(lua_State *L, void *context) {
    header_call *call = context;
    size_t bytes;
    gen_push_script(L, "ref_header");
    gen_push_family(L, call->family);
    lua_call(L, 1, 1);
    const char *text = lua_tolstring(L, -1, &bytes);
    ts_buf_append(call->out, text, bytes);
}

ts_status gen_ref_header(gen *g, const gen_family *family, ts_buf *out, ts_err *err) {
    header_call call = {family, out};
    return gen_protect(&g->host, write_header, &call, err);
}

void gen_ref_slots(const gen_case *c, const gen_binding *binding, double *const *data,
                   void *slots) {
    union {
        int64_t integer;
        double number;
        double *pointer;
    } *slot = slots;
    const gen_family *family = c->problem.family;
    for (size_t i = 0; i < family->field_count; i++) (slot++)->integer = c->problem.values[i];
    for (size_t i = 0; i < family->scalar_count; i++) (slot++)->number = binding->scalars[i].value;
    for (size_t i = 0; i < family->tensor_count; i++) slot[i].pointer = NULL;
    for (size_t i = 0; i < binding->tensor_count; i++)
        slot[binding->tensors[i].slot].pointer = data[i];
}
