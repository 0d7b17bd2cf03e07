/* BPE's heap and list against the definition: over and over, merge the lowest-ranked adjacent pair,
 * leftmost first. Random merge tables over a two-letter alphabet make ties, chains and obsolete
 * candidates common.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/text/bpe.h"

enum { ROUNDS = 3000, MERGES = 24, PIECE = 200 };

typedef struct merge {
    int32_t left, right, id;
} merge;

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

/* The definition, quadratic. Returns the number of ids left. */
static size_t merge_plainly(const merge *merges, size_t count, int32_t *ids, size_t length) {
    for (;;) {
        size_t best = count, at = 0;
        for (size_t i = 0; i + 1 < length; i++) {
            for (size_t m = 0; m < best; m++) {
                if (merges[m].left == ids[i] && merges[m].right == ids[i + 1]) best = m, at = i;
            }
        }
        if (best == count) return length;
        ids[at] = merges[best].id;
        memmove(ids + at + 1, ids + at + 2, (length - at - 2) * sizeof *ids);
        length--;
    }
}

/* A table in which no pair occurs twice; merged ids are new ones. */
static void make_table(rt_bpe *bpe, merge *merges) {
    assert_int_equal(rt_bpe_init(bpe, MERGES, NULL), 0);
    bpe->byte_id['a'] = 0;
    bpe->byte_id['b'] = 1;
    for (int32_t i = 0; i < MERGES; i++) {
        bool again = true;
        while (again) {
            merges[i] = (merge){(int32_t)random_below((uint32_t)i + 2),
                                (int32_t)random_below((uint32_t)i + 2), i + 2};
            again = false;
            for (int32_t j = 0; j < i; j++) {
                again = again ||
                        (merges[j].left == merges[i].left && merges[j].right == merges[i].right);
            }
        }
        rt_bpe_add(bpe, merges[i].left, merges[i].right, i, merges[i].id);
    }
}

static void equals_the_definition(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        rt_bpe bpe;
        merge merges[MERGES];
        char piece[PIECE];
        int32_t ids[PIECE];
        ts_buf out = {0};
        make_table(&bpe, merges);
        size_t length = 1 + random_below(PIECE);
        for (size_t i = 0; i < length; i++) {
            ids[i] = (int32_t)random_below(2);
            piece[i] = ids[i] ? 'b' : 'a';
        }
        rt_bpe_encode(&bpe, piece, length, &out);
        size_t wanted = merge_plainly(merges, MERGES, ids, length);
        assert_int_equal(out.bytes, wanted * sizeof *ids);
        assert_memory_equal(out.data, ids, out.bytes);
        ts_buf_free(&out);
        rt_bpe_free(&bpe);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_the_definition)};
    return cmocka_run_group_tests_name("bpe", tests, NULL, NULL);
}
