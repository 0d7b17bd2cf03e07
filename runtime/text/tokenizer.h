/* The tokenizer's parts, shared by its loader and its encoder. Immutable once loaded. */
#ifndef RUNTIME_TEXT_TOKENIZER_H
#define RUNTIME_TEXT_TOKENIZER_H

#include "../tunesmith.h"
#include "added.h"
#include "bpe.h"
#include "split.h"

/* What an id decodes to: bytes of `ts_tokenizer.text`. */
typedef struct rt_token {
    size_t offset;
    uint32_t bytes;
    bool special;
} rt_token;

struct ts_tokenizer {
    ts_arena arena; /* contents of added tokens */
    ts_buf text;
    rt_token *tokens; /* [size] */
    int32_t size;
    bool nfc;
    rt_added_set added[2]; /* [normalized] */
    rt_split split;
    rt_bpe bpe;
};

/* Appends the NFC form of valid UTF-8. */
ts_status rt_nfc(const char *text, size_t bytes, ts_buf *out, ts_err *err);

#endif
