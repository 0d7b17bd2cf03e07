/* What the tests of a loaded model share: the engine (TUNESMITH_TEST_DB, TUNESMITH_TEST_DEVICE),
 * sessions, and comparison of logits.
 */
#ifndef TESTS_MODEL_MAMBA_H
#define TESTS_MODEL_MAMBA_H

#include <math.h>

#include "files.h"
#include "runtime/tunesmith.h"

#define TINY "tests/fixtures/mamba-tiny"
#define SHAKESPEARE "tests/fixtures/mamba-shakespeare"

static ts_engine *engine;

static inline const char *test_device(void) {
    const char *name = getenv("TUNESMITH_TEST_DEVICE");
    return name ? name : "cpu";
}

/* The bound on a logit's error at fp32: the order of sums differs more on a GPU. */
static inline double fp32_bound(void) { return strcmp(test_device(), "cpu") == 0 ? 1e-4 : 2e-4; }

static inline ts_engine *engine_open(void) {
    const char *database = getenv("TUNESMITH_TEST_DB");
    ts_engine_options options = ts_engine_defaults();
    ts_engine *opened = NULL;
    ts_err err = {0};
    options.device = test_device();
    options.database = database ? database : "build/test.db";
    if (ts_engine_open(&options, &opened, &err) != TS_STATUS_OK) {
        fprintf(stderr, "%s (make the test database with build/tune, see tests/run)\n",
                err.message);
    }
    return opened;
}

static inline ts_model *model_load(const char *dir, ts_dtype dtype) {
    ts_model *model = NULL;
    ts_err err = {0};
    if (ts_model_load(engine, dir, dtype, &model, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    return model;
}

static inline ts_session *session_make(ts_model *model, int32_t chunk, const ts_embeds *embeds) {
    ts_session_options options = ts_session_defaults();
    ts_session *session = NULL;
    ts_err err = {0};
    options.chunk = chunk;
    options.all_logits = true;
    options.embeds = embeds;
    if (ts_session_create(model, &options, &session, &err) != TS_STATUS_OK)
        fail_msg("%s", err.message);
    return session;
}

#define OK(call)                                                     \
    do {                                                             \
        ts_err ok_err_ = {0};                                        \
        ts_err *err = &ok_err_;                                      \
        if ((call) != TS_STATUS_OK) fail_msg("%s", ok_err_.message); \
    } while (0)

/* Largest difference; NaN anywhere is infinite. */
static inline double distance(const float *a, const float *b, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= largest)) largest = isnan(d) ? INFINITY : d;
    }
    return largest;
}

static inline void check_close(const char *what, const float *a, const float *b, size_t count,
                               double bound) {
    double d = distance(a, b, count);
    if (d > bound) fail_msg("%s: differs by %g, %g is allowed", what, d, bound);
}

/* What two ways of computing the same sequence may differ by: 1e-5 of a logit's size. The largest
 * logits here are near 40, where neighbouring floats are 4e-6 apart. On a GPU passes of other sizes
 * take kernels with other orders of sums. */
static inline double same_bound(void) { return strcmp(test_device(), "cpu") == 0 ? 1e-5 : 5e-5; }

static inline void check_same(const char *what, const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= same_bound() * fmax(1, fabs((double)b[i])))) {
            fail_msg("%s: value %zu is %.7g, not %.7g", what, i, (double)a[i], (double)b[i]);
        }
    }
}

#endif
