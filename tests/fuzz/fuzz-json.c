/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

#include "util/json.h"

/* No byte that ends a line or that a terminal obeys: C0, DEL, C1 (in UTF-8: c2 80..9f). */
static void check_printable(const Buf *b) {
        const unsigned char *s = (const unsigned char *)buf_str(b);

        for (size_t i = 0; i < b->len; i++)
                FUZZ_CHECK(s[i] >= 0x20 && s[i] != 0x7f && !(s[i] == 0xc2 && s[i + 1] < 0xa0));
}

/* Another reader takes what was written; valid UTF-8 comes back as it was. */
static void check_reads_back(const Buf *b, const char *data, size_t size) {
        json_t *original = json_stringn(data, size); /* NULL: not UTF-8 */
        json_t *array = json_loadb(b->data, b->len, JSON_ALLOW_NUL, NULL), *read = json_array_get(array, 0);

        FUZZ_CHECK(array && json_is_string(read));
        FUZZ_CHECK(!original || json_equal(original, read));
        json_decref(array);
        json_decref(original);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_buf_ Buf quoted = BUF_NULL, text = BUF_NULL;

        if (size > 100000) /* six times that must fit */
                return 0;
        buf_adds(&quoted, "[\"");
        json_escape(&quoted, (const char *)data, size);
        buf_adds(&quoted, "\"]");
        FUZZ_CHECK(!quoted.failed);
        check_printable(&quoted);
        check_reads_back(&quoted, (const char *)data, size);
        json_escape_text(&text, (const char *)data, size);
        check_printable(&text);
        return 0;
}
