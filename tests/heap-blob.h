/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap of glibc made by hand, as bytes at addresses: what a survey reads, in any version's layout, and as broken as a
 * test wants it. The program's data (with main_arena) is one stretch, the brk heap another.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define BLOB_DATA_BASE 0x7f0000001000ULL
#define BLOB_HEAP_BASE 0x555500000000ULL
#define BLOB_DATA_SIZE 8192
#define BLOB_HEAP_SIZE (64 * 4096)
#define BLOB_STATE_AT  1056 /* main_arena in the data: 16-aligned, not at its start */

typedef struct HeapBlob {
        _Alignas(16) uint8_t data[BLOB_DATA_SIZE];
        _Alignas(16) uint8_t heap[BLOB_HEAP_SIZE];
        unsigned bins;              /* offset of bins[] in the state */
        uint64_t at;                /* where the next chunk goes, from the heap's start */
        uint64_t last_free, n_free; /* the unsorted bin's list */
        bool prev_used;
} HeapBlob;

static inline void blob_put(void *p, uint64_t v) {
        memcpy(p, &v, sizeof(v));
}

static inline uint64_t blob_state(void) {
        return BLOB_DATA_BASE + BLOB_STATE_AT;
}

/* An empty heap in the layout whose bins[] are at @bins. */
static inline void blob_init(HeapBlob *b, unsigned bins) {
        memset(b, 0, sizeof(*b));
        b->bins = bins;
        b->prev_used = true;
        for (unsigned i = 0; i < 127; i++) {
                uint64_t self = blob_state() + bins + i * 16 - 16;

                blob_put(b->data + BLOB_STATE_AT + bins + i * 16, self);
                blob_put(b->data + BLOB_STATE_AT + bins + i * 16 + 8, self);
        }
}

/* A chunk in use, or a free one, which goes to the unsorted bin. Return: its address. */
static inline uint64_t blob_chunk(HeapBlob *b, uint64_t size, bool used) {
        uint8_t *bins = b->data + BLOB_STATE_AT + b->bins, *p = b->heap + b->at;
        uint64_t addr = BLOB_HEAP_BASE + b->at, head = blob_state() + b->bins - 16;

        blob_put(p + 8, size | b->prev_used);
        if (!used) {
                blob_put(p + size, size); /* prev_size of the next */
                blob_put(p + 16, head);
                blob_put(p + 24, b->last_free ? b->last_free : head);
                if (b->last_free)
                        blob_put(b->heap + (b->last_free - BLOB_HEAP_BASE) + 16, addr);
                else
                        blob_put(bins, addr); /* fd of the head; bk is the last one */
                blob_put(bins + 8, addr);
                b->last_free = addr;
                b->n_free++;
        }
        b->prev_used = used;
        b->at += size;
        return addr;
}

/* Top takes the rest; system_mem and the ring as the layout has them (@system_mem, from bins[]; @attached: before it).
 */
static inline void blob_finish(HeapBlob *b, unsigned system_mem, bool attached) {
        uint8_t *bins = b->data + BLOB_STATE_AT + b->bins;

        blob_put(b->heap + b->at + 8, (BLOB_HEAP_SIZE - b->at) | b->prev_used);
        blob_put(bins - 16, BLOB_HEAP_BASE + b->at);
        blob_put(bins + 2048, blob_state()); /* next: the only arena */
        if (attached)
                blob_put(bins + system_mem - 8, 1);
        blob_put(bins + system_mem, BLOB_HEAP_SIZE);
        blob_put(bins + system_mem + 8, BLOB_HEAP_SIZE);
}

/* A WindowReadFn. */
static inline ssize_t blob_read(void *userdata, uint64_t addr, void *buf, size_t n) {
        const HeapBlob *b = userdata;
        const uint8_t *from = NULL;
        uint64_t off = 0, size = 0;

        if (addr - BLOB_DATA_BASE < BLOB_DATA_SIZE) {
                from = b->data;
                off = addr - BLOB_DATA_BASE;
                size = BLOB_DATA_SIZE;
        } else if (addr - BLOB_HEAP_BASE < BLOB_HEAP_SIZE) {
                from = b->heap;
                off = addr - BLOB_HEAP_BASE;
                size = BLOB_HEAP_SIZE;
        }
        if (!from)
                return -EFAULT;
        n = min_of(n, (size_t)(size - off));
        memcpy(buf, from + off, n);
        return (ssize_t)n;
}
