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
        REREADS = 3, /* of a header that cannot be right */
        REWALKS = 3, /* of an arena that changed under the walk */
        NEAR_BYTES = 16 * 1024,
        SEGMENTS_MAX = 1024, /* 64 GiB in one arena */
};

typedef struct Walk {
        HeapWalk *h;
        HeapStats *stats;
        const GlibcArena *arena;
        uint64_t run_start;  /* of free chunks that lie side by side once fastbins are emptied; 0 = none */
        uint64_t page, live; /* the page that is being filled */
        uint64_t next_fast;  /* index of the first one not below the walk */
} Walk;

/* ---- chunks in fastbins: marked as in use, but free */

static int compare(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static bool push_fast(HeapWalk *h, uint64_t addr) {
        if (h->n_fast == h->max_fast) {
                uint64_t more = h->max_fast ? h->max_fast * 2 : 1024, *bigger;

                bigger = more > HEAP_FAST_MAX ? NULL : realloc(h->fast, more * sizeof(*bigger));
                if (!bigger)
                        return false;
                h->fast = bigger;
                h->max_fast = more;
        }
        h->fast[h->n_fast++] = addr;
        return true;
}

/* Chunks that were freed after each other mostly lie near each other, and a chain leads upwards or downwards. */
static const unsigned char *read_near(HeapWalk *h, uint64_t addr, size_t n) {
        const Window *w = h->window;
        ssize_t got = -EFAULT;

        if (!h->near && !(h->near = malloc(NEAR_BYTES)))
                return NULL;
        if (addr < h->near_base || addr - h->near_base + n > h->near_len) {
                h->near_base = addr & ~(uint64_t)(NEAR_BYTES - 1);
                got = w->read(w->userdata, h->near_base, h->near, NEAR_BYTES);
                if (got < 0 || addr - h->near_base + n > (size_t)got) { /* across its end, or not all is mapped */
                        h->near_base = addr;
                        got = w->read(w->userdata, addr, h->near, n);
                }
                h->near_len = got > 0 ? (size_t)got : 0;
        }
        return addr - h->near_base + n <= h->near_len ? h->near + (addr - h->near_base) : NULL;
}

static bool read_word(HeapWalk *h, uint64_t addr, uint64_t *ret) {
        const unsigned char *p = read_near(h, addr, sizeof(*ret));

        if (p)
                memcpy(ret, p, sizeof(*ret));
        return p != NULL;
}

static bool is_chunk(uint64_t addr) {
        return addr % 16 == 0;
}

/* Links are mangled with the address of the link since 2.32 (safe-linking): (address >> 12) ^ link. One way to read
 * them is nearly always no chunk's address; where both are, the chunk there tells, and the way of one link is that of
 * all. */
enum { LINKS_UNKNOWN, LINKS_PLAIN, LINKS_MANGLED };

static bool is_fast_chunk(HeapWalk *h, uint64_t addr, uint64_t size) {
        uint64_t head;

        return is_chunk(addr) && read_word(h, addr + 8, &head) && (head & ~7ULL) == size;
}

/* Return: the next chunk; 0: it was the last; 1: there is none where it leads. */
static uint64_t follow_fast(HeapWalk *h, uint64_t at, uint64_t link, uint64_t size, unsigned *kind) {
        uint64_t mangled = at >> 12 ^ link;

        if (link == 0 || mangled == 0)
                return 0;
        if (*kind != LINKS_PLAIN && is_fast_chunk(h, mangled, size)) {
                if (!is_chunk(link))
                        *kind = LINKS_MANGLED;
                return mangled;
        }
        if (*kind != LINKS_MANGLED && is_fast_chunk(h, link, size)) {
                if (!is_chunk(mangled))
                        *kind = LINKS_PLAIN;
                return link;
        }
        return 1;
}

static void collect_fast(HeapWalk *h, const GlibcArena *a, HeapStats *stats) {
        unsigned kind = LINKS_UNKNOWN;

        h->n_fast = 0;
        h->near_len = 0;
        for (unsigned i = 0; i < 10; i++) {
                uint64_t chunk, link, size = MIN_CHUNK + i * 16;

                if (!glibc_fastbin(h->window, h->glibc, a, i, &chunk))
                        return;
                if (chunk != 0 && !is_fast_chunk(h, chunk, size))
                        chunk = 1;
                while (chunk > 1 && !*h->out_of_time) {
                        if (!push_fast(h, chunk) || !read_word(h, chunk + 16, &link))
                                chunk = 1;
                        else
                                chunk = follow_fast(h, chunk + 16, link, size, &kind);
                }
                stats->n_torn += chunk == 1;
        }
        if (h->n_fast)
                qsort(h->fast, h->n_fast, sizeof(*h->fast), compare);
}

static bool is_fast(Walk *k, uint64_t addr) {
        const HeapWalk *h = k->h;

        while (k->next_fast < h->n_fast && h->fast[k->next_fast] < addr)
                k->next_fast++;
        return k->next_fast < h->n_fast && h->fast[k->next_fast] == addr;
}

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
        if (!k->arena->is_main || seg->map_end - start <= MIN_CHUNK + 1)
                return;
        area = seg->map_end - start - MIN_CHUNK - 1;
        extra = area & ~(uint64_t)(PAGE - 1);
        if (extra)
                add_trim(k, seg->map_end - extra, seg->map_end);
}

/* ---- chunks */

static void take_chunk(Walk *k, uint64_t addr, uint64_t size, bool used) {
        SizeClass *c = &k->stats->classes[size_class(size)];
        bool fast = used && is_fast(k, addr);

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
                return !seg->has_top && room <= MIN_CHUNK;
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

        k->next_fast = 0;
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
        collect_fast(h, a, ret);
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
        free(h->fast);
        free(h->near);
        h->fast = NULL;
        h->near = NULL;
        h->n_fast = h->max_fast = 0;
}
