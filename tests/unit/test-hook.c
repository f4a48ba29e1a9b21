/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "unit/act.h"
#include "unit/folder.h"

#define SMALL_JSON "{\"target\":\"pusher\",\"text\":\"a \\\"quoted\\\" \\u001b line\"}"

static char dir[] = "/tmp/plateau-hook-XXXXXX";

static int make_dir(void **state _unused_) {
        return folder_make(dir);
}

static int remove_dir(void **state _unused_) {
        return folder_remove(dir);
}

static char *in_dir(char path[static 64], const char *name) {
        snprintf(path, 64, "%s/%s", dir, name);
        return path;
}

static void write_file(const char *path, const char *text, mode_t mode) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static ssize_t read_file(const char *path, char *buf, size_t size) {
        return rootfs_read(AT_FDCWD, path, buf, size);
}

/* A hook that is a line for /bin/sh; the configuration itself never goes through a shell. */
static void set_script(Rig *r, const char *script, char *arg) {
        r->options.hook_argv[0] = (char *)(uintptr_t)"/bin/sh";
        r->options.hook_argv[1] = (char *)(uintptr_t)"-c";
        r->options.hook_argv[2] = (char *)(uintptr_t)script;
        r->options.hook_argv[3] = (char *)(uintptr_t)"hook";
        r->options.hook_argv[4] = arg;
}

static bool target_lives(const Rig *r) {
        return waitpid(r->child, NULL, WNOHANG) == 0;
}

static void test_how_it_ends(void **state _unused_) {
        static const struct {
                const char *name, *script;
                OutcomeResult result;
                const char *detail;
        } cases[] = {
                {"silent", "exit 0", OUTCOME_OK, "exit status 0 after "},
                {"last line", "echo one; echo two; echo", OUTCOME_OK, ": two"},
                {"fails", "echo 'no such pod' >&2; exit 3", OUTCOME_ERROR, "exit status 3 after "},
                {"fails, says why", "echo started; echo 'no such pod' >&2; exit 3", OUTCOME_ERROR, ": no such pod"},
                {"killed", "kill -SEGV $$", OUTCOME_ERROR, "ended by SIGSEGV after "},
                {"control bytes", "printf 'a\\033[31m\\001b\\tc'", OUTCOME_OK, ": a\\u001b[31m\\u0001b\\tc"},
                {"no text", "printf '\\377\\376x'", OUTCOME_OK, "\xef\xbf\xbd\xef\xbf\xbdx"},
                {"a NUL byte", "printf 'a\\000b'", OUTCOME_OK, ": a?b"},
                {"large output", "head -c 3000000 /dev/zero | tr '\\000' x; echo; echo last words", OUTCOME_OK,
                 ": last words"},
                {"one long line", "head -c 100000 /dev/zero | tr '\\000' y", OUTCOME_OK, "yyyyyy..."},
                {"closes its output", "exec >&- 2>&-; exit 4", OUTCOME_ERROR, "exit status 4 after "},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Rig r;

                rig_init(&r, act_child(NULL), true);
                r.context.evidence_json = SMALL_JSON;
                set_script(&r, cases[i].script, NULL);
                rig_finish(&r, &action_rotate_hook);
                assert_outcome(&r, cases[i].result, "hook", cases[i].detail);
                for (const char *p = r.outcome.detail; *p; p++)
                        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
                assert_true(target_lives(&r));
                rig_done(&r);
        }
}

/* A JSON object of about @size bytes. */
static char *big_json(size_t size) {
        char *s = malloc(size + 64);

        assert_non_null(s);
        memcpy(s, "{\"fill\":\"", 9);
        memset(s + 9, 'z', size);
        strcpy(s + 9 + size, "\",\"end\":17}");
        return s;
}

