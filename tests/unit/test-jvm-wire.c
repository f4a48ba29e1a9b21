/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-wire.h"

#include <stdbool.h>

#include "unit/unit.h"

static void test_request(void **state _unused_) {
        static const char expected[] = {'1', 0, 'j', 'c', 'm', 'd', 0};
        size_t n, strings = 0;
        const char *request = jvm_wire_request(JVM_TRIM, &n);

        assert_memory_equal(request, expected, sizeof(expected));
        assert_string_equal(request + sizeof(expected), "System.trim_native_heap");
        for (size_t i = 0; i < n; i++)
                strings += request[i] == '\0';
        assert_int_equal(strings, 5); /* the JVM waits for that many, and for no more */
        assert_int_equal(request[n - 1], '\0');
}

static void test_answers(void **state _unused_) {
        static const struct {
                const char *text;
                JvmAnswer answer;
        } cases[] = {
                /* as OpenJDK 17.0.15 and 25.0.3 say them */
                {"0\nTrim native heap: RSS+Swap: 123M->45M (-78M)\n", JVM_ANSWER_TRIMMED},
                {"0\nTrim native heap: (no details available).\n", JVM_ANSWER_TRIMMED},
                {"0\nNot available.\n", JVM_ANSWER_NO_TRIM},
                {"-1\njava.lang.IllegalArgumentException: Unknown diagnostic command\n", JVM_ANSWER_NO_COMMAND},
                {"-1\njava.lang.OutOfMemoryError\n", JVM_ANSWER_FAILED},
                {"101\n", JVM_ANSWER_FAILED},
                {"", JVM_ANSWER_NOTHING},
                /* and as nobody does */
                {"0", JVM_ANSWER_NOT_A_JVMS},
                {"0\n", JVM_ANSWER_NOT_A_JVMS},
                {"0\nTrim native hea", JVM_ANSWER_NOT_A_JVMS},
                {"0Trim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"0 \nTrim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"+0\nTrim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"-\nUnknown diagnostic command", JVM_ANSWER_NOT_A_JVMS},
                {"--1\nUnknown diagnostic command", JVM_ANSWER_NOT_A_JVMS},
                {"\nTrim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"Trim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"4294967296\nTrim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"99999999999999999999999\nTrim native heap", JVM_ANSWER_NOT_A_JVMS},
                {"HTTP/1.1 200 OK\r\n", JVM_ANSWER_NOT_A_JVMS},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t n = strlen(cases[i].text), body = 0;
                char *exact = malloc(n); /* a read behind the end shows */
                JvmAnswer answer;

                assert_true(exact || n == 0);
                memcpy(exact, cases[i].text, n);
                answer = jvm_wire_parse(JVM_TRIM, exact, n, &body);
                if (answer != cases[i].answer)
                        print_message("# %s: %d\n", cases[i].text, (int)answer);
                assert_int_equal(answer, cases[i].answer);
                free(exact);
        }
}

static void test_questions(void **state _unused_) {
        static char text[JVM_WIRE_TEXT_MAX] = "0\n";

        for (int c = JVM_TRIM + 1; c < _JVM_COMMAND_MAX; c++) {
                size_t n, strings = 0, body = 99;
                const char *request = jvm_wire_request((JvmCommand)c, &n);

                for (size_t i = 0; i < n; i++)
                        strings += request[i] == '\0';
                assert_int_equal(strings, 5);
                assert_memory_equal(request, "1\0jcmd\0", 7);
                assert_int_equal(jvm_wire_parse((JvmCommand)c, "-1\nwhat?\n", 9, &body), JVM_ANSWER_FAILED);
                assert_int_equal(jvm_wire_parse((JvmCommand)c, "", 0, &body), JVM_ANSWER_NOTHING);
                assert_int_equal(jvm_wire_parse((JvmCommand)c, "what?\n", 6, &body), JVM_ANSWER_NOT_A_JVMS);
                assert_int_equal(jvm_wire_parse((JvmCommand)c, text, sizeof(text), &body), JVM_ANSWER_NOT_A_JVMS);
                assert_int_equal(body, 99);
                assert_int_equal(jvm_wire_parse((JvmCommand)c, text, sizeof(text) - 1, &body), JVM_ANSWER_TEXT);
                assert_int_equal(body, 2);
        }
}

static void test_huge(void **state _unused_) {
        static char text[JVM_WIRE_ANSWER_MAX] = "0\nTrim native heap";
        size_t body;

        assert_int_equal(jvm_wire_parse(JVM_TRIM, text, sizeof(text) - 1, &body), JVM_ANSWER_TRIMMED);
        assert_int_equal(jvm_wire_parse(JVM_TRIM, text, sizeof(text), &body), JVM_ANSWER_NOT_A_JVMS);
        memset(text, '0', sizeof(text));
        assert_int_equal(jvm_wire_parse(JVM_TRIM, text, sizeof(text) - 1, &body), JVM_ANSWER_NOT_A_JVMS);
}

static void test_each_has_its_words(void **state _unused_) {
        for (int c = 0; c < _JVM_COMMAND_MAX; c++) {
                assert_string_equal(jvm_wire_text((JvmCommand)c, JVM_ANSWER_TRIMMED), "");
                for (int i = JVM_ANSWER_TEXT + 1; i < _JVM_ANSWER_MAX; i++)
                        assert_true(strlen(jvm_wire_text((JvmCommand)c, (JvmAnswer)i)) > 10);
                assert_string_equal(jvm_wire_text((JvmCommand)c, _JVM_ANSWER_MAX), "");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_questions),
                cmocka_unit_test(test_huge),
                cmocka_unit_test(test_each_has_its_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
