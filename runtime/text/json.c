/* JSON input. jansson checks UTF-8 and limits nesting; what is left to say is where in which
 * file. */
#include "json.h"

ts_status rt_json_parse(const char *text, size_t bytes, const char *name, json_t **out,
                        ts_err *err) {
    json_error_t error;
    json_t *root = json_loadb(text ? text : "", bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: line %d column %d: %s", name, error.line,
                       error.column, error.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: not a JSON object", name);
    }
    *out = root;
    return TS_STATUS_OK;
}

ts_status rt_json_read(const char *path, json_t **out, ts_err *err) {
    ts_buf text = {0};
    ts_status status = ts_file_read(path, &text, err);
    if (status == TS_STATUS_OK) status = rt_json_parse(text.data, text.bytes, path, out, err);
    ts_buf_free(&text);
    return status;
}
