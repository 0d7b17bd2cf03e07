/* preprocessor_config.json and what follows from it before any pixel is touched: the size that an
 * image is resized to, and its grid of patches.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../model/config.h"
#include "image.h"

rt_processor rt_processor_defaults(void) {
    return (rt_processor){
        .patch = 14,
        .temporal = 2,
        .merge = 2,
        .min_pixels = 56 * 56,
        .max_pixels = 28 * 28 * 1280,
        .rescale = 1.0 / 255,
        .mean = {0.48145466, 0.4578275, 0.40821073},
        .std = {0.26862954, 0.26130258, 0.27577711},
        .do_resize = true,
        .do_rescale = true,
        .do_normalize = true,
    };
}

/* ---- reading ---- */

enum { MAX_SIDE = 1024, MAX_MERGE = 64 };

/* Limits have two homes and two names in the second one; the top level wins. */
static ts_status read_limits(const rt_config *config, rt_processor *p, ts_err *err) {
    static const char *const low[] = {"shortest_edge", "min_pixels"};
    static const char *const high[] = {"longest_edge", "max_pixels"};
    json_t *size = json_object_get(config->root, "size");
    const rt_config inner = {json_is_object(size) ? size : NULL, config->path};
    int32_t least = (int32_t)p->min_pixels, most = (int32_t)p->max_pixels;
    for (int i = 0; i < 2 && inner.root; i++) {
        TS_TRY(rt_config_int(&inner, low[i], least, 1, INT32_MAX, &least, err));
        TS_TRY(rt_config_int(&inner, high[i], most, 1, INT32_MAX, &most, err));
    }
    TS_TRY(rt_config_int(config, "min_pixels", least, 1, INT32_MAX, &least, err));
    TS_TRY(rt_config_int(config, "max_pixels", most, 1, INT32_MAX, &most, err));
    p->min_pixels = least;
    p->max_pixels = most;
    return TS_STATUS_OK;
}

static ts_status read_colours(const rt_config *config, const char *key, bool divisor, double out[3],
                              ts_err *err) {
    const json_t *list = json_object_get(config->root, key);
    if (!list || json_is_null(list)) return TS_STATUS_OK;
    bool good = json_is_array(list) && json_array_size(list) == 3;
    for (size_t c = 0; c < 3 && good; c++) {
        double value = json_number_value(json_array_get(list, c));
        good = json_is_number(json_array_get(list, c)) && fabs(value) <= 1e6 &&
               (!divisor || value >= 1e-6);
        if (good) out[c] = value;
    }
    return good ? TS_STATUS_OK
                : rt_config_bad(config, key, divisor ? "three positive numbers" : "three numbers",
                                err);
}

static ts_status read_fields(const rt_config *config, rt_processor *p, ts_err *err) {
    int32_t resample;
    bool convert;
    const char *type = json_string_value(json_object_get(config->root, "image_processor_type"));
    if (type && strncmp(type, "Qwen2VLImageProcessor", 21) != 0)
        return rt_config_bad(config, "image_processor_type", "\"Qwen2VLImageProcessor\"", err);
    TS_TRY(rt_config_int(config, "patch_size", p->patch, 1, MAX_SIDE, &p->patch, err));
    TS_TRY(rt_config_int(config, "temporal_patch_size", p->temporal, 1, RT_MAX_TEMPORAL,
                         &p->temporal, err));
    TS_TRY(rt_config_int(config, "merge_size", p->merge, 1, MAX_MERGE, &p->merge, err));
    TS_TRY(rt_config_int(config, "resample", 3, 3, 3, &resample, err));
    TS_TRY(rt_config_real(config, "rescale_factor", p->rescale, 0, 1e6, &p->rescale, err));
    TS_TRY(rt_config_bool(config, "do_resize", p->do_resize, &p->do_resize, err));
    TS_TRY(rt_config_bool(config, "do_rescale", p->do_rescale, &p->do_rescale, err));
    TS_TRY(rt_config_bool(config, "do_normalize", p->do_normalize, &p->do_normalize, err));
    TS_TRY(rt_config_bool(config, "do_convert_rgb", true, &convert, err)); /* always done */
    TS_TRY(read_colours(config, "image_mean", false, p->mean, err));
    TS_TRY(read_colours(config, "image_std", true, p->std, err));
    return read_limits(config, p, err);
}

