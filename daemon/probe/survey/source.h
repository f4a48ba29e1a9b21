/* SPDX-License-Identifier: Apache-2.0
 *
 * What a survey reads from: the memory of a live process, only those pages of it that are in memory. A page that is not
 * there reads as zero without being touched (a read would map the zero page), one that is swapped out is never brought
 * back: it ends the read, and what lies behind is told as unread. A time limit ends everything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/inject/maps.h"
#include "probe/survey/pages.h"

typedef struct Source {
        pid_t pid;
        Pages *pages;           /* NULL or not open: every page is read as it is */
        uint64_t deadline_usec; /* CLOCK_MONOTONIC */
        bool *out_of_time;      /* set when it has passed */
        uint64_t n_calls, n_bytes, n_swapped;
} Source;

/* source_read() - a WindowReadFn; @userdata: a Source. Return: bytes; -EFAULT, -ETIME, other negative errno. */
ssize_t source_read(void *userdata, uint64_t addr, void *buf, size_t n);

/* source_gather() - a MemoryGatherFn: pieces that lie apart, by one system call for 64; the pages they begin in must be
 * in memory. */
size_t source_gather(void *userdata, const uint64_t *addr, size_t n, void *buf, size_t each);

typedef struct MappedSource {
        Source *source;
        const Maps *maps;
} MappedSource;

/* mapped_source_read() - as source_read() with a MappedSource, also of what is mapped from files: of those a page that
 * is not in memory is in the file, and not zero. */
ssize_t mapped_source_read(void *userdata, uint64_t addr, void *buf, size_t n);
