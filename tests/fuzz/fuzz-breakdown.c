/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "probe/survey/breakdown.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Range range[] = {{0x1000, 0x3000, PART_MAIN_HEAP}, {0x7f0000000000, 0x7f0000010000, PART_ARENAS}};
        Ranges known = {.range = range, .n = ELEMENTSOF(range), .max = ELEMENTSOF(range)};
        Pages pages = PAGES_NULL;
        Breakdown b = {0};
        char *text = malloc(size + 1);

        if (!text)
                return 0;
        memcpy(text, data, size);
        if (breakdown_feed(&b, text, size, &known, &pages, PART_ANONYMOUS) == 0) {
                uint64_t rss = 0;

                breakdown_sort(&b);
                for (size_t i = 0; i < b.n; i++) {
                        rss += b.parts[i].rss_bytes;
                        FUZZ_CHECK(b.parts[i].kind < _PART_MAX && memchr(b.parts[i].name, 0, BREAKDOWN_NAME_MAX));
                }
                FUZZ_CHECK(rss == b.whole.rss_bytes); /* wraps alike */
        }
        breakdown_done(&b);
        free(text);
        return 0;
}
