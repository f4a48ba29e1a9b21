/* SPDX-License-Identifier: Apache-2.0 */
#include "targets/unseen.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SEATS_MAX        256
#define DEADLINE_NSEC    10000000000u
#define TIMEOUT_MSEC     100 /* of a timed wait at most; at least a tenth */
#define ALTSTACK         (64 * 1024)
#define FEEDER_REST_NSEC 5000000
#define MAIN_REST_NSEC   2000000
#define ENTER_SIGNAL     (SIGRTMIN + 5) /* its handler is where a seat on the alternate stack lives */

typedef struct Unseen {
        Seat seats[SEATS_MAX];
        size_t n;
        char absent[1024];
        pthread_t feeder;
        uint64_t every_nsec;
        atomic_bool opened, seated, hold, held; /* all are open; all threads are there; the feeder shall be still; is */
} Unseen;

static Unseen *unseen; /* for handlers */
static _Thread_local Seat *me;

/* ---- what kinds use */

void seat_wrong(Seat *s, const char *note) {
        if (!s->note)
                s->note = note;
        s->n_wrong++;
}

int seat_put(Seat *s, uint32_t seq) {
        unsigned none = 0;

        return atomic_compare_exchange_strong(&s->slot, &none, seq) ? 0 : -EAGAIN;
}

uint32_t seat_take(Seat *s) {
        return atomic_exchange(&s->slot, 0);
}

uint32_t seat_count(Seat *s) {
        return s->n_got + 1;
}

static struct timespec timespec_of(uint64_t nsec) {
        return (struct timespec){.tv_sec = (time_t)(nsec / 1000000000u), .tv_nsec = (long)(nsec % 1000000000u)};
}

struct timespec seat_timeout(const Seat *s) {
        return timespec_of(s->timeout_nsec);
}

struct timespec seat_deadline(const Seat *s) {
        return timespec_of(mk_now_nsec() + s->timeout_nsec);
}

/* xorshift64*: Vigna 2016, An experimental exploration of Marsaglia's xorshift generators */
static uint64_t next_random(uint64_t *state) {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * 0x2545f4914f6cdd1du >> 20;
}

/* A sleep in which nobody is borrowed: for a signal out of none, until the time is up. */
static void rest(uint64_t nsec) {
        struct timespec ts = timespec_of(nsec);
        sigset_t none;

        sigemptyset(&none);
        (void)sigtimedwait(&none, NULL, &ts);
}

/* ---- one seat */

static void seat_judge(Seat *s, int r, uint32_t seq, uint64_t took_nsec) {
        s->n_waits++;
        if (r == SEAT_GOT) {
                if (seq != s->n_got + 1)
                        seat_wrong(s, "a-message-came-twice-or-out-of-order");
                s->n_got = seq;
                if (errno != SEAT_ERRNO)
                        seat_wrong(s, "errno-changed-by-a-call-that-succeeded");
        } else if (r == SEAT_TIMED_OUT) {
                s->n_timeouts++;
                if (took_nsec + s->kind->slack_nsec < s->timeout_nsec) {
                        s->n_early++;
                        s->early_max_nsec = max_of((uint64_t)s->early_max_nsec, s->timeout_nsec - took_nsec);
                } else if (took_nsec > s->timeout_nsec)
                        s->late_max_nsec = max_of((uint64_t)s->late_max_nsec, took_nsec - s->timeout_nsec);
        } else if (r == -EINTR)
                s->n_eintr++;
        else if (r < 0)
                seat_wrong(s, strerrorname_np(-r) ?: "a-wrong-result");
}

static bool altstack_is(const Seat *s, const stack_t *set) {
        stack_t now;

        return !s->kind->has_altstack ||
               (sigaltstack(NULL, &now) == 0 && now.ss_sp == set->ss_sp && now.ss_size == set->ss_size &&
                now.ss_flags == (s->kind->on_altstack ? SS_ONSTACK : 0));
}

_Noreturn static void seat_live(Seat *s, const stack_t *stack) {
        sigset_t before, after;

        memset(&before, 0, sizeof(before));
        memset(&after, 0, sizeof(after));
        pthread_sigmask(SIG_BLOCK, NULL, &before);
        s->tid = gettid();
        for (;;) {
                uint32_t seq = 0;
                uint64_t start = mk_now_nsec();

                s->timeout_nsec = (TIMEOUT_MSEC / 10 + next_random(&s->random) % (TIMEOUT_MSEC * 9 / 10)) * 1000000;
                errno = SEAT_ERRNO;
                int r = s->kind->wait(s, &seq);
                seat_judge(s, r, seq, mk_now_nsec() - start);
                pthread_sigmask(SIG_BLOCK, NULL, &after);
                if (memcmp(&before, &after, sizeof(before)) != 0)
                        seat_wrong(s, "signal-mask-changed");
                if (!altstack_is(s, stack))
                        seat_wrong(s, "alternate-stack-changed");
        }
}

