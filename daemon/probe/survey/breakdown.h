/* SPDX-License-Identifier: Apache-2.0
 *
 * Where RSS is: /proc/PID/smaps summed up by owner, so that every resident byte is on one line and the lines add up.
 * Reading it walks the page tables under the target's mmap lock, like smaps_rollup: for a look, not for every tick.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/inject/maps.h"
#include "probe/survey/pages.h"
#include "probe/survey/ranges.h"

#define BREAKDOWN_FILES_MAX 24 /* by RSS; the rest is summed up under no name */
#define BREAKDOWN_NAME_MAX  120

typedef struct Part {
        uint64_t size_bytes, rss_bytes, pss_bytes, private_bytes, swap_bytes;
        uint64_t huge_bytes;    /* of RSS: mapped by huge page table entries, anonymous (THP), shmem or file */
        uint64_t hugetlb_bytes; /* from the hugetlb pool: in no RSS, PSS or USS, and a counter of its own in cgroups */
        uint64_t n_maps;
        uint32_t kind;  /* PartKind */
        uint32_t split; /* 1: some of its maps are shared with other parts; pss, private, swap and huge are then shares
                         */
        char name[BREAKDOWN_NAME_MAX]; /* PART_FILES, PART_SHARED: its path; else "" */
} Part;

typedef struct Breakdown {
        Part *parts; /* Owner: the Breakdown */
        size_t n, max;
        Part whole; /* of all maps; split and name mean nothing */
} Breakdown;

/**
 * breakdown_read() - @anonymous: what private anonymous memory of nobody known is called (PART_ANONYMOUS, or
 * PART_ALLOCATOR where another allocator than glibc's is in charge)
 * Return: 0; -EACCES; -ESRCH; -ENOMEM; -EBADMSG: smaps has a form that is not known.
 */
int breakdown_read(int proc_pid_fd, const Ranges *known, Pages *pages, PartKind anonymous, Breakdown *ret) _must_check_;

/* breakdown_feed() - the text of smaps, in pieces that end at line breaks. Pure but for @pages; fuzzed. */
int breakdown_feed(Breakdown *b, char *text, size_t len, const Ranges *known, Pages *pages,
                   PartKind anonymous) _must_check_;

/* One map as it stands in smaps. @name: its path, of files and shared memory; else "". Valid during the call. Return: 0
 * to go on, else the reading ends with it. */
typedef int (*BreakdownMapFn)(void *userdata, const Map *map, PartKind kind, const char *name, const Part *sum);

/* breakdown_each() - every map by itself, in the order of addresses. @anonymous, Return: as breakdown_read(), or what
 * @fn returned. */
int breakdown_each(int proc_pid_fd, PartKind anonymous, BreakdownMapFn fn, void *userdata) _must_check_;

/* breakdown_sort() - by kind, within it by RSS; files beyond BREAKDOWN_FILES_MAX become one part without a name. */
void breakdown_sort(Breakdown *b);
void breakdown_done(Breakdown *b);
