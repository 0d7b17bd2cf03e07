/* From files to pixel_values: the reference's values, the worked sizes, the layout, the config. */
#include <math.h>

#include "../model/files.h"
#include "runtime/image/image.h"
#include "runtime/text/json.h"

static rt_pool *pool;

#define PHOTOS "tests/fixtures/preprocess"
#define TINY "tests/fixtures/qwen2vl-tiny"

/* rows: free() */
static float *rows_of(const rt_processor *processor, const char *path, rt_grid *grid) {
    rt_image image = {0};
    ts_err err = {0};
    if (rt_image_read(path, NULL, &image, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    assert_int_equal(rt_processor_grid(processor, image.width, image.height, 1, grid, NULL),
                     TS_STATUS_OK);
    float *rows = malloc(rt_grid_rows(*grid) * rt_processor_row_floats(processor) * sizeof *rows);
    assert_non_null(rows);
    assert_int_equal(rt_processor_image(processor, *grid, &image, pool, rows, NULL), TS_STATUS_OK);
    rt_image_free(&image);
    return rows;
}

/* ---- the reference ---- */

static void check_photo(const char *folder, const char *key, json_t *meta,
                        const rt_tensors *expected) {
    char path[256], name[96];
    rt_processor processor = rt_processor_defaults();
    rt_grid grid;
    processor.min_pixels = json_integer_value(json_object_get(meta, "min_pixels"));
    processor.max_pixels = json_integer_value(json_object_get(meta, "max_pixels"));
    snprintf(path, sizeof path, "%s/pre-%.*s.png", folder, (int)strcspn(key, "."), key);
    float *rows = rows_of(&processor, path, &grid);
    size_t floats = rt_grid_rows(grid) * rt_processor_row_floats(&processor);
    const json_t *thw = json_object_get(meta, "grid_thw");
    assert_int_equal(grid.t, json_integer_value(json_array_get(thw, 0)));
    assert_int_equal(grid.h, json_integer_value(json_array_get(thw, 1)));
    assert_int_equal(grid.w, json_integer_value(json_array_get(thw, 2)));
    assert_int_equal(floats, json_integer_value(json_object_get(meta, "numel")));
    snprintf(name, sizeof name, "%s.index", key);
    const rt_tensor *index = tensor_of(expected, name);
    snprintf(name, sizeof name, "%s.value", key);
    const rt_tensor *value = tensor_of(expected, name);
    assert_int_equal(index->count, 5000);
    assert_int_equal(value->count, 5000);
    bool wide = strcmp(index->dtype, "I64") == 0;
    for (size_t i = 0; i < value->count; i++) {
        int64_t at = 0;
        float want;
        memcpy(&at, (const char *)index->data + i * (wide ? 8 : 4), wide ? 8 : 4);
        memcpy(&want, (const char *)value->data + i * 4, 4);
        assert_true(at >= 0 && (size_t)at < floats);
        if (!(fabsf(rows[at] - want) <= 1e-6f))
            fail_msg("%s: value %lld is %.9g instead of %.9g", key, (long long)at, (double)rows[at],
                     (double)want);
    }
    double sum = 0;
    for (size_t i = 0; i < floats; i++) sum += (double)rows[i];
    assert_true(fabs(sum / (double)floats - json_real_value(json_object_get(meta, "mean"))) < 1e-6);
    free(rows);
}

static void check_photos(const char *folder, const char *name) {
    char path[256];
    json_t *meta, *entry;
    const char *key;
    int checked = 0;
    snprintf(path, sizeof path, "%s/preprocess_meta.json", folder);
    assert_int_equal(rt_json_read(path, &meta, NULL), TS_STATUS_OK);
    snprintf(path, sizeof path, "%s/preprocess_expected.safetensors", folder);
    rt_tensors *expected = open_tensors(path);
    json_object_foreach(meta, key, entry) {
        if (strncmp(key, name, strlen(name)) != 0) continue;
        check_photo(folder, key, entry, expected);
        checked++;
    }
    assert_int_equal(checked, 3);
    rt_tensors_close(expected);
    json_decref(meta);
}

static void astronaut(void **state) {
    (void)state;
    check_photos(PHOTOS, "astronaut");
}

static void chelsea(void **state) {
    (void)state;
    check_photos(PHOTOS, "chelsea");
}

/* This photograph may not be copied: it is looked for beside the checkout. */
static void china(void **state) {
    (void)state;
    static const char *const folders[] = {"../shared/fixtures/preprocess",
                                          "../../shared/fixtures/preprocess"};
    for (size_t i = 0; i < 2; i++) {
        if (access(folders[i], R_OK) != 0) continue;
        check_photos(folders[i], "china");
        return;
    }
    skip();
}

static void tiny_cases(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int images;
    } cases[] = {{"image", 1}, {"two_images", 2}};
    rt_tensors *expected = open_tensors(TINY "/expected.safetensors");
    rt_processor processor;
    assert_int_equal(rt_processor_read(TINY, &processor, NULL), TS_STATUS_OK);
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.pixel_values", cases[i].name);
        const rt_tensor *values = tensor_of(expected, name);
        size_t at = 0;
        for (int k = 0; k < cases[i].images; k++) {
            rt_grid grid;
            snprintf(name, sizeof name, TINY "/image%d.png", k);
            float *rows = rows_of(&processor, name, &grid);
            size_t floats = rt_grid_rows(grid) * rt_processor_row_floats(&processor);
            assert_true(at + floats <= values->count);
            for (size_t f = 0; f < floats; f++, at++) {
                float want;
                memcpy(&want, (const char *)values->data + at * 4, 4);
                assert_true(fabsf(rows[f] - want) <= 1e-6f);
            }
            free(rows);
        }
        assert_int_equal(at, values->count);
    }
    rt_tensors_close(expected);
}

