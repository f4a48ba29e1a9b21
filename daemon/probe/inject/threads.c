/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "probe/inject/access.h"
#include "probe/inject/calls.h"
#include "probe/inject/facts.h"
#include "probe/inject/tracee.h"
#include "util/clock.h"
#include "util/parse.h"
#include "util/rootfs.h"

#define TASKS_MAX 4096     /* threads looked at in one pass */
#define TASKS_BY_NUMBER_MAX 32768    /* those whose number alone is asked for */
#define LOOK_APART_NSEC 5000000L

static bool next_hex(const char **p, uint64_t *ret) {
        char *end;

        *p += strspn(*p, " ");
        if (strncmp(*p, "0x", 2) != 0)
                return false;
        errno = 0;
        *ret = strtoull(*p, &end, 16);
        if (errno || (*end != ' ' && *end != '\n' && *end != '\0'))
                return false;
        *p = end;
        return true;
}

int threads_parse_syscall(const char *line, Candidate *ret) {
        Candidate c = {0};
        const char *p = line;
        char *end;

        if (strncmp(line, "running", 7) == 0 || line[0] == '-')
                return -EAGAIN;
        c.nr = strtol(p, &end, 10);
        if (end == p || *end != ' ' || c.nr < 0 || c.nr > 4096)
                return -EINVAL;
        p = end;
        for (int i = 0; i < 6; i++)
                if (!next_hex(&p, &c.args[i]))
                        return -EINVAL;
        if (!next_hex(&p, &c.sp) || !next_hex(&p, &c.pc))
                return -EINVAL;
        c.known = true;
        *ret = c;
        return 0;
}

#define WCHAN_MAX 128

/* Where in the kernel it sleeps. Return: 0; -EAGAIN: it does not; other negative errno. */
static int read_wchan(int thread_fd, char ret[static WCHAN_MAX]) {
        ssize_t n = rootfs_read(thread_fd, "wchan", ret, WCHAN_MAX);

        if (n < 0)
                return (int)n;
        return n == 0 || strcmp(ret, "0") == 0 ? -EAGAIN : 0;
}

/* Where the file is denied, the place in the kernel says it for most; who may be in a function that a chain calls is
 * stopped for a look at its registers. */
static int foreign_stack_pointer(int thread_fd, pid_t tid, uint64_t *ret, long *ret_nr) {
        static Tracee t; /* 16 KiB */
        char before[WCHAN_MAX], after[WCHAN_MAX];
        uint64_t args[6], held_usec;
        Facts f;
        int r = read_wchan(thread_fd, before);

        if (r == 0)
                r = facts_read(thread_fd, &f);
        if (r == 0)
                r = read_wchan(thread_fd, after);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        if (f.state != 'S' || strcmp(before, after) != 0 || calls_wchan_rank(before) == CALLS_NEVER)
                return -EAGAIN;
        if (calls_wchan_is_elsewhere(before)) {
                *ret = 0;
                *ret_nr = SYS_restart_syscall; /* any: it is in one */
                return 0;
        }
        switch (tracee_stop(&t, tid, TRACEE_STOP_TIMEOUT_USEC)) {
        case TRACEE_STOPPED:
                *ret = arch_sp(&t.state);
                *ret_nr = arch_syscall(&t.state, args);
                tracee_release(&t, &held_usec);
                return 0;
        case TRACEE_DENIED:
                return -EACCES;
        case TRACEE_STUCK:
                return -EBUSY;
        default:
                return -EAGAIN;
        }
}

int threads_stack_pointer(int proc_pid_fd, pid_t tid, uint64_t *ret, long *ret_nr) {
        char path[32], buf[256], *last;
        _cleanup_fd_ int dir = -1;
        const char *p;
        ssize_t n;
        uint64_t sp, pc;

        snprintf(path, sizeof(path), "task/%d", tid);
        dir = rootfs_open_dir(proc_pid_fd, path);
        n = dir < 0 ? dir : rootfs_read(dir, "syscall", buf, sizeof(buf));
        if (n < 0)
                return n == -ENOENT                  ? -ESRCH
                       : n == -EACCES || n == -EPERM ? foreign_stack_pointer(dir, tid, ret, ret_nr)
                                                     : (int)n;
        buf[strcspn(buf, "\n")] = '\0';
        /* "running", or a line that ends in the stack pointer and the program counter */
        last = strrchr(buf, ' ');
        if (!last)
                return -EAGAIN;
        for (p = last; p > buf && p[-1] != ' '; p--)
                ;
        if (!next_hex(&p, &sp) || !next_hex(&p, &pc))
                return -EINVAL;
        *ret = sp;
        *ret_nr = strtol(buf, NULL, 10);
        return 0;
}

