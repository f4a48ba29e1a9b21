/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/target.h"

#include "unit/tree.h"

#define M (UINT64_C(1) << 20)

static Target target_of(TargetMatch match, const char *value, pid_t pid, TargetPick pick, int proc_fd) {
        TargetSpec spec = {.match = match, .pid = pid, .pick = pick};
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = -1};
        Target t;

        snprintf(spec.value, sizeof(spec.value), "%s", value);
        target_init(&t, &spec, &source);
        return t;
}

#define _cleanup_target_ _cleanup_(target_done)

static TargetEvent refresh(Target *t) {
        TargetEvent e = _TARGET_EVENT_MAX;

        assert_int_equal(target_refresh(t, &e), 0);
        return e;
}

static int count_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void test_finds(void **state _unused_) {
        static const struct {
                const char *name, *tree;
                TargetMatch match;
                const char *value;
                TargetPick pick;
                pid_t pid; /* 0 = absent */
                const char *reason;
        } cases[] = {
                {"pattern, oldest", "host", TARGET_MATCH_CMDLINE, "worker\\.py", TARGET_PICK_OLDEST, 600, ""},
                {"pattern, newest", "host", TARGET_MATCH_CMDLINE, "worker\\.py", TARGET_PICK_NEWEST, 601, ""},
                {"pattern, largest", "host", TARGET_MATCH_CMDLINE, "worker\\.py", TARGET_PICK_LARGEST, 601, ""},
                {"pattern over arguments", "host", TARGET_MATCH_CMDLINE, "^python3 worker.py --mid$", 0, 650, ""},
                {"our child", "host", TARGET_MATCH_CMDLINE, "hook-worker", 0, 0, "no process matches"},
                {"our parent", "host", TARGET_MATCH_CMDLINE, "^bash", 0, 0, "no process matches"},
                {"ourselves", "host", TARGET_MATCH_CMDLINE, "^plateaud", 0, 0, "no process matches"},
                {"a sibling program", "host", TARGET_MATCH_CMDLINE, "^plateau watch", 0, 0, "no process matches"},
                {"bytes that are no text", "hostile-names", TARGET_MATCH_CMDLINE, "owned", 0, 17, ""},
                {"exe, base name", "host", TARGET_MATCH_EXE, "python3.11", TARGET_PICK_OLDEST, 600, ""},
                {"exe, path", "host", TARGET_MATCH_EXE, "/opt/app/bin/other", 0, 800, ""},
                {"exe, other path", "host", TARGET_MATCH_EXE, "/usr/bin/other", 0, 0, "no process matches"},
                {"exe, replaced file", "host", TARGET_MATCH_EXE, "python3.11", TARGET_PICK_NEWEST, 601, ""},
                {"exe, our parent", "host", TARGET_MATCH_EXE, "bash", 0, 0, "no process matches"},
                {"unit", "host", TARGET_MATCH_UNIT, "worker.service", TARGET_PICK_NEWEST, 600, ""},
                {"unit, as a path", "host",
                 TARGET_MATCH_UNIT, "/user.slice/user-1000.slice/user@1000.service", 0, 800, ""},
                {"unit, path of another", "host",
                 TARGET_MATCH_UNIT, "/user.slice/user-1", 0, 0, "the unit has no process"},
                {"unit, part of a name", "host", TARGET_MATCH_UNIT, "orker.service", 0, 0, "the unit has no process"},
                {"unit, v1", "host-v1", TARGET_MATCH_UNIT, "db.service", TARGET_PICK_NEWEST, 20, ""},
                {"pid", "host", TARGET_MATCH_PID, "", 0, 601, ""},
                {"pid of a zombie", "host", TARGET_MATCH_PID, "602", 0, 0, "there is no process of this pid"},
                {"pid of a kernel thread", "host", TARGET_MATCH_PID, "2", 0, 0, "there is no process of this pid"},
                {"pid of nobody", "host", TARGET_MATCH_PID, "77", 0, 0, "there is no process of this pid"},
                {"main of a pod", "pod", TARGET_MATCH_MAIN, "", TARGET_PICK_OLDEST, 7, ""},
                {"main of a pod, newest: the shell", "pod", TARGET_MATCH_MAIN, "", TARGET_PICK_NEWEST, 40, ""},
                {"main of a pod, largest", "pod", TARGET_MATCH_MAIN, "", TARGET_PICK_LARGEST, 7, ""},
                {"main beside a daemon that began first", "pod-exec", TARGET_MATCH_MAIN, "", 0, 7, ""},
                {"main under an init", "pod-tini", TARGET_MATCH_MAIN, "", 0, 8, ""},
                {"main under process 1", "init-as-first", TARGET_MATCH_MAIN, "", 0, 8, ""},
                {"main beside an init as pause", "init-as-pause", TARGET_MATCH_MAIN, "", 0, 7, ""},
                {"main not started", "pod-catatonit",
                 TARGET_MATCH_MAIN, "", 0, 0, "no process of another container is there"},
                {"main not started: a runtime is about to", "pod-runc",
                 TARGET_MATCH_MAIN, "", 0, 0, "no process of another container is there"},
                {"main, not shared", "not-shared", TARGET_MATCH_MAIN, "", 0, 0,
                 "process 1 is our own: the PID namespace is not shared with another container "
                 "(shareProcessNamespace: true, or --pid=container:NAME)"},
                {"main on a host", "host", TARGET_MATCH_MAIN, "", 0, 0,
                 "process 1 is our own: the PID namespace is not shared with another container "
                 "(shareProcessNamespace: true, or --pid=container:NAME)"},
                {"nothing asked for", "host", TARGET_MATCH_NONE, "", 0, 0, "nothing says which process is meant"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[64];
                int n_fds = count_fds();

                snprintf(path, sizeof(path), "proc/%s", cases[i].tree);
                _cleanup_fd_ int fd = fixture_open(path);
                pid_t pid = cases[i].match == TARGET_MATCH_PID && cases[i].pid ? cases[i].pid : atoi(cases[i].value);
                Target t = target_of(cases[i].match, cases[i].value, pid, cases[i].pick, fd);
                TargetEvent event = refresh(&t);

                if (t.pid != cases[i].pid || strcmp(target_absent_reason(&t), cases[i].reason) != 0)
                        fail_msg("%s: %d, \"%s\"", cases[i].name, t.pid, target_absent_reason(&t));
                assert_int_equal(event, cases[i].pid ? TARGET_EVENT_STARTED : TARGET_EVENT_ABSENT);
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                target_done(&t);
                assert_int_equal(count_fds(), n_fds + 1);
        }
}

static void test_bad_pattern(void **state _unused_) {
        _cleanup_fd_ int fd = fixture_open("proc/host");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_CMDLINE, "(", 0, 0, fd);
        TargetEvent e = _TARGET_EVENT_MAX;

        assert_int_equal(target_refresh(&t, &e), -EINVAL);
        assert_int_equal(e, _TARGET_EVENT_MAX);
}