/* Without a pool the same rows come from the calling thread. */
static void no_pool(void **state) {
    (void)state;
    const char *path = PHOTOS "/pre-chelsea.png";
    rt_processor processor = rt_processor_defaults();
    rt_pool *threads = pool;
    rt_grid grid;
    float *wanted = rows_of(&processor, path, &grid);
    size_t floats = rt_grid_rows(grid) * rt_processor_row_floats(&processor);
    pool = NULL;
    float *rows = rows_of(&processor, path, &grid);
    pool = threads;
    assert_memory_equal(rows, wanted, floats * sizeof *rows);
    free(rows);
    free(wanted);
}

/* ---- sizes ---- */

static void worked_sizes(void **state) {
    (void)state;
    static const struct {
        int32_t height, width;
        int64_t low, high;
        int32_t grid_h, grid_w;
    } cases[] = {
        {224, 224, 3136, 12845056, 16, 16},     {480, 640, 3136, 12845056, 34, 46},
        {14, 14, 3136, 12845056, 4, 4},         {1080, 1920, 3136, 12845056, 78, 138},
        {1080, 1920, 3136, 1003520, 52, 94},    {1365, 2048, 3136, 12845056, 98, 146},
        {2160, 3840, 3136, 12845056, 154, 274}, {4320, 7680, 3136, 12845056, 192, 340},
        {30, 200, 200704, 12845056, 14, 84},    {42, 70, 784, 12845056, 4, 4}, /* half to even */
        {1, 200, 784, 12845056, 2, 14},         {98, 126, 784, 12845056, 8, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rt_processor p = rt_processor_defaults();
        rt_grid grid;
        p.min_pixels = cases[i].low;
        p.max_pixels = cases[i].high;
        assert_int_equal(rt_processor_grid(&p, cases[i].width, cases[i].height, 1, &grid, NULL),
                         TS_STATUS_OK);
        if (grid.t != 1 || grid.h != cases[i].grid_h || grid.w != cases[i].grid_w)
            fail_msg("%d x %d: grid %d %d %d", cases[i].height, cases[i].width, grid.t, grid.h,
                     grid.w);
        assert_int_equal(rt_grid_tokens(&p, grid), grid.h * grid.w / 4);
    }
}

static void refused_sizes(void **state) {
    (void)state;
    rt_processor p = rt_processor_defaults();
    rt_grid grid;
    ts_err err = {0};
    assert_int_equal(rt_processor_grid(&p, 201, 1, 1, &grid, &err), TS_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "200 times"));
    assert_int_equal(rt_processor_grid(&p, 10, 2001, 1, &grid, NULL), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(rt_processor_grid(&p, 10, 2000, 1, &grid, NULL), TS_STATUS_OK);
    assert_int_equal(rt_processor_grid(&p, 0, 10, 1, &grid, NULL), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(rt_processor_grid(&p, 10, 10, 0, &grid, NULL), TS_STATUS_INVALID_ARGUMENT);
    p.min_pixels = p.max_pixels + 1;
    assert_int_equal(rt_processor_grid(&p, 10, 10, 1, &grid, NULL), TS_STATUS_INVALID_ARGUMENT);
    p = rt_processor_defaults();
    p.do_resize = false;
    assert_int_equal(rt_processor_grid(&p, 56, 57, 1, &grid, NULL), TS_STATUS_INVALID_ARGUMENT);
    assert_int_equal(rt_processor_grid(&p, 56, 84, 1, &grid, NULL), TS_STATUS_OK);
    assert_int_equal(grid.h, 6);
}

/* ---- layout ---- */

/* A picture that needs no resizing, whose colours tell patch, place and frame. */
static rt_image marked(int32_t patches_w, int32_t patches_h, int frame) {
    rt_image image = {0};
    assert_int_equal(rt_image_allocate(14 * patches_w, 14 * patches_h, &image, NULL), TS_STATUS_OK);
    for (int32_t y = 0; y < image.height; y++) {
        for (int32_t x = 0; x < image.width; x++) {
            uint8_t *p = image.pixels + 3 * ((size_t)y * (size_t)image.width + (size_t)x);
            p[0] = (uint8_t)(16 * (y / 14) + x / 14);
            p[1] = (uint8_t)(14 * (y % 14) + x % 14);
            p[2] = (uint8_t)frame;
        }
    }
    return image;
}

/* The row of every patch, with its values as bytes. */
static void check_layout(const float *rows, rt_grid grid, const int *frames) {
    for (int32_t t = 0; t < grid.t; t++) {
        for (int32_t y = 0; y < grid.h; y++) {
            for (int32_t x = 0; x < grid.w; x++) {
                int32_t block = y / 2 * (grid.w / 2) + x / 2;
                int32_t row = t * grid.h * grid.w + 4 * block + 2 * (y % 2) + x % 2;
                for (int i = 0; i < 1176; i++) {
                    int c = i / 392, tt = i / 196 % 2, py = i / 14 % 14, px = i % 14;
                    int want = c == 0 ? 16 * y + x : c == 1 ? 14 * py + px : frames[2 * t + tt];
                    if (rows[row * 1176 + i] != (float)want) fail_msg("row %d, value %d", row, i);
                }
            }
        }
    }
}

static void layout(void **state) {
    (void)state;
    static const int same[] = {9, 9}, three[] = {0, 1, 2, 2};
    rt_processor p = rt_processor_defaults();
    rt_grid grid;
    float rows[2 * 4 * 6 * 1176];
    p.do_rescale = p.do_normalize = false; /* the bytes as they are */
    rt_image one = marked(6, 4, 9);
    assert_int_equal(rt_processor_grid(&p, one.width, one.height, 1, &grid, NULL), TS_STATUS_OK);
    assert_int_equal(rt_processor_image(&p, grid, &one, pool, rows, NULL), TS_STATUS_OK);
    check_layout(rows, grid, same);
    rt_image_free(&one);

    rt_image frames[] = {marked(6, 4, 0), marked(6, 4, 1), marked(6, 4, 2)};
    assert_int_equal(rt_processor_grid(&p, 84, 56, 3, &grid, NULL), TS_STATUS_OK);
    assert_int_equal(grid.t, 2);
    assert_int_equal(rt_processor_frames(&p, grid, frames, 3, pool, rows, NULL), TS_STATUS_OK);
    check_layout(rows, grid, three);
    for (int i = 0; i < 3; i++) rt_image_free(&frames[i]);
}

/* ---- configuration ---- */

static const char *const CONFIGS[] = {"preprocessor_config.json", "processor_config.json", NULL};

static ts_status read_config(const char *name, const char *text, rt_processor *out, ts_err *err) {
    const char *folder = scratch_make();
    if (text) scratch_text(folder, name, text);
    ts_status status = rt_processor_read(folder, out, err);
    scratch_remove(folder, CONFIGS);
    return status;
}

static void config_forms(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        int64_t low, high;
    } cases[] = {
        {CONFIGS[0], NULL, 3136, 1003520},
        {CONFIGS[0], "{}", 3136, 1003520},
        {CONFIGS[0], "{\"min_pixels\":784,\"max_pixels\":12845056}", 784, 12845056},
        {CONFIGS[0], "{\"size\":{\"shortest_edge\":3200,\"longest_edge\":99999}}", 3200, 99999},
        {CONFIGS[0], "{\"size\":{\"min_pixels\":3300,\"max_pixels\":88888}}", 3300, 88888},
        {CONFIGS[0],
         "{\"max_pixels\":7000,\"min_pixels\":null,"
         "\"size\":{\"shortest_edge\":3200,\"longest_edge\":99999}}",
         3200, 7000},
        {CONFIGS[1], "{\"image_processor\":{\"max_pixels\":5000}}", 3136, 5000},
        {CONFIGS[1], "{\"processor_class\":\"Qwen2VLProcessor\"}", 3136, 1003520},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rt_processor p;
        ts_err err = {0};
        if (read_config(cases[i].name, cases[i].text, &p, &err) != TS_STATUS_OK)
            fail_msg("%s", err.message);
        assert_int_equal(p.min_pixels, cases[i].low);
        assert_int_equal(p.max_pixels, cases[i].high);
    }
    rt_processor p;
    assert_int_equal(read_config(CONFIGS[0],
                                 "{\"patch_size\":16,\"temporal_patch_size\":1,\"merge_size\":4,"
                                 "\"image_mean\":[0.5,0.25,0],\"image_std\":[1,2,0.5],"
                                 "\"rescale_factor\":0.5,\"do_normalize\":false}",
                                 &p, NULL),
                     TS_STATUS_OK);
    assert_int_equal(p.patch, 16);
    assert_int_equal(p.temporal, 1);
    assert_int_equal(p.merge, 4);
    assert_true(p.mean[1] == 0.25 && p.std[2] == 0.5 && p.rescale == 0.5);
    assert_true(p.do_rescale && !p.do_normalize);
    assert_int_equal(rt_processor_row_floats(&p), 3 * 16 * 16);
}

static void bad_configs(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{\"patch_size\":0}", "patch_size"},
        {"{\"temporal_patch_size\":9}", "temporal_patch_size"},
        {"{\"merge_size\":\"2\"}", "merge_size"},
        {"{\"min_pixels\":-1}", "min_pixels"},
        {"{\"size\":{\"longest_edge\":1.5}}", "longest_edge"},
        {"{\"image_mean\":[1,2]}", "image_mean"},
        {"{\"image_std\":[1,0,1]}", "image_std"},
        {"{\"resample\":2}", "resample"},
        {"{\"image_processor_type\":\"CLIPImageProcessor\"}", "image_processor_type"},
        {"{\"do_resize\":1}", "do_resize"},
        {"[]", "not a JSON object"},
        {"{", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rt_processor p;
        ts_err err = {0};
        assert_int_not_equal(read_config(CONFIGS[0], cases[i][0], &p, &err), TS_STATUS_OK);
        if (!strstr(err.message, cases[i][1]) || !strstr(err.message, CONFIGS[0]))
            fail_msg("%s: \"%s\"", cases[i][0], err.message);
    }
}

static int start_pool(void **state) {
    (void)state;
    return rt_pool_create(2, &pool, NULL) == TS_STATUS_OK ? 0 : -1;
}

static int stop_pool(void **state) {
    (void)state;
    rt_pool_destroy(pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(astronaut),    cmocka_unit_test(chelsea),
        cmocka_unit_test(china),        cmocka_unit_test(tiny_cases),
        cmocka_unit_test(worked_sizes), cmocka_unit_test(refused_sizes),
        cmocka_unit_test(layout),       cmocka_unit_test(config_forms),
        cmocka_unit_test(bad_configs),  cmocka_unit_test(no_pool),
    };
    return cmocka_run_group_tests(tests, start_pool, stop_pool);
}
