/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/trim.h"

#include <stdio.h>
#include <string.h>

#include "probe/inject/facts.h"
#include "probe/inject/mallctl.h"
#include "probe/inject/session.h"

/* More than a process can have, and far from where rounding it up to pages would wrap: all that is free. */
#define TCMALLOC_ALL (1ULL << 40)

/* What is called, by allocator. */
static const struct {
        bool own_thread; /* may be a thread's start routine: one argument, and it does not matter on which thread */
        uint64_t argument;
} purges[_ALLOCATOR_MAX] = {
        [ALLOCATOR_GLIBC] = {.own_thread = true},
        [ALLOCATOR_JEMALLOC] = {0}, /* mallctl has five arguments: see add_jemalloc() */
        [ALLOCATOR_GPERFTOOLS] = {.own_thread = true},
        [ALLOCATOR_TCMALLOC] = {.own_thread = true, .argument = TCMALLOC_ALL},
        [ALLOCATOR_MIMALLOC] = {.argument = true},
};

/* jemalloc's share of a plan's data; one slot for each allocator. */
typedef struct Jemalloc {
        MallctlFacts facts;
        char name[MALLCTL_NAME_MAX];
} Jemalloc;

typedef struct Trim {
        bool todo[IMAGE_ALLOCATORS_MAX];
        Jemalloc jemalloc[IMAGE_ALLOCATORS_MAX];
        SessionPlan plan;
} Trim;

static bool is_decay(const Session *s) {
        return s->req->flags & PROBE_FLAG_DECAY;
}

/* A static program has only those functions that it uses itself. */
static bool can_make_threads(const LibcSymbols *sym) {
        return sym->pthread_create && sym->pthread_attr_init && sym->pthread_attr_setdetachstate &&
               sym->pthread_attr_setstack;
}

static bool is_for_own_thread(const Session *s, const Allocator *a) {
        return purges[a->kind].own_thread && s->threaded && can_make_threads(&s->b.image.sym);
}

static uint64_t rss_now(const Session *s) {
        Facts f;

        return facts_read(s->b.proc_fd, &f) == 0 && f.rss_known ? f.rss_bytes : 0;
}

static void join(char *buf, size_t size, const char *word) {
        size_t n = strlen(buf);

        snprintf(buf + n, size - n, "%s%s", n ? " + " : "", word);
}

/* What is done, and to whose memory, in the reply. */
static void name_them(Session *s, const Trim *t) {
        ProbeCall *c = &s->reply->call;

        c->allocator[0] = c->name[0] = '\0';
        for (unsigned i = 0; i < s->b.image.n_allocators; i++) {
                const Allocator *a = &s->b.image.allocators[i];
                char version[16] = "", name[sizeof(a->name) + sizeof(version)];

                if (!t->todo[i])
                        continue;
                if (a->kind == ALLOCATOR_JEMALLOC)
                        (void)mallctl_version(s, &t->jemalloc[i].facts, version, sizeof(version));
                snprintf(name, sizeof(name), "%s%s%s", a->name, version[0] ? " " : "", version);
                join(c->allocator, sizeof(c->allocator), name);
                join(c->name, sizeof(c->name),
                     a->kind == ALLOCATOR_JEMALLOC && is_decay(s) ? "mallctl_decay" : allocator_call_name(a->kind));
        }
}

/* Which of its allocators are asked? The first is what malloc is: without that one, nothing is. */
static ProbeResult choose(Session *s, void *userdata) {
        const Image *im = &s->b.image;
        Trim *t = userdata;

        for (unsigned i = 0; i < im->n_allocators; i++) {
                t->jemalloc[i].facts = mallctl_facts();
                t->todo[i] = (im->allocators[i].kind != ALLOCATOR_MIMALLOC || !s->threaded) &&
                             (im->allocators[i].kind == ALLOCATOR_JEMALLOC || !is_decay(s));
        }
        name_them(s, t);
        if (t->todo[0])
                return PROBE_OK;
        snprintf(s->reply->call.allocator, sizeof(s->reply->call.allocator), "%s", im->allocators[0].name);
        if (im->allocators[0].kind == ALLOCATOR_MIMALLOC && s->threaded) {
                session_say(s, "mi_collect reaches the calling thread's heap alone, and this process has threads");
                return PROBE_E_OTHER_MALLOC;
        }
        session_say(s, "its malloc is %s's, and a decay is jemalloc's", im->allocators[0].name);
        return PROBE_E_NO_SETTING;
}

