/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/glibc.h"

#include <stdlib.h>
#include <string.h>

#include "probe/survey/stretches.h"

/* malloc/malloc.c, struct malloc_state on a 64-bit machine. 2.23 added attached_threads, 2.27 have_fastchunks; what
 * follows 2.42 has neither fastbins nor have_fastchunks. `top` and `last_remainder` are always the two words before
 * bins[], `next` the word behind 254 bins and 16 bytes of binmap. */
static const GlibcLayout layouts[] = {
        {"2.27-2.42", 112, 2200, 2072, true, true},
        {"2.23-2.26", 104, 2192, 2072, true, true},
        {"2.17-2.22", 104, 2184, 2064, true, false},
        {"2.43", 24, 2112, 2072, false, true},
};

enum {
        N_BINS = 127,
        BINS_BYTES = 2 * N_BINS * 8,
        NEXT_AT = BINS_BYTES + 16, /* from bins[] */
        MIN_EMPTY_BINS = 4,        /* of those that a scan takes for bins[]; the largest ones are nearly always empty */
        MAX_HALF_BINS = 3,
        STATE_MAX = 2304,
        HEAD_TRIES = 4,
        MAX_ATTACHED = 65536, /* above, it is another layout's system_mem, which begins at 132 KiB */
        CHUNK_ALIGN = 16,
        MIN_CHUNK = 32,
        NONCONTIGUOUS = 2, /* malloc_state.flags; of thread arenas it is always set */
};

#define HEAP_MAX_SIZE (64ULL << 20) /* 2 * DEFAULT_MMAP_THRESHOLD_MAX; a power of two, heaps are aligned to it */
#define USER_END      (1ULL << 56)

static uint64_t word(const unsigned char *p, size_t at) {
        uint64_t v;

        memcpy(&v, p + at, sizeof(v));
        return v;
}

static bool is_chunk_addr(uint64_t addr) {
        return addr % CHUNK_ALIGN == 0 && addr >= 65536 && addr < USER_END;
}

/* Does @p, read at @addr, look like bins[]? An empty bin's two links lead to the chunk that would begin 16 bytes before
 * them, so that fd and bk fall onto the links themselves; the others lead to chunks. While a chunk is being put into an
 * empty bin, one of the two does already. */
static bool is_bins(const unsigned char *p, uint64_t addr, unsigned min_empty) {
        unsigned n_empty = 0, n_half = 0;

        for (unsigned i = 0; i < N_BINS; i++) {
                uint64_t fd = word(p, i * 16), bk = word(p, i * 16 + 8), self = addr + i * 16 - 16;

                if (fd == self && bk == self)
                        n_empty++;
                else if ((fd != self && !is_chunk_addr(fd)) || (bk != self && !is_chunk_addr(bk)))
                        return false;
                else
                        n_half += fd == self || bk == self;
        }
        return n_empty >= min_empty && n_half <= MAX_HALF_BINS;
}

/* A thread arena is at the start of its first heap, behind struct heap_info: 32 bytes, 48 since 2.35. */
static bool is_heap_offset(uint64_t addr) {
        uint64_t at = addr % HEAP_MAX_SIZE;

        return at == 32 || at == 48;
}

/* Pages, but for the main one: what called sbrk() before malloc did moved its start to anywhere. The loader does until
 * 2.37, to copy GLIBC_TUNABLES (elf/dl-tunables.c, tunables_strdup()). */
static bool is_size(uint64_t bytes, bool is_main) {
        return bytes != 0 && (is_main || bytes % 4096 == 0) && bytes < USER_END;
}

/* Head of an arena whose bins[] are known, as it was for a moment. */
static bool read_arena_once(Window *w, const GlibcLayout *l, uint64_t addr, GlibcArena *ret) {
        const unsigned char *p = window_peek(w, addr, STATE_MAX);
        GlibcArena a = {.addr = addr, .bins = addr + l->bins};
        uint64_t size;

        if (!p || !is_bins(p + l->bins, a.bins, 0))
                return false;
        memcpy(&a.flags, p + 4, sizeof(a.flags));
        a.top = word(p, l->bins - 16u);
        a.system_bytes = word(p, l->bins + (size_t)l->system_mem);
        if (l->has_attached)
                a.n_attached = word(p, l->bins + (size_t)l->system_mem - 8);
        /* a heap that was never used: top is bin 1 (initial_top()) */
        if (a.top == a.bins - 16 || (a.top == 0 && a.system_bytes == 0)) {
                if (a.system_bytes != 0)
                        return false;
                *ret = a;
                return true;
        }
        if (!is_chunk_addr(a.top) || !is_size(a.system_bytes, !is_heap_offset(addr)) || a.n_attached > MAX_ATTACHED ||
            !window_u64(w, a.top + 8, &size))
                return false;
        a.top_size = size & ~7ULL;
        if (a.top_size > a.system_bytes || (a.top + a.top_size) % 4096 != 0)
                return false;
        *ret = a;
        return true;
}

