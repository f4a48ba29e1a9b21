/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole configuration as one struct: every module owns its options struct, this only holds them together. Filled by
 * settings/load.c from YAML through the one table in settings/schema.c; defaults are in that table.
 */
#pragma once

#include "action/action.h"
#include "kube/options.h"
#include "policy/policy.h"
#include "report/options.h"
#include "sample/pace.h"
#include "sample/target.h"
#include "trend/trend.h"
#include "util/log.h"

#define SETTINGS_TARGETS_MAX 16

typedef enum LogChoice {
        LOG_CHOICE_AUTO,
        LOG_CHOICE_JOURNAL,
        LOG_CHOICE_JSON,
        LOG_CHOICE_PLAIN,
        _LOG_CHOICE_MAX,
} LogChoice;

typedef struct SampleOptions {
        PaceOptions pace;              /* between two samples */
        uint64_t search_interval_usec; /* between two looks for an absent target; default 2 s */
        double smaps_budget_ratio;     /* share of one core that smaps_rollup may take; 0 = never; default 0.001 */
        uint64_t smaps_stall_max_usec; /* predicted cost above this: not read; default 50 ms */
        uint64_t survey_interval_usec;     /* between two surveys of the heap; default 10 min */
        uint64_t survey_interval_min_usec; /* the same while the limit is near, or an alert fires; default 1 min */
        double survey_budget_ratio;        /* share of one core that they may take; 0 = none are taken; default 0.001 */
} SampleOptions;

typedef struct Settings {
        TargetSpec targets[SETTINGS_TARGETS_MAX];
        unsigned n_targets;
        SampleOptions sample;
        TrendOptions trend;
        PolicyOptions policy;
        ActionOptions action;
        KubeOptions kube;
        ReportOptions report;
        LogChoice log_format;
        int log_level;            /* LOG_ERR..LOG_DEBUG */
        char socket_path[108];    /* status socket; "" = off. Default /run/plateau/plateau.sock */
} Settings;
