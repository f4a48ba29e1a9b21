/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers that are the same on every machine and in every run: a test names its seed and is as reproducible as
 * one with literal figures. splitmix64 (Steele, Lea, Flood 2014) for bits, Box and Muller 1958 for a normal
 * distribution.
 */
#pragma once

#include <math.h>
#include <stdint.h>

typedef struct Random {
        uint64_t state;
} Random;

static inline uint64_t random_bits(Random *r) {
        uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
}

/* random_unit() - uniform in [0, 1). */
static inline double random_unit(Random *r) {
        return (double)(random_bits(r) >> 11) / 9007199254740992.0;
}

/* random_normal() - mean 0, standard deviation 1. */
static inline double random_normal(Random *r) {
        double radius = sqrt(-2 * log(1 - random_unit(r)));

        return radius * cos(2 * M_PI * random_unit(r));
}
