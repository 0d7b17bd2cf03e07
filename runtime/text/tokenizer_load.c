/* tokenizer.json -> ts_tokenizer. What the file asks for and this tokenizer does not do (another
 * model, byte fallback, a prefix space) is refused by name: silently different ids would be worse
 * than no ids.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bytelevel.h"
#include "json.h"
#include "tokenizer.h"
#include "utf8.h"

enum { MAX_ID = 1 << 24 };

typedef struct loading {
    ts_tokenizer *out;
    const char *path;
    ts_err *err;
} loading;

static ts_status refuse(const loading *l, const char *what) {
    return ts_fail(l->err, TS_STATUS_UNSUPPORTED,
                   "%s: %s is not supported (byte-level BPE of the GPT-2 kind is)", l->path, what);
}

static ts_status corrupt(const loading *l, const char *what) {
    return ts_fail(l->err, TS_STATUS_CORRUPT, "%s: %s", l->path, what);
}

static const char *type_of(const json_t *object) {
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "(no type)";
}

/* The members of a Sequence, or the object alone: calls `each` in order. NULL and null are no
 * member. */
static ts_status each_member(const loading *l, const json_t *object, const char *list_key,
                             ts_status (*each)(const loading *l, const json_t *member)) {
    if (!object || json_is_null(object)) return TS_STATUS_OK;
    if (strcmp(type_of(object), "Sequence") != 0) return each(l, object);
    const json_t *list = json_object_get(object, list_key), *member;
    size_t i;
    json_array_foreach(list, i, member) TS_TRY(each(l, member));
    return TS_STATUS_OK;
}

static ts_status take_normalizer(const loading *l, const json_t *member) {
    if (strcmp(type_of(member), "NFC") != 0) {
        return ts_fail(l->err, TS_STATUS_UNSUPPORTED, "%s: normalizer %s is not supported (NFC is)",
                       l->path, type_of(member));
    }
    l->out->nfc = true;
    return TS_STATUS_OK;
}

static ts_status add_pattern(const loading *l, const char *pattern) {
    ts_err reason;
    ts_status status = rt_split_add(&l->out->split, pattern, &reason);
    if (status != TS_STATUS_OK) return ts_fail(l->err, status, "%s: %s", l->path, reason.message);
    return TS_STATUS_OK;
}

static ts_status take_split(const loading *l, const json_t *member) {
    const char *regex = json_string_value(
        json_object_get(json_object_get(member, "pattern"), "Regex"));
    const char *behavior = json_string_value(json_object_get(member, "behavior"));
    if (!regex) return refuse(l, "pre_tokenizer Split without a Regex");
    if (!behavior || strcmp(behavior, "Isolated") != 0) {
        return refuse(l, "pre_tokenizer Split with a behavior other than Isolated");
    }
    if (json_is_true(json_object_get(member, "invert")))
        return refuse(l, "pre_tokenizer Split with invert");
    return add_pattern(l, regex);
}

static ts_status take_pre_tokenizer(const loading *l, const json_t *member) {
    if (strcmp(type_of(member), "Split") == 0) return take_split(l, member);
    if (strcmp(type_of(member), "ByteLevel") != 0) {
        return ts_fail(l->err, TS_STATUS_UNSUPPORTED,
                       "%s: pre_tokenizer %s is not supported (Split and ByteLevel are)", l->path,
                       type_of(member));
    }
    /* Both default to true where the file is silent. */
    const json_t *prefix = json_object_get(member, "add_prefix_space");
    const json_t *regex = json_object_get(member, "use_regex");
    if (!prefix || json_is_true(prefix))
        return refuse(l, "pre_tokenizer ByteLevel with add_prefix_space");
    return !regex || json_is_true(regex) ? add_pattern(l, rt_split_gpt2) : TS_STATUS_OK;
}

static ts_status take_post_processor(const loading *l, const json_t *member) {
    if (strcmp(type_of(member), "ByteLevel") == 0)
        return TS_STATUS_OK; /* offsets only: adds no ids */
    return ts_fail(l->err, TS_STATUS_UNSUPPORTED, "%s: post_processor %s is not supported", l->path,
                   type_of(member));
}

static ts_status take_decoder(const loading *l, const json_t *member) {
    if (strcmp(type_of(member), "ByteLevel") == 0) return TS_STATUS_OK;
    return ts_fail(l->err, TS_STATUS_UNSUPPORTED, "%s: decoder %s is not supported (ByteLevel is)",
                   l->path, type_of(member));
}

static ts_status check_model(const loading *l, const json_t *model) {
    static const struct {
        const char *key, *what;
    } texts[] = {
        {"unk_token", "model.unk_token"},
        {"continuing_subword_prefix", "model.continuing_subword_prefix"},
        {"end_of_word_suffix", "model.end_of_word_suffix"},
    };
    static const struct {
        const char *key, *what;
    } flags[] = {
        {"byte_fallback", "model.byte_fallback"},
        {"ignore_merges", "model.ignore_merges"},
    };
    if (strcmp(type_of(model), "BPE") != 0) return refuse(l, "a model.type other than BPE");
    if (json_number_value(json_object_get(model, "dropout")) != 0)
        return refuse(l, "model.dropout");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = json_string_value(json_object_get(model, texts[i].key));
        if (text && text[0] != '\0') return refuse(l, texts[i].what);
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (json_is_true(json_object_get(model, flags[i].key))) return refuse(l, flags[i].what);
    }
    return TS_STATUS_OK;
}

