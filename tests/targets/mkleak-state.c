/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that hold some state of a thread across a blocking call, and see whether it is still the same: stack,
 * alternate stack, registers, errno, signal mask; and those whose process changes under the observer's eyes.
 */
#include "targets/mkleak.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

/* ---- deep-stack */

typedef struct Deep {
        Mk *m;
        uint64_t depth, frame_bytes, room_bytes;
        unsigned char *below; /* Shape: below_bytes: memory of others, right below the stack */
        uint64_t below_bytes;
        uintptr_t floor; /* lowest address of a stack of our own; 0: the main stack */
        ucontext_t back;
} Deep;

/* dive() - recurse, block at the bottom, and check each frame's canary on the way up. Return: the command. */
static __attribute__((noinline)) char dive(Deep *d, uint64_t level) {
        volatile unsigned char frame[d->frame_bytes]; /* the size of a frame is an argument: the one use of a VLA */
        uintptr_t here = (uintptr_t)frame;
        char c;

        for (uint64_t i = 0; i < d->frame_bytes; i++)
                frame[i] = (unsigned char)(level + i);
        if (level + 1 >= d->depth || (d->floor && here - d->floor < d->room_bytes + d->frame_bytes + 160))
                c = mk_command(d->m);
        else
                c = dive(d, level + 1);
        for (uint64_t i = 0; i < d->frame_bytes; i++)
                if (frame[i] != (unsigned char)(level + i))
                        mk_bad(d->m, "a-stack-frame-changed");
        return c;
}

static void deep_serve(Deep *d) {
        char c;

        /* the bottom only reads: an answer needs more stack than room_bytes= may leave */
        do
                c = dive(d, 0);
        while (mk_handle(d->m, c));
}

static Deep *deep;

static bool deep_check(Mk *m _unused_) {
        for (uint64_t i = 0; i < deep->below_bytes; i++)
                if (deep->below[i] != 0x5a)
                        return false;
        return true;
}

static void deep_context(void) {
        deep_serve(deep);
        setcontext(&deep->back);
}

int mk_deep_stack(Mk *m) {
        uint64_t size = mk_arg_u64(m, "stack_kib", 64) * 1024;
        Deep d = {.m = m,
                  .depth = mk_arg_u64(m, "depth", 1000),
                  .frame_bytes = mk_arg_u64(m, "frame_bytes", 1024),
                  .room_bytes = mk_arg_u64(m, "room_bytes", 0),
                  .below_bytes = mk_arg_u64(m, "below_kib", 0) * 1024};
        ucontext_t own;

        if (d.frame_bytes == 0 || d.frame_bytes > 65536 || (!d.room_bytes && d.depth * d.frame_bytes > 6u << 20))
                mk_die("depth= times frame_bytes= is at most 6 MiB", EINVAL);
        if (!d.room_bytes) {
                mk_ready(m);
                deep_serve(&d);
                return 0;
        }
        /* the first page stays as it is: a guard */
        unsigned char *p = mmap(NULL, size + d.below_bytes + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(p + 4096, size + d.below_bytes, PROT_READ | PROT_WRITE) < 0 || size < 32768)
                mk_die("stack_kib=", EINVAL);
        d.below = p + 4096;
        memset(d.below, 0x5a, d.below_bytes);
        p += d.below_bytes;
        m->check = deep_check;
        d.floor = (uintptr_t)p + 4096;
        d.depth = UINT64_MAX;
        d.frame_bytes = 64;
        deep = &d;
        getcontext(&own);
        own.uc_stack = (stack_t){.ss_sp = p + 4096, .ss_size = size};
        own.uc_link = NULL;
        makecontext(&own, deep_context, 0);
        mk_ready(m);
        swapcontext(&d.back, &own);
        return 0;
}

/* ---- sigaltstack */

typedef struct Alt {
        stack_t stack; /* as it was set */
        int n_handled;
        bool in_handler; /* shall the handler serve? */
        bool on_it;      /* did the last handler run on it? */
} Alt;

static Mk *alt_mk;

static bool alt_check(Mk *m) {
        const Alt *a = m->state;
        stack_t now;

        if (sigaltstack(NULL, &now) < 0)
                return false;
        return now.ss_sp == a->stack.ss_sp && now.ss_size == a->stack.ss_size &&
               now.ss_flags == (a->in_handler ? SS_ONSTACK : 0);
}

static void alt_handler(int sig _unused_) {
        Alt *a = alt_mk->state;
        uintptr_t here = (uintptr_t)__builtin_frame_address(0), base = (uintptr_t)a->stack.ss_sp;

        a->n_handled++;
        a->on_it = here >= base && here < base + a->stack.ss_size;
        if (!a->on_it)
                mk_bad(alt_mk, "the-handler-ran-on-another-stack");
        if (a->in_handler)
                mk_serve(alt_mk);
}

static bool alt_command(Mk *m, char c) {
        Alt *a = m->state;

        if (c != 's' || a->in_handler)
                return false;
        raise(SIGUSR1);
        dprintf(STDOUT_FILENO, "signal handled=%d on_altstack=%d\n", a->n_handled, a->on_it);
        return true;
}

