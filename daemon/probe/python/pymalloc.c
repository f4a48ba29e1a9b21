/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/pymalloc.h"

#include <stdlib.h>
#include <string.h>

#define REFS_MAX          32
#define PARTS_MAX         8
#define PART_BYTES        256
#define MAXARENAS_MAX     (1u << 20)
#define POOLS_IN_ARENA    64u
#define SEARCH_BYTES      2048u /* around the table's place of the state in an interpreter */
#define BLOCK_MAX         512u
#define FOUND_MAX         4096u /* arenas at a time */
#define POOL_HEADER_BYTES 48u
#define MGMT_ARENAS       512u /* struct _obmalloc_state: mgmt.arenas, .maxarenas, .raw_allocated_blocks (3.12) */
#define MGMT_RAW          1088u

/* struct arena_object, the same since 2.5 */
typedef struct ArenaObject {
        uint64_t address, pool_address; /* of the arena (0 = slot unused), of the first pool that never was used */
        uint32_t n_free_pools, n_total_pools;
        uint64_t free_pools, next, prev;
} ArenaObject;

/* struct pool_header: at the start of each pool */
typedef struct PoolHeader {
        uint32_t count, pad;
        uint64_t free_block, next, prev;
        uint32_t arena_index, size_index;
        uint32_t next_offset, max_next_offset;
} PoolHeader;

_Static_assert(sizeof(ArenaObject) == 48 && sizeof(PoolHeader) == POOL_HEADER_BYTES, "CPython's layout");

/* Where one allocator keeps its book; addresses of the variables. */
typedef struct Book {
        uint64_t arenas;    /* of the pointer to the array */
        uint64_t maxarenas; /* 0 = not found */
        uint64_t blocks;    /* of the count of blocks that came from malloc (from 3.9), of all blocks (until 3.8) */
} Book;

static uint64_t pool_bytes(const Python *p) {
        return p->minor >= 10 ? 16384 : 4096;
}

static bool is_arena(const Python *p, const ArenaObject *a) {
        uint64_t size = pool_bytes(p) * POOLS_IN_ARENA;

        return a->address != 0 && a->address % 4096 == 0 && a->pool_address >= a->address &&
               a->pool_address - a->address <= size && a->n_total_pools >= POOLS_IN_ARENA - 1 &&
               a->n_total_pools <= POOLS_IN_ARENA && a->n_free_pools <= a->n_total_pools;
}

