/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/borrow.h"

#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "probe/inject/facts.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define RETRY_FIRST_NSEC  5000000L
#define RETRY_LAST_NSEC   160000000L
#define CALL_STACK_BYTES  1024 /* what mmap and munmap take on the borrowed stack, with room */

int borrow_open(Borrow *b, pid_t pid, uint64_t start_ticks) {
        char path[32];
        uint64_t ticks;
        int r;

        safepoint_prepare();
        b->pid = pid;
        b->start_ticks = start_ticks;
        snprintf(path, sizeof(path), "/proc/%d", pid);
        b->proc_fd = rootfs_open_dir(-1, path);
        if (b->proc_fd < 0)
                return b->proc_fd == -ENOENT ? -ESRCH : b->proc_fd;
        r = facts_start_ticks(b->proc_fd, &ticks);
        if (r < 0 || ticks != start_ticks)
                return r < 0 ? r : -ESRCH;
        return 0;
}

void borrow_done(Borrow *b) {
        maps_done(&b->maps);
        b->proc_fd = fd_close(b->proc_fd);
        b->mem_fd = fd_close(b->mem_fd);
        b->lock_fd = fd_close(b->lock_fd);
}

int borrow_open_memory(Borrow *b) {
        b->mem_fd = rootfs_open(b->proc_fd, "mem");
        if (b->mem_fd == -EACCES || b->mem_fd == -EPERM)
                b->mem_fd = rootfs_open(b->proc_fd, "maps");
        return b->mem_fd < 0 ? b->mem_fd : 0;
}

int borrow_lock(Borrow *b) {
        struct sockaddr_un sa;
        socklen_t len = probe_lock_name(b->pid, b->start_ticks, &sa);
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0)
                return -errno;
        b->lock_fd = take_fd(&fd);
        return 0;
}

static void account(Borrow *b, uint64_t held_usec) {
        b->held_usec += held_usec;
        b->held_max_usec = max_of(b->held_max_usec, held_usec);
}

/* Lays out the chain below @top, with errno's copy on top of it, and writes both. errno as the thread has it is put
 * back by the chain's last call: swab() is the one function of libc that copies bytes, is no IFUNC and needs nothing;
 * it exchanges them pairwise, so they are handed to it exchanged. */
static int write_chain(const Borrow *b, const Tracee *t, const SafeSeen *seen, uint64_t top, Call *calls, size_t n,
                       Chain *chain) {
        uint64_t copy_addr = (top & ~15ULL) - 16;
        unsigned char copy[4] = {0};
        struct iovec local[2], remote[2];
        int r;

        if (seen->errno_addr && b->image.sym.swab) {
                for (int i = 0; i < 4; i++)
                        copy[i] = seen->errno_bytes[i ^ 1];
                calls[n++] = (Call){b->image.sym.swab, {copy_addr, seen->errno_addr, sizeof(copy)}};
        }
        r = arch_chain_build(&t->state, calls, n, copy_addr, b->image.sym.sigreturn, chain);
        if (r < 0)
                return r;
        local[0] = (struct iovec){chain->bytes, chain->len};
        remote[0] = (struct iovec){(void *)(uintptr_t)chain->addr, chain->len};
        local[1] = (struct iovec){copy, sizeof(copy)};
        remote[1] = (struct iovec){(void *)(uintptr_t)copy_addr, sizeof(copy)};
        return process_vm_writev(b->pid, local, 2, remote, 2, 0) == (ssize_t)(chain->len + sizeof(copy)) ? 0 : -EFAULT;
}

/* We are a fresh fork: the first write to each page is a fault, to be taken before a thread is being held, not while.
 */
static void touch(void *p, size_t n) {
        for (size_t i = 0; i < n; i += 1024)
                ((volatile char *)p)[i] = 0;
}

/* A seize that was refused: for good, or because the thread ends, or a tracer came just now? */
static ProbeResult why_denied(const Borrow *b, const Candidate *c) {
        _cleanup_fd_ int dir = -1;
        char path[48];
        Facts f;

        snprintf(path, sizeof(path), "task/%d", c->tid);
        dir = rootfs_open_dir(b->proc_fd, path);
        if (dir < 0 || facts_read(dir, &f) < 0 || f.state == 'Z' || f.state == 'X')
                return PROBE_E_NO_SAFE_THREAD;
        return f.tracer != 0 ? PROBE_E_TRACED : PROBE_E_ACCESS;
}

static ProbeResult stop_thread(Borrow *b, const Candidate *c, Tracee *t) {
        switch (tracee_stop(t, c->tid, TRACEE_STOP_TIMEOUT_USEC)) {
        case TRACEE_STOPPED:
                return PROBE_OK;
        case TRACEE_DENIED:
                return why_denied(b, c);
        case TRACEE_GROUP_STOPPED:
                return PROBE_E_STOPPED;
        case TRACEE_FOREIGN:
                return PROBE_E_FOREIGN_ABI;
        case TRACEE_STUCK:
                b->stuck = true;
                return PROBE_E_NO_SAFE_THREAD;
        case TRACEE_BUSY:
        case TRACEE_GONE:
                break;
        }
        return PROBE_E_NO_SAFE_THREAD;
}

