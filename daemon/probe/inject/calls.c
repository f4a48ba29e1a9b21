/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/calls.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "util/cleanup.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* Linux 5.11 */
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* Linux 5.16 */
#endif
#ifndef SYS_io_uring_enter
#define SYS_io_uring_enter 426 /* Linux 5.1 */
#endif

typedef struct Row Row;
typedef int (*RankFn)(const Row *row, const uint64_t args[static 6]);

struct Row {
        long nr;
        RankFn rank;
        signed char at;      /* argument that @rank looks at: the time-out, flags */
        signed char mask_at; /* argument that is or leads to a signal mask of its own; 0 = none */
        signed char penalty; /* within its class: what is likelier to be the one that serves */
};

static int endless(const Row *row, const uint64_t args[static 6] _unused_) {
        return CALLS_ENDLESS + row->penalty;
}

/* Milliseconds; negative = without end. */
static int msec(const Row *row, const uint64_t args[static 6]) {
        return ((int)args[row->at] < 0 ? CALLS_ENDLESS : CALLS_RELATIVE) + row->penalty;
}

/* A pointer to a point in time, or to an interval that the kernel overwrites with what is left of it. */
static int exact(const Row *row, const uint64_t args[static 6]) {
        return (args[row->at] == 0 ? CALLS_ENDLESS : CALLS_DEADLINE) + row->penalty;
}

/* A pointer to an interval that stays as it is. */
static int relative(const Row *row, const uint64_t args[static 6]) {
        return (args[row->at] == 0 ? CALLS_ENDLESS : CALLS_RELATIVE) + row->penalty;
}

/* With MSG_WAITALL a part may have been received: interrupted, the call returns it. */
static int receive(const Row *row, const uint64_t args[static 6]) {
        return args[row->at] & MSG_WAITALL ? CALLS_NEVER : CALLS_ENDLESS + row->penalty;
}

/* The kernel writes what is left to the second timespec before it begins a sleep again (do_nanosleep(),
 * nanosleep_copyout()). Where that is the first one too, as in sleep(3), the rest is what is slept. */
static int nap(const Row *row, const uint64_t args[static 6]) {
        return (args[row->at] == args[row->at + 1] ? CALLS_DEADLINE : CALLS_RELATIVE) + row->penalty;
}

static int clock_nap(const Row *row, const uint64_t args[static 6]) {
        return args[1] & TIMER_ABSTIME ? CALLS_DEADLINE : nap(row, args);
}

static int futex(const Row *row _unused_, const uint64_t args[static 6]) {
        unsigned op = (unsigned)args[1] & (unsigned)FUTEX_CMD_MASK;

        /* glibc's own low-level locks wait by FUTEX_WAIT with the value 2 (nptl/lowlevellock.c): whoever waits there is
         * in the middle of something. Condition variables, semaphores and joins wait by FUTEX_WAIT_BITSET (since 2.25).
         */
        if (op == FUTEX_WAIT && (uint32_t)args[2] == 2)
                return CALLS_NEVER;
        if (op == FUTEX_WAIT_BITSET)
                return args[3] ? CALLS_DEADLINE : CALLS_ENDLESS; /* its time-out is a point in time */
        if (op == FUTEX_WAIT)
                return args[3] ? CALLS_RELATIVE : CALLS_ENDLESS + 1;
        return CALLS_NEVER;
}

static int lock_wait(const Row *row, const uint64_t args[static 6]) {
        int command = (int)args[row->at];

        return command == F_SETLKW || command == F_OFD_SETLKW ? CALLS_ENDLESS + row->penalty : CALLS_NEVER;
}

/* Nothing to hand in, and one completion at most to wait for: else it returns, interrupted, how many were handed in, or
 * fewer completions than were asked for. IORING_ENTER_EXT_ARG (bit 3) brings a mask and a time-out in memory. */
static int uring(const Row *row, const uint64_t args[static 6]) {
        enum { EXT_ARG = 1 << 3 };

        return args[1] == 0 && (uint32_t)args[2] <= 1 && !(args[3] & EXT_ARG) ? CALLS_ENDLESS + row->penalty
                                                                               : CALLS_NEVER;
}

