/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/still.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe/inject/dynsym.h"
#include "probe/inject/remote.h"
#include "probe/inject/session.h"
#include "probe/python/census.h"
#include "probe/python/passive.h"
#include "util/clock.h"

#define BUDGET_DEFAULT_MSEC 500u
#define BUDGET_MAX_MSEC     10000u
#define SLACK_USEC          (2 * USEC_PER_MSEC) /* what two censuses of one quiet heap differ in */
#define GUESS_USEC          (4 * USEC_PER_MSEC)
#define LOOK_INSIDE_USEC    (USEC_PER_SEC)
#define PAUSES              20u /* the sleep is in pieces: one that has begun cannot be cut short */
#define TRIES_MAX           3u
#define POLL_NSEC           200000L
/* How long our thread waits to be given its calls; mostly it waits for 10 ms. It grows with each try. */
#define NAP_USEC (150 * USEC_PER_MSEC)
/* The frames for our thread, in the middle of its stack: it sleeps near the top, and needs little below. */
#define FRAMES_OFFSET (128u << 10)

/* In the target. */
typedef struct Box {
        uint64_t pause[PAUSES][2]; /* struct timespec */
        uint64_t begin[2], end[2]; /* of the standstill */
} Box;

typedef struct Still {
        const ProbeRequest *req;
        int memfd;
        PythonCensus full;  /* taken while it ran: has what is found by looking into objects, which takes long */
        PythonCensus first; /* of the lists alone, likewise: tells how long another one takes */
        uint64_t ensure, release, nanosleep, usleep;
        uint64_t budget_usec; /* of all standstills together */
        uint64_t pause_usec;  /* what the next should take */
        uint64_t held_usec;   /* what those before took */
        SessionPlan plan;
        Box box;
        bool exact, late;
} Still;

#define BOX(s, member) session_data(s, offsetof(Box, member))

static unsigned minor_of(const PythonCensus *c) {
        const char *dot = memchr(c->version, '.', sizeof(c->version) - 1);

        return dot ? (unsigned)strtoul(dot + 1, NULL, 10) : 0;
}

/* ---- before anything is touched ---- */

static ProbeResult find_gil_functions(Session *s, Still *t) {
        Memory mem = memory_of_process(s->b.pid);
        unsigned n = 0;
        Object o;

        for (size_t i = 0; object_next(&s->b.maps, &i, &o);) {
                Dynsym d;

                if (dynsym_open(&mem, o.first->start, &d) < 0 ||
                    (!dynsym_address(&d, "_PyRuntime") && !dynsym_address(&d, "_PyGC_generation0")))
                        continue;
                t->ensure = dynsym_address(&d, "PyGILState_Ensure");
                t->release = dynsym_address(&d, "PyGILState_Release");
                n++;
        }
        if (n != 1 || !t->ensure || !t->release) {
                session_say(s, n > 1 ? "there are %u CPythons in it" : "its PyGILState functions were not found", n);
                return PROBE_E_NO_PYTHON;
        }
        return PROBE_OK;
}

static ProbeResult find_sleep(Session *s, Still *t) {
        Memory mem = memory_of_process(s->b.pid);
        Dynsym d;

        if (dynsym_open(&mem, s->b.image.libc_start, &d) == 0) {
                t->nanosleep = dynsym_address(&d, "nanosleep");
                t->usleep = dynsym_address(&d, "usleep");
        }
        if (t->nanosleep && t->usleep)
                return PROBE_OK;
        session_say(s, "its nanosleep or usleep was not found");
        return PROBE_E_NO_LIBC;
}

/* PyGILState_Ensure() serves the main interpreter. From 3.12 on others may have a GIL of their own. Until 3.6 it makes
 * the GIL if nobody has needed one yet, and takes it from under a main thread that believes to be alone. */
static ProbeResult judge_gil(Session *s, const PythonCensus *c) {
        unsigned minor = minor_of(c);

        if (minor >= 12 && c->n_interpreters > 1) {
                session_say(s, "%u interpreters, each of which may have a GIL of its own", c->n_interpreters);
                return PROBE_E_NO_PYTHON;
        }
        if (minor <= 6 && s->threaded && !(c->flags & PYTHON_HAVE_THREADS && c->n_threads > 1)) {
                session_say(s, "CPython %s makes its GIL with the first Python thread, and none was seen", c->version);
                return PROBE_E_NO_PYTHON;
        }
        return PROBE_OK;
}

static ProbeResult judge(Session *s, void *userdata) {
        Still *t = userdata;
        ProbeResult p = judge_gil(s, &t->first);

        if (p == PROBE_OK && s->threaded)
                p = find_gil_functions(s, t);
        if (p == PROBE_OK)
                p = find_sleep(s, t);
        return p;
}

/* ---- the standstill ---- */

static void set_pause(uint64_t pause[2], uint64_t usec) {
        pause[0] = usec / USEC_PER_SEC;
        pause[1] = usec % USEC_PER_SEC * 1000;
}

