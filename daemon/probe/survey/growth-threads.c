/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/growth-job.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "probe/inject/facts.h"
#include "util/parse.h"
#include "util/rootfs.h"

enum {
        SLOT_SPAN =
                16 * 1024, /* of TLS below the thread pointer that is searched: libc's is close, behind the program's */
        SLOT_THREADS = 32, /* that are searched; of the others one word is read */
        PAGE = PAGES_PAGE,
};

/* ---- which arena: `thread_arena` (malloc/arena.c) is a static TLS variable, in no symbol table that is loaded. It is
 * the one word that in every thread is an arena's address, or 0 in one that has not allocated. */

static bool is_arena(const Glibc *g, uint64_t addr) {
        for (size_t i = 0; i < g->n_arenas; i++)
                if (g->arenas[i].addr == addr)
                        return true;
        return false;
}

/* Words below @tcb, from it downwards; what cannot be read is no candidate. */
static void judge_words(Window *w, const Glibc *g, uint64_t tcb, uint16_t *hits, bool *bad) {
        uint64_t at = tcb;

        while (at > tcb - SLOT_SPAN) {
                uint64_t from = max_of((at - 1) & ~(uint64_t)(PAGE - 1), tcb - SLOT_SPAN);
                const unsigned char *p = window_peek(w, from, at - from);

                if (!p)
                        break;
                for (uint64_t k = from; k < at; k += 8) {
                        size_t i = (tcb - k) / 8 - 1;
                        uint64_t v;

                        memcpy(&v, p + (k - from), sizeof(v));
                        if (v == 0)
                                continue;
                        if (is_arena(g, v))
                                hits[i]++;
                        else
                                bad[i] = true;
                }
                at = from;
        }
        for (size_t i = (tcb - at) / 8; i < SLOT_SPAN / 8; i++)
                bad[i] = true;
}

uint64_t growth_slot(Window *w, const Glibc *g, const uint64_t *tcbs, size_t n) {
        uint16_t hits[SLOT_SPAN / 8] = {0};
        bool bad[SLOT_SPAN / 8] = {0};
        uint64_t found = 0;

        for (size_t i = 0; i < min_of(n, (size_t)SLOT_THREADS); i++)
                if (tcbs[i] % 8 == 0 && tcbs[i] > SLOT_SPAN)
                        judge_words(w, g, tcbs[i], hits, bad);
        for (size_t i = 0; i < SLOT_SPAN / 8; i++) {
                if (hits[i] == 0 || bad[i])
                        continue;
                if (found)
                        return 0;
                found = (i + 1) * 8;
        }
        return found;
}

/* ---- threads */

typedef struct Found {
        OwnersThread thread;
        uint64_t arena;
} Found;

typedef struct Finder {
        Found *found; /* GROWTH_THREADS_MAX */
        size_t n;
} Finder;

static int by_tid(const void *a, const void *b) {
        const Found *x = a, *y = b;

        return x->thread.ns_tid < y->thread.ns_tid ? -1 : x->thread.ns_tid > y->thread.ns_tid;
}

static int take_found(void *userdata, const OwnersThread *t) {
        Finder *f = userdata;

        if (f->n < GROWTH_THREADS_MAX)
                f->found[f->n++].thread = *t;
        return 0;
}

/* The word of each thread. An arena that counts fewer threads than have it says that it is the wrong one. */
static bool read_arenas(GrowthJob *j, Finder *f) {
        _cleanup_free_ uint64_t *tcbs = calloc(f->n + 1, sizeof(*tcbs));
        uint64_t slot;

        if (!tcbs || f->n == 0)
                return false;
        for (size_t i = 0; i < f->n; i++)
                tcbs[i] = f->found[i].thread.tcb;
        slot = growth_slot(&j->window, &j->glibc, tcbs, f->n);
        for (size_t i = 0; slot && i < f->n; i++) {
                uint64_t v;

                window_forget(&j->window);
                if (!window_u64(&j->window, tcbs[i] - slot, &v) || (v && !is_arena(&j->glibc, v)))
                        return false;
                f->found[i].arena = v;
        }
        for (size_t a = 0; slot && j->glibc.layout->has_attached && a < j->glibc.n_arenas; a++) {
                uint64_t n = 0;

                for (size_t i = 0; i < f->n; i++)
                        n += f->found[i].arena == j->glibc.arenas[a].addr;
                if (n > j->glibc.arenas[a].n_attached)
                        return false;
        }
        return slot != 0;
}