/* In all of these, blocked means that nothing was done yet. The reason is what the kernel does with one that is
 * interrupted: it begins again by itself (-ERESTARTSYS, -ERESTARTNOHAND), or it returns EINTR, which the last frame of
 * a chain, or calls_begin_again(), hides.
 *
 * Not here, and why:
 * - write, sendto, sendmsg, sendfile, io_getevents, recvmmsg: may have done a part, which they return when interrupted;
 * - pause, rt_sigsuspend: a signal that is handled while the call runs is what they wait for, and they would sleep on;
 * - rt_sigtimedwait: what it waits for may not be blocked, and would kill when it comes while the call runs;
 * - futex with requeue or PI: whoever waits so is between two locks;
 * - brk, mmap, munmap, mprotect, madvise, mremap, prctl: malloc makes them under its locks;
 * - clone, fork, vfork, execve; close (done even if interrupted);
 * - restart_syscall: goes on with a call that is known to the kernel alone, and rt_sigreturn makes it forget it
 *   (restore_sigcontext()). Whoever was stopped in a timed poll, sleep or futex is there until the call ends. */
static const Row rows[] = {
        {SYS_futex, futex, 3, 0, 0},        /* restarted by the kernel; checks its word again */
        {SYS_futex_waitv, exact, 3, 0, 0},  /* the same for many words; the time-out is a point in time */
        {SYS_wait4, endless, 0, 0, 1},      /* -ERESTARTSYS */
        {SYS_waitid, endless, 0, 0, 1},     /* -ERESTARTSYS */
        {SYS_read, endless, 0, 0, 1},       /* returns with the first byte (but see threads_find()) */
        {SYS_readv, endless, 0, 0, 1},      /* the same */
        {SYS_recvfrom, receive, 3, 0, 1},   /* with SO_RCVTIMEO EINTR, and begun again a longer wait */
        {SYS_recvmsg, receive, 2, 0, 1},    /* the same */
        {SYS_accept, endless, 0, 0, 3},     /* the same */
        {SYS_accept4, endless, 0, 0, 3},    /* the same */
        {SYS_flock, endless, 0, 0, 2},      /* -ERESTARTSYS; the lock was not taken */
        {SYS_fcntl, lock_wait, 1, 0, 2},    /* the same */
        {SYS_semop, endless, 0, 0, 2},      /* EINTR; all of its operations or none are done */
        {SYS_semtimedop, relative, 3, 0, 2}, /* the same */
        {SYS_msgrcv, endless, 0, 0, 2},     /* -ERESTARTNOHAND; a message is taken whole */
        {SYS_mq_timedreceive, exact, 4, 0, 2}, /* -ERESTARTSYS; the same, and the time-out is a point in time */
        {SYS_io_uring_enter, uring, 0, 4, 3},  /* EINTR */
#ifdef SYS_poll /* newer processors have only what takes a signal mask */
        {SYS_poll, msec, 2, 0, 2},          /* -ERESTART_RESTARTBLOCK, which the last frame turns into a new call */
        {SYS_select, exact, 4, 0, 2},       /* -ERESTARTNOHAND; the time left is written back */
        {SYS_epoll_wait, msec, 3, 0, 3},    /* EINTR */
#endif
        {SYS_ppoll, exact, 2, 3, 2},        /* -ERESTARTNOHAND; the time left is written back */
        {SYS_pselect6, exact, 4, 5, 2},     /* the same; the argument is a pair of mask and size */
        {SYS_epoll_pwait, msec, 3, 4, 3},   /* EINTR */
        {SYS_epoll_pwait2, relative, 3, 4, 3}, /* EINTR */
        {SYS_clock_nanosleep, clock_nap, 2, 0, 5}, /* -ERESTARTNOHAND, or as below */
        {SYS_nanosleep, nap, 0, 0, 5},      /* -ERESTART_RESTARTBLOCK */
};

static const Row *row_of(long nr) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].nr == nr)
                        return &rows[i];
        return NULL;
}

int calls_rank(long nr, const uint64_t args[static 6]) {
        const Row *row = row_of(nr);

        return row ? row->rank(row, args) : CALLS_NEVER;
}

bool calls_has_own_mask(long nr, const uint64_t args[static 6]) {
        const Row *row = row_of(nr);

        return row && row->mask_at && args[row->mask_at] != 0;
}

/* PTRACE_GETSIGMASK tells the mask that comes back after such a call, no longer that in force, since Linux 5.1
 * (test_tsk_restore_sigmask(); older ones with the change brought back are refused as well). */
