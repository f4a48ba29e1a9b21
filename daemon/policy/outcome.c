/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/internal.h"

void policy_init(Policy *p, const PolicyOptions *options) {
        *p = (Policy){.options = *options};
}

void policy_set_options(Policy *p, const PolicyOptions *options) {
        p->options = *options;
        for (Rung r = 0; r < _RUNG_MAX; r++)
                p->rung[r].rest_usec =
                        min_of(p->rung[r].rest_usec, multiply_usec(options->rung[r].cooldown_usec, 1ULL << p->regrown));
}

void policy_started(Policy *p, const Decision *d) {
        PolicyRungState *s;

        if (d->rung != RUNG_RECLAIM && d->rung != RUNG_ROTATE)
                return;
        s = &p->rung[d->rung];
        s->acted = true;
        s->last_action_usec = d->time_usec;
        s->rest_usec = p->options.rung[d->rung].cooldown_usec;
        if (d->rung == RUNG_RECLAIM)
                s->rest_usec = multiply_usec(s->rest_usec, 1ULL << p->regrown);
        if (d->rung != RUNG_ROTATE)
                return;
        if (p->rotate_failures == 0)
                p->rotate_first_usec = d->time_usec;
        p->rotations[(p->rotation_head + p->n_rotations) % POLICY_ROTATIONS_MAX] = d->time_usec;
        if (p->n_rotations < POLICY_ROTATIONS_MAX)
                p->n_rotations++;
        else
                p->rotation_head = (p->rotation_head + 1) % POLICY_ROTATIONS_MAX;
}

/* Nothing was measured: the action's own word counts. */
bool policy_is_fruitless(const PolicyOptions *o, const Outcome *out) {
        if (out->before_bytes == 0 && out->released_bytes == 0)
                return out->result != OUTCOME_OK;
        return out->released_bytes < o->reclaim_min_yield_bytes
                || (double)out->released_bytes < o->reclaim_min_yield_ratio * (double)out->before_bytes;
}

/* It was made because a look held it worth while, and gave what that said: another may give as much. The small
 * difference is what the call itself brings into memory. */
static bool is_as_foretold(const Outcome *o) {
        return o->predicted && o->predicted_bytes > 0 &&
               o->released_bytes >= o->predicted_bytes - o->predicted_bytes / 10;
}

static void reclaim_ended(Policy *p, const Outcome *o) {
        bool touched = o->result != OUTCOME_REFUSED && o->result != OUTCOME_CANCELLED;
        bool made = o->result == OUTCOME_OK || o->result == OUTCOME_PARTIAL;
        bool good = made && !policy_is_fruitless(&p->options, o);

        if (o->result == OUTCOME_SKIPPED) { /* nothing to settle, and no strike: what is free may be another tomorrow */
                p->reclaim_poor = true;
                return;
        }
        p->reclaim_done = true;
        p->reclaim_done_usec = o->time_usec;
        p->reclaim_poor = !good;
        p->reclaim_back_bytes = 0;
        if (good && o->after_bytes > 0 && o->released_bytes > 0)
                p->reclaim_back_bytes = o->after_bytes + (uint64_t)(REGROWN_RATIO * (double)o->released_bytes);
        if (good || (made && is_as_foretold(o)))
                p->fruitless = 0;
        else if (touched && p->fruitless < UINT32_MAX)
                p->fruitless++;
}

static void rotate_ended(Policy *p, const Outcome *o) {
        PolicyRungState *s = &p->rung[RUNG_ROTATE];
        uint64_t retry = ROTATE_RETRY_USEC;

        if (o->result == OUTCOME_OK || o->result == OUTCOME_PARTIAL) {
                uint64_t began = o->time_usec - min_of(o->time_usec, o->duration_usec);

                policy_learn(p, NEED_DRAIN, o->duration_usec);
                policy_learn(p, NEED_RETRIES, p->rotate_failures > 0 ? elapsed_usec(began, p->rotate_first_usec) : 0);
                p->rotate_failures = 0;
                return;
        }
        for (unsigned i = 0; i < p->rotate_failures && i < 8; i++)
                retry *= 4;
        s->rest_usec = min_of(retry, p->options.rung[RUNG_ROTATE].cooldown_usec);
        if (p->rotate_failures < UINT32_MAX)
                p->rotate_failures++;
        if ((o->result == OUTCOME_REFUSED || o->result == OUTCOME_CANCELLED) && p->n_rotations > 0)
                p->n_rotations--; /* the newest: only one is in flight at a time */
}

void policy_outcome(Policy *p, const Outcome *o) {
        PolicyRungState *s;

        if (o->rung != RUNG_RECLAIM && o->rung != RUNG_ROTATE)
                return;
        s = &p->rung[o->rung];
        s->acted = true;
        s->last_action_usec = max_of(s->last_action_usec, o->time_usec);
        if (o->rung == RUNG_RECLAIM)
                reclaim_ended(p, o);
        else
                rotate_ended(p, o);
}

bool policy_target_changed(Policy *p, uint64_t now_usec, bool present, Decision *ret) {
        bool firing = p->alert_firing;

        if (firing)
                *ret = (Decision){.rung = RUNG_ALERT,
                                  .verb = VERB_RESOLVE,
                                  .reason = REASON_TARGET_GONE,
                                  .trigger = p->alert_trigger,
                                  .time_usec = now_usec,
                                  .eta_usec = USEC_INFINITY,
                                  .eta_lo_usec = USEC_INFINITY,
                                  .eta_hi_usec = USEC_INFINITY};
        for (Rung r = 0; r < _RUNG_MAX; r++)
                p->rung[r].crossed = false;
        p->rung[RUNG_RECLAIM].acted = p->rung[RUNG_ALERT].acted = false;
        p->dry_usec[RUNG_RECLAIM] = 0;
        p->alert_firing = p->alert_clear = false;
        p->fruitless = p->regrown = 0;
        p->reclaim_back_bytes = 0;
        p->reclaim_poor = p->reclaim_done = false;
        if (present && p->absent_usec > 0)
                policy_learn(p, NEED_STARTUP, elapsed_usec(now_usec, p->absent_usec));
        p->absent_usec = present ? 0 : max_of(now_usec, (uint64_t)1);
        return firing;
}
