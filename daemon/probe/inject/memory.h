/* SPDX-License-Identifier: Apache-2.0
 *
 * Something that can be read at addresses: a live process, or bytes that a test made up. What is read is hostile and
 * may change while it is read; so every reader of tables in it draws on one budget, after which nothing is given any
 * more.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* As many bytes as are there from @addr on. Return: bytes, > 0; negative errno when none. */
typedef ssize_t (*MemoryReadFn)(void *userdata, uint64_t addr, void *buf, size_t n);

/* Many pieces of the same size at once: @each bytes from every @addr, one behind the other. Return: how many could be
 * read, from the first on, before one that could not. */
typedef size_t (*MemoryGatherFn)(void *userdata, const uint64_t *addr, size_t n, void *buf, size_t each);

typedef struct Memory {
        MemoryReadFn read;
        void *userdata;
        uint32_t reads_left; /* calls of .read */
        uint64_t bytes_left;
} Memory;

/* A read takes some 0.7 us and 0.1 us/KiB: together at most half a second. A browser's 500 libraries need 1/20 of it.
 */
#define MEMORY_READS_MAX 200000u
#define MEMORY_BYTES_MAX (256ull << 20)

/* memory_of_process() - by process_vm_readv (inject/remote.h) */
Memory memory_of_process(pid_t pid);

/* memory_read() - exactly @n bytes. Return: 0; -EFAULT: any of it is not there; -ETIME: budget spent; other negative
 * errno. */
int memory_read(Memory *m, uint64_t addr, void *buf, size_t n) _must_check_;
/* memory_read_some() - as MemoryReadFn, within the budget. */
ssize_t memory_read_some(Memory *m, uint64_t addr, void *buf, size_t n) _must_check_;
/* memory_read_string() - up to the NUL or @size - 1 bytes; always terminated. Return: its length; negative errno. */
ssize_t memory_read_string(Memory *m, uint64_t addr, char *buf, size_t size) _must_check_;
