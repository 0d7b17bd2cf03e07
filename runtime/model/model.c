/* A model: its directory's configuration, the kernels it needs, its weights in one allocation on
 * the device. Kernels are looked up before weights are read, so that what a database lacks is told
 * at once.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../image/image.h"
#include "engine.h"

ts_sampler_options ts_model_sampling(const ts_model *model) { return model->sampling; }

ts_model_info ts_model_describe(const ts_model *model) {
    return (ts_model_info){
        .model_type = model->arch->model_type,
        .dtype = model->dtype,
        .vocab = model->shape.vocab,
        .hidden = model->shape.hidden,
        .layers = model->shape.layers,
        .weight_bytes = model->memory_bytes,
        .step_bytes = model->step_bytes,
        .context = model->shape.positions,
    };
}

const rt_media_ids *rt_model_media_ids(const ts_model *model) {
    return model->arch->media_ids ? model->arch->media_ids(model->self) : NULL;
}

bool ts_model_is_end(const ts_model *model, int32_t id) {
    for (size_t i = 0; i < model->end_count; i++) {
        if (model->ends[i] == id) return true;
    }
    return false;
}

/* generation_config.json: sampling, only where do_sample asks for it, and the ids that end a
 * text. */
static ts_status read_generation(ts_model *model, const rt_config *c, ts_err *err) {
    bool sample;
    double temperature, top_p, min_p, penalty;
    ts_sampler_options *s = &model->sampling;
    TS_TRY(rt_config_ids(c, "eos_token_id", model->ends, &model->end_count, err));
    TS_TRY(rt_config_bool(c, "do_sample", false, &sample, err));
    TS_TRY(rt_config_real(c, "repetition_penalty", 1, 1e-3, 1e3, &penalty, err));
    TS_TRY(rt_config_real(c, "temperature", 1, 0, 1e3, &temperature, err));
    TS_TRY(rt_config_real(c, "top_p", 1, 0, 1, &top_p, err));
    TS_TRY(rt_config_real(c, "min_p", 0, 0, 1, &min_p, err));
    s->repeat_penalty = (float)penalty;
    if (!sample) return TS_STATUS_OK;
    s->temperature = (float)temperature;
    s->top_p = top_p > 0 ? (float)top_p : 1;
    s->min_p = (float)min_p;
    return rt_config_int(c, "top_k", 0, 0, INT32_MAX, &s->top_k, err);
}

static ts_status read_generation_file(ts_model *model, const char *dir, const rt_config *config,
                                      ts_err *err) {
    rt_config generation = {0};
    ts_err reason;
    ts_status status = rt_config_open(dir, "generation_config.json", &generation, &reason);
    if (status == TS_STATUS_OK) {
        status = read_generation(model, &generation, err);
        rt_config_close(&generation);
    } else if (status == TS_STATUS_NOT_FOUND) {
        status = TS_STATUS_OK;
    } else {
        ts_fail(err, status, "%s", reason.message);
    }
    if (status == TS_STATUS_OK && model->end_count == 0) {
        status = rt_config_ids(config, "eos_token_id", model->ends, &model->end_count, err);
    }
    return status;
}

/* Finds the kernels; a missing one is reported with what to do about it. */
static ts_status resolve(ts_model *model, const char *dir, ts_err *err) {
    ts_err reason;
    ts_status status = model->arch->resolve(model->self, model->dtype, model->engine->kernels,
                                            &reason);
    if (status == TS_STATUS_NOT_FOUND) {
        ts_fail(err, status, "%s; all that this model needs: tune --model %s --dtype %s",
                reason.message, dir, ts_dtype_name(model->dtype));
    } else if (status != TS_STATUS_OK) {
        ts_fail(err, status, "%s", reason.message);
    }
    return status;
}

/* Hands out a model that was made with `status`, or closes it. */
static ts_status finish(ts_model *model, ts_status status, ts_model **out) {
    if (status == TS_STATUS_OK) {
        *out = model;
    } else {
        ts_model_close(model);
    }
    return status;
}

ts_status rt_model_prepare(ts_engine *engine, const char *dir, ts_dtype dtype, ts_model **out,
                           ts_err *err) {
    rt_config config = {0};
    ts_model *model = calloc(1, sizeof *model);
    if (!model) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", dir);
    model->engine = engine;
    model->sampling = ts_sampler_defaults();
    ts_status status = rt_config_open(dir, "config.json", &config, err);
    if (status != TS_STATUS_OK) goto done;
    status = rt_arch_find(&config, &model->arch, err);
    if (status != TS_STATUS_OK) goto done;
    model->self = calloc(1, model->arch->self_bytes);
    status = model->self ? model->arch->configure(model->self, &config, &model->shape, err)
                         : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", dir);
    if (status != TS_STATUS_OK) goto done;
    model->dtype = dtype;
    if (dtype == TS_DTYPE_AUTO) {
        model->dtype = engine->device->info.is_cpu ? TS_DTYPE_FP32 : rt_config_dtype(&config);
    }
    status = read_generation_file(model, dir, &config, err);
    if (status == TS_STATUS_OK) status = resolve(model, dir, err);
    rt_engine_report(engine);
    if (status == TS_STATUS_OK) {
        rt_layout layout = {0};
        model->arch->place_weights(model->self, &layout);
        model->memory_bytes = layout.bytes;
        model->step_bytes = layout.bytes + 2 * rt_session_kept_bytes(model);
        if (model->arch->idle_bytes) model->step_bytes -= model->arch->idle_bytes(model->self);
    }
done:
    rt_config_close(&config);
    return finish(model, status, out);
}

