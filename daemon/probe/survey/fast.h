/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunks in one arena's fastbins (until glibc 2.42): marked as in use, but free, and emptied by malloc_trim first.
 * A list while they are few; where they are hundreds of thousands a bit for each 16 bytes of the heap around them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/survey/glibc.h"

#define FAST_LIST_MAX  (128u * 1024) /* chunks: 1 MiB, and as much again while they are sorted */
#define FAST_ZONES_MAX 512u          /* of 1 MiB of heap, 8 KiB each */

typedef struct FastZone {
        uint64_t number; /* address / 1 MiB */
        uint64_t *bits;  /* Owner: the Fast; NULL = unused */
} FastZone;

typedef struct Fast {
        uint64_t *list; /* Owner: the Fast; sorted */
        size_t n, max, next;
        FastZone *zones; /* Owner: the Fast; a hash of twice FAST_ZONES_MAX; NULL = the list is in use */
        size_t n_zones;
        const FastZone *last;
        unsigned char *near; /* Owner: the Fast; a block around the last link that was followed */
        uint64_t near_base, near_len;
} Fast;

/**
 * fast_collect() - all of @a's
 * Return: how many chains led astray, or were too long to be kept: then the arena cannot be told.
 */
unsigned fast_collect(Fast *f, Window *w, const Glibc *g, const GlibcArena *a, const bool *out_of_time);

/* fast_has() - is the chunk at @addr one? Asked in rising order; fast_rewind() before it goes down. */
bool fast_has(Fast *f, uint64_t addr);
void fast_rewind(Fast *f);
void fast_done(Fast *f);
