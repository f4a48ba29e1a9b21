/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/growth-job.h"

#include <stdlib.h>
#include <string.h>

#include "probe/survey/fresh.h"
#include "probe/survey/holds.h"

enum { HEADER = 16, PREV_INUSE = 1, FLAGS = 7 };

/* ---- the walk */

typedef struct Draw {
        Fresh fresh;
        FreshDrawn drawn[GROWTH_CLASSES_MAX];
        uint32_t n_classes;
        bool remembers;
} Draw;

static void on_used(void *userdata, uint64_t addr, uint64_t size) {
        Draw *d = userdata;

        if (d->remembers)
                fresh_remember(&d->fresh, addr, size);
        for (uint32_t i = 0; i < d->n_classes; i++)
                fresh_draw(&d->fresh, &d->drawn[i], addr, size);
}

static int walk_arenas(GrowthJob *j, Draw *d) {
        static HeapStats stats;  /* 8 KiB */
        Pages none = PAGES_NULL; /* what a trim would give back is not wanted */
        HeapWalk h = {.window = &j->window,
                      .pages = &none,
                      .glibc = &j->glibc,
                      .on_used = on_used,
                      .on_used_userdata = d,
                      .out_of_time = &j->out_of_time};
        int r = 0;

        for (size_t i = 0; i < j->glibc.n_arenas && r != -ENOMEM; i++) {
                GlibcArena *a = &j->glibc.arenas[i];

                if (!d->remembers && fresh_skipped(&d->fresh, a->addr))
                        continue;
                r = j->out_of_time ? -EAGAIN : heap_walk_arena(&h, a, &stats);
                if (r < 0 && d->remembers)
                        fresh_skip(&d->fresh, a->addr);
        }
        if (d->remembers && !j->glibc.ring_closed)
                d->fresh.blind = true; /* arenas that were not found would be newer ones later */
        heap_walk_done(&h);
        return r == -ENOMEM ? r : 0;
}

int growth_remember(GrowthJob *j, uint64_t start_ticks, int kept_fd) {
        Draw d = {.remembers = true};
        int r = fresh_init(&d.fresh);

        if (r == 0)
                r = walk_arenas(j, &d);
        if (r == 0)
                r = fresh_save(&d.fresh, kept_fd, j->pid, start_ticks);
        j->out.one_in = 1ULL << d.fresh.shift;
        fresh_done(&d.fresh);
        return r;
}

/* ---- samples */

/* As it is now: what the walk left in the window is older. */
static const void *read_now(GrowthJob *j, uint64_t addr, size_t n) {
        window_forget(&j->window);
        return window_peek(&j->window, addr, n);
}

static bool word_now(GrowthJob *j, uint64_t addr, uint64_t *ret) {
        const void *p = read_now(j, addr, sizeof(*ret));

        if (p)
                memcpy(ret, p, sizeof(*ret));
        return p != NULL;
}

/* Return: its size with its header; 0: it is none, or not in use any more. */
static uint64_t used_size(GrowthJob *j, uint64_t chunk, const unsigned char *head) {
        uint64_t size, next;

        memcpy(&size, head + 8, sizeof(size));
        size &= ~(uint64_t)FLAGS;
        if (size < 2 * HEADER || size >> 40 || !word_now(j, chunk + size + 8, &next))
                return 0;
        return next & PREV_INUSE ? size : 0;
}

/* Head, contents, the next one's head, and the head once more: a chunk that was freed or given anew meanwhile is
 * dropped. */
static bool take_sample(GrowthJob *j, uint64_t chunk, const FreshDrawn *d, bool show, GrowthDraft *ret) {
        unsigned char copy[HEADER + GROWTH_TEXT_READ];
        size_t n = sizeof(copy);
        const void *p = read_now(j, chunk, n);
        GrowthSample *s = ret->told;
        uint64_t size, again;

        for (; !p && n > 2 * HEADER; p = read_now(j, chunk, n)) /* at the very end of the heap */
                n = n > HEADER + sizeof(ret->words) ? HEADER + sizeof(ret->words) : 2 * HEADER;
        if (!p)
                return false;
        memcpy(copy, p, n);
        size = used_size(j, chunk, copy);
        if (size == 0 || size_class(size) != d->class || !word_now(j, chunk + 8, &again) ||
            memcmp(&again, copy + 8, sizeof(again)) != 0)
                return false;
        *s = (GrowthSample){.class = d->class, .size_bytes = size};
        n = (size_t)min_of((uint64_t)n - HEADER, size - 8); /* the last word is the next one's prev_size */
        memcpy(ret->words, copy + HEADER, min_of(n, sizeof(ret->words)));
        holds_judge(&j->maps, &j->owners, copy + HEADER, n, size - 8, s->words);
        if (show) {
                s->n_content = (uint32_t)min_of(n, (size_t)GROWTH_CONTENT_BYTES);
                memcpy(s->content, copy + HEADER, s->n_content);
        }
        return true;
}

static void take_samples(GrowthJob *j, const GrowthAsk *ask, const FreshDrawn *d, GrowthDraft *drafts) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < d->n && n < ask->n_samples && j->out.n_samples < GROWTH_SAMPLES_ALL; i++) {
                GrowthDraft *at = &drafts[j->out.n_samples];

                at->told = &j->told_samples[j->out.n_samples];
                if (!take_sample(j, d->addr[i], d, ask->show_content, at)) {
                        j->out.n_torn++;
                        continue;
                }
                j->out.n_samples++;
                n++;
        }
}

static int sample(GrowthJob *j, const GrowthAsk *ask, const Draw *d) {
        _cleanup_free_ GrowthDraft *drafts = calloc(GROWTH_SAMPLES_ALL, sizeof(*drafts));

        j->told_samples = calloc(GROWTH_SAMPLES_ALL, sizeof(*j->told_samples));
        if (!drafts || !j->told_samples)
                return -ENOMEM;
        for (uint32_t i = 0; i < d->n_classes; i++)
                take_samples(j, ask, &d->drawn[i], drafts);
        growth_name_symbols(j, drafts, j->out.n_samples);
        growth_name_pythons(j, drafts, j->out.n_samples);
        j->out.flags |= GROWTH_COMPARED;
        return 0;
}

int growth_compare(GrowthJob *j, uint64_t start_ticks, const GrowthAsk *ask, int kept_fd) {
        Draw d = {.n_classes = ask->n_classes};
        int r = fresh_load(kept_fd, j->pid, start_ticks, &d.fresh);

        if (r == -ENODATA)
                return 0; /* told by the flag that is missing */
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < d.n_classes; i++) {
                d.drawn[i].class = ask->classes[i];
                d.drawn[i].max = min_of(2 * ask->n_samples, (uint32_t)FRESH_DRAWN_MAX);
        }
        j->out.one_in = 1ULL << d.fresh.shift;
        r = d.fresh.blind ? 0 : walk_arenas(j, &d);
        fresh_done(&d.fresh);
        return r < 0 || d.fresh.blind ? r : sample(j, ask, &d);
}
