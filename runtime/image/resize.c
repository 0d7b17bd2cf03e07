/* Bicubic resampling as Pillow does it, bit for bit, over the rows of a thread pool.
 *
 * An axis is a list of weights a destination pixel, made in double precision, rounded to fixed
 * point with 22 fractional bits: 8 bits of sample, 22 of weight and one for overshoot just fit into
 * 32. The first pass goes along the rows into a picture of 8 bits, the second one down its columns.
 * The inner loops are plain C that the compiler vectorises, built for AVX2 beside the baseline.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

enum { FRACTION_BITS = 22, HALF = 1 << (FRACTION_BITS - 1) };

/* The compiler picks the clone when the library is loaded. A sanitizer's run time is not ready by
 * then. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__clang__)
#define VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define VECTOR_CLONES
#endif

/* Source pixels first[x] .. first[x] + count[x] - 1 make destination pixel x. */
typedef struct axis {
    int32_t *first, *count;
    int32_t *weights; /* [out][taps] */
    int32_t taps;     /* most weights of a pixel */
} axis;

/* Keys' cubic with a = -0.5. */
static double cubic(double t) {
    const double a = -0.5;
    t = fabs(t);
    if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
    return 0;
}

static void axis_free(axis *a) {
    free(a->first);
    free(a->count);
    free(a->weights);
}

/* `real` has room for the taps of one pixel. */
static void fill_axis(axis *a, int32_t in, int32_t out, double *real) {
    double scale = (double)in / out;
    double stretch = scale > 1 ? scale : 1; /* shrinking widens the filter: antialiasing */
    double support = 2 * stretch, per_stretch = 1 / stretch;
    for (int32_t x = 0; x < out; x++) {
        double centre = (x + 0.5) * scale, sum = 0;
        int32_t low = (int32_t)(centre - support + 0.5), high = (int32_t)(centre + support + 0.5);
        if (low < 0) low = 0;
        if (high > in) high = in;
        for (int32_t i = low; i < high; i++) {
            real[i - low] = cubic((i - centre + 0.5) * per_stretch);
            sum += real[i - low];
        }
        a->first[x] = low;
        a->count[x] = high - low;
        int32_t *weights = a->weights + (size_t)x * (size_t)a->taps;
        for (int32_t i = 0; i < high - low; i++) {
            double weight = sum != 0 ? real[i] / sum : real[i];
            weights[i] = (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << FRACTION_BITS));
        }
    }
}

static ts_status make_axis(int32_t in, int32_t out, axis *a, ts_err *err) {
    double stretch = in > out ? (double)in / out : 1;
    size_t length = (size_t)out;
    a->taps = (int32_t)ceil(2 * stretch) * 2 + 1;
    double *real = malloc((size_t)a->taps * sizeof *real);
    a->first = malloc(length * sizeof *a->first);
    a->count = malloc(length * sizeof *a->count);
    a->weights = calloc(length * (size_t)a->taps, sizeof *a->weights);
    bool good = real && a->first && a->count && a->weights;
    if (good) fill_axis(a, in, out, real);
    free(real);
    return good ? TS_STATUS_OK
                : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "resampling weights of %d to %d pixels", in,
                          out);
}