/* A pipe holds 64 KiB; neither a hook that reads slowly nor one that never reads may hold us up. */
static void test_stdin(void **state _unused_) {
        static const struct {
                const char *name, *script;
                size_t size;
        } cases[] = {
                {"small", "cat >\"$1\"", 100},
                {"larger than a pipe", "cat >\"$1\"", 1000000},
                {"by bytes", "dd bs=1 of=\"$1\" 2>/dev/null", 20000},
                {"never read", "exit 0", 1000000},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *json = big_json(cases[i].size), *got = malloc(2000000);
                char path[64];
                json_t *o;
                Rig r;

                rig_init(&r, act_child(NULL), true);
                r.context.evidence_json = json;
                set_script(&r, cases[i].script, in_dir(path, "out"));
                assert_int_equal(rig_start(&r, &action_rotate_hook), 0);
                memset(json, '!', 8); /* it is ours again once start() has returned */
                rig_until(&r, rig_has_outcome);
                assert_outcome(&r, OUTCOME_OK, "hook", "exit status 0");
                if (strstr(cases[i].script, "$1")) {
                        assert_true(read_file(path, got, 2000000) > 0);
                        o = json_loads(got, 0, NULL);
                        assert_non_null(o);
                        assert_int_equal(json_integer_value(json_object_get(o, "end")), 17);
                        assert_int_equal(json_string_length(json_object_get(o, "fill")), cases[i].size);
                        json_decref(o);
                }
                rig_done(&r);
        }
}

static bool has_entry(const char *block, size_t n, const char *entry) {
        for (const char *p = block; p < block + n; p += strlen(p) + 1)
                if (strcmp(p, entry) == 0)
                        return true;
        return false;
}

static void test_environment(void **state _unused_) {
        char path[64], got[8192], pid[64];
        size_t count = 0;
        ssize_t n;
        Rig r;

        rig_init(&r, act_child(NULL), true);
        assert_int_equal(setenv("PLATEAU_SECRET", "x", 1), 0);
        set_script(&r, "cat /proc/$$/environ >\"$1\"", in_dir(path, "out"));
        rig_finish(&r, &action_rotate_hook);
        assert_outcome(&r, OUTCOME_OK, "hook", "exit status 0");
        n = read_file(path, got, sizeof(got));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
                count += got[i] == '\0';
        assert_int_equal(count, 5);
        assert_memory_equal(got, "PATH=", 5);
        snprintf(pid, sizeof(pid), "PLATEAU_PID=%d", (int)r.child);
        assert_true(has_entry(got, (size_t)n, pid));
        assert_true(has_entry(got, (size_t)n, "PLATEAU_TARGET=pusher"));
        assert_true(has_entry(got, (size_t)n, "PLATEAU_RUNG=rotate"));
        assert_true(has_entry(got, (size_t)n, "PLATEAU_REASON=eta"));
        rig_done(&r);
}

static bool set_oom_score_adj(const char *value) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

        fd_close(fd);
        return ok;
}

/* ls lists 0, 1, 2 and, as 3, the directory that it reads; what is left open here would come after it. */
static void test_descriptors(void **state _unused_) {
        int leak = fcntl(STDIN_FILENO, F_DUPFD, 50); /* without FD_CLOEXEC */
        const char *colon;
        Rig r;

        assert_true(leak >= 50);
        rig_init(&r, act_child(NULL), true);
        set_script(&r, "exec ls /proc/self/fd", NULL);
        rig_finish(&r, &action_rotate_hook);
        fd_close(leak);
        assert_outcome(&r, OUTCOME_OK, "hook", "exit status 0");
        colon = strchr(r.outcome.detail, ':');
        assert_non_null(colon);
        assert_string_equal(colon, ": 3");
        rig_done(&r);
}

