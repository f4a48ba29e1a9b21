/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes, bytearray and str are in no gc list: they are found as what tracked objects hold, in lists, tuples, dicts,
 * sets and attributes, also through untracked tuples and dicts in between. Each is counted once, by its address, in a
 * set of fixed size. When that is full, half of the addresses are no longer looked at (by a hash, so that it is the
 * same half always), and again: then the figures are estimates, told as such. Blocks that lie in no arena of pymalloc
 * are large and few, and are all looked at as long as their own set lasts.
 */
#pragma once

#include "probe/python/pymalloc.h"
#include "probe/python/types.h"

#define REFERENTS_MAX 65536u /* in the set: an estimate is off by some 0.5 % */
#define REFERENTS_PENDING                                                                                              \
        65536u /* looked at in the order of their addresses, so each line of the cache is read once                    \
                */
#define REFERENTS_LARGE_MAX 16384u /* in that of large ones */

typedef struct Referent {
        uint64_t addr; /* 0 = none */
        uint64_t kind : 8, bytes : 56;
} Referent;

typedef struct Referents {
        const Python *p;
        const Pymalloc *arenas;
        uint64_t str_type, bytes_type, bytearray_type, tuple_type, dict_type; /* 0 = not found */
        Referent *set, *large, *spare;                                        /* Owner: the Referents */
        unsigned n, n_large;
        uint64_t mask, large_mask; /* an address is looked at when its hash has none of these bits */
        uint64_t *pending;         /* Owner: the Referents */
        unsigned n_pending;
        uint64_t deadline_usec; /* CLOCK_MONOTONIC */
        bool late;              /* it has passed: nothing is looked at any more, and no figure is to be told */
        PythonCount count[_TYPE_KIND_MAX], large_count[_TYPE_KIND_MAX];
} Referents;

#define REFERENTS_NULL ((Referents){.set = NULL})

/* referents_init() - @p and @arenas must outlive it. Return: 0; -ENODATA: its types were not found; -ENOMEM. */
int referents_init(Referents *r, const Python *p, const Pymalloc *arenas, uint64_t deadline_usec) _must_check_;
void referents_done(Referents *r);

/* referents_visit() - what the object at @addr holds. */
void referents_visit(Referents *r, const TypeInfo *type, uint64_t addr, int64_t ob_size);

/* referents_finish() - what is still pending. Before the figures are asked for. */
void referents_finish(Referents *r);
/* referents_count() - of TYPE_STR, TYPE_BYTES or TYPE_BYTEARRAY. */
PythonCount referents_count(const Referents *r, TypeKind kind);
/* referents_every() - 1: all were looked at; else each so many-th. */
uint64_t referents_every(const Referents *r);
