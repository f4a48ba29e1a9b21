/* SPDX-License-Identifier: Apache-2.0
 *
 * The rotation of our pod as a state machine, pure: no clock, no I/O, no allocation. kube_machine_step() takes what is
 * known now and answers with at most one command; who drives it (kube/rotate.c) writes the new state down *before* it
 * carries the command out, so that a sidecar killed in between resumes and asks again. Every command is safe to repeat:
 * patches test what they replace, removals name our uid. What must merely hold while a state lasts is no command but a
 * level: the pod's readiness, the main container's liveness, the slot, the drain.
 *
 * NORMAL -> LEASE_WAIT -> SURGING -> WAIT_READY -> UNREADY -> DRAINING -> TERMINATING -> DONE, without the surge for
 * owners that cannot have one; IN_PLACE and SIGNALLED restart the main container alone; ABORTING takes a detachment
 * back. The rules are a table in machine.c, first match wins.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/options.h"

typedef enum KubeState {
        KUBE_STATE_NORMAL,
        KUBE_STATE_LEASE_WAIT, /* for a slot */
        KUBE_STATE_SURGING,    /* the label goes */
        KUBE_STATE_WAIT_READY, /* detached; the replacement comes up, we still serve */
        KUBE_STATE_UNREADY,    /* out of the Services; waiting until that is known everywhere */
        KUBE_STATE_DRAINING,
        KUBE_STATE_TERMINATING, /* the pod is asked to be removed */
        KUBE_STATE_IN_PLACE,    /* /alive fails until the kubelet has restarted main */
        KUBE_STATE_SIGNALLED,   /* main got SIGTERM */
        KUBE_STATE_ABORTING,    /* the label comes back */
        KUBE_STATE_DONE,        /* the pod goes: nothing left to do */
        _KUBE_STATE_MAX,
} KubeState;

typedef enum KubeCommand {
        KUBE_COMMAND_NONE,
        KUBE_COMMAND_DETACH,  /* label out, deadline and state in */
        KUBE_COMMAND_RESTORE, /* the opposite; nothing to do when it is there */
        KUBE_COMMAND_EVICT,
        KUBE_COMMAND_DELETE, /* past the disruption budget: opt-in */
        KUBE_COMMAND_HINT,   /* CloneSet: apps.kruise.io/specified-delete */
        KUBE_COMMAND_RESIZE, /* headroom */
        KUBE_COMMAND_SIGNAL, /* SIGTERM to main */
        _KUBE_COMMAND_MAX,
} KubeCommand;

/* Why the last step was made. */
typedef enum KubeReason {
        KUBE_REASON_NONE,
        KUBE_REASON_ARMED,     /* a rotate trigger holds */
        KUBE_REASON_COOLDOWN,  /* held: the last rotation failed not long ago */
        KUBE_REASON_TOO_YOUNG, /* held: the pod is younger than min_age (doubled while replacements leak too) */
        KUBE_REASON_BREAKER,   /* held: replacements leak at once, again and again; in place only */
        KUBE_REASON_NO_TIME,   /* held until the last safe moment: nothing better can be in time */
        KUBE_REASON_SLOT,      /* got it */
        KUBE_REASON_SLOT_LOST,
        KUBE_REASON_DETACHED,
        KUBE_REASON_REPLACED,           /* replacement Ready for the soak time */
        KUBE_REASON_REPLACEMENT_FAILED, /* unschedulable, cannot start, quota */
        KUBE_REASON_REPLACEMENT_LATE,
        KUBE_REASON_UNWANTED, /* scaled to zero, owner or namespace going: nobody wants a replacement */
        KUBE_REASON_OUT_OF_TRAFFIC,
        KUBE_REASON_DRAINED,
        KUBE_REASON_DRAIN_LATE,
        KUBE_REASON_TIME_IS_SHORT,
        KUBE_REASON_LAST_MOMENT,
        KUBE_REASON_GROWTH_STOPPED,
        KUBE_REASON_MAIN_RESTARTED,
        KUBE_REASON_REFUSED, /* 403, a webhook, two budgets: asking again is no use */
        KUBE_REASON_BUDGET,  /* the disruption budget is used up */
        KUBE_REASON_API_DOWN,
        KUBE_REASON_HEADROOM,
        KUBE_REASON_RETRY,
        KUBE_REASON_REMOVED,    /* by us */
        KUBE_REASON_DELETED,    /* by somebody else */
        KUBE_REASON_GONE,       /* our name is another pod's, or nobody's */
        KUBE_REASON_REATTACHED, /* the label is back */
        KUBE_REASON_ORPHAN,     /* found detached without a rotation under way */
        KUBE_REASON_NO_EFFECT,  /* main did not end by the signal */
        KUBE_REASON_DEADLINE,
        _KUBE_REASON_MAX,
} KubeReason;

typedef enum KubeSlotFact {
        KUBE_SLOT_NOT_NEEDED, /* slots.max is 0, or leases may not be used: no coordination */
        KUBE_SLOT_WAITING,
        KUBE_SLOT_HELD,
        KUBE_SLOT_LOST, /* it was ours and may be another's now */
} KubeSlotFact;

