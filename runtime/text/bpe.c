/* Byte-pair encoding. A piece starts as the ids of its bytes; the adjacent pair with the lowest
 * rank, leftmost among equals, is merged until no adjacent pair has a merge.
 *
 * Symbols form a doubly linked list in an array; candidate merges wait in a binary heap ordered by
 * (rank, position). A merge does not search the heap for the candidates that it makes obsolete:
 * each candidate remembers the pair it was made for and is dropped when popped if its place holds
 * another pair by then.
 */
#include "bpe.h"

#include <stdlib.h>
#include <string.h>

enum { END = -1 };

typedef struct symbol {
    int32_t id, previous, next;
} symbol;

typedef struct candidate {
    int32_t rank, at; /* index of the left symbol */
    uint64_t pair;
} candidate;

typedef struct heap {
    candidate *items;
    size_t count;
} heap;

static uint64_t pair_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot of a pair, or the free slot where it belongs. The table is never full. */
static rt_bpe_merge *slot_of(const rt_bpe *bpe, uint64_t pair) {
    uint64_t hash = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u;
    for (size_t i = (size_t)(hash >> 20);; i++) {
        rt_bpe_merge *slot = &bpe->merges[i & (bpe->slots - 1)];
        if (slot->rank < 0 || slot->pair == pair) return slot;
    }
}

ts_status rt_bpe_init(rt_bpe *bpe, size_t count, ts_err *err) {
    for (size_t i = 0; i < 256; i++) bpe->byte_id[i] = -1;
    bpe->slots = 16;
    while (bpe->slots < count * 2) bpe->slots *= 2;
    bpe->merges = malloc(bpe->slots * sizeof *bpe->merges);
    if (!bpe->merges)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "merge table of %zu entries", count);
    for (size_t i = 0; i < bpe->slots; i++) bpe->merges[i].rank = -1;
    return TS_STATUS_OK;
}

void rt_bpe_free(rt_bpe *bpe) {
    free(bpe->merges);
    bpe->merges = NULL;
}

void rt_bpe_add(rt_bpe *bpe, int32_t left, int32_t right, int32_t rank, int32_t id) {
    uint64_t pair = pair_of(left, right);
    *slot_of(bpe, pair) = (rt_bpe_merge){pair, rank, id};
}

static bool before(const candidate *a, const candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(heap *h, candidate item) {
    size_t at = h->count++;
    while (at > 0 && before(&item, &h->items[(at - 1) / 2])) {
        h->items[at] = h->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->items[at] = item;
}

static candidate heap_pop(heap *h) {
    candidate top = h->items[0], last = h->items[--h->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child])) child++;
        if (!before(&h->items[child], &last)) break;
        h->items[at] = h->items[child];
    }
    h->items[at] = last;
    return top;
}

/* Queues the merge of symbol `at` with the one after it, if the table has it. */
static void offer(const rt_bpe *bpe, heap *h, const symbol *symbols, int32_t at) {
    if (at == END || symbols[at].next == END) return;
    uint64_t pair = pair_of(symbols[at].id, symbols[symbols[at].next].id);
    const rt_bpe_merge *merge = slot_of(bpe, pair);
    if (merge->rank >= 0) heap_push(h, (candidate){merge->rank, at, pair});
}

static void merge_all(const rt_bpe *bpe, heap *h, symbol *symbols) {
    while (h->count > 0) {
        candidate top = heap_pop(h);
        symbol *left = &symbols[top.at];
        if (left->id < 0 || left->next == END) continue;
        symbol *right = &symbols[left->next];
        if (pair_of(left->id, right->id) != top.pair) continue;
        left->id = slot_of(bpe, top.pair)->id;
        right->id = -1; /* merged away: candidates that start here are obsolete */
        left->next = right->next;
        if (left->next != END) symbols[left->next].previous = top.at;
        offer(bpe, h, symbols, left->previous);
        offer(bpe, h, symbols, top.at);
    }
}

void rt_bpe_encode(const rt_bpe *bpe, const char *piece, size_t bytes, ts_buf *out) {
    enum { SMALL = 64 }; /* nearly every piece is a word: no allocation for those */
    symbol small_symbols[SMALL];
    candidate small_items[3 * SMALL];
    symbol *symbols = small_symbols;
    /* n - 1 candidates at the start, and each of at most n - 1 merges pops one and pushes up to
     * two. */
    heap h = {.items = small_items};
    if (bytes > SMALL) {
        bool fits = bytes < INT32_MAX;
        symbols = fits ? malloc(bytes * sizeof *symbols) : NULL;
        h.items = fits ? malloc(3 * bytes * sizeof *h.items) : NULL;
        if (!symbols || !h.items) {
            out->failed = true;
            goto done;
        }
    }
    int32_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        int32_t id = bpe->byte_id[(uint8_t)piece[i]];
        if (id >= 0) symbols[count] = (symbol){id, count - 1, count + 1}, count++;
    }
    if (count == 0) goto done;
    symbols[count - 1].next = END;
    for (int32_t i = 0; i < count; i++) offer(bpe, &h, symbols, i);
    merge_all(bpe, &h, symbols);
    for (int32_t i = 0; i != END; i = symbols[i].next)
        ts_buf_append(out, &symbols[i].id, sizeof(int32_t));
done:
    if (symbols != small_symbols) free(symbols);
    if (h.items != small_items) free(h.items);
}
