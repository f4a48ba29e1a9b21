/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/inject/facts.h"
#include "probe/inject/image.h"
#include "probe/inject/maps.h"
#include "probe/survey/owners.h"
#include "probe/survey/source.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define FIND_TRIES 5
#define EXEC_TRIES 3
#define PLACES_MAX 512 /* writable maps of files, in which main_arena may lie */

typedef struct Job {
        int proc_fd;
        pid_t pid, ns_pid;
        Survey *out;
        Maps maps;
        Pages pages;
        Source source;
        Window window;
        Glibc glibc;
        HeapWalk walk;
        Ranges owners;
        bool out_of_time;
} Job;

static void job_done(Job *j) {
        heap_walk_done(&j->walk);
        glibc_done(&j->glibc);
        window_done(&j->window);
        ranges_done(&j->owners);
        pages_done(&j->pages);
        maps_done(&j->maps);
}

/* Writable maps of files with the .bss behind them: libc's .data or a static program's. */
static size_t places_of(const Maps *m, GlibcPlace *ret, size_t max) {
        size_t n = 0;

        for (size_t i = 0; i < m->n && n < max; i++) {
                const Map *map = &m->map[i];

                if ((map->prot & (MAP_R | MAP_W | MAP_SHARED_BIT)) != (MAP_R | MAP_W) || maps_path(m, map)[0] != '/')
                        continue;
                ret[n] = (GlibcPlace){map->start, map->end};
                if (i + 1 < m->n && map[1].start == map->end && map[1].inode == 0 && (map[1].prot & MAP_W))
                        ret[n].end = map[1].end;
                n++;
        }
        return n;
}

int survey_find_glibc(Window *w, const Maps *maps, Glibc *ret) {
        static GlibcPlace places[PLACES_MAX];
        size_t n = places_of(maps, places, PLACES_MAX);
        int r = -EAGAIN;

        for (int i = 0; i < FIND_TRIES && r == -EAGAIN; i++)
                r = glibc_find(w, places, n, ret);
        if (r == 0)
                ret->maps = maps;
        return r;
}

static int by_size(const void *a, const void *b) {
        const SurveyArena *x = a, *y = b;

        return x->system_bytes > y->system_bytes ? -1 : x->system_bytes < y->system_bytes;
}

static uint64_t free_of(const HeapStats *h) {
        return h->free_bytes + h->fast_bytes + h->top_bytes;
}

/* One of the largest so far? */
static void tell_arena(Survey *s, const GlibcArena *a, const HeapStats *h, bool counted, bool torn) {
        SurveyArena *at = NULL, one = {
                                        .addr = a->addr,
                                        .system_bytes = a->system_bytes,
                                        .in_use_bytes = a->system_bytes - min_of(a->system_bytes, free_of(h)),
                                        .free_bytes = free_of(h),
                                        .top_bytes = h->top_bytes,
                                        .trim_resident_bytes = h->trim_resident_bytes,
                                        .pinned_bytes = h->pinned_bytes,
                                        .n_used = h->n_used,
                                        .n_free = h->n_free + h->n_fast,
                                        .n_attached = counted ? (uint32_t)a->n_attached : SURVEY_UNCOUNTED,
                                        .torn = torn,
                                };

        if (s->n_arenas_told < SURVEY_ARENAS_MAX)
                at = &s->arenas[s->n_arenas_told++];
        else
                for (size_t i = 0; i < SURVEY_ARENAS_MAX; i++)
                        if (!at || s->arenas[i].system_bytes < at->system_bytes)
                                at = &s->arenas[i];
        if (at->system_bytes < one.system_bytes || at->addr == 0)
                *at = one;
}

