/* SPDX-License-Identifier: Apache-2.0
 *
 * CPython's own allocator for blocks of up to 512 bytes: arenas of pools of equal blocks (Objects/obmalloc.c). What
 * sys.getallocatedblocks() tells, and how much of the arenas no block is in: memory that Python keeps.
 */
#pragma once

#include "probe/python/census.h"
#include "probe/python/code.h"
#include "probe/python/locate.h"

#define PYMALLOC_ARENAS_MAX 16384u /* of 256 KiB, from 3.10 on of 1 MiB */

typedef struct Pymalloc {
        uint64_t *arena; /* addresses, ascending. Owner: the Pymalloc */
        unsigned n;
        uint64_t arena_bytes;
} Pymalloc;

#define PYMALLOC_NULL ((Pymalloc){.arena = NULL})

/* pymalloc_read() - fills @census' figures of it and their flags, where they were found. Return: 0 or -ENOMEM. */
int pymalloc_read(const Python *p, PythonCensus *census, Pymalloc *ret) _must_check_;
void pymalloc_done(Pymalloc *pm);

/* pymalloc_has() - lies @addr in an arena? What does not is larger than 512 bytes. */
bool pymalloc_has(const Pymalloc *pm, uint64_t addr);
