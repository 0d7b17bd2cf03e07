/* Matching of added tokens. Vocabularies have tens of them, so tokens are bucketed by first byte,
 * longest first within a bucket, and compared at every position: leftmost-longest without an
 * automaton.
 *
 * The three flags follow the reference tokenizer: single_word refuses a match that touches a word
 * character, lstrip and rstrip take the white space around a match with it.
 */
#include "added.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "utf8.h"

static int by_first_byte_then_longest(const void *a, const void *b) {
    const rt_added *x = a, *y = b;
    int first = (unsigned char)x->content[0] - (unsigned char)y->content[0];
    if (first != 0) return first;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

void rt_added_init(rt_added_set *set, rt_added *tokens, size_t count) {
    *set = (rt_added_set){.tokens = tokens, .count = count};
    if (count > 0) qsort(tokens, count, sizeof *tokens, by_first_byte_then_longest);
    for (size_t i = 0; i < count; i++) set->index[(unsigned char)tokens[i].content[0] + 1]++;
    for (size_t b = 0; b < 256; b++) set->index[b + 1] += set->index[b];
}

void rt_added_free(rt_added_set *set) {
    free(set->tokens);
    *set = (rt_added_set){0};
}

static bool is_space(uint32_t code) {
    return (code >= 0x9 && code <= 0xD) || code == 0x20 || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* Unicode's \w: letters, marks, decimal and letter numbers, connector punctuation. */
static bool is_word(uint32_t code) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_ME) || c == UTF8PROC_CATEGORY_ND ||
           c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_PC;
}

/* Start of the character that ends before `at` > 0. */
static size_t character_before(const char *text, size_t at) {
    do at--;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

static bool touches_word(const char *text, size_t bytes, size_t begin, size_t end) {
    if (begin > 0) {
        size_t at = character_before(text, begin);
        if (is_word(rt_utf8_next(text + at, begin - at).code)) return true;
    }
    return end < bytes && is_word(rt_utf8_next(text + end, bytes - end).code);
}

/* The longest usable token at `at`, or NULL. */
static const rt_added *token_at(const rt_added_set *set, const char *text, size_t bytes, size_t at,
                                bool special) {
    unsigned char first = (unsigned char)text[at];
    for (size_t i = set->index[first]; i < set->index[first + 1]; i++) {
        const rt_added *token = &set->tokens[i];
        if (token->bytes > bytes - at || memcmp(token->content, text + at, token->bytes) != 0)
            continue;
        if (token->special && !special) continue;
        if (token->single_word && touches_word(text, bytes, at, at + token->bytes)) continue;
        return token;
    }
    return NULL;
}

bool rt_added_find(const rt_added_set *set, const char *text, size_t bytes, size_t from,
                   bool special, rt_added_match *out) {
    if (set->count == 0) return false;
    for (size_t at = from; at < bytes; at++) {
        const rt_added *token = token_at(set, text, bytes, at, special);
        if (!token) continue;
        size_t begin = at, end = at + token->bytes;
        while (token->lstrip && begin > from) {
            size_t before = character_before(text, begin);
            if (!is_space(rt_utf8_next(text + before, begin - before).code)) break;
            begin = before;
        }
        while (token->rstrip && end < bytes) {
            rt_utf8_char c = rt_utf8_next(text + end, bytes - end);
            if (!is_space(c.code)) break;
            end += c.bytes;
        }
        *out = (rt_added_match){begin, end, token->id};
        return true;
    }
    return false;
}
