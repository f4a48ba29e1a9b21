/* SPDX-License-Identifier: Apache-2.0
 *
 * Which thread to borrow: one that is blocked, twice looked at, in a system call that malloc never makes under a lock
 * and that may be begun again without the program noticing (inject/calls.h has the table).
 *
 * The call is told by /proc/PID/task/TID/syscall, which only the thread's user may read: it is mode 0400, and
 * CAP_SYS_PTRACE does not override that. For another user's process there is state and wchan, the kernel's function in
 * which the thread sleeps. That names threads which a stop does not disturb; in which call one is, its registers tell
 * at the stop, and then it is taken or let go again. "It did not move between two looks" is then known by its count of
 * context switches alone, and that it is in the call by the stop itself: -ERESTART* and EINTR with a system call's
 * number in orig_rax is what an interrupted call leaves, and nothing else does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define THREADS_CANDIDATES_MAX 64

typedef struct Candidate {
        pid_t tid, ns_tid; /* ns_tid: in its own PID namespace, as its C library knows it */
        int rank;   /* lower is better */
        bool known; /* the next four: they are not told of another user's thread */
        long nr;
        uint64_t args[6], sp, pc;
        uint64_t ctxt_switches;
} Candidate;

/* What each thread was found doing. */
typedef enum ThreadsSeen {
        THREADS_FIT,
        THREADS_RUNNING,
        THREADS_IN_CALL,        /* one that is never borrowed */
        THREADS_ASLEEP,         /* in an unknown one: it is another user's */
        THREADS_UNINTERRUPTIBLE,
        THREADS_SIGNALLED,
        THREADS_FILTERED,       /* seccomp, or a shadow stack */
        THREADS_TRACED,
        THREADS_HALTED,         /* stopped by job control, or frozen by its cgroup */
        THREADS_MOVED,          /* not the same at the second look */
        _THREADS_SEEN_MAX,
} ThreadsSeen;

#define THREADS_CALLS_MAX 4 /* calls that are counted apart */

typedef struct Census {
        unsigned n, by[_THREADS_SEEN_MAX];
        struct {
                long nr;
                unsigned n;
        } calls[THREADS_CALLS_MAX]; /* of THREADS_IN_CALL; the first that were met */
} Census;

/* threads_parse_syscall() - a line of /proc/PID/task/TID/syscall. Return: 0; -EAGAIN: running or not in a call;
 * -EINVAL. Pure. */
int threads_parse_syscall(const char *line, Candidate *ret) _must_check_;

/* threads_stack_pointer() - of a thread that sleeps; 0 where that is not told, but it is certain that it is in no
 * function that a chain calls. @ret_nr: in which system call; -1: in none. Another user's thread may have to be stopped
 * for it. Return: 0; -EAGAIN: it runs, so nobody can tell; -ESRCH: no such thread; other negative errno. */
int threads_stack_pointer(int proc_pid_fd, pid_t tid, uint64_t *ret, long *ret_nr) _must_check_;

/* threads_by_ns_tid() - the thread that its C library knows by this number. Return: its number here; -ESRCH: there is
 * none; -E2BIG: more threads than are looked at; other negative errno. */
int threads_by_ns_tid(int proc_pid_fd, pid_t ns_tid) _must_check_;

/**
 * threads_find() - candidates that did not move between two looks, best first
 * @proc_pid_fd: /proc/PID
 * @only_ns_tid: no other than the one that its C library knows by this number; 0 = any
 * @filters_ok: of access_filters_ok(): each thread may have one of its own
 * @ret_seen: all of them, by what they were doing
 * Return: how many (0 = none now); -EACCES; -ESRCH; other negative errno.
 */
int threads_find(int proc_pid_fd, pid_t pid, pid_t only_ns_tid, unsigned filters_ok,
                 Candidate ret[static THREADS_CANDIDATES_MAX], Census *ret_seen) _must_check_;

/* threads_is_late() - would its wait become longer, as far as was known before a stop? */
bool threads_is_late(const Candidate *c);

/* threads_census_text() - "14 threads: 9 running, 3 in io_uring_enter, 2 frozen". */
void threads_census_text(const Census *c, char *buf, size_t size);
