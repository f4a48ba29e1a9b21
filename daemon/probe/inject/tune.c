/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/tune.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "probe/inject/mallctl.h"
#include "probe/inject/malloc-par.h"
#include "probe/inject/remote.h"
#include "probe/inject/session.h"
#include "probe/param.h"

/* How each is set. */
static const struct {
        AllocatorKind kind;
        int option;     /* of mallopt() */
        size_t at;      /* in MallocPar */
        size_t size;    /* of mallctl's value */
        bool per_arena; /* "arenas." holds what new ones get, and each "arena.<i>." has its own */
} means[_PROBE_PARAM_MAX] = {
        [PROBE_PARAM_ARENA_MAX] = {ALLOCATOR_GLIBC, M_ARENA_MAX, offsetof(MallocPar, arena_max), 0, false},
        [PROBE_PARAM_MMAP_THRESHOLD] = {ALLOCATOR_GLIBC, M_MMAP_THRESHOLD, offsetof(MallocPar, mmap_threshold), 0,
                                        false},
        [PROBE_PARAM_TRIM_THRESHOLD] = {ALLOCATOR_GLIBC, M_TRIM_THRESHOLD, offsetof(MallocPar, trim_threshold), 0,
                                        false},
        [PROBE_PARAM_BACKGROUND_THREAD] = {ALLOCATOR_JEMALLOC, 0, 0, sizeof(bool), false},
        [PROBE_PARAM_DIRTY_DECAY] = {ALLOCATOR_JEMALLOC, 0, 0, sizeof(int64_t), true},
        [PROBE_PARAM_MUZZY_DECAY] = {ALLOCATOR_JEMALLOC, 0, 0, sizeof(int64_t), true},
};

#define ARENAS_AT_ONCE 20

/* A plan's data, for jemalloc. */
typedef struct Settings {
        MallctlFacts facts;
        MallctlValue before, after;
        uint64_t wanted;
} Settings;

typedef struct Arenas {
        MallctlValue value[ARENAS_AT_ONCE];
        uint64_t wanted;
} Arenas;

_Static_assert(ARENAS_AT_ONCE <= SESSION_CALLS_MAX && sizeof(Arenas) <= SCRATCH_DATA_SIZE, "one chain");

typedef struct Tune {
        const Param *param;
        const Allocator *allocator;
        SessionPlan plan;
} Tune;

static ProbeResult judge(Session *s, void *userdata) {
        const Image *im = &s->b.image;
        ProbeTune *reply = &s->reply->tune;
        Tune *t = userdata;

        snprintf(reply->call.allocator, sizeof(reply->call.allocator), "%s", im->allocators[0].name);
        for (unsigned i = 0; i < im->n_allocators && !t->allocator; i++)
                if (im->allocators[i].kind == means[reply->param].kind)
                        t->allocator = &im->allocators[i];
        if (!t->allocator || !t->allocator->tune) {
                session_say(s, "%s is a setting of %s, its malloc is that of %s", t->param->name, t->param->allocator,
                            im->allocators[0].name);
                return PROBE_E_NO_SETTING;
        }
        if (reply->param == PROBE_PARAM_BACKGROUND_THREAD && s->req->value && !s->threaded)
                return PROBE_E_ONE_THREAD;
        snprintf(reply->call.allocator, sizeof(reply->call.allocator), "%s", t->allocator->name);
        snprintf(reply->call.name, sizeof(reply->call.name), "%s",
                 t->allocator->kind == ALLOCATOR_GLIBC ? "mallopt" : "mallctl");
        return PROBE_OK;
}

static ProbeResult verdict(Session *s, SessionTruth truth) {
        static const ProbeVerdict verdicts[] = {
                [SESSION_UNKNOWN] = PROBE_VERDICT_UNKNOWN,
                [SESSION_FALSE] = PROBE_VERDICT_REFUSED,
                [SESSION_TRUE] = PROBE_VERDICT_TAKEN,
        };

        s->reply->tune.verdict = verdicts[truth];
        return truth == SESSION_FALSE ? PROBE_E_REJECTED : PROBE_OK;
}

/* ---- glibc ---- */

static bool read_par(const Session *s, uint64_t par, int64_t *ret) {
        uint64_t word;

        if (!par || remote_read(s->b.pid, par + means[s->reply->tune.param].at, &word, sizeof(word)) < 0)
                return false;
        *ret = (int64_t)word;
        return true;
}

static ProbeResult act_glibc(Session *s, Tune *t) {
        ProbeTune *reply = &s->reply->tune;
        uint64_t par = malloc_par_find(s->b.pid, &s->b.maps, s->b.image.libc_start, s->b.image.libc_end);
        ProbeResult p;

        reply->have_before = read_par(s, par, &reply->before);
        t->plan.calls[t->plan.n++] =
                session_truth(s, t->allocator->tune, (uint64_t)means[reply->param].option, (uint64_t)s->req->value, 0);
        p = session_call(s, &t->plan);
        if (p != PROBE_OK)
                return p;
        reply->have_after = read_par(s, par, &reply->after);
        return verdict(s, session_was(s, 0)); /* mallopt(3): 1 on success, 0 on error */
}

/* ---- jemalloc ---- */

static int64_t value_of(const MallctlValue *v, size_t size) {
        unsigned char byte;

        if (size == sizeof(int64_t))
                return (int64_t)v->value;
        memcpy(&byte, &v->value, sizeof(byte));
        return byte;
}

