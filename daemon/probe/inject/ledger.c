/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe/inject/mallctl.h"

#define AT_ONCE   20
#define BYTES_MAX (1ULL << 56)

/* One thing to ask for, and where the answer goes. */
typedef struct Question {
        uint64_t *to; /* untouched if there is no answer */
        size_t size;
} Question;

/* A plan's data. */
typedef struct Slots {
        MallctlValue value[AT_ONCE];
        uint64_t epoch; /* what is written to it: any number has the statistics taken anew (src/ctl.c, epoch_ctl()) */
} Slots;

_Static_assert(AT_ONCE <= SESSION_CALLS_MAX && sizeof(Slots) <= SCRATCH_DATA_SIZE, "one chain");

typedef struct Job {
        const Allocator *allocator;
        Question question[AT_ONCE];
        Slots slots;
        size_t n;
        bool renew; /* the first slot is the epoch's */
        SessionPlan plan;
        Ledger *out;
} Job;

static size_t slot_at(size_t i) {
        return offsetof(Slots, value) + i * sizeof(MallctlValue);
}

static Call call_for(const Session *s, const Job *j, size_t i) {
        uint64_t function = j->allocator->figures, name = session_data(s, slot_at(i) + offsetof(MallctlValue, name)),
                 value = session_data(s, slot_at(i) + offsetof(MallctlValue, value));

        switch (j->allocator->kind) {
        case ALLOCATOR_GPERFTOOLS: /* int (const char *, size_t *): gperftools/malloc_extension_c.h */
                return (Call){function, {name, value}};
        case ALLOCATOR_TCMALLOC: /* bool (const char *, size_t length, size_t *): tcmalloc/malloc_extension.h */
                return (Call){function, {name, strlen(j->slots.value[i].name), value}};
        default:
                return j->renew && i == 0
                               ? mallctl_write(s, function, slot_at(0), offsetof(Slots, epoch), sizeof(uint64_t))
                               : mallctl_read(s, function, slot_at(i));
        }
}

/* Asks what is waiting to be asked. */
static ProbeResult flush(Session *s, Job *j) {
        static Slots got;
        ProbeResult p;

        if (j->n == 0)
                return PROBE_OK;
        j->plan = (SessionPlan){.data = &j->slots, .data_len = sizeof(j->slots)};
        for (size_t i = 0; i < j->n; i++)
                j->plan.calls[j->plan.n++] = call_for(s, j, i);
        p = session_call(s, &j->plan);
        if (p != PROBE_OK)
                return p;
        if (session_read(s, 0, &got, sizeof(got)) < 0)
                return PROBE_E_GONE;
        for (size_t i = 0; i < j->n; i++)
                if (mallctl_was_read(&got.value[i], j->question[i].size)) {
                        *j->question[i].to = 0;
                        memcpy(j->question[i].to, &got.value[i].value, j->question[i].size);
                }
        j->n = 0;
        j->renew = false;
        return PROBE_OK;
}

_printf_(5, 6) static ProbeResult ask(Session *s, Job *j, uint64_t *to, size_t size, const char *fmt, ...) {
        ProbeResult p = j->n == AT_ONCE ? flush(s, j) : PROBE_OK;
        char name[MALLCTL_NAME_MAX];
        va_list ap;

        if (p != PROBE_OK)
                return p; /* those that wait fill the slots still */
        va_start(ap, fmt);
        vsnprintf(name, sizeof(name), fmt, ap);
        va_end(ap);
        j->slots.value[j->n] = mallctl_value(name, size);
        j->question[j->n++] = (Question){to, size};
        return PROBE_OK;
}

/* Figures that were not answered are still what no figure can be. */
static void take_figures(Job *j, const uint64_t figure[static _LEDGER_FIGURE_MAX], uint64_t page_bytes) {
        for (unsigned i = 0; i < _LEDGER_FIGURE_MAX; i++) {
                bool pages = page_bytes && (i == LEDGER_DIRTY || i == LEDGER_MUZZY);

                if (figure[i] > BYTES_MAX / (pages ? page_bytes : 1))
                        continue;
                j->out->bytes[i] = figure[i] * (pages ? page_bytes : 1);
                j->out->have |= 1u << i;
        }
}

/* ---- tcmalloc, both kinds ---- */

typedef struct Property {
        LedgerFigure figure;
        const char *name;
} Property;

/* src/malloc_extension.h and src/tcmalloc.cc, GetNumericProperty() */
static const Property gperftools[] = {
        {LEDGER_ALLOCATED, "generic.current_allocated_bytes"},
        {LEDGER_RESIDENT, "generic.total_physical_bytes"}, /* 2.5 */
        {LEDGER_MAPPED, "generic.heap_size"},
        {LEDGER_RETAINED, "tcmalloc.pageheap_unmapped_bytes"},
        {LEDGER_DIRTY, "tcmalloc.pageheap_free_bytes"},
        {LEDGER_CACHED, "tcmalloc.thread_cache_free_bytes"},
        {LEDGER_CENTRAL, "tcmalloc.central_cache_free_bytes"},
        {LEDGER_TRANSFER, "tcmalloc.transfer_cache_free_bytes"},
};

