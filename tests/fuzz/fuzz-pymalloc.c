/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "probe/python/pymalloc.h"

/* The input is a hostile interpreter of 3.12 or later: its first byte says the version, the rest is its memory, over
 * and over again from BASE on, so that arenas have pools wherever they are said to be. The state is at its begin. */
#define BASE UINT64_C(0x10000000)
#define SPAN UINT64_C(0x40000000)

typedef struct Blob {
        const uint8_t *data;
        size_t size;
} Blob;

static ssize_t read_blob(void *userdata, uint64_t addr, void *buf, size_t n) {
        const Blob *b = userdata;

        if (addr < BASE || addr - BASE >= SPAN || b->size == 0)
                return -EFAULT;
        n = min_of(n, (size_t)(BASE + SPAN - addr));
        for (size_t i = 0; i < n; i++)
                ((uint8_t *)buf)[i] = b->data[(addr - BASE + i) % b->size];
        return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Cache cache;
        static Python python;
        static Blob blob;
        PythonCensus c = {0};
        Pymalloc pm = PYMALLOC_NULL;

        if (size < 1 || size > 64 * 1024)
                return 0;
        blob = (Blob){data + 1, size - 1};
        if (!cache.bytes)
                FUZZ_CHECK(cache_init(&cache, read_blob, &blob) == 0);
        cache_forget(&cache);
        python = (Python){.m = &cache, .minor = 12 + data[0] % 4, .interpreter = {BASE}, .n_interpreters = 1};
        FUZZ_CHECK(pymalloc_read(&python, &c, &pm) == 0);
        FUZZ_CHECK(pm.n <= PYMALLOC_ARENAS_MAX && pm.n <= c.arenas);
        FUZZ_CHECK(pm.use.used_bytes + c.blocks_free_bytes + (c.pools_free - pm.use.n_pools_unread) * pm.pool_bytes <=
                   c.arenas_bytes);
        FUZZ_CHECK(pm.use.n_sparse <= c.arenas && pm.use.sparse_used_bytes <= pm.use.used_bytes);
        for (unsigned i = 1; i < pm.n; i++)
                FUZZ_CHECK(pm.arena[i - 1] <= pm.arena[i]);
        FUZZ_CHECK(pm.n == 0 || pymalloc_has(&pm, pm.arena[0]));
        pymalloc_done(&pm);
        return 0;
}
