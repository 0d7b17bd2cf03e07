/* The prompts of qwen2vl-tiny's fixture, with what the reference makes of them. */
#ifndef TESTS_MODEL_QWEN2VL_CASES_H
#define TESTS_MODEL_QWEN2VL_CASES_H

#include "mamba.h"

#define QWEN_TINY "tests/fixtures/qwen2vl-tiny"

static rt_tensors *expected; /* opened by the test */

/* A case of the fixture. */
typedef struct prompt {
    const char *name;
    const int32_t *ids, *greedy;
    size_t count;
    const float *logits;
    ts_medium media[2];
    size_t media_count;
    const float *features; /* NULL: the fixture has none of this case */
    size_t feature_rows;
} prompt;

static inline const rt_tensor *find(const char *name, const char *what, bool needed) {
    char text[64];
    snprintf(text, sizeof text, "%s.%s", name, what);
    const rt_tensor *tensor = rt_tensors_find(expected, text);
    if (!tensor && needed) fail_msg("tensor %s is missing", text);
    return tensor;
}

static inline prompt read_case(const char *name) {
    const rt_tensor *ids = find(name, "input_ids", true);
    prompt p = {.name = name, .ids = ids->data, .count = ids->count};
    bool video = strcmp(name, "video") == 0;
    p.logits = find(name, "logits", true)->data;
    p.greedy = find(name, "greedy", true)->data;
    const rt_tensor *features = find(name, "image_features", false),
                    *grid = find(name, video ? "video_grid_thw" : "image_grid_thw", false);
    if (features) p.features = features->data, p.feature_rows = (size_t)features->shape[0];
    if (!grid) return p;
    const float *rows = find(name, video ? "pixel_values_videos" : "pixel_values", true)->data;
    const int32_t *thw = grid->data;
    for (; p.media_count < (size_t)grid->shape[0]; p.media_count++, thw += 3) {
        p.media[p.media_count] = (ts_medium){
            .t = thw[0], .h = thw[1], .w = thw[2], .video = video, .rows = rows};
        rows += (size_t)thw[0] * (size_t)thw[1] * (size_t)thw[2] * 1176;
    }
    return p;
}

static const char *const names[] = {"text", "image", "two_images", "video"};

#define EACH_CASE(p)                                                      \
    for (size_t case_ = 0; case_ < sizeof names / sizeof *names; case_++) \
        for (prompt p = read_case(names[case_]); p.name; p.name = NULL)

#endif