/* tcmalloc/global_stats.cc, GetNumericProperty() */
static const Property google[] = {
        {LEDGER_ALLOCATED, "generic.current_allocated_bytes"},
        {LEDGER_METADATA, "tcmalloc.metadata_bytes"},
        {LEDGER_RESIDENT, "generic.physical_memory_used"},
        {LEDGER_MAPPED, "generic.heap_size"},
        {LEDGER_RETAINED, "tcmalloc.pageheap_unmapped_bytes"},
        {LEDGER_DIRTY, "tcmalloc.pageheap_free_bytes"},
        {LEDGER_CACHED, "tcmalloc.cpu_free"},
        {LEDGER_CENTRAL, "tcmalloc.central_cache_free"},
        {LEDGER_TRANSFER, "tcmalloc.transfer_cache_free"},
};

static ProbeResult act_tcmalloc(Session *s, Job *j) {
        bool is_google = j->allocator->kind == ALLOCATOR_TCMALLOC;
        const Property *p = is_google ? google : gperftools;
        size_t n = is_google ? ELEMENTSOF(google) : ELEMENTSOF(gperftools);
        uint64_t figure[_LEDGER_FIGURE_MAX];
        ProbeResult r = PROBE_OK;

        memset(figure, 0xff, sizeof(figure));
        for (size_t i = 0; r == PROBE_OK && i < n; i++)
                r = ask(s, j, &figure[p[i].figure], sizeof(uint64_t), "%s", p[i].name);
        if (r == PROBE_OK)
                r = flush(s, j);
        take_figures(j, figure, 0);
        return r;
}

/* ---- jemalloc ---- */

typedef struct Jemalloc {
        uint64_t epoch, page_bytes, n_arenas, n_bins, decay;
        MallctlFacts facts;
        uint64_t figure[_LEDGER_FIGURE_MAX];
        uint64_t bin[LEDGER_BINS_MAX][4]; /* size, regions of a slab, slabs, regions */
        char arenas[16];                  /* the name of all of them */
} Jemalloc;

static ProbeResult ask_totals(Session *s, Job *j, Jemalloc *m) {
        static const Property totals[] = {
                {LEDGER_ALLOCATED, "stats.allocated"}, {LEDGER_ACTIVE, "stats.active"},
                {LEDGER_METADATA, "stats.metadata"},   {LEDGER_RESIDENT, "stats.resident"},
                {LEDGER_MAPPED, "stats.mapped"},       {LEDGER_RETAINED, "stats.retained"},
        };
        ProbeResult p;

        j->renew = true;
        j->slots.epoch = 1;
        p = ask(s, j, &m->epoch, sizeof(uint64_t), "epoch");
        for (size_t i = 0; p == PROBE_OK && i < ELEMENTSOF(totals); i++)
                p = ask(s, j, &m->figure[totals[i].figure], sizeof(uint64_t), "%s", totals[i].name);
        if (p == PROBE_OK)
                p = ask(s, j, &m->facts.version.value, sizeof(uint64_t), "version");
        if (p == PROBE_OK)
                p = ask(s, j, &m->n_arenas, sizeof(unsigned), "arenas.narenas");
        if (p == PROBE_OK)
                p = ask(s, j, &m->n_bins, sizeof(unsigned), "arenas.nbins");
        if (p == PROBE_OK)
                p = ask(s, j, &m->page_bytes, sizeof(uint64_t), "arenas.page");
        if (p == PROBE_OK)
                p = ask(s, j, &m->decay, sizeof(int64_t), "arenas.dirty_decay_ms");
        return p == PROBE_OK ? flush(s, j) : p;
}

static ProbeResult ask_arenas(Session *s, Job *j, Jemalloc *m) {
        static const Property sums[] = {
                {LEDGER_DIRTY, "pdirty"},
                {LEDGER_MUZZY, "pmuzzy"} /* 5.0 */,
                {LEDGER_CACHED, "tcache_bytes"} /* 5.0 */,
        };
        ProbeResult p = PROBE_OK;

        for (size_t i = 0; p == PROBE_OK && i < ELEMENTSOF(sums); i++)
                p = ask(s, j, &m->figure[sums[i].figure], sizeof(uint64_t), "stats.arenas.%s.%s", m->arenas,
                        sums[i].name);
        for (unsigned i = 0; p == PROBE_OK && i < m->n_bins; i++) {
                p = ask(s, j, &m->bin[i][0], sizeof(uint64_t), "arenas.bin.%u.size", i);
                if (p == PROBE_OK)
                        p = ask(s, j, &m->bin[i][1], sizeof(uint32_t), "arenas.bin.%u.nregs", i);
                if (p == PROBE_OK)
                        p = ask(s, j, &m->bin[i][2], sizeof(uint64_t), "stats.arenas.%s.bins.%u.curslabs", m->arenas,
                                i);
                if (p == PROBE_OK)
                        p = ask(s, j, &m->bin[i][3], sizeof(uint64_t), "stats.arenas.%s.bins.%u.curregs", m->arenas, i);
        }
        return p == PROBE_OK ? flush(s, j) : p;
}

