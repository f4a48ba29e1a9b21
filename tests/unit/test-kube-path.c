/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/path.h"

#include "unit/unit.h"

static void test_names(void **state _unused_) {
        static const char *const good[] = {"a", "web-7c77bccb6c-qmhxn", "0.example", "kube-root-ca.crt"},
                                 *const bad[] = {"",    ".",    "..",  "-a",  "A",       "a/b",
                                                 "a?b", "a%2f", "a b", "a\n", "\xc3\xa4"};
        char longest[255];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(kube_is_name(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (kube_is_name(bad[i]))
                        fail_msg("\"%s\"", bad[i]);
        memset(longest, 'a', sizeof(longest));
        longest[254] = '\0';
        assert_false(kube_is_name(longest));
        longest[253] = '\0';
        assert_true(kube_is_name(longest));
}

static void test_append(void **state _unused_) {
        char path[32] = "/x?s=";

        assert_true(kube_path_append(path, sizeof(path), "a=b,c~1&\xff"));
        assert_string_equal(path, "/x?s=a%3Db%2Cc~1%26%FF");
        assert_false(kube_path_append(path, sizeof(path), "0123456789"));
        assert_true(strlen(path) < sizeof(path));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_append),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