static bool has_ns_tid(int task_fd, pid_t tid, pid_t ns_tid) {
        _cleanup_fd_ int dir = -1;
        char name[16];
        Facts f;

        snprintf(name, sizeof(name), "%d", tid);
        dir = rootfs_open_dir(task_fd, name);
        return dir >= 0 && facts_read(dir, &f) == 0 && (f.ns_tid ? f.ns_tid : tid) == ns_tid;
}

static int search_ns_tid(int task_fd, pid_t ns_tid) {
        int fd = fcntl(task_fd, F_DUPFD_CLOEXEC, 0), found = -ESRCH;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir) {
                int r = -errno;
                fd_close(fd);
                return r;
        }
        rewinddir(dir);
        for (unsigned n = 0; found == -ESRCH; n++) {
                struct dirent *de = readdir(dir);
                uint64_t tid;

                if (!de)
                        break;
                if (n >= TASKS_BY_NUMBER_MAX)
                        found = -E2BIG;
                else if (parse_u64(de->d_name, &tid) == 0 && tid <= INT32_MAX &&
                         has_ns_tid(task_fd, (pid_t)tid, ns_tid))
                        found = (int)tid;
        }
        closedir(dir);
        return found;
}

/* In the target's own namespace it is the same number. Otherwise all threads are asked, and twice before there is said
 * to be none: one that ends while the list is read can hide the next (fs/proc/base.c, first_tid()). */
int threads_by_ns_tid(int proc_pid_fd, pid_t ns_tid) {
        _cleanup_fd_ int task_fd = rootfs_open_dir(proc_pid_fd, "task");
        int r;

        if (task_fd < 0)
                return task_fd == -ENOENT ? -ESRCH : task_fd;
        if (has_ns_tid(task_fd, ns_tid, ns_tid))
                return ns_tid;
        r = search_ns_tid(task_fd, ns_tid);
        return r == -ESRCH ? search_ns_tid(task_fd, ns_tid) : r;
}

/* Consoles, serial lines, BSD and UNIX 98 pseudo-terminals (Documentation/admin-guide/devices.txt). */
static bool is_terminal(dev_t device) {
        unsigned n = major(device);

        return (n >= 2 && n <= 5) || n == 19 || n == 22 || (n >= 136 && n <= 143) || n == 188 || n == 204 || n == 229;
}

/* A terminal with VMIN above 1 may hold back a part of what it read, and hands that over when it is interrupted
 * (n_tty_read()): whoever reads one is never asked, and whoever reads another character device is asked last. Where the
 * call is not known yet, its function wait_woken() is none that is asked. */
static int device_rank(int thread_fd, const Candidate *c) {
        char path[32];
        struct stat st;

        if (c->nr != SYS_read && c->nr != SYS_readv)
                return c->rank;
        snprintf(path, sizeof(path), "fd/%u", (unsigned)c->args[0]);
        if (fstatat(thread_fd, path, &st, 0) < 0 || !S_ISCHR(st.st_mode))
                return c->rank;
        return is_terminal(st.st_rdev) ? CALLS_NEVER : c->rank + CALLS_RELATIVE;
}

/* In a call that may be begun again? Fills all of @ret but what facts tell. Return: what it is doing; negative errno.
 */
