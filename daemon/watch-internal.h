/* SPDX-License-Identifier: Apache-2.0
 *
 * All that is kept of one target. Internal to watch.c and watch-view.c: whoever wants to know something of a watch asks
 * watch_view().
 */
#pragma once

#include "looks.h"
#include "watch-input.h"
#include "watch.h"

struct Watch {
        WatchHost *host;
        Target target;
        bool present;
        sd_event_source *end_io; /* the process' end, at once */

        bool sample_known;
        Sample sample;
        Trend trend;
        TrendFit fit;
        WatchGrowth growth;
        Policy policy;
        Decision decisions[_RUNG_MAX];
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

        uint64_t check_next_usec;
        bool can[_RUNG_MAX];
        char cannot[_RUNG_MAX][160];
        Buf evidence; /* reused */
};
