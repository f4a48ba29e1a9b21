/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of a memory cgroup, v1 and v2, as figures. Pure: buffers in, structs out. Internal to cgroup.c, apart so
 * that tests and fuzzers reach it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

/* Bits of CgroupStat.have. */
typedef enum CgroupStatField {
        CGROUP_STAT_ANON = 1 << 0,
        CGROUP_STAT_FILE = 1 << 1,                /* cache, shmem included */
        CGROUP_STAT_SHMEM = 1 << 2,               /* Linux 4.12 */
        CGROUP_STAT_KERNEL = 1 << 3,              /* v2, Linux 5.18 */
        CGROUP_STAT_KERNEL_STACK = 1 << 4,        /* v2, Linux 4.6 */
        CGROUP_STAT_PAGE_TABLES = 1 << 5,         /* v2, Linux 5.11 */
        CGROUP_STAT_PERCPU = 1 << 6,              /* v2, Linux 5.9 */
        CGROUP_STAT_SOCK = 1 << 7,                /* v2, Linux 4.5 */
        CGROUP_STAT_VMALLOC = 1 << 8,             /* v2, Linux 5.17 */
        CGROUP_STAT_SLAB_RECLAIMABLE = 1 << 9,    /* v2, Linux 4.6 */
        CGROUP_STAT_SLAB_UNRECLAIMABLE = 1 << 10, /* v2, Linux 4.6 */
        CGROUP_STAT_INACTIVE_FILE = 1 << 11,
        CGROUP_STAT_SWAP = 1 << 12,               /* v1 with swap accounting */
        CGROUP_STAT_LIMIT = 1 << 13,              /* v1: hierarchical_memory_limit */
        CGROUP_STAT_MEMSW_LIMIT = 1 << 14,        /* v1: hierarchical_memsw_limit */
        CGROUP_STAT_ACTIVE_FILE = 1 << 15,
} CgroupStatField;

typedef struct CgroupStat {
        uint32_t have;
        uint64_t anon, file, shmem;
        uint64_t kernel, kernel_stack, page_tables, percpu, sock, vmalloc, slab_reclaimable, slab_unreclaimable;
        uint64_t inactive_file, swap, limit, memsw_limit, active_file;
} CgroupStat;

/**
 * cgroup_stat_parse() - memory.stat; order and unknown keys do not matter
 * @version: 1 takes the total_ keys, which include the groups below as the limit does; 2 includes them anyway
 * @ret:     bytes; a value that is no number is absent
 * Source: Documentation/admin-guide/cgroup-v2.rst, "memory.stat"; cgroup-v1/memory.rst, 5.2
 */
void cgroup_stat_parse(const char *buf, size_t len, unsigned version, CgroupStat *ret);

/**
 * cgroup_stat_kernel() - kernel memory of a v2 group that reclaim cannot free
 * Return: false when the figures for it are missing.
 *
 * Since 5.18 "kernel" is the total without sock; before, the parts that are known are added up, which leaves out what
 * the kernel did not break down then. Reclaimable slab (dentries, inodes) goes before an OOM kill and is left out.
 */
bool cgroup_stat_kernel(const CgroupStat *s, uint64_t *ret_bytes);

/**
 * cgroup_key_parse() - one value of a flat-keyed file ("oom_kill 3")
 * Return: false when the key is not there or its value is no number.
 */
bool cgroup_key_parse(const char *buf, size_t len, const char *key, uint64_t *ret);

/* cgroup_limit_parse() - "max\n" gives 0 (none), a number itself, and a v1 "unlimited" 0. Return: false: neither. */
bool cgroup_limit_parse(const char *buf, size_t len, uint64_t *ret);

/* cgroup_pressure_parse() - avg10 of "some" and "full" (Linux 4.20). Units: 0..1. Return: false if one misses. */
bool cgroup_pressure_parse(const char *buf, size_t len, double *ret_some, double *ret_full);

/**
 * cgroup_path_parse() - the line of one hierarchy in /proc/PID/cgroup
 * @text:       NUL-terminated, hostile (group names are arbitrary bytes but newline and '/')
 * @controller: "memory" or "name=systemd" for v1, "" for the unified hierarchy ("0::")
 * @ret:        without leading slashes and "../"; "" is the root. Shape: PATH_MAX bytes. Untouched on failure
 * @ret_mount:  the line's list of controllers ("cpu,memory"), which names the directory where they are mounted. Shape:
 *              NAME_MAX + 1 bytes; may be NULL
 * Return: 0; -ENOENT: no such line; -EBADMSG: too long, or with ".." inside.
 */
int cgroup_path_parse(const char *text, const char *controller, char *ret, char *ret_mount) _must_check_;
