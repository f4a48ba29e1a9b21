/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunks of one glibc arena, from the first to the last: how many bytes are in use and free, by size; which whole
 * pages malloc_trim(0) would give back, and how many of those are in memory at all; how much free memory cannot go back
 * because something small lives on its page. Counted while the program runs and changes it: what does not add up is
 * read again, and what still does not is told (n_torn, unread_bytes), never guessed.
 *
 * Units: bytes, as glibc counts them: a chunk with its header.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/survey/fast.h"
#include "probe/survey/glibc.h"
#include "probe/survey/pages.h"
#include "probe/survey/size-class.h"

#define HEAP_LIVE_STEPS 8

typedef struct HeapStats {
        uint64_t n_used, used_bytes; /* with what threads' caches (tcache) hold: glibc counts it so too */
        uint64_t n_free, free_bytes; /* in bins */
        uint64_t n_fast, fast_bytes; /* in fastbins */
        uint64_t top_bytes;
        uint64_t trim_bytes;          /* whole pages that malloc_trim(0) would give back */
        uint64_t trim_resident_bytes; /* of these, in memory: what RSS would fall by */
        uint64_t trim_swapped_bytes;
        uint32_t trim_known, pad;             /* 1: the two before are; 0 without a pagemap */
        uint64_t pages_full;                  /* nothing free on them */
        uint64_t pages_live[HEAP_LIVE_STEPS]; /* by how much of it is in use: up to 1/8, up to 2/8 ... less than all */
        uint64_t pinned_bytes;                /* free bytes on those */
        uint64_t n_torn, unread_bytes;
        SizeClass classes[SIZE_CLASSES];
} HeapStats;

typedef struct HeapWalk {
        Window *window;
        Pages *pages;
        const Glibc *glibc;
        Fast fast; /* Owner: the HeapWalk; of the arena that is walked */
        /* Each chunk in use, as it is met; again where an arena is walked again. NULL = nobody wants to know. */
        void (*on_used)(void *userdata, uint64_t addr, uint64_t size);
        void *on_used_userdata;
        const bool *out_of_time; /* set by the reader behind @window: stop, the rest is unread */
} HeapWalk;

/* heap_walk_done() - release the memory. */
void heap_walk_done(HeapWalk *h);

/**
 * heap_walk_arena() - all chunks of @a, tried again when it changed meanwhile
 * @ret: of this arena alone; filled in any case
 * Return: 0: it adds up; -EAGAIN: it did not (n_torn, unread_bytes say how much); -ENOMEM.
 */
int heap_walk_arena(HeapWalk *h, GlibcArena *a, HeapStats *ret) _must_check_;

/* heap_add() - @from added to @to. */
void heap_add(HeapStats *to, const HeapStats *from);