ts_status rt_processor_read(const char *dir, rt_processor *out, ts_err *err) {
    rt_config config = {0};
    rt_processor processor = rt_processor_defaults();
    ts_err reason = {0};
    ts_status status = rt_config_open(dir, "preprocessor_config.json", &config, &reason);
    if (status == TS_STATUS_OK) {
        status = read_fields(&config, &processor, &reason);
    } else if (status == TS_STATUS_NOT_FOUND) {
        status = rt_config_open(dir, "processor_config.json", &config, &reason);
        json_t *inner = json_object_get(config.root, "image_processor");
        const rt_config part = {inner, config.path};
        if (status == TS_STATUS_OK && json_is_object(inner))
            status = read_fields(&part, &processor, &reason);
        if (status == TS_STATUS_NOT_FOUND) status = TS_STATUS_OK;
    }
    rt_config_close(&config);
    if (status != TS_STATUS_OK) return ts_fail(err, status, "%s", reason.message);
    *out = processor;
    return TS_STATUS_OK;
}

/* ---- sizes ---- */

/* The published smart_resize, in its double precision; rint rounds half to even as Python does. */
static void smart_resize(const rt_processor *p, int32_t width, int32_t height, double *w,
                         double *h) {
    double factor = (double)p->patch * p->merge;
    double area = (double)width * height, least = (double)p->min_pixels;
    *h = fmax(factor, rint(height / factor) * factor);
    *w = fmax(factor, rint(width / factor) * factor);
    if (*h * *w > (double)p->max_pixels) {
        double beta = sqrt(area / (double)p->max_pixels);
        *h = fmax(factor, floor(height / beta / factor) * factor);
        *w = fmax(factor, floor(width / beta / factor) * factor);
    } else if (*h * *w < least) {
        double beta = sqrt(least / area);
        *h = ceil(height * beta / factor) * factor;
        *w = ceil(width * beta / factor) * factor;
    }
}

ts_status rt_processor_grid(const rt_processor *p, int32_t width, int32_t height, int32_t frames,
                            rt_grid *out, ts_err *err) {
    enum { MAX_RATIO = 200, MAX_PATCHES = 1 << 20 };
    int32_t factor = p->patch * p->merge;
    double w = width, h = height;
    if (width < 1 || height < 1 || frames < 1)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "an image of %d x %d pixels, %d frames",
                       width, height, frames);
    if ((double)width > (double)MAX_RATIO * height || (double)height > (double)MAX_RATIO * width)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the image is %d x %d pixels: no side may be more than 200 times the other",
                       width, height);
    if (p->min_pixels > p->max_pixels)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the least number of pixels, %lld, is above the most, %lld",
                       (long long)p->min_pixels, (long long)p->max_pixels);
    if (p->do_resize) {
        smart_resize(p, width, height, &w, &h);
    } else if (width % factor != 0 || height % factor != 0) {
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                       "the image is %d x %d pixels: without do_resize its sides must be multiples "
                       "of %d",
                       width, height, factor);
    }
    if (w / p->patch > MAX_PATCHES || h / p->patch > MAX_PATCHES)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "%d x %d pixels become %.0f x %.0f", width,
                       height, w, h);
    *out = (rt_grid){(frames - 1) / p->temporal + 1, (int32_t)(h / p->patch),
                     (int32_t)(w / p->patch)};
    return TS_STATUS_OK;
}

size_t rt_grid_rows(rt_grid grid) { return (size_t)grid.t * (size_t)grid.h * (size_t)grid.w; }

size_t rt_grid_tokens(const rt_processor *p, rt_grid grid) {
    return rt_grid_rows(grid) / ((size_t)p->merge * (size_t)p->merge);
}

size_t rt_processor_row_floats(const rt_processor *p) {
    return 3 * (size_t)p->temporal * (size_t)p->patch * (size_t)p->patch;
}
