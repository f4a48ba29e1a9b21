/* SPDX-License-Identifier: Apache-2.0
 *
 * The ladder: observe -> alert -> reclaim -> rotate. A pure state machine: no clock, no I/O, no allocation. Called
 * once a tick, it answers for every rung, and never starts anything itself; the daemon acts and tells the outcome
 * back.
 */
#pragma once

#include "policy/decision.h"
#include "util/clock.h"

#define POLICY_ROTATIONS_MAX 64 /* the breaker remembers this many */

typedef struct RungOptions {
        bool enabled;
        double used_ratio;           /* 0 = unset; any of the three thresholds triggers */
        uint64_t used_bytes;         /* 0 = unset */
        uint64_t time_to_limit_usec; /* 0 = unset; compared with the forecast's LOWER bound */
        uint64_t hold_usec;          /* `for`: crossed for this long without a break */
        uint64_t cooldown_usec;      /* between two actions of this rung (alert: repeat interval) */
} RungOptions;

typedef struct PolicyOptions {
        bool dry_run;                  /* decide, log and count, but act on alert only */
        uint64_t startup_grace_usec;   /* after the target's start: no reclaim, no rotate, no alert by forecast */
        double hysteresis_ratio;       /* alert ends below threshold x (1 - this), or eta above its x (1 + this) */
        RungOptions rung[_RUNG_MAX];
        uint64_t reclaim_min_yield_bytes; /* a reclaim that releases less is fruitless */
        double reclaim_min_yield_ratio;   /* or less than this share of RSS */
        unsigned reclaim_strikes;         /* so many fruitless ones in a row and the ladder moves on */
        uint64_t reclaim_settle_usec;     /* after a reclaim: wait so long and measure again before rotating */
        unsigned rotate_max;              /* breaker: so many rotations ... */
        uint64_t rotate_window_usec;      /* ... within this time */
} PolicyOptions;

extern const PolicyOptions policy_options_default;

/* What the policy looks at: figures by value, because peers never include each other. */
typedef struct PolicyInput {
        uint64_t now_usec;           /* CLOCK_BOOTTIME */
        uint64_t target_age_usec;    /* since the process started */
        uint64_t usage_bytes, limit_bytes; /* limit 0 = none known */
        bool trend_known;
        bool growing;
        double slope_bytes_per_s;
        uint64_t eta_usec, eta_lo_usec, eta_hi_usec;
        bool action_in_flight;
        bool can_reclaim, can_rotate; /* the actions' own check() */
} PolicyInput;

typedef struct PolicyRungState {
        uint64_t crossed_since_usec; /* 0 = not crossed */
        uint64_t last_action_usec;   /* 0 = never */
} PolicyRungState;

typedef struct Policy {
        PolicyOptions options;
        PolicyRungState rung[_RUNG_MAX];
        bool alert_firing;
        uint64_t alert_since_usec;
        unsigned fruitless;               /* in a row */
        uint64_t reclaim_done_usec;
        uint64_t rotations[POLICY_ROTATIONS_MAX]; /* ring of times, for the breaker */
        unsigned rotation_head, n_rotations;
} Policy;

/* policy_init() - the state before the first tick. @options: copied. */
void policy_init(Policy *p, const PolicyOptions *options);

/* policy_set_options() - after a reload: thresholds change, history (cool-downs, breaker, firing alert) stays. */
void policy_set_options(Policy *p, const PolicyOptions *options);

/**
 * policy_step() - judge one tick
 * @ret: one Decision a rung, in ladder order. At most one of RECLAIM and ROTATE says ACT.
 * Never fails.
 */
void policy_step(Policy *p, const PolicyInput *in, Decision ret[static _RUNG_MAX]);

/* policy_started() - the daemon really started the action of this decision. Starts its cool-down, feeds the breaker. */
void policy_started(Policy *p, const Decision *d);

/* policy_outcome() - how it ended. Feeds the strikes. */
void policy_outcome(Policy *p, const Outcome *o);

/**
 * policy_target_changed() - the process ended (@present false) or another one was found
 * @ret: an alert that was firing is resolved (REASON_TARGET_GONE)
 * Return: true when @ret holds a decision to act on. The breaker survives, holds and strikes do not.
 */
bool policy_target_changed(Policy *p, uint64_t now_usec, bool present, Decision *ret);
