/* Element formats and seeded inputs. No device, no case data: plain memory in, plain memory out.
 *
 * The generator is a hash of (seed, stream, index), so a tensor does not depend on how many others
 * were drawn before it, and one element can be drawn alone. */
#include "numeric.h"

#include <string.h>

#include "parallel.h"

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t to_bf16(float value) {
    uint32_t bits = float_bits(value);
    if (value != value) return 0x7fff;
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static uint16_t to_fp16(float value) {
    uint32_t bits = float_bits(value), sign = (bits >> 16) & 0x8000u,
             magnitude = bits & 0x7fffffffu;
    if (value != value) return 0x7fff;
    if (magnitude >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (magnitude < 0x38800000u) /* subnormal: adding 0.5 lets the float adder round to 2^-24 */
        return (uint16_t)(sign | (float_bits(bits_float(magnitude) + 0.5f) - 0x3f000000u));
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13));
}

static float from_fp16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = (uint32_t)(half & 0x7fffu) << 13;
    if ((half & 0x7c00u) == 0x7c00u) return bits_float(sign | 0x7f800000u | magnitude);
    return bits_float(sign | float_bits(bits_float(magnitude) * 0x1p112f));
}

void tuner_store_element(gen_dtype dtype, void *data, int64_t index, double value) {
    switch (dtype) {
    case GEN_FP32: ((float *)data)[index] = (float)value; return;
    case GEN_FP16: ((uint16_t *)data)[index] = to_fp16((float)value); return;
    case GEN_BF16: ((uint16_t *)data)[index] = to_bf16((float)value); return;
    case GEN_INT32: ((int32_t *)data)[index] = (int32_t)value; return;
    }
}

double tuner_load_element(gen_dtype dtype, const void *data, int64_t index) {
    switch (dtype) {
    case GEN_FP32: return (double)((const float *)data)[index];
    case GEN_FP16: return (double)from_fp16(((const uint16_t *)data)[index]);
    case GEN_BF16: return (double)bits_float((uint32_t)((const uint16_t *)data)[index] << 16);
    case GEN_INT32: return (double)((const int32_t *)data)[index];
    }
    return 0;
}

/* The greatest finite number and half of its last place more: there the tie goes to infinity. */
double tuner_overflow(gen_dtype dtype) {
    switch (dtype) {
    case GEN_FP32: return 0x1.ffffffp127;
    case GEN_FP16: return 65520;
    case GEN_BF16: return 0x1.ffp127;
    case GEN_INT32: break;
    }
    return __builtin_inf();
}

/* The finaliser of SplitMix64, twice: any single-bit change of seed, stream or index flips half the
 * bits. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t tuner_random_u64(uint64_t seed, uint64_t stream, uint64_t index) {
    return mix(mix(seed + 0x9e3779b97f4a7c15u * (stream + 1)) + 0x9e3779b97f4a7c15u * (index + 1));
}

double tuner_random_unit(uint64_t seed, uint64_t stream, uint64_t index) {
    return (double)(tuner_random_u64(seed, stream, index) >> 11) * 0x1p-53;
}

/* Sum of four uniform 16-bit pieces, scaled to variance 1: bell-shaped, within 3.47 standard
 * deviations, one hash an element and the same on every machine (no libm). Each piece is centred.
 */
static double random_normal(uint64_t seed, uint64_t stream, uint64_t index) {
    uint64_t bits = tuner_random_u64(seed, stream, index);
    int64_t sum = 0;
    for (int piece = 0; piece < 4; piece++) sum += (int64_t)((bits >> (16 * piece)) & 0xffff);
    return ((double)sum - 2 * 65535.0) * (1.7320508075688772 / 65536.0);
}

/* Element `index` of the numbers below `count`, each once: a step that shares no factor with count. */
static double scattered(uint64_t count, uint64_t index) {
    if (count < 2) return 0;
    uint64_t step = count * 5 / 8;
    for (uint64_t a = 0, b = 0; a != 1; step++) {
        a = step + 1, b = count;
        while (b) {
            uint64_t rest = a % b;
            a = b, b = rest;
        }
    }
    return (double)(index % count * step % count);
}

static double draw(const gen_tensor *t, uint64_t seed, uint64_t stream, bool longest,
                   int64_t element, double previous) {
    uint64_t index = (uint64_t)element;
    switch (t->init) {
    case GEN_INIT_NORMAL: return t->init_a + t->init_b * random_normal(seed, stream, index);
    case GEN_INIT_UNIFORM:
        return t->init_a + (t->init_b - t->init_a) * tuner_random_unit(seed, stream, index);
    case GEN_INIT_INDEX:
        return (double)(int64_t)(t->init_a * tuner_random_unit(seed, stream, index));
    case GEN_INIT_DISTINCT: return scattered((uint64_t)t->init_a, index);
    case GEN_INIT_OFFSETS: break;
    }
    if (element == 0) return 0;
    if (longest) return previous + t->init_a;
    /* One step in eight is empty: a sequence of length 0. */
    if (tuner_random_u64(seed, stream + 1000, index) % 8 == 0) return previous;
    return previous + (double)(int64_t)((t->init_a + 1) * tuner_random_unit(seed, stream, index));
}

typedef struct filling {
    const gen_tensor *tensor;
    uint64_t seed, stream;
    bool longest;
    void *data;
} filling;

static void fill_piece(void *context, int64_t begin, int64_t end) {
    const filling *f = context;
    const gen_tensor *t = f->tensor;
    double value = 0;
    tuner_cursor cursor = tuner_cursor_at(t, begin);
    for (int64_t i = begin; i < end; i++, tuner_cursor_next(t, &cursor)) {
        value = draw(t, f->seed, f->stream, f->longest, i, value);
        tuner_store_element(t->dtype, f->data, cursor.at, value);
    }
}

void tuner_fill_tensor(const gen_tensor *tensor, uint64_t seed, uint64_t stream, bool longest,
                       int threads, void *data) {
    filling f = {tensor, seed, stream, longest, data};
    int64_t count = tensor->rows * tensor->cols;
    bool chained = tensor->init == GEN_INIT_OFFSETS; /* each follows from the one before it */
    tuner_parallel(count, chained ? count + 1 : TUNER_GRAIN, threads, fill_piece, &f);
}