/* A thread that is just linking a chunk makes a head look wrong for some nanoseconds. */
static bool read_arena(Window *w, const GlibcLayout *l, uint64_t addr, GlibcArena *ret) {
        for (int i = 0; i < HEAD_TRIES; i++) {
                if (read_arena_once(w, l, addr, ret))
                        return true;
                window_forget(w);
        }
        return false;
}

bool glibc_refresh(Window *w, const Glibc *g, GlibcArena *a) {
        GlibcArena now;
        bool same;

        window_forget(w);
        if (!read_arena(w, g->layout, a->addr, &now))
                return false;
        now.is_main = a->is_main;
        same = now.top == a->top && now.top_size == a->top_size && now.system_bytes == a->system_bytes;
        *a = now;
        return same;
}

static bool push_arena(Glibc *g, const GlibcArena *a) {
        GlibcArena *bigger;

        if ((g->n_arenas & (g->n_arenas - 1)) == 0) {
                bigger = realloc(g->arenas, (g->n_arenas ? g->n_arenas * 2 : 1) * sizeof(*bigger));
                if (!bigger)
                        return false;
                g->arenas = bigger;
        }
        g->arenas[g->n_arenas++] = *a;
        return true;
}

/* The ring of `next` from the main arena back to it. Return: 0; -EAGAIN: it leads astray; -ENOMEM. */
static int follow_ring(Window *w, Glibc *g) {
        uint64_t at = g->arenas[0].addr + g->layout->bins + NEXT_AT, next;

        while (g->n_arenas < GLIBC_ARENAS_MAX) {
                GlibcArena a;

                if (!window_u64(w, at, &next))
                        return -EAGAIN;
                if (next == g->arenas[0].addr) {
                        g->ring_closed = true;
                        return 0;
                }
                if (!is_heap_offset(next) || !read_arena(w, g->layout, next, &a))
                        return g->n_arenas > 1 ? 0 : -EAGAIN; /* what was found is right; that there is more is told */
                if (!push_arena(g, &a))
                        return -ENOMEM;
                at = next + g->layout->bins + NEXT_AT;
        }
        return 0;
}

/* Try one layout on bins[] at @bins. */
static int try_layout(Window *w, const GlibcLayout *l, uint64_t bins, Glibc *ret) {
        Glibc g = {.layout = l};
        GlibcArena a;
        int r;

        window_forget(w);
        if (!read_arena(w, l, bins - l->bins, &a))
                return -EAGAIN;
        if (l->has_attached && a.n_attached == 0)
                return -EAGAIN; /* the main thread's own use of it is never taken back: 1 from the start */
        a.is_main = true;
        if (!push_arena(&g, &a))
                return -ENOMEM;
        r = follow_ring(w, &g);
        if (r < 0) {
                glibc_done(&g);
                return r;
        }
        *ret = g;
        return 0;
}

/* Among layouts that agree as far as they can be told apart (an unused heap), the one whose ring closes is right. */
static int judge_bins(Window *w, uint64_t bins, Glibc *ret) {
        int result = -EAGAIN;

        for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                int r = try_layout(w, &layouts[i], bins, ret);

                if (r == 0 || r == -ENOMEM)
                        return r;
        }
        return result;
}

/* The first bins[] in [start, end). A cheap test first: three of the large bins are nearly always empty. */
static uint64_t scan_place(Window *w, uint64_t start, uint64_t end) {
        for (uint64_t at = (start + 7) & ~7ULL; at + STATE_MAX <= end; at += 8) {
                const unsigned char *p = window_get(w, at, STATE_MAX);
                uint64_t fd;

                if (!p) {
                        at = (at | 4095) + 1 - 8;
                        continue;
                }
                fd = word(p, 126 * 16);
                if ((fd == at + 126 * 16 - 16 || word(p, 120 * 16) == at + 120 * 16 - 16) &&
                    is_bins(p, at, MIN_EMPTY_BINS))
                        return at;
        }
        return 0;
}

/* ---- mp_: struct malloc_par, beside main_arena */

enum { N_MMAPS_MAX_DEFAULT = 65536 };

/* @p: the word that holds sbrk_base, with room before it. n_mmaps, n_mmaps_max, max_n_mmaps and no_dyn_threshold are
 * ints, then mmapped_mem and max_mmapped_mem, until 2.23 max_total_mem too, then sbrk_base. Before them arena_test and
 * arena_max; 2.35 put two words and an int of huge page settings in between. */
static const struct {
        uint8_t pad, trim, mmap; /* behind the ints; offsets of the thresholds before them */
} param_shapes[] = {{0, 40, 24}, {4, 60, 44}};

static bool take_params_as(const unsigned char *counts_end, size_t shape, GlibcParams *ret) {
        const unsigned char *ints = counts_end - param_shapes[shape].pad - 16;
        uint64_t mem = word(counts_end, 0), max_mem = word(counts_end, 8);
        int32_t n[4];

        memcpy(n, ints, sizeof(n));
        if (n[0] < 0 || n[0] > n[2] || n[2] > n[1] || n[1] != N_MMAPS_MAX_DEFAULT || (n[3] & ~1) || mem > max_mem ||
            mem % 4096 != 0 || (n[0] == 0) != (mem == 0))
                return false;
        *ret = (GlibcParams){.known = true,
                             .fixed_thresholds = n[3],
                             .mmap_threshold = word(ints - param_shapes[shape].mmap, 0),
                             .trim_threshold = word(ints - param_shapes[shape].trim, 0),
                             .n_mmaps = (uint64_t)n[0],
                             .mmapped_bytes = mem};
        return ret->mmap_threshold <= 1ULL << 40;
}

