/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/passive.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe/inject/access.h"
#include "probe/inject/facts.h"
#include "probe/inject/remote.h"
#include "probe/python/census.h"
#include "probe/python/referents.h"
#include "probe/python/walk.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define BUDGET_DEFAULT_MSEC 2000u
#define BUDGET_MAX_MSEC     600000u
#define THREADS_MAX         65536u

typedef struct Session {
        const ProbeRequest *req;
        ProbeReply *reply;
        int proc_fd;
        Cache cache;
        Memory symbols;
        Maps maps;
        Python python;
        Types types;
        Pymalloc pymalloc;
        Referents referents;
        bool look_inside; /* at what objects hold */
        PythonCensus census;
} Session;

static void session_done(Session *s) {
        types_done(&s->types);
        referents_done(&s->referents);
        pymalloc_done(&s->pymalloc);
        maps_done(&s->maps);
        cache_done(&s->cache);
        s->proc_fd = fd_close(s->proc_fd);
}

static ssize_t fetch(void *userdata, uint64_t addr, void *buf, size_t n) {
        return remote_read_some(*(const pid_t *)userdata, addr, buf, n);
}

static ProbeResult failure(Session *s, int r) {
        Facts f;

        if (r == -ESRCH || r == -ENOENT)
                return PROBE_E_GONE;
        if (r == -EACCES || r == -EPERM) {
                if (facts_read(s->proc_fd, &f) == 0)
                        access_explain(s->proc_fd, &f, s->reply->detail, sizeof(s->reply->detail));
                return PROBE_E_ACCESS;
        }
        snprintf(s->reply->detail, sizeof(s->reply->detail), "%s", strerror(-r));
        return PROBE_E_INTERNAL;
}

static ProbeResult open_target(Session *s) {
        char path[32];
        uint64_t ticks;
        Facts f;
        int r;

        snprintf(path, sizeof(path), "/proc/%d", s->req->pid);
        s->proc_fd = rootfs_open_dir(AT_FDCWD, path);
        r = s->proc_fd < 0 ? s->proc_fd : facts_start_ticks(s->proc_fd, &ticks);
        if (r == 0 && ticks != s->req->start_ticks)
                r = -ESRCH;
        if (r == 0)
                r = facts_read(s->proc_fd, &f);
        if (r < 0)
                return failure(s, r);
        if (f.state == 'Z' || f.state == 'X')
                return PROBE_E_ZOMBIE;
        r = maps_read(s->proc_fd, &s->maps);
        if (r < 0)
                return failure(s, r);
        s->symbols = memory_of_process(s->req->pid);
        r = cache_init(&s->cache, fetch, (void *)(uintptr_t)&s->req->pid);
        return r < 0 ? failure(s, r) : PROBE_OK;
}

static void count_threads(Session *s) {
        unsigned n = 0;

        for (unsigned i = 0; i < s->python.n_interpreters; i++) {
                uint64_t at;

                if (!cache_fresh(&s->cache, s->python.interpreter[i] + s->python.l.threads, &at, sizeof(at)))
                        return;
                for (; at && n < THREADS_MAX; n++)
                        if (!cache_word(&s->cache, at + THREAD_NEXT, &at))
                                return;
        }
        if (s->python.n_interpreters > 0 && n > 0) {
                s->census.n_threads = n;
                s->census.flags |= PYTHON_HAVE_THREADS;
        }
}

static void visit(void *userdata, const TypeInfo *type, uint64_t addr, int64_t ob_size) {
        referents_visit(userdata, type, addr, ob_size);
}

static void walk_heaps(Session *s, uint64_t deadline_usec) {
        bool complete = s->python.all_interpreters || s->python.minor <= 8, torn = false;

        for (unsigned i = 0; i < s->python.n_heaps; i++) {
                WalkResult w;

                walk_run(&s->python, &s->python.heap[i], &s->types, deadline_usec, s->look_inside ? visit : NULL,
                         &s->referents, &w);
                complete &= w.complete;
                torn |= w.torn;
                s->census.n_retries += w.n_retries;
        }
        s->census.flags |= (complete ? PYTHON_COMPLETE : 0) | (torn ? PYTHON_TORN : 0);
}

static void add(PythonCount *to, PythonCount c) {
        to->n_objects += c.n_objects;
        to->bytes += c.bytes;
}

