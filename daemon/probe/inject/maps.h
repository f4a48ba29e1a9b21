/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot of /proc/PID/maps: sorted, as the kernel gives it. It is old the moment it is taken; whoever acts on it
 * checks again (a hole is taken with MAP_FIXED_NOREPLACE, a stack is read with calls that fail cleanly).
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define MAPS_MAX (1u << 20) /* vm.max_map_count is 65,530 by default; refuse beyond this many */

enum { MAP_R = 1 << 0, MAP_W = 1 << 1, MAP_X = 1 << 2, MAP_SHARED_BIT = 1 << 3 };

typedef struct Map {
        uint64_t start, end, offset, inode;
        uint32_t dev_major, dev_minor;
        uint8_t prot;   /* MAP_* bits */
        uint32_t path;  /* offset into Maps.paths; 0 = anonymous */
} Map;

typedef struct Maps {
        Map *map; /* Owner: the Maps */
        size_t n;
        char *paths; /* NUL-terminated strings; paths[0] = "". Escapes as the kernel wrote them */
        size_t paths_len, paths_cap, map_cap;
} Maps;

#define MAPS_NULL ((Maps){0})

/* maps_parse_line() - one line without newline. @ret_path points into @line. Return: 0 or -EINVAL. Pure; fuzzed. */
int maps_parse_line(const char *line, Map *ret, const char **ret_path) _must_check_;

/* maps_parse() - a whole file's text. Return: 0; -EINVAL: no map, or torn; -ESRCH: empty; -E2BIG; -ENOMEM. Fuzzed. */
int maps_parse(const char *text, size_t n, Maps *ret) _must_check_;
/* maps_read() - Return: 0; -ESRCH; -EACCES; -E2BIG; -ENOMEM; -EAGAIN (it changes faster than it can be read). */
int maps_read(int proc_pid_fd, Maps *ret) _must_check_;
void maps_done(Maps *m);

/* maps_find() - the map that holds @addr, or NULL. */
const Map *maps_find(const Maps *m, uint64_t addr);
const char *maps_path(const Maps *m, const Map *map);

/**
 * maps_hole() - an address in the middle of the widest gap, far from where the heap, the stack and new mappings grow
 * @low32: the wanted low half of the address, page-aligned: a tag by which a mapping made there is known again
 * Return: the address; 0 when no gap is 16 GiB wide.
 */
uint64_t maps_hole(const Maps *m, uint32_t low32);