/* One try on one thread. Return: PROBE_OK switched; PROBE_E_NO_SAFE_THREAD: declined, look on; else final. */
static ProbeResult try_thread(Borrow *b, BorrowPlace place, Candidate *c, bool late_too, BorrowCallsFn fn,
                              void *userdata) {
        static Tracee t; /* 16 KiB and 21 KiB: off our own stack */
        static Chain chain;
        Call calls[ARCH_CALLS_MAX] = {0};
        SafeAsk ask = {b->pid, b->mem_fd, &t, c, &b->image, &b->maps, 0};
        SafeSeen seen;
        size_t n = 0;
        uint64_t held;
        ProbeResult p;
        int r = -EAGAIN;

        b->last_tid = c->tid;
        b->last_ns_tid = c->ns_tid;
        b->last_decline = SAFE_NOT_BLOCKED;
        fn(userdata, calls, &n);
        touch(&chain, sizeof(chain));
        touch(&t, sizeof(t));
        sched_yield(); /* a fresh time slice: to be preempted while a thread is being held would be the longest stop */
        p = stop_thread(b, c, &t);
        if (p != PROBE_OK)
                return p;
        if (place == BORROW_ON_ITS_STACK)
                ask.room = arch_chain_room(&t.state, n + 1) + CALL_STACK_BYTES;
        b->last_decline = c->known ? SAFE_POINT : safepoint_learn(&t, late_too, c);
        if (b->last_decline == SAFE_POINT)
                b->last_decline = safepoint_check(&ask, &seen);
        if (b->last_decline == SAFE_POINT)
                r = write_chain(b, &t, &seen, ask.room ? arch_sp(&t.state) - ARCH_RED_ZONE : b->stack_top, calls, n,
                                &chain);
        if (r == 0) {
                r = tracee_switch(&t, &chain, &held);
                if (r == -EINTR)
                        b->last_decline = SAFE_SIGNAL;
        } else
                tracee_release(&t, &held);
        account(b, held);
        if (r == 0)
                return PROBE_OK;
        b->n_declined++;
        b->declined[b->last_decline]++;
        return PROBE_E_NO_SAFE_THREAD;
}

/* Still the same process? And a new map: stacks come and go with threads. An old one serves when it cannot be read in
 * one piece: a stack that is not in it is declined. */
static ProbeResult still_there(Borrow *b) {
        Maps fresh;
        uint64_t ticks;
        int r = facts_start_ticks(b->proc_fd, &ticks);

        if (r < 0 || ticks != b->start_ticks || !image_still_there(&b->image, b->mem_fd))
                return PROBE_E_GONE; /* or it executes another program by now */
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

/* Those whose call was learned only at their stop, and would wait longer, have their turn after all others. Not the
 * last one, or one of which it could be known: let go, a sleep goes on in restart_syscall, out of which nobody is
 * taken. */
static ProbeResult try_all(Borrow *b, BorrowPlace place, BorrowCallsFn fn, void *userdata) {
        Candidate list[THREADS_CANDIDATES_MAX];
        int n = threads_find(b->proc_fd, b->pid, b->only_ns_tid, b->filters_ok, list, &b->seen), n_late = 0;
        ProbeResult p = PROBE_E_NO_SAFE_THREAD;

        if (n == -EACCES || n == -EPERM)
                return PROBE_E_ACCESS;
        for (int i = 0; i < n && p == PROBE_E_NO_SAFE_THREAD && !b->stuck; i++) {
                p = try_thread(b, place, &list[i], i == n - 1 || threads_is_late(&list[i]), fn, userdata);
                if (b->last_decline == SAFE_LATE)
                        list[n_late++] = list[i];
        }
        for (int i = 0; i < n_late && p == PROBE_E_NO_SAFE_THREAD && !b->stuck; i++)
                p = try_thread(b, place, &list[i], true, fn, userdata);
        return p;
}

ProbeResult borrow_call(Borrow *b, BorrowPlace place, BorrowCallsFn fn, void *userdata) {
        b->last_decline = SAFE_NOT_BLOCKED; /* what is told of a call should not be what came of the one before */
        for (long nsec = RETRY_FIRST_NSEC;; nsec = min_of(nsec * 2, RETRY_LAST_NSEC)) {
                ProbeResult p = still_there(b);

                if (p == PROBE_OK)
                        p = try_all(b, place, fn, userdata);
                if (p != PROBE_E_NO_SAFE_THREAD || b->stuck || now_mono_usec() > b->deadline_usec)
                        return p;
                /* between two looks at a process that is busy, or at a thread that stays where it was declined */
                nanosleep(&(struct timespec){.tv_nsec = nsec}, NULL);
        }
}

void borrow_explain(const Borrow *b, char *buf, size_t size) {
        size_t at;
        int n;

        threads_census_text(&b->seen, buf, size);
        at = strlen(buf);
        if (b->n_declined == 0)
                return;
        n = snprintf(buf + at, size - at, "; %u stop%s declined", b->n_declined, b->n_declined == 1 ? "" : "s");
        for (int i = 0; i < _SAFE_MAX && n > 0 && (size_t)n < size - at; i++)
                if (b->declined[i]) {
                        at += (size_t)n;
                        n = snprintf(buf + at, size - at, ", %u as %s", b->declined[i],
                                     safepoint_text((SafePoint)i));
                }
        if (n < 0 || (size_t)n >= size - at)
                buf[at] = '\0';
}