static int look_at_call(int thread_fd, Candidate *ret) {
        char buf[256], wchan[WCHAN_MAX];
        ssize_t n = rootfs_read(thread_fd, "syscall", buf, sizeof(buf));
        bool denied = n == -EACCES || n == -EPERM;
        int r;

        *ret = (Candidate){0};
        if (n < 0 && !denied)
                return (int)n;
        if (!denied && threads_parse_syscall(buf, ret) < 0)
                return THREADS_RUNNING;
        r = read_wchan(thread_fd, wchan);
        if (r < 0 && denied)
                return r == -EAGAIN ? THREADS_RUNNING : r;
        if (r == 0 && calls_wchan_is_frozen(wchan))
                return THREADS_HALTED;
        ret->rank = denied ? calls_wchan_rank(wchan) : calls_rank(ret->nr, ret->args);
        if (ret->rank < 0)
                return denied ? THREADS_ASLEEP : THREADS_IN_CALL;
        if (ret->known && calls_has_own_mask(ret->nr, ret->args) && !calls_can_keep_mask())
                return THREADS_IN_CALL;
        if (ret->known)
                ret->rank = device_rank(thread_fd, ret);
        return ret->rank < 0 ? THREADS_IN_CALL : THREADS_FIT;
}

/* One look at one thread. Return: what it is doing; negative errno. */
static int look(int task_fd, const char *tid_name, unsigned filters_ok, Candidate *ret) {
        _cleanup_fd_ int dir = rootfs_open_dir(task_fd, tid_name);
        Facts f;
        int r, seen;

        if (dir < 0)
                return dir;
        seen = look_at_call(dir, ret);
        if (seen < 0)
                return seen;
        r = facts_read(dir, &f);
        if (r < 0)
                return r;
        ret->ns_tid = f.ns_tid;
        ret->ctxt_switches = f.ctxt_switches;
        if (f.tracer != 0)
                return THREADS_TRACED;
        if (f.state == 'D')
                return THREADS_UNINTERRUPTIBLE;
        if (f.state == 'T' || f.state == 't')
                return THREADS_HALTED;
        if (seen != THREADS_FIT)
                return seen;
        if (f.state != 'S')
                return THREADS_RUNNING;
        if (facts_deliverable(&f))
                return THREADS_SIGNALLED;
        /* filters and shadow stacks are a thread's, not a process' */
        if (f.shadow_stack || !access_filters_ok(&f, filters_ok))
                return THREADS_FILTERED;
        return THREADS_FIT;
}

static void count(Census *c, ThreadsSeen seen, long nr) {
        c->n++;
        c->by[seen]++;
        for (size_t i = 0; seen == THREADS_IN_CALL && i < THREADS_CALLS_MAX; i++)
                if (c->calls[i].n == 0 || c->calls[i].nr == nr) {
                        c->calls[i].nr = nr;
                        c->calls[i].n++;
                        return;
                }
}

/* Keeps the best THREADS_CANDIDATES_MAX, sorted: a worker before the main thread at the same rank. */
static void insert(Candidate *list, size_t *n, const Candidate *c) {
        size_t i;

        if (*n == THREADS_CANDIDATES_MAX) {
                if (c->rank >= list[*n - 1].rank)
                        return;
                (*n)--;
        }
        for (i = *n; i > 0 && list[i - 1].rank > c->rank; i--)
                list[i] = list[i - 1];
        list[i] = *c;
        (*n)++;
}

static int first_look(int task_fd, pid_t pid, pid_t only_ns_tid, unsigned filters_ok, Candidate *list, size_t *ret_n,
                      Census *seen) {
        int fd = fcntl(task_fd, F_DUPFD_CLOEXEC, 0), denied = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        size_t n = 0;

        if (!dir) {
                int r = -errno;
                fd_close(fd);
                return r;
        }
        rewinddir(dir);
        while (seen->n < TASKS_MAX) {
                struct dirent *de = readdir(dir);
                Candidate c;
                uint64_t tid;
                int r;

                if (!de)
                        break;
                if (parse_u64(de->d_name, &tid) < 0 || tid > INT32_MAX)
                        continue;
                r = look(task_fd, de->d_name, filters_ok, &c);
                if (r == -EACCES || r == -EPERM)
                        denied = r;
                if (r < 0)
                        continue; /* it has ended */
                count(seen, (ThreadsSeen)r, c.nr);
                if (r != THREADS_FIT)
                        continue;
                c.tid = (pid_t)tid;
                if (c.ns_tid == 0)
                        c.ns_tid = c.tid;
                if (only_ns_tid && c.ns_tid != only_ns_tid)
                        continue;
                c.rank = c.rank * 2 + (c.tid == pid); /* see threads_is_late() */
                insert(list, &n, &c);
        }
        closedir(dir);
        *ret_n = n;
        return n == 0 && denied ? denied : 0;
}

