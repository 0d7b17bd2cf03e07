/* Which of the two published templates a directory has. They are recognised, not run: what differs
 * between directories is only the kind and the default system message, which stands in the text.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat.h"
#include "json.h"

/* The words between the system line and the end of its turn; NULL where they are not literal. The
 * newline is itself in one file and a jinja escape in another. */
static char *default_system(const char *text) {
    static const char OPEN[] = "<|im_start|>system", CLOSE[] = "<|im_end|>";
    for (const char *at = text; (at = strstr(at, OPEN)) != NULL;) {
        at += sizeof OPEN - 1;
        const char *begin = *at == '\n' ? at + 1 : strncmp(at, "\\n", 2) == 0 ? at + 2 : NULL;
        const char *end = begin ? strstr(begin, CLOSE) : NULL;
        if (!end) continue;
        size_t bytes = (size_t)(end - begin);
        bool literal = true;
        for (size_t i = 0; i < bytes; i++) literal = literal && !strchr("{}'\\", begin[i]);
        if (literal && bytes > 0) return strndup(begin, bytes);
    }
    return NULL;
}

ts_status rt_chat_recognise(const char *name, const char *text, rt_chat_form *out, ts_err *err) {
    bool turns = strstr(text, "<|im_start|>"), media = strstr(text, "<|vision_start|>");
    rt_chat_form form = {.kind = media && !turns ? RT_CHAT_BASE : RT_CHAT_TURNS,
                         .system = turns ? default_system(text) : NULL};
    if (!media) {
        ts_buf warning = {0};
        ts_buf_printf(
            &warning,
            "%s: not a chat template of Qwen2-VL (it has no %s): the form of its Instruct "
            "models is used",
            name, turns ? "<|vision_start|>" : "<|im_start|> and no <|vision_start|>");
        if (warning.failed) {
            rt_chat_free(&form);
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", name);
        }
        form.warning = warning.data;
    }
    *out = form;
    return TS_STATUS_OK;
}

void rt_chat_free(rt_chat_form *form) {
    free(form->system);
    free(form->warning);
    *form = (rt_chat_form){0};
}

/* A template in JSON is a text, or a list of named ones, of which "default" counts. */
static const char *template_in(const json_t *root) {
    const json_t *value = json_object_get(root, "chat_template"), *entry;
    size_t i;
    json_array_foreach(value, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(entry, "template"));
    }
    return json_string_value(value);
}

static ts_status load_jinja(const char *path, rt_chat_form *out, bool *found, ts_err *err) {
    ts_buf text = {0};
    ts_status status = ts_file_read(path, &text, err);
    if (status == TS_STATUS_OK) {
        status = rt_chat_recognise(path, text.data ? text.data : "", out, err);
        *found = true;
    }
    ts_buf_free(&text);
    return status;
}

static ts_status load_json(const char *path, rt_chat_form *out, bool *found, ts_err *err) {
    json_t *root = NULL;
    TS_TRY(rt_json_read(path, &root, err));
    const char *text = template_in(root);
    ts_status status = text ? rt_chat_recognise(path, text, out, err) : TS_STATUS_OK;
    *found = text != NULL;
    json_decref(root);
    return status;
}

ts_status rt_chat_load(const char *dir, rt_chat_form *out, ts_err *err) {
    static const struct {
        const char *name;
        ts_status (*load)(const char *path, rt_chat_form *out, bool *found, ts_err *err);
    } homes[] = {
        {"chat_template.jinja", load_jinja},
        {"chat_template.json", load_json},
        {"tokenizer_config.json", load_json},
    };
    rt_chat_form form = {0};
    bool found = false;
    for (size_t i = 0; i < sizeof homes / sizeof *homes && !found; i++) {
        ts_buf path = {0};
        ts_buf_printf(&path, "%s/%s", dir, homes[i].name);
        ts_status status = TS_STATUS_OK;
        if (path.failed)
            status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", dir);
        else if (access(path.data, F_OK) == 0)
            status = homes[i].load(path.data, &form, &found, err);
        ts_buf_free(&path);
        if (status != TS_STATUS_OK) return status;
    }
    *out = form;
    return TS_STATUS_OK;
}
