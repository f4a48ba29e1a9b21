/* SPDX-License-Identifier: Apache-2.0 */
#include "util/format.h"

#include "unit/unit.h"
#include "util/clock.h"

static void test_bytes(void **state _unused_) {
        static const struct {
                uint64_t in;
                const char *out;
        } cases[] = {
                {0, "0 B"},
                {1, "1 B"},
                {999, "999 B"},
                {1000, "1.00 kB"},
                {9994, "9.99 kB"},
                {9995, "10.0 kB"}, /* rounding changes the digits shown */
                {99949, "99.9 kB"},
                {99950, "100 kB"},
                {812000, "812 kB"},
                {999499, "999 kB"},
                {999500, "1.00 MB"}, /* never "1000 kB" */
                {4500000000, "4.50 GB"},
                {UINT64_MAX, "18.4 EB"},
        };
        char buf[FORMAT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(format_bytes(buf, cases[i].in), cases[i].out);
}

static void test_signed_bytes(void **state _unused_) {
        char buf[FORMAT_MAX];

        assert_string_equal(format_signed_bytes(buf, 0), "+0 B");
        assert_string_equal(format_signed_bytes(buf, 1200000), "+1.20 MB");
        assert_string_equal(format_signed_bytes(buf, -3400000000), "-3.40 GB");
        assert_string_equal(format_signed_bytes(buf, INT64_MIN), "-9.22 EB");
        assert_string_equal(format_signed_bytes(buf, INT64_MAX), "+9.22 EB");
}

static void test_usec(void **state _unused_) {
        static const struct {
                uint64_t in;
                const char *out;
        } cases[] = {
                {0, "0 us"},
                {999, "999 us"},
                {1000, "1 ms"},
                {850999, "850 ms"},
                {USEC_PER_SEC, "1 s"},
                {119 * USEC_PER_SEC, "119 s"},
                {120 * USEC_PER_SEC, "2 min 00 s"},
                {750 * USEC_PER_SEC, "12 min 30 s"},
                {2 * USEC_PER_HOUR + 5 * USEC_PER_MINUTE, "2 h 05 min"},
                {3 * USEC_PER_DAY + 4 * USEC_PER_HOUR, "3 d 4 h"},
                {USEC_INFINITY - 1, "213503982 d 8 h"},
                {USEC_INFINITY, "never"},
        };
        char buf[FORMAT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(format_usec(buf, cases[i].in), cases[i].out);
}

static void test_rate(void **state _unused_) {
        static const struct {
                double in;
                const char *out;
        } cases[] = {
                {2.5e6, "2.50 MB/s"},
                {3.1e6 / 60, "3.10 MB/min"},
                {12e6 / 3600, "12.0 MB/h"},
                {-12e6 / 3600, "-12.0 MB/h"},
                {100.0 / 86400, "100 B/d"},
                {0, "0 B/d"},
                {-1e-9, "0 B/d"}, /* no "-0" */
                {1e18, "1.00 EB/s"},
                {1e300, "unknown"},
                {-1e300, "unknown"},
                {INFINITY, "unknown"},
                {NAN, "unknown"},
        };
        char buf[FORMAT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(format_rate(buf, cases[i].in), cases[i].out);
}

static void test_timestamp(void **state _unused_) {
        char buf[FORMAT_MAX];

        assert_string_equal(format_timestamp(buf, 0), "1970-01-01T00:00:00.000Z");
        assert_string_equal(format_timestamp(buf, 1709210096123999), "2024-02-29T12:34:56.123Z");
        assert_string_equal(format_timestamp(buf, 253402300799999999), "9999-12-31T23:59:59.999Z");
        assert_true(strlen(format_timestamp(buf, UINT64_MAX)) < FORMAT_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes),     cmocka_unit_test(test_signed_bytes), cmocka_unit_test(test_usec),
                cmocka_unit_test(test_rate),      cmocka_unit_test(test_timestamp),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