static void test_samples(void **state _unused_) {
        _cleanup_fd_ int fd = fixture_open("proc/pod");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_MAIN, "", 0, 0, fd);
        Sample s = {.time_usec = 9};

        assert_int_equal(target_sample(&t, 5, 0, &s), -ESRCH);
        assert_int_equal(s.time_usec, 9);
        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        assert_string_equal(t.comm, "python3");
        assert_string_equal(t.cmdline, "python3 -m pusher");
        assert_int_equal(t.start_ticks, 200);
        assert_int_equal(t.start_boot_usec, 200 * 1000000 / sysconf(_SC_CLK_TCK));
        assert_true(target_is_same(&t));
        assert_int_equal(target_sample(&t, 5, 600 * M, &s), 0);
        assert_int_equal(s.time_usec, 5);
        assert_int_equal(s.have, SAMPLE_HAVE_STATUS | SAMPLE_HAVE_RSS_KIND | SAMPLE_HAVE_CGROUP |
                                         SAMPLE_HAVE_CGROUP_LIMIT | SAMPLE_HAVE_CGROUP_EVENTS | SAMPLE_HAVE_PRESSURE);
        assert_int_equal(s.rss_bytes, 90000 * 1024);
        assert_int_equal(s.rss_anon_bytes + s.rss_file_bytes, s.rss_bytes);
        assert_int_equal(s.rss_peak_bytes, 90000 * 1024);
        assert_int_equal(s.virtual_bytes, 360000 * 1024);
        assert_int_equal(s.page_table_bytes, 40 * 1024);
        assert_int_equal(s.n_threads, 1);
        assert_int_equal(s.limit_source, LIMIT_CGROUP);
        assert_int_equal(s.limit_bytes, 512 * M);
        assert_int_equal(s.usage_bytes, 423 * M + 131072);
        assert_int_equal(target_sample(&t, 5, 300 * M, &s), 0);
        assert_int_equal(s.limit_source, LIMIT_ENVIRONMENT);
        assert_int_equal(s.usage_bytes, s.rss_bytes + s.swap_bytes);
        assert_false(target_wants_cgroup_dir(&t));
}