/* ---- vocabulary ---- */

/* The id in `value`, or -1. */
static int32_t id_of(const json_t *value) {
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    return id >= 0 && id < MAX_ID ? (int32_t)id : -1;
}

/* Makes room for every id of the vocabulary and the added tokens. */
static ts_status make_tokens(const loading *l, json_t *vocab, const json_t *added) {
    int32_t size = 0;
    const char *text;
    json_t *value;
    size_t i;
    json_object_foreach(vocab, text, value) {
        if (id_of(value) < 0) {
            return ts_fail(l->err, TS_STATUS_CORRUPT, "%s: model.vocab: bad id of \"%s\"", l->path,
                           text);
        }
        if (id_of(value) >= size) size = id_of(value) + 1;
    }
    json_array_foreach(added, i, value) {
        int32_t id = id_of(json_object_get(value, "id"));
        if (id < 0 || json_string_length(json_object_get(value, "content")) == 0) {
            return ts_fail(l->err, TS_STATUS_CORRUPT, "%s: added_tokens[%zu]: bad id or content",
                           l->path, i);
        }
        if (id >= size) size = id + 1;
    }
    l->out->tokens = calloc((size_t)size + 1, sizeof *l->out->tokens);
    if (!l->out->tokens)
        return ts_fail(l->err, TS_STATUS_OUT_OF_MEMORY, "%s: %d tokens", l->path, size);
    l->out->size = size;
    return TS_STATUS_OK;
}

static void set_text(ts_tokenizer *t, int32_t id, const char *text, size_t bytes, bool special) {
    size_t offset = t->text.bytes;
    rt_bytelevel_decode(text, bytes, &t->text);
    t->tokens[id] = (rt_token){offset, (uint32_t)(t->text.bytes - offset), special};
}

static ts_status take_vocab(const loading *l, json_t *vocab) {
    const char *text;
    json_t *value;
    json_object_foreach(vocab, text, value) {
        int32_t id = id_of(value);
        if (l->out->tokens[id].bytes > 0)
            return ts_fail(l->err, TS_STATUS_CORRUPT,
                           "%s: model.vocab: id %d of \"%s\" is another token's, too", l->path, id,
                           text);
        set_text(l->out, id, text, strlen(text), false);
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        char symbol[5] = "";
        rt_utf8_put(rt_bytelevel_code((uint8_t)byte), symbol);
        l->out->bpe.byte_id[byte] = id_of(json_object_get(vocab, symbol));
    }
    return TS_STATUS_OK;
}

/* The two halves of a merge, from "a b" (split at the first space) or ["a", "b"]; appended
 * NUL-terminated. */
static bool merge_halves(const json_t *merge, ts_buf *left, ts_buf *right) {
    ts_buf_clear(left);
    ts_buf_clear(right);
    const char *text = json_string_value(merge);
    if (text) {
        const char *space = strchr(text, ' ');
        if (!space) return false;
        ts_buf_append(left, text, (size_t)(space - text));
        ts_buf_append(right, space + 1, strlen(space + 1));
    } else {
        const char *a = json_string_value(json_array_get(merge, 0));
        const char *b = json_string_value(json_array_get(merge, 1));
        if (!a || !b || json_array_size(merge) != 2) return false;
        ts_buf_append(left, a, strlen(a));
        ts_buf_append(right, b, strlen(b));
    }
    return left->bytes > 0 && right->bytes > 0;
}

static ts_status take_merges(const loading *l, const json_t *merges, const json_t *vocab) {
    ts_buf left = {0}, right = {0};
    ts_status status = TS_STATUS_OK;
    const json_t *merge;
    size_t rank;
    json_array_foreach(merges, rank, merge) {
        if (!merge_halves(merge, &left, &right)) {
            status = ts_fail(l->err, TS_STATUS_CORRUPT, "%s: model.merges[%zu] is not a pair",
                             l->path, rank);
            break;
        }
        int32_t a = id_of(json_object_get(vocab, left.data)),
                b = id_of(json_object_get(vocab, right.data));
        ts_buf_append(&left, right.data, right.bytes);
        int32_t both = left.failed ? -1 : id_of(json_object_get(vocab, left.data));
        if (a < 0 || b < 0 || both < 0) {
            status = ts_fail(l->err, TS_STATUS_CORRUPT,
                             "%s: model.merges[%zu]: a half or \"%s\" is not in model.vocab",
                             l->path, rank, left.data ? left.data : "");
            break;
        }
        rt_bpe_add(&l->out->bpe, a, b, (int32_t)rank, both);
    }
    ts_buf_free(&left);
    ts_buf_free(&right);
    return status;
}

