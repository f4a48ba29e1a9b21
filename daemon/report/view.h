/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that can be told, at one moment: the daemon fills a View and every encoder (metrics, status JSON,
 * alerts) reads it. Pointers are borrowed for the duration of the call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy.h"
#include "policy/score.h"
#include "report/diagnosis.h"
#include "report/pod.h"
#include "sample/alarm.h"
#include "sample/sample.h"
#include "sample/target.h"
#include "trend/trend.h"

typedef struct TargetCounters {
        uint64_t samples_total, samples_failed_total, restarts_total, execs_total;
        uint64_t alarms_total; /* the kernel told of a threshold, or of events at the limit */
        uint64_t smaps_total, smaps_failed_total, smaps_skipped_total; /* skipped: over the time budget */
        uint64_t trend_resets_total[_TREND_RESET_MAX];
        uint64_t decisions_total[_RUNG_MAX][_VERB_MAX][_REASON_MAX]; /* one a tick and rung */
        uint64_t actions_total[_RUNG_MAX][_OUTCOME_MAX];
        uint64_t reclaimed_bytes_total, reclaim_stop_usec_total, reclaim_duration_usec_total;
        uint64_t surveys_total, surveys_failed_total, survey_cpu_usec_total; /* the probe's own CPU time */
        uint64_t sample_cost_usec_total; /* our own CPU time for sampling this target */
} TargetCounters;

typedef struct TargetView {
        const Target *target;
        bool present;
        bool sample_known;
        Sample sample;
        SmapsRollup smaps; /* time_usec 0 = never read */
        TrendFit fit;
        Decision decisions[_RUNG_MAX];
        uint64_t interval_usec; /* from the last sample to the next */
        AlarmKind alarm;        /* what the kernel tells by itself */
        ScoreFigures score;     /* of the forecasts so far */
        bool by_deadline; /* rotate is bound to what it needs: */
        PolicyNeeds needs;
        bool alert_firing;
        uint64_t alert_since_real_usec;
        bool last_outcome_known[_RUNG_MAX];
        Outcome last_outcome[_RUNG_MAX];
        uint64_t last_outcome_real_usec[_RUNG_MAX];
        bool action_in_flight;
        Rung action_rung;
        const Diagnosis *diagnosis; /* by surveys; NULL = none was taken yet */
        const char *verdict; /* what is known of why it grows; "unknown" until it is surveyed or reclaimed */
        bool dry_run;
        const TargetCounters *counters;
} TargetView;

/* One sink's delivery (pushgateway, webhook ...). */
typedef struct SinkCounters {
        const char *name;
        uint64_t attempts_total, delivered_total, failed_total, dropped_total;
        uint64_t last_success_real_usec; /* 0 = never */
        unsigned queued;
        char last_error[160];
} SinkCounters;

#define VIEW_SINKS_MAX 8

typedef struct View {
        uint64_t now_boot_usec, now_real_usec;
        uint64_t start_real_usec;     /* of the daemon */
        const TargetView *targets;
        unsigned n_targets;
        SinkCounters sinks[VIEW_SINKS_MAX];
        unsigned n_sinks;
        bool probe_alive;
        uint64_t probe_capabilities;  /* CapEff bits */
        uint64_t config_reload_real_usec;
        bool config_reload_ok;
        uint64_t ticks_total, ticks_late_total, log_dropped_total;
        uint64_t self_rss_bytes, self_cpu_usec; /* the daemon's own */
        const PodView *pod;                     /* NULL = kubernetes is off */
} View;
