/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/borrow.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#define SKIP 77

static int status_of(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int lock_again(void) {
        Borrow b = {.pid = 4711, .start_ticks = 42, .lock_fd = -1};

        return borrow_lock(&b);
}

/* As in a pod of its own on the same network. */
static int lock_in_another_namespace(void) {
        pid_t pid = fork();

        if (pid == 0) {
                if (unshare(CLONE_NEWPID) < 0)
                        _exit(SKIP);
                pid = fork();
                if (pid == 0)
                        _exit(-lock_again());
                _exit(status_of(pid));
        }
        return status_of(pid);
}

/* Two pods with hostNetwork start at one instant, and each has a process 12. */
static void test_lock_is_of_a_pid_namespace(void **state _unused_) {
        Borrow b = {.pid = 4711, .start_ticks = 42, .lock_fd = -1};
        int status;

        assert_int_equal(borrow_lock(&b), 0);
        assert_int_equal(lock_again(), -EADDRINUSE);
        status = lock_in_another_namespace();
        close(b.lock_fd);
        if (status == SKIP)
                skip();
        assert_int_equal(status, 0);
        assert_int_equal(lock_again(), 0); /* its descriptor is left to the end of the program */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lock_is_of_a_pid_namespace),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
