/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/allocators.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_MAX   24
#define PREFIXES_MAX 4
#define SPANS_MAX    6
#define TEXT_MAX     (4u << 20) /* of a span: jemalloc takes 0.4 MiB in all */

/* ---- an allocator's code within a program: where its functions are, known by their names */

typedef struct Span {
        uint64_t lo, hi;
        uint64_t below, above; /* neighbours that are none of them */
} Span;

/* Some stretches: what is cold is put apart by compilers, what is started first by linkers. */
typedef struct Text {
        Span spans[SPANS_MAX + 1]; /* sorted; one more while one is added */
        unsigned n;
} Text;

typedef enum Family { FAMILY_JEMALLOC, FAMILY_TCMALLOC, FAMILY_MIMALLOC, _FAMILY_MAX } Family;

static bool begins(const char *name, const char *with) {
        return strncmp(name, with, strlen(with)) == 0;
}

/* Internal functions have a private prefix, whatever the public one is: "je_", or that behind the public one
 * (configure.ac, JEMALLOC_PRIVATE_NAMESPACE). Nobody waits in it but below je_malloc_mutex_lock_slow and the like. */
static bool is_jemalloc(const char *name) {
        static const char *const exported[] = {
                "malloc",
                "calloc",
                "posix_memalign",
                "aligned_alloc",
                "realloc",
                "free",
                "valloc",
                "memalign",
                "pvalloc",
                "mallocx",
                "rallocx",
                "xallocx",
                "nallocx",
                "sallocx",
                "dallocx",
                "sdallocx",
                "mallctl",
                "mallctlbymib",
                "mallctlnametomib",
                "malloc_stats_print",
                "malloc_usable_size",
        };

        if (begins(name, "je_") || begins(name, "_rjem_"))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(exported); i++)
                if (strcmp(name, exported[i]) == 0)
                        return true;
        return false;
}

/* Both kinds wait for their own spin lock alone: SpinLock::SlowLock(), SpinLockDelay(), mangled. */
static bool is_tcmalloc(const char *name) {
        return begins(name, "tc_") || strstr(name, "tcmalloc") || strstr(name, "TCMalloc") || strstr(name, "SpinLock");
}

static bool is_mimalloc(const char *name) {
        return begins(name, "mi_") || begins(name, "_mi_");
}

static bool (*const is_of_family[_FAMILY_MAX])(const char *) = {
        [FAMILY_JEMALLOC] = is_jemalloc,
        [FAMILY_TCMALLOC] = is_tcmalloc,
        [FAMILY_MIMALLOC] = is_mimalloc,
};

/* When there are too many spans, the two with the least between them become one. */
static void text_add(Text *t, uint64_t lo, uint64_t hi) {
        unsigned at = 0, best = 0;

        while (at < t->n && t->spans[at].hi < lo)
                at++;
        if (at < t->n && t->spans[at].lo <= hi) {
                t->spans[at].lo = min_of(t->spans[at].lo, lo);
                t->spans[at].hi = max_of(t->spans[at].hi, hi);
                return; /* one that now reaches into the next is no harm */
        }
        memmove(&t->spans[at + 1], &t->spans[at], (t->n - at) * sizeof(t->spans[0]));
        t->spans[at] = (Span){lo, hi, 0, UINT64_MAX};
        if (++t->n <= SPANS_MAX)
                return;
        for (unsigned i = 1; i + 1 < t->n; i++)
                if (t->spans[i + 1].lo - t->spans[i].hi < t->spans[best + 1].lo - t->spans[best].hi)
                        best = i;
        t->spans[best].hi = max_of(t->spans[best].hi, t->spans[best + 1].hi);
        t->n--;
        memmove(&t->spans[best + 1], &t->spans[best + 2], (t->n - best - 1) * sizeof(t->spans[0]));
}

/* ---- what the symbols show */

/* jemalloc under one prefix: "" (it is `malloc`), "je_" (Redis), "_rjem_" (Rust), "je_arrow_" ... */
typedef struct Pool {
        char prefix[PREFIX_MAX];
        uint64_t mallctl, mallocx;
} Pool;

