/* SPDX-License-Identifier: Apache-2.0
 *
 * Every metric once: name, type, unit, help. The encoders, the documentation and the tests read this one table, so a
 * name never means two things. Naming follows Prometheus: base units, _total for counters, sum() over labels makes
 * sense.
 */
#pragma once

#include <stdbool.h>

#include "report/options.h"

typedef enum MetricType { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO, _METRIC_TYPE_MAX } MetricType;

typedef enum MetricId {
        METRIC_TARGET_UP,
        METRIC_TARGET_INFO,
        METRIC_TARGET_START_TIME,
        METRIC_TARGET_RESIDENT,
        METRIC_TARGET_RESIDENT_KIND,
        METRIC_TARGET_RESIDENT_PEAK,
        METRIC_TARGET_VIRTUAL,
        METRIC_TARGET_PAGE_TABLE,
        METRIC_TARGET_SWAP,
        METRIC_TARGET_THREADS,
        METRIC_TARGET_PROPORTIONAL,
        METRIC_TARGET_UNIQUE,
        METRIC_TARGET_HUGE_PAGE,
        METRIC_TARGET_SMAPS_AGE,
        METRIC_TARGET_SMAPS_DURATION,
        METRIC_TARGET_USED,
        METRIC_TARGET_LIMIT,
        METRIC_TARGET_LIMIT_INFO,
        METRIC_TARGET_USED_RATIO,
        METRIC_TARGET_RESTARTS,
        METRIC_TARGET_EXECS,
        METRIC_CGROUP_CURRENT,
        METRIC_CGROUP_USED,
        METRIC_CGROUP_LIMIT,
        METRIC_CGROUP_HIGH,
        METRIC_CGROUP_SWAP_CURRENT,
        METRIC_CGROUP_WORKING_SET,
        METRIC_CGROUP_STAT,
        METRIC_CGROUP_EVENTS,
        METRIC_PRESSURE_AVG,
        METRIC_FORECAST_TIME_TO_LIMIT,
        METRIC_FORECAST_GROWTH,
        METRIC_FORECAST_CONFIDENCE,
        METRIC_FORECAST_FIT,
        METRIC_FORECAST_SPAN,
        METRIC_FORECAST_RESETS,
        METRIC_FORECAST_ERROR,
        METRIC_FORECAST_COVERED,
        METRIC_FORECASTS_CHECKED,
        METRIC_FORECAST_KIND,
        METRIC_FORECAST_PROOF,
        METRIC_VERDICT,
        METRIC_VERDICT_CONFIDENCE,
        METRIC_HEAP_IN_USE,
        METRIC_HEAP_FREE,
        METRIC_HEAP_TRIMMABLE,
        METRIC_HEAP_PINNED,
        METRIC_SURVEY_AGE,
        METRIC_SURVEY_DURATION,
        METRIC_ROTATION_NEEDS,
        METRIC_ALERT_FIRING,
        METRIC_DECISIONS,
        METRIC_ACTION_IN_FLIGHT,
        METRIC_RECLAIM_ATTEMPTS,
        METRIC_RECLAIMED,
        METRIC_RECLAIM_STOP,
        METRIC_RECLAIM_DURATION,
        METRIC_RECLAIM_LAST_RELEASED,
        METRIC_RECLAIM_LAST_TIMESTAMP,
        METRIC_ROTATIONS,
        METRIC_ROTATION_LAST_TIMESTAMP,
        METRIC_SAMPLES,
        METRIC_SAMPLES_FAILED,
        METRIC_SAMPLE_CPU,
        METRIC_SAMPLE_INTERVAL,
        METRIC_ALARMS,
        METRIC_SMAPS_READS,
        METRIC_SMAPS_FAILED,
        METRIC_SMAPS_SKIPPED,
        METRIC_SURVEYS,
        METRIC_SURVEYS_FAILED,
        METRIC_SURVEY_CPU,
        METRIC_SINK_ATTEMPTS,
        METRIC_SINK_DELIVERED,
        METRIC_SINK_FAILED,
        METRIC_SINK_DROPPED,
        METRIC_SINK_QUEUED,
        METRIC_SINK_LAST_SUCCESS,
        METRIC_KUBE_API_UP,
        METRIC_KUBE_REQUESTS,
        METRIC_POD_READY,
        METRIC_ROTATION_STATE,
        METRIC_ROTATION_SLOT_WAIT,
        METRIC_ROTATION_CONNECTIONS,
        METRIC_ROTATION_LEARNED,
        METRIC_PROBE_UP,
        METRIC_TICKS,
        METRIC_TICKS_LATE,
        METRIC_LOG_DROPPED,
        METRIC_CONFIG_RELOAD_OK,
        METRIC_CONFIG_RELOAD_TIMESTAMP,
        METRIC_BUILD_INFO,
        METRIC_PROCESS_RESIDENT,
        METRIC_PROCESS_CPU,
        METRIC_PROCESS_START_TIME,
        _METRIC_MAX,
} MetricId;

typedef struct Metric {
        const char *name; /* in full, with _total and _info */
        MetricType type;
        const char *unit; /* "bytes", "seconds", "ratio" or "": the part of the name before _total */
        const char *help; /* one sentence without a full stop; neither backslash, quote nor line break */
} Metric;

extern const Metric metrics[_METRIC_MAX];

/* metric_label_reserved() - a label name that some metric uses itself: a configured label may not be called so. */
bool metric_label_reserved(const char *name);

/* report_label_usable() - label @i of @o has a name and a value, is not reserved, and comes for the first time. One bad
 * or doubled name spoils the whole page for every scraper, so what settings/ let through is checked again. */
bool report_label_usable(const ReportOptions *o, unsigned i);