static void test_hostile_numbers_are_absent(void **state _unused_) {
        static const struct {
                const char *file;
                uint32_t have;
        } cases[] = {
                {"rss-huge", 0}, {"rss-negative", 0}, {"no-swap", 0}, {"threads-negative", 0},
                {"kinds-do-not-add-up", SAMPLE_HAVE_STATUS},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree tree = tree_copy("proc/pod");
                _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 7, 0, tree.fd);
                Sample s;

                tree_run(&tree, "rm -r 7/root && cp %s/proc/hostile-numbers/%s 7/status", FIXTURES, cases[i].file);
                assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
                assert_int_equal(target_sample(&t, 5, 100, &s), 0);
                assert_int_equal(s.have, cases[i].have);
                if (cases[i].have == 0) {
                        assert_int_equal(s.rss_bytes + s.swap_bytes + s.n_threads + s.limit_bytes + s.usage_bytes, 0);
                        assert_int_equal(s.limit_source, LIMIT_NONE);
                } else
                        assert_int_equal(s.rss_anon_bytes, 0);
        }
}

/* Each file of the process missing, empty or a directory, at the first look: absent or found, never an error. */
static void test_pieces_missing_at_the_start(void **state _unused_) {
        static const struct {
                const char *file;
                bool needed;
        } files[] = {
                {"stat", true}, {"status", true}, {"statm", true}, {"cmdline", false}, {"cgroup", false},
        };
        static const char *const ways[] = {"rm -r 7/root 7/%s", "rm 7/%s && touch 7/%s", "rm 7/%s && mkdir 7/%s",
                                           "rm 7/%s && mkfifo 7/%s"};

        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                for (size_t w = 0; w < ELEMENTSOF(ways); w++) {
                        _cleanup_tree_ Tree tree = tree_copy("proc/pod");
                        _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 7, 0, tree.fd);
                        int n_fds = count_fds();
                        TargetEvent event;
                        Sample s;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                        tree_run(&tree, ways[w], files[i].file, files[i].file);
#pragma GCC diagnostic pop
                        event = refresh(&t);
                        if (event != (files[i].needed ? TARGET_EVENT_ABSENT : TARGET_EVENT_STARTED))
                                fail_msg("%s, way %zu: %s", files[i].file, w, target_event_name(event));
                        if (files[i].needed) {
                                assert_int_equal(count_fds(), n_fds);
                                assert_int_equal(target_sample(&t, 1, 0, &s), -ESRCH);
                        } else
                                assert_int_equal(target_sample(&t, 1, 0, &s), 0);
                        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                }
}

