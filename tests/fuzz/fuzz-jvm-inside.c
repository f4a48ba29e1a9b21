/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/fuzz.h"

#include "action/jvm-inside.h"

static void check_nmt(const JvmNmt *m) {
        uint64_t reserved = 0, in_malloc = 0;

        FUZZ_CHECK(m->n_categories <= JVM_CATEGORIES_MAX);
        for (size_t i = 0; i < m->n_categories; i++) {
                const JvmCategory *c = &m->categories[i];

                FUZZ_CHECK(strnlen(c->name, sizeof(c->name)) < sizeof(c->name) && c->name[0]);
                for (const char *p = c->name; *p; p++)
                        FUZZ_CHECK(*p >= ' ' && *p <= 'z');
                FUZZ_CHECK(c->malloc_bytes <= c->committed_bytes && c->committed_bytes <= c->reserved_bytes);
                FUZZ_CHECK(jvm_nmt_find(m, c->name));
                reserved += c->reserved_bytes;
                in_malloc += c->malloc_bytes;
        }
        FUZZ_CHECK(m->state != JVM_NMT_KNOWN || (reserved == m->reserved_bytes && in_malloc == m->malloc_bytes));
}

/* As the answer to each of the questions. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *)data;
        JvmHeap h = {.used_bytes = 1};
        JvmMetaspace m = {.used_bytes = 1};
        JvmNmt nmt = {.malloc_bytes = 1};

        if (jvm_heap_parse(text, size, &h))
                FUZZ_CHECK(h.collector && h.used_bytes <= h.committed_bytes && h.committed_bytes <= h.reserved_bytes);
        else
                FUZZ_CHECK(!h.collector && h.used_bytes == 1);
        if (jvm_metaspace_parse(text, size, &m))
                FUZZ_CHECK(m.known && m.used_bytes <= m.committed_bytes && m.committed_bytes <= m.reserved_bytes);
        else
                FUZZ_CHECK(!m.known && m.used_bytes == 1);
        if (jvm_nmt_parse(text, size, &nmt))
                check_nmt(&nmt);
        else
                FUZZ_CHECK(nmt.state == JVM_NMT_UNKNOWN && nmt.malloc_bytes == 1);
        return 0;
}
