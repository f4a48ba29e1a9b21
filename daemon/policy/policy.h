/* SPDX-License-Identifier: Apache-2.0
 *
 * The ladder: observe -> alert -> reclaim -> rotate. A pure state machine: no clock, no I/O, no allocation. Called
 * once a tick, it answers for every rung, and never starts anything itself; the daemon acts and tells the outcome
 * back.
 *
 * What must never happen is a fast leak that is lost behind a polite ladder. So rotation is bound to a deadline: it is
 * due when the forecast's lower bound is below what a rotation needs (drain, start-up, retries, margin; each the longer
 * of what is configured and what earlier ones took). It lets reclaim go first only where there is time for it. It is
 * urgent when the lower bound is below drain and retries alone (the new process starts when the old one is gone), or
 * use has passed half of what is left above rotate's `used` (96 % for 92 %) or `bytes`, or a burst is moments from the
 * limit. Then it waits neither for reclaim, nor for its own `for`, nor for a maintenance window, and the alert not for
 * its `for`: whoever is told should hear of it before the process ends. Start-up grace,
 * cool-down, breaker, and an action in flight still hold it: they guard against rotating for ever.
 *
 * A forecast moves a rung only where the forecaster says that its evidence suffices for it (PolicyInput.proof): the
 * dearer the action, the more.
 */
#pragma once

#include "policy/decision.h"
#include "policy/window.h"
#include "util/clock.h"

#define POLICY_ROTATIONS_MAX 64            /* the breaker remembers this many */
#define POLICY_LEARN_MAX     16            /* of each need the last so many are remembered */
#define POLICY_ETA_NEEDS     USEC_INFINITY /* RungOptions.eta_usec: what a rotation needs */

typedef struct RungOptions {
        bool enabled;
        /* triggers, any of them is enough */
        double used_ratio;              /* 0 = unset */
        uint64_t used_bytes;            /* 0 = unset */
        uint64_t eta_usec;              /* 0 = unset; compared with the forecast's LOWER bound; or POLICY_ETA_NEEDS */
        uint64_t growth_bytes_per_hour; /* 0 = unset; compared with the lower bound of the slope */
        unsigned verdicts;              /* set of 1 << kind; 0 = unset */
        uint64_t hold_usec;             /* `for`: crossed for this long without a break */
        uint64_t cooldown_usec;         /* between two actions of this rung (alert: repeat interval) */
} RungOptions;

/* What a rotation takes: each is configured, and learned from those before. */
typedef enum PolicyNeed {
        NEED_DRAIN,   /* from its start until the process has ended */
        NEED_STARTUP, /* from there until another one is there */
        NEED_RETRIES, /* attempts that failed before the one that did it */
        _NEED_MAX,
} PolicyNeed;

typedef enum PolicyZone { ZONE_UTC, ZONE_LOCAL } PolicyZone;

typedef struct PolicyOptions {
        bool dry_run;                  /* decide, log and count, but act on alert only */
        uint64_t startup_grace_usec;   /* after the target's start: no reclaim, no rotate, no alert by forecast */
        double hysteresis_ratio;       /* alert ends below threshold x (1 - this), or eta above its x (1 + this) */
        uint64_t last_moment_usec;     /* a burst this near to the limit is urgent; 0 = never */
        PolicyWindows allow, forbid;   /* when reclaim and rotate may be done that are not urgent */
        PolicyZone windows_zone;       /* whose clock they are of; the daemon looks at it */
        RungOptions rung[_RUNG_MAX];
        uint64_t reclaim_min_yield_bytes; /* a reclaim that releases less is fruitless */
        double reclaim_min_yield_ratio;   /* and so is one that releases less than this share of RSS */
        unsigned reclaim_strikes;         /* so many fruitless ones in a row: none for 6 cool-downs; 0 = never mind */
        uint64_t reclaim_lasts_usec;      /* what is back sooner doubles the next cool-down; 0 = half a cool-down */
        uint64_t reclaim_settle_usec;     /* after a reclaim: wait so long and measure again before rotating */
        uint64_t rotate_needs_usec[_NEED_MAX];
        uint64_t rotate_margin_usec;      /* on top of them */
        unsigned rotate_max;              /* breaker: so many rotations ...; 0 = no breaker */
        uint64_t rotate_window_usec;      /* ... within this time */
} PolicyOptions;

extern const PolicyOptions policy_options_default;

