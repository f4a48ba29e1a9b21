/* SPDX-License-Identifier: Apache-2.0 */
#include "util/parse.h"

#include <errno.h>

#include "unit/unit.h"
#include "util/clock.h"

typedef struct U64Case {
        const char *name, *in;
        int r;
        uint64_t out;
} U64Case;

static void check_u64(int (*parse)(const char *, uint64_t *), const U64Case *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                uint64_t v = 0xdead;
                int r = parse(cases[i].in, &v);

                if (r != cases[i].r || v != (r < 0 ? 0xdead : cases[i].out))
                        fail_msg("%s: \"%s\" gave %d, %llu", cases[i].name, cases[i].in, r, (unsigned long long)v);
        }
}

static void test_u64(void **state _unused_) {
        static const U64Case cases[] = {
                {"zero", "0", 0, 0},
                {"leading zeros", "007", 0, 7},
                {"largest", "18446744073709551615", 0, UINT64_MAX},
                {"one more", "18446744073709551616", -ERANGE, 0},
                {"ten times", "184467440737095516150", -ERANGE, 0},
                {"too large and not of the form", "184467440737095516150x", -EINVAL, 0},
                {"empty", "", -EINVAL, 0},
                {"blank before", " 1", -EINVAL, 0},
                {"blank after", "1 ", -EINVAL, 0},
                {"newline after", "1\n", -EINVAL, 0},
                {"plus", "+1", -EINVAL, 0},
                {"minus", "-1", -EINVAL, 0},
                {"hexadecimal", "0x10", -EINVAL, 0},
                {"exponent", "1e3", -EINVAL, 0},
                {"fraction", "1.0", -EINVAL, 0},
                {"dot without digits", "1.", -EINVAL, 0},
                {"thousands", "1,000", -EINVAL, 0},
                {"full-width digit", "\xef\xbc\x91", -EINVAL, 0},
        };
        check_u64(parse_u64, cases, ELEMENTSOF(cases));
}

static void test_bytes(void **state _unused_) {
        static const U64Case cases[] = {
                {"bare", "1073741824", 0, 1073741824},
                {"B", "12B", 0, 12},
                {"zero", "0", 0, 0},
                {"zero with unit", "0GB", 0, 0},
                {"decimal fraction is exact", "4.5GB", 0, 4500000000},
                {"Kubernetes Mi", "4500Mi", 0, 4718592000},
                {"Kubernetes M", "4500M", 0, 4500000000},
                {"Kubernetes k", "12k", 0, 12000},
                {"capital K", "12K", 0, 12000},
                {"KB", "1KB", 0, 1000},
                {"kB", "1kB", 0, 1000},
                {"Ki", "1Ki", 0, 1024},
                {"MiB", "512MiB", 0, 536870912},
                {"half a Gi", "0.5Gi", 0, 536870912},
                {"0.1 has no binary error", "0.1GB", 0, 100000000},
                {"rest of a byte is cut", "0.1Ki", 0, 102},
                {"T", "2T", 0, 2000000000000},
                {"TiB", "1TiB", 0, 1099511627776},
                {"PiB", "1PiB", 0, 1125899906842624},
                {"18 digits of fraction", "1.000000000000000000PB", 0, 1000000000000000},
                {"19 digits of fraction", "1.0000000000000000000PB", -ERANGE, 0},
                {"19 digits and a wrong unit", "1.0000000000000000000X", -EINVAL, 0},
                {"largest", "18446744073709551615", 0, UINT64_MAX},
                {"over by one", "18446744073709551616", -ERANGE, 0},
                {"over by unit", "16384PiB", -ERANGE, 0},
                {"just under", "16383PiB", 0, 16383ULL << 50},
                {"over by far", "99999999999999999999GB", -ERANGE, 0},
                {"over and a wrong unit", "99999999999999999999 GB", -EINVAL, 0},
                {"half a byte", "0.5B", -EINVAL, 0},
                {"half a byte, bare", "0.5", -EINVAL, 0},
                {"whole, but written as fraction", "1.0", -EINVAL, 0},
                {"less than a byte", "0.0001k", -ERANGE, 0},
                {"exponent", "1e9", -EINVAL, 0},
                {"milli", "12m", -EINVAL, 0},
                {"milli of Kubernetes", "128974848000m", -EINVAL, 0},
                {"small g", "1g", -EINVAL, 0},
                {"small gb", "1gb", -EINVAL, 0},
                {"Gb, which is bits", "1Gb", -EINVAL, 0},
                {"kiB", "1kiB", -EINVAL, 0},
                {"E is not known", "1E", -EINVAL, 0},
                {"blank between", "4 GB", -EINVAL, 0},
                {"blank before", " 4GB", -EINVAL, 0},
                {"blank after", "4GB ", -EINVAL, 0},
                {"two units", "4GBGB", -EINVAL, 0},
                {"two dots", "4.5.1GB", -EINVAL, 0},
                {"dot first", ".5GB", -EINVAL, 0},
                {"dot last", "5.GB", -EINVAL, 0},
                {"comma", "4,5GB", -EINVAL, 0},
                {"minus", "-4GB", -EINVAL, 0},
                {"plus", "+4GB", -EINVAL, 0},
                {"only a unit", "GB", -EINVAL, 0},
                {"empty", "", -EINVAL, 0},
                {"percent", "85%", -EINVAL, 0},
                {"infinity", "inf", -EINVAL, 0},
                {"the kernel's word", "max", -EINVAL, 0},
        };
        check_u64(parse_bytes, cases, ELEMENTSOF(cases));
}

