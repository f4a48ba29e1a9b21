/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pages of another process are in memory: /proc/PID/pagemap, asked for stretches by PAGEMAP_SCAN where there is
 * one (Linux 6.7), else read, of which only the two top bits are used (present, swapped), so that no capability is
 * needed beyond ptrace access (page numbers are hidden without CAP_SYS_ADMIN since Linux 4.2, those bits are not).
 * Neither stops the process nor brings anything into memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define PAGES_PAGE 4096u
#define PAGES_RUNS 256 /* of pages alike, in one answer */

/* As the kernel fills them in (struct page_region, include/uapi/linux/fs.h). */
typedef struct PageRun {
        uint64_t start, end, categories;
} PageRun;

/* What one question told: runs that are there or swapped out; what lies between them is absent. */
typedef struct PageStretch {
        uint64_t start, end;
        size_t n;
        PageRun run[PAGES_RUNS];
} PageStretch;

typedef struct Pages {
        int fd;            /* /proc/PID/pagemap; -1: not known, nothing is counted */
        bool no_scan;      /* this kernel has no PAGEMAP_SCAN */
        unsigned newest;   /* of the two that are held: a walk reads ahead and counts behind */
        PageStretch *held; /* Owner: the Pages; Shape: 2 */
        uint64_t *entries; /* Owner: the Pages; only where there is no PAGEMAP_SCAN */
        uint64_t n_reads;
} Pages;

#define PAGES_NULL ((Pages){.fd = -1})

/* pages_open() - of the process at @proc_pid_fd. Return: 0; negative errno. */
int pages_open(Pages *p, int proc_pid_fd) _must_check_;
void pages_done(Pages *p);
/* pages_forget() - what comes next is asked for anew: what was absent may be there by now. */
void pages_forget(Pages *p);

/* A page that is only the shared zero page is ABSENT: it reads as zero, and does not count in RSS. Without
 * PAGEMAP_SCAN it cannot be told from others, and is PRESENT. */
typedef enum PageState { PAGE_ABSENT, PAGE_PRESENT, PAGE_SWAPPED } PageState;

/**
 * pages_run() - what the page that holds @addr is, and all up to @ret_end
 * @ret_end: beyond @addr; what comes behind may be of the same state
 * Return: 0; negative errno: not known.
 */
int pages_run(Pages *p, uint64_t addr, PageState *ret, uint64_t *ret_end) _must_check_;

/* pages_count() - of the whole pages in [start, end). @ret_present, @ret_swapped: bytes, added to. Return: 0; negative
 * errno: not known. */
int pages_count(Pages *p, uint64_t start, uint64_t end, uint64_t *ret_present, uint64_t *ret_swapped);
