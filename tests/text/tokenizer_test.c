/* The tokenizer against the reference's ids and texts, the stages that those do not reach
 * (added-token flags, both forms of a merge, streaming, bad UTF-8), and files that must be refused
 * by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/text/json.h"
#include "runtime/tunesmith.h"

#define FIXTURES "tests/fixtures/"

static ts_tokenizer *load(const char *path) {
    ts_err err = {0};
    ts_tokenizer *tokenizer = NULL;
    if (ts_tokenizer_load(path, &tokenizer, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    return tokenizer;
}

static void collect(void *context, const char *text, size_t bytes) {
    ts_buf_append(context, text, bytes);
}

/* Ids as "1 2 3". */
static void check_ids(const ts_tokenizer *tokenizer, const char *text, size_t bytes, bool special,
                      const char *expected) {
    int32_t *ids = NULL;
    size_t count = 0;
    ts_buf got = {0};
    ts_err err = {0};
    if (ts_tokenizer_encode(tokenizer, text, bytes, special, &ids, &count, &err) != TS_STATUS_OK) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < count; i++) ts_buf_printf(&got, i ? " %d" : "%d", ids[i]);
    assert_string_equal(got.data ? got.data : "", expected);
    ts_buf_free(&got);
    ts_free(ids);
}

/* One reference case: ids both ways, and the same text when decoded id by id. */
static void check_vector(const ts_tokenizer *tokenizer, const json_t *vector) {
    const json_t *text = json_object_get(vector, "text"), *list = json_object_get(vector, "ids");
    const char *decoded = json_string_value(json_object_get(vector, "decoded"));
    size_t count = json_array_size(list);
    int32_t *ids = calloc(count + 1, sizeof *ids);
    ts_buf expected = {0}, streamed = {0};
    ts_text_stream stream = {0};
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
        ts_buf_printf(&expected, i ? " %d" : "%d", ids[i]);
        ts_tokenizer_stream(tokenizer, &stream, ids[i], collect, &streamed);
    }
    ts_text_stream_end(&stream, collect, &streamed);
    check_ids(tokenizer, json_string_value(text), json_string_length(text), true,
              expected.data ? expected.data : "");
    char *got = NULL, *plain = NULL;
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, false, &got, NULL, NULL),
                     TS_STATUS_OK);
    assert_string_equal(got, decoded);
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, true, &plain, NULL, NULL),
                     TS_STATUS_OK);
    assert_string_equal(streamed.data ? streamed.data : "", plain);
    ts_free(got);
    ts_free(plain);
    ts_buf_free(&expected);
    ts_buf_free(&streamed);
    free(ids);
}

static void check_vectors(const char *tokenizer_path, const char *vectors_path) {
    ts_tokenizer *tokenizer = load(tokenizer_path);
    json_t *vectors = json_load_file(vectors_path, 0, NULL), *vector;
    size_t i;
    assert_true(json_array_size(vectors) > 0);
    json_array_foreach(vectors, i, vector) check_vector(tokenizer, vector);
    json_decref(vectors);
    ts_tokenizer_close(tokenizer);
}

static void mamba_vectors(void **state) {
    (void)state;
    check_vectors(FIXTURES "mamba-shakespeare",
                  FIXTURES "tokenizer-vectors/mamba_shakespeare.json");
}

static void qwen2vl_vectors(void **state) {
    (void)state;
    check_vectors(FIXTURES "qwen2vl-mnist/tokenizer.json",
                  FIXTURES "tokenizer-vectors/qwen2vl_mnist.json");
}

/* The full-size file is not part of the repository. */
static void real_qwen_vectors(void **state) {
    (void)state;
    static const char path[] = "../shared/data/qwen3_tokenizer.json";
    if (access(path, R_OK) != 0) skip();
    check_vectors(path, FIXTURES "tokenizer-vectors/qwen_real.json");
}

/* ---- a small file of our own ---- */

