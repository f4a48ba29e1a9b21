/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/sample.h"

#include "unit/unit.h"

enum { S = SAMPLE_HAVE_STATUS, G = SAMPLE_HAVE_CGROUP, L = SAMPLE_HAVE_CGROUP_LIMIT };

static void test_limit_rule(void **state _unused_) {
        static const struct {
                const char *name;
                uint32_t have;
                uint64_t cgroup, env, config; /* limits; usage: the group 70, RSS 40 + swap 2 */
                LimitSource source;
                uint64_t limit, usage;
        } cases[] = {
                {"none", S | G | L, 0, 0, 0, LIMIT_NONE, 0, 42},
                {"nothing known", 0, 0, 100, 100, LIMIT_NONE, 0, 0},
                {"cgroup", S | G | L, 100, 0, 0, LIMIT_CGROUP, 100, 70},
                {"environment", S | G | L, 0, 100, 0, LIMIT_ENVIRONMENT, 100, 42},
                {"config", S | G | L, 0, 0, 100, LIMIT_CONFIG, 100, 42},
                {"smallest is the cgroup's", S | G | L, 99, 100, 101, LIMIT_CGROUP, 99, 70},
                {"smallest is the environment's", S | G | L, 102, 100, 101, LIMIT_ENVIRONMENT, 100, 42},
                {"smallest is config's", S | G | L, 102, 101, 100, LIMIT_CONFIG, 100, 42},
                {"equal: the one that kills", S | G | L, 100, 100, 100, LIMIT_CGROUP, 100, 70},
                {"equal: environment before config", S | G | L, 0, 100, 100, LIMIT_ENVIRONMENT, 100, 42},
                {"limit without usage", S | L, 10, 100, 0, LIMIT_ENVIRONMENT, 100, 42},
                {"usage without limit", S | G, 10, 100, 0, LIMIT_ENVIRONMENT, 100, 42},
                {"no status: only the cgroup can be judged", G | L, 100, 10, 10, LIMIT_CGROUP, 100, 70},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Sample s = {.have = cases[i].have, .rss_bytes = 40, .swap_bytes = 2, .limit_bytes = 5};

                s.cgroup.limit_bytes = cases[i].cgroup;
                s.cgroup.usage_bytes = 70;
                sample_apply_limit(&s, cases[i].env, cases[i].config);
                if (s.limit_source != cases[i].source || s.limit_bytes != cases[i].limit ||
                    s.usage_bytes != cases[i].usage)
                        fail_msg("%s: %s, limit %lu, usage %lu", cases[i].name, limit_source_name(s.limit_source),
                                 s.limit_bytes, s.usage_bytes);
        }
}

static void test_sum_that_does_not_fit(void **state _unused_) {
        Sample s = {.have = SAMPLE_HAVE_STATUS, .rss_bytes = UINT64_MAX, .swap_bytes = 1};

        sample_apply_limit(&s, 100, 100);
        assert_int_equal(s.limit_source, LIMIT_NONE);
}

static void test_names(void **state _unused_) {
        assert_string_equal(limit_source_name(LIMIT_NONE), "none");
        assert_string_equal(limit_source_name(LIMIT_CGROUP), "cgroup");
        assert_string_equal(limit_source_name(LIMIT_ENVIRONMENT), "environment");
        assert_string_equal(limit_source_name(LIMIT_CONFIG), "config");
        assert_string_equal(limit_source_name((LimitSource)-1), "unknown");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_limit_rule),
                cmocka_unit_test(test_sum_that_does_not_fit),
                cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
