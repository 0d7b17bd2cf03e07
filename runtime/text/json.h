/* JSON files of a model directory: read whole, parsed by jansson, errors with path and line. */
#ifndef RUNTIME_TEXT_JSON_H
#define RUNTIME_TEXT_JSON_H

#include <jansson.h>

#include "../../db/base.h"

/* Reads and parses a file whose top level is an object; free with json_decref. Errors name the
 * path. */
ts_status rt_json_read(const char *path, json_t **out, ts_err *err);
/* Parses text; `name` stands for it in errors. Keys that appear twice are an error, because two
 * readers would take different ones. */
ts_status rt_json_parse(const char *text, size_t bytes, const char *name, json_t **out,
                        ts_err *err);

#endif
