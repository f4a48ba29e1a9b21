/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "sample/find.h"
#include "sample/stat.h"
#include "sample/status.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define CGROUP_TEXT_MAX 8192
#define RECHECK_TICKS 32 /* a process is moved between groups seldom, mostly right after its start */
#define ADOPT_ATTEMPTS 3

static const char *const event_names[_TARGET_EVENT_MAX] = {
        [TARGET_EVENT_NONE] = "none",
        [TARGET_EVENT_ABSENT] = "absent",
        [TARGET_EVENT_STARTED] = "started",
        [TARGET_EVENT_RESTARTED] = "restarted",
        [TARGET_EVENT_EXECED] = "execed",
        [TARGET_EVENT_ENDED] = "ended",
};

static const char *const match_names[_TARGET_MATCH_MAX] = {
        [TARGET_MATCH_NONE] = "none",       [TARGET_MATCH_PID] = "pid",         [TARGET_MATCH_PIDFILE] = "pidfile",
        [TARGET_MATCH_EXE] = "exe",         [TARGET_MATCH_CMDLINE] = "cmdline", [TARGET_MATCH_UNIT] = "unit",
        [TARGET_MATCH_MAIN] = "main",
};

const char *target_event_name(TargetEvent e) {
        return (unsigned)e < _TARGET_EVENT_MAX ? event_names[e] : "unknown";
}

const char *target_match_name(TargetMatch m) {
        return (unsigned)m < _TARGET_MATCH_MAX ? match_names[m] : "unknown";
}

const char *target_absent_reason(const Target *t) {
        return t->pid > 0 || !t->absent_reason ? "" : t->absent_reason;
}

void target_init(Target *t, const TargetSpec *spec, const TargetSource *src) {
        *t = TARGET_NULL;
        t->spec = *spec;
        t->source = *src;
        if (spec->match == TARGET_MATCH_CMDLINE) {
                int r = regcomp(&t->regex, spec->value, REG_EXTENDED | REG_NOSUB);

                t->regex_error = r == 0 ? 0 : r == REG_ESPACE ? -ENOMEM : -EINVAL;
        }
}

/* Forget the process, keep the spec. */
static void drop(Target *t) {
        cgroup_close(&t->cgroup);
        t->pid_fd = fd_close(t->pid_fd);
        t->status_fd = fd_close(t->status_fd);
        t->statm_fd = fd_close(t->statm_fd);
        t->cgroup_root_fd = fd_close(t->cgroup_root_fd);
        t->dir_fd = fd_close(t->dir_fd);
        t->pid = 0;
        t->cgroup_mark = 0;
        t->cgroup_denied = t->cgroup_stale = false;
        t->exec_seen = t->exec_hint = false;
        t->text_pages = t->peak_bytes = t->start_stack = 0;
}

void target_done(Target *t) {
        drop(t);
        if (t->regex_error == 0)
                regfree(&t->regex);
        *t = TARGET_NULL;
}

/* FNV-1a */
static uint64_t hash_text(const char *text, size_t len) {
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < len; i++)
                h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
        return h | 1; /* 0 = none */
}

/* The target's own view, which takes ptrace-read access to the process (path_resolution through /proc/PID/root). */
static int open_own_view(Target *t, const char *text) {
        _cleanup_fd_ int root_fd = -1;

        if (t->cgroup_root_fd >= 0)
                return cgroup_open(t->cgroup_root_fd, text, t->pid, &t->cgroup);
        root_fd = rootfs_open_dir(t->dir_fd, "root/sys/fs/cgroup");
        if (root_fd < 0) {
                t->cgroup_denied = root_fd == -EACCES || root_fd == -EPERM;
                return root_fd;
        }
        return cgroup_open(root_fd, text, t->pid, &t->cgroup);
}

/* Find the group (again), if the process is in another one than before. Our own view goes first: on a host it shows the
 * ancestors too. Both are verified by cgroup.procs, so that neither can be the wrong group. No group is no failure. */
