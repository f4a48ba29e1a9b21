/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/stat.h"

#include "unit/tree.h"

static int parse_fixture(const char *path, ProcStat *ret) {
        char buf[4096];

        return stat_parse(buf, fixture_read(path, buf, sizeof(buf)), ret);
}

static void test_hostile_names(void **state _unused_) {
        static const struct {
                int pid;
                const char *comm;
        } cases[] = {
                {10, "a) R 1 ("}, {11, "two\nlines\n"}, {12, "\xff\xfe\x80" "bad"}, {13, "back\\slash\\n"},
                {14, ") Z 0 0 0 0 0"}, {15, "VmRSS:\t9 kB\nx"}, {16, ""}, {17, "\x1b[31mred"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[128];
                ProcStat st;

                snprintf(path, sizeof(path), "proc/hostile-names/%d/stat", cases[i].pid);
                assert_int_equal(parse_fixture(path, &st), 0);
                assert_int_equal(st.pid, cases[i].pid);
                assert_string_equal(st.comm, cases[i].comm);
                assert_int_equal(st.state, 'S');
                assert_int_equal(st.ppid, 1);
                assert_int_equal(st.start_ticks, 101 + cases[i].pid);
                assert_true(st.start_stack == UINT64_C(140736378832064));
                assert_false(st.is_kernel_thread);
        }
}

static void test_kinds(void **state _unused_) {
        ProcStat st;

        assert_int_equal(parse_fixture("proc/host/2/stat", &st), 0);
        assert_true(st.is_kernel_thread);
        assert_int_equal(parse_fixture("proc/host/602/stat", &st), 0);
        assert_int_equal(st.state, 'Z');
        assert_false(st.is_kernel_thread);
}

static void test_refused(void **state _unused_) {
        static const char good[] = "7 (a) S 1 7 7 0 -1 4194304 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n";
        static const struct {
                const char *name, *text;
        } cases[] = {
                {"empty", ""},
                {"newline", "\n"},
                {"pid 0", "0 (a) S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"pid negative", "-7 (a) S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"pid too large", "2147483648 (a) S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"no name", "7 S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"name not closed", "7 (a S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"nothing behind the name", "7 (a)\n"},
                {"state is no letter", "7 (a) 0 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"parent negative", "7 (a) S -1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"parent too large", "7 (a) S 4294967296 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"start negative", "7 (a) S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 -200 1 2 3 4 5 6 0\n"},
                {"start overflows",
                 "7 (a) S 1 7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 18446744073709551616 1 2 3 4 5\n"},
                {"a word", "7 (a) S 1 7 7 zero -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
                {"two blanks", "7 (a) S 1  7 7 0 -1 4 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n"},
        };
        ProcStat st = {.pid = -9};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (stat_parse(cases[i].text, strlen(cases[i].text), &st) != -EBADMSG || st.pid != -9)
                        fail_msg("%s", cases[i].name);
        assert_int_equal(stat_parse("7 (\0) S 1 7 7 0 -1 4194304 131 0 0 0 0 0 0 0 20 0 1 0 200 1 2 3 4 5 6 0\n",
                                    sizeof(good) - 1, &st), -EBADMSG);
        for (size_t n = 0; n + 1 < sizeof(good); n++) {
                _cleanup_free_ char *cut = malloc(n ? n : 1);

                memcpy(cut, good, n);
                assert_int_equal(stat_parse(cut, n, &st), -EBADMSG);
        }
        assert_int_equal(stat_parse(good, sizeof(good) - 1, &st), 0);
        assert_int_equal(parse_fixture("proc/cut-short/stat", &st), -EBADMSG);
}

static void test_statm(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                {"730 470 443 5 0 89 0\n", 0},        {"0 0 0 0 0 0 0\n", 0},           {"", -EBADMSG},
                {"730 470 443 5", -EBADMSG},          {"730 -470 443 5 0\n", -EBADMSG}, {"730\n", -EBADMSG},
                {"x 470 443 5 0 89 0\n", -EBADMSG},   {"99999999999999999999 1 1 1 1\n", -EBADMSG},
        };
        _cleanup_fd_ int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC), null_fd = open("/dev/null", O_RDONLY);
        ProcStatm st;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(statm_parse(cases[i].text, strlen(cases[i].text), &st), cases[i].r);
        assert_int_equal(statm_parse("730 470 443 5 0 89 0\n", 21, &st), 0);
        assert_int_equal(st.size_pages, 730);
        assert_int_equal(st.resident_pages, 470);
        assert_int_equal(st.text_pages, 5);
        assert_int_equal(statm_read(fd, &st), 0);
        assert_true(st.resident_pages > 0 && st.text_pages > 0);
        assert_int_equal(statm_read(null_fd, &st), -ESRCH);
        assert_int_equal(statm_read(-1, &st), -EBADF);
}

static void test_read_of_ourselves(void **state _unused_) {
        _cleanup_fd_ int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ProcStat st;

        assert_int_equal(stat_read(fd, "self/stat", &st), 0);
        assert_int_equal(st.pid, getpid());
        assert_int_equal(st.ppid, getppid());
        assert_int_equal(st.state, 'R');
        assert_int_equal(stat_read(fd, "0/stat", &st), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostile_names),
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_statm),
                cmocka_unit_test(test_read_of_ourselves),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
