/* The byte alphabet: 33..126, 161..172 and 174..255 stand for themselves, the 68 other bytes take
 * 256, 257, ... in increasing order (space becomes U+0120, newline U+010A), so that vocabulary
 * files hold visible text only.
 */
#include "bytelevel.h"

#include "utf8.h"

static bool stands_for_itself(uint32_t byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
           (byte >= 174 && byte <= 255);
}

uint32_t rt_bytelevel_code(uint8_t byte) {
    if (stands_for_itself(byte)) return byte;
    /* The moved bytes are 0..32, 127..160, 173: three runs, so the rank is a subtraction. */
    if (byte <= 32) return 256u + byte;
    if (byte <= 160) return 256u + 33u + (byte - 127u);
    return 256u + 67u;
}

/* -1 for a code point outside the alphabet. */
static int byte_of(uint32_t code) {
    if (code < 256) return stands_for_itself(code) ? (int)code : -1;
    uint32_t rank = code - 256;
    if (rank <= 32) return (int)rank;
    if (rank <= 66) return (int)(rank - 33 + 127);
    return rank == 67 ? 173 : -1;
}

void rt_bytelevel_decode(const char *text, size_t bytes, ts_buf *out) {
    size_t begin = out->bytes;
    for (size_t at = 0; at < bytes;) {
        rt_utf8_char c = rt_utf8_next(text + at, bytes - at);
        int value = c.kind == RT_UTF8_VALID ? byte_of(c.code) : -1;
        if (value < 0) {
            out->bytes = out->failed ? out->bytes : begin;
            ts_buf_append(out, text, bytes);
            return;
        }
        char byte = (char)value;
        ts_buf_append(out, &byte, 1);
        at += c.bytes;
    }
}