bool calls_can_keep_mask(void) {
        static int answer; /* 0: not asked yet */
        unsigned major = 0, minor = 0;
        struct utsname u;

        if (answer == 0)
                answer = uname(&u) == 0 && sscanf(u.release, "%3u.%3u", &major, &minor) == 2 &&
                                         (major > 5 || (major == 5 && minor >= 1))
                                 ? 1
                                 : -1;
        return answer > 0;
}

/* Those whose EINTR says that nothing was transferred, taken or handed in; all others keep what the kernel gave them.
 */
bool calls_begin_again(long nr) {
        static const long list[] = {
#ifdef SYS_epoll_wait
                SYS_epoll_wait,
#endif
                SYS_epoll_pwait, SYS_epoll_pwait2, SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg,
                SYS_accept, SYS_accept4, SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg, SYS_semop, SYS_semtimedop,
                SYS_rt_sigtimedwait, SYS_io_getevents, SYS_io_uring_enter,
        };

        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                if (list[i] == nr)
                        return true;
        return false;
}

/* Functions of the kernel that wait in calls that a stop does not disturb; by versions' names. Missing for a reason:
 * wait_woken() and unix_stream_read_generic() (sending and MSG_WAITALL wait there too), pipe_wait() (until Linux 5.4,
 * writing too), do_sigtimedwait(), and all that is not known. The rank is a guess: what the call is, the stop shows. */
static const struct {
        const char *symbol;
        signed char rank;
        bool chain_too; /* may a function that a chain calls wait there? */
} sleeps[] = {
        {"futex_wait_queue_me", CALLS_ENDLESS, true},  /* until Linux 5.15 */
        {"futex_wait_queue", CALLS_ENDLESS, true},     /* 5.16 */
        {"futex_do_wait", CALLS_ENDLESS, true},        /* 6.15 */
        {"__futex_wait", CALLS_ENDLESS, true},         /* where the compiler put it in there */
        {"futex_wait", CALLS_ENDLESS, true},
        {"do_wait", CALLS_ENDLESS + 1, false},
        {"pipe_read", CALLS_ENDLESS + 1, false},
        {"anon_pipe_read", CALLS_ENDLESS + 1, false},  /* 6.15 */
        {"eventfd_read", CALLS_ENDLESS + 1, false},
        {"__skb_wait_for_more_packets", CALLS_ENDLESS + 2, false}, /* datagrams, accept() on AF_UNIX */
        {"inet_csk_accept", CALLS_ENDLESS + 3, false},
        {"poll_schedule_timeout", CALLS_ENDLESS + 4, false},
        {"do_sys_poll", CALLS_ENDLESS + 4, false},
        {"do_select", CALLS_ENDLESS + 4, false},
        {"ep_poll", CALLS_ENDLESS + 5, false},
        {"do_epoll_wait", CALLS_ENDLESS + 5, false},
        {"hrtimer_nanosleep", CALLS_RELATIVE, true},   /* tcmalloc's spin lock */
        {"common_nsleep", CALLS_RELATIVE, true},
        {"common_nsleep_timens", CALLS_RELATIVE, true}, /* 5.6 */
};

/* A compiler's copy of a function has a dot and more behind its name. */
static bool is_symbol(const char *wchan, const char *symbol) {
        size_t n = strcspn(wchan, ".\n");

        return strlen(symbol) == n && memcmp(wchan, symbol, n) == 0;
}

int calls_wchan_rank(const char *wchan) {
        for (size_t i = 0; i < ELEMENTSOF(sleeps); i++)
                if (is_symbol(wchan, sleeps[i].symbol))
                        return sleeps[i].rank;
        return CALLS_NEVER;
}

bool calls_wchan_is_elsewhere(const char *wchan) {
        for (size_t i = 0; i < ELEMENTSOF(sleeps); i++)
                if (is_symbol(wchan, sleeps[i].symbol))
                        return !sleeps[i].chain_too;
        return false;
}

bool calls_wchan_is_frozen(const char *wchan) {
        static const char *const list[] = {
                "__refrigerator",   /* cgroup v1's freezer, suspend */
                "do_freezer_trap",  /* cgroup v2's, Linux 5.2 */
                "get_signal",       /* where the compiler put it in there */
                "do_signal_stop",
        };

        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                if (is_symbol(wchan, list[i]))
                        return true;
        return false;
}

void calls_name(long nr, char *buf, size_t size) {
        _cleanup_free_ char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)nr);

        if (name)
                snprintf(buf, size, "%s", name);
        else
                snprintf(buf, size, "call %ld", nr);
}
