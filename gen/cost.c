/* Costs of a variant's launches: the family's formulas, evaluated for one problem on one target. */
#include <math.h>

#include "loaded.h"

typedef struct cost_call {
    const gen_variant *variant;
    const gen_problem *problem;
    const gen_target *target;
    gen_cost *out;
    size_t count;
} cost_call;

static void read_costs(lua_State *L, void *context) {
    cost_call *call = context;
    gen_push_script(L, "costs");
    gen_push_family(L, call->problem->family);
    gen_push_version(L, call->variant->version);
    gen_push_tunables(L, call->variant);
    gen_push_values(L, call->problem, true);
    gen_push_target(L, call->target);
    lua_call(L, 5, 1);
    if (lua_isnil(L, -1)) return;
    call->count = (size_t)lua_rawlen(L, -1);
    if (call->count > GEN_MAX_LAUNCHES)
        gen_raise(L, TS_STATUS_TEMPLATE, "more than %d launches", GEN_MAX_LAUNCHES);
    for (size_t i = 0; i < call->count; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        call->out[i] = (gen_cost){.blocks = gen_get_number(L, "blocks"),
                                  .threads = gen_get_number(L, "threads"),
                                  .shared_bytes = gen_get_number(L, "shared"),
                                  .registers = gen_get_number(L, "registers"),
                                  .latency = gen_get_number(L, "latency"),
                                  .issue = gen_get_number(L, "issue")};
    }
}

ts_status gen_costs(gen *g, const gen_variant *variant, const gen_problem *problem,
                    const gen_target *target, gen_cost *out, size_t *count, ts_err *err) {
    cost_call call = {variant, problem, target, out, 0};
    TS_TRY(gen_protect(&g->host, read_costs, &call, err));
    if (call.count == 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "%s/%s estimates no costs", problem->family->name,
                       variant->version->name);
    *count = call.count;
    return TS_STATUS_OK;
}

double gen_family_regret(const gen_family *family) { return family->regret; }
bool gen_family_is_warm(const gen_family *family) { return family->warm; }