static int open_cgroup(Target *t) {
        char text[CGROUP_TEXT_MAX];
        ssize_t n = rootfs_read(t->dir_fd, "cgroup", text, sizeof(text));
        uint64_t mark;
        int r = -ENOENT;

        if (n < 0)
                return (int)n;
        mark = hash_text(text, (size_t)n);
        if (t->cgroup.version != 0 && mark == t->cgroup_mark && !t->cgroup_stale)
                return 0;
        cgroup_close(&t->cgroup);
        t->cgroup_mark = mark;
        t->cgroup_stale = t->cgroup_denied = false;
        if (t->source.cgroup_fd >= 0)
                r = cgroup_open(t->source.cgroup_fd, text, t->pid, &t->cgroup);
        return r < 0 ? open_own_view(t, text) : r;
}

bool target_wants_cgroup_dir(const Target *t) {
        return t->pid > 0 && t->cgroup.version == 0 && t->cgroup_denied;
}

int target_set_cgroup_dir(Target *t, int dir_fd) {
        if (t->pid <= 0) {
                fd_close(dir_fd);
                return -ESRCH;
        }
        fd_close(t->cgroup_root_fd);
        t->cgroup_root_fd = dir_fd;
        t->cgroup_stale = true;
        return open_cgroup(t);
}

static void copy_comm(Target *t, const char *comm) {
        size_t n = strnlen(comm, TARGET_COMM_MAX);

        memcpy(t->comm, comm, n);
        t->comm[n] = '\0';
}

/* Its end is set before its start, which makes the text larger than all of the memory for an instant of an execve(). */
static uint64_t text_of(const ProcStatm *statm) {
        return statm->text_pages <= statm->size_pages ? statm->text_pages : 0;
}

/* What a new program changes: name, arguments, owner (set-user-id), and the marks that tell the next one. */
static int read_program(Target *t, const ProcStat *st) {
        ProcStatus status;
        ProcStatm statm;
        int r = status_read(t->status_fd, &status);

        if (r < 0)
                return r;
        /* /proc/TID exists though it is not listed; a thread is not a process */
        if ((status.have & STATUS_TGID) && status.tgid != st->pid)
                return -ESRCH;
        r = statm_read(t->statm_fd, &statm);
        if (r < 0)
                return r;
        if (find_read_cmdline(t->dir_fd, "cmdline", t->cmdline, sizeof(t->cmdline)) < 0)
                t->cmdline[0] = '\0';
        copy_comm(t, st->comm);
        t->uid = (status.have & STATUS_UID) ? status.uid : (uid_t)-1;
        t->text_pages = text_of(&statm);
        t->peak_bytes = (status.have & STATUS_PEAK) ? status.peak_bytes : 0;
        t->start_stack = st->start_stack;
        t->exec_seen = t->exec_hint = false;
        return 0;
}

/* pidfd_open(2), Linux 5.3. Must run before the last look through dir_fd: when that finds the process alive, the pid
 * was not free in between and the descriptor is of the same process. Return: 0, also without support; -ESRCH. */
static int open_pidfd(Target *t, pid_t pid) {
        int fd;

        if (!t->source.pidfd)
                return 0;
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
                return errno == ESRCH ? -ESRCH : errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
        t->pid_fd = fd;
        return 0;
}

static uint64_t ticks_to_usec(uint64_t ticks) {
        long hz = sysconf(_SC_CLK_TCK);

        if (hz <= 0)
                hz = 100;
        return ticks > UINT64_MAX / USEC_PER_SEC ? 0 : ticks * USEC_PER_SEC / (uint64_t)hz;
}

/* Take @pid as the target. /proc/PID is opened once and everything is opened below it: it belongs to this process and
 * answers ESRCH after its end, whoever gets the number then. */
static int adopt_steps(Target *t, pid_t pid) {
        char name[16];
        ProcStat st;
        int r;

        snprintf(name, sizeof(name), "%d", (int)pid);
        t->dir_fd = rootfs_open_dir(t->source.proc_fd, name);
        if (t->dir_fd < 0)
                return t->dir_fd;
        r = open_pidfd(t, pid);
        if (r < 0)
                return r;
        t->status_fd = rootfs_open(t->dir_fd, "status");
        if (t->status_fd < 0)
                return t->status_fd;
        t->statm_fd = rootfs_open(t->dir_fd, "statm");
        if (t->statm_fd < 0)
                return t->statm_fd;
        r = stat_read(t->dir_fd, "stat", &st);
        if (r < 0)
                return r;
        if (st.pid != pid || st.state == 'Z' || st.state == 'X')
                return -ESRCH;
        r = read_program(t, &st);
        if (r < 0)
                return r;
        t->pid = pid;
        t->start_ticks = st.start_ticks;
        t->start_boot_usec = ticks_to_usec(st.start_ticks);
        r = open_cgroup(t);
        return find_is_own_trouble(r) ? r : 0;
}

