/* UTF-8 decoding as in Unicode's table 3-7: the lead byte fixes the length and the range of the
 * second byte, all others are 80..BF. That table alone excludes overlong forms, surrogates and
 * values past U+10FFFF.
 */
#include "utf8.h"

typedef struct lead {
    size_t bytes;      /* 0: not a lead byte */
    uint8_t low, high; /* range of the second byte */
    uint8_t mask;      /* payload of the lead byte */
} lead;

static lead lead_of(uint8_t byte) {
    if (byte < 0x80) return (lead){1, 0, 0, 0x7F};
    if (byte < 0xC2) return (lead){0};
    if (byte < 0xE0) return (lead){2, 0x80, 0xBF, 0x1F};
    if (byte == 0xE0) return (lead){3, 0xA0, 0xBF, 0x0F};
    if (byte == 0xED) return (lead){3, 0x80, 0x9F, 0x0F};
    if (byte < 0xF0) return (lead){3, 0x80, 0xBF, 0x0F};
    if (byte == 0xF0) return (lead){4, 0x90, 0xBF, 0x07};
    if (byte < 0xF4) return (lead){4, 0x80, 0xBF, 0x07};
    if (byte == 0xF4) return (lead){4, 0x80, 0x8F, 0x07};
    return (lead){0};
}

rt_utf8_char rt_utf8_next(const char *text, size_t bytes) {
    const uint8_t *p = (const uint8_t *)text;
    lead first = lead_of(p[0]);
    if (first.bytes == 0) return (rt_utf8_char){RT_UTF8_INVALID, 0, 1};
    uint32_t code = p[0] & first.mask;
    for (size_t i = 1; i < first.bytes; i++) {
        if (i == bytes) return (rt_utf8_char){RT_UTF8_INCOMPLETE, 0, i};
        uint8_t low = i == 1 ? first.low : 0x80, high = i == 1 ? first.high : 0xBF;
        if (p[i] < low || p[i] > high) return (rt_utf8_char){RT_UTF8_INVALID, 0, i};
        code = code << 6 | (p[i] & 0x3Fu);
    }
    return (rt_utf8_char){RT_UTF8_VALID, code, first.bytes};
}

size_t rt_utf8_put(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    static const uint8_t marks[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(marks[bytes] | code);
    return bytes;
}

void rt_utf8_clean(const char *text, size_t bytes, ts_buf *out) {
    size_t good = 0; /* start of the run of valid text not yet appended */
    for (size_t at = 0; at < bytes;) {
        rt_utf8_char c = rt_utf8_next(text + at, bytes - at);
        if (c.kind != RT_UTF8_VALID) {
            ts_buf_append(out, text + good, at - good);
            ts_buf_append(out, RT_UTF8_REPLACEMENT, 3);
            good = at + c.bytes;
        }
        at += c.bytes;
    }
    ts_buf_append(out, text + good, bytes - good);
}
