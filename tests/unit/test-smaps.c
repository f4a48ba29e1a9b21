/* SPDX-License-Identifier: Apache-2.0 */
#include "util/smaps.h"

#include "unit/tree.h"

#define KIB 1024

static const char text[] =
        "55781c708000-7ffd30b2d000 ---p 00000000 00:00 0                          [rollup]\n"
        "Rss:                1740 kB\nPss:                 308 kB\nPss_Dirty:           112 kB\n"
        "Pss_Anon:            111 kB\nPss_File:            196 kB\nPss_Shmem:             1 kB\n"
        "Shared_Clean:       1580 kB\nShared_Dirty:          2 kB\nPrivate_Clean:        48 kB\n"
        "Private_Dirty:       110 kB\nReferenced:         1740 kB\nAnonymous:           112 kB\n"
        "KSM:                   0 kB\nLazyFree:              0 kB\nAnonHugePages:         4 kB\n"
        "ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\n"
        "Private_Hugetlb:       0 kB\nSwap:                  7 kB\nSwapPss:               6 kB\n"
        "Locked:                5 kB\n";

static void test_figures(void **state _unused_) {
        SmapsRollup s;

        assert_int_equal(smaps_parse(text, sizeof(text) - 1, &s), 0);
        assert_int_equal(s.rss_bytes, 1740 * KIB);
        assert_int_equal(s.pss_bytes, 308 * KIB);
        assert_true(s.has_pss_kind);
        assert_int_equal(s.pss_anon_bytes, 111 * KIB);
        assert_int_equal(s.pss_file_bytes, 196 * KIB);
        assert_int_equal(s.pss_shmem_bytes, 1 * KIB);
        assert_int_equal(s.shared_clean_bytes + s.shared_dirty_bytes, 1582 * KIB);
        assert_int_equal(s.private_clean_bytes, 48 * KIB);
        assert_int_equal(s.private_dirty_bytes, 110 * KIB);
        assert_int_equal(s.anonymous_bytes, 112 * KIB);
        assert_int_equal(s.anon_huge_bytes, 4 * KIB);
        assert_int_equal(s.swap_bytes, 7 * KIB);
        assert_int_equal(s.swap_pss_bytes, 6 * KIB);
        assert_int_equal(s.locked_bytes, 5 * KIB);
        assert_int_equal(s.time_usec + s.cost_usec, 0);
}

/* The last line is "Locked", so that every cut misses a required figure. */
static void test_cut_anywhere(void **state _unused_) {
        SmapsRollup s = {.rss_bytes = 9};

        for (size_t n = 0; n + 1 < sizeof(text); n++) {
                _cleanup_free_ char *cut = malloc(n ? n : 1);

                memcpy(cut, text, n);
                assert_int_equal(smaps_parse(cut, n, &s), -EBADMSG);
        }
        assert_int_equal(s.rss_bytes, 9);
}

static void test_one_line_changed(void **state _unused_) {
        static const struct {
                const char *name, *line, *by;
                int r;
        } cases[] = {
                {"negative", "Pss:                 308 kB", "Pss:                -308 kB", -EBADMSG},
                {"overflows", "Pss:                 308 kB", "Pss: 18014398509481984 kB", -EBADMSG},
                {"no unit", "Locked:                5 kB", "Locked:                5", -EBADMSG},
                {"key gone", "Anonymous:           112 kB\n", "", -EBADMSG},
                {"before 5.4: no kinds", "Pss_Anon:            111 kB\n", "", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char buf[sizeof(text) + 64];
                const char *at = strstr(text, cases[i].line);
                SmapsRollup s;

                assert_non_null(at);
                snprintf(buf, sizeof(buf), "%.*s%s%s", (int)(at - text), text, cases[i].by, at + strlen(cases[i].line));
                if (smaps_parse(buf, strlen(buf), &s) != cases[i].r)
                        fail_msg("%s", cases[i].name);
                if (cases[i].r == 0) {
                        assert_false(s.has_pss_kind);
                        assert_int_equal(s.pss_file_bytes, 0);
                }
        }
}

static void test_of_ourselves(void **state _unused_) {
        _cleanup_fd_ int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
        char buf[SMAPS_ROLLUP_MAX];
        ssize_t n = read(fd, buf, sizeof(buf));
        SmapsRollup s;

        if (n <= 0) {
                print_message("# no smaps_rollup here: %s\n", strerror(errno));
                skip();
        }
        assert_int_equal(smaps_parse(buf, (size_t)n, &s), 0);
        assert_true(s.rss_bytes >= s.pss_bytes && s.pss_bytes > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_figures),
                cmocka_unit_test(test_cut_anywhere),
                cmocka_unit_test(test_one_line_changed),
                cmocka_unit_test(test_of_ourselves),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
