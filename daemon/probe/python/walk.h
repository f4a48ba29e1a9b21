/* SPDX-License-Identifier: Apache-2.0
 *
 * One interpreter's gc lists, walked while it runs. A step is believed when both neighbours agree on it; else both are
 * read again, and if they still disagree the walk goes back to the last object that is in place, takes back what it
 * counted since, and goes on from there. A full collection, which reorders everything, begins the walk anew.
 */
#pragma once

#include "probe/python/types.h"

/* For every object that is counted, in the order of the lists. @addr: of the object, behind gc's header. */
typedef void (*WalkFn)(void *userdata, const TypeInfo *type, uint64_t addr, int64_t ob_size);

typedef struct WalkResult {
        bool complete; /* every list to its end */
        bool torn;     /* given up: it changed faster than it could be read */
        uint64_t n_retries;
} WalkResult;

/**
 * walk_run() - count the objects of @heap into @types
 * @deadline_usec: CLOCK_MONOTONIC; a walk that is not done by then ends incomplete, with what it has
 * @fn: may be NULL
 */
void walk_run(const Python *p, const PythonHeap *heap, Types *types, uint64_t deadline_usec, WalkFn fn, void *userdata,
              WalkResult *ret);