int mk_sigaltstack(Mk *m) {
        static Alt a;
        const char *where = mk_arg(m, "where", "main");
        struct sigaction sa = {.sa_handler = alt_handler, .sa_flags = SA_ONSTACK};

        a.in_handler = strcmp(where, "handler") == 0;
        if (!a.in_handler && strcmp(where, "main") != 0)
                mk_die("where= is main or handler", EINVAL);
        a.stack.ss_size = 64 * 1024;
        a.stack.ss_sp = malloc(a.stack.ss_size);
        alt_mk = m;
        m->state = &a;
        m->check = alt_check;
        m->command = alt_command;
        if (!a.stack.ss_sp || sigaltstack(&a.stack, NULL) < 0 || sigaction(SIGUSR1, &sa, NULL) < 0)
                mk_die("sigaltstack", errno);
        if (!a.in_handler)
                return mk_serve(m);
        raise(SIGUSR1);
        return 0;
}

/* ---- errno-keeper, mask-keeper */

/* serve_checked() - as mk_serve(), with @before and @after around each sleep */
static int serve_checked(Mk *m, void (*before)(Mk *m), void (*after)(Mk *m)) {
        char c;

        mk_ready(m);
        do {
                before(m);
                c = mk_command(m);
                after(m);
                m->n_loops++;
        } while (mk_handle(m, c));
        return 0;
}

static void errno_before(Mk *m _unused_) {
        errno = 4242; /* no errno of any kernel */
}

static void errno_after(Mk *m) {
        /* EINTR would be a failed call's, and is counted where it was seen */
        if (errno != 4242 && !(errno == EINTR && m->stdin_waiter.n_eintr))
                mk_bad(m, "errno-changed");
}

int mk_errno_keeper(Mk *m) {
        stdin_waiter_init(m, mk_arg(m, "wait", "read"));
        return serve_checked(m, errno_before, errno_after);
}

static sigset_t mask_kept;
static volatile sig_atomic_t n_delivered;

static void mask_handler(int sig _unused_) {
        n_delivered++;
}

static void mask_before(Mk *m _unused_) {
}

static void mask_after(Mk *m) {
        sigset_t now, pending;

        sigemptyset(&now);
        sigprocmask(SIG_BLOCK, NULL, &now);
        for (int i = 1; i < SIGRTMAX; i++)
                if (sigismember(&now, i) != sigismember(&mask_kept, i))
                        mk_bad(m, "signal-mask-changed");
        sigpending(&pending);
        if (n_delivered || !sigismember(&pending, SIGUSR2) || !sigismember(&pending, SIGRTMIN + 3))
                mk_bad(m, "a-blocked-signal-was-delivered");
}

int mk_mask_keeper(Mk *m) {
        static const int blocked[] = {SIGUSR2, SIGHUP, SIGWINCH, SIGVTALRM};
        struct sigaction sa = {.sa_handler = mask_handler};

        stdin_waiter_init(m, mk_arg(m, "wait", "read"));
        sigemptyset(&mask_kept);
        for (size_t i = 0; i < ELEMENTSOF(blocked); i++)
                sigaddset(&mask_kept, blocked[i]);
        for (int i = SIGRTMIN + 3; i < SIGRTMAX; i += 5)
                sigaddset(&mask_kept, i);
        sigaction(SIGUSR2, &sa, NULL);
        sigaction(SIGRTMIN + 3, &sa, NULL);
        sigprocmask(SIG_SETMASK, &mask_kept, NULL);
        raise(SIGUSR2);
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 7});
        return serve_checked(m, mask_before, mask_after);
}

/* ---- exec-self, vanish */

static _Noreturn void exec_again(uint64_t generation, const char *every) {
        char gen[64], ms[64];

        snprintf(gen, sizeof(gen), "generation=%llu", (unsigned long long)generation + 1);
        snprintf(ms, sizeof(ms), "every_ms=%s", every);
        execl("/proc/self/exe", "mkleak", "exec-self", gen, ms, (char *)NULL);
        mk_die("execl", errno);
}

int mk_exec_self(Mk *m) {
        uint64_t generation = mk_arg_u64(m, "generation", 0), every_ms = mk_arg_u64(m, "every_ms", 0);
        const char *every = mk_arg(m, "every_ms", "0");
        Waiter *w = &m->stdin_waiter;

        stdin_waiter_init(m, every_ms ? "poll-timed" : "poll");
        w->timeout_nsec = every_ms * 1000000;
        dprintf(STDOUT_FILENO, "ready pid=%d target=exec-self generation=%llu\n", (int)getpid(),
                (unsigned long long)generation);
        for (;;) {
                int r = w->kind->block(w);

                if (r == -EINTR)
                        w->n_eintr++;
                if (r == 1 || (r == 0 && w->byte == 'x'))
                        exec_again(generation, every);
                if (r == -EPIPE || (r == 0 && w->byte > ' ' && !mk_handle(m, (char)w->byte)))
                        return 0;
        }
}

static void *serve_alone(void *userdata) {
        Mk *m = userdata;

        /* "ready" only when the leader is gone for good: then its /proc entry is a zombie's with living threads */
        pthread_join(m->stdin_waiter.thread, NULL);
        exit(mk_serve(m));
}

int mk_vanish(Mk *m) {
        const char *how = mk_arg(m, "how", "exit");
        uint64_t after_ms = mk_arg_u64(m, "after_ms", 0);
        pthread_t t;

        if (strcmp(how, "main-thread") == 0) {
                m->stdin_waiter.thread = pthread_self();
                if (pthread_create(&t, NULL, serve_alone, m) != 0)
                        mk_die("pthread_create", errno);
                pthread_exit(NULL);
        }
        mk_ready(m);
        nanosleep(&(struct timespec){.tv_sec = (time_t)(after_ms / 1000), .tv_nsec = (long)(after_ms % 1000) * 1000000},
                  NULL);
        if (strcmp(how, "kill") == 0)
                raise(SIGKILL);
        return 0;
}