static int walk_arenas(Job *j) {
        static HeapStats stats; /* 8 KiB */
        Survey *s = j->out;
        bool whole = j->glibc.ring_closed;

        s->heap.trim_known = true;
        for (size_t i = 0; i < j->glibc.n_arenas; i++) {
                GlibcArena *a = &j->glibc.arenas[i];
                int r = heap_walk_arena(&j->walk, a, &stats);

                if (r == -ENOMEM)
                        return r;
                whole &= r == 0;
                heap_add(&s->heap, &stats);
                s->n_arenas++;
                s->system_bytes += a->system_bytes;
                s->free_bytes += free_of(&stats);
                tell_arena(s, a, &stats, j->glibc.layout->has_attached, r < 0);
                if (j->out_of_time)
                        break;
        }
        s->in_use_bytes = s->system_bytes - min_of(s->system_bytes, s->free_bytes);
        qsort(s->arenas, s->n_arenas_told, sizeof(s->arenas[0]), by_size);
        s->flags |= SURVEY_HAVE_HEAP;
        if (!j->glibc.ring_closed)
                s->heap.n_torn++;
        if (whole && !j->out_of_time)
                s->flags |= SURVEY_HEAP_COMPLETE;
        if (s->heap.trim_known)
                s->flags |= SURVEY_HAVE_TRIM;
        if (j->source.n_swapped)
                s->flags |= SURVEY_SWAPPED;
        return 0;
}

static void tell_params(Job *j) {
        const GlibcParams *p = &j->glibc.params;
        Survey *s = j->out;

        if (!p->known)
                return;
        s->flags |= SURVEY_HAVE_THRESHOLDS;
        s->n_mmapped = p->n_mmaps;
        s->mmapped_bytes = p->mmapped_bytes;
        s->mmap_threshold = p->mmap_threshold;
        s->trim_threshold = p->trim_threshold;
        s->thresholds_fixed = p->fixed_thresholds;
}

/* glibc's heap, also of a program whose malloc is another's: then it is small, or was used before that came. */
static int survey_heap(Job *j) {
        int r = window_init(&j->window, source_read, &j->source);

        if (r < 0)
                return r;
        j->walk = (HeapWalk){
                .window = &j->window, .pages = &j->pages, .glibc = &j->glibc, .out_of_time = &j->out_of_time};
        r = survey_find_glibc(&j->window, &j->maps, &j->glibc);
        if (r < 0) {
                j->out->heap.n_torn = r == -EAGAIN ? FIND_TRIES : 0;
                return r == -ENOMEM ? r : 0;
        }
        memcpy(j->out->layout, j->glibc.layout->versions,
               strnlen(j->glibc.layout->versions, sizeof(j->out->layout) - 1));
        tell_params(j);
        r = walk_arenas(j);
        return r < 0 ? r : owners_of_glibc(&j->window, &j->glibc, &j->maps, &j->owners);
}

static void tell_parts(Survey *s, const Breakdown *b) {
        s->n_parts = (uint32_t)min_of(b->n, (size_t)SURVEY_PARTS_MAX);
        memcpy(s->parts, b->parts, s->n_parts * sizeof(s->parts[0]));
        s->rss_bytes = b->whole.rss_bytes;
        s->pss_bytes = b->whole.pss_bytes;
        s->uss_bytes = b->whole.private_bytes;
        s->swap_bytes = b->whole.swap_bytes;
        s->huge_bytes = b->whole.huge_bytes;
        s->hugetlb_bytes = b->whole.hugetlb_bytes;
        s->flags |= SURVEY_HAVE_PARTS;
}

static int survey_parts(Job *j, PartKind anonymous) {
        Breakdown b;
        int r = owners_of_stacks(&j->window, &j->maps, j->ns_pid, &j->owners);

        if (r < 0)
                return r;
        ranges_sort(&j->owners);
        r = breakdown_read(j->proc_fd, &j->owners, &j->pages, anonymous, &b);
        if (r < 0)
                return r;
        tell_parts(j->out, &b);
        breakdown_done(&b);
        return 0;
}