typedef struct Seen {
        Pool pools[PREFIXES_MAX];
        unsigned n_pools;
        uint64_t release_free;   /* gperftools */
        uint64_t release_system; /* Google's tcmalloc */
        uint64_t collect, mi_malloc;
        uint64_t property, google_property; /* tells figures */
        Text text[_FAMILY_MAX];
        Family family; /* second pass: whose neighbours are looked for */
} Seen;

static Pool *pool_of(Seen *seen, const char *name, size_t prefix) {
        if (prefix >= PREFIX_MAX)
                return NULL;
        for (unsigned i = 0; i < seen->n_pools; i++)
                if (strlen(seen->pools[i].prefix) == prefix && strncmp(seen->pools[i].prefix, name, prefix) == 0)
                        return &seen->pools[i];
        if (seen->n_pools == PREFIXES_MAX)
                return NULL;
        memcpy(seen->pools[seen->n_pools].prefix, name, prefix);
        return &seen->pools[seen->n_pools++];
}

static void see_pool(Seen *seen, const Symbol *s, const char *name) {
        static const char *const suffixes[] = {"mallctl", "mallocx"};
        size_t n = strlen(name);

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                size_t len = strlen(suffixes[i]);
                Pool *p = n >= len && strcmp(name + n - len, suffixes[i]) == 0 ? pool_of(seen, name, n - len) : NULL;

                if (p)
                        *(i == 0 ? &p->mallctl : &p->mallocx) = s->address;
        }
}

static int see_names(void *userdata, const Symbol *s, const char *name) {
        Seen *seen = userdata;
        const struct {
                const char *name;
                uint64_t *at;
        } want[] = {
                {"MallocExtension_ReleaseFreeMemory", &seen->release_free},
                {"MallocExtension_Internal_ReleaseMemoryToSystem", &seen->release_system},
                {"mi_collect", &seen->collect},
                {"mi_malloc", &seen->mi_malloc},
                {"MallocExtension_GetNumericProperty", &seen->property},
                {"MallocExtension_Internal_GetNumericProperty", &seen->google_property},
        };

        if (s->type != STT_FUNC)
                return 0;
        for (size_t i = 0; i < _FAMILY_MAX; i++)
                if (is_of_family[i](name))
                        text_add(&seen->text[i], s->address, s->address + s->size);
        see_pool(seen, s, name);
        for (size_t i = 0; i < ELEMENTSOF(want); i++)
                if (*want[i].at == 0 && strcmp(name, want[i].name) == 0)
                        *want[i].at = s->address;
        return 0;
}

/* What lies between its named functions and the nearest other one that is global may be a static function of it: as for
 * malloc.o, see inject/glibc.c. */
static int see_neighbours(void *userdata, const Symbol *s, const char *name) {
        Seen *seen = userdata;
        Text *t = &seen->text[seen->family];

        if (s->type != STT_FUNC || s->bind == STB_LOCAL || s->hidden || is_of_family[seen->family](name))
                return 0;
        for (unsigned i = 0; i < t->n; i++) {
                if (s->address + s->size <= t->spans[i].lo)
                        t->spans[i].below = max_of(t->spans[i].below, s->address + s->size);
                else if (s->address >= t->spans[i].hi)
                        t->spans[i].above = min_of(t->spans[i].above, s->address);
        }
        return 0;
}

/* ---- what is guarded */

static int add_all_text(const SymbolSource *src, AllocatorPlace place, RangeKind kind, Image *im) {
        if (place == ALLOCATOR_STATIC_PROGRAM || src->d->text_end == 0)
                return -E2BIG; /* every thread is in there all the time */
        return image_add_range(im, src->d->text_start, src->d->text_end, kind) ? 0 : -E2BIG;
}

/* Its code within a program is what is between its functions. If that is not to be told (stripped, strewn about), it is
 * all of the program: then no thread is borrowed that waits as the allocator itself may. */
