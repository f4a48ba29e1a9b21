/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/trace.h"

#include <stdio.h>

#include "replay/json-scan.h"
#include "replay/number.h"
#include "replay/words.h"
#include "unit/unit.h"
#include "util/cleanup.h"

#define S USEC_PER_SEC

static void test_numbers(void **state _unused_) {
        static const struct {
                const char *text;
                int shift;
                NumberKind kind;
                uint64_t value;
        } cases[] = {
                {"0", 0, NUMBER_OK, 0},
                {"12.75", 0, NUMBER_OK, 12},
                {"1.5", 6, NUMBER_OK, 1500000},
                {"1700000000.123456789", 6, NUMBER_OK, 1700000000123456},
                {"4.5e9", 0, NUMBER_OK, 4500000000},
                {"4.5E+09", 0, NUMBER_OK, 4500000000},
                {"12345e-3", 0, NUMBER_OK, 12},
                {"1e-300", 6, NUMBER_OK, 0},
                {"0e999999", 0, NUMBER_OK, 0},
                {"-0", 0, NUMBER_OK, 0},
                {"18446744073709551615", 0, NUMBER_OK, UINT64_MAX},
                {"184467440737095516160", 0, NUMBER_HUGE, 0},
                {"1.84467440737095516191", 0, NUMBER_OK, 1},
                {"0.12345678901234567890123", 6, NUMBER_OK, 123456},
                {"1e300", 0, NUMBER_HUGE, 0},
                {"99999999999999999999", 0, NUMBER_HUGE, 0},
                {"inf", 0, NUMBER_HUGE, 0},
                {"-1", 0, NUMBER_NEGATIVE, 0},
                {"-Inf", 0, NUMBER_NEGATIVE, 0},
                {"", 0, NUMBER_ABSENT, 0},
                {"NaN", 0, NUMBER_ABSENT, 0},
                {"null", 0, NUMBER_ABSENT, 0},
                {"1.", 0, NUMBER_BAD, 0},
                {".5", 0, NUMBER_BAD, 0},
                {"1e", 0, NUMBER_BAD, 0},
                {"1 2", 0, NUMBER_BAD, 0},
                {"0x10", 0, NUMBER_BAD, 0},
                {"5MB", 0, NUMBER_BAD, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 77;
                NumberKind kind = number_read(cases[i].text, cases[i].text + strlen(cases[i].text), cases[i].shift, &v);

                if (kind != cases[i].kind || v != (kind == NUMBER_OK ? cases[i].value : 77))
                        fail_msg("%s: kind %d, value %llu", cases[i].text, kind, (unsigned long long)v);
        }
}

static void test_dates(void **state _unused_) {
        static const struct {
                const char *text;
                bool ok;
                uint64_t usec;
        } cases[] = {
                {"2024-02-29T12:34:56.123Z", true, 1709210096123000},
                {"2024-02-29 12:34:56", true, 1709210096000000},
                {"2024-02-29T13:34:56+01:00", true, 1709210096000000},
                {"2024-02-29T07:04:56-05:30", true, 1709210096000000},
                {"1972-01-01T00:00:00Z", true, 63072000ULL * S},
                {"2000-03-01T00:00:00Z", true, 951868800ULL * S},
                {"2024-13-01T00:00:00Z", false, 0},
                {"2024-02-29T24:00:00Z", false, 0},
                {"2024-02-29T12:34:56.Z", false, 0},
                {"2024-02-29T12:34:56X", false, 0},
                {"2024-02-29T12:34:56+01", false, 0},
                {"2024-02-29", false, 0},
                {"1709210096", false, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 0;
                bool ok = number_read_time(cases[i].text, cases[i].text + strlen(cases[i].text), &v);

                if (ok != cases[i].ok || v != cases[i].usec)
                        fail_msg("%s: %d, %llu", cases[i].text, ok, (unsigned long long)v);
        }
}

/* ---- whole texts ---- */

#define PROMETHEUS(series) "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[" series "]}}"

static const struct {
        const char *name, *text, *series;
        TraceForm form;
        size_t n;
        TracePoint last;
        const char *problems; /* part of them, NULL = none */
} good[] = {
        {"header",
         "time_s,rss_bytes,limit_bytes\n0,100,1000\n1.5,200,1000\n",
         NULL,
         TRACE_FORM_CSV,
         2,
         {1500000, 200, 1000},
         NULL},
        {"any order",
         "limit_bytes;time_s;note;rss\r\n9;1;x;5\r\n9;2;;6\r\n",
         NULL,
         TRACE_FORM_CSV,
         2,
         {2 * S, 6, 9},
         NULL},
        {"the real data's names",
         "time_s,bytes\n0,8592384\n22.5,565392384\n",
         NULL,
         TRACE_FORM_CSV,
         2,
         {22500000, 565392384, 0},
         NULL},
        {"a dashboard's export",
         "\xef\xbb\xbf\"Time\",\"rss{pod=\"\"a\"\",x=1}\"\n\"2024-02-29 12:34:56\",\"5\"\n",
         NULL,
         TRACE_FORM_CSV,
         1,
         {1709210096ULL * S, 5, 0},
         NULL},
        {"milliseconds", "time_ms,value\n1700000000123,7\n", NULL, TRACE_FORM_CSV, 1, {1700000000123000, 7, 0}, NULL},
        {"use and resident set",
         "time,rss_bytes,used_bytes,limit\n1,5,6,9\n2,5,6,\n",
         NULL,
         TRACE_FORM_CSV,
         2,
         {2 * S, 5, 0},
         NULL},
        {"three columns", "0 5 9\n1\t6  9\n", NULL, TRACE_FORM_COLUMNS, 2, {S, 6, 9}, NULL},
        {"two columns, comments, no last newline", "# a\n\n0,5\n\n1,6", NULL, TRACE_FORM_COLUMNS, 2, {S, 6, 0}, NULL},
        {"out of order",
         "time_s,bytes\n10,1\n5,2\n5,3\n11,4\n",
         NULL,
         TRACE_FORM_CSV,
         2,
         {11 * S, 4, 0},
         "t:3:1: warning: time 5.000000 is not after 10.000000: left out, 2 such samples"},
        {"without a figure",
         "time_s,bytes\n10,\n11,NaN\n,3\n12,4\n",
         NULL,
         TRACE_FORM_CSV,
         1,
         {12 * S, 4, 0},
         "t:2:1: warning: no figure: left out, 3 such samples"},
        {"query_range",
         PROMETHEUS("{\"metric\":{\"__name__\":\"rss\",\"pod\":\"a\"},\"values\":[[1700000000.5,\"4.5e3\"],"
                    "[1700000030.5,\"NaN\"],[1700000060.5,\"5000\"]]}"),
         NULL,
         TRACE_FORM_PROMETHEUS,
         2,
         {1700000060500000, 5000, 0},
         "warning: no figure"},
        {"query_range: values first, a limit beside it",
         PROMETHEUS("{\"values\":[[10,\"1\"],[20,\"2\"],[30,\"3\"]],\"metric\":{\"__name__\":\"rss\"}},"
                    "{\"metric\":{\"__name__\":\"memory_limit\"},\"values\":[[5,\"8\"],[25,\"9\"]]}"),
         NULL,
         TRACE_FORM_PROMETHEUS,
         3,
         {30 * S, 3, 9},
         NULL},
        {"query_range: one of several",
         PROMETHEUS("{\"metric\":{\"pod\":\"a\"},\"values\":[[10,\"1\"]]},"
                    "{\"metric\":{\"pod\":\"b\"},\"values\":[[10,\"2\"]]}"),
         "pod=b",
         TRACE_FORM_PROMETHEUS,
         1,
         {10 * S, 2, 0},
         NULL},
        {"watch --json",
         "{\"time\":\"2024-02-29T12:34:56.000Z\",\"event\":\"started\",\"rss_bytes\":null,\"limit_bytes\":null}\n"
         "{\"time\":\"2024-02-29T12:34:56.000Z\",\"event\":\"sample\",\"age_s\":7,\"rss_bytes\":5,\"used_bytes\":6,"
         "\"limit_bytes\":9,\"trend\":{\"state\":\"wait\",\"x\":[1,{}]}}\n"
         "{\"time\":\"2024-02-29T12:34:57.000Z\",\"event\":\"sample\",\"rss_bytes\":7,\"used_bytes\":8,"
         "\"limit_bytes\":null}\n",
         NULL,
         TRACE_FORM_WATCH,
         2,
         {1709210097ULL * S, 7, 0},
         NULL},
        {"watch --json cut off",
         "{\"time\":1,\"rss_bytes\":5}\n{\"time\":2,\"rss_by",
         NULL,
         TRACE_FORM_WATCH,
         1,
         {S, 5, 0},
         "t:2:18: warning: no figure"},
};

static void test_good(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_buf_ Buf problems = BUF_NULL;
                _cleanup_trace_ Trace t = TRACE_NULL;
                int r = trace_parse("t", good[i].text, strlen(good[i].text), good[i].series, &t, &problems);
                const TracePoint *p = t.n ? &t.points[t.n - 1] : &(TracePoint){0};

                if (r < 0 || t.form != good[i].form || t.n != good[i].n || p->time_usec != good[i].last.time_usec ||
                    p->bytes != good[i].last.bytes || p->limit_bytes != good[i].last.limit_bytes)
                        fail_msg("%s: %d, %s, n %zu, last %llu %llu %llu: %s", good[i].name, r, trace_form_name(t.form),
                                 t.n, (unsigned long long)p->time_usec, (unsigned long long)p->bytes,
                                 (unsigned long long)p->limit_bytes, buf_str(&problems));
                if (good[i].problems ? !strstr(buf_str(&problems), good[i].problems) : problems.len > 0)
                        fail_msg("%s: %s", good[i].name, buf_str(&problems));
        }
}

static const struct {
        const char *text, *series, *problem;
} bad[] = {
        {"", NULL, "t:1:1: no sample: expected at least one line"},
        {"time_s,bytes\n", NULL, "t:2:1: no sample"},
        {"time_s,bytes\n0,5MB\n", NULL, "t:2:3: memory '5MB': expected a number of bytes"},
        {"time_s,bytes\n0,-5\n", NULL, "t:2:3: memory '-5': expected no negative bytes"},
        {"time_s,bytes\nnoon,5\n", NULL, "t:2:1: time 'noon': expected seconds, or a date"},
        {"time_s,bytes\n1700000000123,5\n", NULL,
         "t:2:1: time '1700000000123': expected seconds up to 1e11; a column of "
         "milliseconds is called time_ms"},
        {"time_s,bytes\n0,1,2\n", NULL, "t:2:1: 3 columns: expected 2, as in the first line"},
        {"time_s,bytes,limit\n0,1,x\n", NULL, "t:2:5: limit 'x': expected a number of bytes"},
        {"when,what,why\n0,1,2\n", NULL, "t:1:1: no column of times: expected one called time_s"},
        {"time_s,what,why\n0,1,2\n", NULL, "t:1:1: no column of memory: expected one called rss_bytes"},
        {"time_s,rss,bytes\n0,1,2\n", NULL, "t:1:12: column 'bytes': there is one of that meaning before it, column 2"},
        {"1 2 3 4\n", NULL, "t:1:1: 4 columns without a header: expected time, bytes and perhaps the limit"},
        {"{\"targets\":[]}", NULL, "t:1:1: no \"time\": expected lines of plateau watch --json"},
        {"{\"data\":{\"result\":[]}}", NULL, "t:1:1: no series in the answer of Prometheus"},
        {"{\"status\":\"error\",\"error\":\"query timed out\"}", NULL, "failed: 'query timed out'"},
        {PROMETHEUS("{\"metric\":{\"pod\":\"a\"},\"values\":[[1,\"1\"]]},{\"metric\":{\"pod\":\"b\"},\"values\":[]}"),
         NULL, "'pod=b' beside 'pod=a': expected one series; --series takes one by its labels"},
        {PROMETHEUS("{\"metric\":{\"pod\":\"a\"},\"value\":[1,\"1\"]}"), NULL,
         "no \"values\": expected the answer to query_range"},
        {PROMETHEUS("{\"metric\":{\"pod\":\"a\"},\"values\":[[1,\"1\"]]}"), "pod=z", "no series whose labels hold"},
        {PROMETHEUS("{\"metric\":{},\"values\":[[1,\"1\",3]]}"), NULL, "expected [time, \"value\"]"},
        {PROMETHEUS("{\"metric\":{},\"values\":[[1,\"x\"]]}"), NULL, "value 'x': expected a number of bytes"},
        {"{\"time\":1,\"rss_bytes\":5,}\n", NULL, "t:1:25: expected another value after ','"},
        {"{\"time\":1 \"rss_bytes\":5}\n", NULL, "t:1:11: expected ',' or '}'"},
        {"{\"time\":1,\"rss_bytes\":\"a\\u001b[31m\"}\n", NULL, "rss_bytes 'a"},
        {"[1,2]", NULL, "t:1:1: expected an object"},
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NULL,
         "nested at most 64"},
};

