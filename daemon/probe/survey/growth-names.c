/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/growth-job.h"

#include <stdlib.h>
#include <string.h>

#include "probe/inject/remote.h"
#include "probe/inject/symtab.h"
#include "probe/python/locate.h"
#include "probe/survey/holds.h"

/* ---- symbols */

enum { ASKS_MAX = 128 }; /* different addresses; what is beyond stays a place in its file */

typedef struct SymbolAsk {
        uint64_t addr, start, size; /* of the smallest symbol that holds it; size 0: none yet */
        bool done;                  /* its object was looked at */
        char name[GROWTH_SYMBOL_MAX];
} SymbolAsk;

typedef struct Asks {
        SymbolAsk *ask; /* by address */
        size_t n;
} Asks;

static int by_addr(const void *a, const void *b) {
        const SymbolAsk *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static SymbolAsk *find_ask(const Asks *a, uint64_t addr) {
        SymbolAsk key = {.addr = addr};

        return bsearch(&key, a->ask, a->n, sizeof(key), by_addr);
}

static int take_symbol(void *userdata, const Symbol *s, const char *name) {
        const Asks *a = userdata;
        size_t lo = 0, hi = a->n;

        if (s->size == 0 || name[0] == '\0')
                return 0;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (a->ask[mid].addr < s->address)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < a->n && a->ask[lo].addr - s->address < s->size; lo++) {
                SymbolAsk *ask = &a->ask[lo];

                if (ask->size && ask->size <= s->size)
                        continue;
                ask->start = s->address;
                ask->size = s->size;
                /* a name that is cut is no name */
                if (strlen(name) < sizeof(ask->name))
                        holds_name(ask->name, sizeof(ask->name), name);
                else
                        ask->name[0] = '\0';
        }
        return 0;
}

static bool is_answered(const Asks *a, const Object *o) {
        for (size_t i = 0; i < a->n; i++)
                if (a->ask[i].addr >= o->first->start && a->ask[i].addr < o->end && a->ask[i].size == 0)
                        return false;
        return true;
}

static void look_into(GrowthJob *j, Memory *mem, const Object *o, Asks *a) {
        Symtab t = SYMTAB_NULL;
        Dynsym d;
        int r = dynsym_open(mem, o->first->start, &d);

        /* a table that ends before its time leaves places without a name, which is what they then are told as */
        if (r == 0)
                r = dynsym_each(&d, take_symbol, a) < 0 ? -ENODATA : 0;
        if ((r == 0 || r == -ENODATA) && !is_answered(a, o) && symtab_open(j->proc_fd, o, &d, &t) == 0)
                r = symtab_each(&t, take_symbol, a);
        symtab_done(&t);
        for (size_t i = 0; i < a->n; i++)
                a->ask[i].done |= a->ask[i].addr >= o->first->start && a->ask[i].addr < o->end;
}

static void collect(const GrowthDraft *d, size_t n, Asks *ret) {
        for (size_t i = 0; i < n; i++)
                for (size_t w = 0; w < GROWTH_WORDS && ret->n < ASKS_MAX; w++) {
                        if (d[i].told->words[w].kind != GROWTH_WORD_FILE || find_ask(ret, d[i].words[w]))
                                continue;
                        ret->ask[ret->n++] = (SymbolAsk){.addr = d[i].words[w]};
                        qsort(ret->ask, ret->n, sizeof(*ret->ask), by_addr);
                }
}

static void tell_symbol(const Asks *a, uint64_t addr, GrowthWord *w) {
        const SymbolAsk *ask = w->kind == GROWTH_WORD_FILE ? find_ask(a, addr) : NULL;

        if (!ask || ask->size == 0 || ask->name[0] == '\0')
                return;
        w->kind = GROWTH_WORD_SYMBOL;
        w->offset = addr - ask->start;
        memcpy(w->symbol, ask->name, sizeof(w->symbol));
}

void growth_name_symbols(GrowthJob *j, GrowthDraft *d, size_t n) {
        Memory mem = memory_of_process(j->pid);
        Asks a = {.ask = calloc(ASKS_MAX, sizeof(SymbolAsk))};

        if (!a.ask)
                return;
        collect(d, n, &a);
        for (size_t i = 0; i < a.n; i++) {
                Object o;

                if (!a.ask[i].done && object_at(&j->maps, a.ask[i].addr, &o))
                        look_into(j, &mem, &o, &a);
        }
        for (size_t i = 0; i < n; i++)
                for (size_t w = 0; w < GROWTH_WORDS; w++)
                        tell_symbol(&a, d[i].words[w], &d[i].told->words[w]);
        free(a.ask);
}

/* ---- objects of a CPython */

static ssize_t fetch(void *userdata, uint64_t addr, void *buf, size_t n) {
        return remote_read_some(*(const pid_t *)userdata, addr, buf, n);
}

static bool name_type(const Python *p, uint64_t type, char *ret) {
        uint64_t name;
        char text[GROWTH_SYMBOL_MAX];

        if (type == 0 || type % 8 != 0 || !python_is_type(p, type) || !cache_word(p->m, type + TP_NAME, &name) ||
            cache_string(p->m, name, text, sizeof(text)) <= 0)
                return false;
        holds_name(ret, GROWTH_SYMBOL_MAX, text);
        return true;
}

/* An object begins at the chunk, or behind the links by which gc tracks it: 16 bytes since 3.8, before 24 or 32
 * (PyGC_Head is aligned as long double since 3.6.9 and 3.7.4). */
static void name_object(const Python *p, const GrowthDraft *d) {
        static const uint8_t places[2][3] = {{1, 3, 3}, {1, 4, 5}};
        const uint8_t *at = places[p->minor <= 7];

        for (size_t i = 0; i < ELEMENTSOF(places[0]); i++)
                if (name_type(p, d->words[at[i]], d->told->python_type))
                        return;
}

void growth_name_pythons(GrowthJob *j, GrowthDraft *d, size_t n) {
        static Python p; /* off the stack */
        static Cache cache;
        Memory symbols = memory_of_process(j->pid);

        if (n == 0 || cache_init(&cache, fetch, &j->pid) < 0)
                return;
        if (python_locate_arenas(&cache, &symbols, &j->maps, python_exe(j->proc_fd, &j->maps), &p) == PROBE_OK)
                for (size_t i = 0; i < n; i++)
                        name_object(&p, &d[i]);
        cache_done(&cache);
}
