/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "watch-internal.h"
#include "watch-log.h"
#include "util/clock.h"

/* A trigger that is not crossed for so long is over: a rotation under way is called off, where that can be done yet. */
#define ROTATE_HOLD_USEC (60 * USEC_PER_SEC)
/* One that began before our own restart goes on until we know as much as we did. */
#define ROTATE_RESUME_USEC (2 * USEC_PER_MINUTE)

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

void watch_need(Watch *w, uint64_t now_usec, KubeNeed *ret) {
        uint64_t left = policy_time_left(&w->judge.policy, &w->judge.input);
        uint64_t age = now_usec - min_of(now_usec, w->sample.time_usec);
        bool rotating = pod_is_rotating(w->host->pod), is_wanted;

        *ret = (KubeNeed){.eta_lo_usec = USEC_INFINITY};
        if (!w->present)
                return;
        ret->pid = w->target.pid;
        ret->start_ticks = w->target.start_ticks;
        ret->target = &w->target;
        if (!w->sample_known)
                return;
        ret->usage_bytes = w->sample.usage_bytes;
        ret->limit_bytes = w->sample.limit_bytes;
        if (left != USEC_INFINITY)
                ret->eta_lo_usec = left - min_of(left, age);
        if (w->rotate_wanted_usec)
                is_wanted = now_usec - min_of(now_usec, w->rotate_wanted_usec) < ROTATE_HOLD_USEC;
        else /* of an earlier daemon, which knew the same process: another one's memory is new */
                is_wanted = rotating && now_usec < w->host->start_usec + ROTATE_RESUME_USEC &&
                            w->target.start_boot_usec < w->host->start_usec;
        ret->rotate = is_wanted && (w->rotate_armed || rotating) && !w->judge.policy.options.dry_run;
}
