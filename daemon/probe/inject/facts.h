/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc says of a process or thread that matters before it is touched: one read of status or stat, strictly
 * parsed. The probe has this reader of its own, apart from sample/'s: other fields matter here, and the privileged half
 * links no more than it needs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

typedef struct Facts {
        char state;           /* R S D T t Z X I */
        pid_t tracer;         /* 0 = none */
        pid_t ns_tid;         /* its number in its own PID namespace; 0 = not told (before Linux 4.1) */
        uid_t uid, euid;
        unsigned n_threads;
        unsigned seccomp;     /* 0 off, 1 strict, 2 filter */
        unsigned seccomp_filters; /* how many; 0 = none, or not told (before Linux 5.9) */
        bool shadow_stack;    /* x86_Thread_features has shstk (Linux 6.6) */
        uint64_t sig_pending, sig_pending_shared, sig_blocked, sig_ignored, sig_caught;
        uint64_t ctxt_switches; /* voluntary + forced */
        uint64_t rss_bytes;     /* VmRSS */
        bool rss_known;
} Facts;

/* facts_parse() - text of a status file. Pure; fuzzed. Return: 0 or -EINVAL when State, Uid or the signal masks are
 * missing. */
int facts_parse(const char *text, Facts *ret) _must_check_;
/* facts_read() - @dir_fd: /proc/PID or /proc/PID/task/TID. Return: 0; -ESRCH; other negative errno. */
int facts_read(int dir_fd, Facts *ret) _must_check_;
/* facts_pread() - the same from an open status file. */
int facts_pread(int status_fd, Facts *ret) _must_check_;
/* facts_start_ticks() - field 22 of stat. Return: 0; -ESRCH; -EINVAL. */
int facts_start_ticks(int dir_fd, uint64_t *ret) _must_check_;
/* facts_deliverable() - a pending signal that would interrupt the thread: pending, not blocked, not ignored. */
bool facts_deliverable(const Facts *f);
