/* SPDX-License-Identifier: Apache-2.0
 *
 * Kills plateau-probe at a chosen step of an operation: traces the probe and its worker, asks it for one, counts the
 * worker's stops at the entry and at the exit of each system call, and sends SIGKILL at the one that was asked for. At
 * an entry the call never happens, at an exit nothing after it does, so that all steps together are all states in which
 * a target can be left. Or it is the target that dies there, and the worker has to say so. One line tells what became
 * of it. Usage:
 *
 *   stepper PROBE PID START_TICKS STEP WHOM [OPERATION]
 *
 *   STEP: 1... ; 0: kills nobody, tells each step on a line of its own ("at ..."), and the largest RSS of both.
 *   WHOM: worker, probe, both or target. OPERATION: trim (if none is named), ledger, survey or growth
 */
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "probe/proto.h"
#include "probe/survey/growth.h"
#include "probe/survey/ledger.h"
#include "util/cleanup.h"

#define FIND_MSEC   5000
#define FINISH_MSEC 20000

/* What is asked for. */
static const struct Operation {
        const char *name;
        ProbeOp op;
        uint32_t param;
        int64_t value;
} operations[] = {
        {"trim", PROBE_OP_TRIM, 0, 0},
        {"ledger", PROBE_OP_LEDGER, 0, LEDGER_WITH_BINS},
        {"survey", PROBE_OP_SURVEY, 0, 0},
        {"growth", PROBE_OP_GROWTH, GROWTH_REMEMBER, 0},
};

typedef struct Run {
        const char *probe_path;
        pid_t target, probe, worker;
        uint64_t ticks;
        unsigned long kill_at, step;
        bool kill_worker, kill_probe, kill_target, killed;
        const struct Operation *operation;
        char at[96];                  /* which call, and which end of it */
        unsigned probe_kb, worker_kb; /* VmHWM at their end */
} Run;

_Noreturn static void die(const char *what) {
        perror(what);
        exit(1);
}

static const char *request_name(uint64_t request) {
        static const struct {
                uint64_t request;
                const char *name;
        } names[] = {
                {PTRACE_SEIZE, "SEIZE"},
                {PTRACE_INTERRUPT, "INTERRUPT"},
                {PTRACE_GETREGSET, "GETREGSET"},
                {PTRACE_SETREGSET, "SETREGSET"},
                {PTRACE_DETACH, "DETACH"},
                {PTRACE_GETSIGMASK, "GETSIGMASK"},
                {PTRACE_PEEKSIGINFO, "PEEKSIGINFO"}, {PTRACE_SETSIGMASK, "SETSIGMASK"},
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (names[i].request == request)
                        return names[i].name;
        return "other";
}

/* At an exit the arguments are told no more: the name stays the entry's. */
static void name_stop(Run *run) {
        static char call[64] = "start";
        struct __ptrace_syscall_info info = {0}; /* Linux 5.3 */

        if (ptrace(PTRACE_GET_SYSCALL_INFO, run->worker, sizeof(info), &info) < 0)
                die("PTRACE_GET_SYSCALL_INFO");
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
                char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)info.entry.nr);

                snprintf(call, sizeof(call), "%s%s%s", name ? name : "?", info.entry.nr == SYS_ptrace ? ":" : "",
                         info.entry.nr == SYS_ptrace ? request_name(info.entry.args[0]) : "");
                free(name);
        }
        snprintf(run->at, sizeof(run->at), "%s:%s", info.op == PTRACE_SYSCALL_INFO_ENTRY ? "entry" : "exit", call);
}

static unsigned peak_kb(pid_t pid) {
        char path[32], line[256];
        unsigned kb = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "VmHWM: %u", &kb) == 1)
                        break;
        if (f)
                fclose(f);
        return kb;
}

static int start(Run *run) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
                die("socketpair");
        run->probe = fork();
        if (run->probe < 0)
                die("fork");
        if (run->probe == 0) {
                close(pair[0]);
                if (pair[1] != PROBE_FD && (dup2(pair[1], PROBE_FD) < 0 || close(pair[1]) < 0))
                        die("dup2");
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                        die("PTRACE_TRACEME");
                raise(SIGSTOP);
                execl(run->probe_path, run->probe_path, (char *)NULL);
                die(run->probe_path);
        }
        close(pair[1]);
        return pair[0];
}

static void options(const Run *run) {
        long flags = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                     PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

        if (run->kill_at == 0)
                flags |= PTRACE_O_TRACEEXIT;
        if (ptrace(PTRACE_SETOPTIONS, run->probe, NULL, flags) < 0)
                die("PTRACE_SETOPTIONS");
}

