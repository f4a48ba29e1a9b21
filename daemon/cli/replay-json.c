/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/replay-view.h"

#include <math.h>

#include "util/cleanup.h"
#include "util/clock.h"

static void kv_seconds(Json *j, const char *key, uint64_t usec) {
        json_kv_double(j, key, usec == USEC_INFINITY ? NAN : (double)usec / USEC_PER_SEC);
}

static const char *const kind_names[] = {
        [REPLAY_DECISION] = "decision", [REPLAY_OUTCOME] = "outcome", [REPLAY_CROSSED] = "crossed",
        [REPLAY_STARTED] = "started",   [REPLAY_MOMENT] = "moment",
};

void replay_json_head(Json *j, const ReplayFacts *f) {
        const Trace *t = f->trace;

        json_object_begin(j);
        json_key(j, "trace");
        json_object_begin(j);
        json_kv_string(j, "name", f->trace_name);
        json_kv_string(j, "form", trace_form_name(t->form));
        json_kv_u64(j, "samples", t->n);
        kv_seconds(j, "span_s", t->points[t->n - 1].time_usec - t->points[0].time_usec);
        kv_seconds(j, "step_s", t->step_usec);
        json_kv_u64(j, "gaps", t->n_gaps);
        kv_seconds(j, "gap_max_s", t->gap_max_usec);
        json_kv_u64(j, "unordered", t->n_unordered);
        json_kv_u64(j, "absent", t->n_absent);
        json_object_end(j);
        json_key(j, "policy");
        json_object_begin(j);
        json_kv_string(j, "file", f->policy_name);
        json_kv_string(j, "target", f->target_name);
        json_kv_string(j, "limit_from", f->limit_from);
        json_kv_bool(j, "dry_run", f->options->judge.policy.dry_run);
        json_kv_bool(j, "can_reclaim", f->options->can_reclaim);
        json_kv_bool(j, "can_rotate", f->options->can_rotate);
        json_kv_double(j, "reclaim_gives_ratio", f->options->gives_known ? f->options->gives_ratio : NAN);
        json_object_end(j);
        json_key(j, "events");
        json_array_begin(j);
}

static void decision(Json *j, const Decision *d) {
        json_kv_string(j, "rung", rung_name(d->rung));
        json_kv_string(j, "verb", verb_name(d->verb));
        json_kv_string(j, "reason", reason_name(d->reason));
        json_kv_string(j, "trigger", reason_name(d->trigger));
        json_kv_bool(j, "acts", replay_acts(d));
        json_kv_double(j, "threshold", d->trigger == REASON_BELOW ? NAN : d->threshold);
        kv_seconds(j, "wait_s", d->wait_usec);
}

void replay_json_event(Json *j, const ReplayEvent *e) {
        const TrendFit *f = e->fit;
        bool known = f->state != TREND_WAIT, growing = f->state == TREND_GROWING;

        json_object_begin(j);
        kv_seconds(j, "time_s", e->elapsed_usec);
        json_kv_string(j, "event", kind_names[e->kind]);
        json_kv_u64(j, "used_bytes", e->bytes);
        json_kv_u64_or_null(j, "limit_bytes", e->limit_bytes > 0, e->limit_bytes);
        json_kv_bool(j, "over", e->is_over);
        json_kv_string(j, "state", trend_state_name(f->state));
        json_kv_string(j, "kind", trend_kind_name(f->kind));
        json_kv_string(j, "proof", trend_proof_name(f->proof));
        json_kv_double(j, "slope_bytes_per_s", known ? f->slope_bytes_per_s : NAN);
        kv_seconds(j, "eta_s", growing ? f->eta_usec : USEC_INFINITY);
        kv_seconds(j, "eta_lo_s", growing ? f->eta_lo_usec : USEC_INFINITY);
        kv_seconds(j, "eta_hi_s", growing ? f->eta_hi_usec : USEC_INFINITY);
        if (e->decision)
                decision(j, e->decision);
        if (e->outcome)
                json_kv_u64(j, "assumed_released_bytes", e->outcome->released_bytes);
        json_object_end(j);
}

static void life(Json *j, const ReplayLife *l) {
        json_object_begin(j);
        kv_seconds(j, "start_s", l->start_usec);
        kv_seconds(j, "alert_s", l->first_usec[RUNG_ALERT]);
        kv_seconds(j, "reclaim_s", l->first_usec[RUNG_RECLAIM]);
        kv_seconds(j, "rotate_s", l->first_usec[RUNG_ROTATE]);
        kv_seconds(j, "crossed_s", l->crossed_usec);
        kv_seconds(j, "scenario_crossed_s", l->scenario_crossed_usec);
        json_kv_u64_or_null(j, "limit_bytes", l->limit_bytes > 0, l->limit_bytes);
        json_object_end(j);
}

static void summary(Json *j, const ReplaySummary *sum) {
        unsigned crossings = 0, missed = 0;

        for (unsigned i = 0; i < sum->n_lives; i++) {
                crossings += sum->life[i].crossed_usec != USEC_INFINITY;
                missed += sum->life[i].scenario_crossed_usec != USEC_INFINITY;
        }
        json_key(j, "summary");
        json_object_begin(j);
        json_kv_u64(j, "crossings", crossings);
        json_kv_u64(j, "prevented", crossings > missed ? crossings - missed : 0);
        json_kv_u64(j, "alerts", sum->n_acted[RUNG_ALERT]);
        json_kv_u64(j, "alerts_repeated", sum->n_repeated);
        json_kv_u64(j, "reclaims", sum->n_acted[RUNG_RECLAIM]);
        json_kv_u64(j, "rotations", sum->n_acted[RUNG_ROTATE]);
        json_kv_u64(j, "false_alarms", sum->n_false_alarms);
        json_kv_u64(j, "undecided_alarms", sum->n_undecided_alarms);
        json_kv_u64(j, "judged_samples", sum->n_judged);
        json_kv_u64(j, "peak_bytes", sum->peak_bytes);
        kv_seconds(j, "peak_s", sum->peak_usec);
        json_kv_string(j, "last_state", trend_state_name(sum->last_fit.state));
        json_kv_string(j, "last_kind", trend_kind_name(sum->last_fit.kind));
        json_kv_u64(j, "lives_left_out", sum->n_lives_beyond);
        json_key(j, "lives");
        json_array_begin(j);
        for (unsigned i = 0; i < sum->n_lives; i++)
                life(j, &sum->life[i]);
        json_array_end(j);
        json_object_end(j);
}

void replay_json_end(Json *j, const ReplayFacts *f _unused_, const ReplaySummary *sum, const ReplayResult *results,
                     unsigned n) {
        json_array_end(j);
        summary(j, sum);
        json_key(j, "expectations");
        json_array_begin(j);
        for (unsigned i = 0; i < n; i++) {
                json_object_begin(j);
                json_kv_string(j, "expect", results[i].expect.text);
                json_kv_bool(j, "met", results[i].met);
                json_kv_string(j, "came", results[i].said);
                json_object_end(j);
        }
        json_array_end(j);
        json_object_end(j);
        buf_addc(j->buf, '\n');
}