/* The same in the search: a candidate that loses a file is no candidate, the next one is. */
static void test_pieces_missing_in_the_search(void **state _unused_) {
        static const struct {
                TargetMatch match;
                const char *value, *file;
                pid_t pid;
        } cases[] = {
                {TARGET_MATCH_CMDLINE, "worker.py", "cmdline", 650}, {TARGET_MATCH_CMDLINE, "worker.py", "stat", 650},
                {TARGET_MATCH_EXE, "python3.11", "exe", 650},        {TARGET_MATCH_EXE, "python3.11", "stat", 650},
                {TARGET_MATCH_UNIT, "worker.service", "cgroup", 650}, {TARGET_MATCH_UNIT, "worker.service", "stat", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree tree = tree_copy("proc/host");
                _cleanup_target_ Target t = target_of(cases[i].match, cases[i].value, 0, 0, tree.fd);

                tree_run(&tree, "rm 600/%s", cases[i].file);
                (void)!refresh(&t);
                if (t.pid != cases[i].pid)
                        fail_msg("%s without %s: %d", cases[i].value, cases[i].file, t.pid);
        }
}

/* Everything below this: one process that goes, or changes, while it is watched. */
static void test_zombie_and_after(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_copy("proc/host");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_CMDLINE, "worker.py --port", 0, 0, tree.fd);
        Sample s;

        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        tree_run(&tree, "cp 602/status 600/status");
        assert_int_equal(target_sample(&t, 1, 0, &s), -ESRCH); /* between refresh and sample */
        tree_run(&tree, "cp 602/stat 602/statm 602/cmdline 600");
        assert_false(target_is_same(&t));
        assert_int_equal(refresh(&t), TARGET_EVENT_ENDED);
        assert_int_equal(t.pid, 0);
        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        assert_int_equal(target_sample(&t, 1, 0, &s), -ESRCH);
        tree_run(&tree, "cp -a %s/proc/host/600/. 600", FIXTURES);
        assert_int_equal(refresh(&t), TARGET_EVENT_RESTARTED);
        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
}

static void test_replaced_within_one_tick(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_copy("proc/host");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_CMDLINE, "worker.py", 0, TARGET_PICK_OLDEST, tree.fd);

        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        assert_int_equal(t.pid, 600);
        tree_run(&tree, "rm -r 600");
        assert_false(target_is_same(&t));
        assert_int_equal(refresh(&t), TARGET_EVENT_RESTARTED);
        assert_int_equal(t.pid, 650);
        tree_run(&tree, "rm -r 650 601");
        assert_int_equal(refresh(&t), TARGET_EVENT_ENDED);
}

static void test_number_used_again(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_copy("proc/host");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 600, 0, tree.fd);

        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        tree_run(&tree, "rm -r 600 && cp -a 601 600 && sed -i s/^601/600/ 600/stat");
        assert_false(target_is_same(&t));
        assert_int_equal(refresh(&t), TARGET_EVENT_ENDED);
        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        assert_string_equal(target_absent_reason(&t), "the process given by its pid has ended");
}

static void test_thread_is_not_a_process(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_copy("proc/host");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 600, 0, tree.fd);

        tree_run(&tree, "sed -i 's/^Tgid:.*/Tgid:\\t599/' 600/status");
        assert_int_equal(refresh(&t), TARGET_EVENT_ABSENT);
}

