/* SPDX-License-Identifier: Apache-2.0
 *
 * Another process' memory read forwards, in large blocks: one system call for each 256 KiB instead of one for each
 * chunk of its heap. The block is small enough to stay in the second-level cache, which is what makes a gigabyte cost a
 * tenth of a second (a block of 16 KiB or of 4 MiB is slower). What is read is hostile and may change while it is read.
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
        uint64_t n_reads, n_bytes; /* what it cost */
} Window;

/* window_init() - @read: a remote process, or a test's or fuzzer's memory. Return: 0; -ENOMEM. */
int window_init(Window *w, WindowReadFn read, void *userdata) _must_check_;
void window_done(Window *w);

/**
 * window_get() - @n bytes at @addr
 * @n: at most WINDOW_BYTES / 2
 * Return: where they are, until the next call; NULL: not mapped there, or not readable.
 */
const void *window_get(Window *w, uint64_t addr, size_t n);

/* window_peek() - the same for what lies anywhere: reads @n bytes, and not what comes behind them. */
const void *window_peek(Window *w, uint64_t addr, size_t n);

/* window_u64() - one word, that lies anywhere. Return: false: not readable; then @ret is untouched. */
bool window_u64(Window *w, uint64_t addr, uint64_t *ret) _must_check_;

/* window_forget() - what comes next is read anew. */
void window_forget(Window *w);