/* Whose malloc is it? A name for people, and where memory of nobody known belongs. */
static PartKind name_allocator(Job *j) {
        static Image image; /* off the stack */
        char detail[PROBE_DETAIL_MAX];
        ProbeResult p = image_read(j->pid, j->proc_fd, &j->maps, &image, detail, sizeof(detail));

        if (p != PROBE_OK && image.runtime) {
                snprintf(j->out->allocator, sizeof(j->out->allocator), "%s", image.runtime);
                return PART_ALLOCATOR;
        }
        if (p != PROBE_OK || image.n_allocators == 0)
                return PART_ANONYMOUS;
        /* the second one's whole name may not fit: that there is one is what counts */
        snprintf(j->out->allocator, sizeof(j->out->allocator), "%.14s%s%.14s", image.allocators[0].name,
                 image.n_allocators > 1 ? " + " : "", image.n_allocators > 1 ? image.allocators[1].name : "");
        return image.allocators[0].kind == ALLOCATOR_GLIBC ? PART_ANONYMOUS : PART_ALLOCATOR;
}

static int run(Job *j) {
        PartKind anonymous;
        Facts f;
        int r = facts_read(j->proc_fd, &f);

        if (r < 0)
                return r;
        j->out->n_threads = f.n_threads;
        j->ns_pid = f.ns_tid ? f.ns_tid : j->pid;
        r = maps_read(j->proc_fd, &j->maps);
        if (r < 0)
                return r;
        r = pages_open(&j->pages, j->proc_fd);
        if (r < 0 && r != -EACCES && r != -EPERM && r != -ENOENT)
                return r;
        anonymous = name_allocator(j);
        distro_read(j->proc_fd, &j->out->distro);
        r = survey_heap(j);
        if (r >= 0)
                r = survey_python(j->proc_fd, &j->source, &j->maps, &j->owners, &j->out->python);
        if (r > 0)
                j->out->flags |= SURVEY_HAVE_PYTHON;
        if (r >= 0)
                r = survey_java(&j->source, &j->maps, &j->owners, &j->out->java);
        if (r > 0)
                j->out->flags |= SURVEY_HAVE_JAVA;
        return r < 0 ? r : survey_parts(j, anonymous);
}

/* What was open before belongs to the old program when another one was executed meanwhile, and ends with it; names and
 * what is opened later are the new one's. */
static bool has_executed(Job *j) {
        PageState state;
        uint64_t end;

        if (j->pages.fd < 0 || j->maps.n == 0)
                return false;
        pages_forget(&j->pages);
        return pages_run(&j->pages, j->maps.map[0].start, &state, &end) < 0;
}

static int run_once(Job *j, int proc_pid_fd, int32_t pid, uint64_t deadline_usec, Survey *ret) {
        int r;

        *ret = (Survey){.magic = SURVEY_MAGIC, .size = sizeof(*ret), .begin_usec = now_boot_usec()};
        *j = (Job){.proc_fd = proc_pid_fd, .pid = pid, .out = ret, .pages = PAGES_NULL};
        j->source = (Source){
                .pid = pid, .pages = &j->pages, .deadline_usec = deadline_usec, .out_of_time = &j->out_of_time};
        r = run(j);
        if (r >= 0 && has_executed(j))
                r = -ESTALE;
        if (j->out_of_time)
                ret->flags |= SURVEY_OUT_OF_TIME;
        ret->read_bytes = j->source.n_bytes;
        job_done(j);
        return r;
}

int survey_run(int proc_pid_fd, int32_t pid, uint64_t budget_usec, Survey *ret) {
        uint64_t begin = now_mono_usec(), cpu = now_cpu_usec();
        int r = -ESTALE;
        Job j;

        for (unsigned i = 0; i < EXEC_TRIES && r == -ESTALE; i++)
                r = run_once(&j, proc_pid_fd, pid, begin + budget_usec, ret);
        ret->duration_usec = now_mono_usec() - begin;
        ret->cpu_usec = now_cpu_usec() - cpu;
        return r == -ESTALE ? -ESRCH : r;
}
