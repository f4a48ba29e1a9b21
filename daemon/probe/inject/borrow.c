/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/borrow.h"

#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "probe/inject/facts.h"
#include "probe/inject/remote.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define STOP_TIMEOUT_USEC (500 * USEC_PER_MSEC) /* a blocked thread stops within a scheduling delay */
#define RETRY_FIRST_NSEC 5000000L
#define RETRY_LAST_NSEC 160000000L
#define CALL_STACK_BYTES 1024 /* what mmap and munmap take on the borrowed stack, with room */

int borrow_open(Borrow *b, pid_t pid, uint64_t start_ticks) {
        char path[32];
        uint64_t ticks;
        int r;

        b->pid = pid;
        b->start_ticks = start_ticks;
        snprintf(path, sizeof(path), "/proc/%d", pid);
        b->proc_fd = rootfs_open_dir(-1, path);
        if (b->proc_fd < 0)
                return b->proc_fd == -ENOENT ? -ESRCH : b->proc_fd;
        r = facts_start_ticks(b->proc_fd, &ticks);
        return r < 0 ? r : ticks == start_ticks ? 0 : -ESRCH;
}

void borrow_done(Borrow *b) {
        maps_done(&b->maps);
        b->proc_fd = fd_close(b->proc_fd);
        b->lock_fd = fd_close(b->lock_fd);
}

int borrow_lock(Borrow *b) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "plateau-call-%d-%llu", b->pid,
                         (unsigned long long)b->start_ticks);

        if (fd < 0 ||
            bind(fd, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0)
                return -errno;
        b->lock_fd = take_fd(&fd);
        return 0;
}

static void account(Borrow *b, uint64_t held_usec) {
        b->held_usec += held_usec;
        b->held_max_usec = max_of(b->held_max_usec, held_usec);
}

/* errno as the thread has it is put back by the chain's last call: swab() is the one function of libc that copies
 * bytes, is no IFUNC and needs nothing; it exchanges them pairwise, so they are handed to it exchanged. */
static void add_errno_call(const Borrow *b, const Tracee *t, uint64_t copy_addr, Call *calls, size_t *n,
                           unsigned char copy[static 4]) {
        uint64_t addr = arch_thread_pointer(&t->state) + (uint64_t)b->image.errno_tp_offset;
        unsigned char raw[4];

        if (!b->image.has_errno || !b->image.sym.swab || remote_read(b->pid, addr, raw, sizeof(raw)) < 0)
                return;
        for (int i = 0; i < 4; i++)
                copy[i] = raw[i ^ 1];
        calls[(*n)++] = (Call){b->image.sym.swab, {copy_addr, addr, sizeof(raw)}};
}

/* Lays out the chain below @top, with errno's copy on top of it, and writes it. */
static int write_chain(const Borrow *b, const Tracee *t, uint64_t top, BorrowCallsFn fn, void *userdata, Chain *chain) {
        uint64_t copy_addr = (top & ~15ULL) - 16;
        Call calls[ARCH_CALLS_MAX] = {0};
        unsigned char copy[4] = {0};
        size_t n = 0;
        int r;

        fn(userdata, calls, &n);
        add_errno_call(b, t, copy_addr, calls, &n, copy);
        r = arch_chain_build(&t->state, calls, n, copy_addr, b->image.sym.sigreturn, chain);
        if (r < 0)
                return r;
        r = remote_write(b->pid, copy_addr, copy, sizeof(copy));
        return r < 0 ? r : remote_write(b->pid, chain->addr, chain->bytes, chain->len);
}

static int open_status(const Borrow *b, pid_t tid) {
        char path[48];

        snprintf(path, sizeof(path), "task/%d/status", tid);
        return rootfs_open(b->proc_fd, path);
}

/* We are a fresh fork: the first write to each page is a fault, to be taken before a thread is being held, not while.
 */
static void touch(void *p, size_t n) {
        for (size_t i = 0; i < n; i += 1024)
                ((volatile char *)p)[i] = 0;
}

