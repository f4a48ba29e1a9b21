/* SPDX-License-Identifier: Apache-2.0 */
#include "judge/judge.h"

#include <string.h>

#include "util/cleanup.h"

static void clear_decisions(Judge *j) {
        for (Rung r = 0; r < _RUNG_MAX; r++)
                j->decisions[r] = (Decision){.rung = r, .verb = VERB_NONE, .reason = REASON_BELOW};
}

void judge_init(Judge *j, const JudgeOptions *o) {
        trend_init(&j->trend, &o->trend);
        trend_fit(&j->trend, &j->fit);
        policy_init(&j->policy, &o->policy);
        clear_decisions(j);
}

void judge_set_options(Judge *j, const JudgeOptions *o) {
        policy_set_options(&j->policy, &o->policy);
        if (memcmp(&j->trend.options, &o->trend, sizeof(o->trend)) != 0) {
                trend_init(&j->trend, &o->trend);
                trend_fit(&j->trend, &j->fit);
        }
}

/* Peers never include each other: what the ladder looks at is copied from the forecast here. */
static PolicyInput input_of(const Judge *j, const JudgeFigures *f) {
        const TrendFit *fit = &j->fit;

        return (PolicyInput){
                .now_usec = f->time_usec,
                .target_age_usec = f->target_age_usec,
                .week_minute = f->week_minute,
                .usage_bytes = f->usage_bytes,
                .limit_bytes = f->limit_bytes,
                .rss_bytes = f->rss_bytes,
                .trend_known = fit->state != TREND_WAIT,
                .growing = fit->state == TREND_GROWING,
                .proof = (unsigned)fit->proof,
                .slope_bytes_per_s = fit->slope_bytes_per_s,
                .slope_lo_bytes_per_s = fit->slope_lo_bytes_per_s,
                .eta_usec = fit->eta_usec,
                .eta_lo_usec = fit->eta_lo_usec,
                .eta_hi_usec = fit->eta_hi_usec,
                .verdict = f->verdict,
                .predicted = f->predicted,
                .predicted_bytes = f->predicted_bytes,
                .worth_bytes = f->worth_bytes,
                .action_in_flight = f->action_in_flight,
                .can_reclaim = f->can_reclaim,
                .can_rotate = f->can_rotate,
        };
}

TrendReset judge_sample(Judge *j, const JudgeFigures *f) {
        TrendSample sample = {.time_usec = f->time_usec,
                              .bytes = f->limit_bytes ? f->usage_bytes : f->rss_bytes,
                              .limit_bytes = f->limit_bytes};
        TrendReset reset = trend_push(&j->trend, &sample);
        PolicyInput in;

        trend_fit(&j->trend, &j->fit);
        in = input_of(j, f);
        policy_step(&j->policy, &in, j->decisions);
        return reset;
}

void judge_started(Judge *j, const Decision *d) {
        policy_started(&j->policy, d);
}

bool judge_outcome(Judge *j, const Outcome *o, bool present) {
        policy_outcome(&j->policy, o);
        if (o->rung != RUNG_RECLAIM || o->released_bytes == 0 || !present)
                return false;
        trend_reclaimed(&j->trend, o->time_usec, o->released_bytes);
        return true;
}

bool judge_target_changed(Judge *j, uint64_t now_usec, bool present, TrendReset why, Decision *ret_resolve) {
        bool resolve = policy_target_changed(&j->policy, now_usec, present, ret_resolve);

        trend_reset(&j->trend, now_usec, why);
        trend_fit(&j->trend, &j->fit);
        clear_decisions(j);
        return resolve;
}
