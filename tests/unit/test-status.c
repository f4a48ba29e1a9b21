/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/status.h"

#include <sys/mman.h>

#include "unit/tree.h"

#define KIB 1024

static ProcStatus parse(const char *text, size_t len) {
        ProcStatus st = PROC_STATUS_NULL;
        size_t used;

        status_parse(text, len, &st, &used);
        assert_true(used <= len);
        return st;
}

static ProcStatus parse_fixture(const char *path) {
        char buf[8192];

        return parse(buf, fixture_read(path, buf, sizeof(buf)));
}

static void test_figures(void **state _unused_) {
        ProcStatus st = parse_fixture("proc/host/600/status");

        assert_int_equal(st.have, (STATUS_THREADS << 1) - 1);
        assert_string_equal(st.name, "python3");
        assert_int_equal(st.state, 'S');
        assert_int_equal(st.pid, 600);
        assert_int_equal(st.tgid, 600);
        assert_int_equal(st.ppid, 1);
        assert_int_equal(st.ns_pid, 600);
        assert_int_equal(st.uid, 1000);
        assert_int_equal(st.rss_bytes, 5000 * KIB);
        assert_int_equal(st.anon_bytes + st.file_bytes + st.shmem_bytes, st.rss_bytes);
        assert_int_equal(st.hwm_bytes, 5000 * KIB);
        assert_int_equal(st.peak_bytes, 20000 * KIB);
        assert_int_equal(st.exe_bytes, 20 * KIB);
        assert_int_equal(st.pte_bytes, 40 * KIB);
        assert_int_equal(st.n_threads, 1);
}

static void test_lines(void **state _unused_) {
        static const struct {
                const char *name, *text;
                uint32_t have, seen;
        } cases[] = {
                {"nothing", "", 0, 0},
                {"no newline", "VmRSS:\t 4 kB", 0, 0},
                {"good", "VmRSS:\t 4 kB\n", STATUS_RSS, STATUS_RSS},
                {"other key with our prefix", "VmRSSx:\t 4 kB\n", 0, 0},
                {"our key inside a line", "x VmRSS:\t 4 kB\n", 0, 0},
                {"first of two counts", "VmRSS:\t x kB\nVmRSS:\t 4 kB\n", 0, STATUS_RSS},
                {"innermost namespace", "NSpid:\t9\t8\t77\n", STATUS_NSPID, STATUS_NSPID},
                {"no pid at the end", "NSpid:\t9\t\n", 0, STATUS_NSPID},
                {"pid too large", "Pid:\t2147483648\n", 0, STATUS_PID},
                {"largest pid", "Pid:\t2147483647\n", STATUS_PID, STATUS_PID},
                {"largest uid", "Uid:\t4294967295\t0\t0\t0\n", STATUS_UID, STATUS_UID},
                {"uid too large", "Uid:\t4294967296\t0\t0\t0\n", 0, STATUS_UID},
                {"state without its word", "State:\tS\n", 0, STATUS_STATE},
                {"name with a NUL", "Name:\ta", 0, 0},
                {"largest KiB that fit", "VmRSS:\t18014398509481983 kB\n", STATUS_RSS, STATUS_RSS},
                {"one more", "VmRSS:\t18014398509481984 kB\n", 0, STATUS_RSS},
                {"last line of interest", "Threads:\t3\nVmRSS:\t 4 kB\n", STATUS_THREADS, STATUS_THREADS},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ProcStatus st = parse(cases[i].text, strlen(cases[i].text));

                if (st.have != cases[i].have || st.seen != cases[i].seen)
                        fail_msg("%s: have %x, seen %x", cases[i].name, st.have, st.seen);
        }
        assert_int_equal(parse("Name:\ta\0b\n", 10).have, 0);
}

static void test_hostile_numbers_are_absent(void **state _unused_) {
        static const struct {
                const char *file;
                uint32_t missing;
        } cases[] = {
                {"rss-huge", STATUS_RSS},         {"rss-overflows", STATUS_RSS},   {"rss-negative", STATUS_RSS},
                {"rss-not-a-number", STATUS_RSS}, {"rss-no-unit", STATUS_RSS},     {"rss-other-unit", STATUS_RSS},
                {"rss-trailing", STATUS_RSS},     {"rss-hex", STATUS_RSS},         {"rss-fraction", STATUS_RSS},
                {"rss-empty", STATUS_RSS},        {"threads-negative", STATUS_THREADS}, {"no-swap", STATUS_SWAP},
                {"rss-twice", 0},
        };
        const uint32_t all = (STATUS_THREADS << 1) - 1;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[128];
                ProcStatus st;

                snprintf(path, sizeof(path), "proc/hostile-numbers/%s", cases[i].file);
                st = parse_fixture(path);
                if (st.have != (all & ~cases[i].missing))
                        fail_msg("%s: have %x", cases[i].file, st.have);
                assert_int_equal(st.rss_bytes, (cases[i].missing & STATUS_RSS) ? 0 : 90000 * KIB);
        }
}

