/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/act.h"

static void ignore_term(void) {
        signal(SIGTERM, SIG_IGN);
}

static void block_term(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
}

static void nothing(int sig _unused_) {
}

static void handle_term(void) {
        signal(SIGTERM, nothing);
}

static bool is_running(pid_t pid) {
        return waitpid(pid, NULL, WNOHANG) == 0;
}

static void test_ends_on_the_signal(void **state _unused_) {
        for (int pidfd = 0; pidfd < 2; pidfd++) {
                char why[160];
                Rig r;

                rig_init(&r, act_child(NULL), pidfd);
                assert_int_equal(r.target.pid_fd >= 0, pidfd);
                assert_int_equal(action_rotate_signal.check(&r.context, why, sizeof(why)), 0);
                rig_finish(&r, &action_rotate_signal);
                assert_outcome(&r, OUTCOME_OK, "signal", "ended after ");
                assert_int_equal(r.outcome.rung, RUNG_ROTATE);
                assert_true(r.outcome.duration_usec > 0);
                rig_done(&r);
        }
}

static void test_sends_the_signal_that_is_set(void **state _unused_) {
        siginfo_t info = {0};
        Rig r;

        rig_init(&r, act_child(ignore_term), true);
        r.options.rotate_signal = SIGUSR2;
        rig_finish(&r, &action_rotate_signal);
        assert_outcome(&r, OUTCOME_OK, "signal", "ended after ");
        assert_int_equal(waitid(P_PID, (id_t)r.child, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(info.si_status, SIGUSR2);
        rig_done(&r);
}

static void test_stays_and_says_why(void **state _unused_) {
        static const struct {
                const char *name;
                void (*behave)(void);
                bool is_stopped;
                const char *detail;
        } cases[] = {
                {"ignored", ignore_term, false, "still running after 150 ms; it ignores this signal"},
                {"blocked", block_term, false, "still running after 150 ms; it blocks this signal"},
                {"handled, goes on", handle_term, false, "still running after 150 ms"},
                {"stopped", NULL, true, "still running after 150 ms; it is stopped"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases) * 2; i++) {
                siginfo_t info = {0};
                Rig r;

                rig_init(&r, act_child(cases[i / 2].behave), i % 2);
                if (cases[i / 2].is_stopped) {
                        kill(r.child, SIGSTOP);
                        assert_int_equal(waitid(P_PID, (id_t)r.child, &info, WSTOPPED | WNOWAIT), 0);
                }
                r.options.rotate_wait_usec = 150 * USEC_PER_MSEC;
                rig_finish(&r, &action_rotate_signal);
                assert_outcome(&r, OUTCOME_TIMEOUT, "signal", cases[i / 2].detail);
                assert_true(is_running(r.child)); /* never SIGKILL */
                rig_done(&r);
        }
}

static void test_gone_before_start(void **state _unused_) {
        for (int pidfd = 0; pidfd < 2; pidfd++) {
                char why[160];
                Rig r;

                rig_init(&r, act_child(NULL), pidfd);
                act_reap(r.child);
                r.child = 0;
                assert_int_equal(action_rotate_signal.check(&r.context, why, sizeof(why)), -ESRCH);
                assert_non_null(strstr(why, "has ended"));
                assert_int_equal(rig_start(&r, &action_rotate_signal), -ESRCH);
                assert_int_equal(r.n_done, 0);
                rig_done(&r);
        }
}

/* The number is another process' by now: the start time differs. That process must get nothing. */
static void test_number_used_again(void **state _unused_) {
        for (int pidfd = 0; pidfd < 2; pidfd++) {
                char why[160];
                Rig r;

                rig_init(&r, act_child(NULL), pidfd);
                r.target.start_ticks--;
                assert_int_equal(action_rotate_signal.check(&r.context, why, sizeof(why)), -ESRCH);
                assert_int_equal(rig_start(&r, &action_rotate_signal), -ESRCH);
                assert_true(is_running(r.child));
                rig_done(&r);
        }
}

static void test_no_process_at_all(void **state _unused_) {
        static const pid_t numbers[] = {0, -1, -5};
        char why[160];
        Rig r;

        rig_init(&r, act_child(NULL), true);
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                r.target.pid = numbers[i];
                assert_int_equal(action_rotate_signal.check(&r.context, why, sizeof(why)), -ESRCH);
                assert_int_equal(rig_start(&r, &action_rotate_signal), -ESRCH);
        }
        r.target.pid = getpid();
        assert_int_equal(action_rotate_signal.check(&r.context, why, sizeof(why)), -EINVAL);
        assert_int_equal(rig_start(&r, &action_rotate_signal), -EINVAL);
        rig_done(&r);
}

static void test_cancel_while_waiting(void **state _unused_) {
        for (int pidfd = 0; pidfd < 2; pidfd++) {
                Rig r;

                rig_init(&r, act_child(ignore_term), pidfd);
                assert_int_equal(rig_start(&r, &action_rotate_signal), 0);
                assert_true(sd_event_run(r.event, 0) >= 0);
                action_rotate_signal.cancel(r.run);
                assert_int_equal(r.n_done, 1);
                assert_outcome(&r, OUTCOME_CANCELLED, "signal", "given up after ");
                /* nothing is left on the loop that could come later */
                act_reap(r.child);
                r.child = 0;
                assert_true(sd_event_run(r.event, 250 * USEC_PER_MSEC) >= 0);
                assert_int_equal(r.n_done, 1);
                rig_done(&r);
        }
        action_rotate_signal.cancel(NULL);
}

/* The Target is refreshed every tick and finds the end, or the next process, before the action is told. */
static void test_target_changes_meanwhile(void **state _unused_) {
        TargetEvent event;
        Rig r;

        rig_init(&r, act_child(NULL), true);
        assert_int_equal(rig_start(&r, &action_rotate_signal), 0);
        assert_int_equal(waitid(P_PID, (id_t)r.child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        assert_int_equal(target_refresh(&r.target, &event), 0);
        assert_int_equal(event, TARGET_EVENT_ENDED);
        rig_until(&r, rig_has_outcome);
        assert_outcome(&r, OUTCOME_OK, "signal", "ended after ");
        rig_done(&r);
}

/* As another user, in a process of its own. Return: 0 when all is as it should be, else the number of the step. */
static int try_as_nobody(Rig *r) {
        char why[160];

        if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
                return 1;
        if (action_rotate_signal.check(&r->context, why, sizeof(why)) != -EPERM || !strstr(why, "uid 65534 needs"))
                return 2;
        if (rig_start(r, &action_rotate_signal) != 0)
                return 3;
        rig_until(r, rig_has_outcome);
        return r->outcome.result == OUTCOME_ERROR && strstr(r->outcome.detail, "of uid 0: uid 65534 needs the same uid")
                       ? 0
                       : 4;
}

static void test_not_allowed(void **state _unused_) {
        int status;
        pid_t pid;
        Rig r;

        if (geteuid() != 0) {
                print_message("# skipped: only root can become another user\n");
                skip();
        }
        rig_init(&r, act_child(NULL), true);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                sd_event *own; /* a loop is of the process that made it */

                _exit(sd_event_new(&own) < 0 ? 9 : (r.context.event = r.event = own, try_as_nobody(&r)));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_true(is_running(r.child));
        rig_done(&r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends_on_the_signal),
                cmocka_unit_test(test_sends_the_signal_that_is_set),
                cmocka_unit_test(test_stays_and_says_why),
                cmocka_unit_test(test_gone_before_start),
                cmocka_unit_test(test_number_used_again),
                cmocka_unit_test(test_no_process_at_all),
                cmocka_unit_test(test_cancel_while_waiting),
                cmocka_unit_test(test_target_changes_meanwhile),
                cmocka_unit_test(test_not_allowed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