static int adopt(Target *t, pid_t pid) {
        int r = adopt_steps(t, pid);

        if (r < 0)
                drop(t);
        return r;
}

/* Return: 0: found and taken; -ENOENT: not there; other negative errno: trouble of our own. */
static int locate(Target *t) {
        if (t->spec.match == TARGET_MATCH_CMDLINE && t->regex_error < 0)
                return t->regex_error;
        if (t->spec.match == TARGET_MATCH_PID && t->was_found) {
                t->absent_reason = "the process given by its pid has ended";
                return -ENOENT;
        }
        for (unsigned i = 0; i < ADOPT_ATTEMPTS; i++) {
                pid_t pid;
                const regex_t *regex = t->regex_error == 0 ? &t->regex : NULL;
                int r = find_process(&t->spec, regex, &t->source, &pid, &t->absent_reason);

                if (r < 0)
                        return r;
                r = adopt(t, pid);
                if (r == 0 || find_is_own_trouble(r))
                        return r;
                t->absent_reason = r == -EACCES || r == -EPERM ? "the process is there but may not be looked at"
                                                               : "the process ended while it was looked at";
        }
        return -ENOENT;
}

bool target_is_same(const Target *t) {
        ProcStat st;

        if (t->pid <= 0)
                return false;
        return stat_read(t->dir_fd, "stat", &st) == 0 && st.start_ticks == t->start_ticks && st.state != 'Z' &&
               st.state != 'X';
}

/* Whether the process lives: statm's descriptor is bound to it and says so for the price of a poll(). (A pidfd says it
 * later, when the last thread has gone; a literal tree's descriptor never does, hence the look by name without pidfd.)
 * @ret_text_pages: of its program; 0 = not known now. */
static bool is_alive(const Target *t, uint64_t *ret_text_pages) {
        ProcStatm statm;
        int r;

        *ret_text_pages = 0;
        if (t->pid_fd < 0 && !target_is_same(t))
                return false;
        r = statm_read(t->statm_fd, &statm);
        if (r < 0)
                return r != -ESRCH && r != -ENOENT;
        if (statm.size_pages == 0) /* no memory any more: a zombie, or on its way to be one */
                return false;
        *ret_text_pages = text_of(&statm);
        return true;
}

/* A sample saw another name: by execve(), or did the process rename itself? */
static int follow_hint(Target *t) {
        ProcStat st;
        int r = stat_read(t->dir_fd, "stat", &st);

        if (r < 0)
                return r;
        t->exec_hint = st.start_stack == 0 && t->start_stack != 0; /* not set yet: look again */
        copy_comm(t, st.comm);
        if (t->start_stack == 0)
                t->start_stack = st.start_stack;
        else if (st.start_stack != 0 && st.start_stack != t->start_stack)
                t->exec_seen = true;
        return 0;
}

/* Is the program the same? In the midst of an execve() the process has its new memory and name, but the size of its
 * text and its addresses are 0 until the program is loaded (load_elf_binary()): nothing is told before that, and then
 * once. */
static int look_at_program(Target *t, uint64_t text_pages, TargetEvent *ret_event) {
        bool was_known = t->text_pages != 0;
        ProcStat st;
        int r;

        if (t->exec_hint) {
                r = follow_hint(t);
                if (r < 0)
                        return r;
        }
        if (text_pages == 0 || (text_pages == t->text_pages && !t->exec_seen))
                return 0;
        r = stat_read(t->dir_fd, "stat", &st);
        if (r >= 0)
                r = read_program(t, &st);
        if (r >= 0 && was_known)
                *ret_event = TARGET_EVENT_EXECED;
        return r;
}

