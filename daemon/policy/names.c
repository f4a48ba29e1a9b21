/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decision.h"

#include "util/cleanup.h"

static const char *name_at(const char *const *names, size_t n, unsigned i) {
        return i < n && names[i] ? names[i] : "invalid";
}

const char *rung_name(Rung r) {
        static const char *const names[_RUNG_MAX] = {
                [RUNG_ALERT] = "alert",
                [RUNG_RECLAIM] = "reclaim",
                [RUNG_ROTATE] = "rotate",
        };
        return name_at(names, ELEMENTSOF(names), r);
}

const char *verb_name(Verb v) {
        static const char *const names[_VERB_MAX] = {
                [VERB_NONE] = "none",
                [VERB_ACT] = "act",
                [VERB_SKIP] = "skip",
                [VERB_RESOLVE] = "resolve",
        };
        return name_at(names, ELEMENTSOF(names), v);
}

static const struct {
        const char *name, *text;
} reasons[_REASON_MAX] = {
        [REASON_BELOW] = {"below", "below every threshold"},
        [REASON_USED_RATIO] = {"used_ratio", "use reached its share of the limit"},
        [REASON_USED_BYTES] = {"used_bytes", "use reached its number of bytes"},
        [REASON_TIME_TO_LIMIT] = {"time_to_limit", "the limit may be reached within the time set"},
        [REASON_PERSISTS] = {"persists", "still so"},
        [REASON_CLEARED] = {"cleared", "back below the threshold"},
        [REASON_TARGET_GONE] = {"target_gone", "the process ended"},
        [REASON_DISABLED] = {"disabled", "this rung is switched off"},
        [REASON_DRY_RUN] = {"dry_run", "dry run: would have acted"},
        [REASON_STARTUP_GRACE] = {"startup_grace", "the process is still starting up"},
        [REASON_HOLD] = {"hold", "not yet for long enough"},
        [REASON_COOLDOWN] = {"cooldown", "cooling down after the last time"},
        [REASON_BUSY] = {"busy", "another action is in flight"},
        [REASON_BREAKER] = {"breaker", "as many rotations as allowed were done"},
        [REASON_FRUITLESS] = {"fruitless", "the last reclaims gave too little"},
        [REASON_EARLIER_RUNG] = {"earlier_rung", "reclaim comes first"},
        [REASON_NO_TREND] = {"no_trend", "the forecast has no figure yet"},
        [REASON_UNSUPPORTED] = {"unsupported", "the action cannot work here"},
};

const char *reason_name(Reason r) {
        return (unsigned)r < _REASON_MAX && reasons[r].name ? reasons[r].name : "invalid";
}

const char *reason_text(Reason r) {
        return (unsigned)r < _REASON_MAX && reasons[r].text ? reasons[r].text : "invalid";
}

const char *outcome_name(OutcomeResult r) {
        static const char *const names[_OUTCOME_MAX] = {
                [OUTCOME_OK] = "ok",
                [OUTCOME_PARTIAL] = "partial",
                [OUTCOME_REFUSED] = "refused",
                [OUTCOME_TIMEOUT] = "timeout",
                [OUTCOME_CANCELLED] = "cancelled",
                [OUTCOME_ERROR] = "error",
                [OUTCOME_SKIPPED] = "skipped",
        };
        return name_at(names, ELEMENTSOF(names), r);
}
