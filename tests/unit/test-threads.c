/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/threads.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "unit/unit.h"

static void test_ranks(void **state _unused_) {
        static const struct {
                const char *name;
                long nr;
                uint64_t args[6];
                int lo, hi;
        } cases[] = {
                {"condition variable without end", SYS_futex, {1, FUTEX_WAIT_BITSET | 128, 0, 0, 0, 0xffffffff}, 0, 0},
                {"condition variable with a deadline", SYS_futex, {1, FUTEX_WAIT_BITSET | 128 | 256, 0, 1}, 10, 19},
                {"relative futex", SYS_futex, {1, FUTEX_WAIT, 0, 1}, 20, 40},
                {"libc's own low-level lock", SYS_futex, {1, FUTEX_WAIT | 128, 2, 0}, -1, -1},
                {"priority inheritance", SYS_futex, {1, FUTEX_LOCK_PI, 0, 0}, -1, -1},
                {"epoll_wait without end", SYS_epoll_wait, {3, 0, 8, 0xffffffff}, 0, 9},
                {"epoll_wait for 500 ms", SYS_epoll_wait, {3, 0, 8, 500}, 20, 40},
                {"ppoll with a mask", SYS_ppoll, {1, 1, 0, 1}, -1, -1},
                {"ppoll without", SYS_ppoll, {1, 1, 0, 0}, 0, 9},
                {"select of a new glibc", SYS_pselect6, {1, 1, 0, 0, 0, 0}, 0, 9},
                {"the same with a time-out", SYS_pselect6, {1, 1, 0, 0, 1, 0}, 10, 19},
                {"pselect with a mask", SYS_pselect6, {1, 1, 0, 0, 0, 1}, -1, -1},
                {"read", SYS_read, {0}, 0, 9},
                {"write", SYS_write, {1}, -1, -1},
                {"nanosleep", SYS_nanosleep, {0}, 20, 40},
                {"absolute sleep", SYS_clock_nanosleep, {1, 1}, 10, 19},
                {"rt_sigtimedwait", SYS_rt_sigtimedwait, {0}, -1, -1},
                {"rt_sigsuspend", SYS_rt_sigsuspend, {0}, -1, -1},
                {"brk", SYS_brk, {0}, -1, -1},
                {"madvise", SYS_madvise, {0}, -1, -1},
                {"mmap", SYS_mmap, {0}, -1, -1},
                {"restart_syscall", SYS_restart_syscall, {0}, -1, -1},
                {"vfork", SYS_vfork, {0}, -1, -1},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int rank = threads_rank(cases[i].nr, cases[i].args);

                print_message("# %s: %d\n", cases[i].name, rank);
                assert_in_range(rank + 1, cases[i].lo + 1, cases[i].hi + 1);
        }
}

static void test_parses_the_syscall_file(void **state _unused_) {
        Candidate c;

        assert_int_equal(threads_parse_syscall("202 0x1 0x189 0x0 0x0 0x0 0xffffffff 0x7ffd 0x7f7f\n", &c), 0);
        assert_int_equal(c.nr, 202);
        assert_int_equal(c.args[1], 0x189);
        assert_int_equal(c.args[5], 0xffffffff);
        assert_int_equal(c.sp, 0x7ffd);
        assert_int_equal(c.pc, 0x7f7f);
        assert_int_equal(threads_parse_syscall("running\n", &c), -EAGAIN);
        assert_int_equal(threads_parse_syscall("-1 0x7ffd 0x7f7f\n", &c), -EAGAIN);
        assert_int_equal(threads_parse_syscall("", &c), -EINVAL);
        assert_int_equal(threads_parse_syscall("202 0x1\n", &c), -EINVAL);
        assert_int_equal(threads_parse_syscall("202 0x1 0x2 0x3 0x4 0x5 0x6 0x7 8\n", &c), -EINVAL);
        assert_int_equal(threads_parse_syscall("202 0x11111111111111111 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n", &c), -EINVAL);
        assert_int_equal(threads_parse_syscall("99999999 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n", &c), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ranks),
                cmocka_unit_test(test_parses_the_syscall_file),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
