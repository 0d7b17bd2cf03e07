/* Pre-tokenizing: cutting text into the pieces that BPE works on. */
#ifndef RUNTIME_TEXT_SPLIT_H
#define RUNTIME_TEXT_SPLIT_H

#include "../../db/base.h"

enum { RT_SPLIT_MAX = 4 };

/* GPT-2's pattern, what a ByteLevel pre-tokenizer with use_regex applies. */
extern const char rt_split_gpt2[];

/* Patterns applied one after another, each to the pieces of the one before. Immutable once built:
 * threads may share it. */
typedef struct rt_split {
    void *patterns[RT_SPLIT_MAX]; /* pcre2_code */
    size_t count;
} rt_split;

/* Adds a pattern in the syntax of tokenizer.json. UNSUPPORTED: it does not compile, or there are
 * too many. */
ts_status rt_split_add(rt_split *split, const char *pattern, ts_err *err);
void rt_split_free(rt_split *split);

typedef void (*rt_split_each)(void *context, const char *piece, size_t bytes);
/* Calls back for every piece of valid UTF-8 text, in order: the matches and what lies between
 * them. */
ts_status rt_split_run(const rt_split *split, const char *text, size_t bytes, rt_split_each each,
                       void *context, ts_err *err);

#endif
