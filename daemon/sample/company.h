/* SPDX-License-Identifier: Apache-2.0
 *
 * Who else is in the target's memory cgroup. The group's figures beyond RSS (page cache, tmpfs, kernel memory) are all
 * of its processes' together: they tell of one of them only where there is nobody else, or nobody but its own family.
 */
#pragma once

#include "sample/target.h"

#define COMPANY_MAX 64 /* processes looked at; a larger group counts as shared */

typedef struct Company {
        unsigned n_processes; /* in the group, the target with it; COMPANY_MAX + 1 = more than that */
        unsigned n_strangers; /* of those looked at: neither above nor below the target in the tree of processes */
} Company;

/**
 * company_look() - read the group's list, and a stat of each process in it; not for every tick
 * Return: 0; -ENOENT: no group, or the figures are those of one above it, which has others in it; -EACCES, -ESRCH ...:
 *         the list, or the way from one of them upwards, could not be read.
 * Hazard: a process that ended meanwhile counts as no stranger; one that began meanwhile is not seen.
 */
int company_look(const Target *t, Company *ret) _must_check_;

/* company_is_own() - is all that the group counts this target's, and its family's? No, too, where it is not known. */
bool company_is_own(const Target *t);