/* Tensors that nothing asked for are not an error, but may mean that the model is more than its
 * config says. */
static void report_unused(ts_engine *engine, const rt_tensors *tensors, const bool *used) {
    size_t count = 0, first = 0;
    for (size_t i = rt_tensors_count(tensors); i-- > 0;) {
        if (!used[i]) count++, first = i;
    }
    if (count == 0) return;
    const rt_tensor *tensor = rt_tensors_at(tensors, first);
    rt_engine_log(engine, "%s: %zu tensors are not part of the model and were ignored (%s)",
                  tensor->file, count, tensor->name);
}

/* Room on the device, and the weights in it from where `upload` says. */
static ts_status place_weights(ts_model *model, const char *dir, rt_upload *upload, ts_err *err) {
    ts_device *device = model->engine->device;
    ts_err reason;
    ts_status status = device->ops->alloc(device, model->memory_bytes, &model->memory, &reason);
    if (status != TS_STATUS_OK) {
        return ts_fail(err, status, "%s: %zu bytes of weights: %s", dir, model->memory_bytes,
                       reason.message);
    }
    rt_layout layout = {.base = (uintptr_t)model->memory};
    upload->device = device;
    upload->dtype = model->dtype;
    model->arch->place_weights(model->self, &layout);
    TS_TRY(model->arch->load_weights(model->self, upload, err));
    return device->ops->sync(device, NULL, err);
}

static ts_status load_weights(ts_model *model, const char *dir, ts_err *err) {
    rt_tensors *tensors = NULL;
    TS_TRY(rt_tensors_open_dir(dir, &tensors, err));
    rt_upload upload = {.tensors = tensors};
    upload.used = calloc(rt_tensors_count(tensors) + 1, sizeof *upload.used);
    ts_status status = upload.used ? place_weights(model, dir, &upload, err)
                                   : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", dir);
    if (status == TS_STATUS_OK) report_unused(model->engine, tensors, upload.used);
    free(upload.used);
    rt_tensors_close(tensors);
    return status;
}

ts_status ts_model_load(ts_engine *engine, const char *dir, ts_dtype dtype, ts_model **out,
                        ts_err *err) {
    ts_model *model = NULL;
    TS_TRY(rt_model_prepare(engine, dir, dtype, &model, err));
    return finish(model, load_weights(model, dir, err), out);
}

ts_status ts_model_make_up(ts_engine *engine, const char *dir, ts_dtype dtype, uint64_t seed,
                           ts_model **out, ts_err *err) {
    ts_model *model = NULL;
    TS_TRY(rt_model_prepare(engine, dir, dtype, &model, err));
    return finish(model, place_weights(model, dir, &(rt_upload){.seed = seed}, err), out);
}

void ts_model_close(ts_model *model) {
    if (!model) return;
    if (model->memory) model->engine->device->ops->free(model->engine->device, model->memory);
    if (model->self) model->arch->release(model->self);
    free(model->self);
    free(model);
}

/* What the vision tower takes for an image of as many merged patches as the directory's
 * preprocessor leaves, in a grid that is nearly square. */
static ts_status measure_vision(const ts_model *model, const char *dir, size_t *bytes,
                                ts_err *err) {
    if (!model->arch->see_bytes) return TS_STATUS_OK;
    rt_processor p;
    TS_TRY(rt_processor_read(dir, &p, err));
    int64_t side = (int64_t)p.patch * p.merge, blocks = p.max_pixels / (side * side);
    if (blocks < 1) blocks = 1;
    int32_t rows = (int32_t)sqrt((double)blocks);
    int32_t columns = (int32_t)((blocks + rows - 1) / rows),
            merge = model->arch->media_ids(model->self)->merge;
    rt_seen largest = {.grid = {1, rows * merge, columns * merge}};
    return model->arch->see_bytes(model->self, model->engine->device, &largest, 1, bytes, err);
}

ts_status ts_plan_model(ts_engine *engine, const char *dir, ts_dtype dtype,
                        const ts_session_options *options, ts_plan *out, ts_err *err) {
    ts_model *model = NULL;
    ts_plan plan = {0};
    TS_TRY(rt_model_prepare(engine, dir, dtype, &model, err));
    ts_status status = rt_session_measure(model, options, &plan, err);
    if (status == TS_STATUS_OK) status = measure_vision(model, dir, &plan.vision_bytes, err);
    plan.weight_bytes = model->memory_bytes;
    ts_model_close(model);
    if (status == TS_STATUS_OK) *out = plan;
    return status;
}
