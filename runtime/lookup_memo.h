/* What was found for which problem text, so that finding it again parses nothing.
 *
 * Readers take no lock: an entry never changes once it is published, and none is ever removed. One
 * writer at a time, the owner's lock held. When it is full, texts that are new are looked up the
 * long way each time.
 */
#ifndef RUNTIME_LOOKUP_MEMO_H
#define RUNTIME_LOOKUP_MEMO_H

#include <stdatomic.h>

#include "../db/base.h"
#include "tunesmith_kernels.h"

enum { RT_MEMO_SLOTS = 4096, RT_MEMO_MOST = 3072, RT_MEMO_TEXT = 1024 };

typedef struct rt_memo_entry rt_memo_entry;

/* Zero-initialise. */
typedef struct rt_memo {
    _Atomic(const rt_memo_entry *) slots[RT_MEMO_SLOTS];
    atomic_size_t count;
} rt_memo;

/* NULL: not known. Any thread. */
const ts_kernel *rt_memo_find(const rt_memo *memo, const char *text);

/* Is there room for another text? Any thread. */
bool rt_memo_has_room(const rt_memo *memo);

/* Remembers; a text that is too long, or for which there is no memory, is not remembered. */
void rt_memo_add(rt_memo *memo, ts_arena *arena, const char *text, const ts_kernel *kernel);

#endif
