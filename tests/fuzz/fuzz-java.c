/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "probe/survey/java.h"

/* The input is the memory of a hostile JVM, over and over again from BASE on, where its table begins. */
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
        static Blob blob;
        SurveyJava java = {0};
        Ranges owners = {0};
        int r;

        if (size < 1 || size > 64 * 1024)
                return 0;
        blob = (Blob){data, size};
        if (!cache.bytes)
                FUZZ_CHECK(cache_init(&cache, read_blob, &blob) == 0);
        cache_forget(&cache);
        r = java_read_table(&cache, BASE, &owners, &java);
        FUZZ_CHECK(r == 1 || (r == 0 && owners.n == 0 && !java.heap_bytes && !java.code_bytes));
        FUZZ_CHECK(owners.n == (java.heap_bytes > 0) + (size_t)(java.code_bytes > 0));
        for (size_t i = 0; i < owners.n; i++)
                FUZZ_CHECK(owners.range[i].end - owners.range[i].start ==
                           (owners.range[i].kind == PART_JAVA_HEAP ? java.heap_bytes : java.code_bytes));
        ranges_done(&owners);
        return 0;
}
