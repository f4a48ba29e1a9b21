/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

#define UNTOUCHED 0x5ca1ab1e5ca1ab1eULL

static void check_u64(int (*parse)(const char *, uint64_t *), const char *s) {
        uint64_t v = UNTOUCHED;
        int r = parse(s, &v);

        FUZZ_CHECK(r == 0 || ((r == -EINVAL || r == -ERANGE) && v == UNTOUCHED));
}

static void check_double(int (*parse)(const char *, double *), const char *s, double max) {
        double v = -1;
        int r = parse(s, &v);

        FUZZ_CHECK(r == 0 ? v >= 0 && v <= max : (r == -EINVAL || r == -ERANGE) && v == -1);
}

/* A plain number that is accepted reads back as it was written, but for leading zeros; and all who know it agree. */
static void check_agreement(const char *s) {
        uint64_t plain, bytes;
        char text[32];

        if (parse_u64(s, &plain) < 0)
                return;
        snprintf(text, sizeof(text), "%" PRIu64, plain);
        while (s[0] == '0' && s[1])
                s++;
        FUZZ_CHECK(strcmp(s, text) == 0);
        FUZZ_CHECK(parse_bytes(s, &bytes) == 0 && bytes == plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *s = malloc(size + 1);
        bool b = false;
        int r;

        if (!s)
                return 0;
        memcpy(s, data, size);
        s[size] = '\0';
        check_u64(parse_u64, s);
        check_u64(parse_bytes, s);
        check_u64(parse_duration, s);
        check_double(parse_double, s, 0x1p64);
        check_double(parse_ratio, s, 1);
        check_agreement(s);
        r = parse_bool(s, &b);
        FUZZ_CHECK(r == 0 || (r == -EINVAL && !b));
        free(s);
        return 0;
}
