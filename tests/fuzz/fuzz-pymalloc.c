/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"
#include "fuzz/memory-blob.h"

#include <string.h>

#include "probe/python/pymalloc.h"

/* The input is a hostile interpreter of 3.12 or later: its first byte says the version, the rest is its memory, over
 * and over again from BLOB_BASE on, so that arenas have pools wherever they are said to be. The state is where it
 * begins. */

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
                FUZZ_CHECK(cache_init(&cache, blob_read, &blob) == 0);
        cache_forget(&cache);
        python = (Python){.m = &cache, .minor = 12 + data[0] % 4, .interpreter = {BLOB_BASE}, .n_interpreters = 1};
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