static void test_names_are_unescaped(void **state _unused_) {
        static const struct {
                int pid;
                const char *name;
        } cases[] = {
                {10, "a) R 1 ("}, {11, "two\nlines\n"}, {12, "\xff\xfe\x80" "bad"}, {13, "back\\slash\\n"},
                {14, ") Z 0 0 0 0 0"}, {15, "VmRSS:\t9 kB\nx"}, {16, ""}, {17, "\x1b[31mred"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[128];
                ProcStatus st;

                snprintf(path, sizeof(path), "proc/hostile-names/%d/status", cases[i].pid);
                st = parse_fixture(path);
                assert_string_equal(st.name, cases[i].name);
                assert_int_equal(st.rss_bytes, 1804 * KIB);
        }
}

/* Wherever it is cut, a figure is the whole file's or it is absent. */
static void test_cut_anywhere(void **state _unused_) {
        char buf[8192];
        size_t len = fixture_read("proc/pod/7/status", buf, sizeof(buf));
        ProcStatus whole = parse(buf, len);

        for (size_t n = 0; n < len; n++) {
                _cleanup_free_ char *cut = malloc(n ? n : 1); /* its end is where the sanitizer looks */
                ProcStatus st;

                assert_non_null(cut);
                memcpy(cut, buf, n);
                st = parse(cut, n);
                assert_int_equal(st.have & ~whole.have, 0);
                assert_int_equal(st.rss_bytes, (st.have & STATUS_RSS) ? whole.rss_bytes : 0);
                assert_int_equal(st.peak_bytes, (st.have & STATUS_PEAK) ? whole.peak_bytes : 0);
                assert_int_equal(st.ppid, (st.have & STATUS_PPID) ? whole.ppid : 0);
                assert_int_equal(st.n_threads, (st.have & STATUS_THREADS) ? whole.n_threads : 0);
        }
        assert_false(parse_fixture("proc/cut-short/status").have & STATUS_RSS);
}

/* A file longer than the reader's buffer: the Groups line alone may have 65,536 numbers (NGROUPS_MAX). */
static void test_long_group_list(void **state _unused_) {
        static const size_t counts[] = {0, 100, 680, 682, 683, 1000, 65536};

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                _cleanup_fd_ int fd = memfd_create("status", MFD_CLOEXEC);
                _cleanup_file_ FILE *f = fdopen(dup(fd), "w");
                ProcStatus st;

                assert_non_null(f);
                fprintf(f, "Name:\tx\nState:\tS (sleeping)\nGroups:\t");
                for (size_t g = 0; g < counts[i]; g++)
                        fprintf(f, "%zu ", 10000 + g);
                fprintf(f, "VmRSS:\t 8 kB\nVmRSS:\t       4 kB\nThreads:\t2\n");
                assert_int_equal(fflush(f), 0);
                assert_int_equal(status_read(fd, &st), 0);
                assert_int_equal(st.have, STATUS_NAME | STATUS_STATE | STATUS_RSS | STATUS_THREADS);
                assert_int_equal(st.rss_bytes, 4 * KIB);
        }
}

/* A line longer than the buffer is dropped piece by piece; what a piece begins with is not the beginning of a line. */
static void test_long_line_is_no_place_to_hide(void **state _unused_) {
        for (int padding = 4000; padding < 4200; padding++) {
                _cleanup_fd_ int fd = memfd_create("status", MFD_CLOEXEC);
                ProcStatus st;

                assert_true(dprintf(fd, "Name:\tx\nGroups:\t%0*dVmRSS:\t 8 kB\nThreads:\t2\n", padding, 0) > 0);
                assert_int_equal(status_read(fd, &st), 0);
                assert_int_equal(st.have, STATUS_NAME | STATUS_THREADS);
        }
}

static void test_read_of_ourselves(void **state _unused_) {
        _cleanup_fd_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC), null_fd = open("/dev/null", O_RDONLY);
        ProcStatus st;

        assert_int_equal(status_read(fd, &st), 0);
        assert_int_equal(st.pid, getpid());
        assert_int_equal(st.ppid, getppid());
        assert_int_equal(st.uid, getuid());
        assert_int_equal(st.have & (STATUS_MEMORY | STATUS_RSS_KIND), STATUS_MEMORY | STATUS_RSS_KIND);
        assert_true(st.rss_bytes > 0 && st.rss_bytes == st.anon_bytes + st.file_bytes + st.shmem_bytes);
        st.pid = -5;
        assert_int_equal(status_read(null_fd, &st), -ESRCH);
        assert_int_equal(status_read(-1, &st), -EBADF);
        assert_int_equal(st.pid, -5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_figures),
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_hostile_numbers_are_absent),
                cmocka_unit_test(test_names_are_unescaped),
                cmocka_unit_test(test_cut_anywhere),
                cmocka_unit_test(test_long_group_list),
                cmocka_unit_test(test_long_line_is_no_place_to_hide),
                cmocka_unit_test(test_read_of_ourselves),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
