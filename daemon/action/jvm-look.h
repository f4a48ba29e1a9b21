/* SPDX-License-Identifier: Apache-2.0
 *
 * Is it a HotSpot JVM, and may it get SIGQUIT? The signal that wakes a JVM's attach listener ends any other process,
 * and a JVM started with -Xrs too. So every sign must agree before it is sent: the library, its symbols, the thread
 * that waits for the signal, the caught signal, the options. Reads only, nothing is allocated: it runs after fork().
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define JVM_LOOK_NAME_MAX 48

/* What its memory map says. */
typedef struct JvmLook {
        bool has_libjvm; /* a file of the name libjvm.so is mapped executable */
        bool has_j9;     /* it is OpenJ9, whose attach is another and whose SIGQUIT writes a dump */
        bool has_glibc;
        bool replaced;                        /* the libjvm.so mapped is no longer in its place */
        char other_malloc[JVM_LOOK_NAME_MAX]; /* file name of a malloc library: malloc_trim may not be its purge */
        char libjvm[PATH_MAX];                /* as the kernel wrote it, seen from the target's root */
} JvmLook;

/* jvm_look_line() - add what one line of maps says, of @n bytes without its newline. Pure. */
void jvm_look_line(JvmLook *look, const char *line, size_t n);
/* jvm_look_maps() - all lines of an open maps file, read from where it stands. Return: 0; -E2BIG; other negative
 * errno. @ret untouched on failure. */
int jvm_look_maps(int maps_fd, JvmLook *ret) _must_check_;

/* What its status says. */
typedef struct JvmFacts {
        char state;
        uid_t euid;
        gid_t egid;
        pid_t ns_pid;        /* in the innermost PID namespace, which its file names have in them */
        uint64_t sig_caught; /* bit N-1 for signal N */
        uint64_t rss_bytes;
        bool rss_known;
} JvmFacts;

/* jvm_look_facts() - Return: 0; -ESRCH: it has ended; -EBADMSG: a line is missing; other negative errno. */
int jvm_look_facts(int proc_pid_fd, JvmFacts *ret) _must_check_;

/**
 * jvm_look_may_signal() - all the signs that take a look into files
 * @root_fd: its root directory
 * @env_fd:  its environ, or -1: not readable. Read from where it stands
 * @why:     one phrase when it may not, otherwise untouched
 */
bool jvm_look_may_signal(int proc_pid_fd, int root_fd, int env_fd, const JvmLook *look, const char **why);

/* jvm_look_open() - @path below @root_fd, links followed inside of it only. @flags: of open(2). Return: descriptor or
 * negative errno. */
int jvm_look_open(int root_fd, const char *path, int flags) _must_check_;
