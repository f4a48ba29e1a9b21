/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/session.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "probe/inject/access.h"
#include "probe/inject/facts.h"
#include "probe/inject/remote.h"
#include "probe/inject/threads.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define MAP_TIMEOUT_USEC                                                                                               \
        (2 * USEC_PER_SEC) /* for a thread that was let go to get its turn and make one system call                    \
                            */
#define ASLEEP_TIMEOUT_USEC (200 * USEC_PER_MSEC) /* to see a busy thread asleep once */
#define POLL_FIRST_NSEC     20000L
#define POLL_LAST_NSEC      2000000L

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define PIDFS_MAGIC 0x50494446 /* include/uapi/linux/magic.h, PID_FS_MAGIC (Linux 6.9) */

static void session_done(Session *s) {
        borrow_done(&s->b);
        s->pidfd = fd_close(s->pidfd);
}

void session_say(Session *s, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(s->reply->detail, sizeof(s->reply->detail), fmt, ap);
        va_end(ap);
}

/* Poll with a delay that doubles: the thing waited for is another process' memory, which has no event. */
static void pause_a_little(long *nsec) {
        nanosleep(&(struct timespec){.tv_nsec = *nsec}, NULL);
        *nsec = min_of(*nsec * 2, POLL_LAST_NSEC);
}

/* Each wait has its own limit, and all of them together the session's. */
static uint64_t deadline_in(const Session *s, uint64_t usec) {
        return min_of(now_mono_usec() + usec, s->end_usec);
}

/* ---- what must be refused ---- */

/* Has it threads in glibc's eyes? Since 2.32 __libc_single_threaded says so. */
static ProbeResult judge_threads(Session *s, const Facts *f) {
        const LibcSymbols *sym = &s->b.image.sym;
        unsigned char alone = f->n_threads <= 1;

        if (sym->single_threaded && remote_read(s->b.pid, sym->single_threaded, &alone, 1) < 0)
                return PROBE_E_GONE;
        if ((alone || !sym->pthread_create) && f->n_threads > 1)
                return PROBE_E_RAW_THREADS;
        s->threaded = !alone;
        if (!sym->mmap || !sym->munmap || !sym->clock_gettime) {
                session_say(s, "its mmap, munmap or clock_gettime was not found");
                return PROBE_E_NO_LIBC;
        }
        return PROBE_OK;
}

static ProbeResult open_target(Session *s) {
        Facts f;
        ProbeResult p;
        int r = borrow_open(&s->b, s->req->pid, s->req->start_ticks);

        if (r < 0)
                return r == -ESRCH ? PROBE_E_GONE : PROBE_E_INTERNAL;
        r = facts_read(s->b.proc_fd, &f);
        if (r < 0)
                return r == -ESRCH ? PROBE_E_GONE : PROBE_E_INTERNAL;
        s->ns_pid = f.ns_tid ? f.ns_tid : s->b.pid;
        s->b.filters_ok = s->req->flags & PROBE_FLAG_ALLOW_SECCOMP     ? ACCESS_ANY_FILTERS
                          : s->req->flags & PROBE_FLAG_RUNTIME_SECCOMP ? access_filters_here()
                                                                       : 0;
        p = access_judge(&f, s->b.filters_ok, s->reply->detail, sizeof(s->reply->detail));
        if (p != PROBE_OK)
                return p;
        r = borrow_open_memory(&s->b);
        if (r == 0)
                r = maps_read(s->b.proc_fd, &s->b.maps);
        if (r == -EAGAIN) {
                session_say(s, "its memory map changes faster than it can be read");
                return PROBE_E_NO_SAFE_THREAD;
        }
        if (r == -EACCES || r == -EPERM) {
                access_explain(s->b.proc_fd, &f, s->reply->detail, sizeof(s->reply->detail));
                return PROBE_E_ACCESS;
        }
        if (r < 0)
                return r == -ESRCH ? PROBE_E_GONE : PROBE_E_INTERNAL;
        p = image_read(s->b.pid, s->b.proc_fd, &s->b.maps, &s->b.image, s->reply->detail, sizeof(s->reply->detail));
        if (p != PROBE_OK)
                return p;
        image_read_canary(s->b.proc_fd, s->b.mem_fd, &s->b.image);
        return judge_threads(s, &f);
}