static void test_bad(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_buf_ Buf problems = BUF_NULL;
                Trace t = TRACE_NULL;
                int r = trace_parse("t", bad[i].text, strlen(bad[i].text), bad[i].series, &t, &problems);

                if (r != -EINVAL || !strstr(buf_str(&problems), bad[i].problem) || t.points)
                        fail_msg("%s: %d: %s", bad[i].text, r, buf_str(&problems));
        }
}

/* Names of files and cells are bytes: nothing reaches a terminal as it is, and a broken file is not told line by line.
 */
static void test_hostile(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL, text = BUF_NULL;
        Trace t = TRACE_NULL;
        unsigned lines = 0;

        buf_adds(&text, "time_s,bytes\n");
        for (unsigned i = 0; i < 1000; i++)
                buf_addf(&text, "%u,\x1b[31m%s\n", i, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        assert_int_equal(trace_parse("a\nb\x1b", buf_str(&text), text.len, NULL, &t, &problems), -EINVAL);
        for (const char *p = buf_str(&problems); *p; p++) {
                lines += *p == '\n';
                assert_true(*p == '\n' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
        }
        assert_int_equal(lines, 9); /* eight, and that no more is read */
        assert_non_null(strstr(buf_str(&problems), "too many problems"));
}

static void test_starts(void **state _unused_) {
        static const char text[] = "{\"time\":10,\"event\":\"started\",\"age_s\":3}\n{\"time\":10,\"rss_bytes\":5}\n"
                                   "{\"time\":11,\"event\":\"ended\"}\n{\"time\":12,\"event\":\"restarted\"}\n"
                                   "{\"time\":13,\"event\":\"execed\"}\n{\"time\":13,\"rss_bytes\":1}\n";
        _cleanup_buf_ Buf problems = BUF_NULL;
        _cleanup_trace_ Trace t = TRACE_NULL;

        assert_int_equal(trace_parse("t", text, strlen(text), NULL, &t, &problems), 0);
        assert_true(t.age_known);
        assert_int_equal(t.age_usec, 3 * S);
        assert_int_equal(t.n_starts, 1); /* of the two between the same samples the second counts */
        assert_int_equal(t.starts[0].at, 1);
}

static void test_gaps(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL, text = BUF_NULL;
        _cleanup_trace_ Trace t = TRACE_NULL;

        for (unsigned i = 0; i < 100; i++)
                buf_addf(&text, "%u 5\n", i * 10 + (i >= 50 ? 600 : 0) + (i >= 80 ? 55 : 0));
        assert_int_equal(trace_parse("t", buf_str(&text), text.len, NULL, &t, &problems), 0);
        assert_int_equal(t.step_usec, 10 * S);
        assert_int_equal(t.n_gaps, 2);
        assert_int_equal(t.gap_max_usec, 610 * S);
        assert_int_equal(t.gap_max_at_usec, 490 * S);
        assert_false(t.is_wall_clock);
}

static void test_words(void **state _unused_) {
        static const struct {
                uint64_t usec;
                const char *text, *clock;
        } cases[] = {
                {0, "0s", "0:00:00"},
                {119 * S, "119s", "0:01:59"},
                {150 * S, "3m", "0:02:30"},
                {119 * 60 * S, "119m", "1:59:00"},
                {125 * 60 * S, "2h05", "2:05:00"},
                {50 * 3600 * S, "2d2h", "2d 02:00:00"},
        };
        char buf[REPLAY_WORDS_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_string_equal(replay_short_time(buf, cases[i].usec), cases[i].text);
                assert_string_equal(replay_clock(buf, cases[i].usec), cases[i].clock);
        }
        assert_string_equal(replay_short_time(buf, USEC_INFINITY), "never");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers), cmocka_unit_test(test_dates),   cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),     cmocka_unit_test(test_hostile), cmocka_unit_test(test_starts),
                cmocka_unit_test(test_gaps),    cmocka_unit_test(test_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
