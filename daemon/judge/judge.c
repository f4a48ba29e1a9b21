/* SPDX-License-Identifier: Apache-2.0 */
#include "judge/judge.h"

#include <string.h>

#include "util/cleanup.h"

#define HEAP_FRESH_USEC USEC_PER_MINUTE /* an older survey says nothing of the memory in use now */

static void clear_decisions(Judge *j) {
        for (Rung r = 0; r < _RUNG_MAX; r++)
                j->decisions[r] = (Decision){.rung = r, .verb = VERB_NONE, .reason = REASON_BELOW};
}

void judge_init(Judge *j, const JudgeOptions *o) {
        *j = (Judge){.options = *o};
        trend_init(&j->trend, &o->trend);
        trend_fit(&j->trend, &j->fit);
        policy_init(&j->policy, &o->policy);
        clear_decisions(j);
}

void judge_set_options(Judge *j, const JudgeOptions *o) {
        policy_set_options(&j->policy, &o->policy);
        if (memcmp(&j->options.trend, &o->trend, sizeof(o->trend)) != 0) {
                trend_init(&j->trend, &o->trend);
                trend_fit(&j->trend, &j->fit);
        }
        j->options = *o;
}

/* ---- from one stage to the next; peers never include each other ---- */

/* What a survey says of the heap belongs to the sample at that time, so each is told once and soon. In use is all but
 * what is free in the heap and resident, so that what malloc maps by itself counts. */
static void add_heap(Judge *j, const JudgeFigures *f, TrendSample *s) {
        if (!f->looked || f->look_usec == j->heap_told_usec || f->time_usec > f->look_usec + HEAP_FRESH_USEC)
                return;
        j->heap_told_usec = f->look_usec;
        s->heap_known = true;
        s->heap_bytes = s->bytes - min_of(f->free_bytes, s->bytes);
}

static TrendReset forecast(Judge *j, const JudgeFigures *f) {
        TrendSample s = {.time_usec = f->time_usec,
                         .bytes = f->limit_bytes ? f->usage_bytes : f->rss_bytes,
                         .limit_bytes = f->limit_bytes};
        TrendReset reset;

        if (f->slept_usec > 0)
                trend_slept(&j->trend, f->time_usec, f->slept_usec);
        add_heap(j, f, &s);
        /* A cgroup's usage is without files already, and of more processes than this one. */
        s.anon_known = f->anon_known && s.bytes == f->rss_bytes;
        s.anon_bytes = s.anon_known ? f->anon_bytes : 0;
        reset = trend_push(&j->trend, &s);
        trend_fit(&j->trend, &j->fit);
        return reset;
}

static uint64_t pace_of(Judge *j, const JudgeFigures *f) {
        PaceInput in = {
                .now_usec = f->time_usec,
                .age_usec = f->target_age_usec,
                .usage_bytes = f->usage_bytes,
                .limit_bytes = f->limit_bytes,
                .eta_lo_usec = j->fit.state == TREND_GROWING ? j->fit.eta_lo_usec : USEC_INFINITY,
                .cost_usec = f->cost_usec,
                .warned = f->warned,
                .alarmed = f->alarmed,
        };

        return pace_next(&j->pace, &j->options.pace, &in);
}

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
                .burst_bytes_per_s = pace_burst(&j->pace),
                .verdict = f->verdict,
                .predicted = f->predicted,
                .predicted_bytes = f->predicted_bytes,
                .worth_bytes = f->worth_bytes,
                .action_in_flight = f->action_in_flight,
                .can_reclaim = f->can_reclaim,
                .can_rotate = f->can_rotate,
        };
}

static void score(Judge *j) {
        const PolicyInput *in = &j->input;
        ScoreInput s = {
                .now_usec = in->now_usec,
                .usage_bytes = in->usage_bytes,
                .limit_bytes = in->limit_bytes,
                .known = in->trend_known && in->growing,
                .eta_usec = in->eta_usec,
                .eta_lo_usec = in->eta_lo_usec,
                .eta_hi_usec = in->eta_hi_usec,
        };

        score_push(&j->score, &s);
}

/* A decision that waits for a time (`for`, settling ...): look again when it has passed. */
static uint64_t heed_waits(const Judge *j, uint64_t wait_usec) {
        const PaceOptions *o = &j->options.pace;

        for (Rung r = 0; r < _RUNG_MAX && o->fixed_usec == 0; r++) {
                const Decision *d = &j->decisions[r];
                uint64_t wait = max_of(d->wait_usec, o->min_usec);

                if (d->verb == VERB_SKIP && d->wait_usec > 0 && wait < o->max_usec)
                        wait_usec = min_of(wait_usec, wait);
        }
        return wait_usec;
}

TrendReset judge_sample(Judge *j, const JudgeFigures *f, uint64_t *ret_wait_usec) {
        TrendReset reset = forecast(j, f);
        uint64_t wait = pace_of(j, f);

        j->input = input_of(j, f);
        score(j);
        policy_step(&j->policy, &j->input, j->decisions);
        if (ret_wait_usec)
                *ret_wait_usec = heed_waits(j, wait);
        return reset;
}

/* ---- what came of it ---- */

bool judge_holds(const Judge *j, uint64_t usage_bytes, uint64_t limit_bytes, Decision *d) {
        PolicyInput in = j->input;

        in.usage_bytes = usage_bytes;
        in.limit_bytes = limit_bytes;
        if (policy_holds(&j->policy, &in, d))
                return true;
        d->verb = VERB_SKIP;
        d->reason = REASON_REMEASURED;
        d->usage_bytes = usage_bytes;
        d->limit_bytes = limit_bytes;
        return false;
}

void judge_started(Judge *j, const Decision *d) {
        policy_started(&j->policy, d);
}

bool judge_outcome(Judge *j, const Outcome *o, bool present) {
        policy_outcome(&j->policy, o);
        if (o->rung != RUNG_RECLAIM || o->released_bytes == 0 || !present)
                return false;
        score_drop(&j->score);
        trend_reclaimed(&j->trend, o->time_usec, o->released_bytes);
        return true;
}

bool judge_target_changed(Judge *j, uint64_t now_usec, bool present, Decision *ret_resolve) {
        return policy_target_changed(&j->policy, now_usec, present, ret_resolve);
}

void judge_forget(Judge *j, uint64_t now_usec, TrendReset why) {
        j->heap_told_usec = 0;
        j->pace = (Pace){.cost_usec = j->pace.cost_usec};
        score_drop(&j->score);
        trend_reset(&j->trend, now_usec, why);
        trend_fit(&j->trend, &j->fit);
        clear_decisions(j);
}