/* ---- one at a time ---- */

/* The socket's name is seen in one network namespace only. A pidfd is the same file everywhere since Linux 6.9 (pidfs),
 * so its lock reaches further; before that all of them were one file, whose lock would be everybody's. Where neither
 * tells two probes apart, the claim in the mailbox does, but for the microseconds around a switch. */
static ProbeResult lock(Session *s) {
        struct statfs fs;

        if (borrow_lock(&s->b) == -EADDRINUSE)
                return PROBE_E_IN_FLIGHT;
        s->pidfd = (int)syscall(SYS_pidfd_open, s->b.pid, 0); /* Linux 5.3; close-on-exec by itself */
        if (s->pidfd >= 0 && fstatfs(s->pidfd, &fs) == 0 && fs.f_type == PIDFS_MAGIC &&
            flock(s->pidfd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
                return PROBE_E_IN_FLIGHT;
        return PROBE_OK;
}

/* ---- scratch memory ---- */

static void calls_map(void *userdata, Call *calls, size_t *n) {
        Session *s = userdata;

        calls[(*n)++] = (Call){s->b.image.sym.mmap,
                               {s->scratch, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, (uint64_t)-1, 0}};
}

static bool is_in_scratch(const Session *s, uint64_t addr, size_t n) {
        return addr >= s->scratch && addr <= s->scratch + SCRATCH_SIZE - n;
}

/* Has @ns_tid nothing to do with the scratch memory any more? From the switch to the last frame its stack pointer is in
 * there, or, of the one that unmaps it, it is in munmap or on its way (then in no system call at all). Asleep in any
 * other call it never was switched (its probe died first), or it is through. */
static bool is_off_scratch(Session *s, uint64_t ns_tid, uint64_t timeout_usec) {
        uint64_t deadline = deadline_in(s, timeout_usec), sp;
        long nsec = POLL_FIRST_NSEC, nr;
        pid_t tid =
                ns_tid == (uint64_t)s->b.last_ns_tid ? s->b.last_tid : threads_by_ns_tid(s->b.proc_fd, (pid_t)ns_tid);

        if (tid < 0)
                return tid == -ESRCH;
        for (;;) {
                int r = threads_stack_pointer(s->b.proc_fd, tid, &sp, &nr);

                if (r == -ESRCH || (r == 0 && nr >= 0 && nr != SYS_munmap && !is_in_scratch(s, sp, 1)))
                        return true;
                if ((r < 0 && r != -EAGAIN) || now_mono_usec() > deadline)
                        return false;
                pause_a_little(&nsec);
        }
}

static bool is_own_thread_alive(const Session *s, const Mailbox *box) {
        uint32_t tid;

        return is_in_scratch(s, box->thread, PTHREAD_TID_OFFSET + sizeof(tid)) &&
               remote_read(s->b.pid, box->thread + PTHREAD_TID_OFFSET, &tid, sizeof(tid)) == 0 && tid != 0;
}

/* Is a call of an earlier run still under way, or the end of its memory? */
static bool is_running(Session *s, const Mailbox *box) {
        if (box->pid != (uint64_t)s->ns_pid || box->start_ticks != s->b.start_ticks)
                return false;
        if (box->unmapper && !is_off_scratch(s, box->unmapper, ASLEEP_TIMEOUT_USEC))
                return true;
        return box->armed && (!is_off_scratch(s, box->armed, ASLEEP_TIMEOUT_USEC) || is_own_thread_alive(s, box));
}

static ProbeResult wait_for_mapping(Session *s) {
        uint64_t deadline = deadline_in(s, MAP_TIMEOUT_USEC);
        long nsec = POLL_FIRST_NSEC;
        Mailbox box;

        for (;;) {
                int r = remote_read(s->b.pid, s->scratch, &box, sizeof(box));

                if (r == 0)
                        return PROBE_OK;
                if (r == -ESRCH)
                        return PROBE_E_GONE;
                if (now_mono_usec() > deadline) {
                        s->scratch = 0;
                        return PROBE_E_NO_MEMORY;
                }
                pause_a_little(&nsec);
        }
}

/* What an earlier run left was found before its last call, which unmaps it, was seen to be over: the address may be
 * nobody's by now, or another's. Now that no thread is on its way to unmap it, what is there stays. */
static bool is_still_there(const Session *s) {
        _cleanup_(maps_done) Maps maps = MAPS_NULL;
        Mailbox box;

        return maps_read(s->b.proc_fd, &maps) == 0 && scratch_find(s->b.pid, &maps, &box) == s->scratch;
}

static ProbeResult get_scratch(Session *s) {
        Mailbox box = {0};
        ProbeResult p;

        s->scratch = scratch_find(s->b.pid, &s->b.maps, &box);
        if (s->scratch && is_running(s, &box)) {
                s->scratch = 0; /* the other one's */
                return PROBE_E_IN_FLIGHT;
        }
        if (s->scratch && !is_still_there(s))
                s->scratch = 0;
        if (!s->scratch) {
                s->scratch = maps_hole(&s->b.maps, SCRATCH_LOW32);
                if (!s->scratch) {
                        session_say(s, "no hole of 16 GiB in its address space");
                        return PROBE_E_NO_MEMORY;
                }
                p = borrow_call(&s->b, BORROW_ON_ITS_STACK, calls_map, s);
                if (p == PROBE_OK)
                        p = wait_for_mapping(s);
                if (p != PROBE_OK)
                        return p;
        }
        box = (Mailbox){
                .magic = SCRATCH_MAGIC, .pid = (uint64_t)s->ns_pid, .start_ticks = s->b.start_ticks, .claim = s->claim};
        return remote_write(s->b.pid, s->scratch, &box, sizeof(box)) < 0 ? PROBE_E_GONE : PROBE_OK;
}

static void calls_unmap(void *userdata, Call *calls, size_t *n) {
        Session *s = userdata;
        uint64_t tid = (uint64_t)s->b.last_ns_tid;

        /* it may be long until the thread gets its turn: nobody must use the memory again until then */
        remote_write(s->b.pid, s->scratch + offsetof(Mailbox, unmapper), &tid, sizeof(tid));
        calls[(*n)++] = (Call){s->b.image.sym.munmap, {s->scratch, SCRATCH_SIZE}};
}

static void give_back_scratch(Session *s) {
        uint64_t deadline, timeout_usec = s->req->find_timeout_msec * USEC_PER_MSEC;
        long nsec = POLL_FIRST_NSEC;
        unsigned char byte;
        Mailbox box;

        /* a thread that would not stop may do so any time, and stands until this process ends: at once */
        if (s->b.stuck)
                return;
        /* the last frame comes after the last stamp: whoever did not get its turn since then still needs it */
        if (remote_read(s->b.pid, s->scratch, &box, sizeof(box)) < 0 || box.claim != s->claim ||
            (box.armed && !is_off_scratch(s, box.armed, timeout_usec)))
                return;
        s->b.deadline_usec = deadline_in(s, timeout_usec);
        if (borrow_call(&s->b, BORROW_ON_ITS_STACK, calls_unmap, s) != PROBE_OK)
                return; /* the next run finds it and uses it */
        for (deadline = deadline_in(s, MAP_TIMEOUT_USEC); now_mono_usec() < deadline; pause_a_little(&nsec))
                if (remote_read(s->b.pid, s->scratch, &byte, 1) < 0)
                        break;
}

/* ---- the call ---- */

#define BOX(field) (s->scratch + offsetof(Mailbox, field))

uint64_t session_data(const Session *s, size_t offset) {
        return s->scratch + SCRATCH_DATA_OFFSET + offset;
}

int session_read(const Session *s, size_t offset, void *buf, size_t n) {
        if (offset > SCRATCH_DATA_SIZE || n > SCRATCH_DATA_SIZE - offset)
                return -EINVAL;
        return remote_read(s->b.pid, session_data(s, offset), buf, n);
}

#define ZERO_AS_INT (1ULL << 32) /* System V ABI: of an int's register the upper half is anything */

/* lsearch(key, base, &n, width, compare) calls compare(key, base) once if n is 1. If that returns 0 it has found the
 * element, at base, and changes nothing; else, or if base is NULL, it appends the key, here of no bytes, and counts n
 * up (misc/lsearch.c). Key and base are looked at by compare alone, so they can be any two numbers. */
Call session_truth(const Session *s, uint64_t function, uint64_t a, uint64_t b, unsigned slot) {
        if (!s->b.image.sym.lsearch)
                return (Call){function, {a, b}};
        return (Call){s->b.image.sym.lsearch,
                      {a, b ? b : ZERO_AS_INT, BOX(truth) + slot * sizeof(s->box.truth[0]), 0, function}};
}

SessionTruth session_was(const Session *s, unsigned slot) {
        if (!s->b.image.sym.lsearch)
                return SESSION_UNKNOWN;
        return s->box.truth[slot] == 1 ? SESSION_FALSE : s->box.truth[slot] == 2 ? SESSION_TRUE : SESSION_UNKNOWN;
}

static void calls_chain(void *userdata, Call *calls, size_t *n) {
        Session *s = userdata;
        const LibcSymbols *sym = &s->b.image.sym;
        const SessionPlan *plan = s->plan;
        Mailbox box = {.magic = SCRATCH_MAGIC,
                       .pid = (uint64_t)s->ns_pid,
                       .start_ticks = s->b.start_ticks,
                       .armed = (uint64_t)s->b.last_ns_tid,
                       .claim = s->claim};

        for (size_t i = 0; i < SCRATCH_TRUTHS; i++)
                box.truth[i] = 1;
        /* if it fails, so does the chain's own, and nothing starts */
        remote_write(s->b.pid, s->scratch, &box, sizeof(box));
        calls[(*n)++] = (Call){sym->clock_gettime, {CLOCK_MONOTONIC, BOX(begin)}};
        if (plan->own_function) {
                calls[(*n)++] = (Call){sym->pthread_attr_init, {BOX(attr)}};
                calls[(*n)++] = (Call){sym->pthread_attr_setdetachstate, {BOX(attr), PTHREAD_CREATE_DETACHED}};
                calls[(*n)++] =
                        (Call){sym->pthread_attr_setstack,
                               {BOX(attr), s->scratch + SCRATCH_THREAD_STACK_OFFSET, SCRATCH_THREAD_STACK_SIZE}};
                calls[(*n)++] =
                        (Call){sym->pthread_create, {BOX(thread), BOX(attr), plan->own_function, plan->own_argument}};
        }
        for (size_t i = 0; i < plan->n; i++)
                calls[(*n)++] = plan->calls[i];
        calls[(*n)++] = (Call){sym->clock_gettime, {CLOCK_MONOTONIC, BOX(end)}};
}

static ProbeResult wait_for_chain(Session *s) {
        long nsec = POLL_FIRST_NSEC;

        for (;;) {
                int r = remote_read(s->b.pid, s->scratch, &s->box, sizeof(s->box));

                if (r < 0)
                        return PROBE_E_GONE;
                if (s->box.end[0] || s->box.end[1])
                        return PROBE_OK;
                if (now_mono_usec() > s->finish_usec)
                        return PROBE_E_TIMEOUT;
                pause_a_little(&nsec);
        }
}

int session_own_thread(const Session *s, pid_t *ret_ns_tid) {
        uint32_t tid;

        if (!is_in_scratch(s, s->box.thread, PTHREAD_TID_OFFSET + sizeof(tid)) ||
            remote_read(s->b.pid, s->box.thread + PTHREAD_TID_OFFSET, &tid, sizeof(tid)) < 0 || tid == 0)
                return -ESRCH;
        *ret_ns_tid = (pid_t)tid;
        return 0;
}

/* The kernel zeroes struct pthread.tid as a thread's last access to user memory (CLONE_CHILD_CLEARTID); its stack,
 * which is in our scratch, may go only then. */
static ProbeResult wait_for_own_thread(Session *s) {
        long nsec = POLL_FIRST_NSEC;
        uint32_t tid;

        if (s->box.thread == 0) {
                session_say(s, "pthread_create failed in it");
                return PROBE_E_NO_MEMORY;
        }
        if (!is_in_scratch(s, s->box.thread, PTHREAD_TID_OFFSET + sizeof(tid))) {
                session_say(s, "the new thread's descriptor is not where it should be");
                s->scratch = 0; /* never unmap what a thread may stand on */
                return PROBE_E_INTERNAL;
        }
        for (;;) {
                if (remote_read(s->b.pid, s->box.thread + PTHREAD_TID_OFFSET, &tid, sizeof(tid)) < 0)
                        return PROBE_E_GONE;
                if (tid == 0)
                        return PROBE_OK;
                if (now_mono_usec() > s->finish_usec)
                        return PROBE_E_TIMEOUT;
                pause_a_little(&nsec);
        }
}

/* May the next chain be written over the last one's frames, and is the memory still ours? */
static ProbeResult is_free(Session *s) {
        Mailbox box;

        if (remote_read(s->b.pid, s->scratch, &box, sizeof(box)) < 0)
                return PROBE_E_GONE;
        if (box.claim != s->claim) {
                s->scratch = 0;
                return PROBE_E_IN_FLIGHT;
        }
        if (box.armed && !is_off_scratch(s, box.armed, s->req->find_timeout_msec * USEC_PER_MSEC)) {
                session_say(s, "the thread of the call before was not seen asleep since");
                return PROBE_E_NO_SAFE_THREAD;
        }
        return PROBE_OK;
}

static ProbeResult start_chain(Session *s, const SessionPlan *plan) {
        uint64_t idle = 0;
        ProbeResult p = is_free(s);

        if (p != PROBE_OK)
                return p;
        if (plan->n > SESSION_CALLS_MAX || plan->data_len > SCRATCH_DATA_SIZE)
                return PROBE_E_INTERNAL;
        if (plan->data_len && remote_write(s->b.pid, session_data(s, 0), plan->data, plan->data_len) < 0)
                return PROBE_E_GONE;
        if (s->switched_usec) /* the first shares its time with the mapping */
                s->b.deadline_usec = deadline_in(s, s->req->find_timeout_msec * USEC_PER_MSEC);
        s->plan = plan;
        s->b.stack_top = s->scratch + SCRATCH_CHAIN_TOP;
        p = borrow_call(&s->b, BORROW_ON_SCRATCH, calls_chain, s);
        if (p != PROBE_OK) {
                remote_write(s->b.pid, s->scratch + offsetof(Mailbox, armed), &idle, sizeof(idle));
                return p;
        }
        if (!s->switched_usec)
                s->finish_usec = now_mono_usec() + s->req->finish_timeout_msec * USEC_PER_MSEC;
        s->switched_usec = now_mono_usec();
        s->reply->call.tid = s->b.last_tid;
        return PROBE_OK;
}

ProbeResult session_call(Session *s, const SessionPlan *plan) {
        ProbeCall *c = &s->reply->call;
        uint64_t begin = now_mono_usec();
        ProbeResult p = start_chain(s, plan), q = PROBE_OK;

        if (p != PROBE_OK)
                return p;
        if (c->thread != PROBE_THREAD_BORROWED) /* which of them was the longest held up, when it was both */
                c->thread = plan->own_function && plan->n == 0 ? PROBE_THREAD_OWN : PROBE_THREAD_BORROWED;
        if (plan->meanwhile && !plan->own_function)
                q = plan->meanwhile(s, plan->userdata);
        p = wait_for_chain(s);
        if (p == PROBE_OK && plan->own_function) {
                if (plan->meanwhile)
                        q = plan->meanwhile(s, plan->userdata);
                p = wait_for_own_thread(s);
                /* to the thread's end: at most 2 ms more than the call */
                c->duration_usec += now_mono_usec() - s->switched_usec;
        } else if (p == PROBE_OK)
                c->duration_usec += scratch_lasted_usec(&s->box, now_mono_usec() - begin);
        if (p == PROBE_E_GONE)
                session_say(s, "it ended while the call ran");
        return p == PROBE_OK ? q : p;
}

/* ---- all of it ---- */

static ProbeResult run(Session *s, const SessionWork *work, void *userdata) {
        ProbeResult p = arch_is_supported() ? open_target(s) : PROBE_E_UNSUPPORTED;

        if (p == PROBE_OK && work->judge)
                p = work->judge(s, userdata);
        if (p == PROBE_OK)
                p = lock(s);
        if (p != PROBE_OK)
                return p;
        s->b.deadline_usec = deadline_in(s, s->req->find_timeout_msec * USEC_PER_MSEC);
        p = get_scratch(s);
        if (p != PROBE_OK)
                return p;
        p = work->act(s, userdata);
        /* a call that may still be running keeps its memory; it is found and unmapped by a later run */
        if (s->scratch && p != PROBE_E_TIMEOUT && p != PROBE_E_GONE)
                give_back_scratch(s);
        return p;
}

/* A process that dies under our hands fails each step in another way; what happened is that it ended. */
static bool has_ended(const Session *s) {
        _cleanup_(maps_done) Maps maps = MAPS_NULL;
        Facts f;

        if (s->b.proc_fd < 0)
                return false;
        if (facts_read(s->b.proc_fd, &f) < 0 || f.state == 'Z' || f.state == 'X')
                return true;
        /* on its way out its memory goes first, and its state is told later (do_exit()) */
        return maps_read(s->b.proc_fd, &maps) == -ESRCH;
}

/* execve() keeps the process' number and start time, but not its memory. */
static bool executes_another(const Session *s) {
        return s->b.mem_fd >= 0 && s->b.maps.n > 0 && !has_ended(s) &&
               !image_memory_is_there(s->b.mem_fd, s->b.maps.map[0].start);
}

static ProbeResult conclude(Session *s, ProbeResult p) {
        if (p != PROBE_OK && p != PROBE_E_ZOMBIE && p != PROBE_E_GONE && has_ended(s)) {
                p = PROBE_E_GONE;
                session_say(s, "it ended meanwhile");
        }
        if (p != PROBE_OK && executes_another(s)) {
                p = PROBE_E_GONE;
                session_say(s, "it executed another program meanwhile");
        }
        if (p == PROBE_E_NO_SAFE_THREAD && s->b.stuck)
                session_say(s, "a thread did not stop when told to; it was let go");
        else if (p == PROBE_E_NO_SAFE_THREAD && s->reply->detail[0] == '\0')
                borrow_explain(&s->b, s->reply->detail, sizeof(s->reply->detail));
        return p;
}

void session_run(const SessionWork *work, const ProbeRequest *req, ProbeReply *reply, void *userdata) {
        _cleanup_(session_done) Session s = {.req = req, .reply = reply, .b = BORROW_NULL, .pidfd = -1};
        uint64_t begin = now_mono_usec();

        s.end_usec = begin + ((uint64_t)req->find_timeout_msec + req->finish_timeout_msec + PROBE_WORK_SLACK_MSEC) *
                                     USEC_PER_MSEC;
        if (getrandom(&s.claim, sizeof(s.claim), GRND_NONBLOCK) != (ssize_t)sizeof(s.claim))
                s.claim = begin << 22 | (uint64_t)getpid();
        reply->result = conclude(&s, run(&s, work, userdata));
        reply->call.stop_usec = s.b.held_usec;
        reply->call.stop_max_usec = s.b.held_max_usec;
        reply->call.n_declined = s.b.n_declined;
        reply->call.total_usec = now_mono_usec() - begin;
}
