/* SPDX-License-Identifier: Apache-2.0
 *
 * All that is kept of one target. Internal to watch.c and watch-view.c: whoever wants to know something of a watch asks
 * watch_view().
 */
#pragma once

#include "looks.h"
#include "judge/judge.h"
#include "sample/alarm.h"
#include "watch-input.h"
#include "watch.h"

#define LOOK_SLACK_USEC (20 * USEC_PER_MSEC) /* a tick that comes for another watch this little early is taken */

struct Watch {
        WatchHost *host;
        Target target;
        bool present;
        sd_event_source *end_io; /* the process' end, at once */

        bool sample_known;
        Sample sample;
        uint64_t look_next_usec; /* when to sample next; 0 = at once */
        Alarm alarm;
        sd_event_source *alarm_io;
        uint64_t alarm_limit_bytes, alarm_mark; /* what it was opened for */
        unsigned alarm_level;
        bool alarmed;
        bool sleep_known;
        uint64_t slept_usec; /* how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC */
        Judge judge;         /* forecast, pace, ladder: all that is decided */
        TargetCounters counters;

        SmapsRollup smaps;
        uint64_t smaps_next_usec;
        uint64_t smaps_rss_bytes; /* RSS when its cost was measured */
        bool smaps_pending, cgroup_pending;
        uint64_t cgroup_next_usec;
        Looks looks;
        uint64_t generation; /* counts processes, so that a late answer about an earlier one is known */
        uint64_t asked_generation;

        uint64_t alert_since_real_usec;
        const Action *action;
        ActionRun *run;
        Decision run_decision;
        bool outcome_known[_RUNG_MAX];
        Outcome outcome[_RUNG_MAX];
        uint64_t outcome_real_usec[_RUNG_MAX];
        uint64_t outcome_generation; /* of the process that the last reclaim was done in */

        bool rotate_armed;           /* the ladder asked for the rotation of the pod that is under way */
        uint64_t rotate_wanted_usec; /* when its trigger was crossed last; 0 = not in this life of the process */

        uint64_t check_next_usec;
        bool can[_RUNG_MAX];
        char cannot[_RUNG_MAX][160];
        Buf evidence; /* reused */
};

/* watch-pace.c */
/* watch_mind_alarm() - what the kernel may tell of the limit that rules now: anew where it is another one. Return: will
 * it tell before the limit is reached? */
bool watch_mind_alarm(Watch *w);
bool watch_is_due(const Watch *w, uint64_t now_usec);
/* watch_look_now() - the next tick samples. */
void watch_look_now(Watch *w);
/* watch_forget_pace() - another process. */
void watch_forget_pace(Watch *w);
void watch_drop_alarm(Watch *w);
