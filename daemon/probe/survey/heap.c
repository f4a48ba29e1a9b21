/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/heap.h"

#include <stdlib.h>
#include <string.h>

enum {
        PREV_INUSE = 1,
        FLAGS = 7,
        HEADER = 16,
        MIN_CHUNK = 32,
        CHUNK_STRUCT = 48, /* sizeof(struct malloc_chunk), which malloc_trim leaves before the first page */
        PAGE = PAGES_PAGE,
        REREADS = 3,         /* of a header that cannot be right */
        REWALKS = 3,         /* of an arena that changed under the walk */
        SEGMENTS_MAX = 1024, /* 64 GiB in one arena */
};

typedef struct Walk {
        HeapWalk *h;
        HeapStats *stats;
        const GlibcArena *arena;
        uint64_t run_start;  /* of free chunks that lie side by side once fastbins are emptied; 0 = none */
        uint64_t page, live; /* the page that is being filled */
} Walk;

/* ---- pages */

static void end_page(Walk *k) {
        if (k->live == 0)
                return;
        if (k->live >= PAGE)
                k->stats->pages_full++;
        else {
                k->stats->pages_live[k->live * HEAP_LIVE_STEPS / PAGE]++;
                k->stats->pinned_bytes += PAGE - k->live;
        }
        k->live = 0;
}

static void add_live(Walk *k, uint64_t from, uint64_t to) {
        while (from < to) {
                uint64_t page = from / PAGE, n = min_of(to, (page + 1) * PAGE) - from;

                if (page != k->page) {
                        end_page(k);
                        k->page = page;
                }
                if (n == PAGE) { /* and all whole ones behind it */
                        uint64_t whole = (to - from) / PAGE;

                        k->stats->pages_full += whole;
                        from += whole * PAGE;
                        continue;
                }
                k->live += n;
                from += n;
        }
}

static void add_trim(Walk *k, uint64_t from, uint64_t to) {
        HeapStats *s = k->stats;

        s->trim_bytes += to - from;
        if (pages_count(k->h->pages, from, to, &s->trim_resident_bytes, &s->trim_swapped_bytes) < 0)
                s->trim_known = false;
}

/* What mtrim() (malloc/malloc.c, 2.8 to 2.42) does to a free chunk. */
static void end_run(Walk *k, uint64_t end) {
        uint64_t from = (k->run_start + CHUNK_STRUCT + PAGE - 1) & ~(uint64_t)(PAGE - 1),
                 to = end & ~(uint64_t)(PAGE - 1);

        if (k->run_start && end - k->run_start > PAGE - 1 + CHUNK_STRUCT && to > from)
                add_trim(k, from, to);
        k->run_start = 0;
}

/* What systrim() does to the top of the main arena: the least chunk and a byte stay, the rest goes by whole pages from
 * the end. A thread arena's top is never trimmed. */
static void end_top(Walk *k, const GlibcSegment *seg) {
        uint64_t start = k->run_start ? k->run_start : seg->end, area, extra;

        k->run_start = 0;
        if (!seg->at_brk || seg->map_end - start <= MIN_CHUNK + 1)
                return;
        area = seg->map_end - start - MIN_CHUNK - 1;
        extra = area & ~(uint64_t)(PAGE - 1);
        if (extra)
                add_trim(k, seg->map_end - extra, seg->map_end);
}

/* ---- chunks */

static void take_chunk(Walk *k, uint64_t addr, uint64_t size, bool used) {
        SizeClass *c = &k->stats->classes[size_class(size)];
        bool fast = used && fast_has(&k->h->fast, addr);

        if (used && !fast) {
                k->stats->n_used++;
                k->stats->used_bytes += size;
                c->n_used++;
                c->used_bytes += size;
                if (k->h->on_used)
                        k->h->on_used(k->h->on_used_userdata, addr, size);
                end_run(k, addr);
                add_live(k, addr, addr + size);
                return;
        }
        *(fast ? &k->stats->n_fast : &k->stats->n_free) += 1;
        *(fast ? &k->stats->fast_bytes : &k->stats->free_bytes) += size;
        c->n_free++;
        c->free_bytes += size;
        if (!k->run_start)
                k->run_start = addr;
}

/* The size word of the chunk behind that of @head (its size word) at @addr. Return: false: it cannot be one. */
static inline bool read_end(const Walk *k, const GlibcSegment *seg, uint64_t addr, uint64_t head, uint64_t *ret) {
        uint64_t size = head & ~(uint64_t)FLAGS, room = seg->end - addr, prev_size;
        const unsigned char *p;

        if (size == 0 || size == HEADER) /* the fence at the end of a heap that is not the last */
                return !seg->has_top && room <= MIN_CHUNK + HEADER;
        if (size % 16 != 0 || size < MIN_CHUNK || size > room || (!seg->has_top && size > room - HEADER) ||
            !(p = window_get(k->h->window, addr + size, HEADER)))
                return false;
        memcpy(&prev_size, p, sizeof(prev_size));
        memcpy(ret, p + sizeof(prev_size), sizeof(*ret));
        return (*ret & PREV_INUSE) || prev_size == size;
}

