/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include "unit/unit.h"

static void test_escapes_hostile_strings(void **state _unused_) {
        static const struct {
                const char *name, *in, *out;
        } cases[] = {
                {"plain", "abc", "\"abc\""},
                {"quote and backslash", "a\"\\b", "\"a\\\"\\\\b\""},
                {"newline and tab", "a\n\tb", "\"a\\n\\tb\""},
                {"escape byte", "\x1b[31m", "\"\\u001b[31m\""},
                {"utf-8 kept", "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
                {"lone continuation", "\x80x", "\"\xef\xbf\xbdx\""},
                {"overlong slash", "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
                {"surrogate", "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
                {"cut sequence", "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
                {"null", NULL, "null"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_buf_ Buf b = BUF_NULL;
                Json j = JSON_INIT(&b);

                json_str(&j, cases[i].in);
                assert_string_equal(buf_str(&b), cases[i].out);
        }
}

static void test_commas_and_nesting(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        json_object_begin(&j);
        json_kv_u64(&j, "a", UINT64_MAX);
        json_key(&j, "b");
        json_array_begin(&j);
        json_i64(&j, INT64_MIN);
        json_double(&j, 0.5);
        json_double(&j, 1.0 / 0.0);
        json_bool(&j, true);
        json_array_end(&j);
        json_kv_u64_or_null(&j, "c", false, 7);
        json_object_end(&j);
        assert_string_equal(buf_str(&b), "{\"a\":18446744073709551615,"
                                         "\"b\":[-9223372036854775808,0.5,null,true],\"c\":null}");
        assert_false(j.failed);
}

static void test_too_deep_is_remembered(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        for (int i = 0; i <= JSON_DEPTH_MAX; i++)
                json_array_begin(&j);
        assert_true(j.failed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_escapes_hostile_strings),
                cmocka_unit_test(test_commas_and_nesting),
                cmocka_unit_test(test_too_deep_is_remembered),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
