/* Typed access to the JSON of a model directory. Unknown fields are nobody's business: published
 * files carry many. A known field with a value of the wrong type or size is an error that names it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dtype.h"

ts_status rt_config_open(const char *dir, const char *name, rt_config *out, ts_err *err) {
    ts_buf path = {0};
    json_t *root = NULL;
    struct stat info;
    if (stat(dir, &info) != 0 || S_ISDIR(info.st_mode)) {
        ts_buf_printf(&path, "%s/%s", dir, name);
    } else if (strcmp(name, "config.json") == 0) {
        ts_buf_printf(&path, "%s", dir);
    } else {
        return ts_fail(err, TS_STATUS_NOT_FOUND, "%s: %s is no directory", name, dir);
    }
    if (path.failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s/%s", dir, name);
    ts_status status = rt_json_read(path.data, &root, err);
    if (status != TS_STATUS_OK) {
        ts_buf_free(&path);
        return status;
    }
    *out = (rt_config){root, path.data};
    return TS_STATUS_OK;
}

void rt_config_close(rt_config *config) {
    json_decref(config->root);
    free(config->path);
    *config = (rt_config){0};
}

ts_status rt_config_bad(const rt_config *config, const char *key, const char *expected,
                        ts_err *err) {
    const json_t *value = json_object_get(config->root, key);
    char *found = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: %s: %s expected, found %.60s", config->path, key,
            expected, found ? found : "nothing");
    free(found);
    return TS_STATUS_INVALID_ARGUMENT;
}

/* NULL where the field is absent or null. */
static const json_t *field(const rt_config *config, const char *key) {
    const json_t *value = json_object_get(config->root, key);
    return json_is_null(value) ? NULL : value;
}

ts_status rt_config_int(const rt_config *config, const char *key, int32_t fallback, int32_t low,
                        int32_t high, int32_t *out, ts_err *err) {
    const json_t *value = field(config, key);
    json_int_t number = value ? json_integer_value(value) : fallback;
    if ((value && !json_is_integer(value)) || number < low || number > high) {
        char expected[64];
        snprintf(expected, sizeof expected, "an integer from %d to %d", low, high);
        return rt_config_bad(config, key, expected, err);
    }
    *out = (int32_t)number;
    return TS_STATUS_OK;
}

ts_status rt_config_real(const rt_config *config, const char *key, double fallback, double low,
                         double high, double *out, ts_err *err) {
    const json_t *value = field(config, key);
    double number = value ? json_number_value(value) : fallback;
    if ((value && !json_is_number(value)) || !(number >= low && number <= high)) {
        char expected[64];
        snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
        return rt_config_bad(config, key, expected, err);
    }
    *out = number;
    return TS_STATUS_OK;
}

ts_status rt_config_bool(const rt_config *config, const char *key, bool fallback, bool *out,
                         ts_err *err) {
    const json_t *value = field(config, key);
    if (value && !json_is_boolean(value)) return rt_config_bad(config, key, "true or false", err);
    *out = value ? json_is_true(value) : fallback;
    return TS_STATUS_OK;
}

ts_status rt_config_ids(const rt_config *config, const char *key, int32_t out[RT_MAX_ENDS],
                        size_t *count, ts_err *err) {
    const json_t *value = field(config, key);
    size_t listed = json_is_array(value) ? json_array_size(value) : value ? 1 : 0;
    if (listed > RT_MAX_ENDS) return rt_config_bad(config, key, "at most 16 ids", err);
    for (size_t i = 0; i < listed; i++) {
        const json_t *id = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_integer(id) || json_integer_value(id) < INT32_MIN ||
            json_integer_value(id) > INT32_MAX) {
            return rt_config_bad(config, key, "an id or a list of ids", err);
        }
        out[i] = (int32_t)json_integer_value(id);
    }
    *count = listed;
    return TS_STATUS_OK;
}

ts_dtype rt_config_dtype(const rt_config *config) {
    ts_dtype dtype = TS_DTYPE_FP32;
    const char *keys[] = {"dtype", "torch_dtype"};
    for (size_t i = 0; i < 2; i++) {
        const char *text = json_string_value(field(config, keys[i]));
        if (text && rt_dtype_parse(text, &dtype)) break;
    }
    return dtype;
}