/* What it should take, and then as far as the budget goes pieces of a third of all before: so much too long at most. */
static void fill_pauses(Still *t) {
        uint64_t all = 0, piece = t->pause_usec, left = t->budget_usec - min_of(t->budget_usec, t->held_usec);

        t->box = (Box){0};
        for (unsigned i = 0; i < PAUSES; i++) {
                piece = min_of(piece, left - all);
                set_pause(t->box.pause[i], piece);
                all += piece;
                piece = all / 3;
        }
}

static void cut_short(Session *s) {
        static const uint64_t none[PAUSES][2];

        remote_write(s->b.pid, BOX(s, pause), none, sizeof(none));
}

static size_t add_standstill(Session *s, const Still *t, Call *calls) {
        uint64_t clock = s->b.image.sym.clock_gettime;
        size_t n = 0;

        calls[n++] = (Call){clock, {CLOCK_MONOTONIC, BOX(s, begin)}};
        for (unsigned i = 0; i < PAUSES; i++)
                calls[n++] = (Call){t->nanosleep, {BOX(s, pause[i]), 0}};
        calls[n++] = (Call){clock, {CLOCK_MONOTONIC, BOX(s, end)}};
        return n;
}

static ProbeResult wait_for_standstill(Session *s, const Still *t) {
        uint64_t begin[2];
        pid_t tid;

        for (;;) {
                if (session_read(s, offsetof(Box, begin), begin, sizeof(begin)) < 0)
                        return PROBE_E_GONE;
                if (begin[0] || begin[1])
                        return PROBE_OK;
                if (now_mono_usec() > s->finish_usec)
                        return PROBE_E_TIMEOUT;
                /* until 3.13 a thread that asks for the GIL of an interpreter that is ending is ended instead */
                if (t->plan.own_function && session_own_thread(s, &tid) < 0) {
                        session_say(s, "its interpreter is ending");
                        return PROBE_E_NO_SAFE_THREAD;
                }
                nanosleep(&(struct timespec){.tv_nsec = POLL_NSEC}, NULL);
        }
}

/* Did the census end, with all objects in their lists, while all stood still? Then it says so. */
static bool is_exact(Session *s, const Still *t, PythonCensus c) {
        uint64_t end[2];

        if (session_read(s, offsetof(Box, end), end, sizeof(end)) < 0 || end[0] != 0 || end[1] != 0 ||
            !(c.flags & PYTHON_COMPLETE) || c.flags & PYTHON_TORN || c.n_retries != 0)
                return false;
        if (t->full.flags & PYTHON_HAVE_UNTRACKED) {
                c.flags |= t->full.flags & (PYTHON_HAVE_UNTRACKED | PYTHON_SAMPLED);
                c.sample_every = t->full.sample_every;
                c.strings = t->full.strings;
                c.bytes = t->full.bytes;
                c.bytearrays = t->full.bytearrays;
        }
        c.mode = PYTHON_INJECTED;
        c.n_threads -= s->threaded && c.n_threads > 0; /* ours */
        return pwrite(t->memfd, &c, sizeof(c), 0) == (ssize_t)sizeof(c);
}

