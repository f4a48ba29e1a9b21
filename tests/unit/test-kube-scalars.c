/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/scalars.h"

#include "unit/unit.h"
#include "util/clock.h"

static void test_quantities(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
                uint64_t bytes;
        } cases[] = {
                {"0", 0, 0},
                {"128M", 0, 128000000},
                {"4.5Gi", 0, 4831838208},
                {"4608Mi", 0, 4831838208},
                {"1e9", 0, 1000000000},
                {"1E9", 0, 1000000000},
                {"+5", 0, 5},
                {".5k", 0, 500},
                {"5.", 0, 5},
                {"12E-1", 0, 2}, /* Quantity.Value() rounds up */
                {"1500m", 0, 2},
                {"1000m", 0, 1},
                {"1n", 0, 1},
                {"0m", 0, 0},
                {"1E", 0, 1000000000000000000},
                {"1Ei", 0, 1152921504606846976},
                {"15.9999999999999999Ei", 0, UINT64_C(18446744073709551501)},
                {"1.50000000000000000000Ki", 0, 1536},
                {"18446744073709551615", 0, UINT64_MAX},
                {"18446744073709551616", -ERANGE, 0},
                {"18446744073709551615.1", -ERANGE, 0},
                {"16Ei", -ERANGE, 0},
                {"99999999999999999999999999999999999999999999999999", -ERANGE, 0},
                {"1e99", -ERANGE, 0},
                {"1e-99", 0, 1},
                {"0e99", 0, 0},
                {"1e100", -ERANGE, 0},
                {"", -EINVAL, 0},
                {"-1", -EINVAL, 0},
                {".", -EINVAL, 0},
                {"Mi", -EINVAL, 0},
                {"1.2.3", -EINVAL, 0},
                {" 1", -EINVAL, 0},
                {"1 ", -EINVAL, 0},
                {"1mi", -EINVAL, 0},
                {"1KiB", -EINVAL, 0},
                {"1K", -EINVAL, 0},
                {"1e", -EINVAL, 0},
                {"1e+", -EINVAL, 0},
                {"1e1x", -EINVAL, 0},
                {"0x10", -EINVAL, 0},
                {"nan", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 0;
                int r = kube_quantity_parse(cases[i].text, &v);

                if (r != cases[i].r || v != cases[i].bytes)
                        fail_msg("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long)v);
        }
}

static void test_times(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
                uint64_t usec;
        } cases[] = {
                {"1970-01-01T00:00:00Z", 0, 0},
                {"2026-09-01T10:00:00Z", 0, 1788256800 * USEC_PER_SEC},
                {"2026-09-01t10:00:00z", 0, 1788256800 * USEC_PER_SEC},
                {"2026-09-01T10:00:00.000001Z", 0, 1788256800 * USEC_PER_SEC + 1},
                {"2026-09-01T10:00:00.5Z", 0, 1788256800 * USEC_PER_SEC + 500000},
                {"2026-09-01T10:00:00.123456789Z", 0, 1788256800 * USEC_PER_SEC + 123456},
                {"2026-09-01T12:30:00+02:30", 0, 1788256800 * USEC_PER_SEC},
                {"2026-09-01T08:00:00-02:00", 0, 1788256800 * USEC_PER_SEC},
                {"2024-02-29T00:00:00Z", 0, 1709164800 * USEC_PER_SEC},
                {"2000-02-29T00:00:00Z", 0, 951782400 * USEC_PER_SEC},
                {"2016-12-31T23:59:60Z", 0, 1483228800 * USEC_PER_SEC},
                {"9999-12-31T23:59:59Z", 0, 253402300799 * USEC_PER_SEC},
                {"2026-02-29T00:00:00Z", -EINVAL, 0},
                {"2100-02-29T00:00:00Z", -EINVAL, 0},
                {"2026-04-31T00:00:00Z", -EINVAL, 0},
                {"2026-13-01T00:00:00Z", -EINVAL, 0},
                {"2026-00-01T00:00:00Z", -EINVAL, 0},
                {"2026-01-00T00:00:00Z", -EINVAL, 0},
                {"2026-01-01T24:00:00Z", -EINVAL, 0},
                {"2026-01-01T00:60:00Z", -EINVAL, 0},
                {"2026-01-01T00:00:61Z", -EINVAL, 0},
                {"1969-12-31T23:59:59Z", -EINVAL, 0},
                {"1970-01-01T00:00:00+01:00", -EINVAL, 0},
                {"2026-01-01T00:00:00", -EINVAL, 0},
                {"2026-01-01T00:00:00.Z", -EINVAL, 0},
                {"2026-01-01T00:00:00+0100", -EINVAL, 0},
                {"2026-01-01T00:00:00+01:00x", -EINVAL, 0},
                {"2026-01-01T00:00:00Zx", -EINVAL, 0},
                {"2026-01-01 00:00:00Z", -EINVAL, 0},
                {"2026-1-1T00:00:00Z", -EINVAL, 0},
                {"-026-01-01T00:00:00Z", -EINVAL, 0},
                {"", -EINVAL, 0},
                {"2026", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 0;
                int r = kube_time_parse(cases[i].text, &v);

                if (r != cases[i].r || v != cases[i].usec)
                        fail_msg("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long)v);
        }
}

static void test_times_are_written(void **state _unused_) {
        char buf[KUBE_TIME_MAX];

        assert_string_equal(kube_time_format(buf, 1788256800 * USEC_PER_SEC + 7, true), "2026-09-01T10:00:00.000007Z");
        assert_string_equal(kube_time_format(buf, 1788256800 * USEC_PER_SEC + 999999, false), "2026-09-01T10:00:00Z");
        assert_string_equal(kube_time_format(buf, 253402300799 * USEC_PER_SEC, true), "9999-12-31T23:59:59.000000Z");
        assert_string_equal(kube_time_format(buf, 253402300800 * USEC_PER_SEC, true), "");
        assert_string_equal(kube_time_format(buf, UINT64_MAX, true), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quantities),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_times_are_written),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
