/* Postfix formulas of launch data: parsed once into a short program, run at every launch.
 *
 * "m 128 ceil_div sm_count min" is numbers, extents, `sm_count` and binary operators. The parser
 * follows the stack depth, so the evaluator needs no check but arithmetic ones: all of int64_t,
 * overflow and division by zero are errors. Division rounds down (`//`) or up (`ceil_div`), also
 * below zero.
 */
#include "launch_data.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum opcode {
    OP_NUMBER,
    OP_EXTENT,
    OP_SM_COUNT,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_CEIL_DIV,
    OP_MIN,
    OP_MAX
};

static const struct {
    const char *text;
    uint8_t code;
} operators[] = {
    {"+", OP_ADD},   {"-", OP_SUB},   {"*", OP_MUL}, {"//", OP_DIV}, {"ceil_div", OP_CEIL_DIV},
    {"min", OP_MIN}, {"max", OP_MAX},
};

/* ---- parser ---- */

/* Sets the op of one token; false if it is none. */
static bool parse_token(const rt_launch_data *data, const char *token, rt_op *out) {
    *out = (rt_op){.code = OP_NUMBER};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (strcmp(token, operators[i].text) == 0) {
            out->code = operators[i].code;
            return true;
        }
    if (strcmp(token, "sm_count") == 0) {
        out->code = OP_SM_COUNT;
        return true;
    }
    for (size_t i = 0; i < data->extent_count; i++)
        if (strcmp(token, data->extents[i].name) == 0) {
            *out = (rt_op){.code = OP_EXTENT, .value = (int64_t)i};
            return true;
        }
    if (!isdigit((unsigned char)token[*token == '-'])) return false;
    char *end = NULL;
    errno = 0;
    out->value = strtoll(token, &end, 10);
    return *end == '\0' && errno == 0;
}

ts_status rt_formula_parse(rt_launch_data *data, const char *text, rt_formula *out, ts_err *err) {
    size_t first = data->op_count, count = 0;
    int depth = 0;
    for (const char *at = text + strspn(text, " "); *at; at += strspn(at, " ")) {
        char token[40];
        size_t length = strcspn(at, " ");
        if (first + count == RT_MAX_OPS)
            return ts_fail(err, TS_STATUS_CORRUPT, "formula '%.80s': too long", text);
        if (length >= sizeof token)
            return ts_fail(err, TS_STATUS_CORRUPT, "formula '%.80s' has an overlong token", text);
        memcpy(token, at, length);
        token[length] = '\0';
        at += length;
        rt_op *op = &data->ops[first + count++];
        if (!parse_token(data, token, op))
            return ts_fail(err, TS_STATUS_CORRUPT,
                           "formula '%.80s': '%s' is no number, extent or operator", text, token);
        depth += op->code >= OP_ADD ? -1 : 1;
        if (depth < 1)
            return ts_fail(err, TS_STATUS_CORRUPT, "formula '%.80s': '%s' lacks an operand", text,
                           token);
        if (depth > RT_MAX_DEPTH)
            return ts_fail(err, TS_STATUS_CORRUPT, "formula '%.80s' nests too deep", text);
    }
    if (depth != 1)
        return ts_fail(err, TS_STATUS_CORRUPT, "formula '%.80s' %s", text,
                       depth ? "leaves more than one value" : "is empty");
    data->op_count = first + count;
    *out = (rt_formula){.first = (uint16_t)first, .count = (uint16_t)count};
    return TS_STATUS_OK;
}

/* ---- evaluator ---- */

static bool divide(int64_t a, int64_t b, bool up, int64_t *out) {
    if (b == 0 || (a == INT64_MIN && b == -1)) return false;
    int64_t quotient = a / b;
    bool inexact = a % b != 0, negative = (a < 0) != (b < 0);
    *out = quotient + (inexact && up && !negative) - (inexact && !up && negative);
    return true;
}

static bool apply(uint8_t code, int64_t a, int64_t b, int64_t *out) {
    switch (code) {
    case OP_ADD: return !__builtin_add_overflow(a, b, out);
    case OP_SUB: return !__builtin_sub_overflow(a, b, out);
    case OP_MUL: return !__builtin_mul_overflow(a, b, out);
    case OP_DIV: return divide(a, b, false, out);
    case OP_CEIL_DIV: return divide(a, b, true, out);
    case OP_MIN: *out = a < b ? a : b; return true;
    default: *out = a > b ? a : b; return true;
    }
}

ts_status rt_formula_eval(const rt_launch_data *data, rt_formula formula, const rt_values *values,
                          int64_t limit, const char *what, int64_t *out, ts_err *err) {
    int64_t stack[RT_MAX_DEPTH];
    size_t depth = 0;
    const rt_op *end = data->ops + formula.first + formula.count;
    for (const rt_op *op = data->ops + formula.first; op < end; op++) {
        if (op->code >= OP_ADD) {
            depth--;
            if (!apply(op->code, stack[depth - 1], stack[depth], &stack[depth - 1]))
                return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                               "%s: overflow or division by zero for these extents", what);
            continue;
        }
        stack[depth++] = op->code == OP_NUMBER   ? op->value
                         : op->code == OP_EXTENT ? values->extents[op->value]
                                                 : values->sm_count;
    }
    if (stack[0] < 0 || stack[0] > limit)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "%s: %lld is outside 0..%lld for these extents", what, (long long)stack[0],
                       (long long)limit);
    *out = stack[0];
    return TS_STATUS_OK;
}

bool rt_formula_constant(const rt_launch_data *data, rt_formula formula, int64_t *out) {
    const rt_op *ops = data->ops + formula.first;
    for (size_t i = 0; i < formula.count; i++)
        if (ops[i].code == OP_EXTENT || ops[i].code == OP_SM_COUNT) return false;
    rt_values none = {.sm_count = 0};
    return rt_formula_eval(data, formula, &none, INT64_MAX, "constant", out, NULL) == TS_STATUS_OK;
}