static const char SMALL[] =
    "{\"added_tokens\":["
    "{\"id\":20,\"content\":\"<end>\",\"special\":true,\"normalized\":false},"
    "{\"id\":21,\"content\":\"<l>\",\"lstrip\":true,\"normalized\":false},"
    "{\"id\":22,\"content\":\"<r>\",\"rstrip\":true,\"normalized\":false},"
    "{\"id\":23,\"content\":\"ab\",\"single_word\":true,\"normalized\":false},"
    "{\"id\":24,\"content\":\"  \",\"normalized\":true},"
    "{\"id\":25,\"content\":\"   \",\"normalized\":true},"
    "{\"id\":26,\"content\":\"e\\u0301\",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]},"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
    "\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"\\u0120\":3,\"ab\":4,\"bc\":5,\"abc\":6,"
    "\"\\u0120a\":7,\"<\":8,\">\":9,\"e\":10,\"n\":11,\"d\":12,\"\\u00ef\":13,\"\\u00bf\":14,\"\\u00bd\":15,"
    "\"aa\":16,\"aaaa\":17},"
    "\"merges\":[\"b c\",[\"a\",\"bc\"],\"a a\",\"\\u0120 a\",\"aa aa\"]}}";

static char *write_temporary(const char *text) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/tunesmith-tokenizer-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    return path;
}

static ts_tokenizer *load_text(const char *text) {
    char *path = write_temporary(text);
    ts_tokenizer *tokenizer = load(path);
    unlink(path);
    return tokenizer;
}

static void merge_order(void **state) {
    (void)state;
    static const struct {
        const char *text, *ids;
    } cases[] = {
        {"", ""},
        {"abc", "6"},    /* b c first, then a bc */
        {"aaa", "16 0"}, /* leftmost among equals */
        {"aaaaa", "17 0"},
        {" a", "7"},
        {"xaxb", "0 1"},     /* a byte without a token has no id */
        {"a   b", "0 25 1"}, /* longest run of spaces, before the pattern sees it */
        {"a    b", "0 25 3 1"},
        {"ce\xCC\x81", "2 26"}, /* an added token of normalised text, compared in its normal form */
        {"c\xC3\xA9", "2 26"},
    };
    ts_tokenizer *tokenizer = load_text(SMALL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_ids(tokenizer, cases[i].text, strlen(cases[i].text), true, cases[i].ids);
    }
    ts_tokenizer_close(tokenizer);
}

static void added_token_flags(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool special;
        const char *ids;
    } cases[] = {
        {"a<end>b", true, "0 20 1"},
        {"a<end>b", false, "0 8 10 11 12 9 1"}, /* characters, for text that is not trusted */
        {"a <l> b", true, "0 21 3 1"},
        {"a <r> b", true, "0 3 22 1"},
        {"a \t<l>", false, "0 21"}, /* not special: matched all the same */
        {"ab", true, "23"},
        {"c ab", true, "2 3 23"},
        {"cab", true, "2 0 1"}, /* touches a word character */
        {"abc", true, "6"},
    };
    ts_tokenizer *tokenizer = load_text(SMALL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_ids(tokenizer, cases[i].text, strlen(cases[i].text), cases[i].special, cases[i].ids);
    }
    ts_tokenizer_close(tokenizer);
}

static void bad_utf8_is_replaced(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *ids;
    } cases[] = {
        {"a\xFF"
         "b",
         "0 13 14 15 1"},
        {"\xC3", "13 14 15"}, /* cut off */
        {"\xE2\x82"
         "a",
         "13 14 15 0"},                                 /* one error for a valid beginning */
        {"\xED\xA0\x80", "13 14 15 13 14 15 13 14 15"}, /* surrogate: every byte */
        {"\xC0\x80", "13 14 15 13 14 15"},              /* overlong */
        {"\xF4\x90\x80\x80", "13 14 15 13 14 15 13 14 15 13 14 15"},
    };
    ts_tokenizer *tokenizer = load_text(SMALL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_ids(tokenizer, cases[i].text, strlen(cases[i].text), true, cases[i].ids);
    }
    check_ids(tokenizer, "a\0b", 3, true, "0 1"); /* a NUL is a byte like any other */
    ts_tokenizer_close(tokenizer);
}

