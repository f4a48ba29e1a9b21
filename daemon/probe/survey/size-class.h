/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes of chunks in classes fine enough to tell a leak by its size: each multiple of 16 of its own below 1 KiB (glibc
 * has no others), above it eight to a doubling, up to 16 GiB.
 */
#pragma once

#include <stdint.h>

#define SIZE_CLASSES 256

typedef struct SizeClass {
        uint64_t n_used, used_bytes, n_free, free_bytes;
} SizeClass;

/* size_class() - Return: 0 .. SIZE_CLASSES - 1. */
static inline unsigned size_class(uint64_t bytes) {
        unsigned e, i;

        if (bytes < 1024)
                return (unsigned)(bytes / 16);
        e = 63u - (unsigned)__builtin_clzll(bytes);
        i = 64 + (e - 10) * 8 + (unsigned)(bytes >> (e - 3) & 7);
        return i < SIZE_CLASSES ? i : SIZE_CLASSES - 1;
}

/* size_class_start() - the least size in class @i. */
static inline uint64_t size_class_start(unsigned i) {
        return i < 64 ? i * 16ULL : (8ULL + (i - 64) % 8) << ((i - 64) / 8 + 7);
}

/* size_class_end() - the largest one. */
static inline uint64_t size_class_end(unsigned i) {
        return size_class_start(i + 1) - 16;
}
