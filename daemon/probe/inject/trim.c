/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/trim.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "probe/inject/access.h"
#include "probe/inject/borrow.h"
#include "probe/inject/facts.h"
#include "probe/inject/remote.h"
#include "probe/inject/scratch.h"
#include "probe/inject/threads.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/rootfs.h"

#define MAP_TIMEOUT_USEC (2 * USEC_PER_SEC) /* for a thread that was let go to get its turn and make one system call */
#define ASLEEP_TIMEOUT_USEC (200 * USEC_PER_MSEC) /* to see a busy thread asleep once */
#define POLL_FIRST_NSEC 20000L
#define POLL_LAST_NSEC 2000000L

typedef struct Session {
        const ProbeRequest *req;
        ProbeReply *reply;
        Borrow b;
        uint64_t scratch;    /* address in the target, 0 = none */
        bool own_thread;
        pid_t worker_tid;    /* of the thread of its own */
        uint64_t switched_usec;
} Session;

static void session_done(Session *s) {
        borrow_done(&s->b);
}

static void say(Session *s, const char *fmt, ...) _printf_(2, 3);
static void say(Session *s, const char *fmt, ...) {
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

static ProbeResult refusal(Session *s, const Facts *f) {
        if (f->state == 'Z' || f->state == 'X')
                return PROBE_E_ZOMBIE;
        if (f->tracer != 0) {
                say(s, "process %d traces it", f->tracer);
                return PROBE_E_TRACED;
        }
        if (f->state == 'T')
                return PROBE_E_STOPPED;
        if (f->shadow_stack)
                return PROBE_E_SHADOW_STACK;
        if (f->seccomp == 1 || (f->seccomp == 2 && !(s->req->flags & PROBE_FLAG_ALLOW_SECCOMP))) {
                say(s,
                    "Seccomp: %u; allow it if the filter is a container runtime's default, which lets these calls pass",
                    f->seccomp);
                return PROBE_E_SECCOMP;
        }
        return PROBE_OK;
}

/* What is called, by allocator. */
static const struct {
        bool own_thread; /* may be a thread's start routine */
        uint64_t argument;
        const char *text; /* instead of @argument: its address */
} purges[_ALLOCATOR_MAX] = {
        [ALLOCATOR_GLIBC] = {.own_thread = true},
        [ALLOCATOR_JEMALLOC] = {.text = "arena.4096.purge"},
        [ALLOCATOR_GPERFTOOLS] = {.own_thread = true},
        [ALLOCATOR_MIMALLOC] = {.argument = true},
};

/* Has it threads in glibc's eyes? Since 2.32 __libc_single_threaded says so. */
static ProbeResult judge_threads(Session *s, const Facts *f) {
        const LibcSymbols *sym = &s->b.image.sym;
        unsigned char alone = f->n_threads <= 1;

        if (sym->single_threaded && remote_read(s->b.pid, sym->single_threaded, &alone, 1) < 0)
                return PROBE_E_GONE;
        if (alone && f->n_threads > 1)
                return PROBE_E_RAW_THREADS;
        if (!alone && s->b.image.allocators[0].kind == ALLOCATOR_MIMALLOC) {
                say(s, "mi_collect reaches the calling thread's heap alone, and this process has threads");
                return PROBE_E_OTHER_MALLOC;
        }
        /* a thread's start routine gets one argument: mallctl's five need the borrowed thread */
        s->own_thread = !alone && purges[s->b.image.allocators[0].kind].own_thread;
        if (s->own_thread && !(sym->pthread_create && sym->pthread_attr_init && sym->pthread_attr_setdetachstate &&
                               sym->pthread_attr_setstack)) {
                say(s, "its pthread functions were not found");
                return f->n_threads > 1 && !sym->pthread_create ? PROBE_E_RAW_THREADS : PROBE_E_NO_LIBC;
        }
        if (!sym->mmap || !sym->munmap || !sym->clock_gettime) {
                say(s, "its mmap, munmap or clock_gettime was not found");
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
        p = refusal(s, &f);
        if (p != PROBE_OK)
                return p;
        s->b.seccomp_ok = s->req->flags & PROBE_FLAG_ALLOW_SECCOMP;
        s->b.mem_fd = rootfs_open(s->b.proc_fd, "mem"); /* before anything is read: see image_still_there() */
        r = s->b.mem_fd < 0 ? s->b.mem_fd : maps_read(s->b.proc_fd, &s->b.maps);
        if (r == -EAGAIN) {
                say(s, "its memory map changes faster than it can be read");
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
        snprintf(s->reply->call.allocator, sizeof(s->reply->call.allocator), "%s", s->b.image.allocators[0].name);
        snprintf(s->reply->call.name, sizeof(s->reply->call.name), "%s",
                 allocator_call_name(s->b.image.allocators[0].kind));
        return judge_threads(s, &f);
}

/* ---- step 1: scratch memory ---- */

static void calls_map(void *userdata, Call *calls, size_t *n) {
        Session *s = userdata;

        calls[(*n)++] = (Call){s->b.image.sym.mmap,
                               {s->scratch, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, (uint64_t)-1, 0}};
}

static bool is_in_scratch(const Session *s, uint64_t addr, size_t n) {
        return addr >= s->scratch && addr <= s->scratch + SCRATCH_SIZE - n;
}

/* Has @tid nothing to do with the scratch memory any more? From the switch to the last frame its stack pointer is in
 * there, or, of the one that unmaps it, it is in munmap or on its way (then in no system call at all). Asleep in any
 * other call it never was switched (its probe died first), or it is through. */
static bool is_off_scratch(Session *s, pid_t tid, uint64_t timeout_usec) {
        uint64_t deadline = now_mono_usec() + timeout_usec, sp;
        long nsec = POLL_FIRST_NSEC, nr;

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
        if (box->pid != (uint64_t)s->b.pid || box->start_ticks != s->b.start_ticks)
                return false;
        if (box->unmapper && !is_off_scratch(s, (pid_t)box->unmapper, ASLEEP_TIMEOUT_USEC))
                return true;
        return box->armed &&
               (!is_off_scratch(s, (pid_t)box->armed, ASLEEP_TIMEOUT_USEC) || is_own_thread_alive(s, box));
}

static ProbeResult wait_for_mapping(Session *s) {
        uint64_t deadline = now_mono_usec() + MAP_TIMEOUT_USEC;
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

static ProbeResult get_scratch(Session *s) {
        Mailbox box;
        ProbeResult p;

        s->scratch = scratch_find(s->b.pid, &s->b.maps, &box);
        if (s->scratch)
                return is_running(s, &box) ? PROBE_E_IN_FLIGHT : PROBE_OK;
        s->scratch = maps_hole(&s->b.maps, SCRATCH_LOW32);
        if (!s->scratch) {
                say(s, "no hole of 16 GiB in its address space");
                return PROBE_E_NO_MEMORY;
        }
        p = borrow_call(&s->b, BORROW_ON_ITS_STACK, calls_map, s);
        return p == PROBE_OK ? wait_for_mapping(s) : p;
}

/* ---- step 2: the call ---- */

#define BOX(field) (s->scratch + offsetof(Mailbox, field))

static void calls_trim(void *userdata, Call *calls, size_t *n) {
        Session *s = userdata;
        const LibcSymbols *sym = &s->b.image.sym;
        const char *text = purges[s->b.image.allocators[0].kind].text;
        uint64_t argument = text ? BOX(text) : purges[s->b.image.allocators[0].kind].argument;
        Mailbox box = {.magic = SCRATCH_MAGIC,
                       .pid = (uint64_t)s->b.pid,
                       .start_ticks = s->b.start_ticks,
                       .armed = (uint64_t)s->b.last_tid};

        snprintf(box.text, sizeof(box.text), "%s", text ? text : "");

        remote_write(s->b.pid, s->scratch, &box,
                     sizeof(box)); /* if it fails, so does the chain's, and nothing starts */
        calls[(*n)++] = (Call){sym->clock_gettime, {CLOCK_MONOTONIC, BOX(begin)}};
        if (s->own_thread) {
                calls[(*n)++] = (Call){sym->pthread_attr_init, {BOX(attr)}};
                calls[(*n)++] = (Call){sym->pthread_attr_setdetachstate, {BOX(attr), PTHREAD_CREATE_DETACHED}};
                calls[(*n)++] =
                        (Call){sym->pthread_attr_setstack,
                               {BOX(attr), s->scratch + SCRATCH_THREAD_STACK_OFFSET, SCRATCH_THREAD_STACK_SIZE}};
                calls[(*n)++] = (Call){sym->pthread_create, {BOX(thread), BOX(attr), s->b.image.allocators[0].purge, argument}};
        } else
                calls[(*n)++] = (Call){s->b.image.allocators[0].purge, {argument}};
        calls[(*n)++] = (Call){sym->clock_gettime, {CLOCK_MONOTONIC, BOX(end)}};
}

static ProbeResult start_trim(Session *s) {
        uint64_t idle = 0;
        ProbeResult p;

        s->b.stack_top = s->scratch + SCRATCH_CHAIN_TOP;
        p = borrow_call(&s->b, BORROW_ON_SCRATCH, calls_trim, s);
        s->switched_usec = now_mono_usec();
        if (p != PROBE_OK)
                remote_write(s->b.pid, s->scratch + offsetof(Mailbox, armed), &idle, sizeof(idle));
        else
                s->reply->call.tid = s->b.last_tid;
        return p;
}

/* ---- step 3: wait for its end ---- */

static uint64_t stamp_usec(const uint64_t ts[static 2]) {
        return ts[0] * USEC_PER_SEC + ts[1] / 1000;
}

static ProbeResult wait_for_chain(Session *s, uint64_t deadline, Mailbox *ret) {
        long nsec = POLL_FIRST_NSEC;

        for (;;) {
                int r = remote_read(s->b.pid, s->scratch, ret, sizeof(*ret));

                if (r < 0)
                        return PROBE_E_GONE;
                if (ret->end[0] || ret->end[1])
                        return PROBE_OK;
                if (now_mono_usec() > deadline)
                        return PROBE_E_TIMEOUT;
                pause_a_little(&nsec);
        }
}

/* The kernel zeroes struct pthread.tid as a thread's last access to user memory (CLONE_CHILD_CLEARTID); its stack,
 * which is in our scratch, may go only then. */
static ProbeResult wait_for_own_thread(Session *s, uint64_t deadline, const Mailbox *box) {
        long nsec = POLL_FIRST_NSEC;
        uint32_t tid;

        if (box->thread == 0) {
                say(s, "pthread_create failed in it");
                return PROBE_E_NO_MEMORY;
        }
        if (!is_in_scratch(s, box->thread, PTHREAD_TID_OFFSET + sizeof(tid))) {
                say(s, "the new thread's descriptor is not where it should be");
                s->scratch = 0; /* never unmap what a thread may stand on */
                return PROBE_E_INTERNAL;
        }
        for (;;) {
                if (remote_read(s->b.pid, box->thread + PTHREAD_TID_OFFSET, &tid, sizeof(tid)) < 0)
                        return PROBE_E_GONE;
                if (tid == 0)
                        return PROBE_OK;
                if (now_mono_usec() > deadline)
                        return PROBE_E_TIMEOUT;
                pause_a_little(&nsec);
        }
}

static ProbeResult finish_trim(Session *s) {
        uint64_t deadline = s->switched_usec + s->req->finish_timeout_msec * USEC_PER_MSEC;
        ProbeTrim *t = &s->reply->trim;
        Mailbox box;
        ProbeResult p = wait_for_chain(s, deadline, &box);

        t->call.thread = s->own_thread ? PROBE_THREAD_OWN : PROBE_THREAD_BORROWED;
        if (p == PROBE_OK && s->own_thread) {
                p = wait_for_own_thread(s, deadline, &box);
                t->call.duration_usec =
                        now_mono_usec() - s->switched_usec; /* to the thread's end: at most 2 ms more than the call */
        } else if (p == PROBE_OK)
                t->call.duration_usec = stamp_usec(box.end) - stamp_usec(box.begin);
        if (p == PROBE_E_GONE)
                say(s, "it ended while the call ran");
        return p;
}

/* ---- step 4: give the scratch memory back ---- */

static void calls_unmap(void *userdata, Call *calls, size_t *n) {
        Session *s = userdata;
        uint64_t tid = (uint64_t)s->b.last_tid;

        /* it may be long until the thread gets its turn: nobody must use the memory again until then */
        remote_write(s->b.pid, s->scratch + offsetof(Mailbox, unmapper), &tid, sizeof(tid));
        calls[(*n)++] = (Call){s->b.image.sym.munmap, {s->scratch, SCRATCH_SIZE}};
}

static void give_back_scratch(Session *s) {
        uint64_t deadline, timeout_usec = s->req->find_timeout_msec * USEC_PER_MSEC;
        long nsec = POLL_FIRST_NSEC;
        unsigned char byte;
        Mailbox box;

        /* the last frame comes after the last stamp: whoever did not get its turn since then still needs it */
        if (remote_read(s->b.pid, s->scratch, &box, sizeof(box)) < 0 ||
            (box.armed && !is_off_scratch(s, (pid_t)box.armed, timeout_usec)))
                return;
        s->b.deadline_usec = now_mono_usec() + timeout_usec;
        if (borrow_call(&s->b, BORROW_ON_ITS_STACK, calls_unmap, s) != PROBE_OK)
                return; /* the next run finds it and uses it */
        for (deadline = now_mono_usec() + MAP_TIMEOUT_USEC; now_mono_usec() < deadline; pause_a_little(&nsec))
                if (remote_read(s->b.pid, s->scratch, &byte, 1) < 0)
                        break;
}

static uint64_t rss_now(const Session *s) {
        Facts f;

        return facts_read(s->b.proc_fd, &f) == 0 && f.rss_known ? f.rss_bytes : 0;
}

static ProbeResult run(Session *s) {
        ProbeTrim *t = &s->reply->trim;
        ProbeResult p = arch_is_supported() ? open_target(s) : PROBE_E_UNSUPPORTED;

        if (p != PROBE_OK)
                return p;
        if (borrow_lock(&s->b) == -EADDRINUSE)
                return PROBE_E_IN_FLIGHT;
        s->b.deadline_usec = now_mono_usec() + s->req->find_timeout_msec * USEC_PER_MSEC;
        p = get_scratch(s);
        if (p != PROBE_OK)
                return p;
        t->rss_before_bytes = rss_now(s);
        p = start_trim(s);
        if (p == PROBE_OK) {
                p = finish_trim(s);
                t->rss_after_bytes = rss_now(s);
                /* a living process has an RSS: 0 is no figure, and would read as all of it given back */
                if (p == PROBE_OK && (t->rss_before_bytes == 0 || t->rss_after_bytes == 0))
                        p = PROBE_E_GONE;
        }
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
        char byte;

        return s->b.mem_fd >= 0 && s->b.maps.n > 0 && !has_ended(s) &&
               pread(s->b.mem_fd, &byte, 1, (off_t)s->b.maps.map[0].start) != 1;
}

void trim_run(const ProbeRequest *req, ProbeReply *reply) {
        _cleanup_(session_done) Session s = {.req = req, .reply = reply, .b = BORROW_NULL};
        uint64_t begin = now_mono_usec();

        reply->result = run(&s);
        if (reply->result != PROBE_OK && reply->result != PROBE_E_ZOMBIE && reply->result != PROBE_E_GONE &&
            has_ended(&s)) {
                reply->result = PROBE_E_GONE;
                say(&s, "it ended meanwhile");
        }
        if (reply->result != PROBE_OK && executes_another(&s)) {
                reply->result = PROBE_E_GONE;
                say(&s, "it executed another program meanwhile");
        }
        if (reply->result == PROBE_E_NO_SAFE_THREAD && reply->detail[0] == '\0')
                say(&s, "%u stops, all declined; the last one because %s", s.b.n_declined,
                    safepoint_text(s.b.last_decline));
        reply->call.stop_usec = s.b.held_usec;
        reply->call.stop_max_usec = s.b.held_max_usec;
        reply->call.n_declined = s.b.n_declined;
        reply->call.total_usec = now_mono_usec() - begin;
}
