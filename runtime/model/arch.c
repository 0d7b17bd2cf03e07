/* From a model directory's config.json to an architecture, and to the problems that it will look
 * up. */
#include "arch.h"

#include <stdlib.h>
#include <string.h>

#include "../model.h"

static const rt_arch *const archs[] = {&rt_mamba, &rt_qwen2vl};

/* Models that are easily taken for a supported one. */
static const struct {
    const char *model_type, *reason;
} lookalikes[] = {
    {"mamba2", "Mamba 2 has another recurrence than Mamba 1"},
    {"falcon_mamba", "Falcon-Mamba adds norms inside the mixer of Mamba 1"},
    {"jamba", "Jamba mixes Mamba with attention and experts"},
    {"qwen2_5_vl", "Qwen2.5-VL has window attention and other norms in its vision tower"},
    {"qwen3_vl", "Qwen3-VL has another vision tower and interleaved positions"},
};

static bool names_class(const rt_config *config, const char *class_name) {
    const json_t *list = json_object_get(config->root, "architectures"), *entry;
    size_t i;
    json_array_foreach(list, i, entry) {
        const char *name = json_string_value(entry);
        if (name && strcmp(name, class_name) == 0) return true;
    }
    return false;
}

static bool is_original_mamba(const rt_config *config) {
    return json_object_get(config->root, "d_model") && json_object_get(config->root, "n_layer") &&
           json_object_get(config->root, "ssm_cfg");
}

ts_status rt_arch_find(const rt_config *config, const rt_arch **out, ts_err *err) {
    const char *type = json_string_value(json_object_get(config->root, "model_type"));
    for (size_t i = 0; type && i < sizeof lookalikes / sizeof *lookalikes; i++) {
        if (strcmp(type, lookalikes[i].model_type) == 0) {
            return ts_fail(err, TS_STATUS_UNSUPPORTED, "%s: model_type %s is not supported: %s",
                           config->path, type, lookalikes[i].reason);
        }
    }
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        if (type ? strcmp(type, archs[i]->model_type) == 0
                 : names_class(config, archs[i]->class_name)) {
            *out = archs[i];
            return TS_STATUS_OK;
        }
    }
    if (!type && is_original_mamba(config)) {
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%s: this is the original Mamba layout; take the repository whose name ends in -hf",
            config->path);
    }
    return ts_fail(err, TS_STATUS_UNSUPPORTED, "%s: model_type %s is not supported (mamba and qwen2_vl are)",
                   config->path, type ? type : "(missing)");
}

/* Problems of one dtype, or of fp32 and the checkpoint's own. */
static ts_status list_problems(const rt_arch *arch, const void *self, const rt_config *config,
                               const char *dtype, rt_problem_each each, void *context,
                               ts_err *err) {
    ts_dtype wanted = TS_DTYPE_FP32, stored = rt_config_dtype(config);
    if (dtype) {
        if (!rt_dtype_parse(dtype, &wanted)) {
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "dtype %s is not one of fp32, fp16, bf16", dtype);
        }
        return arch->problems(self, wanted, each, context, err);
    }
    TS_TRY(arch->problems(self, TS_DTYPE_FP32, each, context, err));
    return stored == TS_DTYPE_FP32 ? TS_STATUS_OK
                                   : arch->problems(self, stored, each, context, err);
}

ts_status rt_model_problems(const char *dir, const char *dtype, rt_problem_each each, void *context,
                            ts_err *err) {
    rt_config config = {0};
    const rt_arch *arch = NULL;
    rt_arch_shape shape;
    void *self = NULL;
    ts_status status = rt_config_open(dir, "config.json", &config, err);
    if (status == TS_STATUS_OK) status = rt_arch_find(&config, &arch, err);
    if (status == TS_STATUS_OK) {
        self = calloc(1, arch->self_bytes);
        status = self ? arch->configure(self, &config, &shape, err)
                      : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", config.path);
    }
    if (status == TS_STATUS_OK)
        status = list_problems(arch, self, &config, dtype, each, context, err);
    if (self) arch->release(self);
    free(self);
    rt_config_close(&config);
    return status;
}
