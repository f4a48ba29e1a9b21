/* SPDX-License-Identifier: Apache-2.0
 *
 * The target's own memory cgroup, v1 or v2, seen through /proc/PID/root/sys/fs/cgroup (from a sidecar that is the
 * target's own, read-only view). The kernel kills on the cgroup, not on RSS; and on what it cannot reclaim, not on
 * memory.current, which holds the page cache.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sample/sample.h"
#include "util/cleanup.h"

#define CGROUP_DEPTH_MAX 16

typedef struct Cgroup {
        uint8_t version; /* 0 = none found */
        int dir_fd;      /* the group's own directory, -1 = none */
        int stat_fd, current_fd, swap_fd, events_fd, pressure_fd; /* kept open; -1 = absent */
        int limit_fd[CGROUP_DEPTH_MAX]; /* memory.max of the group and of each visible ancestor */
        unsigned n_limits;
} Cgroup;

#define CGROUP_NULL \
        ((Cgroup){.dir_fd = -1, .stat_fd = -1, .current_fd = -1, .swap_fd = -1, .events_fd = -1, .pressure_fd = -1})

/**
 * cgroup_open() - find and open the group of a process
 * @root_fd:     the process' /sys/fs/cgroup directory. Owner: caller
 * @proc_cgroup: text of /proc/PID/cgroup, hostile. Paths that do not exist under @root_fd (another cgroup namespace:
 *               "0::/../main", or a container whose mount starts at its own group) fall back to @root_fd itself
 * Return: 0; -ENOENT: no memory controller there; other negative errno. @ret untouched on failure.
 */
int cgroup_open(int root_fd, const char *proc_cgroup, Cgroup *ret) _must_check_;
void cgroup_close(Cgroup *c);

/**
 * cgroup_read() - current figures; limits are re-read each time (they change at run time: pods/resize)
 * @ret:      filled as far as readable
 * @ret_have: SAMPLE_HAVE_CGROUP* bits
 * Return: 0; -ENODEV: the group was removed; other negative errno.
 */
int cgroup_read(Cgroup *c, CgroupSample *ret, uint32_t *ret_have) _must_check_;
