/* Messages to ids. Structure tokens and placeholders are written as ids; all text between two of
 * them (a role, the user's words, a picture's number) is encoded as one piece, because the
 * reference's splitting sees it as one: a newline after a role joins the spaces that follow.
 */
#include "chat.h"

#include <stdlib.h>
#include <string.h>

typedef struct assembly {
    const ts_tokenizer *tokenizer;
    const rt_media_ids *names;
    const rt_chat_options *options;
    int32_t im_start, im_end;
    size_t media[2]; /* images, videos so far */
    ts_buf text;     /* since the last structure token */
    ts_buf ids;
    ts_err *err;
} assembly;

/* ---- tokens ---- */

/* The id of a special token by its text. */
static ts_status special_id(const ts_tokenizer *tokenizer, const char *text, int32_t *out,
                            ts_err *err) {
    int32_t *ids = NULL;
    size_t count = 0;
    TS_TRY(ts_tokenizer_encode(tokenizer, text, strlen(text), true, &ids, &count, err));
    if (count == 1) *out = ids[0];
    ts_free(ids);
    if (count == 1) return TS_STATUS_OK;
    return ts_fail(
        err, TS_STATUS_UNSUPPORTED,
        "the tokenizer has no special token %s, which the chat form needs (--tokens takes "
        "ids)",
        text);
}

static bool is_structure(const assembly *a, int32_t id) {
    return id == a->im_start || id == a->im_end || id == a->names->vision_start ||
           id == a->names->vision_end || id == a->names->image || id == a->names->video;
}

/* Encodes the text gathered. Special tokens are off; the check stands against a tokenizer file that
 * lists a placeholder as an ordinary token. */
static ts_status flush(assembly *a) {
    int32_t *ids = NULL;
    size_t count = 0;
    if (a->text.failed)
        return ts_fail(a->err, TS_STATUS_OUT_OF_MEMORY, "a prompt of %zu bytes", a->text.bytes);
    if (a->text.bytes == 0) return TS_STATUS_OK;
    TS_TRY(ts_tokenizer_encode(a->tokenizer, a->text.data, a->text.bytes, false, &ids, &count,
                               a->err));
    ts_status status = TS_STATUS_OK;
    for (size_t i = 0; i < count && status == TS_STATUS_OK; i++)
        if (is_structure(a, ids[i]))
            status = ts_fail(a->err, TS_STATUS_UNSUPPORTED,
                             "text of the prompt became id %d, which is structure: the tokenizer "
                             "does not list it as a special token",
                             ids[i]);
    if (count > 0) ts_buf_append(&a->ids, ids, count * sizeof *ids);
    ts_buf_clear(&a->text);
    ts_free(ids);
    return status;
}

static void add_text(assembly *a, const char *text) { ts_buf_append(&a->text, text, strlen(text)); }

static ts_status add_ids(assembly *a, int32_t id, int32_t copies) {
    TS_TRY(flush(a));
    for (int32_t i = 0; i < copies && !a->ids.failed; i++) ts_buf_append(&a->ids, &id, sizeof id);
    return TS_STATUS_OK;
}

/* ---- messages ---- */

static ts_status add_medium(assembly *a, bool video, rt_grid grid) {
    static const char *const names[] = {"image", "video"}, *const titles[] = {"Picture", "Video"};
    size_t number = ++a->media[video];
    int32_t copies = 0;
    ts_err reason;
    ts_status status = rt_grid_placeholders(grid, a->names->merge, &copies, &reason);
    if (status != TS_STATUS_OK)
        return ts_fail(a->err, status, "%s %zu: %s", names[video], number, reason.message);
    if (a->options->number_media) ts_buf_printf(&a->text, "%s %zu: ", titles[video], number);
    TS_TRY(add_ids(a, a->names->vision_start, 1));
    TS_TRY(add_ids(a, video ? a->names->video : a->names->image, copies));
    return add_ids(a, a->names->vision_end, 1);
}

static ts_status add_items(assembly *a, const rt_chat_message *message) {
    for (size_t i = 0; i < message->count; i++) {
        const rt_chat_item *item = &message->items[i];
        if (item->kind != RT_CHAT_TEXT)
            TS_TRY(add_medium(a, item->kind == RT_CHAT_VIDEO, item->grid));
        else if (item->bytes > 0)
            ts_buf_append(&a->text, item->text, item->bytes);
    }
    return TS_STATUS_OK;
}