/* One try on one thread. Return: PROBE_OK switched; PROBE_E_NO_SAFE_THREAD: declined, look on; else final. */
static ProbeResult try_thread(Borrow *b, BorrowPlace place, const Candidate *c, BorrowCallsFn fn, void *userdata) {
        static Tracee t;    /* 16 KiB and 21 KiB: off our own stack */
        static Chain chain;
        _cleanup_fd_ int status_fd = open_status(b, c->tid);
        uint64_t held, room = 0;
        int r;

        if (status_fd < 0)
                return PROBE_E_NO_SAFE_THREAD;
        sched_yield(); /* a fresh time slice: to be preempted while a thread is being held would be the longest stop */
        touch(&chain, sizeof(chain));
        touch(&t, sizeof(t));
        switch (tracee_stop(&t, c->tid, STOP_TIMEOUT_USEC)) {
        case TRACEE_STOPPED:
                break;
        case TRACEE_DENIED:
                return PROBE_E_ACCESS;
        case TRACEE_GROUP_STOPPED:
                return PROBE_E_STOPPED;
        case TRACEE_FOREIGN:
                return PROBE_E_FOREIGN_ABI;
        case TRACEE_BUSY:
        case TRACEE_GONE:
                return PROBE_E_NO_SAFE_THREAD;
        }
        if (place == BORROW_ON_ITS_STACK)
                room = arch_chain_room(&t.state, 2) + CALL_STACK_BYTES;
        b->last_decline = safepoint_check(b->pid, status_fd, &t, c, &b->image, &b->maps, room);
        if (b->last_decline != SAFE_POINT) {
                tracee_release(&t, &held);
                account(b, held);
                b->n_declined++;
                return PROBE_E_NO_SAFE_THREAD;
        }
        b->last_tid = c->tid;
        r = write_chain(b, &t, room ? arch_sp(&t.state) - ARCH_RED_ZONE : b->stack_top, fn, userdata, &chain);
        if (r == 0)
                r = tracee_switch(&t, &chain, &held);
        else
                tracee_release(&t, &held);
        account(b, held);
        return r == 0 ? PROBE_OK : PROBE_E_NO_SAFE_THREAD;
}

/* Still the same process? And a new map: stacks come and go with threads. An old one serves when it cannot be read in
 * one piece: a stack that is not in it is declined. */
static ProbeResult still_there(Borrow *b) {
        Maps fresh;
        uint64_t ticks;
        int r = facts_start_ticks(b->proc_fd, &ticks);

        if (r < 0 || ticks != b->start_ticks)
                return PROBE_E_GONE;
        r = maps_read(b->proc_fd, &fresh);
        if (r == 0) {
                maps_done(&b->maps);
                b->maps = fresh;
        }
        return r == 0 || r == -EAGAIN        ? PROBE_OK
               : r == -EACCES || r == -EPERM ? PROBE_E_ACCESS
               : r == -ESRCH                 ? PROBE_E_GONE
                                             : PROBE_E_INTERNAL;
}

static ProbeResult try_all(Borrow *b, BorrowPlace place, BorrowCallsFn fn, void *userdata) {
        Candidate list[THREADS_CANDIDATES_MAX];
        int n = threads_find(b->proc_fd, b->pid, list);

        if (n == -EACCES || n == -EPERM)
                return PROBE_E_ACCESS;
        for (int i = 0; i < n; i++) {
                ProbeResult p = try_thread(b, place, &list[i], fn, userdata);

                if (p != PROBE_E_NO_SAFE_THREAD)
                        return p;
        }
        return PROBE_E_NO_SAFE_THREAD;
}

ProbeResult borrow_call(Borrow *b, BorrowPlace place, BorrowCallsFn fn, void *userdata) {
        for (long nsec = RETRY_FIRST_NSEC;; nsec = min_of(nsec * 2, RETRY_LAST_NSEC)) {
                ProbeResult p = still_there(b);

                if (p == PROBE_OK)
                        p = try_all(b, place, fn, userdata);
                if (p != PROBE_E_NO_SAFE_THREAD || now_mono_usec() > b->deadline_usec)
                        return p;
                /* between two looks at a process that is busy, or at a thread that stays where it was declined */
                nanosleep(&(struct timespec){.tv_nsec = nsec}, NULL);
        }
}
