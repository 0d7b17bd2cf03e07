/* The chat form of Qwen2-VL: messages with text, images and videos to the ids of a prompt.
 *
 * Only ids come out, never a text to be parsed again, so that what a user writes cannot become
 * structure or a placeholder.
 */
#ifndef RUNTIME_TEXT_CHAT_H
#define RUNTIME_TEXT_CHAT_H

#include "../tunesmith.h"
#include "../vision/mrope.h"

typedef enum rt_chat_kind {
    RT_CHAT_TURNS, /* of Instruct models: <|im_start|>role ... <|im_end|> */
    RT_CHAT_BASE,  /* of base models: contents one after another, no roles */
} rt_chat_kind;

/* What a directory's template asks for. Zeroed: turns, no default system message. */
typedef struct rt_chat_form {
    rt_chat_kind kind;
    char *system;  /* the template's default system message; NULL: none */
    char *warning; /* one line for the user where the template is neither of the two; else NULL */
} rt_chat_form;

/* From DIR/chat_template.jinja, else chat_template.json, else tokenizer_config.json; without any of
 * them the zeroed form. CORRUPT, IO: a file that cannot be read, by name. */
ts_status rt_chat_load(const char *dir, rt_chat_form *out, ts_err *err);
/* From the text of a template; `name` stands for it in the warning. */
ts_status rt_chat_recognise(const char *name, const char *text, rt_chat_form *out, ts_err *err);
void rt_chat_free(rt_chat_form *form); /* also of a zeroed one, and leaves it so */

typedef enum rt_chat_item_kind { RT_CHAT_TEXT, RT_CHAT_IMAGE, RT_CHAT_VIDEO } rt_chat_item_kind;

/* Borrowed. */
typedef struct rt_chat_item {
    rt_chat_item_kind kind;
    const char *text; /* of a text, with its length */
    size_t bytes;
    rt_grid grid; /* of an image or a video */
} rt_chat_item;

typedef struct rt_chat_message {
    const char *role; /* "system", "user", "assistant" */
    const rt_chat_item *items;
    size_t count;
} rt_chat_message;

typedef struct rt_chat_options {
    const char *system; /* in front of messages that do not begin with one; NULL: the form's */
    bool continued;     /* the messages go on a sequence that has a system message already */
    bool no_answer;     /* leave out the line that opens the assistant's turn */
    bool number_media;  /* "Picture 1: " before the first image, and so on */
} rt_chat_options;

/* Ids of `count` messages, each medium as many placeholders as it has tokens. `options` NULL: the
 * zeroed ones. *ids: ts_free. INVALID_ARGUMENT: a grid, by the number of its medium; a system
 * message for a base model. UNSUPPORTED: a tokenizer without <|im_start|> or <|im_end|>, or one
 * that would let text become a placeholder. */
ts_status rt_chat_encode(const rt_chat_form *form, const ts_tokenizer *tokenizer,
                         const rt_media_ids *names, const rt_chat_message *messages, size_t count,
                         const rt_chat_options *options, int32_t **ids, size_t *id_count,
                         ts_err *err);
/* One question of the user: images first, then videos, then the text. */
ts_status rt_chat_ask(const rt_chat_form *form, const ts_tokenizer *tokenizer,
                      const rt_media_ids *names, const rt_media *media, const char *text,
                      size_t bytes, const rt_chat_options *options, int32_t **ids, size_t *id_count,
                      ts_err *err);

#endif
