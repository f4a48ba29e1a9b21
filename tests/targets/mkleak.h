/* SPDX-License-Identifier: Apache-2.0
 *
 * The target factory: programs that hold memory or block in one well known way, for tests that look at a process, or
 * call into it, from outside. A target sets itself up, prints one line "ready pid=...", and then answers
 * single-letter commands on stdin, so that a test waits for events and never for time:
 *
 *   ?  "status target=NAME ok=1 key=value ..."    counters, self-check, resident set, mallinfo2 where there is one
 *   w  "woke n=N ok=1"                            wakes every waiting thread once and checks what each one got
 *   t  "trim returned=1 rss_before_bytes=..."     malloc_trim(0) from within: the reference for one from outside
 *   r  "reset"                                    sets the largest-gap figures back to zero
 *   q  exits 0, as end of file on stdin does
 *
 * Every target checks itself: "ok=0" means that somebody's call from outside was seen. eintr= counts apart, since a
 * stopped thread may see EINTR by the kernel's own rules (signal(7)).
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

#define MK_EXIT_USAGE 2
#define MK_EXIT_SKIP  77 /* meson's and automake's "skipped" */
#define MK_THREADS_MAX 1024

typedef struct Mk Mk;
typedef struct MkTarget MkTarget;
typedef struct Waiter Waiter;
typedef struct WaitKind WaitKind;
typedef struct Ticker Ticker;

struct MkTarget {
        const char *name;
        const char *keys; /* accepted key=value arguments, as in "size_mib= wait=" */
        const char *description;
        int (*make)(Mk *m); /* the whole life of the target. Return: its exit status */
};

/* One way to block. @block blocks once: 0 woken and the result is right, 1 timed out as it should, -EINTR, other
 * negative errno: the call returned what it must not. */
struct WaitKind {
        const char *name;
        int (*open)(Waiter *w);
        int (*block)(Waiter *w);
        int (*wake)(Waiter *w); /* NULL: wakes by its own timeout only */
        bool by_fd;             /* waits for a byte on w->fd, which the main thread can do on stdin */
};

struct Waiter {
        const WaitKind *kind;
        Mk *m;
        pthread_t thread;
        atomic_int tid;
        void (*prepare)(Waiter *w); /* runs in the thread before it first blocks */
        uint64_t timeout_nsec;      /* of the timed kinds */

        /* internal state */
        int fd, peer_fd, epoll_fd;
        uint8_t byte; /* what came over fd */
        atomic_uint word;
        sem_t sem;
        pthread_mutex_t mutex;
        pthread_cond_t cond;
        atomic_uint_fast64_t n_wakes, n_timeouts, n_eintr, n_bad, over_max_nsec;
};

struct Ticker {
        pthread_t thread;
        uint64_t period_nsec, alloc_bytes; /* alloc_bytes: allocated and freed each tick; 0 = none */
        atomic_uint_fast64_t n_ticks, gap_max_nsec, n_eintr;
        bool running;
};

struct Mk {
        const MkTarget *target;
        int argc;
        char **argv; /* the key=value arguments; [argc] is NULL */
        Waiter stdin_waiter;
        Waiter *waiters; /* Shape: n_waiters, or NULL */
        size_t n_waiters;
        Ticker ticker;
        atomic_uint_fast64_t n_loops, n_bad;
        void *state;            /* of the target */
        bool (*check)(Mk *m);   /* optional self-check, called by '?' */
        bool (*command)(Mk *m, char c); /* optional commands of its own. Return: whether it was one */
        const char *note; /* first thing that went wrong, a static string */
};

/* ---- arguments: a wrong value ends the program with MK_EXIT_USAGE */

uint64_t mk_arg_u64(const Mk *m, const char *key, uint64_t fallback);
const char *mk_arg(const Mk *m, const char *key, const char *fallback);

/* ---- life */

void mk_ready(Mk *m);
/* mk_bad() - record a failed self-check. @note: static string; the first one is kept. */
void mk_bad(Mk *m, const char *note);
/* mk_command() - block until a command comes. Return: the letter; 'q' at end of file. */
char mk_command(Mk *m);
/* mk_handle() - answer @c. Return: false when the target shall end. */
bool mk_handle(Mk *m, char c);
/* mk_serve() - mk_ready(), then commands until 'q'. Return: 0. */
int mk_serve(Mk *m);
_Noreturn void mk_die(const char *what, int error);

uint64_t mk_now_nsec(void);

/* ---- mkleak-wait.c */

const WaitKind *wait_kind(const char *name);
void wait_kinds_print(void);
/* waiters_start() - start @n threads that block as @kinds says: a kind, a comma list taken in turns, or "all".
 * Returns when each of them sleeps in its call. Errors: ends the program. */
void waiters_start(Mk *m, size_t n, const char *kinds, void (*prepare)(Waiter *w));
size_t wait_kinds_count(const char *kinds);
/* waiters_wake() - wake each waiter that can be woken. Return: how many; -ETIMEDOUT if one did not come back. */
int waiters_wake(Mk *m);
void stdin_waiter_init(Mk *m, const char *kind);
void ticker_start(Mk *m, uint64_t period_nsec);

/* ---- targets */

int mk_steady(Mk *m);
int mk_leak(Mk *m);
int mk_fragment(Mk *m);
int mk_split_heap(Mk *m);
int mk_fragment_threads(Mk *m);
int mk_allocator_hot(Mk *m);
int mk_single_hot(Mk *m);
int mk_fork_hot(Mk *m);
int mk_ticker(Mk *m);

int mk_epoll_eintr(Mk *m);
int mk_deep_stack(Mk *m);
int mk_sigaltstack(Mk *m);
int mk_fpu(Mk *m);
int mk_errno_keeper(Mk *m);
int mk_mask_keeper(Mk *m);
int mk_exec_self(Mk *m);
int mk_vanish(Mk *m);

int mk_odd_stack(Mk *m);
int mk_unseen(Mk *m);