bool threads_is_late(const Candidate *c) {
        return c->rank >= CALLS_RELATIVE * 2;
}

static bool is_unmoved(const Candidate *a, const Candidate *b) {
        return a->known == b->known && a->nr == b->nr && a->sp == b->sp && a->pc == b->pc &&
               memcmp(a->args, b->args, sizeof(a->args)) == 0 && a->ctxt_switches == b->ctxt_switches;
}

int threads_find(int proc_pid_fd, pid_t pid, pid_t only_ns_tid, unsigned filters_ok,
                 Candidate ret[static THREADS_CANDIDATES_MAX], Census *ret_seen) {
        _cleanup_fd_ int task_fd = rootfs_open_dir(proc_pid_fd, "task");
        Candidate list[THREADS_CANDIDATES_MAX];
        Census seen = {0};
        size_t n = 0, kept = 0;
        int r;

        if (task_fd < 0)
                return task_fd == -ENOENT ? -ESRCH : task_fd;
        r = first_look(task_fd, pid, only_ns_tid, filters_ok, list, &n, &seen);
        if (r < 0)
                return r;
        /* the interval between two looks is the measurement, not a wait for something */
        if (n > 0)
                nanosleep(&(struct timespec){.tv_nsec = LOOK_APART_NSEC}, NULL);
        for (size_t i = 0; i < n; i++) {
                Candidate c;
                char name[16];

                snprintf(name, sizeof(name), "%d", list[i].tid);
                if (look(task_fd, name, filters_ok, &c) == THREADS_FIT && is_unmoved(&c, &list[i]))
                        ret[kept++] = list[i];
                else {
                        seen.by[THREADS_FIT]--;
                        seen.by[THREADS_MOVED]++;
                }
        }
        *ret_seen = seen;
        return (int)kept;
}

/* ---- for people */

/* Appends as much as fits; a part that does not fit is left out whole. */
static void append(char *buf, size_t size, const char *fmt, ...) _printf_(3, 4);
static void append(char *buf, size_t size, const char *fmt, ...) {
        size_t at = strlen(buf);
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(buf + at, size - at, fmt, ap);
        va_end(ap);
        if (n < 0 || (size_t)n >= size - at)
                buf[at] = '\0';
}

void threads_census_text(const Census *c, char *buf, size_t size) {
        static const char *const texts[_THREADS_SEEN_MAX] = {
                [THREADS_FIT] = "fit to be tried",
                [THREADS_RUNNING] = "running",
                [THREADS_ASLEEP] = "asleep elsewhere",
                [THREADS_UNINTERRUPTIBLE] = "in uninterruptible sleep",
                [THREADS_SIGNALLED] = "with a signal waiting",
                [THREADS_FILTERED] = "under a seccomp filter or with a shadow stack",
                [THREADS_TRACED] = "traced",
                [THREADS_HALTED] = "stopped or frozen",
                [THREADS_MOVED] = "not blocked for long",
        };
        const char *comma = "";

        *buf = '\0';
        append(buf, size, "%u thread%s: ", c->n, c->n == 1 ? "" : "s");
        for (size_t i = 0; i < _THREADS_SEEN_MAX; i++)
                if (c->by[i] && texts[i]) {
                        append(buf, size, "%s%u %s", comma, c->by[i], texts[i]);
                        comma = ", ";
                }
        for (size_t i = 0; i < THREADS_CALLS_MAX && c->calls[i].n; i++) {
                char name[32];

                calls_name(c->calls[i].nr, name, sizeof(name));
                append(buf, size, "%s%u in %s", comma, c->calls[i].n, name);
                comma = ", ";
        }
}
