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

/* How long growth has been seen: the window's span, and longer while it slides; an emptied window starts anew. */
static uint64_t follow_growth(JudgeGrowth *g, const TrendFit *fit, uint64_t now_usec) {
        if (fit->state != TREND_GROWING) {
                g->growing = false;
                return 0;
        }
        if (!g->growing || fit->span_usec < g->span_usec / 2)
                g->since_usec = now_usec - min_of(now_usec, fit->span_usec);
        g->growing = true;
        g->span_usec = fit->span_usec;
        return now_usec - min_of(now_usec, g->since_usec);
}

/* How far ahead a line is believed by how long growth has been seen; the dearer the action, the less. */
static unsigned proof_of(const TrendFit *fit, uint64_t growing_usec) {
        static const unsigned belief[_RUNG_MAX] = {[RUNG_ALERT] = 4, [RUNG_RECLAIM] = 2, [RUNG_ROTATE] = 1};
        unsigned proof = 0;

        if (fit->state != TREND_GROWING || fit->eta_lo_usec == USEC_INFINITY)
                return 0;
        while (proof < _RUNG_MAX && fit->eta_lo_usec / belief[proof] <= growing_usec)
                proof++;
        return proof;
}

/* Peers never include each other: what the ladder looks at is copied from the forecast here. */
static PolicyInput input_of(Judge *j, const JudgeFigures *f) {
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
                .proof = proof_of(fit, follow_growth(&j->growth, fit, f->time_usec)),
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
        uint64_t judged = f->limit_bytes ? f->usage_bytes : f->rss_bytes;
        TrendReset reset = trend_push(&j->trend, f->time_usec, judged, f->limit_bytes);
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
        trend_reset(&j->trend, o->time_usec, TREND_RESET_RECLAIM);
        return true;
}

bool judge_target_changed(Judge *j, uint64_t now_usec, bool present, TrendReset why, Decision *ret_resolve) {
        bool resolve = policy_target_changed(&j->policy, now_usec, present, ret_resolve);

        trend_reset(&j->trend, now_usec, why);
        trend_fit(&j->trend, &j->fit);
        clear_decisions(j);
        return resolve;
}
