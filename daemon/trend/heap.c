/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/heap.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define RECENT_RATIO 0.4 /* the pair must cover this share of the growth's time, and end within the last quarter */
#define GROWN_RATIO  0.01 /* of RSS: less growth between two looks says nothing */
#define IN_USE_RATIO 0.6  /* of RSS's growth: in use above it, kept below the other */
#define KEPT_RATIO   0.25

void heap_clear(TrendHeap *h) {
        h->n = 0;
}

/* The look that is missed least: the one whose neighbours are nearest to each other, for their age. So the looks come
 * to lie at ages that grow by a factor, and growth of any length has one near its start. */
static unsigned least_missed(const TrendHeap *h, double now_s) {
        unsigned found = 1;
        double least = INFINITY;

        for (unsigned i = 1; i + 1 < h->n; i++) {
                double gap = (h->look[i + 1].time_s - h->look[i - 1].time_s) / (now_s - h->look[i - 1].time_s);

                if (gap < least) {
                        least = gap;
                        found = i;
                }
        }
        return found;
}

void heap_push(TrendHeap *h, double time_s, double heap, double bytes) {
        if (h->n == HEAP_LOOKS) {
                unsigned gone = least_missed(h, time_s);

                memmove(&h->look[gone], &h->look[gone + 1], (h->n - gone - 1) * sizeof(h->look[0]));
                h->n--;
        }
        h->look[h->n++] = (struct HeapLook){time_s, heap, bytes};
}

HeapSays heap_says(const TrendHeap *h, double since_s, double now_s) {
        const struct HeapLook *first = NULL, *last;
        double span = now_s - since_s, rss, heap;

        if (h->n < 2 || !(span > 0))
                return HEAP_SILENT;
        last = &h->look[h->n - 1];
        for (unsigned i = 0; i + 1 < h->n && !first; i++)
                if (h->look[i].time_s >= since_s)
                        first = &h->look[i];
        if (!first || last->time_s - first->time_s < RECENT_RATIO * span || now_s - last->time_s > span / 4)
                return HEAP_SILENT;
        rss = last->bytes - first->bytes;
        heap = last->heap - first->heap;
        if (rss <= GROWN_RATIO * first->bytes)
                return HEAP_SILENT;
        if (heap >= IN_USE_RATIO * rss)
                return HEAP_IN_USE;
        return heap <= KEPT_RATIO * rss ? HEAP_KEPT : HEAP_SILENT;
}
