/* Byte-pair encoding of one piece of text: merges ranked by a vocabulary file. */
#ifndef RUNTIME_TEXT_BPE_H
#define RUNTIME_TEXT_BPE_H

#include "../../db/base.h"

/* Open-addressing map from a pair of ids to its merge. */
typedef struct rt_bpe_merge {
    uint64_t pair; /* left << 32 | right */
    int32_t rank;  /* position in the merge list; -1: the slot is free */
    int32_t id;    /* of the merged token */
} rt_bpe_merge;

typedef struct rt_bpe {
    int32_t byte_id[256]; /* -1: the vocabulary has no token for the byte, which then has no id */
    rt_bpe_merge *merges; /* owned */
    size_t slots;         /* power of two */
} rt_bpe;

/* Prepares for `count` merges; all byte_id are -1. */
ts_status rt_bpe_init(rt_bpe *bpe, size_t count, ts_err *err);
void rt_bpe_free(rt_bpe *bpe);
/* Adds a merge; of two with the same pair the later one counts, as in the reference. */
void rt_bpe_add(rt_bpe *bpe, int32_t left, int32_t right, int32_t rank, int32_t id);
/* Appends the ids (int32_t) of a piece to *out. O(n log n) in the bytes of the piece. A failed
 * allocation sets out->failed. */
void rt_bpe_encode(const rt_bpe *bpe, const char *piece, size_t bytes, ts_buf *out);

#endif
