/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "probe/python/referents.h"
#include "probe/python/walk.h"
#include "util/clock.h"

/* The input is a hostile interpreter: its first byte says the version, the rest is its memory, which begins at BASE:
 * list heads first, then the types that the reader knows by symbol, TYPE_STEP apart (they overlap; what is read of them
 * does not). Nothing else can be read. */
#define BASE          UINT64_C(0x100000)
#define TYPES_AT      256u
#define TYPE_STEP     104u
#define DEADLINE_USEC 2000u

typedef struct Blob {
        const uint8_t *data;
        size_t size;
} Blob;

static ssize_t read_blob(void *userdata, uint64_t addr, void *buf, size_t n) {
        const Blob *b = userdata;

        if (addr < BASE || addr - BASE >= b->size)
                return -EFAULT;
        n = min_of(n, b->size - (size_t)(addr - BASE));
        memcpy(buf, b->data + (addr - BASE), n);
        return (ssize_t)n;
}

static uint64_t type_at(unsigned i) {
        return BASE + TYPES_AT + (uint64_t)i * TYPE_STEP;
}

static void make_python(Cache *m, unsigned minor, Python *ret) {
        Python p = {.m = m, .minor = minor, .l = *layout_of(minor), .type_type = type_at(0), .n_heaps = 1};

        p.head_bytes = minor <= 7 ? 32 : 16;
        p.stride = minor <= 7 ? 48 : 24;
        p.set_type = p.frozenset_type = type_at(5);
        p.bytearray_type = type_at(6);
        p.heap[0] = (PythonHeap){.generations = BASE, .permanent = BASE + 3ULL * p.stride};
        *ret = p;
}

/* The tables are taken once: a run is short, and their pages are many. */
static void reset(Types *t, Referents *r, Cache *m) {
        cache_forget(m);
        memset(t->cache, 0, TYPES_CACHE_SLOTS * sizeof(TypeInfo));
        memset(t->index, 0, TYPES_INDEX_SLOTS * sizeof(uint16_t));
        memset(t->entry, 0, (t->n + 1) * sizeof(TypeEntry));
        memset(&t->entry[PYTHON_TYPES_MAX], 0, sizeof(TypeEntry));
        t->n = 0;
        if (r->n || r->n_large) {
                memset(r->set, 0, REFERENTS_MAX * sizeof(Referent));
                memset(r->large, 0, REFERENTS_LARGE_MAX * sizeof(Referent));
        }
        r->n = r->n_large = r->n_pending = 0;
        r->mask = r->large_mask = 0;
        r->late = false;
        memset(r->count, 0, sizeof(r->count));
        memset(r->large_count, 0, sizeof(r->large_count));
}

static void visit(void *userdata, const TypeInfo *type, uint64_t addr, int64_t ob_size) {
        referents_visit(userdata, type, addr, ob_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const Pymalloc none;
        static Cache cache;
        static Python python;
        static Types types;
        static Referents referents;
        static Blob blob;
        WalkResult result;
        uint64_t n = 0;

        if (size < 1)
                return 0;
        blob = (Blob){data + 1, size - 1};
        if (!cache.bytes)
                FUZZ_CHECK(cache_init(&cache, read_blob, &blob) == 0 && types_init(&types, &python) == 0 &&
                           referents_init(&referents, &python, &none, 0) == -ENODATA);
        make_python(&cache, PYTHON_MINOR_MIN + data[0] % (PYTHON_MINOR_MAX - PYTHON_MINOR_MIN + 1), &python);
        reset(&types, &referents, &cache);
        referents.tuple_type = type_at(2);
        referents.dict_type = type_at(3);
        referents.str_type = type_at(4);
        referents.bytes_type = referents.bytearray_type = type_at(6);
        referents.deadline_usec = now_mono_usec() + DEADLINE_USEC;
        walk_run(&python, &python.heap[0], &types, referents.deadline_usec, visit, &referents, &result);
        referents_finish(&referents);
        for (unsigned i = 0; i < types.n; i++)
                n += types_total(&types.entry[i]).n_objects;
        FUZZ_CHECK(n < (1u << 20)); /* so many do not pass by in the time that it has */
        FUZZ_CHECK(!result.complete || !result.torn);
        FUZZ_CHECK(referents.n <= REFERENTS_MAX && types.n <= PYTHON_TYPES_MAX);
        return 0;
}