static void on_seat_signal(int sig _unused_) {
        if (me)
                me->n_signals++;
}

static void on_enter_signal(int sig _unused_) {
        stack_t now;

        sigaltstack(NULL, &now);
        now.ss_flags = 0;
        seat_live(me, &now);
}

static void *seat_main(void *userdata) {
        Seat *s = me = userdata;
        stack_t stack = {.ss_size = ALTSTACK};
        uint64_t own = (uintptr_t)&stack;

        s->random = own ^ (uint64_t)gettid() << 32 ^ 0x9e3779b97f4a7c15u;
        if (s->kind->spins)
                setpriority(PRIO_PROCESS, (id_t)gettid(), 10); /* of this thread alone (NPTL, setpriority(2)) */
        if (s->kind->has_altstack) {
                stack.ss_sp = malloc(ALTSTACK);
                if (!stack.ss_sp || sigaltstack(&stack, NULL) < 0)
                        mk_die("sigaltstack", errno);
        }
        if (s->kind->on_altstack)
                pthread_kill(pthread_self(), ENTER_SIGNAL);
        seat_live(s, &stack);
        return NULL;
}

/* ---- the feeder */

/* The seat's counter of sent messages goes up before the message is on its way: it is never behind what was got. */
static void feed(Seat *s) {
        if (!s->kind->send)
                return;
        s->n_sent++;
        int r = s->kind->send(s, s->n_sent);
        if (r < 0)
                s->n_sent--;
        if (r < 0 && r != -EAGAIN)
                seat_wrong(s, "sending-failed");
}

static void seats_open(Unseen *u) {
        size_t n = 0;

        for (size_t i = 0; i < u->n; i++) {
                Seat *s = u->seats + n;

                u->seats[n] = u->seats[i];
                int r = s->kind->open(s);
                if (r == 0) {
                        n++;
                        continue;
                }
                size_t len = strlen(u->absent);
                snprintf(u->absent + len, sizeof(u->absent) - len, "%s%s:%s", len ? "," : "", s->kind->name,
                         strerrorname_np(-r) ?: "?");
        }
        u->n = n;
}

static void feeder_rest(const Unseen *u, uint64_t nsec) {
        uint64_t until = mk_now_nsec() + nsec, now;

        while ((now = mk_now_nsec()) < until && !u->hold)
                rest(min_of(until - now, (uint64_t)FEEDER_REST_NSEC));
}

/* What is under way shall arrive: to send again what is in a slot repeats its signal. */
static void feeder_hold(Unseen *u) {
        u->held = true;
        while (u->hold) {
                for (size_t i = 0; i < u->n; i++) {
                        Seat *s = u->seats + i;

                        if (s->slot != 0 && s->kind->send)
                                (void)s->kind->send(s, s->slot);
                }
                rest(1000000);
        }
        u->held = false;
}

/* Locks belong to the thread that took them: it is the feeder that opens. */
static void *feeder_main(void *userdata) {
        Unseen *u = userdata;
        uint64_t random = 6938;

        seats_open(u);
        u->opened = true;
        while (!u->seated)
                rest(200000);
        for (;;) {
                for (size_t i = 0; i < u->n; i++) {
                        feeder_rest(u, next_random(&random) % (2 * u->every_nsec / u->n + 1));
                        if (u->hold)
                                feeder_hold(u);
                        feed(u->seats + i);
                }
        }
        return NULL;
}

/* ---- the table of what became of them */

static bool all_arrived(const Unseen *u) {
        for (size_t i = 0; i < u->n; i++)
                if (!u->seats[i].kind->answers && u->seats[i].n_got != u->seats[i].n_sent)
                        return false;
        return true;
}

