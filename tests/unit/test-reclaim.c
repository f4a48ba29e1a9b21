/* SPDX-License-Identifier: Apache-2.0
 *
 * Reclaim against a probe that is played by this very program: started through a symbolic link, it speaks probe/proto.h
 * over descriptor 3 and misbehaves as the link's name says. Where it "waits", it waits for SIGUSR1 of the test.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "probe/survey/survey.h"
#include "unit/act.h"
#include "unit/folder.h"

#define READY "ready" /* the name that the played probe takes */

static char dir[] = "/tmp/plateau-reclaim-XXXXXX";

/* ---- the probe's side ---- */

static void answer(const ProbeRequest *q, uint32_t seq, ProbeResult result, const char *detail, size_t size) {
        ProbeReply r = {
                .magic = PROBE_MAGIC, .version = PROBE_PROTO_VERSION, .op = q->op, .seq = seq, .result = result};

        snprintf(r.detail, sizeof(r.detail), "%s", detail);
        if (q->op == PROBE_OP_TRIM) {
                r.trim = (ProbeTrim){
                        .rss_before_bytes = 646000000,
                        .rss_after_bytes = 511000000,
                        .call = {.stop_usec = 38, .duration_usec = 45000, .allocator = "glibc 2.36"},
                };
                if (strcmp(detail, "nothing") == 0)
                        r.trim.rss_after_bytes = 647000000;
                if (strcmp(detail, "predicted") == 0) {
                        r.trim.predicted = 1;
                        r.trim.predicted_bytes = 138000000;
                }
        }
        if (send(PROBE_FD, &r, size, MSG_NOSIGNAL) < 0)
                _exit(3);
}

/* A heap of 305 MB free in 400 MB; what a trim would give back is the name's second half, in MB. */
static Survey survey_of(const char *name) {
        const char *gain = strrchr(name, '-');
        Survey s = {
                .magic = SURVEY_MAGIC,
                .size = sizeof(s),
                .flags = SURVEY_HAVE_PARTS | SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE | SURVEY_HAVE_TRIM,
                .n_parts = 1,
                .allocator = "glibc 2.36",
                .rss_bytes = 646000000,
                .free_bytes = 305000000,
                .heap.trim_resident_bytes = strtoull(gain + 1, NULL, 10) * 1000000,
                .parts[0] = {.rss_bytes = 646000000, .kind = PART_MAIN_HEAP, .name = "main heap"},
        };

        s.heap.pinned_bytes = s.free_bytes - s.heap.trim_resident_bytes;
        if (strstr(name, "torn"))
                s.flags &= ~SURVEY_HEAP_COMPLETE;
        if (strstr(name, "jemalloc"))
                snprintf(s.allocator, sizeof(s.allocator), "jemalloc 5.3.0");
        if (strstr(name, "both"))
                snprintf(s.allocator, sizeof(s.allocator), "glibc 2.36 + jemalloc");
        if (strstr(name, "lie"))
                s.n_parts = SURVEY_PARTS_MAX + 1;
        return s;
}

static void answer_survey(const char *name, const ProbeRequest *q) {
        ProbeReply r = {.magic = PROBE_MAGIC, .version = PROBE_PROTO_VERSION, .op = q->op, .seq = q->seq};
        int fd = memfd_create("survey", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec iov = {&r, sizeof(r)};
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        Survey s = survey_of(name);

        if (write(fd, &s, sizeof(s)) != (ssize_t)sizeof(s) ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                _exit(3);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cm), &fd, sizeof(int));
        if (sendmsg(PROBE_FD, &mh, MSG_NOSIGNAL) < 0)
                _exit(3);
        close(fd);
}

static void wait_for_usr1(void) {
        sigset_t set;
        int sig;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigwait(&set, &sig);
}

static void answer_as(const char *name, const ProbeRequest *q) {
        char echo[PROBE_DETAIL_MAX];

        if (strncmp(name, "survey-", 7) == 0 && q->op == PROBE_OP_SURVEY)
                answer_survey(name, q);
        else if (strncmp(name, "result-", 7) == 0)
                answer(q, q->seq, (ProbeResult)atoi(name + 7), "", sizeof(ProbeReply));
        else if (strcmp(name, "detail") == 0)
                answer(q, q->seq, PROBE_E_ACCESS, "Yama says \n no", sizeof(ProbeReply));
        else if (strcmp(name, "echo") == 0) {
                snprintf(echo, sizeof(echo), "op=%u pid=%d ticks=%llu find=%u finish=%u flags=%u", q->op, q->pid,
                         (unsigned long long)q->start_ticks, q->find_timeout_msec, q->finish_timeout_msec, q->flags);
                answer(q, q->seq, PROBE_E_INTERNAL, echo, sizeof(ProbeReply));
        } else if (strcmp(name, "die") == 0)
                _exit(1);
        else if (strcmp(name, "short") == 0)
                answer(q, q->seq, PROBE_OK, "", 17);
        else if (strcmp(name, "wrong-seq") == 0)
                answer(q, q->seq + 1, PROBE_OK, "", sizeof(ProbeReply));
        else if (strcmp(name, "late") == 0) {
                wait_for_usr1();
                answer(q, q->seq, PROBE_OK, "", sizeof(ProbeReply));
        } else
                answer(q, q->seq, PROBE_OK, name, sizeof(ProbeReply));
}

