/* SPDX-License-Identifier: Apache-2.0
 *
 * A process' memory through a cache of fixed size: a census follows millions of pointers, and a system call each would
 * cost more than all the rest. Lines of 16 KiB because neighbours in a gc list were mostly made together and so lie
 * together. What is in the cache is as old as its fetch: whoever sees two things that do not fit drops both and reads
 * again. Knows no process: the bytes come from a function, so that a test or a fuzzer can be the target.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/inject/memory.h"

#define CACHE_LINE_BYTES 16384u
#define CACHE_WAYS       4u
#define CACHE_SETS       64u
#define CACHE_LINES      (CACHE_WAYS * CACHE_SETS) /* 4 MiB in all */

typedef struct CacheLine {
        uint64_t number;   /* address / CACHE_LINE_BYTES + 1; 0 = empty */
        uint32_t from, to; /* the part of it that was read */
        uint32_t used;     /* when last, by Cache.turn */
} CacheLine;

typedef struct Cache {
        MemoryReadFn read;
        MemoryGatherFn gather; /* NULL: piece by piece. Set after cache_init() */
        void *userdata;
        unsigned char *bytes; /* Owner: the Cache */
        CacheLine line[CACHE_LINES];
        uint32_t turn;
        uint32_t last; /* the line that was used last: mostly the next one too */
        uint64_t n_fetches, fetched_bytes;
} Cache;

#define CACHE_NULL ((Cache){0})

/* cache_init() - Return: 0 or -ENOMEM. The cache's pages are taken as they are used. */
int cache_init(Cache *m, MemoryReadFn read, void *userdata) _must_check_;
void cache_done(Cache *m);

/* cache_read() - exactly @n bytes, from the cache where they are in it. Return: false if any cannot be read. */
bool cache_read(Cache *m, uint64_t addr, void *buf, size_t n) _must_check_;
/* cache_gather() - pieces from the process as it is now, past the cache, as MemoryGatherFn. */
size_t cache_gather(const Cache *m, const uint64_t *addr, size_t n, void *buf, size_t each) _must_check_;
/* cache_word() - 8 bytes. */
bool cache_word(Cache *m, uint64_t addr, uint64_t *ret) _must_check_;
/* cache_fresh() - as cache_read(), but from the process as it is now. */
bool cache_fresh(Cache *m, uint64_t addr, void *buf, size_t n) _must_check_;
/* cache_forget() - empties the cache. */
void cache_forget(Cache *m);

/**
 * cache_string() - a NUL-terminated string
 * Return: its length; -EFAULT: not readable; -E2BIG: not ended after @size - 1 bytes, which are in @buf, terminated.
 */
ssize_t cache_string(Cache *m, uint64_t addr, char *buf, size_t size) _must_check_;