static bool read_head(const Walk *k, uint64_t addr, uint64_t *ret) {
        const unsigned char *p = window_get(k->h->window, addr, HEADER);

        if (p)
                memcpy(ret, p + sizeof(*ret), sizeof(*ret));
        return p != NULL;
}

/* Return: where it ended: @seg->end, the fence before it, or a chunk that cannot be one. */
static uint64_t walk_chunks(Walk *k, const GlibcSegment *seg) {
        uint64_t addr = seg->start, head = 0, next = 0, size;
        unsigned n_tries = 0;
        bool have = false;

        while (addr < seg->end) {
                if ((!have && !read_head(k, addr, &head)) || !read_end(k, seg, addr, head, &next)) {
                        k->stats->n_torn++;
                        window_forget(k->h->window);
                        pages_forget(k->h->pages);
                        have = false;
                        if (!*k->h->out_of_time && ++n_tries < REREADS)
                                continue;
                        k->stats->unread_bytes += seg->end - addr;
                        break;
                }
                size = head & ~(uint64_t)FLAGS;
                if (size <= HEADER) /* fences: glibc counts them as in use */
                        break;
                n_tries = 0;
                take_chunk(k, addr, size, next & PREV_INUSE);
                addr += size;
                head = next;
                have = true;
        }
        return addr;
}

static void walk_segment(Walk *k, const GlibcSegment *seg) {
        uint64_t addr;

        fast_rewind(&k->h->fast);
        k->page = k->live = 0;
        addr = walk_chunks(k, seg);
        if (seg->has_top && addr == seg->end)
                end_top(k, seg);
        else
                end_run(k, addr);
        end_page(k);
}

static int walk_once(HeapWalk *h, const GlibcArena *a, GlibcSegment *segs, int n, HeapStats *ret) {
        Walk k = {.h = h, .stats = ret, .arena = a};

        *ret = (HeapStats){.top_bytes = a->top_size, .trim_known = h->pages->fd >= 0};
        ret->n_torn += fast_collect(&h->fast, h->window, h->glibc, a, h->out_of_time);
        for (int i = 0; i < n; i++) {
                window_forget(h->window);
                walk_segment(&k, &segs[i]);
        }
        return ret->n_torn == 0 ? 0 : -EAGAIN;
}

int heap_walk_arena(HeapWalk *h, GlibcArena *a, HeapStats *ret) {
        _cleanup_free_ GlibcSegment *segs = NULL;
        int r = -EAGAIN;

        *ret = (HeapStats){.trim_known = h->pages->fd >= 0};
        if (a->system_bytes == 0)
                return 0;
        segs = malloc(SEGMENTS_MAX * sizeof(*segs));
        if (!segs)
                return -ENOMEM;
        for (int i = 0; i < REWALKS && r == -EAGAIN; i++) {
                int n = glibc_segments(h->window, h->glibc, a, segs, SEGMENTS_MAX);

                if (n > 0)
                        r = walk_once(h, a, segs, n, ret);
                else
                        *ret = (HeapStats){.n_torn = 1, .unread_bytes = a->system_bytes};
                if (*h->out_of_time)
                        return -EAGAIN;
                /* A walk whose chunks all fit together is good, even if the arena has grown since; it is of no single
                 * instant, as nothing is that is read from a running process. */
                if (r == -EAGAIN)
                        (void)glibc_refresh(h->window, h->glibc, a);
        }
        return r;
}

void heap_add(HeapStats *to, const HeapStats *from) {
        uint64_t *t = (uint64_t *)to->classes;
        const uint64_t *f = (const uint64_t *)from->classes;

        to->n_used += from->n_used;
        to->used_bytes += from->used_bytes;
        to->n_free += from->n_free;
        to->free_bytes += from->free_bytes;
        to->n_fast += from->n_fast;
        to->fast_bytes += from->fast_bytes;
        to->top_bytes += from->top_bytes;
        to->trim_bytes += from->trim_bytes;
        to->trim_resident_bytes += from->trim_resident_bytes;
        to->trim_swapped_bytes += from->trim_swapped_bytes;
        to->trim_known &= from->trim_known;
        to->pages_full += from->pages_full;
        for (size_t i = 0; i < HEAP_LIVE_STEPS; i++)
                to->pages_live[i] += from->pages_live[i];
        to->pinned_bytes += from->pinned_bytes;
        to->n_torn += from->n_torn;
        to->unread_bytes += from->unread_bytes;
        for (size_t i = 0; i < SIZE_CLASSES * (sizeof(SizeClass) / sizeof(uint64_t)); i++)
                t[i] += f[i];
}

void heap_walk_done(HeapWalk *h) {
        fast_done(&h->fast);
}