/* Nothing of ours: no signal state, a group of its own, no protection from the OOM killer. */
static void test_clean_process(void **state _unused_) {
        static const char script[] = "{ cut -d' ' -f5 /proc/$$/stat; echo $$; cat /proc/$$/oom_score_adj; } >\"$1\";"
                                     /* by itself: a shell blocks signals around its own vfork() */
                                     " exec grep -E '^Sig(Blk|Ign)' /proc/self/status >>\"$1\"";
        char path[64], got[4096], oom[32] = "0", *line, *save;
        bool is_protected;
        sigset_t set, before;
        Rig r;
        pid_t group, pid;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, &before);
        signal(SIGPIPE, SIG_IGN);
        assert_true(read_file("/proc/self/oom_score_adj", oom, sizeof(oom)) > 0);
        is_protected = set_oom_score_adj("-500"); /* needs CAP_SYS_RESOURCE */
        rig_init(&r, act_child(NULL), true);
        set_script(&r, script, in_dir(path, "out"));
        rig_finish(&r, &action_rotate_hook);
        set_oom_score_adj(oom);
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);

        assert_outcome(&r, OUTCOME_OK, "hook", "exit status 0");
        assert_true(read_file(path, got, sizeof(got)) > 0);
        group = atoi(strtok_r(got, "\n", &save));
        pid = atoi(strtok_r(NULL, "\n", &save));
        assert_int_equal(group, pid);
        line = strtok_r(NULL, "\n", &save);
        if (is_protected)
                assert_string_equal(line, "0");
        else
                print_message("# without CAP_SYS_RESOURCE: oom_score_adj is not looked at\n");
        assert_string_equal(strtok_r(NULL, "\n", &save), "SigBlk:\t0000000000000000");
        assert_string_equal(strtok_r(NULL, "\n", &save), "SigIgn:\t0000000000000000");
        rig_done(&r);
}

static void test_cannot_be_executed(void **state _unused_) {
        char plain[64], binary[64], lost[64], why[160];
        struct {
                const char *name, *argv0;
                int check;
                const char *detail;
        } cases[] = {
                {"missing", "/nonexistent/hook", -ENOENT, "/nonexistent/hook: No such file or directory"},
                {"not in PATH", "plateau-no-such-hook", -ENOENT, "plateau-no-such-hook: No such file"},
                {"empty name", "", -ENOENT, "No such file"},
                {"below a file", "/dev/null/x", -ENOENT, "No such file"},
                {"a directory", "/tmp", -EACCES, "/tmp: no file that uid"},
                {"not executable", in_dir(plain, "plain"), -EACCES, "no file that uid"},
                {"neither script nor program", in_dir(binary, "binary"), 0, "(a script needs a #! line)"},
                {"interpreter missing", in_dir(lost, "lost"), 0, "cannot be executed: No such file or directory"},
                {"none", NULL, -EINVAL, "no hook is configured"},
        };

        write_file(plain, "#!/bin/sh\n", 0644);
        write_file(binary, "exit 0\n", 0755);
        write_file(lost, "#!/nonexistent/interpreter\n", 0755);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Rig r;

                rig_init(&r, act_child(NULL), true);
                r.options.hook_argv[0] = (char *)(uintptr_t)cases[i].argv0;
                assert_int_equal(action_rotate_hook.check(&r.context, why, sizeof(why)), cases[i].check);
                if (cases[i].check < 0)
                        assert_non_null(strstr(why, cases[i].detail));
                rig_finish(&r, &action_rotate_hook);
                assert_outcome(&r, OUTCOME_ERROR, "hook", cases[i].detail);
                rig_done(&r);
        }
}

static void test_found_in_path(void **state _unused_) {
        char why[160];
        Rig r;

        rig_init(&r, act_child(NULL), true);
        r.options.hook_argv[0] = (char *)(uintptr_t)"true";
        assert_int_equal(action_rotate_hook.check(&r.context, why, sizeof(why)), 0);
        rig_finish(&r, &action_rotate_hook);
        assert_outcome(&r, OUTCOME_OK, "hook", "exit status 0");
        rig_done(&r);
}

