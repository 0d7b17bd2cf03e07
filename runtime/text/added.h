/* Added tokens: texts that become one id before anything else looks at the input. */
#ifndef RUNTIME_TEXT_ADDED_H
#define RUNTIME_TEXT_ADDED_H

#include "../../db/base.h"

typedef struct rt_added {
    const char *content; /* what to look for: normalised text where `normalized` is set; borrowed */
    size_t bytes;        /* > 0 */
    int32_t id;
    bool special, normalized, single_word, lstrip, rstrip;
} rt_added;

/* Tokens with one value of `normalized`, sorted for matching; index[b]..index[b + 1] start with
 * byte b. */
typedef struct rt_added_set {
    rt_added *tokens; /* owned */
    size_t count;
    size_t index[257];
} rt_added_set;

/* Sorts `tokens` (malloc'ed, ownership passes) and fills the index. */
void rt_added_init(rt_added_set *set, rt_added *tokens, size_t count);
void rt_added_free(rt_added_set *set);

typedef struct rt_added_match {
    size_t begin, end; /* in the searched text; strips included */
    int32_t id;
} rt_added_match;

/* First match at or after `from` in valid UTF-8 text: leftmost, longest at the same place.
 * `special` false passes over special tokens. False if there is none. */
bool rt_added_find(const rt_added_set *set, const char *text, size_t bytes, size_t from,
                   bool special, rt_added_match *out);

#endif
