/* SPDX-License-Identifier: Apache-2.0
 *
 * Another process' memory read forwards, in large blocks: one system call for each 256 KiB instead of one for each
 * chunk of its heap. The block is small enough to stay in the second-level cache, which is what makes a gigabyte cost a
 * tenth of a second. Where what is wanted next lies far behind the block, the following ones are small, and grow again
 * where it does not: a call costs as much as three pages do, so that a heap of large chunks is read by its headers
 * alone. Blocks end with a page, since the kernel takes hold of each page that is read a part of.
 * What is read is hostile and may change while it is read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define WINDOW_BYTES (256u * 1024)

/* Reads up to @n bytes at @addr into @buf. Return: bytes read; negative errno when none could be. */
typedef ssize_t (*WindowReadFn)(void *userdata, uint64_t addr, void *buf, size_t n);

typedef struct Window {
        WindowReadFn read;
        void *userdata;
        unsigned char *buf; /* Owner: the Window; WINDOW_BYTES */
        uint64_t base;
        size_t len;
        size_t ahead;              /* how much the next block of a walk is */
        uint64_t n_reads, n_bytes; /* what it cost */
} Window;

/* window_init() - @read: a remote process, or a test's or fuzzer's memory. Return: 0; -ENOMEM. */
int window_init(Window *w, WindowReadFn read, void *userdata) _must_check_;
void window_done(Window *w);

/* window_holds() - whether all @n bytes at @addr are in the block. */
static inline bool window_holds(const Window *w, uint64_t addr, size_t n) {
        return addr - w->base <= w->len && n <= w->len - (addr - w->base); /* below the base it wraps beyond any len */
}

/* window_fill() - what the next two do where the block has not got it; @walk: reads on behind it. */
const void *window_fill(Window *w, uint64_t addr, size_t n, bool walk);

/**
 * window_get() - @n bytes at @addr
 * @n: at most WINDOW_BYTES / 2
 * Return: where they are, until the next call; NULL: not mapped there, or not readable.
 */
static inline const void *window_get(Window *w, uint64_t addr, size_t n) {
        return window_holds(w, addr, n) ? w->buf + (addr - w->base) : window_fill(w, addr, n, true);
}

/* window_peek() - the same for what lies anywhere: reads @n bytes, and not what comes behind them. */
static inline const void *window_peek(Window *w, uint64_t addr, size_t n) {
        return window_holds(w, addr, n) ? w->buf + (addr - w->base) : window_fill(w, addr, n, false);
}

/* window_u64() - one word, that lies anywhere. Return: false: not readable; then @ret is untouched. */
bool window_u64(Window *w, uint64_t addr, uint64_t *ret) _must_check_;

/* window_forget() - what comes next is read anew. */
void window_forget(Window *w);
