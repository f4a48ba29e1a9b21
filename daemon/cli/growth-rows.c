/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/growth-rows.h"

#include <stdlib.h>
#include <string.h>

static int64_t minus(uint64_t a, uint64_t b) {
        return (int64_t)(a - b);
}

static int descending(int64_t a, int64_t b) {
        return a > b ? -1 : a < b;
}

static double seconds(uint64_t from_usec, uint64_t to_usec) {
        return to_usec > from_usec ? (double)(to_usec - from_usec) / 1e6 : 0;
}

/* ---- sizes */

/* The growth in use first; where that is the same, what is free. */
static int by_growth_of_size(const void *a, const void *b) {
        const GrowthSizeRow *x = a, *y = b;
        int r = descending(x->used_bytes, y->used_bytes);

        return r ? r : descending(x->free_bytes, y->free_bytes);
}

static bool is_whole(const Survey *s) {
        return (s->flags & SURVEY_HAVE_HEAP) && (s->flags & SURVEY_HEAP_COMPLETE);
}

static void add_sizes(const Survey *first, const Survey *last, GrowthRows *r) {
        r->have_sizes = is_whole(first) && is_whole(last);
        for (unsigned i = 0; r->have_sizes && i < SIZE_CLASSES; i++) {
                const SizeClass *a = &first->heap.classes[i], *b = &last->heap.classes[i];
                GrowthSizeRow row = {.class = i,
                                     .now = *b,
                                     .n_used = minus(b->n_used, a->n_used),
                                     .used_bytes = minus(b->used_bytes, a->used_bytes),
                                     .n_free = minus(b->n_free, a->n_free),
                                     .free_bytes = minus(b->free_bytes, a->free_bytes)};

                if (row.n_used || row.n_free || row.used_bytes || row.free_bytes)
                        r->sizes[r->n_sizes++] = row;
        }
        qsort(r->sizes, r->n_sizes, sizeof(r->sizes[0]), by_growth_of_size);
}

unsigned growth_classes(const Survey *first, const Survey *last, uint8_t ret[static GROWTH_CLASSES_MAX]) {
        int64_t most[GROWTH_CLASSES_MAX] = {0};
        unsigned n = 0;

        for (unsigned i = 0; i < SIZE_CLASSES; i++) {
                int64_t grown = minus(last->heap.classes[i].used_bytes, first->heap.classes[i].used_bytes);
                unsigned at = n;

                if (grown <= 0 || (n == GROWTH_CLASSES_MAX && grown <= most[n - 1]))
                        continue;
                if (n < GROWTH_CLASSES_MAX)
                        n++;
                else
                        at--;
                for (; at > 0 && most[at - 1] < grown; at--) {
                        most[at] = most[at - 1];
                        ret[at] = ret[at - 1];
                }
                most[at] = grown;
                ret[at] = (uint8_t)i;
        }
        while (n > 0 && most[n - 1] < most[0] / 10)
                n--;
        return n;
}

/* ---- arenas */

static int by_growth_of_arena(const void *a, const void *b) {
        const GrowthArenaRow *x = a, *y = b;

        return descending(x->used_bytes, y->used_bytes);
}

static const SurveyArena *find_arena(const Survey *s, uint64_t addr) {
        for (uint32_t i = 0; i < s->n_arenas_told; i++)
                if (s->arenas[i].addr == addr)
                        return &s->arenas[i];
        return NULL;
}

/* A thread's arena is at the start of a heap, which is aligned to 64 MiB; the main one never. */
static bool is_main(uint64_t addr) {
        return addr % (64u << 20) >= 64;
}

static void add_arenas(const Survey *first, const Survey *last, GrowthRows *r) {
        static const SurveyArena none;

        r->have_arenas = (first->flags & SURVEY_HAVE_HEAP) && (last->flags & SURVEY_HAVE_HEAP);
        for (uint32_t i = 0; r->have_arenas && i < last->n_arenas_told; i++) {
                const SurveyArena *b = &last->arenas[i], *a = find_arena(first, b->addr);
                bool is_new = !a && first->n_arenas <= first->n_arenas_told && is_whole(first);

                if ((!a && !is_new) || b->torn || (a && a->torn))
                        continue;
                a = a ? a : &none;
                r->arenas[r->n_arenas++] = (GrowthArenaRow){.now = b,
                                                            .is_new = is_new,
                                                            .is_main = is_main(b->addr),
                                                            .system_bytes = minus(b->system_bytes, a->system_bytes),
                                                            .used_bytes = minus(b->in_use_bytes, a->in_use_bytes),
                                                            .free_bytes = minus(b->free_bytes, a->free_bytes)};
        }
        qsort(r->arenas, r->n_arenas, sizeof(r->arenas[0]), by_growth_of_arena);
}