typedef enum KubeReply {
        KUBE_REPLY_NONE, /* no command was given in this state yet */
        KUBE_REPLY_PENDING,
        KUBE_REPLY_OK,
        KUBE_REPLY_LOST,    /* no answer, a server error, throttled: may or may not have been done */
        KUBE_REPLY_STALE,   /* 409, 422 test: the pod is not as thought; it was read again */
        KUBE_REPLY_BUDGET,  /* 429 by a disruption budget */
        KUBE_REPLY_REFUSED, /* 403, 500 with several budgets, 4xx of a webhook */
} KubeReply;

/* What is known now. Times are on the clock of @now; 0 = not known, or not yet. */
typedef struct KubeFacts {
        bool rotate;       /* the ladder wants it */
        uint64_t eta_usec; /* to the limit, lower bound; USEC_INFINITY */
        uint64_t main_id;  /* start ticks of the main process; 0 = there is none now */
        bool pod_known, pod_gone, pod_deleting;
        bool detached; /* as last seen: our label says so */
        uint64_t pod_age_usec;
        unsigned young; /* how many rotations in a row the owner's pods needed early (learned) */
        bool api;       /* the API server answered lately, and lets us in */
        KubeSlotFact slot;
        bool unwanted, rolled; /* of the owner */
        uint64_t replacement_ready_usec;
        bool replacement_failed;
        uint64_t endpoint_off_usec; /* since when no EndpointSlice has us as ready */
        bool endpoint_known;
        bool drain_done;
        bool headroom; /* a resize would be accepted and help */
        bool may_evict, may_delete, alive_probe;
        bool one_shot;      /* main that ends well is not started again: it is not ended */
        bool evict_instead; /* were the strategy detach, evict would do too */
        KubeReply reply;
        KubeStrategy strategy; /* what the plan says now */
        uint64_t replace_usec; /* how long a replacement took lately */
        uint64_t drain_usec;   /* how long a drain did */
        uint64_t grace_usec;   /* the pod's termination grace */
        double jitter;         /* 0..1, new each time */
} KubeFacts;

/* What is written down. Shape: plain data; times are CLOCK_BOOTTIME, which a restarted sidecar shares. */
typedef struct KubeMachine {
        KubeState state;
        KubeStrategy strategy;
        KubeReason reason; /* of the last change */
        uint64_t since_usec, begun_usec;
        uint64_t deadline_usec;     /* by then the pod is gone, or as it was; peers remove it after that. 0 = none */
        uint64_t main_id;           /* at the begin */
        uint64_t cool_until_usec;   /* no rotation before, unless time is short */
        uint64_t signal_after_usec; /* no other SIGTERM before */
        uint64_t retry_usec;        /* the command again, not before */
        unsigned tries;             /* of the command in this state */
        unsigned failures;          /* rotations in a row that were aborted */
        bool touched;               /* DETACH was given: the label may be gone */
        bool replaced;              /* a replacement was Ready */
        bool resized, restarted;
} KubeMachine;

typedef struct KubeStep {
        bool changed; /* the machine is another one: write it down before the command */
        KubeState from;
        KubeCommand command;
        KubeReason reason; /* of the change, or of the hold in NORMAL */
} KubeStep;

/**
 * kube_machine_step() - one step
 * @m:   changed
 * @now: CLOCK_BOOTTIME; one before m->since_usec (the node booted anew) counts as that
 * Return: what to do. Call again after anything changed and at kube_machine_wake(); a step without news is none.
 */
KubeStep kube_machine_step(KubeMachine *m, const KubeFacts *f, const KubeOptions *o, uint64_t now);

/* kube_machine_wake() - when the next step could differ though no fact does. Return: USEC_INFINITY in NORMAL and DONE.
 */
uint64_t kube_machine_wake(const KubeMachine *m, const KubeOptions *o, uint64_t now);

/* kube_machine_need_usec() - what strategy @s takes from its begin until main has ended, with what was learned. */
uint64_t kube_machine_need_usec(KubeStrategy s, const KubeFacts *f, const KubeOptions *o);
/* kube_machine_least_usec() - the same with a drain that is cut short near the limit, as it is then: is there time for
 * @s? */
uint64_t kube_machine_least_usec(KubeStrategy s, const KubeFacts *f, const KubeOptions *o);

/* The levels of a state. */
bool kube_state_is_ready(KubeState s); /* /ready: may the pod be in Services? */
bool kube_state_may_live(KubeState s); /* /alive: false asks the kubelet to restart main */
bool kube_state_wants_slot(KubeState s);
bool kube_state_wants_drain(KubeState s);
bool kube_state_is_rotating(KubeState s); /* neither NORMAL nor DONE: watch closely */

const char *kube_state_name(KubeState s);       /* "normal", "lease_wait", ... */
const char *kube_command_name(KubeCommand c);   /* "detach", ... */
const char *kube_reason_name(KubeReason r);     /* "armed", ... */
KubeState kube_state_by_name(const char *name); /* Return: _KUBE_STATE_MAX when there is none */
/* kube_strategy_name() - "auto", "detach", "evict", "hint", "in_place", "signal". */
const char *kube_strategy_name(KubeStrategy s);