static int play_probe(const char *name) {
        ProbeRequest q;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        prctl(PR_SET_NAME, READY);
        while (recv(PROBE_FD, &q, sizeof(q), 0) == (ssize_t)sizeof(q))
                answer_as(name, &q);
        _exit(0);
}

/* ---- the test's side ---- */

/* What a "late" one waits for; not before it holds it back, since it would end a program that still starts. */
static void let_answer(const ProbeClient *c) {
        uint64_t deadline = now_mono_usec() + ACT_DEADLINE_USEC;
        char path[64], comm[64] = "";

        snprintf(path, sizeof(path), "/proc/%d/comm", (int)probe_client_pid(c));
        while (strcmp(comm, READY "\n") != 0) {
                assert_true(now_mono_usec() < deadline);
                assert_true(rootfs_read(AT_FDCWD, path, comm, sizeof(comm)) > 0);
        }
        kill(probe_client_pid(c), SIGUSR1);
}

static int make_dir(void **state _unused_) {
        return folder_make(dir);
}

static int remove_dir(void **state _unused_) {
        return folder_remove(dir);
}

static void probe_rig_init(Rig *r, const char *name) {
        char link[128], self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        assert_true(n > 0);
        self[n] = '\0';
        snprintf(link, sizeof(link), "%s/probe-%s", dir, name);
        assert_int_equal(symlink(self, link), 0);
        rig_init(r, act_child(NULL), true);
        r->decision.rung = RUNG_RECLAIM;
        assert_int_equal(probe_client_new(link, r->event, &r->context.probe), 0);
        /* the link may go once the program runs: its first answer proves that */
}

static void probe_rig_done(Rig *r, const char *name) {
        char link[128];
        pid_t pid = r->context.probe ? probe_client_pid(r->context.probe) : 0;

        r->context.probe = probe_client_free(r->context.probe);
        if (pid > 0) {
                kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0); /* the client may have waited for it itself */
        }
        snprintf(link, sizeof(link), "%s/probe-%s", dir, name);
        assert_int_equal(unlink(link), 0);
        rig_done(r);
}

