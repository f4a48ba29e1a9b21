/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/words.h"

#include "unit/unit.h"

#include "cli/args.h"
#include "cli/chart.h"

static void test_times_are_rounded(void **state _unused_) {
        static const struct {
                uint64_t usec;
                const char *text;
        } cases[] = {
                {0, "0 s"},
                {USEC_PER_SEC / 2, "1 s"},
                {119 * USEC_PER_SEC, "119 s"},
                {124 * USEC_PER_SEC, "2 min"},
                {128 * USEC_PER_SEC, "2 min 10 s"},
                {51 * USEC_PER_MINUTE + 12 * USEC_PER_SEC, "51 min"},
                {59 * USEC_PER_MINUTE + 45 * USEC_PER_SEC, "1 h"},
                {80 * USEC_PER_MINUTE, "1 h 20 min"},
                {11 * USEC_PER_HOUR + 7 * USEC_PER_MINUTE, "11 h 10 min"},
                {76 * USEC_PER_HOUR, "3 d 4 h"},
                {7 * USEC_PER_DAY, "7 d"},
                {USEC_INFINITY - 1, "never"},
                {USEC_INFINITY, "never"},
        };
        char buf[WORDS_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(words_time(buf, cases[i].usec), cases[i].text);
}

#define GROWING(...) \
        {.state = TREND_GROWING, .n = 20, .slope_bytes_per_s = 2e5, .confidence = 0.9, .limit_bytes = 1000, __VA_ARGS__}

static void test_forecast_says_what_is_known(void **state _unused_) {
        static const struct {
                const char *name;
                TrendFit fit;
                uint64_t min_span_usec, usage_bytes;
                const char *text;
                Style style;
        } cases[] = {
                {"interval", GROWING(.eta_usec = 3060000000, .eta_lo_usec = 2280000000, .eta_hi_usec = 4800000000), 0,
                 10, "limit in 51 min (38 min to 1 h 20 min, 90 %)", STYLE_WARN},
                {"no upper bound",
                 GROWING(.eta_usec = 600000000, .eta_lo_usec = 300000000, .eta_hi_usec = USEC_INFINITY), 0, 10,
                 "limit in 10 min (5 min or later, 90 %)", STYLE_BAD},
                {"tight", GROWING(.eta_usec = 37000000, .eta_lo_usec = 36900000, .eta_hi_usec = 37100000), 0, 10,
                 "limit in 37 s (90 %)", STYLE_BAD},
                {"far", GROWING(.eta_usec = USEC_INFINITY), 0, 10, "growing; the limit is too far off to tell when",
                 STYLE_PLAIN},
                {"no limit", {.state = TREND_GROWING}, 0, 10, "growing; no limit is known to forecast", STYLE_PLAIN},
                {"reached", GROWING(.eta_usec = 0), 0, 1000, "at the limit now", STYLE_BAD},
                {"flat", {.state = TREND_FLAT}, 0, 10, "flat", STYLE_GOOD},
                {"shrinking", {.state = TREND_SHRINKING}, 0, 10, "shrinking", STYLE_GOOD},
                {"short",
                 {.state = TREND_WAIT, .n = 4, .span_usec = 12000000},
                 30000000,
                 10,
                 "no forecast yet: needs 30 s of samples, has 12 s",
                 STYLE_DIM},
                {"few",
                 {.state = TREND_WAIT, .n = 1, .span_usec = 40000000},
                 30000000,
                 10,
                 "no forecast yet: 1 sample over 40 s",
                 STYLE_DIM},
                {"nothing", {.state = TREND_WAIT}, 0, 0, "no forecast yet", STYLE_DIM},
        };
        char buf[WORDS_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Style style = _STYLE_MAX;

                words_forecast(buf, &cases[i].fit, cases[i].min_span_usec, cases[i].usage_bytes, &style);
                assert_string_equal(buf, cases[i].text);
                assert_int_equal(style, cases[i].style);
        }
}

static void test_hostile_text_is_shown_as_text(void **state _unused_) {
        static const struct {
                const char *in, *utf8, *ascii;
        } cases[] = {
                {"plain", "plain", "plain"},
                {"\x1b[31m\n\t\r\a\x7f", "\\e[31m\\n\\t\\r\\x07\\x7f", "\\e[31m\\n\\t\\r\\x07\\x7f"},
                {"\xc3\xa9", "\xc3\xa9", "\\xc3\\xa9"},
                {"\xc2\x9b", "\\u{9b}", "\\xc2\\x9b"},
                {"\xe2\x80\xae", "\\u{202e}", "\\xe2\\x80\\xae"},
                {"e\xcc\x81", "e\\u{301}", "e\\xcc\\x81"},
                {"\xe2\x82", "\\xe2\\x82", "\\xe2\\x82"},
                {"\xc0\xaf\xff", "\\xc0\\xaf\\xff", "\\xc0\\xaf\\xff"},
        };

        setenv("LC_ALL", "C.UTF-8", 1);
        assert_true(term_has_utf8());
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_buf_ Buf a = BUF_NULL, b = BUF_NULL;

                term_safe(&a, true, cases[i].in);
                assert_string_equal(buf_str(&a), cases[i].utf8);
                assert_int_equal(term_safe(&b, false, cases[i].in), strlen(cases[i].ascii));
                assert_string_equal(buf_str(&b), cases[i].ascii);
        }
}

static void test_nearest_name(void **state _unused_) {
        static const char *const names[] = {"status", "watch", "reclaim", "check", "help", NULL};
        static const struct {
                const char *word;
                int at;
        } cases[] = {{"status", 0}, {"stauts", 0}, {"st", 0}, {"wach", 1}, {"re", 2}, {"chekc", 3}, {"x", -1},
                     {"", -1}, {"bogus", -1}, {"a word that is far longer than any name can be", -1}};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(args_nearest(cases[i].word, names), cases[i].at);
}

static void test_chart_keeps_the_whole_run(void **state _unused_) {
        static Chart c;

        for (uint64_t i = 0; i < 100000; i++) {
                chart_push(&c, i, i == 50000 ? 999 : 1);
                assert_true(c.n <= CHART_POINTS);
        }
        uint64_t peak = 0;
        for (unsigned i = 0; i < c.n; i++) {
                assert_true(i == 0 || c.point[i].time_usec > c.point[i - 1].time_usec);
                peak = max_of(peak, c.point[i].bytes);
        }
        assert_true(c.n > CHART_POINTS / 2 - 2);
        assert_true(c.point[0].time_usec < 200);
        assert_int_equal(c.point[c.n - 1].time_usec, 99999);
        assert_int_equal(peak, 999);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_times_are_rounded),
                cmocka_unit_test(test_forecast_says_what_is_known),
                cmocka_unit_test(test_hostile_text_is_shown_as_text),
                cmocka_unit_test(test_nearest_name),
                cmocka_unit_test(test_chart_keeps_the_whole_run),
        };
        return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
