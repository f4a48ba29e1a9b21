/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/status: all of a process' memory figures in one read, for any user. Since Linux 6.2 the kernel keeps RSS in
 * per-CPU counters, so that it may be off by some pages a CPU; VmRSS still is the exact sum of the three kinds printed.
 * The file is text under the control of the watched process (its name), so every line is checked and a figure that is
 * not exactly of the form the kernel prints is absent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define STATUS_NAME_MAX 64 /* kernel threads' names are longer than TASK_COMM_LEN; see proc_task_name() */

typedef enum StatusField {
        STATUS_NAME = 1 << 0,
        STATUS_STATE = 1 << 1,
        STATUS_TGID = 1 << 2,
        STATUS_PID = 1 << 3,
        STATUS_PPID = 1 << 4,
        STATUS_UID = 1 << 5,
        STATUS_NSPID = 1 << 6,   /* Linux 4.1 */
        STATUS_PEAK = 1 << 7,
        STATUS_SIZE = 1 << 8,
        STATUS_HWM = 1 << 9,
        STATUS_RSS = 1 << 10,
        STATUS_ANON = 1 << 11,   /* these three: Linux 4.5 */
        STATUS_FILE = 1 << 12,
        STATUS_SHMEM = 1 << 13,
        STATUS_EXE = 1 << 14,
        STATUS_PTE = 1 << 15,
        STATUS_SWAP = 1 << 16,   /* Linux 2.6.34 */
        STATUS_THREADS = 1 << 17,
} StatusField;

/* What one sample needs of it. */
#define STATUS_MEMORY (STATUS_SIZE | STATUS_HWM | STATUS_RSS | STATUS_PTE | STATUS_SWAP | STATUS_THREADS)
#define STATUS_RSS_KIND (STATUS_ANON | STATUS_FILE | STATUS_SHMEM)

typedef struct ProcStatus {
        uint32_t have; /* StatusField bits: the line was there and good */
        uint32_t seen; /* the line was there, good or not */

        char name[STATUS_NAME_MAX + 1]; /* unescaped: any bytes but NUL */
        char state;                     /* R S D Z T t X I */
        pid_t tgid, pid, ppid;
        pid_t ns_pid;    /* in the innermost PID namespace */
        uid_t uid;       /* real */
        uint64_t peak_bytes, size_bytes, hwm_bytes, rss_bytes;
        uint64_t anon_bytes, file_bytes, shmem_bytes;
        uint64_t exe_bytes; /* text of the program: constant between two execve() */
        uint64_t pte_bytes, swap_bytes;
        uint32_t n_threads;
} ProcStatus;

#define PROC_STATUS_NULL ((ProcStatus){.state = '?'})

/**
 * status_parse() - whole lines of status into figures
 * @buf:      @len bytes, hostile; a line without its newline is left alone
 * @st:       added to, so that a file longer than a buffer can be given in pieces. The first line of a name counts
 * @ret_used: bytes of the whole lines
 * Return: true when the last line of interest (Threads) was seen and the rest need not be read.
 * Source: Documentation/filesystems/proc.rst, table 1-2. Test: tests/unit/test-status.c, tests/fuzz/fuzz-status.c
 */
bool status_parse(const char *buf, size_t len, ProcStatus *st, size_t *ret_used);

/**
 * status_read() - one pread() of a kept-open descriptor (several only for a process with hundreds of groups)
 * @fd:  stays open across execve() of the target
 * @ret: untouched on failure. No allocation
 * Return: 0; -ESRCH: the process is gone; other negative errno.
 */
int status_read(int fd, ProcStatus *ret) _must_check_;
