/* SPDX-License-Identifier: Apache-2.0
 *
 * glibc's mp_ (struct malloc_par, malloc/malloc.c), where its thresholds are. It is a local symbol, so it is known by
 * its looks: among libc's writable data, the one place whose fields all are what they can be, the defaults that hardly
 * anybody changes among them. More than one such place, or none: not known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/inject/maps.h"

typedef struct MallocPar {
        uint64_t trim_threshold, top_pad, mmap_threshold, arena_test, arena_max; /* the same in all versions */
} MallocPar;

/* malloc_par_scan() - in @n bytes of libc's data. Return: the offset; -ENOENT; -ENOTUNIQ. Pure. */
ssize_t malloc_par_scan(const unsigned char *data, size_t n) _must_check_;

/* malloc_par_find() - its address in the target. @libc_start, @libc_end: libc's mapped span. Return: 0 when it is not
 * known. */
uint64_t malloc_par_find(pid_t pid, const Maps *maps, uint64_t libc_start, uint64_t libc_end);
