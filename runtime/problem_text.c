/* Problem and specialization texts as sorted slices, so that two texts compare whatever order their
 * fields came in. Nothing is copied or allocated: a parsed text lives on the stack during a lookup.
 */
#include "problem_text.h"

#include <string.h>

static const char blanks[] = " \t\n";

static int compare_slices(rt_slice a, rt_slice b) {
    int order = memcmp(a.at, b.at, a.bytes < b.bytes ? a.bytes : b.bytes);
    if (order) return order;
    return (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

bool rt_slice_equal(rt_slice a, rt_slice b) {
    return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0;
}

bool rt_slice_number(rt_slice slice, int64_t *out) {
    int64_t value = 0;
    if (slice.bytes == 0) return false;
    for (size_t i = 0; i < slice.bytes; i++) {
        int digit = slice.at[i] - '0';
        if (digit < 0 || digit > 9) return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static rt_slice next_word(const char **at) {
    *at += strspn(*at, blanks);
    rt_slice word = {*at, strcspn(*at, blanks)};
    *at += word.bytes;
    return word;
}

/* Insertion keeps the fields sorted; there are few. */
static ts_status add_field(rt_problem *problem, rt_slice word, ts_err *err) {
    const char *equals = memchr(word.at, '=', word.bytes);
    if (!equals || equals == word.at || equals + 1 == word.at + word.bytes)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "'%.*s' is not of the form field=value",
                       (int)(word.bytes < 80 ? word.bytes : 80), word.at);
    if (problem->count == RT_MAX_FIELDS)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "more than %d fields", RT_MAX_FIELDS);
    size_t name_bytes = (size_t)(equals - word.at);
    rt_field field = {{word.at, name_bytes}, {equals + 1, word.bytes - name_bytes - 1}};
    size_t place = problem->count;
    while (place > 0 && compare_slices(problem->fields[place - 1].name, field.name) > 0) place--;
    if (place > 0 && rt_slice_equal(problem->fields[place - 1].name, field.name))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "field %.*s is given twice",
                       (int)(name_bytes < 80 ? name_bytes : 80), word.at);
    memmove(&problem->fields[place + 1], &problem->fields[place],
            (problem->count - place) * sizeof problem->fields[0]);
    problem->fields[place] = field;
    problem->count++;
    return TS_STATUS_OK;
}

static ts_status add_fields(rt_problem *problem, const char *at, ts_err *err) {
    for (rt_slice word = next_word(&at); word.bytes; word = next_word(&at))
        TS_TRY(add_field(problem, word, err));
    return TS_STATUS_OK;
}

ts_status rt_problem_parse(const char *text, rt_problem *out, ts_err *err) {
    out->count = 0;
    out->family = next_word(&text);
    if (out->family.bytes == 0 || memchr(out->family.at, '=', out->family.bytes))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "a problem begins with its family: 'gemv n=... k=...'");
    return add_fields(out, text, err);
}

ts_status rt_spec_parse(const char *family, const char *text, rt_problem *out, ts_err *err) {
    out->count = 0;
    out->family = (rt_slice){family, strlen(family)};
    return add_fields(out, text, err);
}

const rt_slice *rt_problem_value(const rt_problem *problem, rt_slice name) {
    for (size_t i = 0; i < problem->count; i++)
        if (rt_slice_equal(problem->fields[i].name, name)) return &problem->fields[i].value;
    return NULL;
}

int rt_problem_compare(const rt_problem *a, const rt_problem *b) {
    int order = compare_slices(a->family, b->family);
    for (size_t i = 0; order == 0 && i < a->count && i < b->count; i++) {
        order = compare_slices(a->fields[i].name, b->fields[i].name);
        if (order == 0) order = compare_slices(a->fields[i].value, b->fields[i].value);
    }
    return order ? order : (a->count > b->count) - (a->count < b->count);
}

bool rt_problem_contains(const rt_problem *whole, const rt_problem *part) {
    if (!rt_slice_equal(whole->family, part->family)) return false;
    for (size_t i = 0; i < part->count; i++) {
        const rt_slice *value = rt_problem_value(whole, part->fields[i].name);
        if (!value || !rt_slice_equal(*value, part->fields[i].value)) return false;
    }
    return true;
}
