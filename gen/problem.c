/* Problem texts and cases: "selective_scan b=1 l=2048 d=1536 n=16 ..." to values and back. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loaded.h"

/* ---- values ---- */

void gen_value_text(const gen_values *list, int64_t value, ts_buf *out) {
    if (list->names)
        ts_buf_printf(out, "%s", list->names[value]);
    else
        ts_buf_printf(out, "%" PRId64, value);
}

bool gen_value_parse(const gen_values *list, const char *text, size_t bytes, int64_t *out) {
    for (size_t i = 0; list->names && i < list->count; i++) {
        if (strlen(list->names[i]) != bytes || memcmp(list->names[i], text, bytes) != 0) continue;
        *out = (int64_t)i;
        return true;
    }
    if (list->names || bytes == 0 || bytes > 18) return false;
    char digits[20], *end;
    memcpy(digits, text, bytes);
    digits[bytes] = '\0';
    int64_t value = strtoll(digits, &end, 10);
    if (*end || digits[0] == '+' || digits[0] == ' ') return false;
    bool allowed = list->count == 0 && value >= list->low && value <= list->high;
    for (size_t i = 0; i < list->count; i++) allowed |= list->values[i] == value;
    if (allowed) *out = value;
    return allowed;
}

static void describe_values(const gen_values *list, ts_buf *out) {
    if (list->count == 0) ts_buf_printf(out, "%" PRId64 "..%" PRId64, list->low, list->high);
    for (size_t i = 0; i < list->count; i++) {
        ts_buf_printf(out, "%s", i ? ", " : "");
        gen_value_text(list, list->values[i], out);
    }
}

/* ---- reading ---- */

static ts_status read_pair(const gen_family *family, const char *word, size_t bytes, bool *seen,
                           gen_problem *out, ts_err *err) {
    const char *equals = memchr(word, '=', bytes);
    size_t name_bytes = equals ? (size_t)(equals - word) : bytes;
    for (size_t i = 0; i < family->field_count; i++) {
        const gen_field *field = &family->fields[i];
        if (strlen(field->name) != name_bytes || memcmp(field->name, word, name_bytes) != 0)
            continue;
        if (!equals) break;
        if (seen[i])
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: %s is given twice", family->name,
                           field->name);
        seen[i] = true;
        const char *value = equals + 1;
        if (gen_value_parse(&field->list, value, bytes - name_bytes - 1, &out->values[i]))
            return TS_STATUS_OK;
        ts_buf allowed = {0};
        describe_values(&field->list, &allowed);
        ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: %.*s is not a value of %s; allowed: %s",
                family->name, (int)(bytes - name_bytes - 1), value, field->name,
                allowed.data ? allowed.data : "");
        ts_buf_free(&allowed);
        return TS_STATUS_INVALID_ARGUMENT;
    }
    ts_buf fields = {0};
    for (size_t i = 0; i < family->field_count; i++)
        ts_buf_printf(&fields, " %s", family->fields[i].name);
    ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: '%.*s' is not field=value; fields:%s",
            family->name, (int)bytes, word, fields.data ? fields.data : "");
    ts_buf_free(&fields);
    return TS_STATUS_INVALID_ARGUMENT;
}

typedef struct domain_call {
    const gen_problem *problem;
    char rule[256]; /* the broken one; empty if none */
} domain_call;

static void check_domain(lua_State *L, void *context) {
    domain_call *call = context;
    gen_push_script(L, "broken_domain");
    gen_push_family(L, call->problem->family);
    gen_push_values(L, call->problem, true);
    lua_call(L, 2, 1);
    const char *rule = lua_tostring(L, -1);
    if (rule) strncpy(call->rule, rule, sizeof call->rule - 1);
}

ts_status gen_problem_parse(gen *g, const char *text, gen_problem *out, ts_err *err) {
    gen_problem problem = {0};
    bool seen[GEN_MAX_FIELDS] = {false};
    const char *word = text + strspn(text, " ");
    size_t bytes = strcspn(word, " ");
    char name[64];
    if (bytes == 0 || bytes >= sizeof name)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "'%s' is no problem: write \"family field=value ...\"", text);
    memcpy(name, word, bytes);
    name[bytes] = '\0';
    const gen_family *family = problem.family = gen_family_find(g, name);
    if (!family) return ts_fail(err, TS_STATUS_NOT_FOUND, "no family named '%s'", name);
    for (word += bytes; *(word += strspn(word, " ")); word += bytes) {
        bytes = strcspn(word, " ");
        TS_TRY(read_pair(family, word, bytes, seen, &problem, err));
    }
    for (size_t i = 0; i < family->field_count; i++) {
        if (seen[i]) continue;
        if (!family->fields[i].has_default)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: field %s is missing in '%s'", name,
                           family->fields[i].name, text);
        problem.values[i] = family->fields[i].default_value;
    }
    domain_call call = {.problem = &problem};
    TS_TRY(gen_protect(&g->host, check_domain, &call, err));
    if (call.rule[0])
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "'%s' is impossible: it breaks '%s'", text,
                       call.rule);
    *out = problem;
    return TS_STATUS_OK;
}