static ts_status open_turn(assembly *a, const char *role) {
    TS_TRY(add_ids(a, a->im_start, 1));
    add_text(a, role);
    add_text(a, "\n");
    return TS_STATUS_OK;
}

static ts_status add_turn(assembly *a, const rt_chat_message *message) {
    TS_TRY(open_turn(a, message->role));
    TS_TRY(add_items(a, message));
    TS_TRY(add_ids(a, a->im_end, 1));
    add_text(a, "\n");
    return TS_STATUS_OK;
}

static ts_status add_system(assembly *a, const rt_chat_form *form, const rt_chat_message *first) {
    const char *system = a->options->system ? a->options->system : form->system;
    if (!system || a->options->continued || (first && strcmp(first->role, "system") == 0))
        return TS_STATUS_OK;
    rt_chat_item item = {.text = system, .bytes = strlen(system)};
    return add_turn(a, &(rt_chat_message){"system", &item, 1});
}

static ts_status add_turns(assembly *a, const rt_chat_form *form, const rt_chat_message *messages,
                           size_t count) {
    TS_TRY(special_id(a->tokenizer, "<|im_start|>", &a->im_start, a->err));
    TS_TRY(special_id(a->tokenizer, "<|im_end|>", &a->im_end, a->err));
    TS_TRY(add_system(a, form, count > 0 ? &messages[0] : NULL));
    for (size_t i = 0; i < count; i++) TS_TRY(add_turn(a, &messages[i]));
    return a->options->no_answer ? TS_STATUS_OK : open_turn(a, "assistant");
}

static ts_status add_contents(assembly *a, const rt_chat_message *messages, size_t count) {
    if (a->options->system)
        return ts_fail(a->err, TS_STATUS_INVALID_ARGUMENT,
                       "a system message was given, but the chat template of this model (a base "
                       "model) has none");
    a->im_start = a->im_end = -1;
    for (size_t i = 0; i < count; i++) TS_TRY(add_items(a, &messages[i]));
    return TS_STATUS_OK;
}

ts_status rt_chat_encode(const rt_chat_form *form, const ts_tokenizer *tokenizer,
                         const rt_media_ids *names, const rt_chat_message *messages, size_t count,
                         const rt_chat_options *options, int32_t **ids, size_t *id_count,
                         ts_err *err) {
    static const rt_chat_options defaults;
    assembly a = {.tokenizer = tokenizer,
                  .names = names,
                  .options = options ? options : &defaults,
                  .err = err};
    ts_status status = form->kind == RT_CHAT_BASE ? add_contents(&a, messages, count)
                                                  : add_turns(&a, form, messages, count);
    if (status == TS_STATUS_OK) status = flush(&a);
    if (status == TS_STATUS_OK && a.ids.failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "a prompt of more than %zu ids",
                         a.ids.bytes / sizeof **ids);
    ts_buf_free(&a.text);
    if (status != TS_STATUS_OK) {
        ts_buf_free(&a.ids);
        return status;
    }
    *ids = (int32_t *)(void *)a.ids.data;
    *id_count = a.ids.bytes / sizeof **ids;
    return TS_STATUS_OK;
}

ts_status rt_chat_ask(const rt_chat_form *form, const ts_tokenizer *tokenizer,
                      const rt_media_ids *names, const rt_media *media, const char *text,
                      size_t bytes, const rt_chat_options *options, int32_t **ids, size_t *id_count,
                      ts_err *err) {
    size_t count = media->image_count + media->video_count, at = 0;
    rt_chat_item *items = calloc(count + 1, sizeof *items);
    if (!items) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "a prompt of %zu media", count);
    for (size_t i = 0; i < media->image_count; i++)
        items[at++] = (rt_chat_item){.kind = RT_CHAT_IMAGE, .grid = media->images[i]};
    for (size_t i = 0; i < media->video_count; i++)
        items[at++] = (rt_chat_item){.kind = RT_CHAT_VIDEO, .grid = media->videos[i]};
    items[at++] = (rt_chat_item){.kind = RT_CHAT_TEXT, .text = text, .bytes = bytes};
    rt_chat_message message = {"user", items, at};
    ts_status status = rt_chat_encode(form, tokenizer, names, &message, 1, options, ids, id_count,
                                      err);
    free(items);
    return status;
}
