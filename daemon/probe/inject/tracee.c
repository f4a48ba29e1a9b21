/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/tracee.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "probe/inject/calls.h"
#include "util/clock.h"

#define REAP_TIMEOUT_USEC (100 * USEC_PER_MSEC)

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128 /* Linux 3.4; glibc before 2.26 does not name it */
#endif

void tracee_prepare(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL); /* a blocked signal is kept even if its default is to be ignored */
        arch_prepare();
}

/* Waits for @tid to change state. Return: 1 and *status; 0: time is up; negative errno. */
static int wait_for(pid_t tid, uint64_t deadline_usec, int *status) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        for (;;) {
                uint64_t now =
                        now_mono_usec(); /* before the look: whoever has no turn until the deadline looks once more */
                pid_t r = waitpid(tid, status, __WALL | WNOHANG);
                struct timespec left;

                if (r == tid)
                        return 1;
                if (r < 0)
                        return -errno;
                if (now >= deadline_usec)
                        return 0;
                left.tv_sec = (time_t)((deadline_usec - now) / USEC_PER_SEC);
                left.tv_nsec = (long)((deadline_usec - now) % USEC_PER_SEC * 1000);
                (void)sigtimedwait(&set, NULL, &left);
        }
}

/* A thread that was killed while it stood cannot be let go, but its end must be taken note of: until its tracer does,
 * it is a zombie that its parent, or another thread's execve(), waits for (kernel/exit.c, exit_notify()). */
static void detach(Tracee *t, int sig) {
        int status;

        t->attached = false;
        if (ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(uintptr_t)sig) == 0 || errno != ESRCH)
                return;
        while (wait_for(t->tid, now_mono_usec() + REAP_TIMEOUT_USEC, &status) == 1 && WIFSTOPPED(status))
                if (ptrace(PTRACE_DETACH, t->tid, NULL, NULL) == 0)
                        return;
}

/* Shall the call that our stop interrupted begin again by its arguments? That hides an EINTR. And it spares those that
 * lose nothing by it restart_syscall, where nobody could be borrowed from until they end: poll() without a time-out,
 * sleeps to a point in time. */
static bool begins_again(const Tracee *t) {
        uint64_t args[6];
        long nr = arch_syscall(&t->state, args);
        int rank = nr < 0 ? CALLS_NEVER : calls_rank(nr, args);

        return nr >= 0 && (calls_begin_again(nr) || (rank != CALLS_NEVER && rank < CALLS_RELATIVE));
}

/* Fails only if the thread was killed meanwhile. */
static void repair(const Tracee *t) {
        if (begins_again(t))
                (void)arch_restore(t->tid, &t->state, true);
}

/* A signal came before our stop. To a traced thread even one that is ignored does (kernel/signal.c, sig_ignored()), so
 * the call that it interrupted may have to begin again. */
static void pass_signal(Tracee *t, int sig) {
        if (arch_read_state(t->tid, &t->state) == 0)
                repair(t);
        detach(t, sig);
}

TraceeStop tracee_stop(Tracee *t, pid_t tid, uint64_t timeout_usec) {
        int status, r;

        t->tid = tid; /* the state is filled at the stop; clearing its 16 KiB here would be for nothing */
        t->attached = false;
        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
                return errno == ESRCH ? TRACEE_GONE : TRACEE_DENIED;
        t->attached = true;
        if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) {
                detach(t, 0);
                return TRACEE_GONE;
        }
        r = wait_for(tid, now_mono_usec() + timeout_usec, &status);
        if (r == 0)
                return TRACEE_STUCK;
        if (r < 0 || !WIFSTOPPED(status))
                return TRACEE_GONE;
        t->stopped_usec = now_mono_usec();
        if (status >> 16 != PTRACE_EVENT_STOP) {
                pass_signal(t, WSTOPSIG(status)); /* a signal-delivery-stop: the signal goes on its way */
                return TRACEE_BUSY;
        }
        if (WSTOPSIG(status) != SIGTRAP) {
                detach(t, 0); /* a group-stop; detaching keeps it (ptrace(2), "Group-stop") */
                return TRACEE_GROUP_STOPPED;
        }
        r = arch_read_state(tid, &t->state);
        if (r < 0) {
                detach(t, 0);
                return r == -EOPNOTSUPP ? TRACEE_FOREIGN : TRACEE_GONE;
        }
        return TRACEE_STOPPED;
}

/* Is a signal pending for the stopped thread or its process that is not in @mask? */
static bool signal_waits(const Tracee *t, uint64_t mask) {
        enum { AT_ONCE = 8, MANY = 64 };
        static const uint32_t flags[] = {0, PTRACE_PEEKSIGINFO_SHARED};
        siginfo_t si[AT_ONCE];

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                for (uint64_t off = 0;; off += AT_ONCE) {
                        struct __ptrace_peeksiginfo_args args = {.off = off, .flags = flags[i], .nr = AT_ONCE};
                        long n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &args, si); /* Linux 3.10 */

                        if (n < 0 || off >= MANY)
                                return true; /* cannot be told */
                        for (long k = 0; k < n; k++)
                                if (!(mask >> (si[k].si_signo - 1) & 1))
                                        return true;
                        if (n < AT_ONCE)
                                break;
                }
        return false;
}

static int set_mask(const Tracee *t, uint64_t mask) {
        return ptrace(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(mask), &mask) < 0 ? -errno : 0; /* Linux 3.11 */
}

/* The clock is read first: detaching takes 2 us, but then the thread may run on this CPU before we do. */
static void let_go(Tracee *t, uint64_t *ret_held_usec) {
        *ret_held_usec = now_mono_usec() - t->stopped_usec;
        detach(t, 0);
}

void tracee_release(Tracee *t, uint64_t *ret_held_usec) {
        repair(t);
        let_go(t, ret_held_usec);
}

/* The mask comes after the switch: a chain ends with the thread's own, whoever dies here. And it is looked for signals
 * only then: one that came before is seen, and one that comes now waits for the last frame. On the way back, the other
 * way round.
 *
 * A call like ppoll() has a mask of its own in force. The kernel forgets it here, and begun again it sets it again:
 * what is pending for it then, and blocked by the thread, ends it with EINTR as it should. */
int tracee_switch(Tracee *t, const Chain *chain, uint64_t *ret_held_usec) {
        int r = arch_switch(t->tid, &t->state, chain);

        if (r < 0) {
                tracee_release(t, ret_held_usec);
                return r;
        }
        r = set_mask(t, arch_chain_mask());
        if (r == 0 && signal_waits(t, t->state.sigmask))
                r = -EINTR;
        if (r < 0) {
                (void)set_mask(t, t->state.sigmask);
                (void)arch_restore(t->tid, &t->state, begins_again(t));
        }
        let_go(t, ret_held_usec);
        return r;
}