/* The default, and whether there is such a thing. */
static ProbeResult set_default(Session *s, Tune *t, Settings *got) {
        ProbeTune *reply = &s->reply->tune;
        uint64_t mallctl = t->allocator->tune;
        size_t size = means[reply->param].size;
        char name[MALLCTL_NAME_MAX];
        Settings set = {.facts = mallctl_facts(), .wanted = (uint64_t)s->req->value};
        ProbeResult p;

        snprintf(name, sizeof(name), "%s%s", means[reply->param].per_arena ? "arenas." : "", t->param->name);
        set.before = mallctl_value(name, size);
        set.after = mallctl_value(name, size);
        t->plan = (SessionPlan){.data = &set, .data_len = sizeof(set)};
        mallctl_facts_calls(s, mallctl, offsetof(Settings, facts), &t->plan);
        t->plan.calls[t->plan.n++] =
                mallctl_write(s, mallctl, offsetof(Settings, before), offsetof(Settings, wanted), size);
        t->plan.calls[t->plan.n++] = mallctl_read(s, mallctl, offsetof(Settings, after));
        p = session_call(s, &t->plan);
        if (p != PROBE_OK)
                return p;
        if (session_read(s, 0, got, sizeof(*got)) < 0)
                return PROBE_E_GONE;
        reply->have_before = mallctl_was_read(&got->before, size);
        reply->have_after = mallctl_was_read(&got->after, size);
        if (reply->have_before)
                reply->before = value_of(&got->before, size);
        if (reply->have_after)
                reply->after = value_of(&got->after, size);
        return PROBE_OK;
}

/* "arena.4096.dirty_decay_ms" would look natural, but of all names only purge, decay, reset and destroy know all
 * arenas: this one reads beyond the end of an array (src/ctl.c, arena_i_decay_ms_ctl_impl(), 5.0 to 5.3). */
static ProbeResult set_arenas(Session *s, Tune *t, unsigned n) {
        ProbeTune *reply = &s->reply->tune;
        ProbeResult p = PROBE_OK;

        reply->n_arenas = n;
        for (unsigned first = 0; first < n && p == PROBE_OK; first += ARENAS_AT_ONCE) {
                Arenas a = {.wanted = (uint64_t)s->req->value}, got;
                unsigned m = min_of(n - first, (unsigned)ARENAS_AT_ONCE);

                t->plan = (SessionPlan){.data = &a, .data_len = sizeof(a)};
                for (unsigned i = 0; i < m; i++) {
                        char name[MALLCTL_NAME_MAX];

                        snprintf(name, sizeof(name), "arena.%u.%s", first + i, t->param->name);
                        a.value[i] = mallctl_value(name, sizeof(int64_t));
                        t->plan.calls[t->plan.n++] =
                                mallctl_write(s, t->allocator->tune, offsetof(Arenas, value) + i * sizeof(MallctlValue),
                                              offsetof(Arenas, wanted), sizeof(int64_t));
                }
                p = session_call(s, &t->plan);
                if (p == PROBE_OK && session_read(s, 0, &got, sizeof(got)) < 0)
                        p = PROBE_E_GONE;
                for (unsigned i = 0; i < m && p == PROBE_OK; i++) /* one that was never used has nothing to tell */
                        reply->n_tuned += mallctl_was_read(&got.value[i], sizeof(int64_t));
        }
        if (p == PROBE_OK || p == PROBE_E_TIMEOUT || p == PROBE_E_GONE)
                return p;
        session_say(s, "set for new arenas and in %u of those in use; then: %s", reply->n_tuned, probe_result_text(p));
        return PROBE_E_INTERNAL; /* not a refusal: something was changed */
}

static ProbeResult act_jemalloc(Session *s, Tune *t) {
        ProbeTune *reply = &s->reply->tune;
        Settings got;
        char version[16];
        unsigned n;
        ProbeResult p = set_default(s, t, &got);

        if (p != PROBE_OK)
                return p;
        if (mallctl_version(s, &got.facts, version, sizeof(version)))
                snprintf(reply->call.allocator, sizeof(reply->call.allocator), "%s %s", t->allocator->name, version);
        if (!reply->have_before) {
                session_say(s, "%s has no %s", reply->call.allocator, t->param->name);
                return PROBE_E_NO_SETTING;
        }
        if (!reply->have_after || reply->after != s->req->value)
                return verdict(s, SESSION_FALSE);
        n = mallctl_narenas(&got.facts);
        if (means[reply->param].per_arena && n == 0) {
                session_say(s, "set for new arenas; how many there are it did not tell");
                return PROBE_E_INTERNAL; /* not a refusal: something was changed */
        }
        if (means[reply->param].per_arena)
                p = set_arenas(s, t, n);
        return p == PROBE_OK ? verdict(s, SESSION_TRUE) : p;
}

static ProbeResult act(Session *s, void *userdata) {
        Tune *t = userdata;

        return t->allocator->kind == ALLOCATOR_GLIBC ? act_glibc(s, t) : act_jemalloc(s, t);
}

void tune_run(const ProbeRequest *req, ProbeReply *reply) {
        static const SessionWork work = {judge, act};
        static Tune t;

        t = (Tune){.param = param_get(req->param)};
        if (!t.param || req->value < t.param->min || req->value > t.param->max) {
                reply->result = PROBE_E_PROTOCOL;
                return;
        }
        reply->tune.param = req->param;
        session_run(&work, req, reply, &t);
}
