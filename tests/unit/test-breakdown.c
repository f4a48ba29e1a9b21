/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/breakdown.h"

#include "unit/unit.h"

#define KIB UINT64_C(1024)

/* A heap half of which is huge pages, a tmpfs file mapped by a huge page, and two kinds of hugetlb: MAP_HUGETLB, and a
 * file of hugetlbfs. */
static const char smaps[] = "555500000000-555500400000 rw-p 00000000 00:00 0                          [heap]\n"
                            "Rss:                4096 kB\nPss:                4096 kB\nPrivate_Dirty:      4096 kB\n"
                            "AnonHugePages:      2048 kB\nShmemPmdMapped:        0 kB\nSwap:                 64 kB\n"
                            "7f0000000000-7f0000400000 rw-s 00000000 00:01 9                          /dev/shm/ring\n"
                            "Rss:                2048 kB\nPss:                1024 kB\nAnonHugePages:         0 kB\n"
                            "ShmemPmdMapped:     2048 kB\nFilePmdMapped:         0 kB\nSwap:                  8 kB\n"
                            "7f0000400000-7f0000800000 rw-p 00000000 00:10 5           /anon_hugepage (deleted)\n"
                            "Rss:                   0 kB\nPss:                   0 kB\nPrivate_Hugetlb:    4096 kB\n"
                            "7f0000800000-7f0000c00000 rw-s 00000000 00:10 6                  /dev/hugepages/db\n"
                            "Rss:                   0 kB\nPss:                   0 kB\nShared_Hugetlb:     2048 kB\n"
                            "Private_Hugetlb:    2048 kB\n";

static void test_huge_pages(void **state _unused_) {
        static const struct {
                PartKind kind;
                uint64_t rss_kib, private_kib, huge_kib, hugetlb_kib, swap_kib;
        } expected[] = {
                {PART_ANONYMOUS, 4096, 4096, 2048, 4096, 64}, /* nobody claims [heap] here */
                {PART_FILES, 0, 0, 0, 4096, 0},
                {PART_SHARED, 2048, 0, 2048, 0, 8},
        };
        Pages pages = PAGES_NULL;
        Ranges known = {0};
        Breakdown b = {0};
        char text[sizeof(smaps)];

        memcpy(text, smaps, sizeof(text));
        assert_int_equal(breakdown_feed(&b, text, sizeof(text) - 1, &known, &pages, PART_ANONYMOUS), 0);
        breakdown_sort(&b);
        assert_int_equal(b.n, ELEMENTSOF(expected));
        for (size_t i = 0; i < b.n; i++) {
                const Part *p = &b.parts[i];

                assert_int_equal(p->kind, expected[i].kind);
                assert_int_equal(p->rss_bytes, expected[i].rss_kib * KIB);
                assert_int_equal(p->private_bytes, expected[i].private_kib * KIB);
                assert_int_equal(p->huge_bytes, expected[i].huge_kib * KIB);
                assert_int_equal(p->hugetlb_bytes, expected[i].hugetlb_kib * KIB);
                assert_int_equal(p->swap_bytes, expected[i].swap_kib * KIB);
        }
        /* hugetlb is in no sum of resident memory */
        assert_int_equal(b.whole.rss_bytes, 6144 * KIB);
        assert_int_equal(b.whole.private_bytes, 4096 * KIB);
        assert_int_equal(b.whole.hugetlb_bytes, 8192 * KIB);
        breakdown_done(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_huge_pages)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
