/* SPDX-License-Identifier: Apache-2.0
 *
 * All that is decided about one target: the forecast and the ladder, put together in one place, so that the daemon on a
 * live process and `plateau replay` on a recorded trace cannot differ. Pure: no clock, no I/O, no allocation; time and
 * figures come in, decisions go out, and what came of them is told back.
 */
#pragma once

#include "policy/policy.h"
#include "trend/trend.h"

typedef struct JudgeOptions {
        TrendOptions trend;
        PolicyOptions policy;
} JudgeOptions;

#define JUDGE_OPTIONS_DEFAULT ((JudgeOptions){.trend = TREND_OPTIONS_DEFAULT, .policy = policy_options_default})

/* One sample, and what can be done just now. */
typedef struct JudgeFigures {
        uint64_t time_usec;       /* CLOCK_BOOTTIME, or a simulated one */
        uint64_t target_age_usec; /* since the process started */
        uint64_t rss_bytes;
        uint64_t usage_bytes;     /* what is compared with the limit: Sample.usage_bytes */
        uint64_t limit_bytes;     /* 0 = none known */
        int week_minute;          /* of maintenance windows: since Monday 00:00; -1 = not known, or none are set */
        unsigned verdict;         /* the diagnosis' kind; 0 = unknown */
        bool predicted;           /* a fresh look foretells what a reclaim gives ... */
        uint64_t predicted_bytes; /* ... this, ... */
        uint64_t worth_bytes;     /* ... and less than this is not worth one */
        bool action_in_flight;
        bool can_reclaim, can_rotate; /* the actions' own check() */
} JudgeFigures;

typedef struct Judge {
        Trend trend;
        TrendFit fit; /* at the newest sample */
        Policy policy;
        Decision decisions[_RUNG_MAX]; /* at the newest sample */
} Judge;

/* judge_init() - before the first sample. @o: copied. */
void judge_init(Judge *j, const JudgeOptions *o);

/* judge_set_options() - after a reload: thresholds change, history stays unless the forecast's own options changed. */
void judge_set_options(Judge *j, const JudgeOptions *o);

/**
 * judge_sample() - forecast, then decide: j->fit and j->decisions
 * What is forecast is use where there is a limit, else the resident set.
 * Return: the reset that the sample caused in the trend, TREND_RESET_NONE mostly. Never fails.
 */
TrendReset judge_sample(Judge *j, const JudgeFigures *f);

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
 * @why: TREND_RESET_START or TREND_RESET_RESTART
 * @ret_resolve: the end of an alert that was firing; j->decisions say nothing any more
 * Return: true when @ret_resolve holds a decision to act on.
 */
bool judge_target_changed(Judge *j, uint64_t now_usec, bool present, TrendReset why, Decision *ret_resolve);
