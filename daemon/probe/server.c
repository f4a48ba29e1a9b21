/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/server.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "probe/inject/access.h"
#include "probe/inject/facts.h"
#include "probe/inject/ledger.h"
#include "probe/inject/tracee.h"
#include "probe/inject/trim.h"
#include "probe/inject/tune.h"
#include "probe/proto.h"
#include "probe/python/census.h"
#include "probe/python/passive.h"
#include "probe/python/still.h"
#include "probe/survey/growth.h"
#include "probe/survey/survey.h"
#include "util/clock.h"
#include "util/rootfs.h"

static int drop_capabilities(void) {
        bool had;

        if (capng_get_caps_process() < 0)
                return -EIO;
        had = capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE) ||
              capng_have_capability(CAPNG_PERMITTED, CAP_SYS_PTRACE);
        capng_clear(CAPNG_SELECT_BOTH); /* the ambient set follows the inheritable one (capabilities(7)) */
        if (had && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_PTRACE) < 0)
                return -EIO;
        /* the bounding set needs CAP_SETPCAP; without it there is nothing in it to gain under no_new_privs */
        if (capng_apply(CAPNG_SELECT_BOTH) < 0 && capng_apply(CAPNG_SELECT_CAPS) < 0)
                return -EPERM;
        return 0;
}

/* No network: socket() works for AF_UNIX alone (the one-call-in-flight lock is an abstract address). And nothing that
 * changes the machine. An allow-list would have to follow every libc's choice of calls; what matters here is what
 * cannot be done. */
static int filter_calls(void) {
        static const int denied[] = {SCMP_SYS(connect),
                                     SCMP_SYS(listen),
                                     SCMP_SYS(accept),
                                     SCMP_SYS(accept4),
                                     SCMP_SYS(execve),
                                     SCMP_SYS(execveat),
                                     SCMP_SYS(mount),
                                     SCMP_SYS(umount2),
                                     SCMP_SYS(unshare),
                                     SCMP_SYS(setns),
                                     SCMP_SYS(bpf),
                                     SCMP_SYS(init_module),
                                     SCMP_SYS(finit_module),
                                     SCMP_SYS(kexec_load),
                                     SCMP_SYS(unlink),
                                     SCMP_SYS(unlinkat),
                                     SCMP_SYS(rename),
                                     SCMP_SYS(renameat2),
                                     SCMP_SYS(chmod),
                                     SCMP_SYS(fchmodat),
                                     SCMP_SYS(kill),
                                     SCMP_SYS(tgkill),
                                     SCMP_SYS(pidfd_send_signal)};
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
        int r = ctx ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(denied); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX));
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

int server_harden(void) {
        int r = drop_capabilities();

        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) /* Linux 3.5 */
                return -errno;
        return filter_calls();
}

typedef struct Answer {
        ProbeReply reply;
        int fd; /* to pass along, or -1 */
} Answer;

static void set_result(Answer *a, int r) {
        a->reply.result = r == -ESRCH || r == -ENOENT   ? PROBE_E_GONE
                          : r == -EACCES || r == -EPERM ? PROBE_E_ACCESS
                                                        : PROBE_E_INTERNAL;
        if (a->reply.result == PROBE_E_INTERNAL)
                snprintf(a->reply.detail, sizeof(a->reply.detail), "%s", strerror(-r));
}

/* /proc/PID, if its process is the one that was asked for. */
static int open_process(const ProbeRequest *req) {
        char path[32];
        uint64_t ticks;
        _cleanup_fd_ int fd = -1;
        int r;

        if (req->pid <= 0)
                return -ESRCH;
        snprintf(path, sizeof(path), "/proc/%d", req->pid);
        fd = rootfs_open_dir(AT_FDCWD, path);
        if (fd < 0)
                return fd;
        r = facts_start_ticks(fd, &ticks);
        if (r < 0)
                return r;
        return ticks == req->start_ticks ? take_fd(&fd) : -ESRCH;
}

static void explain(int fd, Answer *a) {
        Facts f;

        if (a->reply.result == PROBE_E_ACCESS && facts_read(fd, &f) == 0)
                access_explain(fd, &f, a->reply.detail, sizeof(a->reply.detail));
}

static void handle_hello(const ProbeRequest *req _unused_, Answer *a) {
        bool can = capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE);

        a->reply.hello = (ProbeHello){
                .cap_effective = can ? 1ULL << CAP_SYS_PTRACE : 0,
                .uid = geteuid(),
                .pid = (uint32_t)getpid(),
        };
}