/* Those whose four figures are there. The sizes of slabs and regions are told as they are in use: a bin of which a
 * slab has just come or gone is not of one moment, so more regions than there is room for are none. */
static void take_bins(Job *j, const Jemalloc *m) {
        for (unsigned i = 0; i < m->n_bins; i++) {
                const uint64_t *b = m->bin[i];
                LedgerBin bin = {b[0], b[1], b[2], b[3]};

                if (b[0] - 1 < UINT32_MAX && b[1] - 1 < UINT32_MAX && b[2] - 1 < UINT32_MAX && b[3] <= b[1] * b[2])
                        j->out->bins[j->out->n_bins++] = bin;
        }
}

static ProbeResult act_jemalloc(Session *s, Job *j) {
        static Jemalloc m;
        char version[16];
        unsigned major;
        ProbeResult p;

        m = (Jemalloc){.decay = MALLCTL_UNREAD};
        memset(m.figure, 0xff, sizeof(m.figure));
        memset(m.bin, 0xff, sizeof(m.bin));
        m.facts = mallctl_facts();
        p = ask_totals(s, j, &m);
        if (p != PROBE_OK)
                return p;
        major = mallctl_version(s, &m.facts, version, sizeof(version));
        snprintf(j->out->allocator, sizeof(j->out->allocator), "jemalloc%s%s", version[0] ? " " : "", version);
        if (m.page_bytes == 0 || m.page_bytes > 1 << 20 || m.n_arenas > MALLCTL_ARENAS_MAX)
                major = 0; /* nonsense */
        if (m.n_bins > LEDGER_BINS_MAX || !(s->req->value & LEDGER_WITH_BINS))
                m.n_bins = 0;
        /* MALLCTL_ARENAS_ALL of jemalloc 5; before, the number that comes after the last */
        if (major >= 5)
                snprintf(m.arenas, sizeof(m.arenas), "4096");
        else
                snprintf(m.arenas, sizeof(m.arenas), "%u", (unsigned)m.n_arenas);
        if (major > 0)
                p = ask_arenas(s, j, &m);
        take_figures(j, m.figure, m.page_bytes);
        take_bins(j, &m);
        j->out->n_arenas = major ? m.n_arenas : 0;
        j->out->decay_known = m.decay != MALLCTL_UNREAD;
        if (j->out->decay_known)
                j->out->dirty_decay_msec = (int64_t)m.decay;
        return p;
}

/* ---- both */

static ProbeResult judge(Session *s, void *userdata) {
        const Image *im = &s->b.image;
        ProbeCall *c = &s->reply->call;
        Job *j = userdata;

        snprintf(c->allocator, sizeof(c->allocator), "%s", im->allocators[0].name);
        for (unsigned i = 0; i < im->n_allocators && !j->allocator; i++)
                if (im->allocators[i].figures)
                        j->allocator = &im->allocators[i];
        if (!j->allocator) {
                session_say(s,
                            im->allocators[0].kind == ALLOCATOR_GLIBC ? "glibc's heap is read from outside, no call is "
                                                                        "needed for it"
                                                                      : "%s has no function that tells its figures",
                            im->allocators[0].name);
                return PROBE_E_NO_FIGURES;
        }
        snprintf(c->allocator, sizeof(c->allocator), "%s", j->allocator->name);
        snprintf(c->name, sizeof(c->name), "%s",
                 j->allocator->kind == ALLOCATOR_JEMALLOC ? "mallctl" : "GetNumericProperty");
        snprintf(j->out->allocator, sizeof(j->out->allocator), "%s", j->allocator->name);
        return PROBE_OK;
}

static ProbeResult act(Session *s, void *userdata) {
        Job *j = userdata;
        ProbeResult p = j->allocator->kind == ALLOCATOR_JEMALLOC ? act_jemalloc(s, j) : act_tcmalloc(s, j);

        if (p == PROBE_OK && j->out->have == 0) {
                session_say(s, "%s was asked and told no figure: it may be built without statistics",
                            j->out->allocator);
                return PROBE_E_NO_FIGURES;
        }
        return p;
}

void ledger_run(const ProbeRequest *req, ProbeReply *reply, Ledger *ret) {
        static const SessionWork work = {judge, act};
        static Job j;

        *ret = (Ledger){.magic = LEDGER_MAGIC, .size = sizeof(*ret)};
        j = (Job){.out = ret};
        session_run(&work, req, reply, &j);
}