static void stream_holds_back(void **state) {
    (void)state;
    ts_tokenizer *tokenizer = load_text(SMALL);
    ts_text_stream stream = {0};
    ts_buf out = {0};
    ts_buf_append(&out, "", 0);
    ts_tokenizer_stream(tokenizer, &stream, 13, collect, &out); /* EF BF BD in three tokens */
    ts_tokenizer_stream(tokenizer, &stream, 14, collect, &out);
    assert_string_equal(out.data, "");
    ts_tokenizer_stream(tokenizer, &stream, 15, collect, &out);
    assert_string_equal(out.data, "\xEF\xBF\xBD");
    ts_buf_clear(&out);
    ts_tokenizer_stream(tokenizer, &stream, 13, collect, &out); /* broken off by a letter */
    ts_tokenizer_stream(tokenizer, &stream, 0, collect, &out);
    assert_string_equal(out.data, "\xEF\xBF\xBD"
                                  "a");
    ts_buf_clear(&out);
    ts_tokenizer_stream(tokenizer, &stream, 20, collect,
                        &out); /* special, and ids without a text */
    ts_tokenizer_stream(tokenizer, &stream, 19, collect, &out);
    ts_tokenizer_stream(tokenizer, &stream, -1, collect, &out);
    ts_tokenizer_stream(tokenizer, &stream, 1000000, collect, &out);
    assert_string_equal(out.data, "");
    ts_tokenizer_stream(tokenizer, &stream, 13, collect, &out);
    ts_text_stream_end(&stream, collect, &out);
    assert_string_equal(out.data, "\xEF\xBF\xBD");
    ts_buf_free(&out);
    ts_tokenizer_close(tokenizer);
}

static void decode_special(void **state) {
    (void)state;
    ts_tokenizer *tokenizer = load_text(SMALL);
    const int32_t ids[] = {7, 20, 25, 26, 19, -5, 99};
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, 7, false, &text, &bytes, NULL),
                     TS_STATUS_OK);
    assert_string_equal(text, " a<end>   e\xCC\x81");
    assert_int_equal(bytes, strlen(text));
    ts_free(text);
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, 7, true, &text, NULL, NULL), TS_STATUS_OK);
    assert_string_equal(text, " a   e\xCC\x81");
    ts_free(text);
    ts_tokenizer_close(tokenizer);
}

/* A megabyte without a cut: neither the pattern nor the merges may grow faster than n log n. */
static void long_pieces(void **state) {
    (void)state;
    enum { BYTES = 1 << 20 };
    ts_tokenizer *tokenizer = load_text(SMALL);
    char *text = malloc(BYTES);
    int32_t *ids = NULL;
    size_t count = 0;
    memset(text, 'a', BYTES);
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, BYTES, true, &ids, &count, NULL),
                     TS_STATUS_OK);
    assert_int_equal(count, BYTES / 4);
    ts_free(ids);
    memset(text, '\n', BYTES);
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, BYTES, true, &ids, &count, NULL),
                     TS_STATUS_OK);
    assert_int_equal(count, 0);
    ts_free(ids);
    free(text);
    ts_tokenizer_close(tokenizer);
}

/* `from` in SMALL replaced by `to`: the load must fail and its message must hold `message`. */
static void check_refused(const char *from, const char *to, ts_status status, const char *message) {
    ts_buf text = {0};
    const char *at = strstr(SMALL, from);
    assert_non_null(at);
    ts_buf_append(&text, SMALL, (size_t)(at - SMALL));
    ts_buf_printf(&text, "%s%s", to, at + strlen(from));
    char *path = write_temporary(text.data);
    ts_tokenizer *tokenizer = NULL;
    ts_err err = {0};
    assert_int_equal(ts_tokenizer_load(path, &tokenizer, &err), status);
    assert_null(tokenizer);
    if (!strstr(err.message, message) || !strstr(err.message, path)) {
        fail_msg("\"%s\" and the path expected in \"%s\"", message, err.message);
    }
    unlink(path);
    ts_buf_free(&text);
}

