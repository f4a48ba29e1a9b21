/* SPDX-License-Identifier: Apache-2.0 */
#include "report/pushgateway.h"

#include "unit/unit.h"

static void test_group_url(void **state _unused_) {
        static const struct {
                const char *name, *base, *job, *instance, *url;
        } cases[] = {
                {"plain", "http://127.0.0.1:9091", "plateau", "node-1",
                 "http://127.0.0.1:9091/metrics/job/plateau/instance/node-1"},
                {"slash at the end", "http://127.0.0.1:9091//", "p", "i",
                 "http://127.0.0.1:9091/metrics/job/p/instance/i"},
                {"path prefix", "https://gw.test/push/", "p", "i", "https://gw.test/push/metrics/job/p/instance/i"},
                {"escaped", "http://h", "a b?c#d", "x:1.2%",
                 "http://h/metrics/job/a%20b%3Fc%23d/instance/x%3A1%2E2%25"},
                {"path step", "http://h", "..", "i", "http://h/metrics/job/%2E%2E/instance/i"},
                {"utf-8", "http://h", "\xc3\xa9", "i", "http://h/metrics/job/%C3%A9/instance/i"},
                {"slash, three bytes", "http://h", "a/b", "i", "http://h/metrics/job@base64/YS9i/instance/i"},
                {"slash, four bytes", "http://h", "a/bc", "i", "http://h/metrics/job@base64/YS9iYw/instance/i"},
                {"slash, five bytes", "http://h", "/var/", "i", "http://h/metrics/job@base64/L3Zhci8/instance/i"},
                {"base64url digits", "http://h", "/\xff\xff\xfe", "i", "http://h/metrics/job@base64/L____g/instance/i"},
                {"empty", "http://h", "p", "", "http://h/metrics/job/p/instance@base64/="},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_buf_ Buf b = BUF_NULL;

                pushgateway_group_url(&b, cases[i].base, cases[i].job, cases[i].instance);
                assert_string_equal(buf_str(&b), cases[i].url);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_group_url)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