/* ---- writing ---- */

static void append_fields(const gen_problem *problem, bool extents, const char *before,
                          ts_buf *out) {
    for (size_t i = 0; i < problem->family->field_count; i++) {
        const gen_field *field = &problem->family->fields[i];
        if (field->is_extent && !extents) continue;
        ts_buf_printf(out, "%s%s=", before, field->name);
        gen_value_text(&field->list, problem->values[i], out);
        before = " ";
    }
}

void gen_problem_text(const gen_problem *problem, ts_buf *out) {
    ts_buf_printf(out, "%s", problem->family->name);
    append_fields(problem, true, " ", out);
}

void gen_problem_spec(const gen_problem *problem, ts_buf *out) {
    append_fields(problem, false, "", out);
}

/* ---- cases ---- */

typedef struct cases_call {
    gen *g;
    const gen_family *family;
    const gen_problem *like;
    const char *list;
    ts_buf cases; /* of gen_case */
    const char **texts;
    size_t text_count;
} cases_call;

static void read_case_values(lua_State *L, const gen_family *family, gen_problem *out) {
    out->family = family;
    lua_getfield(L, -1, "values");
    for (size_t i = 0; i < family->field_count; i++) {
        const gen_field *field = &family->fields[i];
        size_t bytes;
        lua_getfield(L, -1, field->name);
        const char *text = luaL_tolstring(L, -1, &bytes);
        if (!gen_value_parse(&field->list, text, bytes, &out->values[i]))
            gen_raise(L, TS_STATUS_TEMPLATE, "%s/cases.lua: %s is not a value of %s", family->name,
                      text, field->name);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

static void collect_verify(lua_State *L, void *context) {
    cases_call *call = context;
    gen_push_script(L, "verify_cases");
    gen_push_family(L, call->family);
    gen_push_values(L, call->like, false);
    lua_call(L, 2, 1);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        gen_case c = {.pad = gen_get_text(L, call->g, "pad")};
        read_case_values(L, call->family, &c.problem);
        c.init = gen_get_text(L, call->g, "init");
        c.omit = gen_get_text(L, call->g, "omit");
        c.alias = gen_get_text(L, call->g, "alias");
        c.note = gen_get_text(L, call->g, "note");
        ts_buf_append(&call->cases, &c, sizeof c);
    }
}

static void collect_texts(lua_State *L, void *context) {
    cases_call *call = context;
    gen_push_family(L, call->family);
    lua_getfield(L, -1, "cases");
    if (lua_getfield(L, -1, call->list) != LUA_TTABLE) return;
    call->text_count = (size_t)lua_rawlen(L, -1);
    call->texts = gen_alloc(L, call->g, call->text_count * sizeof *call->texts);
    for (size_t i = 0; i < call->text_count; i++, lua_pop(L, 1)) {
        if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING)
            gen_raise(L, TS_STATUS_TEMPLATE, "%s/cases.lua: %s[%d] is not a problem text",
                      call->family->name, call->list, (int)i + 1);
        call->texts[i] = gen_strdup(L, call->g, lua_tostring(L, -1));
    }
}

ts_status gen_cases(gen *g, const gen_family *family, const char *list, const gen_problem *like,
                    gen_case **out, size_t *count, ts_err *err) {
    cases_call call = {.g = g, .family = family, .like = like, .list = list};
    bool verify = strcmp(list, "verify") == 0;
    ts_status status = gen_protect(&g->host, verify ? collect_verify : collect_texts, &call, err);
    for (size_t i = 0; status == TS_STATUS_OK && i < call.text_count; i++) {
        gen_case c = {.pad = "", .init = "", .omit = "", .alias = "", .note = ""};
        status = gen_problem_parse(g, call.texts[i], &c.problem, err);
        ts_buf_append(&call.cases, &c, sizeof c);
    }
    if (status == TS_STATUS_OK && call.cases.failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory for cases");
    if (status != TS_STATUS_OK) {
        ts_buf_free(&call.cases);
        return status;
    }
    *count = call.cases.bytes / sizeof(gen_case);
    *out = (gen_case *)(void *)call.cases.data;
    return TS_STATUS_OK;
}