static bool read_pool(const Python *p, uint64_t at, PoolHeader *ret) {
        return p->m->read(p->m->userdata, at, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

/* An array with an arena in use whose first pool knows in which arena it is. */
static bool is_book(const Python *p, uint64_t array, uint32_t n) {
        if (array == 0 || array % 8 || n < 16 || n > MAXARENAS_MAX)
                return false;
        for (uint32_t i = 0; i < min_of(n, 64u); i++) {
                uint64_t pool;
                ArenaObject a;
                PoolHeader h;

                if (!cache_read(p->m, array + i * sizeof(a), &a, sizeof(a)))
                        return false;
                if (a.address == 0)
                        continue;
                pool = (a.address + pool_bytes(p) - 1) & ~(pool_bytes(p) - 1);
                return is_arena(p, &a) && (pool >= a.pool_address || (read_pool(p, pool, &h) && h.arena_index == i));
        }
        return false;
}

static bool book_holds(const Python *p, uint64_t arenas, uint64_t maxarenas) {
        uint64_t array;
        uint32_t n;

        return cache_word(p->m, arenas, &array) && cache_read(p->m, maxarenas, &n, sizeof(n)) && is_book(p, array, n);
}

/* The first variables that the function loads and that hold as arenas and maxarenas. What looks like a load of 8 bytes
 * may be one of 4: the byte before it may belong to the instruction before. */
static bool find_arenas(const Python *p, const CodeRef *ref, size_t n, Book *ret) {
        for (size_t i = 0; i < 2 * n; i++)
                for (size_t k = 0; ref[i % n].bytes == (i < n ? 4 : 8) && k < n; k++)
                        if (k != i % n && ref[k].bytes == 8 && book_holds(p, ref[k].address, ref[i % n].address)) {
                                ret->arenas = ref[k].address;
                                ret->maxarenas = ref[i % n].address;
                                return true;
                        }
        return false;
}

static void find_in_parts(const Python *p, const Symbol *function, Book *ret) {
        CodeRef ref[REFS_MAX];
        uint64_t part[PARTS_MAX];
        size_t n_parts = code_jumps(p->m, function, part, ELEMENTSOF(part));
        Symbol s = *function;

        for (size_t i = 0; i <= n_parts; i++) {
                if (find_arenas(p, ref, code_refs(p->m, &s, ref, ELEMENTSOF(ref)), ret))
                        return;
                if (i < n_parts)
                        s = (Symbol){.address = part[i], .size = PART_BYTES};
        }
}

/* Until 3.11 they are local variables. _Py_GetAllocatedBlocks() loads them and, from 3.9 on, the number of blocks that
 * came from malloc; until 3.8 it returns a counter of all, and _PyObject_DebugMallocStats() loads the others. */
static bool find_variables(const Python *p, Book *ret) {
        CodeRef ref[REFS_MAX];
        Book b = {0};
        Symbol s;
        size_t n;

        if (dynsym_find(&p->symbols, "_Py_GetAllocatedBlocks", &s, 1) != 1)
                return false;
        s.size = min_of(s.size, (uint64_t)64);
        n = code_refs(p->m, &s, ref, ELEMENTSOF(ref));
        if (p->minor <= 8) {
                if (n > 0 && ref[0].bytes == 8)
                        b.blocks = ref[0].address;
                if (dynsym_find(&p->symbols, "_PyObject_DebugMallocStats", &s, 1) == 1)
                        find_in_parts(p, &s, &b);
        } else if (find_arenas(p, ref, n, &b)) {
                for (size_t i = 0; i < n && b.blocks == 0; i++)
                        if (ref[i].bytes == 8 && ref[i].address != b.arenas)
                                b.blocks = ref[i].address;
        }
        *ret = b;
        return b.blocks || b.maxarenas;
}

/* From 3.12 on each interpreter has them: in itself, later behind a pointer. At the table's place or near it. */
static bool find_state(const Python *p, uint64_t interpreter, Book *ret) {
        for (uint32_t i = 0; i <= SEARCH_BYTES; i += 8) {
                for (int sign = -1; sign <= 1; sign += 2) {
                        uint64_t state = interpreter + p->l.obmalloc + (uint64_t)(sign * (int64_t)i);

                        if (p->minor >= 13 && (!cache_word(p->m, state, &state) || state % 8))
                                continue;
                        if (book_holds(p, state + MGMT_ARENAS, state + MGMT_ARENAS + 8)) {
                                *ret = (Book){state + MGMT_ARENAS, state + MGMT_ARENAS + 8, state + MGMT_RAW};
                                return true;
                        }
                }
        }
        return false;
}

/* The blocks of one pool. Its header is not under a lock of ours: what makes no sense is of a pool in mid-change. */
static void add_pool(const Python *p, const PoolHeader *h, uint32_t index, PythonCensus *c, PymallocUse *use) {
        uint64_t size;

        if (h->arena_index != index || h->max_next_offset >= pool_bytes(p))
                return;
        size = pool_bytes(p) - h->max_next_offset; /* 16 bytes a size class, 8 in older versions: so not by its index */
        if (h->count == 0 || size == 0 || size > BLOCK_MAX || h->count > (pool_bytes(p) - POOL_HEADER_BYTES) / size)
                return;
        c->pools_used++;
        c->n_blocks += h->count;
        c->blocks_free_bytes += ((pool_bytes(p) - POOL_HEADER_BYTES) / size - h->count) * size;
        use->n_blocks += h->count;
        use->used_bytes += h->count * size;
}

/* Those that ever were used. One that cannot be read is left out. */
static void add_pools(const Python *p, const ArenaObject *a, uint32_t index, PythonCensus *c, PymallocUse *use) {
        PoolHeader h[POOLS_IN_ARENA];
        uint64_t at[POOLS_IN_ARENA];
        size_t n = 0;

        for (uint64_t pool = (a->address + pool_bytes(p) - 1) & ~(pool_bytes(p) - 1);
             pool < a->pool_address && n < POOLS_IN_ARENA; pool += pool_bytes(p))
                at[n++] = pool;
        for (size_t i = 0; i < n; i++) {
                size_t got = cache_gather(p->m, &at[i], n - i, h, sizeof(h[0]));

                for (size_t k = 0; k < got; k++)
                        add_pool(p, &h[k], index, c, use);
                i += got;
        }
}

typedef struct Found {
        ArenaObject a;
        uint32_t index;
} Found;

/* Sums up one arena; it can be given back only when the last block in it is freed (Objects/obmalloc.c). */
static void add_arena(const Python *p, const Found *f, PythonCensus *c, Pymalloc *pm) {
        uint64_t used = c->pools_used, taken = f->a.n_total_pools - f->a.n_free_pools;
        PymallocUse use = {0};

        add_pools(p, &f->a, f->index, c, &use);
        c->arenas++;
        c->arenas_bytes += pm->arena_bytes;
        used = c->pools_used - used;
        c->pools_free += f->a.n_total_pools > used ? f->a.n_total_pools - used : 0;
        pm->use.n_pools_unread += taken > used ? taken - used : 0;
        pm->use.n_blocks += use.n_blocks;
        pm->use.used_bytes += use.used_bytes;
        if (use.used_bytes < pm->arena_bytes / PYMALLOC_SPARSE) {
                pm->use.n_sparse++;
                pm->use.sparse_used_bytes += use.used_bytes;
                pm->use.n_sparse_blocks += use.n_blocks;
        }
        if (pm->n < PYMALLOC_ARENAS_MAX)
                pm->arena[pm->n++] = f->a.address;
}

static int by_address(const void *a, const void *b) {
        const Found *x = a, *y = b;

        return x->a.address < y->a.address ? -1 : x->a.address > y->a.address;
}

static size_t take_arenas(const Python *p, Found *found, size_t n, PythonCensus *c, Pymalloc *pm) {
        qsort(found, n, sizeof(*found), by_address);
        for (size_t i = 0; i < n; i++)
                add_arena(p, &found[i], c, pm);
        return 0;
}

/* In the order of their addresses, some thousand at a time: a reader that asks for the state of pages first
 * (survey/source.h) gets it in large pieces then. */
static bool add_arenas(const Python *p, const Book *b, PythonCensus *c, Pymalloc *pm) {
        static Found found[FOUND_MAX]; /* 224 KiB, as far as it is used */
        uint64_t array;
        size_t m = 0;
        uint32_t n;

        if (!cache_word(p->m, b->arenas, &array) || !cache_read(p->m, b->maxarenas, &n, sizeof(n)) || n > MAXARENAS_MAX)
                return false;
        for (uint32_t i = 0; i < n; i++) {
                found[m].index = i;
                if (!cache_read(p->m, array + i * sizeof(found[m].a), &found[m].a, sizeof(found[m].a)))
                        return false;
                if (is_arena(p, &found[m].a) && ++m == FOUND_MAX)
                        m = take_arenas(p, found, m, c, pm);
        }
        (void)take_arenas(p, found, m, c, pm);
        return true;
}

static int ascending(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static bool add_blocks(const Python *p, const Book *b, PythonCensus *c) {
        uint64_t n;

        if (!b->blocks || !cache_word(p->m, b->blocks, &n) || n > UINT64_C(1) << 40)
                return false;
        c->n_blocks = p->minor <= 8 ? n : c->n_blocks + n;
        return true;
}

int pymalloc_read(const Python *p, PythonCensus *census, Pymalloc *ret) {
        bool arenas = true, blocks = true;
        Pymalloc pm = {.arena = malloc(PYMALLOC_ARENAS_MAX * sizeof(uint64_t)),
                       .arena_bytes = pool_bytes(p) * POOLS_IN_ARENA,
                       .pool_bytes = pool_bytes(p)};
        uint64_t seen = 0;
        Book b;

        if (!pm.arena)
                return -ENOMEM;
        if (p->minor <= 11) {
                bool found = find_variables(p, &b);

                arenas = found && b.maxarenas && add_arenas(p, &b, census, &pm);
                blocks = found && (p->minor <= 8 || arenas) && add_blocks(p, &b, census);
        }
        for (unsigned i = 0; p->minor >= 12 && i < p->n_interpreters; i++) {
                /* the first one in the list is the youngest; those without a state of their own share the main one's */
                if (!find_state(p, p->interpreter[p->n_interpreters - 1 - i], &b) || b.arenas == seen) {
                        arenas &= i > 0;
                        continue;
                }
                seen = i == 0 ? b.arenas : seen;
                arenas &= add_arenas(p, &b, census, &pm);
                blocks &= add_blocks(p, &b, census);
        }
        census->flags |= (arenas ? PYTHON_HAVE_ARENAS : 0) | (arenas && blocks ? PYTHON_HAVE_BLOCKS : 0) |
                         (p->minor <= 8 && blocks ? PYTHON_HAVE_BLOCKS : 0);
        qsort(pm.arena, pm.n, sizeof(pm.arena[0]), ascending);
        *ret = pm;
        return 0;
}

void pymalloc_done(Pymalloc *pm) {
        free(pm->arena);
        *pm = PYMALLOC_NULL;
}

bool pymalloc_has(const Pymalloc *pm, uint64_t addr) {
        unsigned lo = 0, hi = pm->n;

        while (lo < hi) { /* the first that lies above */
                unsigned mid = lo + (hi - lo) / 2;

                if (pm->arena[mid] > addr)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return lo > 0 && addr - pm->arena[lo - 1] < pm->arena_bytes;
}
