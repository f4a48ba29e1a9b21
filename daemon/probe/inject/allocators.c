/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/allocators.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_MAX    24
#define PREFIXES_MAX  4
#define POOL_TEXT_MAX (4u << 20) /* jemalloc takes 0.4 MiB */

typedef struct Span {
        uint64_t lo, hi;       /* of functions by name */
        uint64_t below, above; /* neighbours that are none of them */
} Span;

#define SPAN_NULL ((Span){UINT64_MAX, 0, 0, UINT64_MAX})

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
        Span hot, cold; /* jemalloc's functions; and their cold parts, which the linker puts elsewhere */
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

/* Its internal functions have a private prefix, whatever the public one is: "je_", or that behind the public one
 * (configure.ac, JEMALLOC_PRIVATE_NAMESPACE). */
static bool is_pool_function(const char *name) {
        static const char *const exported[] = {
                "malloc",
                "calloc",
                "posix_memalign",
                "aligned_alloc",
                "realloc",
                "free",
                "memalign",
                "valloc",
                "pvalloc",
                "mallocx",
                "rallocx",
                "xallocx",
                "sallocx",
                "dallocx",
                "sdallocx",
                "nallocx",
                "mallctl",
                "mallctlbymib",
                "mallctlnametomib",
                "malloc_stats_print",
                "malloc_usable_size",
        };

        if (strncmp(name, "je_", 3) == 0 || strncmp(name, "_rjem_", 6) == 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(exported); i++)
                if (strcmp(name, exported[i]) == 0)
                        return true;
        return false;
}

static Span *span_of(Seen *seen, const char *name) {
        size_t n = strlen(name);

        return n > 5 && strcmp(name + n - 5, ".cold") == 0 ? &seen->cold : &seen->hot;
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
        };

        if (s->type != STT_FUNC)
                return 0;
        if (is_pool_function(name)) {
                Span *span = span_of(seen, name);

                span->lo = min_of(span->lo, s->address);
                span->hi = max_of(span->hi, s->address + s->size);
        }
        see_pool(seen, s, name);
        for (size_t i = 0; i < ELEMENTSOF(want); i++)
                if (*want[i].at == 0 && strcmp(name, want[i].name) == 0)
                        *want[i].at = s->address;
        return 0;
}

/* What lies between jemalloc's named functions and the nearest other one that is global may be a static function of
 * jemalloc: as for malloc.o, see inject/glibc.c. */
static int see_neighbours(void *userdata, const Symbol *s, const char *name) {
        Seen *seen = userdata;
        Span *spans[] = {&seen->hot, &seen->cold};

        if (s->type != STT_FUNC || s->bind == STB_LOCAL || s->hidden || is_pool_function(name))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(spans); i++) {
                if (s->address + s->size <= spans[i]->lo)
                        spans[i]->below = max_of(spans[i]->below, s->address + s->size);
                else if (s->address >= spans[i]->hi)
                        spans[i]->above = min_of(spans[i]->above, s->address);
        }
        return 0;
}

static int add_text(const SymbolSource *src, AllocatorPlace place, RangeKind kind, Image *im) {
        if (place == ALLOCATOR_STATIC_PROGRAM || src->d->text_end == 0)
                return -E2BIG; /* every thread is in there all the time */
        return image_add_range(im, src->d->text_start, src->d->text_end, kind) ? 0 : -E2BIG;
}

/* jemalloc within a program: what is between its functions. Not to be told (stripped, or strewn about): all of the
 * program, in which case no thread that waits for a futex is borrowed. */
static int add_pool_ranges(const SymbolSource *src, AllocatorPlace place, Seen *seen, Image *im) {
        const Dynsym *d = src->d;
        Span *spans[] = {&seen->hot, &seen->cold};
        int r;

        if (place == ALLOCATOR_LIBRARY || seen->hot.hi == 0)
                return add_text(src, place, RANGE_MALLOC_POOL, im);
        r = symbols_each(src, see_neighbours, seen);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(spans); i++) {
                uint64_t lo = max_of(spans[i]->below, d->text_start), hi = min_of(spans[i]->above, d->text_end);

                if (spans[i]->hi == 0)
                        continue;
                if (lo >= hi || hi - lo > POOL_TEXT_MAX)
                        return add_text(src, place, RANGE_MALLOC_POOL, im);
                if (!image_add_range(im, lo, hi, RANGE_MALLOC_POOL))
                        return -E2BIG;
        }
        return 0;
}

static int add(Image *im, AllocatorKind kind, const char *name, uint64_t purge, uint64_t tune) {
        Allocator *a = &im->allocators[im->n_allocators];

        for (unsigned i = 0; i < im->n_allocators; i++)
                if (im->allocators[i].purge == purge)
                        return 0;
        if (im->n_allocators == IMAGE_ALLOCATORS_MAX)
                return 0; /* the first of them matter most */
        *a = (Allocator){.kind = kind, .purge = purge, .tune = tune};
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
                n += add(im, ALLOCATOR_JEMALLOC, "jemalloc", p->mallctl, p->mallctl);
        }
        if (n > 0)
                r = add_pool_ranges(src, place, seen, im);
        return r < 0 ? r : n;
}

int allocators_add(const SymbolSource *src, AllocatorPlace place, bool beside, Image *im) {
        Seen seen = {.hot = SPAN_NULL, .cold = SPAN_NULL};
        int r = symbols_each(src, see_names, &seen), n = 0;
        const struct {
                uint64_t purge, other; /* both must be there */
                AllocatorKind kind;
                RangeKind range;
                const char *name;
        } others[] = {
                {seen.release_free, seen.release_free, ALLOCATOR_GPERFTOOLS, RANGE_MALLOC_SPIN, "gperftools tcmalloc"},
                {seen.release_system, seen.release_system, ALLOCATOR_TCMALLOC, RANGE_MALLOC_SPIN, "tcmalloc"},
                {seen.collect, seen.mi_malloc, ALLOCATOR_MIMALLOC, RANGE_GUARDED, "mimalloc"},
        };

        if (r == 0)
                r = n = add_pools(src, place, beside, &seen, im);
        /* these have no prefixes: one that is only mapped cannot be told from one in use, unless it is the program's */
        if (r < 0 || n > 0 || (beside && place == ALLOCATOR_LIBRARY))
                return r;
        for (size_t i = 0; i < ELEMENTSOF(others) && n == 0; i++)
                if (others[i].purge && others[i].other) {
                        n = add(im, others[i].kind, others[i].name, others[i].purge, 0);
                        if (n > 0)
                                r = add_text(src, place,
                                             place == ALLOCATOR_LIBRARY ? others[i].range : RANGE_MALLOC_SPIN, im);
                }
        return r < 0 ? r : n;
}
