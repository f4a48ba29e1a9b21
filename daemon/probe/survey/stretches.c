/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/stretches.h"

#include <string.h>

enum {
        PAGE = 4096,
        HEADER = 16,
        MIN_CHUNK = 32,
        CHUNK_ALIGN = 16,
        PREV_INUSE = 1,
        IS_MMAPPED = 2,
        FLAGS = 7,
        FENCE = HEADER | PREV_INUSE,
        BRK_STARTS = 2 * PAGE, /* what called sbrk() before malloc did took hardly more */
        TRIES_MAX = 4096,      /* places that are looked at, of which nearly all are none by the first word */
};

#define HEAP_MAX_SIZE (64ULL << 20)

typedef struct Search {
        Window *w;
        const GlibcArena *arena;
        GlibcSegment *ret;
        size_t n, max;
        uint64_t bytes; /* in those found */
        unsigned n_tries;
} Search;

static bool read_head(Window *w, uint64_t addr, uint64_t *ret) {
        const unsigned char *p = window_get(w, addr, HEADER);

        if (p)
                memcpy(ret, p + 8, sizeof(*ret));
        return p != NULL;
}

static bool is_head(uint64_t head, uint64_t room) {
        uint64_t size = head & ~(uint64_t)FLAGS;

        return (head & (FLAGS & ~PREV_INUSE)) == 0 && size >= MIN_CHUNK && size % CHUNK_ALIGN == 0 && size <= room;
}

/* Follows chunks from @start on. Return: where the stretch ends; 0: there is none. */
static uint64_t follow(Search *s, uint64_t start, uint64_t limit, GlibcSegment *ret) {
        uint64_t at = start, head, second, top = s->arena->top;

        if (!read_head(s->w, at, &head) || !(head & PREV_INUSE))
                return 0; /* what lies before the first one is never free */
        while (at != top && is_head(head, limit - at)) {
                at += head & ~(uint64_t)FLAGS;
                if (limit - at < HEADER || !read_head(s->w, at, &head))
                        return 0;
        }
        *ret = (GlibcSegment){.start = start, .end = at, .map_start = start, .has_top = at == top};
        if (at == top)
                ret->map_end = top + s->arena->top_size;
        else {
                if (at == start || (head | PREV_INUSE) != FENCE || limit - at < MIN_CHUNK ||
                    !read_head(s->w, at + HEADER, &second) || second != FENCE)
                        return 0;
                /* what was left of the old top is one more where it was too small for a chunk */
                ret->map_end = at + MIN_CHUNK;
                if (limit - at >= MIN_CHUNK + HEADER && ret->map_end % PAGE != 0 &&
                    read_head(s->w, ret->map_end, &second) && second == FENCE)
                        ret->map_end += HEADER;
                ret->end = ret->map_end;
        }
        return ret->map_end <= limit && ret->map_end % PAGE == 0 ? ret->map_end : 0;
}

/* Return: where to look next. */
static uint64_t try_at(Search *s, uint64_t at, uint64_t limit, uint64_t step) {
        GlibcSegment seg;
        uint64_t head, size, end;

        s->n_tries++;
        if (!read_head(s->w, at, &head))
                return at + PAGE;
        size = head & ~(uint64_t)FLAGS;
        if ((head & FLAGS) == IS_MMAPPED && size > 0 && size % PAGE == 0 && size < limit - at)
                return at + size;
        end = is_head(head, limit - at) || at == s->arena->top ? follow(s, at, limit, &seg) : 0;
        if (end == 0)
                return at + step;
        s->ret[s->n++] = seg;
        s->bytes += seg.map_end - seg.map_start;
        return end;
}

static bool is_done(const Search *s) {
        return s->bytes + CHUNK_ALIGN > s->arena->system_bytes || s->n == s->max || s->n_tries >= TRIES_MAX;
}

static bool is_brk(const Maps *maps, const Map *m) {
        return strcmp(maps_path(maps, m), "[heap]") == 0;
}

static void search_map(Search *s, const Maps *maps, const Map *m) {
        const char *path = maps_path(maps, m);
        uint64_t at = m->start;
        size_t n = s->n;

        if ((m->prot & (MAP_R | MAP_W | MAP_SHARED_BIT)) != (MAP_R | MAP_W) || m->inode != 0)
                return;
        if (is_brk(maps, m))
                while (s->n == n && at < min_of(m->end, m->start + BRK_STARTS) && !is_done(s))
                        at = try_at(s, at, m->end, CHUNK_ALIGN);
        else if ((path[0] == '\0' || strncmp(path, "[anon:", 6) == 0) && m->start % HEAP_MAX_SIZE != 0)
                while (at < m->end && !is_done(s))
                        at = try_at(s, at, m->end, PAGE);
}

uint64_t stretches_brk_end(const Maps *maps) {
        uint64_t end = 0;

        for (size_t i = 0; i < maps->n; i++)
                if (is_brk(maps, &maps->map[i]))
                        end = maps->map[i].end;
        return end;
}

int stretches_find(Window *w, const Glibc *g, const GlibcArena *a, GlibcSegment *ret, size_t max) {
        Search s = {.w = w, .arena = a, .ret = ret, .max = max};
        uint64_t brk_end = stretches_brk_end(g->maps);
        bool has_top = false;

        for (size_t i = 0; i < g->maps->n && !is_done(&s); i++)
                search_map(&s, g->maps, &g->maps->map[i]);
        for (size_t i = 0; i < s.n; i++) {
                ret[i].at_brk = ret[i].has_top && ret[i].map_end == brk_end;
                has_top |= ret[i].has_top;
        }
        /* less than an alignment may be lost where the first one starts */
        return has_top && s.bytes <= a->system_bytes && a->system_bytes - s.bytes < CHUNK_ALIGN ? (int)s.n : -EAGAIN;
}
