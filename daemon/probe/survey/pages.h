/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pages of another process are in memory: /proc/PID/pagemap, of which only the two top bits are read (present,
 * swapped), so that no capability is needed beyond ptrace access (page numbers are hidden without CAP_SYS_ADMIN since
 * Linux 4.2, those bits are not). Reading it neither stops the process nor brings anything into memory.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define PAGES_PAGE 4096u

typedef struct Pages {
        int fd;            /* /proc/PID/pagemap; -1: not known, nothing is counted */
        uint64_t *entries; /* Owner: the Pages */
        uint64_t first, n; /* what of it is held: page numbers */
        uint64_t n_reads;
} Pages;

#define PAGES_NULL ((Pages){.fd = -1})

/* pages_open() - of the process at @proc_pid_fd. Return: 0; negative errno. */
int pages_open(Pages *p, int proc_pid_fd) _must_check_;
void pages_done(Pages *p);

typedef enum PageState { PAGE_ABSENT, PAGE_PRESENT, PAGE_SWAPPED } PageState;

/* pages_state() - of the page that holds @addr. Return: 0; negative errno: not known. */
int pages_state(Pages *p, uint64_t addr, PageState *ret) _must_check_;

/* pages_count() - of the whole pages in [start, end). @ret_present, @ret_swapped: bytes, added to. Return: 0; negative
 * errno: not known. Asked for in rising order it reads each entry once. */
int pages_count(Pages *p, uint64_t start, uint64_t end, uint64_t *ret_present, uint64_t *ret_swapped);
