/* SPDX-License-Identifier: Apache-2.0
 *
 * The same as test-target.c on processes of this machine: what a literal tree cannot show, i.e. descriptors that
 * outlive a process, pidfds, real execve() and real vanishing.
 */
#include "sample/target.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sample/stat.h"
#include "unit/tree.h"
#include "util/clock.h"

#define DEADLINE_USEC (20 * USEC_PER_SEC)

static int proc_fd = -1, cgroup_fd = -1;

typedef struct Child {
        pid_t pid;
        int go_fd; /* a byte makes it go on */
} Child;

/* A child that says when it is ready, and goes on, to exec @argv or to exit, on a byte. */
static Child child_new(const char *name, const char *const *argv) {
        int ready[2], go[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                prctl(PR_SET_NAME, name);
                if (write(ready[1], "r", 1) != 1 || (close(go[1]), read(go[0], &byte, 1)) != 1)
                        _exit(1);
                if (argv && dup2(go[0], STDIN_FILENO) == STDIN_FILENO)
                        execv(argv[0], (char *const *)argv);
                _exit(0);
        }
        close(ready[1]);
        close(go[0]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        return (Child){.pid = pid, .go_fd = go[1]};
}

static void child_go(const Child *c) {
        assert_int_equal(write(c->go_fd, "g", 1), 1);
}

/* Wait until it has exited, but leave the zombie. */
static void child_await_exit(const Child *c) {
        siginfo_t info;

        assert_int_equal(waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT), 0);
}

static void child_reap(Child *c) {
        if (c->pid > 0) {
                kill(c->pid, SIGKILL);
                waitpid(c->pid, NULL, 0);
                fd_close(c->go_fd);
        }
        c->pid = 0;
}

#define _cleanup_child_ _cleanup_(child_reap)
#define _cleanup_target_ _cleanup_(target_done)

/* The children's comm changes with the program: wait for it, as the exec itself cannot be waited for. */
static void await_comm(pid_t pid, const char *comm) {
        uint64_t deadline = now_mono_usec() + DEADLINE_USEC;
        char path[32];
        ProcStat st;

        snprintf(path, sizeof(path), "%d/stat", (int)pid);
        do {
                assert_int_equal(stat_read(proc_fd, path, &st), 0);
                sched_yield();
        } while (strcmp(st.comm, comm) != 0 && now_mono_usec() < deadline);
        assert_string_equal(st.comm, comm);
}

static Target target_of_pid(pid_t pid, bool pidfd) {
        TargetSpec spec = {.match = TARGET_MATCH_PID, .pid = pid};
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = cgroup_fd, .pidfd = pidfd};
        Target t;

        target_init(&t, &spec, &source);
        return t;
}

static TargetEvent refresh(Target *t) {
        TargetEvent e = _TARGET_EVENT_MAX;

        assert_int_equal(target_refresh(t, &e), 0);
        return e;
}

static void test_life_and_death(void **state _unused_) {
        for (int pidfd = 0; pidfd < 2; pidfd++) {
                _cleanup_child_ Child c = child_new("plateau-test", NULL);
                _cleanup_target_ Target t = target_of_pid(c.pid, pidfd);
                struct pollfd pfd;
                Sample s;

                assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
                assert_string_equal(t.comm, "plateau-test");
                assert_int_equal(t.uid, getuid());
                assert_true(t.start_boot_usec > 0 && t.start_boot_usec <= now_boot_usec());
                assert_true(target_is_same(&t));
                assert_int_equal(target_sample(&t, 7, 0, &s), 0);
                assert_int_equal(s.have & (SAMPLE_HAVE_STATUS | SAMPLE_HAVE_RSS_KIND), 3);
                assert_true(s.rss_bytes > 0 && s.virtual_bytes >= s.rss_bytes);
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                pfd = (struct pollfd){.fd = t.pid_fd, .events = POLLIN};
                if (pidfd && t.pid_fd >= 0)
                        assert_int_equal(poll(&pfd, 1, 0), 0);
                child_go(&c);
                child_await_exit(&c); /* a zombie now */
                if (pidfd && t.pid_fd >= 0)
                        assert_int_equal(poll(&pfd, 1, 0), 1);
                assert_int_equal(target_sample(&t, 7, 0, &s), -ESRCH);
                assert_false(target_is_same(&t));
                assert_int_equal(refresh(&t), TARGET_EVENT_ENDED);
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        }
}

