/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/student.h"

#include "unit/unit.h"

static void test_normal_matches_the_table(void **state _unused_) {
        static const double cases[][2] = {{0.50, 0.674489750},
                                          {0.80, 1.281551566},
                                          {0.90, 1.644853627},
                                          {0.95, 1.959963985},
                                          {0.99, 2.575829304}};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_true(fabs(normal_quantile(cases[i][0]) - cases[i][1]) < 1e-8);
}

static void test_student_matches_the_table(void **state _unused_) {
        static const struct {
                const char *name;
                double confidence, freedom, t, tolerance;
        } cases[] = {
                {"one degree is Cauchy's", 0.90, 1, 6.3138, 1e-4},
                {"below one counts as one", 0.90, 0.2, 6.3138, 1e-4},
                {"two degrees", 0.90, 2, 2.9200, 1e-4},
                {"three", 0.90, 3, 2.3534, 1e-3},
                {"four", 0.90, 4, 2.1318, 1e-3},
                {"ten", 0.90, 10, 1.8125, 1e-4},
                {"hundred", 0.90, 100, 1.6602, 1e-4},
                {"very many are normal", 0.90, 1e9, 1.6449, 1e-4},
                {"half, three", 0.50, 3, 0.7649, 1e-3},
                {"95 %, five", 0.95, 5, 2.5706, 1e-3},
                {"99 %, three", 0.99, 3, 5.8409, 1e-2},
                {"99 %, thirty", 0.99, 30, 2.7500, 1e-3},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                double t =
                        student_quantile(cases[i].confidence, normal_quantile(cases[i].confidence), cases[i].freedom);

                if (fabs(t / cases[i].t - 1) > cases[i].tolerance)
                        fail_msg("%s: %g, not %g", cases[i].name, t, cases[i].t);
        }
}

static void test_student_falls_with_freedom(void **state _unused_) {
        double previous = INFINITY;

        for (double freedom = 1; freedom < 40; freedom += 0.125) {
                double t = student_quantile(0.9, normal_quantile(0.9), freedom);

                assert_true(t < previous);
                previous = t;
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_normal_matches_the_table),
                cmocka_unit_test(test_student_matches_the_table),
                cmocka_unit_test(test_student_falls_with_freedom),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