/* ---- mappings */

static bool has_name(const GrowthMap *m) {
        return m->kind == PART_FILES || m->kind == PART_SHARED || m->kind == PART_KERNEL;
}

/* Maps of one file are one row, wherever they lie. Most follow each other. */
static GrowthMapRow *row_of_file(GrowthRows *r, const GrowthMap *m) {
        for (size_t i = r->n_maps; i > 0; i--)
                if (r->maps[i - 1].kind == m->kind && strcmp(r->maps[i - 1].name, m->name) == 0)
                        return &r->maps[i - 1];
        r->maps[r->n_maps] = (GrowthMapRow){.kind = m->kind, .name = m->name, .is_new = true, .is_gone = true};
        return &r->maps[r->n_maps++];
}

static void add_files(const GrowthReport *g, bool is_now, GrowthRows *r) {
        for (uint32_t i = 0; i < g->head.n_maps; i++) {
                GrowthMapRow *row;

                if (!has_name(&g->maps[i]))
                        continue;
                row = row_of_file(r, &g->maps[i]);
                if (is_now) {
                        row->rss_bytes += g->maps[i].rss_bytes;
                        row->n_maps++;
                        row->is_gone = false;
                } else
                        row->is_new = false;
                row->grown_bytes += is_now ? (int64_t)g->maps[i].rss_bytes : -(int64_t)g->maps[i].rss_bytes;
        }
}

static const GrowthMap *next_unnamed(const GrowthReport *g, uint32_t *i) {
        while (*i < g->head.n_maps && has_name(&g->maps[*i]))
                ++*i;
        return *i < g->head.n_maps ? &g->maps[*i] : NULL;
}

/* New mappings of one size and kind are one row: whoever maps in a loop makes a thousand of them. */
static GrowthMapRow *row_of_new(GrowthRows *r, size_t from, const GrowthMapRow *row) {
        for (size_t i = from; i < r->n_maps; i++)
                if (r->maps[i].is_new && !r->maps[i].is_gone && r->maps[i].kind == row->kind &&
                    r->maps[i].end - r->maps[i].start == row->end - row->start)
                        return &r->maps[i];
        return NULL;
}

static void put_row(GrowthRows *r, size_t from, const GrowthMapRow *row) {
        GrowthMapRow *same = row->is_new ? row_of_new(r, from, row) : NULL;

        if (!same) {
                r->maps[r->n_maps++] = *row;
                return;
        }
        same->n_maps++;
        same->rss_bytes += row->rss_bytes;
        same->grown_bytes += row->grown_bytes;
}

static void take_before(GrowthMapRow *row, const GrowthMap *m) {
        row->is_new = false;
        row->grown_bytes -= (int64_t)m->rss_bytes;
        if (row->is_gone && row->n_maps == 0) {
                row->start = row->start ? min_of(row->start, m->start) : m->start;
                row->end = max_of(row->end, m->end);
                row->kind = m->kind;
        }
}

static void take_now(GrowthMapRow *row, const GrowthMap *m, uint64_t *most) {
        if (row->n_maps == 0)
                row->start = m->start;
        row->end = m->end;
        row->is_gone = false;
        row->n_maps++;
        row->rss_bytes += m->rss_bytes;
        row->grown_bytes += (int64_t)m->rss_bytes;
        if (m->rss_bytes >= *most) {
                *most = m->rss_bytes;
                row->kind = m->kind;
        }
}

/* What overlaps is the same memory: a mapping that grew has kept one of its ends, one that was divided or joined to its
 * neighbour has kept its pages. Both lists are sorted, so one pass finds the groups. */
static void add_unnamed(const GrowthReport *before, const GrowthReport *now, GrowthRows *r) {
        size_t from = r->n_maps;
        uint32_t i = 0, k = 0;

        for (;;) {
                const GrowthMap *a = next_unnamed(before, &i), *b = next_unnamed(now, &k);
                GrowthMapRow row = {.is_new = true, .is_gone = true, .name = ""};
                uint64_t most = 0, end = !a ? b ? b->start + 1 : 0 : min_of(a->start, b ? b->start : a->start) + 1;

                if (!a && !b)
                        return;
                while ((a && a->start < end) || (b && b->start < end)) {
                        if (a && a->start < end) {
                                take_before(&row, a);
                                end = max_of(end, a->end);
                                i++;
                                a = next_unnamed(before, &i);
                        } else {
                                take_now(&row, b, &most);
                                end = max_of(end, b->end);
                                k++;
                                b = next_unnamed(now, &k);
                        }
                }
                put_row(r, from, &row);
        }
}

