/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/machine.h"

#include <string.h>

#include "util/cleanup.h"

/* What holds while a state lasts. */
static const struct {
        const char *name;
        bool ready, live, slot, drain, rotating;
} states[_KUBE_STATE_MAX] = {
        [KUBE_STATE_NORMAL] = {"normal", .ready = true, .live = true},
        [KUBE_STATE_LEASE_WAIT] = {"lease_wait", .ready = true, .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_SURGING] = {"surging", .ready = true, .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_WAIT_READY] = {"wait_ready", .ready = true, .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_UNREADY] = {"unready", .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_DRAINING] = {"draining", .live = true, .slot = true, .drain = true, .rotating = true},
        [KUBE_STATE_TERMINATING] = {"terminating", .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_IN_PLACE] = {"in_place", .slot = true, .rotating = true},
        [KUBE_STATE_SIGNALLED] = {"signalled", .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_ABORTING] = {"aborting", .ready = true, .live = true, .slot = true, .rotating = true},
        [KUBE_STATE_DONE] = {"done", .live = true},
};

static const char *const commands[_KUBE_COMMAND_MAX] = {
        [KUBE_COMMAND_NONE] = "none",     [KUBE_COMMAND_DETACH] = "detach", [KUBE_COMMAND_RESTORE] = "restore",
        [KUBE_COMMAND_EVICT] = "evict",   [KUBE_COMMAND_DELETE] = "delete", [KUBE_COMMAND_HINT] = "hint",
        [KUBE_COMMAND_RESIZE] = "resize", [KUBE_COMMAND_SIGNAL] = "signal",
};

static const char *const strategies[_KUBE_STRATEGY_MAX] = {
        [KUBE_STRATEGY_AUTO] = "auto", [KUBE_STRATEGY_DETACH] = "detach",     [KUBE_STRATEGY_EVICT] = "evict",
        [KUBE_STRATEGY_HINT] = "hint", [KUBE_STRATEGY_IN_PLACE] = "in_place", [KUBE_STRATEGY_SIGNAL] = "signal",
};

static const char *const reasons[_KUBE_REASON_MAX] = {
        [KUBE_REASON_NONE] = "none",
        [KUBE_REASON_ARMED] = "armed",
        [KUBE_REASON_COOLDOWN] = "cooldown",
        [KUBE_REASON_TOO_YOUNG] = "too_young",
        [KUBE_REASON_BREAKER] = "breaker",
        [KUBE_REASON_NO_TIME] = "no_time",
        [KUBE_REASON_SLOT] = "slot",
        [KUBE_REASON_SLOT_LOST] = "slot_lost",
        [KUBE_REASON_DETACHED] = "detached",
        [KUBE_REASON_REPLACED] = "replaced",
        [KUBE_REASON_REPLACEMENT_FAILED] = "replacement_failed",
        [KUBE_REASON_REPLACEMENT_LATE] = "replacement_late",
        [KUBE_REASON_UNWANTED] = "unwanted",
        [KUBE_REASON_OUT_OF_TRAFFIC] = "out_of_traffic",
        [KUBE_REASON_DRAINED] = "drained",
        [KUBE_REASON_DRAIN_LATE] = "drain_late",
        [KUBE_REASON_TIME_IS_SHORT] = "time_is_short",
        [KUBE_REASON_LAST_MOMENT] = "last_moment",
        [KUBE_REASON_GROWTH_STOPPED] = "growth_stopped",
        [KUBE_REASON_MAIN_RESTARTED] = "main_restarted",
        [KUBE_REASON_REFUSED] = "refused",
        [KUBE_REASON_BUDGET] = "budget",
        [KUBE_REASON_API_DOWN] = "api_down",
        [KUBE_REASON_HEADROOM] = "headroom",
        [KUBE_REASON_RETRY] = "retry",
        [KUBE_REASON_REMOVED] = "removed",
        [KUBE_REASON_DELETED] = "deleted",
        [KUBE_REASON_GONE] = "gone",
        [KUBE_REASON_REATTACHED] = "reattached",
        [KUBE_REASON_ORPHAN] = "orphan",
        [KUBE_REASON_NO_EFFECT] = "no_effect",
        [KUBE_REASON_DEADLINE] = "deadline",
};

#define KNOWN(s) ((unsigned)(s) < _KUBE_STATE_MAX)

bool kube_state_is_ready(KubeState s) {
        return KNOWN(s) && states[s].ready;
}

bool kube_state_may_live(KubeState s) {
        return KNOWN(s) && states[s].live;
}

bool kube_state_wants_slot(KubeState s) {
        return KNOWN(s) && states[s].slot;
}

bool kube_state_wants_drain(KubeState s) {
        return KNOWN(s) && states[s].drain;
}

bool kube_state_is_rotating(KubeState s) {
        return KNOWN(s) && states[s].rotating;
}

const char *kube_state_name(KubeState s) {
        return KNOWN(s) ? states[s].name : "unknown";
}

KubeState kube_state_by_name(const char *name) {
        for (KubeState s = 0; s < _KUBE_STATE_MAX; s++)
                if (strcmp(name, states[s].name) == 0)
                        return s;
        return _KUBE_STATE_MAX;
}

const char *kube_command_name(KubeCommand c) {
        return (unsigned)c < ELEMENTSOF(commands) ? commands[c] : "unknown";
}

const char *kube_reason_name(KubeReason r) {
        return (unsigned)r < ELEMENTSOF(reasons) ? reasons[r] : "unknown";
}

const char *kube_strategy_name(KubeStrategy s) {
        return (unsigned)s < ELEMENTSOF(strategies) ? strategies[s] : "unknown";
}
