/* SPDX-License-Identifier: Apache-2.0
 *
 * The second channel: memory in use, as a survey of the heap tells it, beside the memory it costs. Surveys are rare
 * (minutes) and exact, so a few pairs tell what the curve of RSS alone cannot: whether growth is memory in use (a
 * leak, or a cache that fills) or memory that the allocator keeps (fragmentation). Internal to trend/.
 */
#pragma once

#include <stdbool.h>

#define HEAP_LOOKS 24

typedef struct TrendHeap {
        struct HeapLook {
                double time_s, heap, bytes;
        } look[HEAP_LOOKS];
        unsigned n;
} TrendHeap;

typedef enum HeapSays {
        HEAP_SILENT,   /* not asked, too old, or RSS did not grow between the looks */
        HEAP_IN_USE,   /* what RSS gained is in use */
        HEAP_KEPT,     /* what RSS gained is not */
} HeapSays;

/* heap_push() - one survey. When the store is full, one goes that others stand for: the oldest and the newest
 * stay. Shape: after the last one. */
void heap_push(TrendHeap *h, double time_s, double heap, double bytes);

/* heap_says() - about the growth since @since_s, as of @now_s. */
HeapSays heap_says(const TrendHeap *h, double since_s, double now_s);

/* heap_clear() - another process; and after a trim, which changes what RSS costs. */
void heap_clear(TrendHeap *h);
