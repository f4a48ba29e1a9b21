/* SPDX-License-Identifier: Apache-2.0 */
#include "report/table.h"

#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"

#define G METRIC_GAUGE
#define C METRIC_COUNTER
#define I METRIC_INFO

const Metric metrics[_METRIC_MAX] = {
        /* the process that is watched */
        [METRIC_TARGET_UP] = {"plateau_target_up", G, "",
                              "1 while the watched process exists, 0 while it is looked for"},
        [METRIC_TARGET_INFO] = {"plateau_target_info", I, "", "Which process is watched"},
        [METRIC_TARGET_START_TIME] = {"plateau_target_start_time_seconds", G, "seconds",
                                      "When the watched process started, since the epoch"},
        [METRIC_TARGET_RESIDENT] = {"plateau_target_resident_bytes", G, "bytes", "Resident set (VmRSS)"},
        [METRIC_TARGET_RESIDENT_KIND] = {"plateau_target_resident_kind_bytes", G, "bytes",
                                         "Resident set by kind; the kinds add up to it"},
        [METRIC_TARGET_RESIDENT_PEAK] = {"plateau_target_resident_peak_bytes", G, "bytes",
                                         "Largest resident set so far (VmHWM)"},
        [METRIC_TARGET_VIRTUAL] = {"plateau_target_virtual_bytes", G, "bytes", "Address space (VmSize)"},
        [METRIC_TARGET_PAGE_TABLE] = {"plateau_target_page_table_bytes", G, "bytes", "Page tables (VmPTE)"},
        [METRIC_TARGET_SWAP] = {"plateau_target_swap_bytes", G, "bytes", "Anonymous memory in swap (VmSwap)"},
        [METRIC_TARGET_THREADS] = {"plateau_target_threads", G, "", "Threads"},
        [METRIC_TARGET_PROPORTIONAL] = {"plateau_target_proportional_bytes", G, "bytes",
                                        "Resident set with shared pages divided among their users (PSS)"},
        [METRIC_TARGET_UNIQUE] = {"plateau_target_unique_bytes", G, "bytes",
                                  "Resident pages that no other process maps (USS)"},
        [METRIC_TARGET_HUGE_PAGE] = {"plateau_target_huge_page_bytes", G, "bytes",
                                     "Anonymous memory in transparent huge pages"},
        [METRIC_TARGET_SMAPS_AGE] = {"plateau_target_smaps_age_seconds", G, "seconds",
                                     "Age of the figures that come from smaps_rollup"},
        [METRIC_TARGET_SMAPS_DURATION] = {"plateau_target_smaps_duration_seconds", G, "seconds",
                                          "What the last read of smaps_rollup took"},
        [METRIC_TARGET_USED] = {"plateau_target_used_bytes", G, "bytes",
                                "What is compared with the limit: memory that the kernel cannot free by itself"},
        [METRIC_TARGET_LIMIT] = {"plateau_target_limit_bytes", G, "bytes",
                                 "The memory limit that rules; absent without one"},
        [METRIC_TARGET_LIMIT_INFO] = {"plateau_target_limit_info", I, "", "Where the limit comes from"},
        [METRIC_TARGET_USED_RATIO] = {"plateau_target_used_ratio", G, "ratio", "Used share of the limit"},
        [METRIC_TARGET_RESTARTS] = {"plateau_target_restarts_total", C, "",
                                    "Times that another process took the place of the watched one"},
        [METRIC_TARGET_EXECS] = {"plateau_target_execs_total", C, "",
                                 "Times that the watched process executed another program"},
        /* its cgroup */
        [METRIC_CGROUP_CURRENT] = {"plateau_cgroup_memory_current_bytes", G, "bytes",
                                   "Charged to the cgroup of the target, page cache included"},
        [METRIC_CGROUP_USED] = {"plateau_cgroup_memory_used_bytes", G, "bytes",
                                "Anonymous, shared and unreclaimable kernel memory, and swap where it counts"},
        [METRIC_CGROUP_LIMIT] = {"plateau_cgroup_memory_limit_bytes", G, "bytes",
                                 "Lowest memory limit of the cgroup and its visible ancestors"},
        [METRIC_CGROUP_HIGH] = {"plateau_cgroup_memory_high_bytes", G, "bytes",
                                "Throttling threshold of the cgroup (memory.high)"},
        [METRIC_CGROUP_SWAP_CURRENT] = {"plateau_cgroup_memory_swap_current_bytes", G, "bytes",
                                        "Swap charged to the cgroup"},
        [METRIC_CGROUP_WORKING_SET] =
                {"plateau_cgroup_memory_working_set_bytes", G, "bytes",
                 "Charged less inactive file pages, as kubelet computes it; counts active page cache"},
        [METRIC_CGROUP_STAT] = {"plateau_cgroup_memory_stat_bytes", G, "bytes", "Charged memory by kind (memory.stat)"},
        [METRIC_CGROUP_EVENTS] = {"plateau_cgroup_memory_events_total", C, "", "Events of the cgroup (memory.events)"},
        [METRIC_PRESSURE_AVG] = {"plateau_pressure_memory_avg_ratio", G, "ratio",
                                 "Share of the window in which tasks of the cgroup waited for memory (PSI)"},
        /* forecast */
        [METRIC_FORECAST_TIME_TO_LIMIT] = {"plateau_forecast_time_to_limit_seconds", G, "seconds",
                                           "Time until the limit is reached at the present trend; +Inf is never"},
        [METRIC_FORECAST_GROWTH] = {"plateau_forecast_growth_bytes_per_second", G, "bytes_per_second",
                                    "Rate at which the floor of memory use grows"},
        [METRIC_FORECAST_CONFIDENCE] = {"plateau_forecast_confidence_ratio", G, "ratio",
                                        "Confidence that lower and upper bounds are meant to have"},
        [METRIC_FORECAST_FIT] = {"plateau_forecast_fit_ratio", G, "ratio",
                                 "Goodness of fit of the line that weighs most (R squared)"},
        [METRIC_FORECAST_SPAN] = {"plateau_forecast_span_seconds", G, "seconds",
                                  "Time for which the growth has been seen"},
        [METRIC_FORECAST_RESETS] = {"plateau_forecast_resets_total", C, "",
                                    "Times that the past was given up or corrected, by reason"},
        [METRIC_FORECAST_ERROR] = {"plateau_forecast_error_ratio", G, "ratio",
                                   "Growth that came against growth foretold, of the last forecasts; 0 is exact"},
        [METRIC_FORECAST_COVERED] = {"plateau_forecast_covered_ratio", G, "ratio",
                                     "Share of the last forecasts whose interval held what came"},
        [METRIC_FORECASTS_CHECKED] = {"plateau_forecasts_checked_total", C, "",
                                      "Forecasts compared with what came; dropped: it could not be told"},
        [METRIC_FORECAST_KIND] = {"plateau_forecast_kind", G, "", "1 for what the growth is, 0 for the others"},
        [METRIC_FORECAST_PROOF] = {"plateau_forecast_proof", G, "",
                                   "1 for each rung that the evidence for reaching the limit suffices for"},
        /* diagnosis */
        [METRIC_VERDICT] = {"plateau_verdict", G, "", "1 for the verdict on the target, 0 for the others"},
        [METRIC_VERDICT_CONFIDENCE] = {"plateau_verdict_confidence_ratio", G, "ratio", "How sure the verdict is"},
        [METRIC_HEAP_IN_USE] = {"plateau_heap_in_use_bytes", G, "bytes",
                                "Given out by the malloc of the target, without what has mappings of its own"},
        [METRIC_HEAP_FREE] = {"plateau_heap_free_bytes", G, "bytes", "Free in the heap of the target"},
        [METRIC_HEAP_TRIMMABLE] = {"plateau_heap_trimmable_bytes", G, "bytes", "What a trim would give back"},
        [METRIC_HEAP_PINNED] = {"plateau_heap_pinned_bytes", G, "bytes",
                                "Free in the heap, but on pages with something live"},
        [METRIC_SURVEY_AGE] = {"plateau_survey_age_seconds", G, "seconds", "Age of the last survey of the heap"},
        [METRIC_SURVEY_DURATION] = {"plateau_survey_duration_seconds", G, "seconds",
                                    "What the last survey of the heap took; nothing is stopped meanwhile"},
        /* decisions and actions */
        [METRIC_ROTATION_NEEDS] = {"plateau_rotation_needs_seconds", G, "seconds",
                                   "What a rotation takes, by configuration or learned: its deadline is the sum"},
        [METRIC_ALERT_FIRING] = {"plateau_alert_firing", G, "", "1 while the alert of the target fires"},
        [METRIC_DECISIONS] = {"plateau_decisions_total", C, "",
                              "Decisions and skips, one a tick and rung; a series exists once it happened"},
        [METRIC_ACTION_IN_FLIGHT] = {"plateau_action_in_flight", G, "", "1 while an action on the target runs"},
        [METRIC_RECLAIM_ATTEMPTS] = {"plateau_reclaim_attempts_total", C, "", "Reclaims by result"},
        [METRIC_RECLAIMED] = {"plateau_reclaimed_bytes_total", C, "bytes",
                              "Memory given back by reclaims, as measured"},
        [METRIC_RECLAIM_STOP] = {"plateau_reclaim_stop_seconds_total", C, "seconds",
                                 "Time for which a thread of the target was held by reclaims"},
        [METRIC_RECLAIM_DURATION] = {"plateau_reclaim_duration_seconds_total", C, "seconds",
                                     "Time that reclaims took from start to result"},
        [METRIC_RECLAIM_LAST_RELEASED] = {"plateau_reclaim_last_released_bytes", G, "bytes",
                                          "Memory given back by the last reclaim"},
        [METRIC_RECLAIM_LAST_TIMESTAMP] = {"plateau_reclaim_last_timestamp_seconds", G, "seconds",
                                           "When the last reclaim ended, since the epoch"},
        [METRIC_ROTATIONS] = {"plateau_rotations_total", C, "", "Rotations by result"},
        [METRIC_ROTATION_LAST_TIMESTAMP] = {"plateau_rotation_last_timestamp_seconds", G, "seconds",
                                            "When the last rotation ended, since the epoch"},
        /* what watching costs */
        [METRIC_SAMPLES] = {"plateau_samples_total", C, "", "Samples taken of the target"},
        [METRIC_SAMPLES_FAILED] = {"plateau_samples_failed_total", C, "", "Samples that could not be read"},
        [METRIC_SAMPLE_CPU] = {"plateau_sample_cpu_seconds_total", C, "seconds",
                               "Processor time spent on sampling the target"},
        [METRIC_SAMPLE_INTERVAL] = {"plateau_sample_interval_seconds", G, "seconds",
                                    "From the last sample to the next"},
        [METRIC_ALARMS] = {"plateau_alarms_total", C, "",
                           "Times the kernel told of the memory of the target, by a threshold or at its limit"},
        [METRIC_SMAPS_READS] = {"plateau_smaps_reads_total", C, "", "Reads of smaps_rollup"},
        [METRIC_SMAPS_FAILED] = {"plateau_smaps_failed_total", C, "", "Reads of smaps_rollup that failed"},
        [METRIC_SMAPS_SKIPPED] = {"plateau_smaps_skipped_total", C, "",
                                  "Reads of smaps_rollup left out because they would exceed the time budget"},
        [METRIC_SURVEYS] = {"plateau_surveys_total", C, "", "Surveys of the heap"},
        [METRIC_SURVEYS_FAILED] = {"plateau_surveys_failed_total", C, "", "Surveys of the heap that failed"},
        [METRIC_SURVEY_CPU] = {"plateau_survey_cpu_seconds_total", C, "seconds",
                               "Processor time spent on surveys of the heap"},
        /* delivery */
        [METRIC_SINK_ATTEMPTS] = {"plateau_sink_attempts_total", C, "", "Requests to a sink"},
        [METRIC_SINK_DELIVERED] = {"plateau_sink_delivered_total", C, "", "Requests that the sink accepted"},
        [METRIC_SINK_FAILED] = {"plateau_sink_failed_total", C, "",
                                "Requests that failed or were answered with an error"},
        [METRIC_SINK_DROPPED] = {"plateau_sink_dropped_total", C, "",
                                 "Notifications given up: refused for good, too old, folded, or the queue was full"},
        [METRIC_SINK_QUEUED] = {"plateau_sink_queued", G, "", "Notifications waiting for delivery"},
        [METRIC_SINK_LAST_SUCCESS] = {"plateau_sink_last_success_timestamp_seconds", G, "seconds",
                                      "When the sink accepted something last, since the epoch"},
        /* the pod */
        [METRIC_KUBE_API_UP] = {"plateau_kube_api_up", G, "", "1 while the Kubernetes API answers and lets us in"},
        [METRIC_KUBE_REQUESTS] = {"plateau_kube_requests_total", C, "",
                                  "Requests to the Kubernetes API that are over, each attempt for itself"},
        [METRIC_POD_READY] = {"plateau_pod_ready", G, "", "What /ready says: 0 from when the pod leaves its Services"},
        [METRIC_ROTATION_STATE] = {"plateau_rotation_state", G, "",
                                   "1 for the state that the rotation of the pod is in"},
        [METRIC_ROTATION_SLOT_WAIT] = {"plateau_rotation_slot_wait_seconds", G, "seconds",
                                       "How long the rotation has waited for a slot, or did"},
        [METRIC_ROTATION_CONNECTIONS] = {"plateau_rotation_connections", G, "",
                                         "Connections that the drain still waits for"},
        [METRIC_ROTATION_LEARNED] = {"plateau_rotation_learned_seconds", G, "seconds",
                                     "What replacement and drain took lately in this workload"},
        /* the daemon itself */
        [METRIC_PROBE_UP] = {"plateau_probe_up", G, "", "1 while the privileged helper runs"},
        [METRIC_TICKS] = {"plateau_ticks_total", C, "", "Ticks of the sampling timer"},
        [METRIC_TICKS_LATE] = {"plateau_ticks_late_total", C, "", "Ticks that came late"},
        [METRIC_LOG_DROPPED] = {"plateau_log_lines_dropped_total", C, "",
                                "Log lines lost because the reader was too slow"},
        [METRIC_CONFIG_RELOAD_OK] = {"plateau_config_last_reload_successful", G, "",
                                     "1 when the configuration was last loaded without error"},
        [METRIC_CONFIG_RELOAD_TIMESTAMP] = {"plateau_config_last_reload_success_timestamp_seconds", G, "seconds",
                                            "When the configuration in force was loaded, since the epoch"},
        [METRIC_BUILD_INFO] = {"plateau_build_info", I, "", "Version of the running program"},
        /* The texts of the Go client library: a Pushgateway refuses a push whose help differs from that of its own
           process_ metrics. */
        [METRIC_PROCESS_RESIDENT] = {"process_resident_memory_bytes", G, "bytes", "Resident memory size in bytes."},
        [METRIC_PROCESS_CPU] = {"process_cpu_seconds_total", C, "seconds",
                                "Total user and system CPU time spent in seconds."},
        [METRIC_PROCESS_START_TIME] = {"process_start_time_seconds", G, "seconds",
                                       "Start time of the process since unix epoch in seconds."},
};

bool metric_label_reserved(const char *name) {
        static const char *const names[] = {
                "target", "pid",    "comm",   "cmdline", "kind",    "window", "bound",    "event", "source", "rung",
                "verb",   "reason", "result", "sink",    "version", "le",     "quantile", "need",  "state",  "code",
        };

        if (strncmp(name, "__", 2) == 0) /* reserved for internal use by Prometheus' data model */
                return true;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

static bool is_label_name(const char *s) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

        return s[0] && strchr(letters, s[0]) &&
               s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")] == '\0';
}

bool report_label_usable(const ReportOptions *o, unsigned i) {
        if (!is_label_name(o->labels[i].name) || metric_label_reserved(o->labels[i].name) || !o->labels[i].value[0])
                return false;
        for (unsigned k = 0; k < i; k++)
                if (strcmp(o->labels[k].name, o->labels[i].name) == 0)
                        return false;
        return true;
}