static void test_exec_marks(void **state _unused_) {
        static const struct {
                const char *name, *change;
                bool by_sample, exec;
        } cases[] = {
                {"another program", "sed -i 's/ 5 0 89/ 6 0 89/' 600/statm", false, true},
                {"peak fell", "sed -i 's/^VmPeak:.*/VmPeak:\\t      44 kB/' 600/status", true, true},
                {"peak rose", "sed -i 's/^VmPeak:.*/VmPeak:\\t  999999 kB/' 600/status", true, false},
                {"renamed itself", "sed -i 's/python3/gunicorn/' 600/status 600/stat", true, false},
                {"other name and stack",
                 "sed -i 's/python3/sleep/' 600/status 600/stat && sed -i s/140736378832064/140736378832000/ 600/stat",
                 true, true},
                {"other name, addresses hidden", /* without access the kernel prints 0 */
                 "sed -i 's/python3/sleep/' 600/status 600/stat && sed -i s/140736378832064/0/ 600/stat", true, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree tree = tree_copy("proc/host");
                _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 600, 0, tree.fd);
                const char *comm = strstr(cases[i].change, "python3/") ? strstr(cases[i].change, "python3/") + 8 : NULL;
                TargetEvent event;
                Sample s;

                assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
                assert_int_equal(target_sample(&t, 1, 0, &s), 0);
                /* in place: sed -i would make another file, and the target's descriptors are kept open */
                tree_run(&tree, "cp -a 600 was && %s", cases[i].change);
                tree_run(&tree, "for f in stat statm status; do cat 600/$f > new; cat new > was/$f; done");
                target_done(&t);
                tree_run(&tree, "cp -a %s/proc/host/600/. 600", FIXTURES);
                t = target_of(TARGET_MATCH_PID, "", 600, 0, tree.fd);
                assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
                tree_run(&tree, "for f in stat statm status; do cat was/$f > 600/$f; done");
                assert_int_equal(target_sample(&t, 1, 0, &s), 0);
                event = refresh(&t);
                if (event != (cases[i].exec ? TARGET_EVENT_EXECED : TARGET_EVENT_NONE))
                        fail_msg("%s: %s", cases[i].name, target_event_name(event));
                if (comm)
                        assert_memory_equal(t.comm, comm, strcspn(comm, "/"));
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                assert_int_equal(target_sample(&t, 1, 0, &s), 0);
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        }
}

static void test_pidfile(void **state _unused_) {
        static const struct {
                const char *text, *reason;
                pid_t pid;
        } cases[] = {
                {"600\n", "", 600},
                {"  600\n", "the pid file holds no pid", 0},
                {"600 something else\n", "", 600},
                {"", "the pid file holds no pid", 0},
                {"0\n", "the pid file holds no pid", 0},
                {"-600\n", "the pid file holds no pid", 0},
                {"4294967896\n", "the pid file holds no pid", 0}, /* 2^32 + 600 */
                {"77\n", "the process in the pid file is not there", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree tree = tree_copy("proc/host");
                char path[128];

                snprintf(path, sizeof(path), "%s/the.pid", tree.path);
                _cleanup_target_ Target t = target_of(TARGET_MATCH_PIDFILE, path, 0, 0, tree.fd);

                assert_int_equal(refresh(&t), TARGET_EVENT_ABSENT);
                assert_string_equal(target_absent_reason(&t), "the pid file does not exist or cannot be read");
                tree_run(&tree, "mkdir the.pid");
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                tree_run(&tree, "rmdir the.pid && mkfifo the.pid");
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                tree_run(&tree, "rm the.pid");
                tree_write(&tree, "the.pid", cases[i].text);
                assert_int_equal(refresh(&t), cases[i].pid ? TARGET_EVENT_STARTED : TARGET_EVENT_NONE);
                assert_int_equal(t.pid, cases[i].pid);
                assert_string_equal(target_absent_reason(&t), cases[i].reason);
                if (t.pid) { /* the service wrote another one while the old process still runs: ours is watched on */
                        tree_write(&tree, "the.pid", "601\n");
                        assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
                        tree_run(&tree, "rm -r 600");
                        assert_int_equal(refresh(&t), TARGET_EVENT_RESTARTED);
                        assert_int_equal(t.pid, 601);
                }
        }
}

/* The target moves to another group, or its group goes: found again, by the text of /proc/PID/cgroup. */
static void test_group_changes(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_copy("proc/pod"), groups = tree_copy("cgroup/v2-host");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 7, 0, tree.fd);
        Sample s;

        t.source.cgroup_fd = groups.fd;
        tree_run(&tree, "rm -r 7/root");
        tree_write(&tree, "7/cgroup", "0::/pod.slice/app.scope\n");
        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        assert_int_equal(target_sample(&t, 1, 0, &s), 0);
        assert_int_equal(s.cgroup.limit_bytes, 600 * M);
        tree_write(&tree, "7/cgroup", "0::/outer.slice/leaf\n");
        tree_write(&groups, "outer.slice/leaf/cgroup.procs", "7\n");
        for (int i = 0; i < 64; i++) /* looked at every 32nd time */
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        assert_int_equal(target_sample(&t, 1, 0, &s), 0);
        assert_int_equal(s.cgroup.limit_bytes, 2048 * M);
        tree_write(&tree, "7/cgroup", "0::/gone\n");
        for (int i = 0; i < 64; i++)
                assert_int_equal(refresh(&t), TARGET_EVENT_NONE);
        assert_int_equal(target_sample(&t, 1, 0, &s), 0);
        assert_int_equal(s.have, SAMPLE_HAVE_STATUS | SAMPLE_HAVE_RSS_KIND);
}

