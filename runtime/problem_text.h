/* Texts like "gemv n=4096 k=1024 dtype=bf16", read without knowing the family. */
#ifndef RUNTIME_PROBLEM_TEXT_H
#define RUNTIME_PROBLEM_TEXT_H

#include "../db/base.h"

enum { RT_MAX_FIELDS = 32 };

typedef struct rt_slice {
    const char *at;
    size_t bytes;
} rt_slice;

typedef struct rt_field {
    rt_slice name, value;
} rt_field;

/* Slices of the text it was parsed from; fields sorted by name, no name twice. */
typedef struct rt_problem {
    rt_slice family;
    rt_field fields[RT_MAX_FIELDS];
    size_t count;
} rt_problem;

/* Parses "family name=value ..." . INVALID_ARGUMENT quotes the word that is wrong. */
ts_status rt_problem_parse(const char *text, rt_problem *out, ts_err *err);
/* Parses "name=value ..." as fields of `family`, which must outlive *out too. */
ts_status rt_spec_parse(const char *family, const char *text, rt_problem *out, ts_err *err);

/* The value of a field, NULL if it is not there. */
const rt_slice *rt_problem_value(const rt_problem *problem, rt_slice name);
/* A whole decimal number from 0 to INT64_MAX; false if the slice is anything else. */
bool rt_slice_number(rt_slice slice, int64_t *out);
bool rt_slice_equal(rt_slice a, rt_slice b);
/* Total order: family, then fields in order (name, value), then number of fields. */
int rt_problem_compare(const rt_problem *a, const rt_problem *b);
/* Do all fields of `part` stand in `whole` with the same values (families equal too)? */
bool rt_problem_contains(const rt_problem *whole, const rt_problem *part);

#endif
