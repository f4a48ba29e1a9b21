/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is watched. A TargetSpec says how to find the process; a Target is the process found: its identity is a pidfd
 * plus the start time (a pid alone may be reused), and its kept-open descriptors make one sample cost one pread() each.
 * A target may start later than we do, restart, exec or end: each is an event, never an error.
 */
#pragma once

#include <errno.h>
#include <limits.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sample/cgroup.h"
#include "sample/sample.h"

#define TARGET_NAME_MAX 64
#define TARGET_VALUE_MAX 1024 /* not PATH_MAX: 16 targets of that are 64 KiB that a sidecar never needs */
#define TARGET_COMM_MAX 16 /* TASK_COMM_LEN */
#define TARGET_CMDLINE_MAX 256

typedef enum TargetMatch {
        TARGET_MATCH_NONE,
        TARGET_MATCH_PID,
        TARGET_MATCH_PIDFILE,
        TARGET_MATCH_EXE,     /* absolute path or base name of the executable; of argv[0] where the link is denied */
        TARGET_MATCH_CMDLINE, /* POSIX extended regular expression on the arguments joined by blanks */
        TARGET_MATCH_UNIT,    /* systemd unit, or an absolute cgroup path: its oldest process with a parent outside */
        TARGET_MATCH_MAIN,    /* the main container's process of a shared PID namespace */
        _TARGET_MATCH_MAX,
} TargetMatch;

typedef enum TargetPick { TARGET_PICK_OLDEST, TARGET_PICK_NEWEST, TARGET_PICK_LARGEST, _TARGET_PICK_MAX } TargetPick;

typedef struct TargetSpec {
        char name[TARGET_NAME_MAX]; /* label in metrics and alerts; default: derived from the match */
        TargetMatch match;
        pid_t pid;              /* MATCH_PID */
        char value[TARGET_VALUE_MAX]; /* pidfile path, exe, pattern, unit */
        TargetPick pick;        /* when several processes match */
        uint64_t limit_bytes;   /* 0 = from the cgroup */
} TargetSpec;

typedef enum TargetEvent {
        TARGET_EVENT_NONE,
        TARGET_EVENT_ABSENT,    /* never found yet: reported once, then NONE until something changes */
        TARGET_EVENT_STARTED,   /* found for the first time */
        TARGET_EVENT_RESTARTED, /* found again, another process than before; at once (then without ENDED) or later */
        TARGET_EVENT_EXECED,    /* same process, other program */
        TARGET_EVENT_ENDED,     /* gone: exited, killed or a zombie. Reported once, no ABSENT follows */
        _TARGET_EVENT_MAX,
} TargetEvent;

/* Where the target is looked for: /proc and / in production, literal trees in tests. */
typedef struct TargetSource {
        int proc_fd;   /* Owner: caller, outlives the Target */
        int cgroup_fd; /* our own /sys/fs/cgroup: on a host it shows every group, without any access to the target. -1 =
                        * none: only the target's own view is tried. Owner: caller, outlives the Target */
        bool pidfd;    /* false in tests on literal trees: there is no process to hold */
} TargetSource;

typedef struct Target {
        TargetSpec spec;
        TargetSource source;

        pid_t pid;      /* 0 = none now */
        int pid_fd;     /* pidfd (Linux 5.3), polls readable at the end; -1 if unsupported or none */
        uint64_t start_ticks;     /* field 22 of /proc/PID/stat: clock ticks since boot */
        uint64_t start_boot_usec; /* the same on CLOCK_BOOTTIME */
        uid_t uid;
        char comm[TARGET_COMM_MAX + 1];
        char cmdline[TARGET_CMDLINE_MAX]; /* arguments joined by blanks, cut; any bytes but NUL */

        /* internal state */
        int dir_fd, status_fd, statm_fd;
        int cgroup_root_fd; /* from the probe; -1 = none */
        Cgroup cgroup;
        uint64_t cgroup_mark; /* of the text of /proc/PID/cgroup */
        uint64_t n_refresh;
        bool cgroup_denied, cgroup_stale;
        uint64_t text_pages, peak_bytes, start_stack; /* change with the program; 0 = not known */
        bool exec_seen, exec_hint; /* noticed by a sample; told, or looked into, by the next refresh */
        bool was_found, told_gone;
        const char *absent_reason;
        regex_t regex;
        int regex_error; /* 0 = compiled; negative errno */
} Target;

#define TARGET_NULL                                                                                        \
        ((Target){.pid_fd = -1, .dir_fd = -1, .status_fd = -1, .statm_fd = -1, .cgroup_root_fd = -1,        \
                  .source = {.proc_fd = -1, .cgroup_fd = -1}, .cgroup = CGROUP_NULL, .regex_error = -ENODATA})

/**
 * target_init() - a Target that has not been looked for yet
 * @spec: copied. A pattern that does not compile makes every refresh answer -EINVAL
 * @src:  descriptors stay the caller's
 */
void target_init(Target *t, const TargetSpec *spec, const TargetSource *src);
void target_done(Target *t);

/**
 * target_refresh() - look whether the target is (still) there and the same; call once a tick
 * @t:         a target that is gone is searched for again in the same call
 * @ret_event: what changed. After ENDED or ABSENT there is no sample to read
 * Return: 0; negative errno only for trouble of our own (no memory, no /proc): never because of the target.
 * Errors: -ESRCH never leaves this function.
 *
 * While the target is there: a pread() of statm; every 32nd time a closer look at the
 * program and at the cgroup it is in. An execve() shows in the size of the program's text, in a VmPeak that fell (both
 * belong to one program's memory) or, where we may read it, in another stack address; a process that only renames
 * itself is no event. Without that access the same program executed anew goes unnoticed when its VmPeak is larger by
 * the next sample. A target given by pid that ended is never searched for again: the number may be another's.
 */
int target_refresh(Target *t, TargetEvent *ret_event) _must_check_;

/**
 * target_sample() - read status and, where visible, the cgroup, and apply the limit (sample_apply_limit())
 * @now_usec: CLOCK_BOOTTIME stamp to put in
 * @env_limit_bytes: PLATEAU_LIMIT_BYTES or 0
 * Return: 0; -ESRCH: it vanished between refresh and read (the next refresh says ENDED); other negative errno.
 *         Untouched @ret on failure. A cgroup that cannot be read is not a failure: its bits are absent.
 */
int target_sample(Target *t, uint64_t now_usec, uint64_t env_limit_bytes, Sample *ret) _must_check_;

/* target_is_same() - the pid still is the process that was found (start time compared). Cheap; call before any
 * action. */
bool target_is_same(const Target *t);

/* target_wants_cgroup_dir() - /proc/PID/root may not be followed and no group was found without it: the probe should
 * open its sys/fs/cgroup for target_set_cgroup_dir(). */
bool target_wants_cgroup_dir(const Target *t);

/* target_set_cgroup_dir() - a directory descriptor of the target's /sys/fs/cgroup, opened by the probe because we may
 * not follow /proc/PID/root. Owner: the target takes it, also on failure. Return: 0 or negative errno; -ESRCH without a
 * process. */
int target_set_cgroup_dir(Target *t, int dir_fd) _must_check_;

/* target_absent_reason() - why there is no process, in words for people; "" while there is one. Owner: static. */
const char *target_absent_reason(const Target *t);

const char *target_event_name(TargetEvent e); /* "started", "ended", ... */
const char *target_match_name(TargetMatch m); /* "pid", "pidfile", ... */
