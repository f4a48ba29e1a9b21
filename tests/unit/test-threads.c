/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/threads.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "probe/inject/calls.h"

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
                {"ppoll with a mask", SYS_ppoll, {1, 1, 0, 1}, 0, 9},
                {"ppoll without", SYS_ppoll, {1, 1, 0, 0}, 0, 9},
                {"ppoll, which is told the time left", SYS_ppoll, {1, 1, 1, 0}, 10, 19},
                {"epoll_pwait2, which is not", SYS_epoll_pwait2, {1, 1, 1, 1, 0}, 20, 40},
                {"select", SYS_select, {1, 1, 0, 0, 1}, 10, 19},
                {"select of a new glibc", SYS_pselect6, {1, 1, 0, 0, 0, 0}, 0, 9},
                {"the same with a time-out", SYS_pselect6, {1, 1, 0, 0, 1, 0}, 10, 19},
                {"pselect with a mask", SYS_pselect6, {1, 1, 0, 0, 0, 1}, 0, 9},
                {"poll for 500 ms", SYS_poll, {1, 1, 500}, 20, 40},
                {"read", SYS_read, {0}, 0, 9},
                {"recv", SYS_recvfrom, {3, 1, 10, 0}, 0, 9},
                {"recv with MSG_WAITALL", SYS_recvfrom, {3, 1, 10, 0x100}, -1, -1},
                {"recvmsg with MSG_WAITALL", SYS_recvmsg, {3, 1, 0x100}, -1, -1},
                {"semop", SYS_semop, {1, 1, 1}, 0, 9},
                {"semtimedop", SYS_semtimedop, {1, 1, 1, 1}, 20, 40},
                {"msgrcv", SYS_msgrcv, {1}, 0, 9},
                {"mq_timedreceive, to a point in time", SYS_mq_timedreceive, {1, 1, 1, 1, 1}, 10, 19},
                {"fcntl(F_SETLKW)", SYS_fcntl, {1, 7, 1}, 0, 9},
                {"fcntl(F_SETFL)", SYS_fcntl, {1, 4, 1}, -1, -1},
                {"io_uring_enter that only waits", SYS_io_uring_enter, {3, 0, 1, 1, 0, 8}, 0, 9},
                {"io_uring_enter that hands something in", SYS_io_uring_enter, {3, 1, 1, 1, 0, 8}, -1, -1},
                {"io_uring_enter that waits for two", SYS_io_uring_enter, {3, 0, 2, 1, 0, 8}, -1, -1},
                {"io_uring_enter with a time-out", SYS_io_uring_enter, {3, 0, 1, 9, 1, 8}, -1, -1},
                {"close", SYS_close, {1}, -1, -1},
                {"pause", SYS_pause, {0}, -1, -1},
                {"write", SYS_write, {1}, -1, -1},
                {"nanosleep", SYS_nanosleep, {1, 0}, 20, 40},
                {"sleep(3), which is told the time left", SYS_nanosleep, {1, 1}, 10, 19},
                {"clock_nanosleep likewise", SYS_clock_nanosleep, {1, 0, 1, 1}, 10, 19},
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
                int rank = calls_rank(cases[i].nr, cases[i].args);

                print_message("# %s: %d\n", cases[i].name, rank);
                assert_in_range(rank + 1, cases[i].lo + 1, cases[i].hi + 1);
        }
}

static void test_masks(void **state _unused_) {
        assert_true(calls_has_own_mask(SYS_ppoll, (uint64_t[6]){1, 1, 0, 1}));
        assert_false(calls_has_own_mask(SYS_ppoll, (uint64_t[6]){1, 1, 0, 0}));
        assert_true(calls_has_own_mask(SYS_epoll_pwait, (uint64_t[6]){1, 1, 1, 1, 1}));
        assert_false(calls_has_own_mask(SYS_read, (uint64_t[6]){1, 1, 1, 1, 1, 1}));
}

static void test_what_may_begin_again(void **state _unused_) {
        assert_true(calls_begin_again(SYS_epoll_wait));
        assert_true(calls_begin_again(SYS_recvfrom));
        assert_false(calls_begin_again(SYS_close));
        assert_false(calls_begin_again(SYS_ioctl));
}

static void test_places_in_the_kernel(void **state _unused_) {
        static const struct {
                const char *wchan;
                int lo, hi;
                bool elsewhere, frozen;
        } cases[] = {
                {"futex_wait_queue", 0, 9, false, false},
                {"futex_do_wait", 0, 9, false, false},
                {"poll_schedule_timeout.constprop.0", 0, 9, true, false},
                {"do_epoll_wait", 0, 9, true, false},
                {"hrtimer_nanosleep", 20, 40, false, false},
                {"anon_pipe_read", 0, 9, true, false},
                {"anon_pipe_write", -1, -1, false, false},
                {"pipe_wait", -1, -1, false, false},
                {"wait_woken", -1, -1, false, false},
                {"futex_wait_requeue_pi", -1, -1, false, false},
                {"do_freezer_trap", -1, -1, false, true},
                {"__refrigerator", -1, -1, false, true},
                {"ep_pol", -1, -1, false, false},
                {"0", -1, -1, false, false},
                {"", -1, -1, false, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                print_message("# %s\n", cases[i].wchan);
                assert_in_range(calls_wchan_rank(cases[i].wchan) + 1, cases[i].lo + 1, cases[i].hi + 1);
                assert_int_equal(calls_wchan_is_elsewhere(cases[i].wchan), cases[i].elsewhere);
                assert_int_equal(calls_wchan_is_frozen(cases[i].wchan), cases[i].frozen);
        }
}

static void test_says_what_was_seen(void **state _unused_) {
        static const Census c = {
                .n = 14,
                .by = {[THREADS_RUNNING] = 9, [THREADS_IN_CALL] = 3, [THREADS_HALTED] = 2},
                .calls = {{SYS_io_uring_enter, 2}, {99999, 1}},
        };
        char text[96], cut[40];

        threads_census_text(&c, text, sizeof(text));
        assert_string_equal(text, "14 threads: 9 running, 2 stopped or frozen, 2 in io_uring_enter, 1 in call 99999");
        threads_census_text(&c, cut, sizeof(cut));
        assert_string_equal(cut, "14 threads: 9 running, 1 in call 99999");
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
                cmocka_unit_test(test_masks),
                cmocka_unit_test(test_what_may_begin_again),
                cmocka_unit_test(test_places_in_the_kernel),
                cmocka_unit_test(test_says_what_was_seen),
                cmocka_unit_test(test_parses_the_syscall_file),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