static void add_jemalloc(Session *s, Trim *t, unsigned i, const char *arena) {
        size_t at = i * sizeof(Jemalloc);
        uint64_t mallctl = s->b.image.allocators[i].purge;

        snprintf(t->jemalloc[i].name, sizeof(t->jemalloc[i].name), "arena.%s.%s", arena,
                 is_decay(s) ? "decay" : "purge");
        t->plan.calls[t->plan.n++] = mallctl_do(s, mallctl, at + offsetof(Jemalloc, name));
        mallctl_facts_calls(s, mallctl, at + offsetof(Jemalloc, facts), &t->plan);
}

/* The next chain: all that goes onto the borrowed thread, and the first of those that have a thread of their own. */
static bool next_plan(Session *s, Trim *t, bool done[static IMAGE_ALLOCATORS_MAX]) {
        t->plan = (SessionPlan){.data = t->jemalloc, .data_len = sizeof(t->jemalloc)};
        for (unsigned i = 0; i < s->b.image.n_allocators; i++) {
                const Allocator *a = &s->b.image.allocators[i];
                bool own = is_for_own_thread(s, a);

                if (!t->todo[i] || done[i] || (own && t->plan.own_function))
                        continue;
                done[i] = true;
                if (own) {
                        t->plan.own_function = a->purge;
                        t->plan.own_argument = purges[a->kind].argument;
                } else if (a->kind == ALLOCATOR_JEMALLOC)
                        add_jemalloc(s, t, i, "4096"); /* MALLCTL_ARENAS_ALL of jemalloc 5 */
                else
                        t->plan.calls[t->plan.n++] = (Call){a->purge, {purges[a->kind].argument}};
        }
        return t->plan.own_function || t->plan.n > 0;
}

/* Until jemalloc 4 "all arenas" is the number that comes after the last one, which only it can tell. There 4096 was no
 * name, and nothing was done. */
static ProbeResult purge_old_jemalloc(Session *s, Trim *t) {
        char text[16], arena[16];

        t->plan = (SessionPlan){.data = t->jemalloc, .data_len = sizeof(t->jemalloc)};
        for (unsigned i = 0; i < s->b.image.n_allocators; i++) {
                unsigned major, n = mallctl_narenas(&t->jemalloc[i].facts);

                if (!t->todo[i] || s->b.image.allocators[i].kind != ALLOCATOR_JEMALLOC)
                        continue;
                major = mallctl_version(s, &t->jemalloc[i].facts, text, sizeof(text));
                if (major >= 5)
                        continue;
                if (major == 0 || n == 0) {
                        session_say(s, "this jemalloc does not tell its version or the number of its arenas");
                        return PROBE_E_REJECTED;
                }
                snprintf(arena, sizeof(arena), "%u", n);
                add_jemalloc(s, t, i, arena);
        }
        return t->plan.n ? session_call(s, &t->plan) : PROBE_OK;
}

static ProbeResult purge(Session *s, Trim *t) {
        bool done[IMAGE_ALLOCATORS_MAX] = {false};
        Jemalloc got[IMAGE_ALLOCATORS_MAX];
        ProbeResult p = PROBE_OK;

        while (p == PROBE_OK && next_plan(s, t, done)) {
                p = session_call(s, &t->plan);
                if (p == PROBE_OK && t->plan.n > 0 && session_read(s, 0, got, sizeof(got)) == 0)
                        memcpy(t->jemalloc, got, sizeof(got));
        }
        if (p != PROBE_OK)
                return p;
        name_them(s, t);
        return purge_old_jemalloc(s, t);
}

static ProbeResult act(Session *s, void *userdata) {
        ProbeTrim *t = &s->reply->trim;
        ProbeResult p;

        t->rss_before_bytes = rss_now(s);
        p = purge(s, userdata);
        if (t->call.tid != 0)
                t->rss_after_bytes = rss_now(s);
        /* a living process has an RSS: 0 is no figure, and would read as all of it given back */
        if (p == PROBE_OK && (t->rss_before_bytes == 0 || t->rss_after_bytes == 0))
                p = PROBE_E_GONE;
        return p;
}

void trim_run(const ProbeRequest *req, ProbeReply *reply) {
        static const SessionWork work = {choose, act};
        static Trim t;

        t = (Trim){0};
        session_run(&work, req, reply, &t);
}