static void handle_smaps(const ProbeRequest *req, Answer *a) {
        _cleanup_fd_ int fd = open_process(req);
        char buf[SMAPS_ROLLUP_MAX];
        uint64_t begin, cost;
        ssize_t n;

        if (fd < 0) {
                set_result(a, fd);
                return;
        }
        begin = now_mono_usec();
        n = rootfs_read(fd, "smaps_rollup", buf, sizeof(buf));
        if (n < 0) {
                set_result(a, (int)n);
                explain(fd, a);
                return;
        }
        cost = now_mono_usec() - begin;
        if (smaps_parse(buf, (size_t)n, &a->reply.smaps) < 0) {
                a->reply.result = PROBE_E_INTERNAL;
                snprintf(a->reply.detail, sizeof(a->reply.detail), "smaps_rollup has a form that is not known");
        }
        a->reply.smaps.cost_usec = cost;
        a->reply.smaps.time_usec = now_boot_usec();
}

static void handle_cgroup_dir(const ProbeRequest *req, Answer *a) {
        _cleanup_fd_ int fd = open_process(req);

        if (fd < 0) {
                set_result(a, fd);
                return;
        }
        a->fd = rootfs_open_dir(fd, "root/sys/fs/cgroup");
        if (a->fd < 0) {
                set_result(a, a->fd);
                explain(fd, a);
        }
}

/* A JVM is asked by the daemon, which knocks at files of the target. Where the target has capabilities, as root in a
 * container has, the daemon without any may not even see them, although it is the same user. Same user it must be: then
 * what it can do there is what that user can do. */
static void handle_place(const ProbeRequest *req, Answer *a) {
        static const struct {
                const char *name;
                int flags;
        } places[_PROBE_PLACE_MAX] = {
                [PROBE_PLACE_MAPS] = {"maps", O_RDONLY},
                [PROBE_PLACE_ROOT] = {"root", O_PATH | O_DIRECTORY},
                [PROBE_PLACE_CWD] = {"cwd", O_PATH | O_DIRECTORY},
        };
        _cleanup_fd_ int fd = open_process(req);
        Facts f;
        int r = fd < 0 ? fd : facts_read(fd, &f);

        if (r >= 0 && req->param >= _PROBE_PLACE_MAX)
                r = -EINVAL;
        if (r >= 0 && (f.uid != geteuid() || f.euid != geteuid()))
                r = -EPERM;
        if (r >= 0) {
                a->fd = openat(fd, places[req->param].name, places[req->param].flags | O_CLOEXEC);
                r = a->fd < 0 ? -errno : 0;
        }
        if (r < 0) {
                set_result(a, r);
                explain(fd, a);
        }
}

static int send_answer(int sock, const Answer *a) {
        struct iovec iov = {(void *)(uintptr_t)&a->reply, sizeof(a->reply)};
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        if (a->fd >= 0) {
                struct cmsghdr *cm;

                mh.msg_control = &control;
                mh.msg_controllen = sizeof(control);
                cm = CMSG_FIRSTHDR(&mh);
                cm->cmsg_level = SOL_SOCKET;
                cm->cmsg_type = SCM_RIGHTS;
                cm->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(cm), &a->fd, sizeof(int));
        }
        return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static pid_t stray; /* a worker that did not end in its time; 0 = none */

/* Not even an alarm ends what the kernel does not let go (a file system that hangs, a stop by somebody). Such a worker
 * may be in the middle of a call, so there is no other beside it. */
static bool has_stray(void) {
        if (stray > 0 && waitpid(stray, NULL, WNOHANG) != 0)
                stray = 0;
        return stray > 0;
}

/* Besides its own limits, which bound every wait of it, an alarm ends it: the target goes on by itself then. */
_Noreturn static void do_work(const ProbeRequest *req, Answer *a, int fd, uint64_t limit_usec,
                              void (*work)(const ProbeRequest *, Answer *)) {
        struct itimerval limit = {.it_value = {.tv_sec = (time_t)(limit_usec / USEC_PER_SEC),
                                               .tv_usec = (suseconds_t)(limit_usec % USEC_PER_SEC)}};
        sigset_t set;

        signal(SIGALRM, SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, SIGALRM);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        setitimer(ITIMER_REAL, &limit, NULL);
        tracee_prepare();
        work(req, a);
        _exit(write(fd, &a->reply, sizeof(a->reply)) == (ssize_t)sizeof(a->reply) ? 0 : 1);
}

