/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/smaps_rollup (Linux 4.14) as figures. Only the parser: the file needs ptrace-read access and walks the page
 * tables under the target's mmap lock, so the probe reads it, on a time budget, and hands the struct on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define SMAPS_ROLLUP_MAX 2048 /* bytes; the file is about 700 bytes up to Linux 6.18 */

typedef struct SmapsRollup {
        uint64_t time_usec; /* CLOCK_BOOTTIME; 0 = never read. Set by the reader */
        uint64_t rss_bytes, pss_bytes;
        uint64_t pss_anon_bytes, pss_file_bytes, pss_shmem_bytes; /* only when has_pss_kind */
        uint64_t private_clean_bytes, private_dirty_bytes, shared_clean_bytes, shared_dirty_bytes;
        uint64_t anonymous_bytes, anon_huge_bytes, swap_bytes, swap_pss_bytes, locked_bytes;
        uint64_t cost_usec; /* what the read took: its own price. Set by the reader */
        bool has_pss_kind;  /* Pss_Anon, Pss_File and Pss_Shmem are there (Linux 5.4) */
} SmapsRollup;

#define SMAPS_ROLLUP_NULL ((SmapsRollup){0})

/**
 * smaps_parse() - smaps_rollup's text to figures
 * @buf: @len bytes, hostile; needs no NUL
 * @ret: time_usec and cost_usec are 0. Untouched on failure
 * Return: 0; -EBADMSG: cut short, a figure missing or none (a process without memory, i.e. a zombie, reads as empty).
 * Source: Documentation/filesystems/proc.rst, "smaps_rollup". Test: tests/unit/test-smaps.c
 */
int smaps_parse(const char *buf, size_t len, SmapsRollup *ret) _must_check_;
