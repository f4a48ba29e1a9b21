/* SPDX-License-Identifier: Apache-2.0
 *
 * The ladder: observe -> alert -> reclaim -> rotate. A pure state machine: no clock, no I/O, no allocation. Called
 * once a tick, it answers for every rung, and never starts anything itself; the daemon acts and tells the outcome
 * back.
 *
 * What must never happen is a fast leak that is lost behind a polite ladder. Rotation lets reclaim go first only where
 * there is time for it. The deadline is near when the forecast's lower bound is below half of rotate's time_to_limit,
 * or use has passed half of what is left above rotate's used_ratio (96 % for 92 %) or used_bytes. Then rotate
 * neither waits for reclaim nor for its own `for`. Start-up grace, cool-down, breaker, and an action in flight still
 * hold it: they guard against rotating for ever.
 *
 * A forecast is believed only so far as growth has been seen: a line through 30 seconds says nothing of the next ten
 * minutes. Rotate acts on a lower bound no farther away than the time that growth has lasted, reclaim on twice, alert
 * on four times that.
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
        double reclaim_min_yield_ratio;   /* and so is one that releases less than this share of RSS */
        unsigned reclaim_strikes;         /* so many fruitless ones in a row: none for 6 cool-downs; 0 = never mind */
        uint64_t reclaim_settle_usec;     /* after a reclaim: wait so long and measure again before rotating */
        unsigned rotate_max;              /* breaker: so many rotations ...; 0 = no breaker */
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
        uint64_t trend_span_usec;    /* how much time the trend's window covers; 0 = not told: no bound on belief */
        double slope_bytes_per_s;
        uint64_t eta_usec, eta_lo_usec, eta_hi_usec;
        bool action_in_flight;
        bool can_reclaim, can_rotate; /* the actions' own check() */
} PolicyInput;

typedef struct PolicyRungState {
        bool crossed;
        uint64_t crossed_since_usec; /* valid while crossed */
        bool acted;
        uint64_t last_action_usec;   /* valid once acted: start, later the end, of the last action */
        uint64_t rest_usec;          /* the cool-down that follows it */
} PolicyRungState;

typedef struct Policy {
        PolicyOptions options;
        PolicyRungState rung[_RUNG_MAX];
        uint64_t dry_usec[_RUNG_MAX];     /* when a dry run would have acted last; 0 = never */
        bool alert_firing;
        Reason alert_trigger;
        uint64_t alert_since_usec;
        bool alert_clear;                 /* below, and since when: a resolve is held like an alert */
        uint64_t alert_clear_usec;
        bool growing;
        uint64_t growing_since_usec, span_usec;
        unsigned fruitless;               /* in a row */
        bool reclaim_poor;                /* the last one gave too little, or nothing came of it */
        bool reclaim_done;
        uint64_t reclaim_done_usec;       /* valid when reclaim_done */
        unsigned rotate_failures;         /* in a row */
        uint64_t rotations[POLICY_ROTATIONS_MAX]; /* ring of times, for the breaker */
        unsigned rotation_head, n_rotations;
} Policy;

/* policy_init() - the state before the first tick. @options: copied. */
void policy_init(Policy *p, const PolicyOptions *options);

/* policy_set_options() - after a reload: thresholds change, history (cool-downs, breaker, firing alert) stays. */
void policy_set_options(Policy *p, const PolicyOptions *options);

/**
 * policy_step() - judge one tick
 * @ret: one Decision a rung, in ladder order. At most one of RECLAIM and ROTATE says ACT; rotate goes before reclaim.
 *       An alert counts as raised, repeated or resolved by the step that says so; PERSISTS is a skip until the repeat.
 *       In a dry run DRY_RUN stands where ACT would, with the same cool-down after it.
 * Never fails. A clock that ran backwards costs at most one more full wait.
 */
void policy_step(Policy *p, const PolicyInput *in, Decision ret[static _RUNG_MAX]);

/* policy_started() - the daemon really started this action: cool-down, breaker. For an alert nothing is left to do. */
void policy_started(Policy *p, const Decision *d);

/* policy_is_fruitless() - did this reclaim give less than it is worth? */
bool policy_is_fruitless(const PolicyOptions *o, const Outcome *out);

/**
 * policy_outcome() - how it ended
 * A reclaim that gave too little, failed or timed out is a strike; one that was refused, skipped or cancelled, or gave
 * the little that was foretold, only lets rotate go on, and after one that was skipped there is nothing to settle. A
 * rotation that did not happen is tried again after 30 s, 2 min, 8 min ..., never later than its cool-down, and one
 * that was refused or cancelled does not count for the breaker.
 */
void policy_outcome(Policy *p, const Outcome *o);

/**
 * policy_target_changed() - the process ended (@present false) or another one was found
 * @ret: an alert that was firing is resolved (REASON_TARGET_GONE)
 * Return: true when @ret holds a decision to act on. The breaker survives, holds and strikes do not.
 */
bool policy_target_changed(Policy *p, uint64_t now_usec, bool present, Decision *ret);
