/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include "probe/inject/dynsym.h"

/* A whole map: sorted, without overlaps, every path within the strings; and what looks things up in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Maps m = {.n = 7};
        Object o;

        if (maps_parse((const char *)data, size, &m) < 0) {
                FUZZ_CHECK(m.n == 7);
                return 0;
        }
        FUZZ_CHECK(m.n > 0);
        for (size_t i = 0; i < m.n; i++) {
                FUZZ_CHECK(m.map[i].start < m.map[i].end && m.map[i].path < m.paths_len);
                FUZZ_CHECK(i == 0 || m.map[i].start >= m.map[i - 1].end);
                FUZZ_CHECK(maps_find(&m, m.map[i].start) == &m.map[i]);
                FUZZ_CHECK(maps_find(&m, m.map[i].end - 1) == &m.map[i]);
                (void)object_at(&m, m.map[i].start, &o);
        }
        for (size_t i = 0, last = 0; object_next(&m, &i, &o); last = i)
                FUZZ_CHECK(i > last && i <= m.n && o.first->start < o.end && object_base_name(&o));
        FUZZ_CHECK((uint32_t)maps_hole(&m, 0x50726000) == 0x50726000 || maps_hole(&m, 0x50726000) == 0);
        maps_done(&m);
        return 0;
}