/* Reaped between refresh and sample: the descriptors say ESRCH, whoever has the number by then. */
static void test_reaped(void **state _unused_) {
        for (int pidfd = 0; pidfd < 2; pidfd++) {
                _cleanup_child_ Child c = child_new("plateau-test", NULL);
                _cleanup_target_ Target t = target_of_pid(c.pid, pidfd);
                Sample s;

                assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
                child_reap(&c);
                assert_int_equal(target_sample(&t, 7, 0, &s), -ESRCH);
                assert_false(target_is_same(&t));
                assert_int_equal(refresh(&t), TARGET_EVENT_ENDED);
        }
}

/* The one EXECED; while the new program is being loaded nothing can be told yet. */
static void await_execed(Target *t) {
        uint64_t deadline = now_mono_usec() + DEADLINE_USEC;
        TargetEvent event;
        Sample s;

        do {
                (void)!target_sample(t, 7, 0, &s);
                event = refresh(t);
        } while (event == TARGET_EVENT_NONE && now_mono_usec() < deadline);
        assert_int_equal(event, TARGET_EVENT_EXECED);
}

static void test_exec(void **state _unused_) {
        static const char *const argv[] = {"/bin/sleep", "60", NULL};
        _cleanup_child_ Child c = child_new("plateau-test", argv);
        _cleanup_target_ Target t = target_of_pid(c.pid, true);
        Sample s;

        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        assert_int_equal(target_sample(&t, 7, 0, &s), 0);
        child_go(&c);
        await_comm(c.pid, "sleep");
        await_execed(&t);
        assert_string_equal(t.comm, "sleep");
        assert_string_equal(t.cmdline, "/bin/sleep 60");
        assert_int_equal(target_sample(&t, 7, 0, &s), 0); /* by the same descriptor */
        assert_true(s.rss_bytes > 0);
        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
}

/* The same program again, under another name: only the stack's address tells. */
static void test_exec_of_the_same_program(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_new();
        char one[128], two[128];
        const char *const argv[] = {one, "-c", "read x; exec \"$0\" -c 'read x'", two, NULL};
        Sample s;

        snprintf(one, sizeof(one), "%s/shell-one", tree.path);
        snprintf(two, sizeof(two), "%s/shell-two", tree.path);
        tree_run(&tree, "cp /bin/sh shell-one && ln shell-one shell-two");
        _cleanup_child_ Child c = child_new("plateau-test", argv);
        _cleanup_target_ Target t = target_of_pid(c.pid, true);
        child_go(&c);
        await_comm(c.pid, "shell-one");
        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        if (t.start_stack == 0) {
                print_message("# skipped: no access to the addresses in stat\n");
                skip();
        }
        t.peak_bytes = 0; /* as if it had grown at once: a fallen peak would tell, too */
        assert_int_equal(write(c.go_fd, "\n", 1), 1);
        await_comm(c.pid, "shell-two");
        await_execed(&t);
        assert_int_equal(target_sample(&t, 7, 0, &s), 0);
        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
}

static void test_renamed_is_no_event(void **state _unused_) {
        _cleanup_target_ Target t = target_of_pid(getpid(), true);
        char was[17] = "";
        Sample s;

        prctl(PR_GET_NAME, was);
        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        prctl(PR_SET_NAME, "a) R 1 (\n");
        assert_int_equal(target_sample(&t, 7, 0, &s), 0);
        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        assert_string_equal(t.comm, "a) R 1 (\n");
        assert_true(target_is_same(&t));
        prctl(PR_SET_NAME, was);
}

/* /proc/TID exists, though it is not listed. */
static void *tell_tid(void *fds) {
        pid_t tid = (pid_t)syscall(SYS_gettid);
        char byte;

        if (write(((int *)fds)[1], &tid, sizeof(tid)) != sizeof(tid))
                return NULL;
        return read(((int *)fds)[2], &byte, 1) == 1 ? fds : NULL;
}

