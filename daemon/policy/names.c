/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

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
        [REASON_USED] = {"used", "use reached its share of the limit"},
        [REASON_BYTES] = {"bytes", "use reached its number of bytes"},
        [REASON_ETA] = {"eta", "the limit may be reached within the time set"},
        [REASON_DEADLINE] = {"deadline", "the limit may be reached before a rotation could be through"},
        [REASON_GROWTH] = {"growth", "it grows at the rate set"},
        [REASON_VERDICT] = {"verdict", "the diagnosis asks for it"},
        [REASON_BURST] = {"burst", "at its rate of this moment the limit is reached at once"},
        [REASON_PERSISTS] = {"persists", "still so"},
        [REASON_CLEARED] = {"cleared", "back below the threshold"},
        [REASON_TARGET_GONE] = {"target_gone", "the process ended"},
        [REASON_DISABLED] = {"disabled", "this rung is switched off"},
        [REASON_DRY_RUN] = {"dry_run", "dry run: would have acted"},
        [REASON_STARTUP_GRACE] = {"startup_grace", "the process is still starting up"},
        [REASON_HOLD] = {"hold", "not yet for long enough"},
        [REASON_COOLDOWN] = {"cooldown", "cooling down after the last time"},
        [REASON_REGROWN] = {"regrown", "what the last reclaim gave came back soon"},
        [REASON_BUSY] = {"busy", "another action is in flight"},
        [REASON_BREAKER] = {"breaker", "as many rotations as allowed were done"},
        [REASON_FRUITLESS] = {"fruitless", "the last reclaims gave too little"},
        [REASON_LITTLE_GAIN] = {"little_gain", "it would give back too little"},
        [REASON_EARLIER_RUNG] = {"earlier_rung", "reclaim comes first"},
        [REASON_WINDOW] = {"window", "not urgent, and maintenance comes later"},
        [REASON_NO_TREND] = {"no_trend", "the forecast has no figure yet"},
        [REASON_UNPROVEN] = {"unproven", "the forecast is not proved enough for this"},
        [REASON_REMEASURED] = {"remeasured", "measured once more, it did not hold"},
        [REASON_UNSUPPORTED] = {"unsupported", "the action cannot work here"},
};

const char *reason_name(Reason r) {
        return (unsigned)r < _REASON_MAX && reasons[r].name ? reasons[r].name : "invalid";
}

const char *reason_text(Reason r) {
        return (unsigned)r < _REASON_MAX && reasons[r].text ? reasons[r].text : "invalid";
}

const char *need_name(PolicyNeed n) {
        static const char *const names[_NEED_MAX] = {
                [NEED_DRAIN] = "drain",
                [NEED_STARTUP] = "startup",
                [NEED_RETRIES] = "retries",
        };
        return name_at(names, ELEMENTSOF(names), n);
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