/* What the worker says, or what became of it. */
static void take_answer(pid_t child, int fd, uint64_t deadline_usec, Answer *a) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        ProbeReply r;
        int status;

        for (;;) {
                uint64_t now = now_mono_usec();
                int left = now < deadline_usec
                                   ? (int)min_of((deadline_usec - now + 999) / USEC_PER_MSEC, (uint64_t)INT_MAX)
                                   : 0;
                int n = poll(&pfd, 1, left);

                if (n > 0)
                        break;
                if (n == 0 && left == 0) {
                        stray = child;
                        a->reply.result = PROBE_E_INTERNAL;
                        snprintf(a->reply.detail, sizeof(a->reply.detail),
                                 "the worker did not end in its time; no other call is made before it does");
                        return;
                }
        }
        if (read(fd, &r, sizeof(r)) == (ssize_t)sizeof(r)) { /* at once: it is written in one go */
                a->reply = r;
                while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                        ;
                return;
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        a->reply.result = PROBE_E_INTERNAL;
        snprintf(a->reply.detail, sizeof(a->reply.detail), "the worker ended by %s %d; the target goes on by itself",
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* In a child: it may leave a thread seized that would not stop, and only its exit lets that go; and what libelf, the
 * maps and tables took is gone with it, so the resident probe stays small. The child answers by the pipe, so that a
 * child that dies is known. */
static void run_worker(const ProbeRequest *req, Answer *a, void (*work)(const ProbeRequest *, Answer *)) {
        uint64_t asked_usec =
                ((uint64_t)req->find_timeout_msec + req->finish_timeout_msec + req->budget_msec) * USEC_PER_MSEC;
        int pipe_fd[2];
        pid_t child;

        if (req->start_ticks == 0 || req->pid <= 0) {
                a->reply.result = PROBE_E_GONE;
                return;
        }
        if (has_stray()) {
                a->reply.result = PROBE_E_IN_FLIGHT;
                snprintf(a->reply.detail, sizeof(a->reply.detail), "an earlier worker, process %d, has not ended yet",
                         stray);
                return;
        }
        if (pipe2(pipe_fd, O_CLOEXEC) < 0) {
                set_result(a, -errno);
                return;
        }
        child = fork();
        if (child == 0) {
                fd_close(pipe_fd[0]);
                do_work(req, a, pipe_fd[1], asked_usec + (PROBE_WORK_SLACK_MSEC + 500) * USEC_PER_MSEC, work);
        }
        fd_close(pipe_fd[1]);
        if (child < 0)
                set_result(a, -errno);
        else
                take_answer(child, pipe_fd[0], now_mono_usec() + asked_usec + PROBE_ANSWER_SLACK_MSEC * USEC_PER_MSEC,
                            a);
        fd_close(pipe_fd[0]);
}

static void work_trim(const ProbeRequest *req, Answer *a) {
        trim_run(req, &a->reply);
}

static void handle_trim(const ProbeRequest *req, Answer *a) {
        run_worker(req, a, work_trim);
}

static void work_tune(const ProbeRequest *req, Answer *a) {
        tune_run(req, &a->reply);
}

static void handle_tune(const ProbeRequest *req, Answer *a) {
        run_worker(req, a, work_tune);
}

static void work_python(const ProbeRequest *req, Answer *a) {
        (req->param == PYTHON_INJECTED ? still_run : passive_run)(req, a->fd, &a->reply);
}

/* Work whose result is a table: the worker writes it into a memfd of ours (memfd_create(2), Linux 3.17); sealed, so
 * that its reader can rely on what it has checked. */
static void run_table_worker(const ProbeRequest *req, Answer *a, void (*work)(const ProbeRequest *, Answer *)) {
        a->fd = memfd_create("plateau", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (a->fd < 0) {
                set_result(a, -errno);
                return;
        }
        run_worker(req, a, work);
        if (a->reply.result == PROBE_OK &&
            fcntl(a->fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                set_result(a, -errno);
        if (a->reply.result != PROBE_OK)
                a->fd = fd_close(a->fd);
}

static void handle_python(const ProbeRequest *req, Answer *a) {
        if (req->param < _PYTHON_MODE_MAX)
                run_table_worker(req, a, work_python);
        else
                a->reply.result = PROBE_E_PROTOCOL;
}

static void work_survey(const ProbeRequest *req, Answer *a) {
        static Survey survey;
        uint64_t budget_usec = (req->budget_msec ? req->budget_msec : SURVEY_BUDGET_MSEC) * USEC_PER_MSEC;
        _cleanup_fd_ int proc_fd = open_process(req);
        int r = proc_fd < 0 ? proc_fd : survey_run(proc_fd, req->pid, budget_usec, &survey);

        if (r == 0 && write(a->fd, &survey, sizeof(survey)) != (ssize_t)sizeof(survey))
                r = -EIO;
        if (r < 0) {
                set_result(a, r);
                if (proc_fd >= 0)
                        explain(proc_fd, a);
        }
}

static void handle_survey(const ProbeRequest *req, Answer *a) {
        run_table_worker(req, a, work_survey);
}

/* Which chunks were in use at the first look, for the second one: a memfd that workers of ours alone see. One, of the
 * process that was asked about last. */
static int kept_fd = -1;

static void work_growth(const ProbeRequest *req, Answer *a) {
        uint64_t budget_usec = (req->budget_msec ? req->budget_msec : SURVEY_BUDGET_MSEC) * USEC_PER_MSEC;
        _cleanup_fd_ int proc_fd = open_process(req);
        GrowthAsk ask = {0};
        int r = proc_fd < 0 ? proc_fd : growth_unpack(req->value, &ask) ? 0 : -EINVAL;

        if (r == 0)
                r = growth_run(&(GrowthRun){.proc_pid_fd = proc_fd,
                                            .pid = req->pid,
                                            .start_ticks = req->start_ticks,
                                            .mode = (GrowthMode)req->param,
                                            .ask = &ask,
                                            .budget_usec = budget_usec,
                                            .kept_fd = kept_fd},
                               a->fd);
        if (r < 0) {
                set_result(a, r);
                if (proc_fd >= 0)
                        explain(proc_fd, a);
        }
}

static void handle_growth(const ProbeRequest *req, Answer *a) {
        if (req->param >= _GROWTH_MODE_MAX) {
                a->reply.result = PROBE_E_PROTOCOL;
                return;
        }
        if (req->param == GROWTH_REMEMBER) {
                fd_close(kept_fd);
                kept_fd = memfd_create("plateau", MFD_CLOEXEC);
                if (kept_fd < 0) {
                        set_result(a, -errno);
                        return;
                }
        }
        run_table_worker(req, a, work_growth);
}

static void work_ledger(const ProbeRequest *req, Answer *a) {
        static Ledger ledger;

        ledger_run(req, &a->reply, &ledger);
        if (a->reply.result == PROBE_OK && write(a->fd, &ledger, sizeof(ledger)) != (ssize_t)sizeof(ledger))
                set_result(a, -EIO);
}

static void handle_ledger(const ProbeRequest *req, Answer *a) {
        run_table_worker(req, a, work_ledger);
}

static void (*const handlers[_PROBE_OP_MAX])(const ProbeRequest *, Answer *) = {
        [PROBE_OP_HELLO] = handle_hello,
        [PROBE_OP_SMAPS_ROLLUP] = handle_smaps,
        [PROBE_OP_CGROUP_DIR] = handle_cgroup_dir,
        [PROBE_OP_TRIM] = handle_trim,
        [PROBE_OP_TUNE] = handle_tune,
        [PROBE_OP_PLACE] = handle_place,
        [PROBE_OP_PYTHON] = handle_python,
        [PROBE_OP_SURVEY] = handle_survey,
        [PROBE_OP_GROWTH] = handle_growth,
        [PROBE_OP_LEDGER] = handle_ledger,
};

static bool is_valid(const ProbeRequest *req, ssize_t n) {
        return n == (ssize_t)sizeof(*req) && req->magic == PROBE_MAGIC && req->version == PROBE_PROTO_VERSION &&
               req->op < _PROBE_OP_MAX && handlers[req->op];
}

int server_run(int fd) {
        for (;;) {
                ProbeRequest req = {0};
                ssize_t n =
                        recv(fd, &req, sizeof(req), MSG_TRUNC); /* MSG_TRUNC: the true length of one that is too long */
                Answer a = {.fd = -1};
                int r;

                if (n == 0)
                        return 0; /* the other end is gone */
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return errno == ECONNRESET ? 0 : -errno;
                }
                a.reply = (ProbeReply){
                        .magic = PROBE_MAGIC, .version = PROBE_PROTO_VERSION, .op = req.op, .seq = req.seq};
                if (is_valid(&req, n))
                        handlers[req.op](&req, &a);
                else
                        a.reply.result = PROBE_E_PROTOCOL;
                r = send_answer(fd, &a);
                fd_close(a.fd);
                if (r < 0)
                        return r == -EPIPE || r == -ECONNRESET ? 0 : r;
        }
}