static void test_thread_is_not_a_process(void **state _unused_) {
        _cleanup_target_ Target t = TARGET_NULL;
        int fds[4];
        pthread_t thread;
        pid_t tid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(pipe2(fds + 2, O_CLOEXEC), 0);
        assert_int_equal(pthread_create(&thread, NULL, tell_tid, fds), 0);
        assert_int_equal(read(fds[0], &tid, sizeof(tid)), sizeof(tid));
        t = target_of_pid(tid, false);
        assert_int_equal(refresh(&t), TARGET_EVENT_ABSENT);
        assert_int_equal(write(fds[3], "g", 1), 1);
        assert_int_equal(pthread_join(thread, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fd_close(fds[i]);
}

/* Ourselves are given by pid, but never found by a pattern, and neither are our parents and children. */
static void test_patterns_leave_us_out(void **state _unused_) {
        TargetSpec spec = {.match = TARGET_MATCH_CMDLINE, .value = "test-target-live"};
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = cgroup_fd, .pidfd = true};
        _cleanup_child_ Child c = child_new("plateau-test", NULL);
        Target t;

        target_init(&t, &spec, &source);
        TargetEvent event = refresh(&t);
        if (t.pid == getpid() || t.pid == getppid() || t.pid == c.pid)
                fail_msg("%s %d", target_event_name(event), t.pid);
        target_done(&t);
}

/* Children that end at any moment while they are looked for, taken, sampled and looked at again. */
static void test_vanishing(void **state _unused_) {
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = cgroup_fd, .pidfd = true};
        TargetSpec pattern = {.match = TARGET_MATCH_CMDLINE, .pick = TARGET_PICK_NEWEST, .value = "."};
        unsigned n_found = 0, n_ended = 0;
        Target any;

        target_init(&any, &pattern, &source);
        for (int i = 0; i < 300; i++) {
                pid_t pid = fork();
                TargetEvent event;
                Sample s;

                assert_true(pid >= 0);
                if (pid == 0) {
                        for (volatile int spin = (i % 50) * 2000; spin > 0; spin--)
                                ;
                        _exit(0);
                }
                Target t = target_of_pid(pid, i & 1);
                for (int look = 0; look < 4; look++) {
                        int r;

                        event = refresh(&t);
                        n_found += event == TARGET_EVENT_STARTED;
                        n_ended += event == TARGET_EVENT_ENDED;
                        r = target_sample(&t, 1, 0, &s);
                        assert_true(r == 0 || r == -ESRCH);
                        if (r == 0)
                                assert_true(s.rss_bytes > 0);
                        (void)!refresh(&any);
                        if (look == 2)
                                waitpid(pid, NULL, 0);
                }
                assert_int_equal(t.pid, 0);
                target_done(&t);
        }
        target_done(&any);
        assert_true(n_found >= n_ended);
        print_message("# found %u, seen to end %u of 300\n", n_found, n_ended);
}

/* Another user's process: named by argv[0] as its link is denied, watched by status, its group left to the probe. */
static int watch_without_access(pid_t pid, const char *exe) {
        uint64_t deadline = now_mono_usec() + DEADLINE_USEC;
        TargetSpec spec = {.match = TARGET_MATCH_EXE};
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = -1, .pidfd = true};
        TargetEvent event;
        Target t;
        Sample s;

        if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
                return 1;
        snprintf(spec.value, sizeof(spec.value), "%s", exe);
        target_init(&t, &spec, &source);
        do /* its arguments come a moment after its name */
                if (target_refresh(&t, &event) < 0)
                        return 2;
        while (event != TARGET_EVENT_STARTED && now_mono_usec() < deadline);
        if (t.pid != pid)
                return 3;
        if (target_sample(&t, 1, 0, &s) < 0 || s.have != (SAMPLE_HAVE_STATUS | SAMPLE_HAVE_RSS_KIND))
                return 4;
        if (!target_wants_cgroup_dir(&t) || t.start_stack != 0)
                return 5;
        target_done(&t);
        return 0;
}

static void test_without_access(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_new();
        char exe[128];
        const char *const argv[] = {exe, "60", NULL};
        int status;
        pid_t pid;

        if (getuid() != 0) {
                print_message("# skipped: only root can become somebody else\n");
                skip();
        }
        snprintf(exe, sizeof(exe), "%s/sleep-alone", tree.path);
        tree_run(&tree, "cp /bin/sleep sleep-alone");
        _cleanup_child_ Child c = child_new("plateau-test", argv);
        child_go(&c);
        await_comm(c.pid, "sleep-alone");
        pid = fork(); /* the sleeper's sibling, neither its ancestor nor its descendant */
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(watch_without_access(c.pid, exe));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static int open_roots(void **state _unused_) {
        proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cgroup_fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* may be missing */
        return proc_fd < 0;
}

static int close_roots(void **state _unused_) {
        proc_fd = fd_close(proc_fd);
        cgroup_fd = fd_close(cgroup_fd);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life_and_death),
                cmocka_unit_test(test_reaped),
                cmocka_unit_test(test_exec),
                cmocka_unit_test(test_exec_of_the_same_program),
                cmocka_unit_test(test_renamed_is_no_event),
                cmocka_unit_test(test_thread_is_not_a_process),
                cmocka_unit_test(test_patterns_leave_us_out),
                cmocka_unit_test(test_without_access),
                cmocka_unit_test(test_vanishing),
        };
        return cmocka_run_group_tests(tests, open_roots, close_roots);
}
