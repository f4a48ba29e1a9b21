/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/trend.h"

const char *trend_reset_name(TrendReset r) {
        static const char *const names[_TREND_RESET_MAX] = {
                [TREND_RESET_NONE] = "none",
                [TREND_RESET_START] = "start",
                [TREND_RESET_RESTART] = "restart",
                [TREND_RESET_LIMIT] = "limit",
                [TREND_RESET_RECLAIM] = "reclaim",
                [TREND_RESET_STEP] = "step",
                [TREND_RESET_BEND] = "bend",
                [TREND_RESET_CLOCK] = "clock",
        };
        return (unsigned)r < _TREND_RESET_MAX ? names[r] : "invalid";
}

const char *trend_state_name(TrendState s) {
        static const char *const names[_TREND_STATE_MAX] = {
                [TREND_WAIT] = "wait",
                [TREND_FLAT] = "flat",
                [TREND_GROWING] = "growing",
                [TREND_SHRINKING] = "shrinking",
        };
        return (unsigned)s < _TREND_STATE_MAX ? names[s] : "invalid";
}
