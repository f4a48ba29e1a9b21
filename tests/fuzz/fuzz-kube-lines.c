/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "kube/lines.h"

static unsigned long long digest(KubeLines *l, unsigned long long sum) {
        const char *line;
        size_t len;

        while (kube_lines_next(l, &line, &len)) {
                KubeLine parsed;

                FUZZ_CHECK(!memchr(line, '\n', len));
                sum = sum * 31 + len + 1;
                if (kube_line_parse(line, len, &parsed) == 0) {
                        FUZZ_CHECK(parsed.type == KUBE_LINE_ERROR || parsed.version[0]);
                        sum = sum * 31 + (unsigned)parsed.type;
                        json_decref(parsed.object);
                }
        }
        return sum;
}

/* The first byte says where the text is cut in pieces: it must not matter. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        KubeLines whole = {0}, parts = {0};
        unsigned long long a, b = 0;
        size_t step, at = 0;

        if (size == 0)
                return 0;
        step = (size_t)data[0] + 1;
        data++;
        size--;
        FUZZ_CHECK(kube_lines_feed(&whole, (const char *)data, size) == 0);
        a = digest(&whole, 0);
        while (at < size) {
                size_t n = size - at < step ? size - at : step;

                FUZZ_CHECK(kube_lines_feed(&parts, (const char *)data + at, n) == 0);
                b = digest(&parts, b);
                at += n;
        }
        FUZZ_CHECK(a == b && whole.end - whole.begin == parts.end - parts.begin);
        kube_lines_done(&whole);
        kube_lines_done(&parts);
        return 0;
}
