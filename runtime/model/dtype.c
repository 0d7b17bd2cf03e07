/* fp32, fp16 and bf16 on the host, in plain integer arithmetic that compilers turn into vector
 * code: no half type or F16C needed. Files may hold unaligned data, so elements move by memcpy.
 */
#include "dtype.h"

#include <string.h>

static const struct {
    const char *name, *torch;
    size_t bytes;
} formats[] = {
    [TS_DTYPE_AUTO] = {"auto", "auto", 0},
    [TS_DTYPE_FP32] = {"fp32", "float32", 4},
    [TS_DTYPE_FP16] = {"fp16", "float16", 2},
    [TS_DTYPE_BF16] = {"bf16", "bfloat16", 2},
};

const char *ts_dtype_name(ts_dtype dtype) { return formats[dtype].name; }

size_t rt_dtype_bytes(ts_dtype dtype) { return formats[dtype].bytes; }

bool rt_dtype_parse(const char *text, ts_dtype *out) {
    if (strncmp(text, "torch.", 6) == 0) text += 6;
    for (ts_dtype dtype = TS_DTYPE_FP32; dtype <= TS_DTYPE_BF16; dtype++) {
        if (strcmp(text, formats[dtype].name) == 0 || strcmp(text, formats[dtype].torch) == 0) {
            *out = dtype;
            return true;
        }
    }
    return false;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_half(uint16_t half) {
    uint32_t magnitude = (half & 0x7FFFu) << 13, sign = (half & 0x8000u) << 16;
    /* Moves the exponent bias from 15 to 127; exact for subnormals too. */
    uint32_t bits = bits_of(float_of(magnitude) * 0x1p112f);
    if ((half & 0x7C00u) == 0x7C00u) bits = magnitude | 0x7F800000u;
    return float_of(bits | sign);
}

static uint16_t to_half(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u, half;
    bits &= 0x7FFFFFFFu;
    if (bits >= 0x47800000u) { /* 65536 and up, infinity, NaN */
        half = bits > 0x7F800000u ? 0x7E00u : 0x7C00u;
    } else if (bits <
               0x38800000u) { /* below 2^-14: adding 0.5 lets the FPU round at fp16's last place */
        half = bits_of(float_of(bits) + 0.5f) - bits_of(0.5f);
    } else { /* bias from 127 to 15, round half to even on the 13 bits that go; may carry into infinity */
        half = (bits - (112u << 23) + 0xFFFu + (bits >> 13 & 1u)) >> 13;
    }
    return (uint16_t)(half | sign);
}

static uint16_t to_bfloat(float value) {
    uint32_t bits = bits_of(value);
    uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    return (uint16_t)(is_nan ? bits >> 16 | 0x40u : rounded); /* keep a NaN a NaN */
}

/* A fixed count, without a branch: the compiler makes vectors of it. Images are millions of these. */
enum { BLOCK = 16 };

static void to_bfloats(const float *restrict source, unsigned char *restrict out) {
    uint16_t halves[BLOCK];
    for (int i = 0; i < BLOCK; i++) halves[i] = to_bfloat(source[i]);
    memcpy(out, halves, sizeof halves);
}

void rt_to_fp32(ts_dtype from, const void *source, size_t count, float *out) {
    const unsigned char *bytes = source;
    if (from == TS_DTYPE_FP32) {
        memcpy(out, source, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        out[i] = from == TS_DTYPE_FP16 ? from_half(half) : float_of((uint32_t)half << 16);
    }
}

void rt_from_fp32(ts_dtype to, const float *source, size_t count, void *out) {
    unsigned char *bytes = out;
    if (to == TS_DTYPE_FP32) {
        memcpy(out, source, count * sizeof *source);
        return;
    }
    size_t i = 0;
    if (to == TS_DTYPE_BF16)
        for (; i + BLOCK <= count; i += BLOCK) to_bfloats(source + i, bytes + 2 * i);
    for (; i < count; i++) {
        uint16_t half = to == TS_DTYPE_FP16 ? to_half(source[i]) : to_bfloat(source[i]);
        memcpy(bytes + 2 * i, &half, sizeof half);
    }
}

void rt_round_to(ts_dtype dtype, float *values, size_t count) {
    if (dtype == TS_DTYPE_FP32) return;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        rt_from_fp32(dtype, &values[i], 1, &half);
        rt_to_fp32(dtype, &half, 1, &values[i]);
    }
}
