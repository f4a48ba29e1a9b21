/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/layout.h"

/* clang-format off */
static const Layout rows[PYTHON_MINOR_MAX - PYTHON_MINOR_MIN + 1] = {
        /* 3.6: no runtime structure: its parts are variables of their own */
        {.next = 0, .threads = 8, .qualname = 848, .cached_keys = 856, .ascii = 48, .compact = 72},
        /* 3.7.16 */
        {.interpreters = 24, .runtime_gc = 320, .next = 0, .threads = 8, .generations = 32,
         .qualname = 848, .cached_keys = 856, .ascii = 48, .compact = 72},
        /* 3.8.18 */
        {.interpreters = 32, .runtime_gc = 344, .next = 0, .threads = 8, .generations = 24,
         .qualname = 864, .cached_keys = 872, .ascii = 48, .compact = 72},
        /* 3.9.2, 3.9.18 */
        {.interpreters = 32, .next = 0, .threads = 8, .gc = 616, .generations = 24,
         .qualname = 856, .cached_keys = 864, .ascii = 48, .compact = 72},
        /* 3.10.13 */
        {.interpreters = 32, .next = 0, .threads = 8, .gc = 616, .generations = 24,
         .qualname = 864, .cached_keys = 872, .ascii = 48, .compact = 72},
        /* 3.11.2, 3.11.7 */
        {.interpreters = 40, .next = 0, .threads = 16, .gc = 648, .generations = 24,
         .qualname = 864, .cached_keys = 872, .ascii = 48, .compact = 72},
        /* 3.12.1 */
        {.interpreters = 40, .next = 0, .threads = 72, .gc = 112, .generations = 24, .obmalloc = 3960,
         .qualname = 872, .cached_keys = 880, .ascii = 40, .compact = 56},
        /* 3.13.0; from here on _Py_DebugOffsets says it better. 3.13.5 and .18 have generations at 20: PyGC_Head is
         * aligned to 4 there */
        {.interpreters = 632, .next = 7264, .threads = 7344, .gc = 7400, .generations = 24, .obmalloc = 10800,
         .qualname = 872, .cached_keys = 880, .ascii = 40, .compact = 56},
        /* 3.14.10 */
        {.interpreters = 808, .next = 7272, .threads = 7344, .gc = 7408, .generations = 24, .obmalloc = 10904,
         .qualname = 872, .cached_keys = 880, .ascii = 40, .compact = 56},
        /* 3.15.2 */
        {.interpreters = 936, .next = 7264, .threads = 7336, .gc = 7400, .generations = 8, .obmalloc = 10880,
         .qualname = 880, .cached_keys = 888, .ascii = 40, .compact = 56},
};
/* clang-format on */

const Layout *layout_of(unsigned minor) {
        return &rows[minor - PYTHON_MINOR_MIN];
}