static void seats_print(Unseen *u) {
        uint64_t deadline = mk_now_nsec() + DEADLINE_NSEC;

        u->hold = true;
        while (!u->held)
                rest(200000);
        while (!all_arrived(u) && mk_now_nsec() < deadline)
                rest(200000);
        for (size_t i = 0; i < u->n; i++) {
                const Seat *s = u->seats + i;
                unsigned lost = s->kind->answers ? 0 : s->n_sent - s->n_got;

                dprintf(STDOUT_FILENO,
                        "seat kind=%s tid=%d waits=%llu sent=%u got=%u timeouts=%llu eintr=%llu early=%llu lost=%u "
                        "wrong=%llu "
                        "early_max_usec=%llu late_max_usec=%llu%s%s\n",
                        s->kind->name, s->tid, (unsigned long long)s->n_waits, s->n_sent, s->n_got,
                        (unsigned long long)s->n_timeouts, (unsigned long long)s->n_eintr,
                        (unsigned long long)s->n_early, lost, (unsigned long long)s->n_wrong,
                        (unsigned long long)s->early_max_nsec / 1000, (unsigned long long)s->late_max_nsec / 1000,
                        s->note ? " note=" : "", s->note ? s->note : "");
        }
        dprintf(STDOUT_FILENO, "seats n=%zu absent=%s\n", u->n, u->absent);
        u->hold = false;
        while (u->held)
                rest(200000);
}

static bool unseen_command(Mk *m, char c) {
        if (c == 'k')
                seats_print(m->state);
        return c == 'k';
}

static bool unseen_check(Mk *m) {
        const Unseen *u = m->state;
        bool ok = true;

        for (size_t i = 0; i < u->n; i++)
                ok = ok && u->seats[i].n_wrong == 0 && u->seats[i].n_early == 0;
        return ok;
}

/* ---- the target */

static bool is_wanted(const char *list, const char *name) {
        size_t n = strlen(name);

        if (strcmp(list, "all") == 0)
                return true;
        for (const char *at = list; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
                if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0'))
                        return true;
        return false;
}

static void seats_choose(Unseen *u, const char *list) {
        static const SeatKind *const tables[] = {seats_of_descriptors, seats_of_rings, seats_of_locks, seats_of_clocks,
                                                 seats_that_spin};

        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (const SeatKind *k = tables[t]; k->name; k++)
                        if (is_wanted(list, k->name) && u->n < SEATS_MAX)
                                u->seats[u->n++] = (Seat){.kind = k, .fd = -1, .peer_fd = -1, .other_fd = -1};
        if (u->n == 0)
                mk_die(list, EINVAL);
}

static void signals_prepare(void) {
        struct sigaction sa = {.sa_handler = on_seat_signal},
                         enter = {.sa_handler = on_enter_signal, .sa_flags = SA_ONSTACK};
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 3); /* for signalfd and sigwaitinfo; inherited by all */
        sigaddset(&set, SIGRTMIN + 4);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        sigaction(SEAT_SIGNAL, &sa, NULL);
        sigaction(ENTER_SIGNAL, &enter, NULL);
}

/* The main thread is never to be had either: it looks at stdin between two rests. */
static int stdin_block(Waiter *w) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

        while (poll(&p, 1, 0) == 0)
                rest(MAIN_REST_NSEC);
        ssize_t n = read(STDIN_FILENO, &w->byte, 1);
        return n == 1 ? 0 : n == 0 ? -EPIPE : -errno;
}

/* System V objects are nobody's: those that were not in a namespace of our own would stay. */
static void ipc_remove(void) {
        for (size_t i = 0; i < unseen->n; i++) {
                const Seat *s = unseen->seats + i;

                if (strncmp(s->kind->name, "sem", 3) == 0 && s->fd >= 0)
                        (void)semctl(s->fd, 0, IPC_RMID);
                if (strcmp(s->kind->name, "msgrcv") == 0)
                        (void)msgctl(s->fd, IPC_RMID, NULL);
        }
}

int mk_unseen(Mk *m) {
        static const WaitKind resting = {.name = "rest", .block = stdin_block, .by_fd = true};
        static Unseen u;

        u.every_nsec = max_of(mk_arg_u64(m, "every_ms", 60), (uint64_t)1) * 1000000;
        m->state = unseen = &u;
        m->command = unseen_command;
        m->check = unseen_check;
        m->stdin_waiter.kind = &resting;
        (void)unshare(CLONE_NEWIPC); /* without the right to: what is made is removed at the end */
        signals_prepare();
        seats_choose(&u, mk_arg(m, "kinds", "all"));
        if (pthread_create(&u.feeder, NULL, feeder_main, &u) != 0)
                mk_die("pthread_create", errno);
        while (!u.opened)
                rest(200000);
        atexit(ipc_remove);
        for (size_t i = 0; i < u.n; i++)
                if (pthread_create(&u.seats[i].thread, NULL, seat_main, u.seats + i) != 0)
                        mk_die("pthread_create", errno);
        for (size_t i = 0; i < u.n; i++)
                while (u.seats[i].tid == 0)
                        rest(200000);
        u.seated = true;
        ticker_start(m, mk_arg_u64(m, "tick", 0));
        return mk_serve(m);
}