static void sum_up(Session *s) {
        PythonCensus *c = &s->census;
        uint64_t n_tasks = 0;

        for (unsigned i = 0; i <= s->types.n; i++) {
                const TypeEntry *e = &s->types.entry[i < s->types.n ? i : PYTHON_TYPES_MAX];
                PythonCount total = types_total(e);

                add(&c->all, total);
                if (i == s->types.n)
                        c->others = total;
                if (e->is_task)
                        n_tasks += total.n_objects;
                for (unsigned g = 0; g < PYTHON_GENERATIONS; g++)
                        add(&c->generations[g], e->sum[g]);
        }
        if (s->look_inside)
                referents_finish(&s->referents);
        if (s->look_inside && !s->referents.late && (c->flags & PYTHON_COMPLETE)) {
                c->strings = referents_count(&s->referents, TYPE_STR);
                c->bytes = referents_count(&s->referents, TYPE_BYTES);
                c->bytearrays = referents_count(&s->referents, TYPE_BYTEARRAY);
                c->sample_every = referents_every(&s->referents);
                c->flags |= PYTHON_HAVE_UNTRACKED | (c->sample_every > 1 ? PYTHON_SAMPLED : 0);
        }
        c->n_tasks = (uint32_t)min_of(n_tasks, (uint64_t)UINT32_MAX);
        c->flags |= PYTHON_HAVE_TASKS;
        c->n_types = s->types.n;
}

static int by_bytes(const void *a, const void *b, void *userdata) {
        const Types *t = userdata;
        PythonCount x = types_total(&t->entry[*(const uint16_t *)a]), y = types_total(&t->entry[*(const uint16_t *)b]);

        return x.bytes != y.bytes           ? (x.bytes < y.bytes ? 1 : -1)
               : x.n_objects != y.n_objects ? (x.n_objects < y.n_objects ? 1 : -1)
                                            : 0;
}

static bool put(int fd, const void *p, size_t n) {
        return write(fd, p, n) == (ssize_t)n;
}

/* The types that have objects, largest first. */
static ProbeResult write_out(Session *s, int memfd) {
        static uint16_t order[PYTHON_TYPES_MAX];
        unsigned n = 0;

        for (unsigned i = 0; i < s->types.n; i++)
                if (types_total(&s->types.entry[i]).n_objects > 0)
                        order[n++] = (uint16_t)i;
        s->census.n_types = n;
        qsort_r(order, n, sizeof(order[0]), by_bytes, &s->types);
        if (!put(memfd, &s->census, sizeof(s->census)))
                return failure(s, -EIO);
        for (unsigned i = 0; i < n; i++) {
                const TypeEntry *e = &s->types.entry[order[i]];
                PythonType t = {.count = types_total(e)};

                memcpy(t.name, e->name, sizeof(t.name));
                if (!put(memfd, &t, sizeof(t)))
                        return failure(s, -EIO);
        }
        return PROBE_OK;
}

static ProbeResult run(Session *s, int memfd) {
        uint32_t msec = s->req->budget_msec ? min_of(s->req->budget_msec, BUDGET_MAX_MSEC) : BUDGET_DEFAULT_MSEC;
        uint64_t begin = now_mono_usec();
        ProbeResult p;
        int r;

        s->census = (PythonCensus){.magic = PYTHON_CENSUS_MAGIC,
                                   .size = sizeof(s->census),
                                   .mode = PYTHON_PASSIVE,
                                   .sample_every = 1,
                                   .begin_usec = now_boot_usec()};
        p = open_target(s);
        if (p != PROBE_OK)
                return p;
        p = python_locate(&s->cache, &s->symbols, &s->maps, python_exe(s->proc_fd, &s->maps), &s->python,
                          s->reply->detail, sizeof(s->reply->detail));
        if (p != PROBE_OK)
                return p;
        memcpy(s->census.version, s->python.version, sizeof(s->census.version));
        s->census.n_interpreters = max_of(s->python.n_interpreters, 1u);
        r = types_init(&s->types, &s->python);
        if (r < 0)
                return failure(s, r);
        count_threads(s);
        r = pymalloc_read(&s->python, &s->census, &s->pymalloc);
        if (r < 0)
                return failure(s, r);
        r = referents_init(&s->referents, &s->python, &s->pymalloc, begin + msec * USEC_PER_MSEC / 4);
        if (r == -ENOMEM)
                return failure(s, r);
        s->look_inside = r == 0 && !(s->req->value & PYTHON_LISTS_ONLY);
        walk_heaps(s, begin + msec * USEC_PER_MSEC);
        sum_up(s);
        s->census.duration_usec = now_mono_usec() - begin;
        s->census.cpu_usec = now_cpu_usec();
        return write_out(s, memfd);
}

void passive_run(const ProbeRequest *req, int memfd, ProbeReply *reply) {
        _cleanup_(session_done) Session s = {.req = req, .reply = reply, .proc_fd = -1};
        uint64_t ticks;

        reply->result = run(&s, memfd);
        /* a process that ends under our hands looks like many things; what happened is that it ended */
        if (reply->result != PROBE_OK && s.proc_fd >= 0 && facts_start_ticks(s.proc_fd, &ticks) < 0) {
                reply->result = PROBE_E_GONE;
                reply->detail[0] = '\0';
        }
}