static void test_duration(void **state _unused_) {
        static const U64Case cases[] = {
                {"zero", "0", 0, 0},
                {"zero with unit", "0s", 0, 0},
                {"us", "5us", 0, 5},
                {"ms", "250ms", 0, 250000},
                {"s", "30s", 0, 30 * USEC_PER_SEC},
                {"m", "5m", 0, 5 * USEC_PER_MINUTE},
                {"min", "5min", 0, 5 * USEC_PER_MINUTE},
                {"h", "2h", 0, 2 * USEC_PER_HOUR},
                {"d", "1d", 0, USEC_PER_DAY},
                {"two parts", "1h30m", 0, 90 * USEC_PER_MINUTE},
                {"all parts", "1d2h3m4s5ms6us", 0, USEC_PER_DAY + 2 * USEC_PER_HOUR + 3 * USEC_PER_MINUTE + 4005006},
                {"min then s", "1min30s", 0, 90 * USEC_PER_SEC},
                {"fraction", "1.5h", 0, 90 * USEC_PER_MINUTE},
                {"rest of a microsecond is cut", "1.0000019s", 0, 1000001},
                {"never 0 by cutting", "0.5us", -ERANGE, 0},
                {"never 0 by cutting, ms", "0.0001ms", -ERANGE, 0},
                {"longest", "18446744073709551614us", 0, UINT64_MAX - 1},
                {"infinity is no duration", "18446744073709551615us", -ERANGE, 0},
                {"over", "213503983d", -ERANGE, 0},
                {"sum over", "213503982d9h", -ERANGE, 0},
                {"over, then nonsense", "213503983dx", -EINVAL, 0},
                {"bare number", "5", -EINVAL, 0},
                {"bare number after a part", "1h30", -EINVAL, 0},
                {"two zeros", "00", -EINVAL, 0},
                {"rising units", "30m1h", -EINVAL, 0},
                {"a unit twice", "1s1s", -EINVAL, 0},
                {"m and min are one", "1m1min", -EINVAL, 0},
                {"mi", "5mi", -EINVAL, 0},
                {"week", "1w", -EINVAL, 0},
                {"sec", "1sec", -EINVAL, 0},
                {"capital", "1H", -EINVAL, 0},
                {"blank between", "1h 30m", -EINVAL, 0},
                {"blank before the unit", "1 h", -EINVAL, 0},
                {"blank after", "1h ", -EINVAL, 0},
                {"minus", "-1s", -EINVAL, 0},
                {"exponent", "1e3s", -EINVAL, 0},
                {"never", "never", -EINVAL, 0},
                {"empty", "", -EINVAL, 0},
        };
        check_u64(parse_duration, cases, ELEMENTSOF(cases));
}

typedef struct DoubleCase {
        const char *name, *in;
        int r;
        double out;
} DoubleCase;

static void check_double(int (*parse)(const char *, double *), const DoubleCase *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                double v = -7;
                int r = parse(cases[i].in, &v);

                if (r != cases[i].r || fabs(v - (r < 0 ? -7 : cases[i].out)) > 1e-15 * fabs(v))
                        fail_msg("%s: \"%s\" gave %d, %.17g", cases[i].name, cases[i].in, r, v);
        }
}

static void test_double(void **state _unused_) {
        static const DoubleCase cases[] = {
                {"whole", "12", 0, 12},
                {"fraction", "0.25", 0, 0.25},
                {"one third", "0.333333333333333333", 0, 1.0 / 3},
                {"too many digits", "0.3333333333333333333", -ERANGE, 0},
                {"too large", "18446744073709551616", -ERANGE, 0},
                {"minus", "-1", -EINVAL, 0},
                {"exponent", "1e3", -EINVAL, 0},
                {"nan", "nan", -EINVAL, 0},
                {"hexadecimal", "0x1p3", -EINVAL, 0},
                {"comma", "0,5", -EINVAL, 0},
                {"empty", "", -EINVAL, 0},
        };
        check_double(parse_double, cases, ELEMENTSOF(cases));
}

static void test_ratio(void **state _unused_) {
        static const DoubleCase cases[] = {
                {"ratio", "0.85", 0, 0.85},
                {"percent", "85%", 0, 0.85},
                {"percent with fraction", "99.5%", 0, 0.995},
                {"zero", "0", 0, 0},
                {"one", "1", 0, 1},
                {"hundred percent", "100%", 0, 1},
                {"percent without its sign", "85", -ERANGE, 0},
                {"just over one", "1.000001", -ERANGE, 0},
                {"over a hundred percent", "100.1%", -ERANGE, 0},
                {"far over", "99999999999999999999%", -ERANGE, 0},
                {"percent twice", "85%%", -EINVAL, 0},
                {"blank before the sign", "85 %", -EINVAL, 0},
                {"minus", "-0.1", -EINVAL, 0},
                {"word", "half", -EINVAL, 0},
                {"empty", "", -EINVAL, 0},
        };
        check_double(parse_ratio, cases, ELEMENTSOF(cases));
}

static void test_bool(void **state _unused_) {
        static const struct {
                const char *in;
                int r;
                bool out;
        } cases[] = {
                {"true", 0, true},       {"yes", 0, true},       {"on", 0, true},       {"false", 0, false},
                {"no", 0, false},        {"off", 0, false},      {"True", -EINVAL, 0}, {"1", -EINVAL, 0},
                {"0", -EINVAL, 0},       {"y", -EINVAL, 0},      {"true ", -EINVAL, 0}, {"", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (int before = 0; before < 2; before++) {
                        bool v = before;
                        int r = parse_bool(cases[i].in, &v);

                        if (r != cases[i].r || v != (r < 0 ? (bool)before : cases[i].out))
                                fail_msg("\"%s\" gave %d, %d", cases[i].in, r, v);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_u64),
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_duration),
                cmocka_unit_test(test_double),
                cmocka_unit_test(test_ratio),
                cmocka_unit_test(test_bool),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