/* The process is the same; is the program, and the group? Return: 0; -ESRCH and the like: it is gone after all. */
static int look_closer(Target *t, uint64_t text_pages, TargetEvent *ret_event) {
        bool recheck = ++t->n_refresh % RECHECK_TICKS == 0;
        TargetEvent event = TARGET_EVENT_NONE;
        int r;

        t->exec_hint |= recheck;
        r = look_at_program(t, text_pages, &event);
        if (r < 0)
                return r;
        if (event == TARGET_EVENT_EXECED || t->cgroup_stale || recheck) {
                r = open_cgroup(t);
                if (find_is_own_trouble(r))
                        return r;
        }
        *ret_event = event;
        return 0;
}

int target_refresh(Target *t, TargetEvent *ret_event) {
        TargetEvent event = TARGET_EVENT_NONE;
        uint64_t text_pages;
        int r;

        if (t->pid > 0) {
                r = is_alive(t, &text_pages) ? look_closer(t, text_pages, &event) : -ESRCH;
                if (r == 0) {
                        *ret_event = event;
                        return 0;
                }
                if (find_is_own_trouble(r))
                        return r;
                drop(t);
                t->told_gone = false;
        }
        r = locate(t);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0) {
                event = t->was_found ? TARGET_EVENT_RESTARTED : TARGET_EVENT_STARTED;
                t->was_found = true;
                t->told_gone = false;
        } else if (!t->told_gone) {
                event = t->was_found ? TARGET_EVENT_ENDED : TARGET_EVENT_ABSENT;
                t->told_gone = true;
        }
        *ret_event = event;
        return 0;
}

static void take_status(const ProcStatus *st, Sample *s) {
        uint64_t sum;

        if ((st->have & STATUS_MEMORY) != STATUS_MEMORY)
                return;
        s->have |= SAMPLE_HAVE_STATUS;
        s->rss_bytes = st->rss_bytes;
        s->rss_peak_bytes = st->hwm_bytes;
        s->virtual_bytes = st->size_bytes;
        s->page_table_bytes = st->pte_bytes;
        s->swap_bytes = st->swap_bytes;
        s->n_threads = st->n_threads;
        if ((st->have & STATUS_RSS_KIND) != STATUS_RSS_KIND)
                return;
        /* The kernel adds VmRSS up from these three (task_mem()): anything else is not what it printed. */
        if (__builtin_add_overflow(st->anon_bytes, st->file_bytes, &sum) ||
            __builtin_add_overflow(sum, st->shmem_bytes, &sum) || sum != st->rss_bytes)
                return;
        s->have |= SAMPLE_HAVE_RSS_KIND;
        s->rss_anon_bytes = st->anon_bytes;
        s->rss_file_bytes = st->file_bytes;
        s->rss_shmem_bytes = st->shmem_bytes;
}

/* VmPeak never falls but by execve(), which gives the process other memory; a name is only a hint. */
static void watch_program(Target *t, const ProcStatus *st) {
        if (st->have & STATUS_PEAK) {
                if (st->peak_bytes < t->peak_bytes)
                        t->exec_seen = true;
                t->peak_bytes = st->peak_bytes;
        }
        if ((st->have & STATUS_NAME) && strncmp(st->name, t->comm, TARGET_COMM_MAX) != 0)
                t->exec_hint = true;
}

int target_sample(Target *t, uint64_t now_usec, uint64_t env_limit_bytes, Sample *ret) {
        Sample s = {.time_usec = now_usec};
        ProcStatus st;
        uint32_t have;
        int r;

        if (t->pid <= 0)
                return -ESRCH;
        r = status_read(t->status_fd, &st);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        if (!(st.seen & (STATUS_RSS | STATUS_SIZE)))
                return -ESRCH; /* its memory is gone, it soon will be */
        watch_program(t, &st);
        take_status(&st, &s);
        if (t->cgroup.version != 0) {
                r = cgroup_read(&t->cgroup, &s.cgroup, &have);
                if (r >= 0)
                        s.have |= have;
                else
                        t->cgroup_stale = true; /* removed, or moved out of: the next refresh looks again */
        }
        sample_apply_limit(&s, env_limit_bytes, t->spec.limit_bytes);
        *ret = s;
        return 0;
}