/* ---- added tokens ---- */

/* What to look for in normalised text. */
static ts_status normalized_content(const loading *l, const char **content, size_t *bytes) {
    ts_buf composed = {0};
    ts_status status = rt_nfc(*content, *bytes, &composed, l->err);
    char *copy = status == TS_STATUS_OK && !composed.failed
                     ? ts_arena_strdup(&l->out->arena, composed.data)
                     : NULL;
    if (copy) {
        *content = copy;
        *bytes = composed.bytes;
    } else if (status == TS_STATUS_OK) {
        status = ts_fail(l->err, TS_STATUS_OUT_OF_MEMORY, "%s: added tokens", l->path);
    }
    ts_buf_free(&composed);
    return status;
}

static ts_status read_added(const loading *l, const json_t *entry, rt_added *out) {
    const char *content = json_string_value(json_object_get(entry, "content"));
    *out = (rt_added){
        .content = ts_arena_strdup(&l->out->arena, content),
        .bytes = strlen(content),
        .id = id_of(json_object_get(entry, "id")),
        .special = json_is_true(json_object_get(entry, "special")),
        .normalized = json_is_true(json_object_get(entry, "normalized")),
        .single_word = json_is_true(json_object_get(entry, "single_word")),
        .lstrip = json_is_true(json_object_get(entry, "lstrip")),
        .rstrip = json_is_true(json_object_get(entry, "rstrip")),
    };
    if (!out->content) return ts_fail(l->err, TS_STATUS_OUT_OF_MEMORY, "%s: added tokens", l->path);
    set_text(l->out, out->id, content, out->bytes, out->special);
    if (out->normalized && l->out->nfc) return normalized_content(l, &out->content, &out->bytes);
    return TS_STATUS_OK;
}

static ts_status take_added(const loading *l, const json_t *list) {
    size_t count = json_array_size(list), counts[2] = {0};
    rt_added *sets[2];
    for (int set = 0; set < 2; set++) sets[set] = calloc(count + 1, sizeof **sets);
    ts_status status = TS_STATUS_OK;
    if (!sets[0] || !sets[1])
        status = ts_fail(l->err, TS_STATUS_OUT_OF_MEMORY, "%s: added tokens", l->path);
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++) {
        rt_added token;
        status = read_added(l, json_array_get(list, i), &token);
        if (status == TS_STATUS_OK) sets[token.normalized][counts[token.normalized]++] = token;
    }
    for (int set = 0; set < 2; set++) {
        if (status == TS_STATUS_OK) {
            rt_added_init(&l->out->added[set], sets[set], counts[set]);
        } else {
            free(sets[set]);
        }
    }
    return status;
}

static ts_status take_file(const loading *l, const json_t *root) {
    json_t *model = json_object_get(root, "model");
    json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
    const json_t *added = json_object_get(root, "added_tokens");
    if (!json_is_object(vocab) || !json_is_array(merges)) {
        return corrupt(l, "model.vocab (an object) or model.merges (an array) is missing");
    }
    TS_TRY(check_model(l, model));
    TS_TRY(each_member(l, json_object_get(root, "normalizer"), "normalizers", take_normalizer));
    TS_TRY(each_member(l, json_object_get(root, "pre_tokenizer"), "pretokenizers",
                       take_pre_tokenizer));
    TS_TRY(
        each_member(l, json_object_get(root, "post_processor"), "processors", take_post_processor));
    TS_TRY(each_member(l, json_object_get(root, "decoder"), "decoders", take_decoder));
    TS_TRY(rt_bpe_init(&l->out->bpe, json_array_size(merges), l->err));
    TS_TRY(make_tokens(l, vocab, added));
    TS_TRY(take_vocab(l, vocab));
    TS_TRY(take_merges(l, merges, vocab));
    TS_TRY(take_added(l, added));
    if (l->out->text.failed)
        return ts_fail(l->err, TS_STATUS_OUT_OF_MEMORY, "%s: vocabulary", l->path);
    return TS_STATUS_OK;
}

ts_status ts_tokenizer_load(const char *path, ts_tokenizer **out, ts_err *err) {
    struct stat info;
    ts_buf name = {0};
    json_t *root = NULL;
    bool is_dir = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    ts_buf_printf(&name, is_dir ? "%s/tokenizer.json" : "%s", path);
    ts_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    ts_status status = TS_STATUS_OUT_OF_MEMORY;
    if (!tokenizer || name.failed) {
        ts_fail(err, status, "%s", path);
        goto done;
    }
    status = rt_json_read(name.data, &root, err);
    if (status != TS_STATUS_OK) goto done;
    loading l = {tokenizer, name.data, err};
    status = take_file(&l, root);
done:
    json_decref(root);
    ts_buf_free(&name);
    if (status == TS_STATUS_OK) {
        *out = tokenizer;
    } else {
        ts_tokenizer_close(tokenizer);
    }
    return status;
}
