/* SPDX-License-Identifier: Apache-2.0
 *
 * Stretches of the target's memory whose owner is known: what a heap walk, a thread's descriptor or an interpreter's
 * table told. The breakdown looks each map up in here; one that holds several is divided among them by its pages.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

/* Whose a byte of RSS is. The order is the order of print. */
typedef enum PartKind {
        PART_MAIN_HEAP, /* glibc: the brk heap */
        PART_ARENAS,    /* glibc: heaps of thread arenas */
        PART_MMAPPED,   /* glibc: chunks with a mapping of their own */
        PART_ALLOCATOR, /* extents of another allocator */
        PART_PYTHON,    /* pymalloc's arenas */
        PART_JAVA_HEAP, /* what a JVM's collector has */
        PART_JAVA_CODE, /* what its compilers made */
        PART_STACKS,    /* of threads */
        PART_ANONYMOUS, /* private memory of nobody known: mmap() by the program itself, a JIT, a JVM's heap */
        PART_FILES,     /* mapped files, each of its own */
        PART_SHARED,    /* shmem, memfd, /dev/shm, System V */
        PART_KERNEL,    /* vdso and the like */
        _PART_MAX,
} PartKind;

const char *part_name(PartKind k); /* "main_heap", "arenas" ...: stable, for JSON */

typedef struct Range {
        uint64_t start, end;
        PartKind kind;
} Range;

typedef struct Ranges {
        Range *range; /* Owner: the Ranges */
        size_t n, max;
} Ranges;

#define RANGES_MAX (1u << 17)

/* ranges_add() - empty ones are left out. Return: 0; -ENOMEM; -E2BIG. */
int ranges_add(Ranges *r, uint64_t start, uint64_t end, PartKind kind) _must_check_;
/* ranges_sort() - once, after the last one was added: ranges_first() needs it. */
void ranges_sort(Ranges *r);
/* ranges_first() - index of the first one that ends beyond @addr; n if none does. */
size_t ranges_first(const Ranges *r, uint64_t addr);
void ranges_done(Ranges *r);
