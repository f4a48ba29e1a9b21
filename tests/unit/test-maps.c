/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/maps.h"

#include <fcntl.h>

#include "unit/unit.h"
#include "util/rootfs.h"

static void test_parses_lines(void **state _unused_) {
        static const struct {
                const char *name, *line;
                int r;
                uint64_t start, end, inode;
                unsigned prot;
                const char *path;
        } cases[] = {
                {"file", "7f00-8000 r-xp 00001000 08:01 1234                       /usr/lib/a b.so", 0, 0x7f00, 0x8000,
                 1234, MAP_R | MAP_X, "/usr/lib/a b.so"},
                {"anonymous", "1000-2000 rw-p 00000000 00:00 0 ", 0, 0x1000, 0x2000, 0, MAP_R | MAP_W, ""},
                {"shared", "1000-2000 ---s 00000000 00:00 7 /dev/zero (deleted)", 0, 0x1000, 0x2000, 7, MAP_SHARED_BIT,
                 "/dev/zero (deleted)"},
                {"vsyscall", "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", 0,
                 0xffffffffff600000, 0xffffffffff601000, 0, MAP_X, "[vsyscall]"},
                {"empty", "", -EINVAL, 0, 0, 0, 0, NULL},
                {"end before start", "2000-1000 rw-p 0 00:00 0", -EINVAL, 0, 0, 0, 0, NULL},
                {"17 digits", "10000000000000000-20000000000000000 rw-p 0 00:00 0", -EINVAL, 0, 0, 0, 0, NULL},
                {"upper case", "1A00-2000 rw-p 0 00:00 0", -EINVAL, 0, 0, 0, 0, NULL},
                {"wrong letter", "1000-2000 rwzp 0 00:00 0", -EINVAL, 0, 0, 0, 0, NULL},
                {"inode overflow", "1000-2000 rw-p 0 00:00 99999999999999999999", -EINVAL, 0, 0, 0, 0, NULL},
                {"cut", "1000-2000 rw-p 0000", -EINVAL, 0, 0, 0, 0, NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *path;
                Map m;

                print_message("# %s\n", cases[i].name);
                assert_int_equal(maps_parse_line(cases[i].line, &m, &path), cases[i].r);
                if (cases[i].r < 0)
                        continue;
                assert_int_equal(m.start, cases[i].start);
                assert_int_equal(m.end, cases[i].end);
                assert_int_equal(m.inode, cases[i].inode);
                assert_int_equal(m.prot, cases[i].prot);
                assert_string_equal(path, cases[i].path);
        }
}

static void test_reads_our_own(void **state _unused_) {
        _cleanup_(maps_done) Maps m = MAPS_NULL;
        _cleanup_fd_ int fd = rootfs_open_dir(AT_FDCWD, "/proc/self");
        static const int here = 1;
        const Map *map;

        assert_int_equal(maps_read(fd, &m), 0);
        map = maps_find(&m, (uint64_t)(uintptr_t)&here);
        assert_non_null(map);
        assert_true(map->prot & MAP_R);
        assert_non_null(strstr(maps_path(&m, map), "test-maps"));
        assert_null(maps_find(&m, 0));
}

static void test_a_hole_is_free_and_tagged(void **state _unused_) {
        _cleanup_(maps_done) Maps m = MAPS_NULL;
        _cleanup_fd_ int fd = rootfs_open_dir(AT_FDCWD, "/proc/self");
        uint64_t at;

        assert_int_equal(maps_read(fd, &m), 0);
        at = maps_hole(&m, 0x50726000u);
        assert_int_equal(at & 0xffffffff, 0x50726000);
        assert_null(maps_find(&m, at));
}

static void test_no_hole_in_a_full_space(void **state _unused_) {
        Map full[] = {{.start = 0x1000, .end = 1ULL << 46}, {.start = (1ULL << 46) + (1ULL << 33), .end = 1ULL << 47}};
        Maps m = {.map = full, .n = 2};

        assert_int_equal(maps_hole(&m, 0x50726000u), 0);
}

static void test_parses_whole_maps(void **state _unused_) {
        static const char good[] = "1000-2000 r-xp 00000000 08:01 5 /a\n2000-3000 rw-p 00000000 00:00 0 \n";
        _cleanup_(maps_done) Maps m = MAPS_NULL;

        assert_int_equal(maps_parse(good, sizeof(good) - 1, &m), 0);
        assert_int_equal(m.n, 2);
        assert_string_equal(maps_path(&m, &m.map[0]), "/a");
        assert_string_equal(maps_path(&m, &m.map[1]), "");
        maps_done(&m);
        assert_int_equal(maps_parse(good, sizeof(good) - 2, &m), -EINVAL); /* half a line at the end */
        assert_int_equal(maps_parse("", 0, &m), -ESRCH);
        assert_int_equal(maps_parse("2000-3000 rw-p 0 00:00 0\n1000-2000 rw-p 0 00:00 0\n", 50, &m), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parses_lines),
                cmocka_unit_test(test_reads_our_own),
                cmocka_unit_test(test_parses_whole_maps),
                cmocka_unit_test(test_a_hole_is_free_and_tagged),
                cmocka_unit_test(test_no_hole_in_a_full_space),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