static void test_answers(void **state _unused_) {
        static const struct {
                const char *name;
                OutcomeResult result;
                const char *detail;
                uint64_t released_bytes;
        } cases[] = {
                {"ok", OUTCOME_OK, "glibc 2.36: gave back 135 MB of 646 MB in 45 ms, thread held 38 us", 135000000},
                {"predicted", OUTCOME_OK, "thread held 38 us, predicted 138 MB", 135000000},
                {"nothing", OUTCOME_PARTIAL, "glibc 2.36: gave back nothing of 646 MB", 0},
                {"detail", OUTCOME_REFUSED, "Yama says \\n no", 0},
                {"die", OUTCOME_ERROR, "plateau-probe failed in mid-request (Broken pipe)", 0},
                {"short", OUTCOME_ERROR, "plateau-probe failed in mid-request", 0},
                {"result-99", OUTCOME_ERROR, "plateau-probe failed in mid-request", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char why[160];
                Rig r;

                probe_rig_init(&r, cases[i].name);
                assert_int_equal(action_reclaim.check(&r.context, why, sizeof(why)), 0);
                rig_finish(&r, &action_reclaim);
                assert_outcome(&r, cases[i].result, "malloc_trim", cases[i].detail);
                assert_int_equal(r.outcome.rung, RUNG_RECLAIM);
                assert_int_equal(r.outcome.released_bytes, cases[i].released_bytes);
                if (cases[i].result == OUTCOME_OK) {
                        assert_int_equal(r.outcome.before_bytes, 646000000);
                        assert_int_equal(r.outcome.after_bytes, 511000000);
                        assert_int_equal(r.outcome.stop_usec, 38);
                        assert_int_equal(r.outcome.duration_usec, 45000);
                }
                if (cases[i].result == OUTCOME_ERROR) { /* the probe is gone for good */
                        assert_int_equal(action_reclaim.check(&r.context, why, sizeof(why)), -EPIPE);
                        r.n_done = 0;
                        assert_int_equal(rig_start(&r, &action_reclaim), -EPIPE);
                }
                probe_rig_done(&r, cases[i].name);
        }
}

static bool probe_is_idle(Rig *r) {
        return !probe_client_busy(r->context.probe);
}

/* A look beforehand: what is known not to be worth it is left, and anything else is done. */
static void test_predicted(void **state _unused_) {
        static const struct {
                const char *name;
                OutcomeResult result;
                bool predicted;
                const char *detail;
        } cases[] = {
                {"survey-138", OUTCOME_OK, true, "thread held 38 us, predicted 138 MB"},
                {"survey-9", OUTCOME_OK, true, "predicted 9.00 MB"},
                {"survey-6", OUTCOME_SKIPPED, true, "a trim would give back 6.00 MB of 305 MB that is free: pinned"},
                {"survey-0", OUTCOME_SKIPPED, true, "a trim would give back 0 B of 305 MB that is free: pinned"},
                {"survey-torn-6", OUTCOME_OK, false, "thread held 38 us"},
                {"survey-jemalloc-0", OUTCOME_OK, false, "thread held 38 us"},
                {"survey-both-0", OUTCOME_OK, false, "thread held 38 us"},
                {"survey-lie-0", OUTCOME_OK, false, "thread held 38 us"},
                {"die", OUTCOME_ERROR, false, "plateau-probe failed in mid-request (Broken pipe)"},
                {"result-2", OUTCOME_REFUSED, false, "not allowed to trace"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Rig r;

                probe_rig_init(&r, cases[i].name);
                r.options.reclaim_survey_usec = USEC_PER_SEC;
                r.options.reclaim_min_gain_bytes = 8000000;
                r.options.reclaim_min_gain_ratio = 0.01;
                rig_finish(&r, &action_reclaim);
                assert_outcome(&r, cases[i].result, "malloc_trim", cases[i].detail);
                assert_int_equal(r.outcome.predicted, cases[i].predicted);
                if (cases[i].result == OUTCOME_OK)
                        assert_int_equal(r.outcome.released_bytes, 135000000);
                if (cases[i].result == OUTCOME_SKIPPED) {
                        assert_int_equal(r.outcome.stop_usec, 0);
                        assert_int_equal(r.outcome.before_bytes, 0);
                }
                probe_rig_done(&r, cases[i].name);
        }
}

/* The share of RSS counts too, where it is more; and a look that is waited for can be given up, or time out. */
static void test_predicted_share(void **state _unused_) {
        Rig r;

        probe_rig_init(&r, "survey-138");
        r.options.reclaim_survey_usec = USEC_PER_SEC;
        r.options.reclaim_min_gain_ratio = 0.25;
        rig_finish(&r, &action_reclaim);
        assert_outcome(&r, OUTCOME_SKIPPED, "malloc_trim", "a trim would give back 138 MB of 305 MB");
        r.n_done = 0;
        r.options.reclaim_min_gain_ratio = 0.2;
        r.options.reclaim_attach = true; /* it is no JVM */
        rig_finish(&r, &action_reclaim);
        assert_outcome(&r, OUTCOME_OK, "malloc_trim", "predicted 138 MB");
        probe_rig_done(&r, "survey-138");

        probe_rig_init(&r, "late");
        r.options.reclaim_survey_usec = USEC_PER_SEC;
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        action_reclaim.cancel(r.run);
        assert_outcome(&r, OUTCOME_CANCELLED, "malloc_trim", "given up after ");
        let_answer(r.context.probe);
        rig_until(&r, probe_is_idle);
        probe_rig_done(&r, "late");
}

/* Asked whether it is a JVM first: it is none, and that is no word worth. */
static void test_no_jvm(void **state _unused_) {
        Rig r;

        probe_rig_init(&r, "ok");
        r.options.reclaim_attach = true;
        rig_finish(&r, &action_reclaim);
        assert_outcome(&r, OUTCOME_OK, "malloc_trim",
                       "glibc 2.36: gave back 135 MB of 646 MB in 45 ms, thread held 38 us");
        assert_null(strstr(r.outcome.detail, "attach"));
        r.n_done = 0;
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        action_reclaim.cancel(r.run);
        assert_outcome(&r, OUTCOME_CANCELLED, "malloc_trim", "given up after ");
        r.n_done = 0;
        rig_finish(&r, &action_reclaim);
        assert_outcome(&r, OUTCOME_OK, "malloc_trim", "gave back 135 MB");
        probe_rig_done(&r, "ok");
}

static void test_every_refusal(void **state _unused_) {
        static const OutcomeResult expected[_PROBE_RESULT_MAX] = {
                [PROBE_OK] = OUTCOME_OK,
                [PROBE_E_NO_MEMORY] = OUTCOME_ERROR,
                [PROBE_E_PROTOCOL] = OUTCOME_ERROR,
                [PROBE_E_INTERNAL] = OUTCOME_ERROR,
                [PROBE_E_TIMEOUT] = OUTCOME_TIMEOUT,
        };

        for (int i = PROBE_OK + 1; i < _PROBE_RESULT_MAX; i++) {
                char name[32];
                Rig r;

                snprintf(name, sizeof(name), "result-%d", i);
                probe_rig_init(&r, name);
                rig_finish(&r, &action_reclaim);
                assert_outcome(&r, expected[i] ? expected[i] : OUTCOME_REFUSED, "malloc_trim",
                               probe_result_text((ProbeResult)i));
                assert_int_equal(r.outcome.stop_usec, 38); /* a look that came to nothing held a thread, too */
                assert_int_equal(r.outcome.released_bytes, 0);
                probe_rig_done(&r, name);
        }
}

static void test_what_is_asked(void **state _unused_) {
        char expected[160];
        Rig r;

        probe_rig_init(&r, "echo");
        r.options.allow_seccomp = r.options.allow_runtime_seccomp = true;
        r.options.reclaim_find_timeout_usec = 2000 * USEC_PER_MSEC;
        r.options.reclaim_finish_timeout_usec = UINT64_MAX;
        snprintf(expected, sizeof(expected), "op=%u pid=%d ticks=%llu find=2000 finish=%u flags=%u", PROBE_OP_TRIM,
                 (int)r.child, (unsigned long long)r.target.start_ticks, UINT32_MAX,
                 PROBE_FLAG_ALLOW_SECCOMP | PROBE_FLAG_RUNTIME_SECCOMP);
        rig_finish(&r, &action_reclaim);
        assert_outcome(&r, OUTCOME_ERROR, "malloc_trim", expected);
        probe_rig_done(&r, "echo");
}

/* One waits too long, one answers something else: both reach the deadline, 5 s and 100 ms, and on one loop. */
static void test_no_answer_in_time(void **state _unused_) {
        sd_event *other;
        Rig late, wrong;

        probe_rig_init(&late, "late");
        probe_rig_init(&wrong, "wrong-seq");
        assert_int_equal(rig_start(&wrong, &action_reclaim), 0);
        rig_finish(&late, &action_reclaim);
        rig_until(&wrong, rig_has_outcome);
        assert_outcome(&late, OUTCOME_TIMEOUT, "malloc_trim", "plateau-probe did not answer within 5.1 s");
        assert_outcome(&wrong, OUTCOME_TIMEOUT, "malloc_trim", "plateau-probe did not answer within ");
        assert_int_equal(late.outcome.released_bytes, 0);

        /* the answer that comes after all belongs to nobody, and the probe can be asked again */
        assert_true(probe_client_busy(late.context.probe));
        let_answer(late.context.probe);
        rig_until(&late, probe_is_idle);
        assert_int_equal(late.n_done, 1);
        other = late.event;
        assert_ptr_equal(other, late.context.event);
        late.n_done = 0;
        assert_int_equal(rig_start(&late, &action_reclaim), 0);
        let_answer(late.context.probe);
        rig_until(&late, rig_has_outcome);
        assert_outcome(&late, OUTCOME_OK, "malloc_trim", "gave back 135 MB");
        probe_rig_done(&late, "late");
        probe_rig_done(&wrong, "wrong-seq");
}

static void test_cancel_in_flight(void **state _unused_) {
        Rig r;

        probe_rig_init(&r, "late");
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        action_reclaim.cancel(r.run);
        assert_int_equal(r.n_done, 1);
        assert_outcome(&r, OUTCOME_CANCELLED, "malloc_trim", "given up after ");
        let_answer(r.context.probe);
        rig_until(&r, probe_is_idle);
        assert_int_equal(r.n_done, 1);
        probe_rig_done(&r, "late");
        action_reclaim.cancel(NULL);
}

static void test_client_freed_in_flight(void **state _unused_) {
        pid_t pid;
        Rig r;

        probe_rig_init(&r, "late");
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        pid = probe_client_pid(r.context.probe);
        r.context.probe = probe_client_free(r.context.probe);
        assert_int_equal(r.n_done, 1);
        assert_outcome(&r, OUTCOME_CANCELLED, "malloc_trim", "plateau-probe was dismissed in mid-request");
        kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        probe_rig_done(&r, "late");
}

static void on_smaps(void *userdata, const ProbeReply *reply _unused_, int fd, int error _unused_) {
        ++*(unsigned *)userdata;
        fd_close(fd);
}

static unsigned n_smaps;

static bool has_smaps(Rig *r _unused_) {
        return n_smaps > 0;
}

static void test_probe_is_busy(void **state _unused_) {
        ProbeRequest smaps = {.op = PROBE_OP_SMAPS_ROLLUP};
        Rig r;

        n_smaps = 0;
        probe_rig_init(&r, "late");
        assert_int_equal(probe_client_send(r.context.probe, &smaps, on_smaps, &n_smaps), 0);

        /* for good */
        rig_finish(&r, &action_reclaim);
        assert_outcome(&r, OUTCOME_REFUSED, "malloc_trim", "plateau-probe is busy with an earlier request");
        assert_int_equal(n_smaps, 0);

        /* for a while: asked as soon as it is free */
        r.n_done = 0;
        r.options.reclaim_find_timeout_usec = ACT_DEADLINE_USEC;
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        let_answer(r.context.probe);
        rig_until(&r, has_smaps);
        assert_int_equal(r.n_done, 0);
        let_answer(r.context.probe);
        rig_until(&r, rig_has_outcome);
        assert_outcome(&r, OUTCOME_OK, "malloc_trim", "gave back 135 MB");
        probe_rig_done(&r, "late");
}

/* A reclaim that still waits for its turn is ended before the client is freed, as action.h wants it. */
static void test_probe_dies_while_waiting(void **state _unused_) {
        ProbeRequest smaps = {.op = PROBE_OP_SMAPS_ROLLUP};
        Rig r;

        n_smaps = 0;
        probe_rig_init(&r, "die");
        r.options.reclaim_find_timeout_usec = ACT_DEADLINE_USEC;
        assert_int_equal(probe_client_send(r.context.probe, &smaps, on_smaps, &n_smaps), 0);
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        rig_until(&r, rig_has_outcome); /* nobody frees the client: it is found dead */
        assert_outcome(&r, OUTCOME_ERROR, "malloc_trim", "plateau-probe cannot be asked: Broken pipe");
        probe_rig_done(&r, "die");

        probe_rig_init(&r, "late");
        assert_int_equal(probe_client_send(r.context.probe, &smaps, on_smaps, &n_smaps), 0);
        assert_int_equal(rig_start(&r, &action_reclaim), 0);
        action_reclaim.cancel(r.run);
        assert_outcome(&r, OUTCOME_CANCELLED, "malloc_trim", "given up after ");
        assert_int_equal(n_smaps, 1);
        probe_rig_done(&r, "late");
        assert_int_equal(n_smaps, 2); /* the other request was not abandoned with it */
}

static void test_not_even_asked(void **state _unused_) {
        ProbeClient *probe;
        char why[160];
        Rig r;

        probe_rig_init(&r, "ok");
        probe = r.context.probe;
        r.context.probe = NULL;
        assert_int_equal(action_reclaim.check(&r.context, why, sizeof(why)), -EOPNOTSUPP);
        assert_int_equal(rig_start(&r, &action_reclaim), -EOPNOTSUPP);
        r.context.probe = probe;
        r.target.start_ticks++;
        assert_int_equal(action_reclaim.check(&r.context, why, sizeof(why)), -ESRCH);
        assert_int_equal(rig_start(&r, &action_reclaim), -ESRCH);
        assert_false(probe_client_busy(probe));
        r.target.pid = probe_client_pid(probe);
        assert_int_equal(action_reclaim.check(&r.context, why, sizeof(why)), -EINVAL);
        probe_rig_done(&r, "ok");
}

int main(int argc _unused_, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_predicted),
                cmocka_unit_test(test_predicted_share),
                cmocka_unit_test(test_no_jvm),
                cmocka_unit_test(test_every_refusal),
                cmocka_unit_test(test_what_is_asked),
                cmocka_unit_test(test_no_answer_in_time),
                cmocka_unit_test(test_cancel_in_flight),
                cmocka_unit_test(test_client_freed_in_flight),
                cmocka_unit_test(test_probe_is_busy),
                cmocka_unit_test(test_probe_dies_while_waiting),
                cmocka_unit_test(test_not_even_asked),
        };
        const char *name = strrchr(argv[0], '/');

        if (name && strncmp(name, "/probe-", 7) == 0)
                return play_probe(name + 7);
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
