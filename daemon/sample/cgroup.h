/* SPDX-License-Identifier: Apache-2.0
 *
 * The target's own memory cgroup, v1 or v2, seen through /proc/PID/root/sys/fs/cgroup (from a sidecar that is the
 * target's own, read-only view). The kernel kills on the cgroup, not on RSS; and on what it cannot reclaim, not on
 * memory.current, which holds the page cache.
 *
 * usage, v2:  anon + shmem + kernel memory less reclaimable slab + sock. Never swap: memory.max does not count it and
 *             memory.swap.max is a counter of its own.
 * usage, v1:  total_rss + total_shmem + kmem, and total_swap while the memory+swap limit is the nearer one.
 * limit:      the smallest of the group's and its visible ancestors'; v1 also knows hierarchical_memory_limit, which
 *             counts the invisible ones. All figures are those of the group whose limit that is (of equals the highest,
 *             whose usage includes the others): its siblings fill an ancestor's limit too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sample/sample.h"
#include "util/cleanup.h"

#define CGROUP_DEPTH_MAX 16

typedef struct Cgroup {
        uint8_t version;        /* 0 = none found */
        int dir_fd;             /* the group's own directory, -1 = none */
        int limit_fd[CGROUP_DEPTH_MAX]; /* memory.max of the group and of each visible ancestor, own first */
        unsigned n_limits;
        unsigned ruling;        /* index of the group that the descriptors below belong to */
        int stat_fd, current_fd, swap_fd, high_fd, events_fd, failcnt_fd, kmem_fd, pressure_fd; /* -1 = absent */
} Cgroup;

#define CGROUP_NULL                                                                                         \
        ((Cgroup){.dir_fd = -1, .stat_fd = -1, .current_fd = -1, .swap_fd = -1, .high_fd = -1, .events_fd = -1, \
                  .failcnt_fd = -1, .kmem_fd = -1, .pressure_fd = -1})

/**
 * cgroup_open() - find and open the group of a process
 * @root_fd:     a /sys/fs/cgroup directory: the process' or ours. Owner: caller
 * @proc_cgroup: text of /proc/PID/cgroup, hostile. Its paths are relative to our cgroup namespace, @root_fd may be
 *               mounted in another one ("0::/../main", or a container whose mount starts at its own group)
 * @pid:         the group taken must list this process in its cgroup.procs, and a path that does not exist under
 *               @root_fd is tried again without its leading components, down to @root_fd itself. 0: only the path,
 *               then @root_fd, and neither is verified
 * Return: 0; -ENOENT: no memory controller there, or no such group; other negative errno. @ret untouched on failure.
 *
 * v1 goes first: on a host with both, the unified hierarchy has no memory controller. Where a v2 group does not have it
 * enabled, the nearest ancestor that has is charged, and is taken.
 */
int cgroup_open(int root_fd, const char *proc_cgroup, pid_t pid, Cgroup *ret) _must_check_;
void cgroup_close(Cgroup *c);

/**
 * cgroup_read() - current figures; limits are re-read each time (they change at run time: pods/resize)
 * @ret:      filled as far as readable
 * @ret_have: SAMPLE_HAVE_CGROUP* bits and SAMPLE_HAVE_PRESSURE
 * Return: 0; -ENODEV: the group was removed; other negative errno.
 */
int cgroup_read(Cgroup *c, CgroupSample *ret, uint32_t *ret_have) _must_check_;
