/* Pre-tokenizing with PCRE2, made to agree with the engine of the reference (Oniguruma).
 *
 * There \s is Unicode's White_Space; PCRE2's \s under UCP takes U+180E too. So \s and \S are
 * written out as classes before compiling (inside a class only \s: a complement cannot be spliced
 * into one). A piece may be as long as the input, so the match limit grows with the text: a long text
 * must not fail where a short one works. It is a limit still, or a file's pattern that backtracks
 * exponentially ("(a+)+$") would never end.
 */
#include "split.h"

#include <pcre2.h>
#include <string.h>

#define WHITE_SPACE                                                                                      \
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}" \
    "\\x{3000}"

const char rt_split_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* `pattern` with \s and \S written out. */
static void spell_out_space(const char *pattern, ts_buf *out) {
    bool in_class = false;
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '\\' && p[1] == 's') {
            ts_buf_printf(out, in_class ? "%s" : "[%s]", WHITE_SPACE);
            p++;
        } else if (p[0] == '\\' && p[1] == 'S' && !in_class) {
            ts_buf_printf(out, "[^%s]", WHITE_SPACE);
            p++;
        } else if (p[0] == '\\' && p[1] != '\0') {
            ts_buf_append(out, p++, 2);
        } else {
            if (*p == '[') in_class = true;
            if (*p == ']') in_class = false;
            ts_buf_append(out, p, 1);
        }
    }
}

ts_status rt_split_add(rt_split *split, const char *pattern, ts_err *err) {
    if (split->count == RT_SPLIT_MAX) {
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "more than %d split patterns", RT_SPLIT_MAX);
    }
    ts_buf text = {0};
    spell_out_space(pattern, &text);
    if (text.failed) {
        ts_buf_free(&text);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "split pattern");
    }
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)text.data, text.bytes, PCRE2_UTF | PCRE2_UCP,
                                         &code, &offset, NULL);
    ts_buf_free(&text);
    if (!compiled) {
        PCRE2_UCHAR reason[128] = "";
        pcre2_get_error_message(code, reason, sizeof reason);
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "split pattern \"%s\": %s", pattern,
                       (char *)reason);
    }
    /* Without JIT support matching is slower and otherwise the same. */
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    split->patterns[split->count++] = compiled;
    return TS_STATUS_OK;
}

void rt_split_free(rt_split *split) {
    for (size_t i = 0; i < split->count; i++) pcre2_code_free(split->patterns[i]);
    *split = (rt_split){0};
}

/* What one run needs; match data is not shareable, so each run has its own. */
typedef struct run {
    const rt_split *split;
    pcre2_match_data *matches[RT_SPLIT_MAX];
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    rt_split_each each;
    void *context;
} run;

/* Applies pattern `step` and, to its pieces, the patterns after it. */
static ts_status apply(run *r, size_t step, const char *text, size_t bytes, ts_err *err) {
    if (bytes == 0) return TS_STATUS_OK;
    if (step == r->split->count) {
        r->each(r->context, text, bytes);
        return TS_STATUS_OK;
    }
    size_t done = 0;
    for (size_t from = 0; from < bytes;) {
        int rc = pcre2_match(r->split->patterns[step], (PCRE2_SPTR)text, bytes, from,
                             PCRE2_NO_UTF_CHECK, r->matches[step], r->limits);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0)
            return ts_fail(err, TS_STATUS_UNSUPPORTED, "split pattern failed (pcre2 %d)", rc);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(r->matches[step]);
        size_t begin = span[0], end = span[1];
        if (begin == end) { /* an empty match cuts nothing: look on from the next character */
            from = end + 1;
            while (from < bytes && ((unsigned char)text[from] & 0xC0) == 0x80) from++;
            continue;
        }
        TS_TRY(apply(r, step + 1, text + done, begin - done, err));
        TS_TRY(apply(r, step + 1, text + begin, end - begin, err));
        from = done = end;
    }
    return apply(r, step + 1, text + done, bytes - done, err);
}

ts_status rt_split_run(const rt_split *split, const char *text, size_t bytes, rt_split_each each,
                       void *context, ts_err *err) {
    /* 10 million is PCRE2's own default, a tenth of a second. */
    enum { STACK_SMALL = 32 << 10, STACK_LARGE = 64 << 20 };
    enum { MATCH_LIMIT = 10000000, MATCH_LIMIT_A_BYTE = 64 };
    run r = {.split = split, .each = each, .context = context};
    ts_status status = TS_STATUS_OUT_OF_MEMORY;
    r.limits = pcre2_match_context_create(NULL);
    r.stack = pcre2_jit_stack_create(STACK_SMALL, STACK_LARGE, NULL);
    bool ready = r.limits != NULL;
    for (size_t i = 0; i < split->count; i++) {
        r.matches[i] = pcre2_match_data_create_from_pattern(split->patterns[i], NULL);
        ready = ready && r.matches[i];
    }
    if (!ready) {
        ts_fail(err, status, "split of %zu bytes", bytes);
        goto done;
    }
    size_t most = MATCH_LIMIT + bytes * MATCH_LIMIT_A_BYTE;
    pcre2_set_match_limit(r.limits, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
    if (r.stack) pcre2_jit_stack_assign(r.limits, NULL, r.stack);
    status = apply(&r, 0, text, bytes, err);
done:
    for (size_t i = 0; i < split->count; i++) pcre2_match_data_free(r.matches[i]);
    pcre2_jit_stack_free(r.stack);
    pcre2_match_context_free(r.limits);
    return status;
}