/* fork() of ours has left our own stop to be taken before the options can be set. */
static void begin(Run *run, int sock) {
        ProbeRequest req = {.magic = PROBE_MAGIC,
                            .version = PROBE_PROTO_VERSION,
                            .op = run->operation->op,
                            .seq = 1,
                            .pid = run->target,
                            .start_ticks = run->ticks,
                            .find_timeout_msec = FIND_MSEC,
                            .finish_timeout_msec = FINISH_MSEC,
                            .param = run->operation->param,
                            .value = run->operation->value};
        int status;

        if (waitpid(run->probe, &status, 0) != run->probe || !WIFSTOPPED(status))
                die("waitpid");
        options(run);
        if (send(sock, &req, sizeof(req), 0) != (ssize_t)sizeof(req) || shutdown(sock, SHUT_WR) < 0)
                die("send");
        ptrace(PTRACE_CONT, run->probe, NULL, NULL);
}

/* One stop of the worker at a system call. */
static void step(Run *run) {
        if (run->killed) {
                ptrace(PTRACE_CONT, run->worker, NULL, NULL);
                return;
        }
        run->step++;
        if (run->step == run->kill_at) {
                name_stop(run);
                run->killed = true;
                if (run->kill_target)
                        kill(run->target, SIGKILL);
                if (run->kill_probe)
                        kill(run->probe, SIGKILL);
                if (run->kill_worker)
                        kill(run->worker, SIGKILL);
                else
                        ptrace(PTRACE_CONT, run->worker, NULL, NULL);
                return;
        }
        if (run->kill_at == 0 || run->step + 2 > run->kill_at)
                name_stop(run); /* an exit takes its name from the entry before it */
        if (run->kill_at == 0)
                printf("at %s\n", run->at);
        ptrace(PTRACE_SYSCALL, run->worker, NULL, NULL);
}

static void on_stop(Run *run, pid_t pid, int status) {
        int event = status >> 16, sig = WSTOPSIG(status);
        bool is_worker = pid != run->probe;

        if (is_worker && run->worker == 0) {
                run->worker = pid; /* its first stop, SIGSTOP, is the kernel's way to say so (ptrace(2)) */
                sig = 0;
        } else if (sig == (SIGTRAP | 0x80)) {
                step(run);
                return;
        } else if (event != 0) {
                if (event == PTRACE_EVENT_EXIT)
                        *(is_worker ? &run->worker_kb : &run->probe_kb) = peak_kb(pid);
                sig = 0;
        }
        ptrace(is_worker && !run->killed ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, (void *)(uintptr_t)sig);
}

int main(int argc, char **argv) {
        Run run = {0};
        ProbeReply reply;
        int status, sock;
        pid_t pid;

        for (size_t i = 0; argc >= 6 && i < ELEMENTSOF(operations); i++)
                if (strcmp(argc > 6 ? argv[6] : "trim", operations[i].name) == 0)
                        run.operation = &operations[i];
        if (!run.operation) {
                fprintf(stderr, "usage: stepper PROBE PID START_TICKS STEP worker|probe|both|target "
                                "[trim|ledger|survey|growth]\n");
                return 2;
        }
        run.probe_path = argv[1];
        run.target = atoi(argv[2]);
        run.ticks = strtoull(argv[3], NULL, 10);
        run.kill_at = strtoul(argv[4], NULL, 10);
        run.kill_target = strcmp(argv[5], "target") == 0;
        run.kill_worker = strcmp(argv[5], "worker") == 0 || strcmp(argv[5], "both") == 0;
        run.kill_probe = strcmp(argv[5], "probe") == 0 || strcmp(argv[5], "both") == 0;
        sock = start(&run);
        begin(&run, sock);
        while ((pid = waitpid(-1, &status, __WALL)) > 0)
                if (WIFSTOPPED(status))
                        on_stop(&run, pid, status);
        const ProbeCall *call = run.operation->op == PROBE_OP_TRIM ? &reply.trim.call : &reply.call;
        bool answered = recv(sock, &reply, sizeof(reply), MSG_DONTWAIT) == (ssize_t)sizeof(reply);
        printf("stepped killed=%d steps=%lu at=%s result=%s stop_max_usec=%llu probe_kb=%u worker_kb=%u\n", run.killed,
               run.step, run.at[0] ? run.at : "-", answered ? probe_result_name(reply.result) : "none",
               answered ? (unsigned long long)call->stop_max_usec : 0, run.probe_kb, run.worker_kb);
        return 0;
}
