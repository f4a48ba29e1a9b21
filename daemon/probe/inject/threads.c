/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "probe/inject/facts.h"
#include "util/parse.h"
#include "util/rootfs.h"

#define TASKS_MAX 4096     /* threads looked at in one pass */
#define LOOK_APART_NSEC 5000000L

/* How a call's end is told by its arguments. */
typedef enum Wait {
        WAIT_ENDLESS,  /* nothing but data, or a child, ends it */
        WAIT_MSEC,     /* argument `at`: milliseconds, negative = endless; relative */
        WAIT_TIMESPEC, /* argument `at`: pointer, NULL = endless; relative */
        WAIT_FUTEX,
        WAIT_SLEEP,       /* always timed, relative */
        WAIT_CLOCK_SLEEP, /* relative unless argument 1 has TIMER_ABSTIME */
} Wait;

enum { RANK_ENDLESS = 0, RANK_DEADLINE = 10, RANK_RELATIVE = 20, RANK_NEVER = -1 };

/* Not here, and why: write, sendto, sendmsg (may have done a part); rt_sigtimedwait, rt_sigsuspend, pause, and anything
 * with a signal mask of its own (the mask in force is not the thread's); semop, io_getevents, io_uring_enter (EINTR
 * only, and state in shared rings); futex operations with requeue or PI; brk, mmap, munmap, mprotect, madvise, mremap,
 * prctl (malloc makes them under its locks); clone, fork, vfork, execve; restart_syscall (its arguments are gone). */
static const struct {
        long nr;
        Wait wait;
        signed char at;       /* argument of the time-out */
        signed char null_arg; /* this argument must be NULL (a signal mask); -1 = none */
        signed char penalty;  /* within its class: what is likelier to be the one that serves */
} table[] = {
        {SYS_futex, WAIT_FUTEX, 3, -1, 0},        /* restarted by the kernel; checks its word again */
        {SYS_wait4, WAIT_ENDLESS, -1, -1, 1},     /* -ERESTARTSYS */
        {SYS_waitid, WAIT_ENDLESS, -1, -1, 1},
        {SYS_read, WAIT_ENDLESS, -1, -1, 1},      /* blocked means that nothing was transferred */
        {SYS_readv, WAIT_ENDLESS, -1, -1, 1},
        {SYS_recvfrom, WAIT_ENDLESS, -1, -1, 1},  /* SO_RCVTIMEO: begun again, a longer wait */
        {SYS_recvmsg, WAIT_ENDLESS, -1, -1, 1},
        {SYS_accept, WAIT_ENDLESS, -1, -1, 3},
        {SYS_accept4, WAIT_ENDLESS, -1, -1, 3},
#ifdef SYS_poll /* newer processors have only what takes a signal mask */
        {SYS_poll, WAIT_MSEC, 2, -1, 2},
        {SYS_select, WAIT_TIMESPEC, 4, -1, 2},    /* the kernel writes the time left back: begun again it is exact */
        {SYS_epoll_wait, WAIT_MSEC, 3, -1, 3},    /* EINTR class: the last frame hides it */
#endif
        {SYS_ppoll, WAIT_TIMESPEC, 2, 3, 2},      /* the time left is written back too */
        {SYS_pselect6, WAIT_TIMESPEC, 4, 5, 2},   /* as ppoll: what select() of glibc 2.36 makes */
        {SYS_epoll_pwait, WAIT_MSEC, 3, 4, 3},
        {SYS_clock_nanosleep, WAIT_CLOCK_SLEEP, -1, -1, 0},
        {SYS_nanosleep, WAIT_SLEEP, -1, -1, 0},
};

static int rank_futex(const uint64_t args[static 6]) {
        unsigned op = (unsigned)args[1] & (unsigned)FUTEX_CMD_MASK;

        /* glibc's own low-level locks wait by FUTEX_WAIT with the value 2 (nptl/lowlevellock.c): whoever waits there is
         * in the middle of something. Condition variables, semaphores and joins wait by FUTEX_WAIT_BITSET (since 2.25).
         */
        if (op == FUTEX_WAIT && (uint32_t)args[2] == 2)
                return RANK_NEVER;
        if (op == FUTEX_WAIT_BITSET)
                return args[3] ? RANK_DEADLINE : RANK_ENDLESS; /* its time-out is a point in time */
        if (op == FUTEX_WAIT)
                return args[3] ? RANK_RELATIVE : RANK_ENDLESS + 1;
        return RANK_NEVER;
}

