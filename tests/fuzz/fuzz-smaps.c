/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include "util/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        SmapsRollup s = {.rss_bytes = 7};

        if (smaps_parse((const char *)data, size, &s) < 0)
                FUZZ_CHECK(s.rss_bytes == 7);
        else
                FUZZ_CHECK(s.rss_bytes % 1024 == 0 && (s.has_pss_kind || s.pss_anon_bytes == 0));
        return 0;
}
