/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may rotate, decided from Leases: pure, no clock, no I/O, no allocation. slot_judge() says which one request is
 * to be made now; slot_reply() takes what came of it. Clocks of pods are never compared: a lease is over when *we* saw
 * neither holder nor renewTime change for 5/4 of the duration that its holder wrote. The holder itself stops to believe
 * in it 2/3 of the duration after it *sent* the last renewal that was answered. Writes name the version they are based
 * on, so of two who take one lease one gets a conflict, and an answer that was lost is cleared up by reading.
 *
 * Each lease has room for one bid: a waiter with its time left. A waiter with less time left replaces it, and who
 * waits leaves a free lease to its bidder for half of the duration if that one has less time. So N leases know the N
 * most urgent waiters, without anybody having to list pods. Source: client-go's leaderelection, kured's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SLOTS_MAX       64u
#define SLOT_HOLDER_MAX 320

typedef enum SlotOwner {
        SLOT_UNREAD,
        SLOT_FREE,
        SLOT_MINE,
        SLOT_OTHERS,
        SLOT_MISSING, /* there is no such lease */
        SLOT_DENIED,  /* it may not be read, or not be written */
} SlotOwner;

typedef enum SlotDo {
        SLOT_DO_NONE,
        SLOT_DO_READ,
        SLOT_DO_CHECK, /* is the holder's pod still there? */
        SLOT_DO_TAKE,
        SLOT_DO_RENEW,
        SLOT_DO_RELEASE,
        SLOT_DO_BID,
        SLOT_DO_UNBID,
} SlotDo;

typedef enum SlotReply {
        SLOT_REPLY_OK,   /* the lease is as told; SLOT_DO_CHECK: the pod is there */
        SLOT_REPLY_GONE, /* there is no lease; SLOT_DO_CHECK: no such pod, or another with its name, or it has ended */
        SLOT_REPLY_CONFLICT, /* somebody else wrote before */
        SLOT_REPLY_DENIED,
        SLOT_REPLY_UNKNOWN, /* no answer, or none to go by: it may have been done */
} SlotReply;

/* A lease as read. Shape: strings end with NUL and are compared, nothing else; "" = none. */
typedef struct SlotLease {
        char holder[SLOT_HOLDER_MAX]; /* POD/UID */
        char renewed[48];
        char version[32];
        uint64_t ttl_usec; /* 0 = not told */
        uint32_t transitions;
        char bidder[SLOT_HOLDER_MAX];
        char beat[24];          /* differs each time the bidder renews its bid */
        uint64_t bid_left_usec; /* what it had left when it wrote */
} SlotLease;

typedef struct SlotSeen {
        SlotLease lease;
        SlotOwner owner;
        bool fresh; /* read since a slot is wanted, and nothing of ours is on its way or lost */
        bool fate;  /* a write of ours may have been done: read it before anything else */
        bool gone;  /* the holder's pod is */
        uint64_t changed_usec, bid_changed_usec; /* as seen here; at the earliest when it was */
        uint64_t open_since_usec;                /* could be taken, but for a bid; 0 = not */
        uint64_t read_due_usec, check_due_usec;
} SlotSeen;

typedef struct SlotMind {
        SlotSeen *seen; /* Owner: caller; Shape: @n */
        unsigned n, first;
        char me[SLOT_HOLDER_MAX];
        uint64_t ttl_usec;
        bool want, urgent, look;
        uint64_t want_since_usec, limit_usec; /* when memory ends; USEC_INFINITY */
        int held;                             /* -1 = none */
        uint64_t sent_usec;                   /* of the last write that made or kept it ours */
        uint32_t transitions;                 /* as it was then */
        bool lost, passed, no_check, no_notes;
        uint64_t retry_usec;
        unsigned fails;
        uint64_t release_until_usec; /* trying to is over then */
} SlotMind;

typedef struct SlotMove {
        SlotDo what;
        unsigned index;
        bool passes;        /* TAKE: before a waiter with less time */
        uint64_t wake_usec; /* SLOT_DO_NONE: ask again then; USEC_INFINITY */
} SlotMove;

/* What came of a move. */
typedef struct SlotNews {
        SlotMove move;
        SlotReply reply;
        const SlotLease *lease; /* with SLOT_REPLY_OK, but for SLOT_DO_CHECK */
        bool notes;             /* the write had annotations in it */
        uint64_t sent_usec, retry_after_usec;
        double jitter; /* 0..1 */
} SlotNews;

/* slot_mind_init() - @seen: zeroed, @n of them. @first: where to begin; random, so that not all begin with one. */
void slot_mind_init(SlotMind *m, SlotSeen *seen, unsigned n, unsigned first, const char *me, uint64_t ttl_usec);
/* slot_want() - @left_usec: until memory ends; USEC_INFINITY. */
void slot_want(SlotMind *m, bool want, uint64_t left_usec, bool urgent, uint64_t now);
/* slot_look() - read each lease once. */
void slot_look(SlotMind *m);
/* slot_judge() - the one thing to do now. Only the mind's own times change. */
SlotMove slot_judge(SlotMind *m, uint64_t now);
/* slot_reply() - must be told of each move but NONE before the next slot_judge(). */
void slot_reply(SlotMind *m, const SlotNews *news, uint64_t now);

bool slot_is_held(const SlotMind *m, uint64_t now); /* ours, and nobody can have taken it */
bool slot_is_lost(const SlotMind *m, uint64_t now); /* it was ours since it is wanted, and may be another's */
bool slot_is_useless(const SlotMind *m);            /* no lease is there, or none may be used */
bool slot_is_quiet(const SlotMind *m);              /* nothing wanted, nothing left to give back */