int threads_rank(long nr, const uint64_t args[static 6]) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                int p = table[i].penalty;

                if (table[i].nr != nr)
                        continue;
                if (table[i].null_arg >= 0 && args[table[i].null_arg] != 0)
                        return RANK_NEVER;
                switch (table[i].wait) {
                case WAIT_ENDLESS:
                        return RANK_ENDLESS + p;
                case WAIT_MSEC:
                        return ((int)args[table[i].at] < 0 ? RANK_ENDLESS : RANK_RELATIVE) + p;
                case WAIT_TIMESPEC:
                        return (args[table[i].at] == 0 ? RANK_ENDLESS : RANK_DEADLINE) + p;
                case WAIT_FUTEX:
                        return rank_futex(args);
                case WAIT_SLEEP:
                        return RANK_RELATIVE + 5;
                case WAIT_CLOCK_SLEEP:
                        return (args[1] & TIMER_ABSTIME) ? RANK_DEADLINE : RANK_RELATIVE + 5;
                }
        }
        return RANK_NEVER;
}

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
        *ret = c;
        return 0;
}

int threads_stack_pointer(int proc_pid_fd, pid_t tid, uint64_t *ret, long *ret_nr) {
        char path[48], buf[256], *last;
        const char *p;
        ssize_t n;
        uint64_t sp, pc;

        snprintf(path, sizeof(path), "task/%d/syscall", tid);
        n = rootfs_read(proc_pid_fd, path, buf, sizeof(buf));
        if (n < 0)
                return n == -ENOENT ? -ESRCH : (int)n;
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

/* One look at one thread. Return: 0: may be borrowed; -EAGAIN: not now; other negative errno. */
static int look(int task_fd, const char *tid_name, bool seccomp_ok, Candidate *ret) {
        _cleanup_fd_ int dir = rootfs_open_dir(task_fd, tid_name);
        char buf[256];
        ssize_t n;
        Facts f;
        int r;

        if (dir < 0)
                return dir == -ENOENT ? -EAGAIN : dir;
        n = rootfs_read(dir, "syscall", buf, sizeof(buf));
        if (n < 0)
                return n == -ENOENT || n == -ESRCH ? -EAGAIN : (int)n;
        r = threads_parse_syscall(buf, ret);
        if (r < 0)
                return -EAGAIN;
        ret->rank = threads_rank(ret->nr, ret->args);
        if (ret->rank < 0)
                return -EAGAIN;
        r = facts_read(dir, &f);
        if (r < 0)
                return r == -ESRCH ? -EAGAIN : r;
        if (f.state != 'S' || f.tracer != 0 || facts_deliverable(&f))
                return -EAGAIN;
        /* filters and shadow stacks are a thread's, not a process' */
        if (f.shadow_stack || f.seccomp == 1 || (f.seccomp != 0 && !seccomp_ok))
                return -EAGAIN;
        ret->ns_tid = f.ns_tid;
        ret->ctxt_switches = f.ctxt_switches;
        return 0;
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

static int first_look(int task_fd, pid_t pid, bool seccomp_ok, Candidate *list, size_t *ret_n) {
        int fd = fcntl(task_fd, F_DUPFD_CLOEXEC, 0), denied = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        size_t n = 0;

        if (!dir) {
                int r = -errno;
                fd_close(fd);
                return r;
        }
        rewinddir(dir);
        for (size_t seen = 0; seen < TASKS_MAX;) {
                struct dirent *de = readdir(dir);
                Candidate c;
                uint64_t tid;
                int r;

                if (!de)
                        break;
                if (parse_u64(de->d_name, &tid) < 0 || tid > INT32_MAX)
                        continue;
                seen++;
                r = look(task_fd, de->d_name, seccomp_ok, &c);
                if (r == -EACCES || r == -EPERM)
                        denied = r;
                if (r < 0)
                        continue;
                c.tid = (pid_t)tid;
                if (c.ns_tid == 0)
                        c.ns_tid = c.tid;
                c.rank = c.rank * 2 + (c.tid == pid);
                insert(list, &n, &c);
        }
        closedir(dir);
        *ret_n = n;
        return n == 0 && denied ? denied : 0;
}

int threads_find(int proc_pid_fd, pid_t pid, bool seccomp_ok, Candidate ret[static THREADS_CANDIDATES_MAX]) {
        _cleanup_fd_ int task_fd = rootfs_open_dir(proc_pid_fd, "task");
        Candidate list[THREADS_CANDIDATES_MAX];
        size_t n = 0, kept = 0;
        int r;

        if (task_fd < 0)
                return task_fd == -ENOENT ? -ESRCH : task_fd;
        r = first_look(task_fd, pid, seccomp_ok, list, &n);
        if (r < 0 || n == 0)
                return r;
        /* the interval between two looks is the measurement, not a wait for something */
        nanosleep(&(struct timespec){.tv_nsec = LOOK_APART_NSEC}, NULL);
        for (size_t i = 0; i < n; i++) {
                Candidate c;
                char name[16];

                snprintf(name, sizeof(name), "%d", list[i].tid);
                if (look(task_fd, name, seccomp_ok, &c) < 0 || c.nr != list[i].nr || c.sp != list[i].sp ||
                    c.pc != list[i].pc || memcmp(c.args, list[i].args, sizeof(c.args)) != 0 ||
                    c.ctxt_switches != list[i].ctxt_switches)
                        continue;
                ret[kept++] = list[i];
        }
        return (int)kept;
}
