/* UTF-8: one character at a time, hostile input included. */
#ifndef RUNTIME_TEXT_UTF8_H
#define RUNTIME_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "../../db/base.h"

#define RT_UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

typedef enum rt_utf8_kind {
    RT_UTF8_VALID,
    RT_UTF8_INVALID,    /* `bytes` of them become one U+FFFD */
    RT_UTF8_INCOMPLETE, /* all that is left is a valid beginning of a character */
} rt_utf8_kind;

typedef struct rt_utf8_char {
    rt_utf8_kind kind;
    uint32_t code; /* VALID only */
    size_t bytes;  /* 1..4, what to step over */
} rt_utf8_char;

/* Looks at the first character of `text`, `bytes` > 0. Overlong forms, surrogates and values above
 * U+10FFFF are INVALID; the longest valid beginning is taken as one error, as Python and Rust
 * do. */
rt_utf8_char rt_utf8_next(const char *text, size_t bytes);
/* Writes a code point (below U+110000), returns 1..4. */
size_t rt_utf8_put(uint32_t code, char out[4]);
/* Appends `text` with every invalid or incomplete sequence replaced by U+FFFD. */
void rt_utf8_clean(const char *text, size_t bytes, ts_buf *out);

#endif