static int by_growth_of_map(const void *a, const void *b) {
        const GrowthMapRow *x = a, *y = b;
        int r = descending(x->grown_bytes, y->grown_bytes);

        return r ? r : x->start < y->start ? -1 : x->start > y->start;
}

/* A table that was cut does not tell what was not there. */
static int add_maps(const GrowthReport *before, const GrowthReport *now, GrowthRows *r) {
        bool cut_before = before->head.flags & GROWTH_MAPS_CUT, cut_now = now->head.flags & GROWTH_MAPS_CUT;
        size_t kept = 0;

        r->maps = calloc((size_t)before->head.n_maps + now->head.n_maps + 1, sizeof(*r->maps));
        if (!r->maps)
                return -ENOMEM;
        add_files(before, false, r);
        add_files(now, true, r);
        add_unnamed(before, now, r);
        for (size_t i = 0; i < r->n_maps; i++)
                if (r->maps[i].grown_bytes != 0 && !(r->maps[i].is_new && cut_before) &&
                    !(r->maps[i].is_gone && cut_now))
                        r->maps[kept++] = r->maps[i];
        r->n_maps = kept;
        r->maps_cut = cut_before || cut_now;
        qsort(r->maps, r->n_maps, sizeof(*r->maps), by_growth_of_map);
        return 0;
}

/* ---- threads */

static int by_growth_of_thread(const void *a, const void *b) {
        const GrowthThreadRow *x = a, *y = b;
        int r = descending(x->grown_bytes, y->grown_bytes);

        return r ? r : x->now->tid - y->now->tid;
}

static const GrowthThread *find_thread(const GrowthReport *g, int32_t tid) {
        for (uint32_t i = 0; i < g->head.n_threads; i++)
                if (g->threads[i].tid == tid)
                        return &g->threads[i];
        return NULL;
}

/* The same number with another stack is another thread. */
static int add_threads(const GrowthReport *before, const GrowthReport *now, GrowthRows *r) {
        bool cut = before->head.flags & GROWTH_THREADS_CUT;

        r->threads = calloc(now->head.n_threads + 1u, sizeof(*r->threads));
        if (!r->threads)
                return -ENOMEM;
        r->threads_cut = cut || (now->head.flags & GROWTH_THREADS_CUT);
        for (uint32_t i = 0; i < now->head.n_threads; i++) {
                const GrowthThread *b = &now->threads[i], *a = find_thread(before, b->tid);
                bool same = a && (a->flags & GROWTH_THREAD_STACK) && a->stack_end == b->stack_end;

                if (!(b->flags & GROWTH_THREAD_STACK) || (!a && cut) || (a && !(a->flags & GROWTH_THREAD_STACK)))
                        continue;
                r->threads[r->n_threads++] =
                        (GrowthThreadRow){.now = b,
                                          .is_new = !same,
                                          .grown_bytes = minus(b->stack_rss_bytes, same ? a->stack_rss_bytes : 0)};
        }
        qsort(r->threads, r->n_threads, sizeof(*r->threads), by_growth_of_thread);
        return 0;
}

int growth_rows(const Survey *first, const Survey *last, const GrowthReport *before, const GrowthReport *now,
                GrowthRows *ret) {
        int r = 0;

        *ret = (GrowthRows){.size_seconds = seconds(first->begin_usec, last->begin_usec)};
        add_sizes(first, last, ret);
        add_arenas(first, last, ret);
        if (!before || !now)
                return 0;
        ret->place_seconds = seconds(before->head.begin_usec, now->head.begin_usec);
        r = add_maps(before, now, ret);
        if (r == 0)
                r = add_threads(before, now, ret);
        ret->have_places = r == 0;
        if (r < 0)
                growth_rows_done(ret);
        return r;
}

void growth_rows_done(GrowthRows *r) {
        free(r->maps);
        free(r->threads);
        r->maps = NULL;
        r->threads = NULL;
        r->n_maps = r->n_threads = 0;
}