/* @pid is nobody's child by now: its zombie is taken away by process 1, or stays. */
static void assert_ends(pid_t pid) {
        struct pollfd pfd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

        if (pfd.fd < 0) {
                assert_int_equal(errno, ESRCH);
                return;
        }
        assert_int_equal(poll(&pfd, 1, (int)(ACT_DEADLINE_USEC / USEC_PER_MSEC)), 1);
        fd_close(pfd.fd);
}

/* The second takes the 5 s from SIGTERM to SIGKILL. A helper of the hook, in its group, goes with it. */
static void test_over_its_time(void **state _unused_) {
        static const struct {
                const char *script, *detail;
        } cases[] = {
                {"exec tail -f /dev/null >/dev/null", "over its time of 1.0 s; ended by SIGTERM after "},
                {"trap '' TERM; tail -f /dev/null >/dev/null & echo $! >\"$1\"; echo stubborn; wait",
                 "over its time of 1.0 s; ended by SIGKILL after "},
                {"trap 'echo leaving; exit 7' TERM; tail -f /dev/null & echo $! >\"$1\"; wait", "exit status 7 after "},
                {"trap 'exit 8' TERM;"
                 " /bin/sh -c 'trap \"\" TERM; echo $$ >\"$1\"; exec tail -f /dev/null >/dev/null' x \"$1\" &"
                 " wait",
                 "exit status 8 after "}, /* a helper that does not heed SIGTERM goes all the same */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[64], pid[32];
                Rig r;

                rig_init(&r, act_child(NULL), true);
                r.options.hook_timeout_usec = USEC_PER_SEC;
                set_script(&r, cases[i].script, in_dir(path, "pid"));
                rig_finish(&r, &action_rotate_hook);
                assert_outcome(&r, OUTCOME_TIMEOUT, "hook", cases[i].detail);
                assert_true(target_lives(&r));
                if (strstr(cases[i].script, "$1")) {
                        assert_true(read_file(path, pid, sizeof(pid)) > 0);
                        assert_ends(atoi(pid));
                }
                rig_done(&r);
        }
}

/* What it leaves running in the background, with our pipe in its hand, is not waited for. */
static void test_background_child(void **state _unused_) {
        char path[64], pid[32];
        Rig r;

        rig_init(&r, act_child(NULL), true);
        set_script(&r, "tail -f /dev/null & echo $! >\"$1\"; echo on its way", in_dir(path, "pid"));
        rig_finish(&r, &action_rotate_hook);
        assert_outcome(&r, OUTCOME_OK, "hook", ": on its way");
        assert_true(read_file(path, pid, sizeof(pid)) > 0);
        assert_int_equal(kill(atoi(pid), SIGKILL), 0); /* it lives */
        rig_done(&r);
}

static pid_t hook_pid;

static bool hook_has_begun(Rig *r _unused_) {
        char path[64], pid[32];

        if (read_file(in_dir(path, "pid"), pid, sizeof(pid)) <= 0 || !strchr(pid, '\n'))
                return false;
        hook_pid = atoi(pid);
        return true;
}

static bool hook_is_gone(Rig *r _unused_) {
        return kill(hook_pid, 0) < 0 && errno == ESRCH; /* its zombie, too */
}

static void test_cancel(void **state _unused_) {
        static const char *const scripts[] = {
                "echo $$ >\"$1\"; exec tail -f /dev/null >/dev/null",
                "trap '' TERM; echo $$ >\"$1\"; exec tail -f /dev/null >/dev/null", /* 5 s, then SIGKILL */
        };

        for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
                char path[64];
                Rig r;

                unlink(in_dir(path, "pid"));
                rig_init(&r, act_child(NULL), true);
                set_script(&r, scripts[i], path);
                assert_int_equal(rig_start(&r, &action_rotate_hook), 0);
                rig_until(&r, hook_has_begun);
                action_rotate_hook.cancel(r.run);
                assert_int_equal(r.n_done, 1);
                assert_outcome(&r, OUTCOME_CANCELLED, "hook", "given up after ");
                rig_until(&r, hook_is_gone);
                assert_int_equal(r.n_done, 1);
                assert_true(target_lives(&r));
                rig_done(&r);
        }
}