static void test_group_from_the_probe(void **state _unused_) {
        _cleanup_tree_ Tree tree = tree_copy("proc/pod");
        _cleanup_target_ Target t = target_of(TARGET_MATCH_PID, "", 7, 0, tree.fd);
        int n_fds = count_fds();
        Sample s;

        tree_run(&tree, "rm -r 7/root");
        assert_int_equal(target_set_cgroup_dir(&t, fixture_open("cgroup/v2")), -ESRCH);
        assert_int_equal(count_fds(), n_fds); /* taken and closed */
        assert_int_equal(refresh(&t), TARGET_EVENT_STARTED);
        assert_false(target_wants_cgroup_dir(&t)); /* not there, which is not denied */
        t.cgroup_denied = true; /* as after EACCES: a test that runs as root cannot be denied */
        assert_true(target_wants_cgroup_dir(&t));
        assert_int_equal(target_set_cgroup_dir(&t, fixture_open("cgroup/v2")), 0);
        assert_false(target_wants_cgroup_dir(&t));
        assert_int_equal(target_sample(&t, 1, 0, &s), 0);
        assert_int_equal(s.cgroup.limit_bytes, 512 * M);
        assert_int_equal(target_set_cgroup_dir(&t, fixture_open("cgroup/empty")), -ENOENT);
        assert_int_equal(target_sample(&t, 1, 0, &s), 0);
        assert_false(s.have & SAMPLE_HAVE_CGROUP);
}

static void test_trouble_of_our_own(void **state _unused_) {
        _cleanup_target_ Target t = target_of(TARGET_MATCH_CMDLINE, "x", 0, 0, -1);
        TargetEvent e = _TARGET_EVENT_MAX;

        assert_int_equal(target_refresh(&t, &e), -EBADF);
        assert_int_equal(e, _TARGET_EVENT_MAX);
}

static void test_names(void **state _unused_) {
        for (int i = 0; i < _TARGET_EVENT_MAX; i++)
                assert_string_not_equal(target_event_name(i), "unknown");
        for (int i = 0; i < _TARGET_MATCH_MAX; i++)
                assert_string_not_equal(target_match_name(i), "unknown");
        assert_string_equal(target_event_name(_TARGET_EVENT_MAX), "unknown");
        assert_string_equal(target_match_name((TargetMatch)-1), "unknown");
        assert_string_equal(target_event_name(TARGET_EVENT_EXECED), "execed");
        assert_string_equal(target_match_name(TARGET_MATCH_MAIN), "main");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_finds),
                cmocka_unit_test(test_bad_pattern),
                cmocka_unit_test(test_samples),
                cmocka_unit_test(test_hostile_numbers_are_absent),
                cmocka_unit_test(test_pieces_missing_at_the_start),
                cmocka_unit_test(test_pieces_missing_in_the_search),
                cmocka_unit_test(test_zombie_and_after),
                cmocka_unit_test(test_replaced_within_one_tick),
                cmocka_unit_test(test_number_used_again),
                cmocka_unit_test(test_thread_is_not_a_process),
                cmocka_unit_test(test_exec_marks),
                cmocka_unit_test(test_pidfile),
                cmocka_unit_test(test_group_changes),
                cmocka_unit_test(test_group_from_the_probe),
                cmocka_unit_test(test_trouble_of_our_own),
                cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