/* Into the memfd, from its beginning. @value: PYTHON_LISTS_ONLY or 0. */
static ProbeResult count(const Still *t, int64_t value, uint64_t budget_usec, PythonCensus *ret, ProbeReply *reply) {
        ProbeRequest q = *t->req;
        uint64_t begin = now_cpu_usec();

        q.budget_msec = (uint32_t)(budget_usec / USEC_PER_MSEC);
        q.value = value;
        if (ftruncate(t->memfd, 0) < 0 || lseek(t->memfd, 0, SEEK_SET) < 0)
                return PROBE_E_INTERNAL;
        passive_run(&q, t->memfd, reply);
        if (reply->result == PROBE_OK && pread(t->memfd, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
                return PROBE_E_INTERNAL;
        ret->cpu_usec = now_cpu_usec() - begin;
        return (ProbeResult)reply->result;
}

static ProbeResult take_census(Session *s, Still *t) {
        ProbeReply reply = {0};
        PythonCensus c;
        ProbeResult p = count(t, PYTHON_LISTS_ONLY, t->budget_usec, &c, &reply);

        if (p == PROBE_OK)
                t->exact = is_exact(s, t, c);
        else
                session_say(s, "%s", reply.detail);
        return p;
}

/* A chain holds the interpreter, or soon will. */
static ProbeResult while_still(Session *s, void *userdata) {
        ProbeResult p = wait_for_standstill(s, userdata);

        if (p == PROBE_OK)
                p = take_census(s, userdata);
        cut_short(s);
        return p;
}

/* ---- a thread of our own ---- */

static void calls_gil(void *userdata, Call *calls, size_t *n) {
        Session *s = ((void **)userdata)[0];
        Still *t = ((void **)userdata)[1];

        calls[(*n)++] = (Call){t->ensure, {0}};
        *n += add_standstill(s, t, calls + *n);
        calls[(*n)++] = (Call){t->release, {1}}; /* PyGILState_UNLOCKED: it had none before (Include/pystate.h) */
}

/* It is in its nap, and made for this: nobody misses it. Its calls are put on its own stack, so that an interpreter
 * that measures how deep it is (3.14) finds itself where it should be. */
static ProbeResult while_napping(Session *s, void *userdata) {
        void *both[] = {s, userdata};
        ProbeResult p;

        if (session_own_thread(s, &s->b.only_ns_tid) < 0)
                return PROBE_E_GONE;
        s->b.stack_top = s->scratch + SCRATCH_THREAD_STACK_OFFSET + FRAMES_OFFSET;
        s->b.deadline_usec = s->switched_usec + ((Still *)userdata)->plan.own_argument;
        p = borrow_call(&s->b, BORROW_ON_SCRATCH, calls_gil, both);
        s->b.only_ns_tid = 0;
        if (p == PROBE_E_NO_SAFE_THREAD) {
                ((Still *)userdata)->late = true; /* the nap was over too soon */
                return PROBE_OK;
        }
        return p == PROBE_OK ? while_still(s, userdata) : p;
}

/* ---- all of it ---- */

static void make_plan(Session *s, Still *t, unsigned try) {
        fill_pauses(t);
        t->plan = (SessionPlan){.data = &t->box, .data_len = sizeof(t->box), .userdata = t};
        if (s->threaded) {
                t->plan.own_function = t->usleep;
                t->plan.own_argument = NAP_USEC << (2 * try);
                t->plan.meanwhile = while_napping;
        } else {
                t->plan.n = add_standstill(s, t, t->plan.calls);
                t->plan.meanwhile = while_still;
        }
}

static void account(Session *s, Still *t) {
        Box box;

        if (session_read(s, 0, &box, sizeof(box)) == 0 && box.end[0] >= box.begin[0] && box.begin[0])
                t->held_usec += (box.end[0] - box.begin[0]) * USEC_PER_SEC + box.end[1] / 1000 - box.begin[1] / 1000;
        snprintf(s->reply->call.name, sizeof(s->reply->call.name), "%s",
                 t->plan.own_function ? "PyGILState_Ensure" : "nanosleep");
}

static ProbeResult act(Session *s, void *userdata) {
        Still *t = userdata;
        ProbeResult p = PROBE_OK;

        for (unsigned try = 0; try < TRIES_MAX && p == PROBE_OK && !t->exact && t->held_usec < t->budget_usec; try++) {
                t->late = false;
                make_plan(s, t, try);
                p = session_call(s, &t->plan);
                account(s, t);
        }
        s->reply->call.duration_usec = t->held_usec; /* the session has counted naps too */
        if (p != PROBE_OK || t->exact)
                return p;
        if (t->held_usec >= t->budget_usec) {
                session_say(s, "it stood still for %llu ms, and that was not enough",
                            (unsigned long long)(t->held_usec / USEC_PER_MSEC));
                return PROBE_E_BUDGET;
        }
        session_say(s, t->late ? "its thread was not scheduled in time" : "a collection was under way each time");
        return PROBE_E_NO_SAFE_THREAD;
}

/* One that met changes says nothing of how long a quiet one takes: that is found out by trying, within the budget. */
static bool is_too_long(Still *t, ProbeReply *reply) {
        const PythonCensus *c = &t->first;

        /* by the clock it may have waited for a processor, or for a collection */
        t->pause_usec = c->n_retries == 0 ? c->cpu_usec + SLACK_USEC : min_of(GUESS_USEC, t->budget_usec);
        if (t->pause_usec <= t->budget_usec && (c->n_retries || c->flags & PYTHON_COMPLETE))
                return false;
        snprintf(reply->detail, sizeof(reply->detail),
                 "it would stand still for some %llu ms or more, and %llu are allowed",
                 (unsigned long long)(t->pause_usec / USEC_PER_MSEC),
                 (unsigned long long)(t->budget_usec / USEC_PER_MSEC));
        return true;
}

void still_run(const ProbeRequest *req, int memfd, ProbeReply *reply) {
        static const SessionWork work = {judge, act};
        static Still t;
        ProbeResult p;

        t = (Still){.req = req, .memfd = memfd};
        t.budget_usec =
                (req->budget_msec ? min_of(req->budget_msec, BUDGET_MAX_MSEC) : BUDGET_DEFAULT_MSEC) * USEC_PER_MSEC;
        p = count(&t, 0, LOOK_INSIDE_USEC, &t.full, reply);
        if (p == PROBE_OK)
                p = count(&t, PYTHON_LISTS_ONLY, t.budget_usec, &t.first, reply);
        if (p == PROBE_OK && is_too_long(&t, reply))
                p = PROBE_E_BUDGET;
        if (p == PROBE_OK)
                session_run(&work, req, reply, &t);
        else
                reply->result = p;
}
