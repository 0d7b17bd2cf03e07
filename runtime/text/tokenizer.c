/* Encoding and decoding. Text goes through the stages of the reference tokenizer in its order:
 *   bad UTF-8 to U+FFFD -> added tokens of the raw text -> NFC -> added tokens of the normalised text
 *   -> split by pattern -> BPE.
 * Each stage hands its pieces to the next one at once; the ids are all that is kept.
 */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "utf8.h"

typedef struct encoding {
    const ts_tokenizer *tokenizer;
    bool special;
    ts_buf ids;
} encoding;

ts_status rt_nfc(const char *text, size_t bytes, ts_buf *out, ts_err *err) {
    size_t ascii = 0;
    while (ascii < bytes && (unsigned char)text[ascii] < 0x80) ascii++;
    if (ascii == bytes) {
        ts_buf_append(out, text, bytes);
        return TS_STATUS_OK;
    }
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)bytes,
                                           &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (length < 0) {
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "NFC of %zu bytes: %s", bytes,
                       utf8proc_errmsg(length));
    }
    ts_buf_append(out, composed, (size_t)length);
    free(composed);
    return TS_STATUS_OK;
}

static void encode_piece(void *context, const char *piece, size_t bytes) {
    encoding *e = context;
    rt_bpe_encode(&e->tokenizer->bpe, piece, bytes, &e->ids);
}

static ts_status encode_plain(encoding *e, const char *text, size_t bytes, ts_err *err) {
    if (bytes == 0) return TS_STATUS_OK;
    return rt_split_run(&e->tokenizer->split, text, bytes, encode_piece, e, err);
}

typedef ts_status (*stage)(encoding *e, const char *text, size_t bytes, ts_err *err);

/* Cuts out the added tokens of one set; what lies between them goes to `next`. */
static ts_status encode_added(encoding *e, bool normalized, stage next, const char *text,
                              size_t bytes, ts_err *err) {
    size_t done = 0;
    rt_added_match match;
    while (rt_added_find(&e->tokenizer->added[normalized], text, bytes, done, e->special, &match)) {
        TS_TRY(next(e, text + done, match.begin - done, err));
        ts_buf_append(&e->ids, &match.id, sizeof match.id);
        done = match.end;
    }
    return next(e, text + done, bytes - done, err);
}

static ts_status encode_raw(encoding *e, const char *text, size_t bytes, ts_err *err) {
    if (bytes == 0) return TS_STATUS_OK;
    if (!e->tokenizer->nfc) return encode_added(e, true, encode_plain, text, bytes, err);
    ts_buf composed = {0};
    ts_status status = rt_nfc(text, bytes, &composed, err);
    if (status == TS_STATUS_OK && composed.failed) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "NFC of %zu bytes", bytes);
    }
    if (status == TS_STATUS_OK) {
        status = encode_added(e, true, encode_plain, composed.data, composed.bytes, err);
    }
    ts_buf_free(&composed);
    return status;
}

ts_status ts_tokenizer_encode(const ts_tokenizer *tokenizer, const char *text, size_t bytes,
                              bool special, int32_t **ids, size_t *count, ts_err *err) {
    encoding e = {.tokenizer = tokenizer, .special = special};
    ts_buf clean = {0};
    rt_utf8_clean(text, bytes, &clean);
    ts_status status = TS_STATUS_OK;
    if (clean.bytes > 0) status = encode_added(&e, false, encode_raw, clean.data, clean.bytes, err);
    if (status == TS_STATUS_OK && (clean.failed || e.ids.failed)) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "encoding %zu bytes of text", bytes);
    }
    ts_buf_free(&clean);
    if (status != TS_STATUS_OK) {
        ts_buf_free(&e.ids);
        return status;
    }
    *count = e.ids.bytes / sizeof(int32_t);
    *ids = (int32_t *)(void *)e.ids.data;
    return TS_STATUS_OK;
}

int32_t ts_tokenizer_size(const ts_tokenizer *tokenizer) { return tokenizer->size; }

/* NULL for an id that has no text. */
static const rt_token *token_of(const ts_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && id < tokenizer->size ? &tokenizer->tokens[id] : NULL;
}

ts_status ts_tokenizer_decode(const ts_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              bool skip_special, char **text, size_t *bytes, ts_err *err) {
    ts_buf raw = {0}, clean = {0};
    for (size_t i = 0; i < count; i++) {
        const rt_token *token = token_of(tokenizer, ids[i]);
        if (token && token->bytes > 0 && !(token->special && skip_special)) {
            ts_buf_append(&raw, tokenizer->text.data + token->offset, token->bytes);
        }
    }
    if (raw.bytes > 0) rt_utf8_clean(raw.data, raw.bytes, &clean);
    ts_buf_append(&clean, "", 1); /* also makes sure that there is a buffer */
    bool failed = raw.failed || clean.failed;
    ts_buf_free(&raw);
    if (failed) {
        ts_buf_free(&clean);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "decoding %zu ids", count);
    }
    *text = clean.data;
    if (bytes) *bytes = clean.bytes - 1;
    return TS_STATUS_OK;
}

/* Takes one byte into the held ones and writes what that completes. */
static void stream_byte(ts_text_stream *stream, char byte, ts_text_write write, void *context) {
    char *held = (char *)stream->held;
    held[stream->held_bytes++] = byte;
    while (stream->held_bytes > 0) {
        rt_utf8_char c = rt_utf8_next(held, stream->held_bytes);
        if (c.kind == RT_UTF8_INCOMPLETE) return;
        if (c.kind == RT_UTF8_VALID) {
            write(context, held, c.bytes);
        } else {
            write(context, RT_UTF8_REPLACEMENT, 3);
        }
        stream->held_bytes -= (uint32_t)c.bytes;
        memmove(held, held + c.bytes, stream->held_bytes);
    }
}

/* Bytes at the start of `text` that are whole valid characters. */
static size_t valid_prefix(const char *text, size_t bytes) {
    size_t at = 0;
    while (at < bytes) {
        rt_utf8_char c = rt_utf8_next(text + at, bytes - at);
        if (c.kind != RT_UTF8_VALID) break;
        at += c.bytes;
    }
    return at;
}

void ts_tokenizer_stream(const ts_tokenizer *tokenizer, ts_text_stream *stream, int32_t id,
                         ts_text_write write, void *context) {
    const rt_token *token = token_of(tokenizer, id);
    if (!token || token->special) return;
    const char *text = tokenizer->text.data + token->offset;
    for (size_t at = 0; at < token->bytes;) {
        size_t whole = stream->held_bytes == 0 ? valid_prefix(text + at, token->bytes - at) : 0;
        if (whole > 0) {
            write(context, text + at, whole);
            at += whole;
        } else {
            stream_byte(stream, text[at++], write, context);
        }
    }
}

void ts_text_stream_end(ts_text_stream *stream, ts_text_write write, void *context) {
    if (stream->held_bytes > 0) write(context, RT_UTF8_REPLACEMENT, 3);
    stream->held_bytes = 0;
}

void ts_tokenizer_close(ts_tokenizer *tokenizer) {
    if (!tokenizer) return;
    ts_arena_free(&tokenizer->arena);
    ts_buf_free(&tokenizer->text);
    free(tokenizer->tokens);
    rt_added_free(&tokenizer->added[0]);
    rt_added_free(&tokenizer->added[1]);
    rt_split_free(&tokenizer->split);
    rt_bpe_free(&tokenizer->bpe);
    free(tokenizer);
}
