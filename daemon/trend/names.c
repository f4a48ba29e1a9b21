/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/trend.h"

const char *trend_reset_name(TrendReset r) {
        static const char *const names[_TREND_RESET_MAX] = {
                [TREND_RESET_NONE] = "none",       [TREND_RESET_START] = "start",
                [TREND_RESET_RESTART] = "restart", [TREND_RESET_LIMIT] = "limit",
                [TREND_RESET_RECLAIM] = "reclaim", [TREND_RESET_STEP] = "step",
                [TREND_RESET_CLOCK] = "clock",     [TREND_RESET_SLEEP] = "sleep",
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

const char *trend_kind_name(TrendKind k) {
        static const char *const names[_TREND_KIND_MAX] = {
                [TREND_KIND_WAIT] = "wait",
                [TREND_KIND_FLAT] = "flat",
                [TREND_KIND_NOISE] = "noise",
                [TREND_KIND_WARMUP] = "warmup",
                [TREND_KIND_PLATEAU] = "plateau",
                [TREND_KIND_SAWTOOTH] = "sawtooth",
                [TREND_KIND_STEP] = "step",
                [TREND_KIND_FRAG] = "frag",
                [TREND_KIND_LEAK] = "leak",
        };
        return (unsigned)k < _TREND_KIND_MAX ? names[k] : "invalid";
}

const char *trend_proof_name(TrendProof p) {
        static const char *const names[_TREND_PROOF_MAX] = {
                [TREND_PROOF_NONE] = "none",
                [TREND_PROOF_ALERT] = "alert",
                [TREND_PROOF_RECLAIM] = "reclaim",
                [TREND_PROOF_ROTATE] = "rotate",
        };
        return (unsigned)p < _TREND_PROOF_MAX ? names[p] : "invalid";
}
