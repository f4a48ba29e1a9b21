/* SPDX-License-Identifier: Apache-2.0
 *
 * All that is decided about one target: the forecast, how soon to look again, and the ladder, put together in one
 * place, so that the daemon on a live process and `plateau replay` on a recorded trace cannot differ. Pure: no clock,
 * no I/O, no allocation; time and figures come in, decisions go out, and what came of them is told back.
 */
#pragma once

#include "policy/policy.h"
#include "policy/score.h"
#include "sample/pace.h"
#include "trend/trend.h"

typedef struct JudgeOptions {
        TrendOptions trend;
        PaceOptions pace;
        PolicyOptions policy;
} JudgeOptions;

#define JUDGE_OPTIONS_DEFAULT                                                                                          \
        ((JudgeOptions){.trend = TREND_OPTIONS_DEFAULT, .pace = PACE_OPTIONS_DEFAULT, .policy = policy_options_default})

/* One sample, what is known besides, and what can be done just now. */
typedef struct JudgeFigures {
        uint64_t time_usec;       /* CLOCK_BOOTTIME, or a simulated one */
        uint64_t target_age_usec; /* since the process started */
        uint64_t rss_bytes;
        uint64_t usage_bytes;     /* what is compared with the limit: Sample.usage_bytes */
        uint64_t limit_bytes;     /* 0 = none known */
        bool anon_known;          /* the part of the resident set that no file backs: */
        uint64_t anon_bytes;
        uint64_t slept_usec;      /* the machine did, since the sample before */
        int week_minute;          /* of maintenance windows: since Monday 00:00; -1 = not known, or none are set */
        uint64_t cost_usec;       /* CPU time of this look; 0 = not known */
        bool warned, alarmed;     /* the kernel will tell before the limit is reached; it just did */
        unsigned verdict;         /* the diagnosis' kind; 0 = unknown */
        bool looked;              /* the heap was surveyed, at look_usec: so much of what is resident is free in it */
        uint64_t look_usec, free_bytes;
        bool predicted;           /* a fresh look foretells what a reclaim gives ... */
        uint64_t predicted_bytes; /* ... this, ... */
        uint64_t worth_bytes;     /* ... and less than this is not worth one */
        bool action_in_flight;
        bool can_reclaim, can_rotate; /* the actions' own check() */
} JudgeFigures;

typedef struct Judge {
        JudgeOptions options;
        Trend trend;
        TrendFit fit; /* at the newest sample */
        uint64_t heap_told_usec; /* the look that the forecast heard of last */
        Pace pace;
        Score score;
        Policy policy;
        PolicyInput input;             /* what the newest decisions were made on */
        Decision decisions[_RUNG_MAX]; /* at the newest sample */
} Judge;

/* judge_init() - before the first sample. @o: copied. */
void judge_init(Judge *j, const JudgeOptions *o);

/* judge_set_options() - after a reload: thresholds change, history stays unless the forecast's own options changed. */
void judge_set_options(Judge *j, const JudgeOptions *o);

/**
 * judge_sample() - forecast, then decide: j->fit and j->decisions
 * What is forecast is use where there is a limit, else the resident set.
 * @ret_wait_usec: how soon to look again; may be NULL
 * Return: the reset that the sample caused in the trend, TREND_RESET_NONE mostly. Never fails.
 */
TrendReset judge_sample(Judge *j, const JudgeFigures *f, uint64_t *ret_wait_usec);

/**
 * judge_holds() - measured once more right before the act: does what @d was decided on still hold?
 * Return: false: @d is a skip now, for REASON_REMEASURED.
 */
bool judge_holds(const Judge *j, uint64_t usage_bytes, uint64_t limit_bytes, Decision *d);

/* judge_started() - this decision was carried out, or its action began. */
void judge_started(Judge *j, const Decision *d);

/**
 * judge_outcome() - how an action ended
 * @present: is there still a process? Memory that a reclaim gave back is taken off the trend's past
 * Return: did it?
 */
bool judge_outcome(Judge *j, const Outcome *o, bool present);

/**
 * judge_target_changed() - the process ended (@present false), or another one was found
 * @ret_resolve: the end of an alert that was firing
 * j->fit and j->decisions stay until judge_forget(): the alert's end is told with them.
 * Return: true when @ret_resolve holds a decision to act on.
 */
bool judge_target_changed(Judge *j, uint64_t now_usec, bool present, Decision *ret_resolve);

/* judge_forget() - the samples so far say nothing any more, for @why (TREND_RESET_START, TREND_RESET_RESTART). */
void judge_forget(Judge *j, uint64_t now_usec, TrendReset why);
