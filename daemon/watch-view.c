/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "watch-internal.h"
#include "watch-log.h"

/* What is known of why it grows: by surveys; else by what was tried and measured. */
static const char *verdict_of(const Watch *w) {
        const Outcome *o = &w->outcome[RUNG_RECLAIM];

        if (w->looks.diagnosis.n_looks > 0 && w->looks.diagnosis.verdict.kind != VERDICT_UNKNOWN)
                return verdict_text(w->looks.diagnosis.verdict.kind);
        if (!w->outcome_known[RUNG_RECLAIM] || w->outcome_generation != w->generation || !watch_ended_well(o))
                return "unknown";
        return policy_is_fruitless(&w->judge.policy.options, o) ? "live growth or pinned fragmentation" : "trimmable";
}

void watch_view(const Watch *w, TargetView *ret) {
        *ret = (TargetView){
                .target = &w->target,
                .present = w->present,
                .sample_known = w->sample_known,
                .sample = w->sample,
                .smaps = w->smaps,
                .fit = w->judge.fit,
                .interval_usec = w->look_next_usec > w->sample.time_usec ? w->look_next_usec - w->sample.time_usec : 0,
                .alarm = w->alarm.kind,
                .by_deadline = w->judge.policy.options.rung[RUNG_ROTATE].enabled &&
                               w->judge.policy.options.rung[RUNG_ROTATE].eta_usec == POLICY_ETA_NEEDS,
                .alert_firing = w->judge.policy.alert_firing,
                .alert_since_real_usec = w->alert_since_real_usec,
                .action_in_flight = w->run != NULL,
                .action_rung = w->run_decision.rung,
                .diagnosis = w->looks.diagnosis.n_looks > 0 ? &w->looks.diagnosis : NULL,
                .verdict = verdict_of(w),
                .dry_run = w->judge.policy.options.dry_run,
                .counters = &w->counters,
        };
        policy_needs(&w->judge.policy, &ret->needs);
        score_read(&w->judge.score, &ret->score);
        memcpy(ret->decisions, w->judge.decisions, sizeof(ret->decisions));
        memcpy(ret->last_outcome, w->outcome, sizeof(ret->last_outcome));
        memcpy(ret->last_outcome_known, w->outcome_known, sizeof(ret->last_outcome_known));
        memcpy(ret->last_outcome_real_usec, w->outcome_real_usec, sizeof(ret->last_outcome_real_usec));
}
