/* SPDX-License-Identifier: Apache-2.0
 *
 * The target `unseen`: one thread, a seat, for each way to wait, and some that never wait but check their registers all
 * the time. A feeder sends each seat numbered messages at random instants; the seat checks that each comes once and in
 * order, that no time-out ends early, that no call fails with EINTR, that errno and the signal mask stay. Whoever stops
 * a thread from outside must leave no trace in these counts.
 */
#pragma once

#include "targets/mkleak.h"

#define SEAT_ERRNO  4242    /* no errno of any kernel */
#define SEAT_SIGNAL SIGUSR1 /* has a handler, for those that wait for one */

typedef struct Seat Seat;
typedef struct SeatKind SeatKind;

/* What SeatKind.wait returns besides negative errno. */
typedef enum SeatEnd {
        SEAT_GOT,       /* a message */
        SEAT_TIMED_OUT, /* as long as was asked for */
        SEAT_AGAIN,     /* neither: not counted against anybody */
} SeatEnd;

struct SeatKind {
        const char *name;
        int (*open)(Seat *s); /* on the feeder's thread, before the seat's own runs. Negative errno: not here */
        int (*wait)(Seat *s, uint32_t *ret_seq);
        int (*send)(Seat *s, uint32_t seq); /* by the feeder. -EAGAIN: not now. NULL: nobody sends */
        bool timed;          /* waits at most s->timeout_nsec, drawn anew each time, a multiple of 1 ms */
        uint64_t slack_nsec; /* by how much it may end early with nobody near */
        bool answers;        /* messages come back: send() checks their order, and what is under way is not lost */
        bool has_altstack, on_altstack;
        bool spins; /* never waits: gets what time others leave */
};

struct Seat {
        const SeatKind *kind;
        pthread_t thread;
        atomic_int tid;
        uint64_t timeout_nsec, start_nsec, random;
        int fd, peer_fd, other_fd;
        atomic_uint slot; /* a message that is taken before the next one is put */
        atomic_uint n_signals;
        unsigned turn, peer_turn, n_taken; /* the kind's; turn: which of two locks, by the seat and by the feeder */
        pthread_mutex_t mutex[2];
        pthread_cond_t cond;
        sem_t sem;
        void *own; /* the kind's */

        atomic_uint n_sent, n_got;
        atomic_uint_fast64_t n_waits, n_timeouts, n_eintr, n_early, n_wrong, early_max_nsec, late_max_nsec;
        const char *note; /* the first wrong thing */
};

void seat_wrong(Seat *s, const char *note);
/* seat_put(), seat_take() - the slot: one message at a time. Return: 0; -EAGAIN: the last one is still there. */
int seat_put(Seat *s, uint32_t seq);
uint32_t seat_take(Seat *s);
/* seat_count() - for what carries no number: the next one. */
uint32_t seat_count(Seat *s);
struct timespec seat_timeout(const Seat *s);
struct timespec seat_deadline(const Seat *s);

/* The tables; an entry without a name ends each. */
extern const SeatKind seats_of_descriptors[]; /* unseen-fd.c */
extern const SeatKind seats_of_rings[];       /* unseen-ring.c: what completes by a ring or a queue of its own */
extern const SeatKind seats_of_locks[];       /* unseen-lock.c */
extern const SeatKind seats_of_clocks[];      /* unseen-lock.c: sleeps, signals, children */
extern const SeatKind seats_that_spin[];      /* mkleak-fpu.c */