static inline uint8_t to_byte(int32_t sum) {
    int32_t value = sum >> FRACTION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* GCC's vectors: one pixel and the byte behind it, in a word each. */
typedef int32_t four_words __attribute__((vector_size(16)));
typedef uint8_t four_bytes __attribute__((vector_size(4)));

/* One row. The fourth sum of a pixel is of no use. */
VECTOR_CLONES
static void resample_row(const axis *a, const uint8_t *from, int32_t out, uint8_t *to) {
    for (int32_t x = 0; x < out; x++, to += 3) {
        const uint8_t *pixel = from + 3 * (size_t)a->first[x];
        const int32_t *weights = a->weights + (size_t)x * (size_t)a->taps;
        four_words sums = {HALF, HALF, HALF, HALF};
        for (int32_t i = 0; i < a->count[x]; i++, pixel += 3) {
            four_bytes samples;
            memcpy(&samples, pixel, sizeof samples);
            sums += __builtin_convertvector(samples, four_words) * weights[i];
        }
        for (int c = 0; c < 3; c++) to[c] = to_byte(sums[c]);
    }
}

/* So many columns at a time that their sums stay in registers. */
enum { COLUMNS = 64 };

__attribute__((always_inline)) static inline void resample_columns(const uint8_t *from,
                                                                   size_t stride,
                                                                   const int32_t *weights,
                                                                   int32_t count, size_t columns,
                                                                   uint8_t *to) {
    int32_t sums[COLUMNS];
    for (size_t x = 0; x < columns; x++) sums[x] = HALF;
    for (int32_t i = 0; i < count; i++, from += stride) {
        for (size_t x = 0; x < columns; x++) sums[x] += from[x] * weights[i];
    }
    for (size_t x = 0; x < columns; x++) to[x] = to_byte(sums[x]);
}

/* One destination row from `count` source rows of `bytes`. */
VECTOR_CLONES
static void resample_down(const uint8_t *from, size_t bytes, const int32_t *weights, int32_t count,
                          uint8_t *to) {
    size_t x = 0;
    for (; x + COLUMNS <= bytes; x += COLUMNS)
        resample_columns(from + x, bytes, weights, count, COLUMNS, to + x);
    resample_columns(from + x, bytes, weights, count, bytes - x, to + x);
}

typedef struct pass {
    const rt_image *from, *to;
    axis axis;
} pass;

static void across(void *context, int worker, uint64_t begin, uint64_t end) {
    const pass *p = context;
    (void)worker;
    for (uint64_t y = begin; y < end; y++)
        resample_row(&p->axis, p->from->pixels + y * 3 * (size_t)p->from->width, p->to->width,
                     p->to->pixels + y * 3 * (size_t)p->to->width);
}

static void down(void *context, int worker, uint64_t begin, uint64_t end) {
    const pass *p = context;
    size_t bytes = 3 * (size_t)p->from->width;
    (void)worker;
    for (uint64_t y = begin; y < end; y++)
        resample_down(p->from->pixels + (size_t)p->axis.first[y] * bytes, bytes,
                      p->axis.weights + y * (size_t)p->axis.taps, p->axis.count[y],
                      p->to->pixels + y * bytes);
}

static ts_status run_pass(const rt_image *from, int32_t width, int32_t height, rt_pool_work work,
                          rt_pool *pool, rt_image *to, ts_err *err) {
    pass p = {.from = from, .to = to};
    bool horizontal = work == across;
    ts_status status = make_axis(horizontal ? from->width : from->height,
                                 horizontal ? width : height, &p.axis, err);
    if (status == TS_STATUS_OK) status = rt_image_allocate(width, height, to, err);
    if (status == TS_STATUS_OK) status = rt_pool_run(pool, (uint64_t)height, 0, work, &p, err);
    axis_free(&p.axis);
    return status;
}

static ts_status copy(const rt_image *image, rt_image *out, ts_err *err) {
    TS_TRY(rt_image_allocate(image->width, image->height, out, err));
    memcpy(out->pixels, image->pixels, 3 * (size_t)image->width * (size_t)image->height);
    return TS_STATUS_OK;
}

ts_status rt_image_resize(const rt_image *image, int32_t width, int32_t height, rt_pool *pool,
                          rt_image *out, ts_err *err) {
    rt_image narrowed = {0}, result = {0};
    const rt_image *source = image;
    ts_status status = TS_STATUS_OK;
    if (width == image->width && height == image->height) return copy(image, out, err);
    if (width != image->width) {
        status = run_pass(image, width, image->height, across, pool, &narrowed, err);
        source = &narrowed;
    }
    if (status == TS_STATUS_OK && height != image->height)
        status = run_pass(source, width, height, down, pool, &result, err);
    if (status != TS_STATUS_OK) {
        rt_image_free(&result);
    } else if (height != image->height) {
        *out = result;
    } else {
        *out = narrowed;
        narrowed = (rt_image){0};
    }
    rt_image_free(&narrowed);
    return status;
}
