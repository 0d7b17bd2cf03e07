/* GPT-2's byte alphabet: each byte is written as one printable code point inside vocabulary
 * files. */
#ifndef RUNTIME_TEXT_BYTELEVEL_H
#define RUNTIME_TEXT_BYTELEVEL_H

#include "../../db/base.h"

/* The code point that stands for `byte`: itself where printable in Latin-1, else 256, 257, ... */
uint32_t rt_bytelevel_code(uint8_t byte);
/* Appends the bytes that a token's text stands for. A text with a character outside the alphabet
 * (runs of plain spaces among the added tokens) stands for its own UTF-8 bytes. */
void rt_bytelevel_decode(const char *text, size_t bytes, ts_buf *out);

#endif