/* At a stop of the daemon the loop goes away right after the cancel: nothing leaks, and nobody waits. */
static void test_cancel_and_leave(void **state _unused_) {
        char path[64];
        Rig r;

        unlink(in_dir(path, "pid"));
        rig_init(&r, act_child(NULL), true);
        set_script(&r, "echo $$ >\"$1\"; exec tail -f /dev/null >/dev/null", path);
        assert_int_equal(rig_start(&r, &action_rotate_hook), 0);
        rig_until(&r, hook_has_begun);
        action_rotate_hook.cancel(r.run);
        assert_int_equal(r.n_done, 1);
        rig_done(&r);
        assert_int_equal(waitpid(hook_pid, NULL, 0), hook_pid); /* SIGTERM was sent */
}

static void test_gone_before_start(void **state _unused_) {
        Rig r;

        rig_init(&r, act_child(NULL), true);
        set_script(&r, "exit 0", NULL);
        r.target.start_ticks++;
        assert_int_equal(rig_start(&r, &action_rotate_hook), -ESRCH);
        rig_done(&r);
        action_rotate_hook.cancel(NULL);
}

/* Somebody who ignores SIGCHLD has no children to wait for. */
static void test_status_unknown(void **state _unused_) {
        Rig r;

        rig_init(&r, act_child(NULL), true);
        set_script(&r, "exit 0", NULL);
        signal(SIGCHLD, SIG_IGN);
        rig_finish(&r, &action_rotate_hook);
        signal(SIGCHLD, SIG_DFL);
        assert_outcome(&r, OUTCOME_ERROR, "hook", "how the hook ended cannot be known");
        rig_done(&r);
}

/* A kernel before 5.3, played by a filter: no pidfd, no close_range() (5.9). In a process of its own, which keeps the
 * filter. Return: 0 when all is as it should be, else the number of the step. */
static int try_old_kernel(void) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        Rig r;

        if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(pidfd_open), 0) < 0 ||
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(close_range), 0) < 0 || seccomp_load(filter) < 0)
                return 1;
        rig_init(&r, act_child(NULL), true);
        if (r.target.pid_fd >= 0)
                return 2;
        set_script(&r, "exec ls /proc/self/fd", NULL);
        if (rig_start(&r, &action_rotate_hook) < 0)
                return 3;
        rig_until(&r, rig_has_outcome);
        if (r.outcome.result != OUTCOME_OK || strcmp(strchrnul(r.outcome.detail, ':'), ": 3") != 0)
                return 4;
        r.n_done = 0;
        r.options.hook_timeout_usec = 100 * USEC_PER_MSEC;
        set_script(&r, "exec tail -f /dev/null >/dev/null", NULL);
        if (rig_start(&r, &action_rotate_hook) < 0)
                return 5;
        rig_until(&r, rig_has_outcome);
        return r.outcome.result == OUTCOME_TIMEOUT && strstr(r.outcome.detail, "ended by SIGTERM") ? 0 : 6;
}

static void test_old_kernel(void **state _unused_) {
        int status, leak = fcntl(STDIN_FILENO, F_DUPFD, 50);
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(try_old_kernel());
        fd_close(leak);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_how_it_ends),
                cmocka_unit_test(test_stdin),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_descriptors),
                cmocka_unit_test(test_clean_process),
                cmocka_unit_test(test_cannot_be_executed),
                cmocka_unit_test(test_found_in_path),
                cmocka_unit_test(test_over_its_time),
                cmocka_unit_test(test_background_child),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_cancel_and_leave),
                cmocka_unit_test(test_gone_before_start),
                cmocka_unit_test(test_status_unknown),
                cmocka_unit_test(test_old_kernel),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
