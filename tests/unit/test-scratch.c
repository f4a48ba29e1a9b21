/* SPDX-License-Identifier: Apache-2.0
 *
 * The mailbox in a target's memory, which that target may write as well.
 */
#include "probe/inject/scratch.h"

#include "unit/unit.h"

static void test_what_is_a_mailbox(void **state _unused_) {
        assert_true(scratch_is_mailbox(&(Mailbox){.magic = SCRATCH_MAGIC, .armed = INT32_MAX, .unmapper = INT32_MAX}));
        assert_false(scratch_is_mailbox(&(Mailbox){.magic = 0}));
        assert_false(scratch_is_mailbox(&(Mailbox){.magic = SCRATCH_MAGIC, .armed = 1ULL << 31}));
        assert_false(scratch_is_mailbox(&(Mailbox){.magic = SCRATCH_MAGIC, .unmapper = UINT64_MAX}));
}

static void test_how_long_it_took(void **state _unused_) {
        static const struct {
                const char *name;
                Mailbox box;
                uint64_t most, want;
        } cases[] = {
                {"2 ms", {.begin = {7, 999000000}, .end = {8, 1000000}}, 5000, 2000},
                {"nothing", {.begin = {7, 5}, .end = {7, 5}}, 5000, 0},
                {"longer than it can have been", {.begin = {7, 0}, .end = {9, 0}}, 5000, 5000},
                {"it ends before it begins", {.begin = {7, 0}, .end = {6, 0}}, 5000, 5000},
                {"no nanoseconds", {.begin = {7, 0}, .end = {7, 1000000000}}, 5000, 5000},
                {"far away", {.begin = {7, 0}, .end = {UINT64_MAX, 0}}, 5000, 5000},
                /* times a thousand million both are 0 again */
                {"all around", {.begin = {1ULL << 55, 0}, .end = {1ULL << 55, 3000}}, 5000, 5000},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                print_message("# %s\n", cases[i].name);
                assert_int_equal(scratch_lasted_usec(&cases[i].box, cases[i].most), cases[i].want);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_a_mailbox),
                cmocka_unit_test(test_how_long_it_took),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