/* What the policy looks at: figures by value, because peers never include each other. */
typedef struct PolicyInput {
        uint64_t now_usec;           /* CLOCK_BOOTTIME */
        uint64_t target_age_usec;    /* since the process started */
        int week_minute;             /* since Monday 00:00, on the clock of windows_zone; -1 = unknown */
        uint64_t usage_bytes, limit_bytes; /* limit 0 = none known */
        uint64_t rss_bytes;                /* what a reclaim is judged by; 0 = not known */
        bool trend_known;                  /* the forecast's figures below are valid */
        bool growing;                      /* it says so */
        unsigned proof; /* its evidence suffices for: 0 nothing, 1 alert, 2 and reclaim, 3 and rotate */
        double slope_bytes_per_s, slope_lo_bytes_per_s;
        uint64_t eta_usec, eta_lo_usec, eta_hi_usec;
        double burst_bytes_per_s; /* growth over each of the last samples at the least; 0 = none, or not known */
        unsigned verdict;         /* the diagnosis' kind, a bit number in RungOptions.verdicts; 0 = unknown */
        bool predicted;           /* a fresh look foretells what a reclaim gives ... */
        uint64_t predicted_bytes; /* ... this, ... */
        uint64_t worth_bytes;     /* ... and less than this is not worth one */
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

/* The last durations of one need, newest overwrites oldest. */
typedef struct PolicyLearned {
        uint64_t usec[POLICY_LEARN_MAX];
        unsigned head, n;
} PolicyLearned;

typedef struct PolicyNeeds {
        uint64_t usec[_NEED_MAX];         /* what counts: the longer of the two */
        uint64_t learned_usec[_NEED_MAX]; /* 90th percentile of the last ones; 0 when n_learned is 0 */
        unsigned n_learned[_NEED_MAX];
        uint64_t margin_usec, total_usec;
        uint64_t urgent_usec; /* drain and retries: what must be over before the limit */
} PolicyNeeds;

typedef struct Policy {
        PolicyOptions options;
        PolicyRungState rung[_RUNG_MAX];
        uint64_t dry_usec[_RUNG_MAX];     /* when a dry run would have acted last; 0 = never */
        bool alert_firing;
        Reason alert_trigger;
        uint64_t alert_since_usec;
        bool alert_clear;                 /* below, and since when: a resolve is held like an alert */
        uint64_t alert_clear_usec;
        unsigned fruitless;               /* in a row */
        bool reclaim_poor;                /* the last one gave too little, or nothing came of it */
        bool reclaim_done;
        uint64_t reclaim_done_usec;       /* valid when reclaim_done */
        uint64_t reclaim_back_bytes;      /* at this RSS what it gave is back; 0 = not waited for */
        unsigned regrown;                 /* reclaims in a row whose bytes came back soon */
        unsigned rotate_failures;         /* in a row */
        uint64_t rotate_first_usec;       /* when the first of this row of attempts was started */
        uint64_t rotations[POLICY_ROTATIONS_MAX]; /* ring of times, for the breaker */
        unsigned rotation_head, n_rotations;
        PolicyLearned learned[_NEED_MAX];
        uint64_t absent_usec; /* since when there is no process; 0 = there is one, or never was */
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

/**
 * policy_time_left() - to the limit, as far as it is certain enough to end a process for
 * The lower bound of a forecast that is proved for rotate, or the rate of a burst. A forecast of a few looks spans from
 * a second to a day: that is "not known". Return: USEC_INFINITY: not known, or no growth.
 */
uint64_t policy_time_left(const Policy *p, const PolicyInput *in);

/**
 * policy_holds() - does what @d was decided on still hold?
 * @in: measured once more, right before the act. A limit that moved, or use below its threshold or, for the other
 *      triggers, below what it was by more than the hysteresis, is another situation: let the next tick judge it.
 */
bool policy_holds(const Policy *p, const PolicyInput *in, const Decision *d);

/* policy_started() - the daemon really started this action: cool-down, breaker. For an alert nothing is left to do. */
void policy_started(Policy *p, const Decision *d);

/* policy_is_fruitless() - did this reclaim give less than it is worth? */
bool policy_is_fruitless(const PolicyOptions *o, const Outcome *out);

/**
 * policy_outcome() - how it ended
 * A reclaim that gave too little, failed or timed out is a strike; one that was refused, skipped or cancelled, or gave
 * the little that was foretold, only lets rotate go on, and after one that was skipped there is nothing to settle. One
 * whose bytes are back within reclaim_lasts_usec doubles the next cool-down (up to eight times), one that lasts ends
 * that. A rotation that did not happen is tried again after 30 s, 2 min, 8 min ..., never later than its cool-down, and
 * one that was refused or cancelled does not count for the breaker. What a rotation took is learned.
 */
void policy_outcome(Policy *p, const Outcome *o);

/**
 * policy_target_changed() - the process ended (@present false) or another one was found
 * @ret: an alert that was firing is resolved (REASON_TARGET_GONE)
 * Return: true when @ret holds a decision to act on. The breaker and what was learned survive, holds and strikes do
 * not. How long there was no process is learned as a start-up.
 */
bool policy_target_changed(Policy *p, uint64_t now_usec, bool present, Decision *ret);

/* policy_learn() - a rotation's @need took so long. Longer than half an hour is no rotation any more: not learned. */
void policy_learn(Policy *p, PolicyNeed need, uint64_t usec);
/* policy_needs() - what a rotation needs now, by settings and by what was learned. */
void policy_needs(const Policy *p, PolicyNeeds *ret);

const char *need_name(PolicyNeed n); /* "drain": stable. Owner: static */
