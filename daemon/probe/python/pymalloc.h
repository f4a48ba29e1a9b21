/* SPDX-License-Identifier: Apache-2.0
 *
 * CPython's own allocator for blocks of up to 512 bytes: arenas of pools of equal blocks (Objects/obmalloc.c). What
 * sys.getallocatedblocks() tells, and how much of the arenas no block is in: memory that Python keeps.
 */
#pragma once

#include "probe/python/census.h"
#include "probe/python/code.h"
#include "probe/python/locate.h"

#define PYMALLOC_ARENAS_MAX 65536u /* of 256 KiB, from 3.10 on of 1 MiB */
#define PYMALLOC_SPARSE     4u     /* an arena of which less than one part in so many is used holds the rest in vain */

/* What the census has no room for; of all arenas. */
typedef struct PymallocUse {
        uint64_t n_blocks, used_bytes;
        uint64_t n_pools_unread; /* in use by the arena's book, but they could not be read, or made no sense */
        uint64_t n_sparse, sparse_used_bytes, n_sparse_blocks; /* arenas used less than PYMALLOC_SPARSE says */
} PymallocUse;

typedef struct Pymalloc {
        uint64_t *arena; /* addresses, ascending. Owner: the Pymalloc */
        unsigned n;
        uint64_t arena_bytes;
        uint64_t pool_bytes;
        PymallocUse use;
} Pymalloc;

#define PYMALLOC_NULL ((Pymalloc){.arena = NULL})

/* pymalloc_read() - fills @census' figures of it and their flags, where they were found. Return: 0 or -ENOMEM. */
int pymalloc_read(const Python *p, PythonCensus *census, Pymalloc *ret) _must_check_;
void pymalloc_done(Pymalloc *pm);

/* pymalloc_has() - lies @addr in an arena? What does not is larger than 512 bytes. */
bool pymalloc_has(const Pymalloc *pm, uint64_t addr);