static bool take_params(const unsigned char *sbrk_base, GlibcParams *ret) {
        for (size_t extra = 0; extra <= 8; extra += 8)
                for (size_t i = 0; i < ELEMENTSOF(param_shapes); i++)
                        if (take_params_as(sbrk_base - 16 - extra, i, ret))
                                return true;
        *ret = (GlibcParams){0};
        return false;
}

/* Where brk() failed once, what lies before it is not known; the words before it then tell alone. */
static bool is_sbrk_base(const GlibcArena *a, uint64_t word, uint64_t base) {
        return a->flags & NONCONTIGUOUS ? word >= 65536 && word < USER_END : word == base;
}

static void find_params(Window *w, const GlibcPlace *place, Glibc *g) {
        const GlibcArena *a = &g->arenas[0];
        uint64_t base = a->top + a->top_size - a->system_bytes;

        if (a->system_bytes == 0)
                return;
        for (uint64_t at = ((place->start + 7) & ~7ULL) + 256; at + 8 <= place->end; at += 8) {
                const unsigned char *p = window_get(w, at - 256, 264);

                if (!p)
                        at = (at | 4095) + 256 + 1 - 8;
                else if (is_sbrk_base(a, word(p, 256), base) && take_params(p + 256, &g->params))
                        return;
        }
}

int glibc_find(Window *w, const GlibcPlace *places, size_t n, Glibc *ret) {
        int result = -ENOENT;

        for (size_t i = 0; i < n; i++)
                for (uint64_t at = places[i].start; (at = scan_place(w, at, places[i].end)) != 0; at += 8) {
                        int r = judge_bins(w, at, ret);

                        if (r == 0) {
                                find_params(w, &places[i], ret);
                                return 0;
                        }
                        if (r == -ENOMEM)
                                return r;
                        result = r;
                }
        return result;
}

void glibc_done(Glibc *g) {
        free(g->arenas);
        *g = (Glibc){0};
}

/* ---- segments */

/* The brk heap: all that system_mem counts lies before top's end, unless brk() failed once and mmap() stood in. */
static int main_segments(Window *w, const Glibc *g, const GlibcArena *a, GlibcSegment *ret, size_t max) {
        uint64_t end = a->top + a->top_size, start = end - a->system_bytes;

        if (a->flags & NONCONTIGUOUS)
                return g->maps ? stretches_find(w, g, a, ret, max) : -EAGAIN;
        if (start > a->top)
                return -EAGAIN;
        *ret = (GlibcSegment){.start = (start + CHUNK_ALIGN - 1) & ~(uint64_t)(CHUNK_ALIGN - 1),
                              .end = a->top,
                              .map_start = start,
                              .map_end = end,
                              .has_top = true,
                              .at_brk = !g->maps || stretches_brk_end(g->maps) == end};
        return 1;
}

/* struct heap_info: ar_ptr, prev, size, mprotect_size; since 2.35 pagesize and padding to 48 bytes. */
static int heap_segments(Window *w, const Glibc *g, const GlibcArena *a, GlibcSegment *ret, size_t max) {
        uint64_t heap = a->top & ~(HEAP_MAX_SIZE - 1), header = a->addr % HEAP_MAX_SIZE;
        size_t n = 0;

        while (heap != 0) {
                const unsigned char *p = window_peek(w, heap, 32);
                uint64_t prev, size, first;

                if (!p || n == max || word(p, 0) != a->addr)
                        return -EAGAIN;
                prev = word(p, 8);
                size = word(p, 16);
                if (size == 0 || size > HEAP_MAX_SIZE || size % 4096 != 0 || prev % HEAP_MAX_SIZE != 0)
                        return -EAGAIN;
                first = heap + header == a->addr ? a->addr + g->layout->size : heap + header;
                ret[n] = (GlibcSegment){.start = (first + CHUNK_ALIGN - 1) & ~(uint64_t)(CHUNK_ALIGN - 1),
                                        .end = n == 0 ? a->top : heap + size,
                                        .map_start = heap,
                                        .map_end = heap + size,
                                        .has_top = n == 0};
                if (ret[n].start > ret[n].end || ret[n].end > heap + size)
                        return -EAGAIN;
                n++;
                heap = prev;
        }
        return (int)n;
}

int glibc_segments(Window *w, const Glibc *g, const GlibcArena *a, GlibcSegment *ret, size_t max) {
        if (a->system_bytes == 0 || max == 0)
                return 0;
        return a->is_main ? main_segments(w, g, a, ret, max) : heap_segments(w, g, a, ret, max);
}

bool glibc_fastbin(Window *w, const Glibc *g, const GlibcArena *a, unsigned i, uint64_t *ret) {
        return g->layout->has_fastbins && i < 10 && window_u64(w, a->bins - 96 + i * 8, ret);
}
