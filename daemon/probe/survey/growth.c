/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/growth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/inject/facts.h"
#include "probe/survey/growth-job.h"
#include "probe/survey/python.h"
#include "probe/survey/survey.h"
#include "util/clock.h"

static void job_done(GrowthJob *j) {
        free(j->told_maps);
        free(j->told_threads);
        free(j->told_samples);
        glibc_done(&j->glibc);
        window_done(&j->window);
        ranges_done(&j->owners);
        pages_done(&j->pages);
        maps_done(&j->maps);
}

static int find_glibc(GrowthJob *j) {
        int r = window_init(&j->window, source_read, &j->source);

        if (r < 0)
                return r;
        r = survey_find_glibc(&j->window, &j->maps, &j->glibc);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        j->have_glibc = true;
        return owners_of_glibc(&j->window, &j->glibc, &j->maps, &j->owners);
}

/* ---- mappings */

/* Whose most of it is: maps of different owners that lie side by side are one in the kernel's list. */
static PartKind owner_of(const Ranges *owners, const Map *m, PartKind kind) {
        uint64_t bytes[_PART_MAX] = {0}, left = m->end - m->start;
        PartKind best = kind;

        for (size_t i = ranges_first(owners, m->start); i < owners->n && owners->range[i].start < m->end; i++) {
                const Range *r = &owners->range[i];
                uint64_t n = min_of(r->end, m->end) - max_of(r->start, m->start);

                bytes[r->kind] += n;
                left -= min_of(left, n);
        }
        bytes[kind] += left;
        for (unsigned k = 0; k < _PART_MAX; k++)
                if (bytes[k] > bytes[best])
                        best = (PartKind)k;
        return best;
}

/* With all places taken the one with the least in memory makes room. A process with so many maps is rare, and may be
 * read slowly. */
static GrowthMap *place_for(GrowthJob *j, uint64_t rss_bytes) {
        GrowthMap *least = &j->told_maps[0];

        if (j->out.n_maps < GROWTH_MAPS_MAX)
                return &j->told_maps[j->out.n_maps++];
        j->out.flags |= GROWTH_MAPS_CUT;
        for (uint32_t i = 1; i < j->out.n_maps; i++)
                if (j->told_maps[i].rss_bytes < least->rss_bytes)
                        least = &j->told_maps[i];
        return least->rss_bytes < rss_bytes ? least : NULL;
}

static int take_map(void *userdata, const Map *map, PartKind kind, const char *name, const Part *sum) {
        GrowthJob *j = userdata;
        GrowthMap *m;

        if (sum->rss_bytes == 0 && sum->swap_bytes == 0)
                return 0; /* nothing of it: as if it were not there */
        m = place_for(j, sum->rss_bytes);
        if (!m)
                return 0;
        *m = (GrowthMap){.start = map->start,
                         .end = map->end,
                         .rss_bytes = sum->rss_bytes,
                         .swap_bytes = sum->swap_bytes,
                         .kind = kind};
        if (kind != PART_FILES && kind != PART_SHARED && kind != PART_KERNEL)
                m->kind = owner_of(&j->owners, map, kind);
        memcpy(m->name, name, strnlen(name, sizeof(m->name) - 1));
        return 0;
}

static int by_address(const void *a, const void *b) {
        const GrowthMap *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

static int read_maps(GrowthJob *j) {
        int r;

        j->told_maps = calloc(GROWTH_MAPS_MAX, sizeof(*j->told_maps));
        if (!j->told_maps)
                return -ENOMEM;
        ranges_sort(&j->owners);
        r = breakdown_each(j->proc_fd, PART_ANONYMOUS, take_map, j);
        if (r == 0 && j->out.n_maps == 0)
                return -ESRCH; /* a process without memory is one that ends */
        if (r == 0)
                qsort(j->told_maps, j->out.n_maps, sizeof(*j->told_maps), by_address);
        return r;
}

/* ---- the whole */

static int walk(GrowthJob *j, const GrowthRun *g) {
        if (!j->have_glibc || g->mode == GROWTH_PLACES)
                return 0;
        return g->mode == GROWTH_REMEMBER ? growth_remember(j, g->start_ticks, g->kept_fd)
                                          : growth_compare(j, g->start_ticks, g->ask, g->kept_fd);
}

static int run(GrowthJob *j, const GrowthRun *g) {
        Facts f;
        int r = facts_read(j->proc_fd, &f);

        if (r < 0)
                return r;
        j->ns_pid = f.ns_tid ? f.ns_tid : j->pid;
        r = maps_read(j->proc_fd, &j->maps);
        if (r < 0)
                return r;
        r = pages_open(&j->pages, j->proc_fd);
        if (r < 0 && r != -EACCES && r != -EPERM && r != -ENOENT)
                return r;
        r = find_glibc(j);
        if (r == 0)
                r = survey_python(j->proc_fd, &j->source, &j->maps, &j->owners, &(SurveyPython){0});
        if (r >= 0)
                r = growth_threads(j);
        if (r == 0)
                r = read_maps(j);
        return r < 0 ? r : walk(j, g);
}

static int put(int fd, const void *p, size_t n) {
        for (size_t done = 0; done < n;) {
                ssize_t r = write(fd, (const char *)p + done, n - done);

                if (r <= 0)
                        return r < 0 ? -errno : -EIO;
                done += (size_t)r;
        }
        return 0;
}

static int write_out(const GrowthJob *j, int fd) {
        int r = put(fd, &j->out, sizeof(j->out));

        if (r == 0)
                r = put(fd, j->told_maps, j->out.n_maps * sizeof(*j->told_maps));
        if (r == 0)
                r = put(fd, j->told_threads, j->out.n_threads * sizeof(*j->told_threads));
        if (r == 0 && j->out.n_samples)
                r = put(fd, j->told_samples, j->out.n_samples * sizeof(*j->told_samples));
        return r;
}

int growth_run(const GrowthRun *g, int out_fd) {
        GrowthJob j = {.proc_fd = g->proc_pid_fd, .pid = g->pid, .pages = PAGES_NULL};
        uint64_t begin = now_mono_usec(), cpu = now_cpu_usec();
        int r;

        j.out = (Growth){.magic = GROWTH_MAGIC, .size = sizeof(j.out), .begin_usec = now_boot_usec()};
        j.source = (Source){.pid = g->pid,
                            .pages = &j.pages,
                            .deadline_usec = begin + g->budget_usec,
                            .out_of_time = &j.out_of_time};
        r = run(&j, g);
        if (j.out_of_time)
                j.out.flags |= GROWTH_OUT_OF_TIME;
        j.out.duration_usec = now_mono_usec() - begin;
        j.out.cpu_usec = now_cpu_usec() - cpu;
        if (r == 0)
                r = write_out(&j, out_fd);
        job_done(&j);
        return r;
}
