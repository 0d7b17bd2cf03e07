/* Open addressing over hashes of the text; an entry keeps the text, so equal hashes do no harm. */
#include "lookup_memo.h"

#include <string.h>

struct rt_memo_entry {
    uint64_t hash;
    const ts_kernel *kernel;
    size_t bytes;
    char text[];
};

/* Eight bytes a step; good enough to spread a few thousand texts, and nothing depends on more. */
static uint64_t hash_text(const char *text, size_t bytes) {
    uint64_t hash = bytes * 0x9e3779b97f4a7c15u, word = 0;
    size_t i = 0;
    for (; i + sizeof word <= bytes; i += sizeof word) {
        memcpy(&word, text + i, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, text + i, bytes - i);
    hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 29;
}

const ts_kernel *rt_memo_find(const rt_memo *memo, const char *text) {
    size_t bytes = strlen(text);
    uint64_t hash = hash_text(text, bytes);
    for (size_t i = hash % RT_MEMO_SLOTS;; i = (i + 1) % RT_MEMO_SLOTS) {
        const rt_memo_entry *e = atomic_load_explicit(&memo->slots[i], memory_order_acquire);
        if (!e) return NULL; /* there always is an empty slot */
        if (e->hash == hash && e->bytes == bytes && memcmp(e->text, text, bytes) == 0)
            return e->kernel;
    }
}

bool rt_memo_has_room(const rt_memo *memo) {
    return atomic_load_explicit(&memo->count, memory_order_relaxed) < RT_MEMO_MOST;
}

void rt_memo_add(rt_memo *memo, ts_arena *arena, const char *text, const ts_kernel *kernel) {
    size_t bytes = strlen(text);
    if (bytes > RT_MEMO_TEXT || !rt_memo_has_room(memo) || rt_memo_find(memo, text)) return;
    rt_memo_entry *entry = ts_arena_alloc(arena, sizeof *entry + bytes);
    if (!entry) return;
    *entry = (rt_memo_entry){hash_text(text, bytes), kernel, bytes};
    memcpy(entry->text, text, bytes);
    size_t i = entry->hash % RT_MEMO_SLOTS;
    while (atomic_load_explicit(&memo->slots[i], memory_order_relaxed)) i = (i + 1) % RT_MEMO_SLOTS;
    atomic_store_explicit(&memo->slots[i], entry, memory_order_release);
    atomic_fetch_add_explicit(&memo->count, 1, memory_order_relaxed);
}
