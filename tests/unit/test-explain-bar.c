/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-bar.h"

#include "unit/unit.h"

static void test_cells(void **state _unused_) {
        static const struct {
                uint64_t bytes[5];
                size_t n;
                unsigned width, cells[5];
        } cases[] = {
                {{50, 50}, 2, 10, {5, 5}},
                {{1, 1, 1}, 3, 10, {3, 4, 3}},
                {{1000, 1}, 2, 10, {9, 1}}, /* there, hence seen */
                {{1000, 1, 1, 1, 1}, 5, 10, {6, 1, 1, 1, 1}},
                {{0, 7}, 2, 10, {0, 10}},
                {{0, 0}, 2, 10, {0, 0}},
                {{UINT64_C(1) << 55, UINT64_C(1) << 55}, 2, 69, {35, 34}},
                {{5, 5}, 2, 1, {0, 1}},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned cells[5] = {0}, all = 0;

                explain_bar_cells(cases[i].bytes, cases[i].n, cases[i].width, cells);
                for (size_t k = 0; k < cases[i].n; k++) {
                        if (cells[k] != cases[i].cells[k])
                                fail_msg("case %zu, section %zu: %u", i, k, cells[k]);
                        all += cells[k];
                }
                assert_true(all <= cases[i].width);
        }
}

static void test_labels(void **state _unused_) {
        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++)
                assert_string_not_equal(explain_part_label((DiagnosePart)p), "other");
        assert_string_equal(explain_part_label(_DIAGNOSE_PART_MAX), "other");
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_cells), cmocka_unit_test(test_labels)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
