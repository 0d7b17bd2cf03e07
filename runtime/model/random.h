/* Random numbers by counter: number n of a seed is a hash of (seed, n), the same wherever and in
 * whatever order it is asked for. */
#ifndef RUNTIME_MODEL_RANDOM_H
#define RUNTIME_MODEL_RANDOM_H

#include <stdint.h>

/* Uniform in [0, 1): SplitMix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, 2014) over seed and counter. */
static inline double rt_uniform(uint64_t seed, uint64_t counter) {
    uint64_t x = seed * 0xD1342543DE82EF95u + (counter + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

#endif