static void read_comm(int task_fd, const char *tid, char *ret, size_t size) {
        char path[32], text[32];
        ssize_t n;

        snprintf(path, sizeof(path), "%.15s/comm", tid);
        n = rootfs_read(task_fd, path, text, sizeof(text));
        if (n > 0 && text[n - 1] == '\n')
                n--;
        if (n > 0)
                memcpy(ret, text, min_of((size_t)n, size - 1));
}

static void take_stack(GrowthJob *j, const Found *found, GrowthThread *t) {
        uint64_t start = found ? found->thread.stack_start : 0, end = found ? found->thread.stack_end : 0, swapped = 0;

        for (size_t i = 0; t->tid == j->pid && i < j->maps.n; i++)
                if (strcmp(maps_path(&j->maps, &j->maps.map[i]), "[stack]") == 0) {
                        start = j->maps.map[i].start;
                        end = j->maps.map[i].end;
                }
        if (start == end || pages_count(&j->pages, start, end, &t->stack_rss_bytes, &swapped) < 0)
                return;
        t->stack_start = start;
        t->stack_end = end;
        t->flags |= GROWTH_THREAD_STACK;
}

static void take_task(GrowthJob *j, const Finder *f, int task_fd, const char *name) {
        GrowthThread t = {0};
        _cleanup_fd_ int fd = rootfs_open_dir(task_fd, name);
        const Found *found;
        Found key = {0};
        uint64_t tid;
        Facts facts;

        if (fd < 0 || facts_read(fd, &facts) < 0 || parse_u64(name, &tid) < 0 || tid > INT32_MAX)
                return; /* it has ended meanwhile */
        t.tid = (int32_t)tid;
        read_comm(task_fd, name, t.comm, sizeof(t.comm));
        key.thread.ns_tid = facts.ns_tid ? facts.ns_tid : t.tid;
        found = bsearch(&key, f->found, f->n, sizeof(key), by_tid);
        take_stack(j, found, &t);
        if (found && (j->out.flags & GROWTH_ARENA_SLOT)) {
                t.arena = found->arena;
                t.flags |= GROWTH_THREAD_ARENA;
        }
        j->told_threads[j->out.n_threads++] = t;
}

static int read_tasks(GrowthJob *j, const Finder *f) {
        int fd = rootfs_open_dir(j->proc_fd, "task");
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!dir) {
                fd_close(fd);
                return fd < 0 ? fd : -ENOMEM;
        }
        while ((e = readdir(dir))) {
                if (e->d_name[0] < '0' || e->d_name[0] > '9')
                        continue;
                if (j->out.n_threads == GROWTH_THREADS_MAX) {
                        j->out.flags |= GROWTH_THREADS_CUT;
                        break;
                }
                take_task(j, f, fd, e->d_name);
        }
        closedir(dir);
        return j->out.n_threads ? 0 : -ESRCH;
}

int growth_threads(GrowthJob *j) {
        _cleanup_free_ Found *found = calloc(GROWTH_THREADS_MAX, sizeof(*found));
        Finder f = {.found = found};
        int r;

        j->told_threads = calloc(GROWTH_THREADS_MAX, sizeof(*j->told_threads));
        if (!found || !j->told_threads)
                return -ENOMEM;
        r = owners_of_threads(&j->window, &j->maps, j->ns_pid, &j->owners, take_found, &f);
        if (r < 0)
                return r;
        qsort(found, f.n, sizeof(*found), by_tid);
        if (j->have_glibc && read_arenas(j, &f))
                j->out.flags |= GROWTH_ARENA_SLOT;
        return read_tasks(j, &f);
}
