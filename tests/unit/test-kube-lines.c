/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lines.h"

#include <limits.h>

#include "unit/unit.h"

/* All whole lines, joined by '|'. */
static void drain(KubeLines *l, char *buf, size_t size) {
        const char *line;
        size_t len, n = strlen(buf);

        while (kube_lines_next(l, &line, &len))
                n += (size_t)snprintf(buf + n, size - n, "%.*s|", (int)len, line);
}

/* How it is cut in pieces does not matter. */
static void test_pieces(void **state _unused_) {
        static const char text[] = "{\"a\":1}\n\n{\"b\":2}\r\nhalf";

        for (size_t step = 1; step <= sizeof(text); step++) {
                KubeLines l = {0};
                char got[64] = "";

                for (size_t at = 0; at < strlen(text); at += step) {
                        assert_int_equal(kube_lines_feed(&l, text + at, min_of(step, strlen(text) - at)), 0);
                        drain(&l, got, sizeof(got));
                }
                assert_string_equal(got, "{\"a\":1}||{\"b\":2}\r|");
                kube_lines_done(&l);
        }
}

static void test_bound(void **state _unused_) {
        static char big[KUBE_LINE_MAX];
        KubeLines l = {0};
        const char *line;
        size_t len;

        memset(big, 'x', sizeof(big));
        assert_int_equal(kube_lines_feed(&l, big, sizeof(big)), 0);
        assert_false(kube_lines_next(&l, &line, &len));
        assert_int_equal(kube_lines_feed(&l, "\n", 1), -EMSGSIZE);
        kube_lines_done(&l);

        /* many lines do not add up, and a long one leaves no big buffer behind */
        big[sizeof(big) - 1] = '\n';
        for (unsigned i = 0; i < 5; i++) {
                assert_int_equal(kube_lines_feed(&l, big, sizeof(big)), 0);
                assert_true(kube_lines_next(&l, &line, &len) && len == sizeof(big) - 1);
                assert_false(kube_lines_next(&l, &line, &len));
        }
        assert_true(l.cap < 64 << 10);
        assert_int_equal(kube_lines_feed(&l, big, SIZE_MAX), -EMSGSIZE);
        kube_lines_done(&l);
}

static void test_events(void **state _unused_) {
        static const struct {
                const char *line;
                int r;
                KubeLineType type;
                const char *version;
                int code;
        } cases[] = {
                {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}", 0, KUBE_LINE_ADDED, "7",
                 0},
                {"{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"resourceVersion\":\"8\"}}}\r", 0,
                 KUBE_LINE_MODIFIED, "8", 0},
                {"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}", 0, KUBE_LINE_DELETED,
                 "9", 0},
                {"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"10\"}}}", 0,
                 KUBE_LINE_BOOKMARK, "10", 0},
                {"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}", 0, KUBE_LINE_ERROR, "", 410},
                {"{\"type\":\"ERROR\",\"object\":{\"code\":99999999999}}", 0, KUBE_LINE_ERROR, "", INT_MAX},
                {"{\"type\":\"ERROR\",\"object\":{\"code\":\"410\"}}", 0, KUBE_LINE_ERROR, "", 0},
                {"{\"type\":\"ERROR\"}", -EBADMSG, 0, "", 0},
                {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}", -EBADMSG, 0, "", 0},
                {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}", -EBADMSG, 0, "", 0},
                {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":"
                 "\"12345678901234567890123456789012\"}}}",
                 -EBADMSG, 0, "", 0},
                {"{\"type\":\"added\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}", -EBADMSG, 0, "", 0},
                {"{\"type\":\"ADDED\",\"type\":\"DELETED\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}",
                 -EBADMSG, 0, "", 0},
                {"{\"type\":[],\"object\":{}}", -EBADMSG, 0, "", 0},
                {"[]", -EBADMSG, 0, "", 0},
                {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}", -EBADMSG, 0, "", 0},
                {"", -EBADMSG, 0, "", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                KubeLine l = {0};
                int r = kube_line_parse(cases[i].line, strlen(cases[i].line), &l);

                if (r != cases[i].r || l.type != cases[i].type || strcmp(l.version, cases[i].version) != 0 ||
                    l.code != cases[i].code || (r == 0) != !!l.object)
                        fail_msg("%s: %d, %d, \"%s\", %d", cases[i].line, r, (int)l.type, l.version, l.code);
                json_decref(l.object);
        }
}

/* What a real server wrote: an object each, the last but one line a bookmark; and a forgotten version. */
static void test_recorded(void **state _unused_) {
        static const char *const files[] = {FIXTURES "/kube/watch.jsonl", FIXTURES "/kube/watch-410.jsonl"};
        unsigned seen[_KUBE_LINE_TYPE_MAX] = {0};

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_file_ FILE *f = fopen(files[i], "re");
                KubeLines l = {0};
                char piece[700];
                const char *line;
                size_t n, len;

                assert_non_null(f);
                while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
                        assert_int_equal(kube_lines_feed(&l, piece, n), 0);
                        while (kube_lines_next(&l, &line, &len)) {
                                KubeLine parsed;

                                assert_int_equal(kube_line_parse(line, len, &parsed), 0);
                                seen[parsed.type]++;
                                if (parsed.type == KUBE_LINE_ERROR)
                                        assert_int_equal(parsed.code, 410);
                                json_decref(parsed.object);
                        }
                }
                kube_lines_done(&l);
        }
        assert_true(seen[KUBE_LINE_ADDED] && seen[KUBE_LINE_MODIFIED] && seen[KUBE_LINE_DELETED] &&
                    seen[KUBE_LINE_BOOKMARK] && seen[KUBE_LINE_ERROR] == 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_bound),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_recorded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
