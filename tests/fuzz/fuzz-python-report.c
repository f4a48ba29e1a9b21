/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "cli/inspect-view.h"

/* A census that passes the check is shown and written as JSON; both may only hold what a terminal or a parser can bear.
 */
static void show(const uint8_t *data, size_t size) {
        Inspection i = INSPECTION_NULL;
        Term t = {.width = 80, .height = 24, .tty = true};
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        _cleanup_buf_ Buf json = BUF_NULL;

        memcpy(&i.last.census, data, sizeof(i.last.census));
        i.last.types = malloc(size);
        FUZZ_CHECK(i.last.types);
        memcpy(i.last.types, data + sizeof(i.last.census), size - sizeof(i.last.census));
        i.first = i.last;
        i.is_diff = size & 1 || i.last.census.n_retries & 1;
        i.has_census = true;
        t.glyph = &(Glyphs){.dot = "-", .bar_full = "#", .bar_empty = ".", .ellipsis = "..."};
        FUZZ_CHECK(inspect_rows(i.is_diff ? &i.first : NULL, &i.last, &i.rows) == 0);
        inspect_view(&s, &i);
        inspect_json(&json, &i);
        for (const char *p = buf_str(&s.buf); *p; p++)
                FUZZ_CHECK(*p == '\n' || (*p >= ' ' && *p <= '~'));
        for (const char *p = buf_str(&json); *p; p++)
                FUZZ_CHECK((unsigned char)*p >= ' ');
        inspect_rows_done(&i.rows);
        free(i.last.types);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _Alignas(8) static uint8_t copy[64u << 10];

        if (size > sizeof(copy))
                return 0;
        memcpy(copy, data, size);
        if (!python_report_check(copy, size))
                show(copy, size);
        return 0;
}