static int add_ranges(const SymbolSource *src, AllocatorPlace place, Family family, RangeKind kind, Seen *seen,
                      Image *im) {
        Text *t = &seen->text[family];
        int r;

        if (place == ALLOCATOR_LIBRARY || t->n == 0)
                return add_all_text(src, place, kind, im);
        seen->family = family;
        r = symbols_each(src, see_neighbours, seen);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < t->n; i++) {
                uint64_t lo = max_of(t->spans[i].below, src->d->text_start);
                uint64_t hi = min_of(t->spans[i].above, src->d->text_end);

                if (lo >= hi || hi - lo > TEXT_MAX)
                        return add_all_text(src, place, kind, im);
                if (!image_add_range(im, lo, hi, kind))
                        return -E2BIG;
        }
        return 0;
}

static int add(Image *im, AllocatorKind kind, const char *name, uint64_t purge, uint64_t tune, uint64_t figures) {
        Allocator *a = &im->allocators[im->n_allocators];

        for (unsigned i = 0; i < im->n_allocators; i++)
                if (im->allocators[i].purge == purge)
                        return 0;
        if (im->n_allocators == IMAGE_ALLOCATORS_MAX)
                return 0; /* the first of them matter most */
        *a = (Allocator){.kind = kind, .purge = purge, .tune = tune, .figures = figures};
        snprintf(a->name, sizeof(a->name), "%s", name);
        im->n_allocators++;
        return 1;
}

static int add_pools(const SymbolSource *src, AllocatorPlace place, bool beside, Seen *seen, Image *im) {
        int n = 0, r = 0;

        for (unsigned i = 0; i < seen->n_pools; i++) {
                const Pool *p = &seen->pools[i];

                if (!p->mallctl || !p->mallocx || (beside && place == ALLOCATOR_LIBRARY && p->prefix[0] == '\0'))
                        continue;
                n += add(im, ALLOCATOR_JEMALLOC, "jemalloc", p->mallctl, p->mallctl, p->mallctl);
        }
        if (n > 0)
                r = add_ranges(src, place, FAMILY_JEMALLOC, RANGE_MALLOC_POOL, seen, im);
        return r < 0 ? r : n;
}

int allocators_add(const SymbolSource *src, AllocatorPlace place, bool beside, Image *im) {
        Seen seen = {0};
        int r = symbols_each(src, see_names, &seen), n = 0;
        const struct {
                uint64_t purge, other; /* both must be there */
                AllocatorKind kind;
                Family family;
                RangeKind range; /* of a library that is nothing else */
                const char *name;
                uint64_t figures;
        } others[] = {
                {seen.release_free, seen.release_free, ALLOCATOR_GPERFTOOLS, FAMILY_TCMALLOC, RANGE_MALLOC_SPIN,
                 "gperftools tcmalloc", seen.property},
                {seen.release_system, seen.release_system, ALLOCATOR_TCMALLOC, FAMILY_TCMALLOC, RANGE_MALLOC_SPIN,
                 "tcmalloc", seen.google_property},
                {seen.collect, seen.mi_malloc, ALLOCATOR_MIMALLOC, FAMILY_MIMALLOC, RANGE_GUARDED, "mimalloc", 0},
        };

        if (r == 0)
                r = n = add_pools(src, place, beside, &seen, im);
        /* the others have no prefixes: one that is only mapped cannot be told from one in use, unless it is the
         * program's */
        if (r < 0 || n > 0 || (beside && place == ALLOCATOR_LIBRARY))
                return r;
        for (size_t i = 0; i < ELEMENTSOF(others) && n == 0; i++) {
                if (!others[i].purge || !others[i].other)
                        continue;
                n = add(im, others[i].kind, others[i].name, others[i].purge, 0, others[i].figures);
                if (n > 0)
                        r = add_ranges(src, place, others[i].family,
                                       place == ALLOCATOR_LIBRARY ? others[i].range : RANGE_MALLOC_SPIN, &seen, im);
        }
        return r < 0 ? r : n;
}