static void refused_files(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        ts_status status;
        const char *message;
    } cases[] = {
        {"\"type\":\"BPE\"", "\"type\":\"Unigram\"", TS_STATUS_UNSUPPORTED, "model.type"},
        {"\"type\":\"BPE\"", "\"type\":\"BPE\",\"byte_fallback\":true", TS_STATUS_UNSUPPORTED,
         "byte_fallback"},
        {"\"type\":\"BPE\"", "\"type\":\"BPE\",\"unk_token\":\"u\"", TS_STATUS_UNSUPPORTED,
         "unk_token"},
        {"\"type\":\"NFC\"", "\"type\":\"NFKC\"", TS_STATUS_UNSUPPORTED, "NFKC"},
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true", TS_STATUS_UNSUPPORTED,
         "add_prefix_space"},
        {"{\"type\":\"ByteLevel\",\"add", "{\"type\":\"Metaspace\",\"add", TS_STATUS_UNSUPPORTED,
         "Metaspace"},
        {"\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":{\"type\":\"Fuse\"}",
         TS_STATUS_UNSUPPORTED, "Fuse"},
        {"\"b c\"", "\"b q\"", TS_STATUS_CORRUPT, "merges[0]"},
        {"\"b c\"", "\"bc\"", TS_STATUS_CORRUPT, "merges[0]"},
        {"[\"a\",\"bc\"]", "[\"a\"]", TS_STATUS_CORRUPT, "merges[1]"},
        {"\"b c\"", "\" c\"", TS_STATUS_CORRUPT, "merges[0] is not a pair"},
        {"\"b c\"", "\"b \"", TS_STATUS_CORRUPT, "merges[0] is not a pair"},
        {"\"b c\"", "7", TS_STATUS_CORRUPT, "merges[0] is not a pair"},
        {"\"b c\"", "\"c b\"", TS_STATUS_CORRUPT, "\"cb\" is not in model.vocab"},
        {"[\"a\",\"bc\"]", "[\"a\",\"b\",\"c\"]", TS_STATUS_CORRUPT, "merges[1] is not a pair"},
        {"\"merges\":[", "\"merges\":{\"a\":[", TS_STATUS_CORRUPT, "line 1"},
        {"\"vocab\":{", "\"vocab\":{\"z\":4,", TS_STATUS_CORRUPT, "is another token's, too"},
        {"\"vocab\":{", "\"vocab\":{\"z\":\"4\",", TS_STATUS_CORRUPT, "bad id of \"z\""},
        {"\"vocab\":{", "\"vocab\":{\"z\":1.5,", TS_STATUS_CORRUPT, "bad id of \"z\""},
        {"\"vocab\":{", "\"vocab\":{\"a\":30,", TS_STATUS_CORRUPT, "duplicate"},
        {"\"vocab\":{", "\"vocab\":{\"z\":-1,", TS_STATUS_CORRUPT, "\"z\""},
        {"\"vocab\":{", "\"vocab\":{\"z\":4000000000,", TS_STATUS_CORRUPT, "\"z\""},
        {"\"vocab\":{", "\"words\":{", TS_STATUS_CORRUPT, "model.vocab"},
        {"\"id\":20,", "\"id\":-20,", TS_STATUS_CORRUPT, "added_tokens[0]"},
        {"\"content\":\"<end>\"", "\"content\":\"\"", TS_STATUS_CORRUPT, "added_tokens[0]"},
        {"\"merges\":[", "\"merges\":[,", TS_STATUS_CORRUPT, "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused(cases[i].from, cases[i].to, cases[i].status, cases[i].message);
    }
}

static void missing_file(void **state) {
    (void)state;
    ts_tokenizer *tokenizer = NULL;
    ts_err err = {0};
    assert_int_not_equal(ts_tokenizer_load("/nonexistent/dir", &tokenizer, &err), TS_STATUS_OK);
    assert_non_null(strstr(err.message, "/nonexistent/dir"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mamba_vectors),     cmocka_unit_test(qwen2vl_vectors),
        cmocka_unit_test(real_qwen_vectors), cmocka_unit_test(merge_order),
        cmocka_unit_test(added_token_flags), cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(stream_holds_back), cmocka_unit_test(decode_special),
        cmocka_unit_test(long_pieces),       cmocka_unit_test(refused_files),
        cmocka_unit_test(missing_file),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
