/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/ranges.h"

#include <stdlib.h>

int ranges_add(Ranges *r, uint64_t start, uint64_t end, PartKind kind) {
        if (start >= end)
                return 0;
        if (r->n == r->max) {
                size_t more = r->max ? r->max * 2 : 64;
                Range *bigger;

                if (more > RANGES_MAX)
                        return -E2BIG;
                bigger = realloc(r->range, more * sizeof(*bigger));
                if (!bigger)
                        return -ENOMEM;
                r->range = bigger;
                r->max = more;
        }
        r->range[r->n++] = (Range){start, end, kind};
        return 0;
}

static int compare(const void *a, const void *b) {
        const Range *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

void ranges_sort(Ranges *r) {
        if (r->n)
                qsort(r->range, r->n, sizeof(*r->range), compare);
}

size_t ranges_first(const Ranges *r, uint64_t addr) {
        size_t lo = 0, hi = r->n;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (r->range[mid].end <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

void ranges_done(Ranges *r) {
        free(r->range);
        *r = (Ranges){0};
}
