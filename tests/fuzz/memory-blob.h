/* SPDX-License-Identifier: Apache-2.0
 *
 * The input as the memory of a hostile process: over and over again from BLOB_BASE on, so that whatever leads anywhere
 * within leads to bytes of it.
 */
#pragma once

#include <stdint.h>

#include "util/cleanup.h"

#define BLOB_BASE UINT64_C(0x10000000)
#define BLOB_SPAN UINT64_C(0x40000000)

typedef struct Blob {
        const uint8_t *data;
        size_t size;
} Blob;

/* A MemoryReadFn; @userdata: a Blob. */
static inline ssize_t blob_read(void *userdata, uint64_t addr, void *buf, size_t n) {
        const Blob *b = userdata;

        if (addr < BLOB_BASE || addr - BLOB_BASE >= BLOB_SPAN || b->size == 0)
                return -EFAULT;
        n = min_of(n, (size_t)(BLOB_BASE + BLOB_SPAN - addr));
        for (size_t i = 0; i < n; i++)
                ((uint8_t *)buf)[i] = b->data[(addr - BLOB_BASE + i) % b->size];
        return (ssize_t)n;
}
