/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buf.h"

#include "unit/unit.h"

/* AddressSanitizer ends the program when asked for an absurd size, unless told to fail like any realloc(). */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "allocator_may_return_null=1";
}

static void test_empty_is_a_string(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;

        assert_string_equal(buf_str(&b), "");
        buf_adds(&b, NULL);
        buf_adds(&b, "");
        buf_add(&b, "x", 0);
        assert_string_equal(buf_str(&b), "");
        assert_int_equal(b.len, 0);
        assert_false(b.failed);
}

static void test_grows_and_terminates(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;

        for (size_t i = 0; i < 5000; i++) {
                buf_addc(&b, (char)('a' + i % 26));
                assert_int_equal(b.len, i + 1);
                assert_int_equal(b.data[b.len], '\0');
                assert_true(b.cap > b.len);
        }
        for (size_t i = 0; i < 5000; i++)
                assert_int_equal(b.data[i], 'a' + i % 26);
        assert_false(b.failed);
}

static void test_holds_any_bytes(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;

        buf_add(&b, "a\0b", 3);
        assert_int_equal(b.len, 3);
        assert_memory_equal(buf_str(&b), "a\0b", 4);
}

static void test_reset_keeps_the_memory(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        const char *data;

        buf_addf(&b, "%1000d", 7);
        data = b.data;
        buf_reset(&b);
        assert_string_equal(buf_str(&b), "");
        buf_addf(&b, "%1000d", 8);
        assert_ptr_equal(b.data, data);
}

static void test_full_at_max(void **state _unused_) {
        _cleanup_buf_ Buf b = {.max = 16};

        buf_adds(&b, "123456789012345");
        assert_false(b.failed);
        assert_int_equal(b.len, 15); /* and the NUL makes 16 */
        buf_addc(&b, '6');
        assert_true(b.failed);
        assert_string_equal(buf_str(&b), "123456789012345");
        assert_true(b.cap <= 16);
}

static void test_failure_is_remembered(void **state _unused_) {
        _cleanup_buf_ Buf b = {.max = 16};

        buf_adds(&b, "1234567890");
        buf_adds(&b, "1234567890"); /* all or none */
        assert_string_equal(buf_str(&b), "1234567890");
        buf_addc(&b, 'x'); /* would fit: but a hole in the middle must not look like text */
        buf_addu(&b, 1);
        buf_addf(&b, "%d", 2);
        assert_string_equal(buf_str(&b), "1234567890");
        assert_true(b.failed);
        buf_reset(&b);
        buf_addc(&b, 'x');
        assert_false(b.failed);
        assert_string_equal(buf_str(&b), "x");
}

static void test_default_max(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        _cleanup_free_ char *big = malloc(BUF_MAX_DEFAULT);

        assert_non_null(big);
        memset(big, 'x', BUF_MAX_DEFAULT);
        buf_add(&b, big, BUF_MAX_DEFAULT - 1);
        assert_false(b.failed);
        buf_done(&b);
        buf_add(&b, big, BUF_MAX_DEFAULT);
        assert_true(b.failed);
}

static void test_huge_lengths_do_not_wrap(void **state _unused_) {
        _cleanup_buf_ Buf b = {.max = SIZE_MAX};

        buf_adds(&b, "abc");
        buf_add(&b, "x", SIZE_MAX);
        assert_true(b.failed);
        assert_string_equal(buf_str(&b), "abc");
        buf_reset(&b);
        buf_add(&b, "x", SIZE_MAX / 2); /* realloc() refuses; and the capacity must not run in circles */
        assert_true(b.failed);
}

static void test_max_survives_done(void **state _unused_) {
        Buf b = {.max = 8};

        buf_adds(&b, "1234567");
        buf_done(&b);
        assert_null(b.data);
        buf_adds(&b, "12345678");
        assert_true(b.failed);
        buf_done(&b);
}

static void test_formats(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;

        buf_addf(&b, "%s=%d;", "a", -1);
        buf_addf(&b, "%s", "");
        buf_addu(&b, 0);
        buf_addc(&b, ' ');
        buf_addu(&b, UINT64_MAX);
        assert_string_equal(buf_str(&b), "a=-1;0 18446744073709551615");
        buf_addf(&b, "%ls", L"\xd800"); /* a wide character that no locale can write */
        assert_true(b.failed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty_is_a_string),     cmocka_unit_test(test_grows_and_terminates),
                cmocka_unit_test(test_holds_any_bytes),       cmocka_unit_test(test_reset_keeps_the_memory),
                cmocka_unit_test(test_full_at_max),           cmocka_unit_test(test_failure_is_remembered),
                cmocka_unit_test(test_default_max),           cmocka_unit_test(test_huge_lengths_do_not_wrap),
                cmocka_unit_test(test_max_survives_done),     cmocka_unit_test(test_formats),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
