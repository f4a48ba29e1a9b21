/* SPDX-License-Identifier: Apache-2.0
 *
 * More of a memory cgroup's figures than a tick needs: what its page cache and its kernel memory consist of, and which
 * group it is. For a look by a person. All of it is of the group whose limit rules, as in CgroupSample.
 */
#pragma once

#include "sample/cgroup-parse.h"
#include "sample/cgroup.h"

#define CGROUP_PATH_SHOWN 256

typedef struct CgroupDetail {
        CgroupStat stat;              /* stat.have says which figures are there */
        unsigned levels_up;           /* 0: the process' own group; else that many above it */
        char path[CGROUP_PATH_SHOWN]; /* as our mount shows it, its end if it is long; "" = not known. Any bytes */
} CgroupDetail;

/**
 * cgroup_detail_read() - after a cgroup_read(), which finds the group
 * Return: 0; -ENODEV: no group, or it was removed; other negative errno. @ret untouched on failure.
 */
int cgroup_detail_read(const Cgroup *c, CgroupDetail *ret) _must_check_;

/* cgroup_path_show() - the directory of "/sys/fs/cgroup/memory/a/b/memory.stat" below the mount: "/a/b". Shape: @ret:
 * CGROUP_PATH_SHOWN bytes. Pure. */
void cgroup_path_show(const char *file, unsigned version, char *ret);
