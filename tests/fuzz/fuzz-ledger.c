/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "action/look.h"
#include "cli/explain-call.h"

/* A ledger that passes the check is shown, written as JSON and judged by: nothing may overflow, and the output may only
 * hold what a terminal or a parser can bear. */
static void use(const Ledger *l) {
        ExplainCall c = {.asked = true, .known = true, .ledger = *l, .ask = {.result = "ok"}};
        DiagnoseLook look = {.known = UINT32_MAX, .part_bytes[DIAGNOSE_ALLOCATOR] = 1u << 30};
        Term t = {.width = 80, .height = 24, .tty = true};
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        _cleanup_buf_ Buf json = BUF_NULL;
        Json j = JSON_INIT(&json);
        uint64_t sum = 0;

        t.glyph = &(Glyphs){.dot = "-", .bar_full = "#", .bar_empty = ".", .ellipsis = "..."};
        explain_call_view(&s, &c, 11);
        json_object_begin(&j);
        explain_call_json(&j, &c);
        json_object_end(&j);
        for (const char *p = buf_str(&s.buf); *p; p++)
                FUZZ_CHECK(*p == '\n' || (*p >= ' ' && *p <= '~'));
        for (const char *p = buf_str(&json); *p; p++)
                FUZZ_CHECK((unsigned char)*p >= ' ');
        look_add_ledger(l, &look);
        for (unsigned i = 0; i < _DIAGNOSE_PART_MAX; i++)
                sum += look.part_bytes[i];
        FUZZ_CHECK(sum == 1u << 30);
        FUZZ_CHECK(look.trim_bytes <= look.part_bytes[DIAGNOSE_HEAP_FREE]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Ledger l;

        if (size < 16)
                return 0;
        memset(&l, 0, sizeof(l));
        memcpy(&l, data, min_of(size, sizeof(l)));
        if (data[0] & 1) {
                l.magic = LEDGER_MAGIC;
                l.size = sizeof(l);
        }
        if (!ledger_check(&l))
                use(&l);
        return 0;
}
