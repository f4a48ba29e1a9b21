/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"
#include "fuzz/memory-blob.h"

#include <string.h>

#include "probe/survey/java.h"

/* The input is the memory of a hostile JVM, over and over again from BLOB_BASE on, where its table begins. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Cache cache;
        static Blob blob;
        SurveyJava java = {0};
        Ranges owners = {0};
        int r;

        if (size < 1 || size > 64 * 1024)
                return 0;
        blob = (Blob){data, size};
        if (!cache.bytes)
                FUZZ_CHECK(cache_init(&cache, blob_read, &blob) == 0);
        cache_forget(&cache);
        r = java_read_table(&cache, BLOB_BASE, &owners, &java);
        FUZZ_CHECK(r == 1 || (r == 0 && owners.n == 0 && !java.heap_bytes && !java.code_bytes));
        FUZZ_CHECK(owners.n == (java.heap_bytes > 0) + (size_t)(java.code_bytes > 0));
        for (size_t i = 0; i < owners.n; i++)
                FUZZ_CHECK(owners.range[i].end - owners.range[i].start ==
                           (owners.range[i].kind == PART_JAVA_HEAP ? java.heap_bytes : java.code_bytes));
        ranges_done(&owners);
        return 0;
}
