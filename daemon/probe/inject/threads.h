/* SPDX-License-Identifier: Apache-2.0
 *
 * Which thread to borrow: one that is blocked, twice looked at, in a system call that malloc never makes under a lock
 * and that may be begun again without the program noticing. Ranked: waits without end first, waits with a deadline
 * next, relative time-outs last (begun again they get longer, never shorter).
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
        int rank; /* lower is better */
        long nr;
        uint64_t args[6], sp, pc;
        uint64_t ctxt_switches;
} Candidate;

/* threads_rank() - how good it is to borrow a thread in this system call. Return: >= 0; -1: never. Pure. */
int threads_rank(long nr, const uint64_t args[static 6]);

/* threads_parse_syscall() - a line of /proc/PID/task/TID/syscall. Return: 0; -EAGAIN: running or not in a call;
 * -EINVAL. Pure. */
int threads_parse_syscall(const char *line, Candidate *ret) _must_check_;

/* threads_stack_pointer() - of a thread that sleeps. @ret_nr: in which system call; -1: in none. Return: 0; -EAGAIN: it
 * runs, so nobody can tell; -ESRCH: no such thread; other negative errno. */
int threads_stack_pointer(int proc_pid_fd, pid_t tid, uint64_t *ret, long *ret_nr) _must_check_;

/**
 * threads_find() - candidates that did not move between two looks, best first
 * @proc_pid_fd: /proc/PID
 * @seccomp_ok: threads under a seccomp filter too: each thread may have one of its own
 * Return: how many (0 = none now); -EACCES; -ESRCH; other negative errno.
 */
int threads_find(int proc_pid_fd, pid_t pid, bool seccomp_ok,
                 Candidate ret[static THREADS_CANDIDATES_MAX]) _must_check_;
