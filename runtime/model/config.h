/* Values of config.json and generation_config.json, checked; errors name the file and the field. */
#ifndef RUNTIME_MODEL_CONFIG_H
#define RUNTIME_MODEL_CONFIG_H

#include "../text/json.h"
#include "../tunesmith.h"

typedef struct rt_config {
    json_t *root;
    char *path; /* for messages */
} rt_config;

/* Reads DIR/NAME; `dir` may be a config.json itself, which then is its directory's only file. */
ts_status rt_config_open(const char *dir, const char *name, rt_config *out, ts_err *err);
void rt_config_close(rt_config *config); /* also of a zeroed one */

/* A field that is absent or null gives `fallback`. INVALID_ARGUMENT: another type, or out of
 * low..high. */
ts_status rt_config_int(const rt_config *config, const char *key, int32_t fallback, int32_t low,
                        int32_t high, int32_t *out, ts_err *err);
ts_status rt_config_real(const rt_config *config, const char *key, double fallback, double low,
                         double high, double *out, ts_err *err);
ts_status rt_config_bool(const rt_config *config, const char *key, bool fallback, bool *out,
                         ts_err *err);
/* INVALID_ARGUMENT, naming file and field. */
ts_status rt_config_bad(const rt_config *config, const char *key, const char *expected,
                        ts_err *err);

enum { RT_MAX_ENDS = 16 };

/* An id or a list of ids (eos_token_id); *count is 0 where the field is absent. */
ts_status rt_config_ids(const rt_config *config, const char *key, int32_t out[RT_MAX_ENDS],
                        size_t *count, ts_err *err);
/* The format the checkpoint is stored in: `dtype` or `torch_dtype`; fp32 where neither says one. */
ts_dtype rt_config_dtype(const rt_config *config);

#endif
