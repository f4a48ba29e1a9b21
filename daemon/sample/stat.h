/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/stat and /proc/PID/statm: identity (start time, parent, state) and the two cheapest memory figures. The
 * second field of stat is the process' own name in parentheses, unescaped: it may hold blanks, newlines, ')' and
 * digits, so that the fields are counted from the last ')' of the text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define STAT_COMM_MAX 64

typedef struct ProcStat {
        pid_t pid, ppid;
        char comm[STAT_COMM_MAX + 1]; /* any bytes but NUL */
        char state;
        bool is_kernel_thread;   /* PF_KTHREAD */
        uint64_t start_ticks;    /* clock ticks since boot, suspend included */
        uint64_t start_stack;    /* address, another after each execve() (ASLR); 0 without ptrace-read access */
} ProcStat;

/**
 * stat_parse() - identity of a process
 * @buf: @len bytes, hostile. Must be the whole line: one cut short is refused
 * @ret: untouched on failure
 * Return: 0; -EBADMSG: not what the kernel prints.
 * Source: proc_pid_stat(5). Test: tests/unit/test-stat.c, tests/fuzz/fuzz-stat.c
 */
int stat_parse(const char *buf, size_t len, ProcStat *ret) _must_check_;

/* stat_read() - open, read and parse @path ("stat" or "PID/stat"). Return: 0; -ENOENT, -ESRCH: gone; other errno. */
int stat_read(int dir_fd, const char *path, ProcStat *ret) _must_check_;

typedef struct ProcStatm {
        uint64_t size_pages;     /* 0: no memory any more, i.e. a zombie (or a kernel thread) */
        uint64_t resident_pages; /* as VmRSS, but since Linux 6.2 from counters that may be some pages a CPU off */
        uint64_t text_pages;     /* of the program: constant between two execve() */
} ProcStatm;

/* statm_parse() - as stat_parse(). Return: 0 or -EBADMSG. */
int statm_parse(const char *buf, size_t len, ProcStatm *ret) _must_check_;

/* statm_read() - one pread() of a kept-open descriptor, a fifth of the cost of status. Return: 0; -ESRCH; other
 * errno. */
int statm_read(int fd, ProcStatm *ret) _must_check_;
