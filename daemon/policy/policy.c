/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include "policy/internal.h"

static void decide(Decision *d, Verb verb, Reason reason, uint64_t wait_usec) {
        d->verb = verb;
        d->reason = reason;
        d->wait_usec = wait_usec;
}

/* The crossing and how long it has lasted. Return: true when it has lasted for the rung's `for`. */
static bool held(Policy *p, const PolicyInput *in, Decision *d) {
        PolicyRungState *s = &p->rung[d->rung];
        uint64_t left;

        if (!s->crossed)
                s->crossed_since_usec = in->now_usec;
        s->crossed = true;
        left = left_usec(in->now_usec, s->crossed_since_usec, p->options.rung[d->rung].hold_usec);
        if (left == 0)
                return true;
        decide(d, VERB_SKIP, REASON_HOLD, left);
        return false;
}

static void below(Policy *p, const PolicyInput *in, Decision *d) {
        const RungOptions *o = &p->options.rung[d->rung];

        p->rung[d->rung].crossed = false;
        if (d->trigger == REASON_UNPROVEN) {
                d->trigger = REASON_BELOW;
                decide(d, o->enabled ? VERB_SKIP : VERB_NONE, o->enabled ? REASON_UNPROVEN : REASON_BELOW, 0);
        } else if (o->enabled && trigger_wants_forecast(o) && in->limit_bytes > 0 && !in->trend_known)
                decide(d, VERB_SKIP, REASON_NO_TREND, 0);
        else
                decide(d, VERB_NONE, REASON_BELOW, 0);
}

static uint64_t grace_left(const Policy *p, const PolicyInput *in) {
        return left_usec(in->target_age_usec, 0, p->options.startup_grace_usec);
}

static bool is_crossed(const Decision *d) {
        return d->trigger != REASON_BELOW && d->trigger != REASON_UNPROVEN;
}

static uint64_t cooldown_left(const Policy *p, uint64_t now, Rung rung) {
        const PolicyRungState *s = &p->rung[rung];
        uint64_t left = s->acted ? left_usec(now, s->last_action_usec, s->rest_usec) : 0, dry = 0;

        if (p->options.dry_run && p->dry_usec[rung] > 0)
                dry = left_usec(now, p->dry_usec[rung], p->options.rung[rung].cooldown_usec);
        return max_of(left, dry);
}

static void alert_ends(Policy *p, Decision *d, Reason why) {
        p->alert_firing = p->alert_clear = false;
        p->rung[RUNG_ALERT].crossed = false;
        decide(d, VERB_RESOLVE, why, 0);
        d->trigger = p->alert_trigger;
}

/* An alert that fires: repeat, stay, or end. It stays while a forecast that raised it is not known. */
static void step_firing(Policy *p, const PolicyInput *in, Decision *d) {
        const RungOptions *o = &p->options.rung[RUNG_ALERT];
        PolicyRungState *s = &p->rung[RUNG_ALERT];
        bool blind = (p->alert_trigger == REASON_ETA || p->alert_trigger == REASON_GROWTH) && !in->trend_known;
        Reason still = trigger_crossed(p, in, RUNG_ALERT, p->options.hysteresis_ratio);
        bool stays = blind || (still != REASON_BELOW && still != REASON_UNPROVEN);
        uint64_t left;

        if (!o->enabled) {
                alert_ends(p, d, REASON_DISABLED);
                return;
        }
        if (!stays && !p->alert_clear)
                p->alert_clear_usec = in->now_usec;
        p->alert_clear = !stays;
        if (p->alert_clear && left_usec(in->now_usec, p->alert_clear_usec, o->hold_usec) == 0) {
                alert_ends(p, d, REASON_CLEARED);
                return;
        }
        if (is_crossed(d))
                p->alert_trigger = d->trigger;
        d->trigger = p->alert_trigger;
        left = left_usec(in->now_usec, s->last_action_usec, o->cooldown_usec);
        if (o->cooldown_usec == 0 || left > 0) {
                decide(d, VERB_SKIP, REASON_PERSISTS, left);
                return;
        }
        s->last_action_usec = in->now_usec;
        decide(d, VERB_ACT, REASON_PERSISTS, 0);
}

/* @urgent: an act may be near that ends the process; whoever is told should hear of it before. */
static void step_alert(Policy *p, const PolicyInput *in, bool urgent, Decision *d) {
        PolicyRungState *s = &p->rung[RUNG_ALERT];

        if (p->alert_firing) {
                step_firing(p, in, d);
                return;
        }
        if (!is_crossed(d)) {
                below(p, in, d);
                return;
        }
        if (!p->options.rung[RUNG_ALERT].enabled) {
                decide(d, VERB_SKIP, REASON_DISABLED, 0);
                return;
        }
        if (d->trigger != REASON_USED && d->trigger != REASON_BYTES && grace_left(p, in) > 0) {
                decide(d, VERB_SKIP, REASON_STARTUP_GRACE, grace_left(p, in));
                return;
        }
        if (!held(p, in, d) && !urgent)
                return;
        p->alert_firing = true;
        p->alert_clear = false;
        p->alert_since_usec = s->last_action_usec = in->now_usec;
        p->alert_trigger = d->trigger;
        decide(d, VERB_ACT, d->trigger, 0);
}

static uint64_t window_left(const Policy *p, const PolicyInput *in) {
        if (in->week_minute < 0)
                return 0;
        return policy_windows_wait(&p->options.allow, &p->options.forbid, (unsigned)in->week_minute) * USEC_PER_MINUTE;
}

/* What reclaim and rotate have in common. Return: true when nothing of that stands in the way. */
static bool may_act(Policy *p, const PolicyInput *in, bool supported, bool urgent, Decision *d) {
        bool ready;

        if (!is_crossed(d)) {
                below(p, in, d);
                return false;
        }
        ready = held(p, in, d) ||
                (urgent && d->rung == RUNG_ROTATE); /* the hold runs on behind whatever else stands in the way */
        if (!p->options.rung[d->rung].enabled)
                decide(d, VERB_SKIP, REASON_DISABLED, 0);
        else if (!supported)
                decide(d, VERB_SKIP, REASON_UNSUPPORTED, 0);
        else if (grace_left(p, in) > 0)
                decide(d, VERB_SKIP, REASON_STARTUP_GRACE, grace_left(p, in));
        else if (!urgent && window_left(p, in) > 0)
                decide(d, VERB_SKIP, REASON_WINDOW, window_left(p, in));
        else
                return ready;
        return false;
}

static bool is_fruitless(const Policy *p) {
        return p->options.reclaim_strikes > 0 && p->fruitless >= p->options.reclaim_strikes;
}

/* What the last reclaim gave: is it back, and how soon? Each that did not last makes the next wait longer. */
static void follow_regrowth(Policy *p, const PolicyInput *in) {
        uint64_t cooldown = p->options.rung[RUNG_RECLAIM].cooldown_usec, gone;
        uint64_t lasts = p->options.reclaim_lasts_usec > 0 ? p->options.reclaim_lasts_usec : cooldown / 2;

        if (p->reclaim_back_bytes == 0)
                return;
        gone = elapsed_usec(in->now_usec, p->reclaim_done_usec);
        if (gone < lasts && (in->rss_bytes == 0 || in->rss_bytes < p->reclaim_back_bytes))
                return;
        p->regrown = gone < lasts ? min_of(p->regrown + 1, (unsigned)REGROWN_DOUBLINGS_MAX) : 0;
        p->reclaim_back_bytes = 0;
        p->rung[RUNG_RECLAIM].rest_usec = multiply_usec(cooldown, 1ULL << p->regrown);
}

/* @urgent: what did not last is better than nothing. */
static void step_reclaim(Policy *p, const PolicyInput *in, bool urgent, Decision *d) {
        uint64_t base = p->options.rung[RUNG_RECLAIM].cooldown_usec, rest = multiply_usec(base, RECLAIM_REST_COOLDOWNS);
        uint64_t cooldown = cooldown_left(p, in->now_usec, RUNG_RECLAIM), longer;

        if (!may_act(p, in, in->can_reclaim, urgent, d))
                return;
        longer = p->regrown > 0 ? p->rung[RUNG_RECLAIM].rest_usec - min_of(base, p->rung[RUNG_RECLAIM].rest_usec) : 0;
        if (urgent)
                cooldown -= min_of(cooldown, longer);
        if (is_fruitless(p) && left_usec(in->now_usec, p->reclaim_done_usec, rest) > 0)
                decide(d, VERB_SKIP, REASON_FRUITLESS, left_usec(in->now_usec, p->reclaim_done_usec, rest));
        else if (in->predicted && in->predicted_bytes < in->worth_bytes)
                decide(d, VERB_SKIP, REASON_LITTLE_GAIN, 0);
        else if (cooldown > 0) /* behind the usual one it is the longer one */
                decide(d, VERB_SKIP, cooldown <= longer ? REASON_REGROWN : REASON_COOLDOWN, cooldown);
        else if (in->action_in_flight)
                decide(d, VERB_SKIP, REASON_BUSY, 0);
        else
                decide(d, VERB_ACT, d->trigger, 0);
}

static uint64_t breaker_left(const Policy *p, uint64_t now) {
        unsigned max = min_of(p->options.rotate_max, (unsigned)POLICY_ROTATIONS_MAX), i;

        if (max == 0 || p->n_rotations < max)
                return 0;
        /* Closed until the max-th newest has left the window. */
        i = (p->rotation_head + p->n_rotations - max) % POLICY_ROTATIONS_MAX;
        return left_usec(now, p->rotations[i], p->options.rotate_window_usec);
}

/* Must rotate let reclaim go first? @reclaim: what it decided this tick. @ret_wait: for how long, 0 when not known. */
static bool reclaim_first(const Policy *p, const PolicyInput *in, const Decision *reclaim, uint64_t *ret_wait) {
        bool dry = p->options.dry_run && p->dry_usec[RUNG_RECLAIM] > 0;
        uint64_t done = dry ? p->dry_usec[RUNG_RECLAIM] : p->reclaim_done_usec, settle = 0;

        if (dry || p->reclaim_done)
                settle = left_usec(in->now_usec, done, p->options.reclaim_settle_usec);
        *ret_wait = max_of(settle, reclaim->wait_usec);
        if (reclaim->verb == VERB_ACT || settle > 0 || reclaim->reason == REASON_HOLD)
                return true;
        *ret_wait = reclaim->wait_usec;
        if (reclaim->reason != REASON_COOLDOWN)
                return false; /* below its thresholds, disabled, unsupported, fruitless: it will not come */
        /* It had its turn and use did not even fall below rotate's threshold; or it gave too little. */
        return !dry && !p->reclaim_poor && p->rung[RUNG_ROTATE].crossed_since_usec > done;
}

static void step_rotate(Policy *p, const PolicyInput *in, bool urgent, const Decision *reclaim, Decision *d) {
        uint64_t cooldown = cooldown_left(p, in->now_usec, RUNG_ROTATE);
        uint64_t breaker = breaker_left(p, in->now_usec), wait = 0;

        if (!may_act(p, in, in->can_rotate, urgent, d))
                return;
        if (breaker > 0)
                decide(d, VERB_SKIP, REASON_BREAKER, breaker);
        else if (cooldown > 0)
                decide(d, VERB_SKIP, REASON_COOLDOWN, cooldown);
        else if (in->action_in_flight)
                decide(d, VERB_SKIP, REASON_BUSY, 0);
        else if (!urgent && reclaim_first(p, in, reclaim, &wait))
                decide(d, VERB_SKIP, REASON_EARLIER_RUNG, wait);
        else
                decide(d, VERB_ACT, d->trigger, 0);
}

static void play_dry(Policy *p, uint64_t now, Decision *d) {
        if (!p->options.dry_run || d->verb != VERB_ACT)
                return;
        p->dry_usec[d->rung] = max_of(now, (uint64_t)1);
        decide(d, VERB_SKIP, REASON_DRY_RUN, 0);
}

/* No stored time lies in the future: a clock that ran backwards must not hold anything for longer than its length. */
static void heal_clock(Policy *p, uint64_t now) {
        uint64_t *const times[] = {&p->alert_since_usec, &p->alert_clear_usec, &p->reclaim_done_usec,
                                   &p->rotate_first_usec, &p->absent_usec};

        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                *times[i] = min_of(*times[i], now);
        for (Rung r = 0; r < _RUNG_MAX; r++) {
                p->rung[r].crossed_since_usec = min_of(p->rung[r].crossed_since_usec, now);
                p->rung[r].last_action_usec = min_of(p->rung[r].last_action_usec, now);
                p->dry_usec[r] = min_of(p->dry_usec[r], now);
        }
        for (unsigned i = 0; i < p->n_rotations; i++) {
                uint64_t *at = &p->rotations[(p->rotation_head + i) % POLICY_ROTATIONS_MAX];

                *at = min_of(*at, now);
        }
}

void policy_step(Policy *p, const PolicyInput *in, Decision ret[static _RUNG_MAX]) {
        bool urgent;
        PolicyNeeds needs;

        heal_clock(p, in->now_usec);
        follow_regrowth(p, in);
        policy_needs(p, &needs);
        urgent = trigger_urgent(p, in);
        for (Rung r = 0; r < _RUNG_MAX; r++)
                ret[r] = (Decision){.rung = r,
                                    .trigger = trigger_crossed(p, in, r, 0),
                                    .time_usec = in->now_usec,
                                    .usage_bytes = in->usage_bytes,
                                    .limit_bytes = in->limit_bytes,
                                    .used_ratio = input_used_ratio(in),
                                    .slope_bytes_per_s = in->trend_known ? in->slope_bytes_per_s : 0,
                                    .eta_usec = input_forecasts(in) ? in->eta_usec : USEC_INFINITY,
                                    .eta_lo_usec = input_forecasts(in) ? in->eta_lo_usec : USEC_INFINITY,
                                    .eta_hi_usec = input_forecasts(in) ? in->eta_hi_usec : USEC_INFINITY};
        if (p->options.rung[RUNG_ROTATE].eta_usec == POLICY_ETA_NEEDS)
                ret[RUNG_ROTATE].needs_usec = needs.total_usec;
        step_alert(p, in, urgent, &ret[RUNG_ALERT]);
        step_reclaim(p, in, urgent, &ret[RUNG_RECLAIM]);
        step_rotate(p, in, urgent, &ret[RUNG_RECLAIM], &ret[RUNG_ROTATE]);
        if (ret[RUNG_ROTATE].verb == VERB_ACT && ret[RUNG_RECLAIM].verb == VERB_ACT)
                decide(&ret[RUNG_RECLAIM], VERB_SKIP, REASON_BUSY, 0);
        play_dry(p, in->now_usec, &ret[RUNG_RECLAIM]);
        play_dry(p, in->now_usec, &ret[RUNG_ROTATE]);
        for (Rung r = 0; r < _RUNG_MAX; r++)
                ret[r].threshold = trigger_threshold(p, r, ret[r].trigger);
}

bool policy_holds(const Policy *p, const PolicyInput *in, const Decision *d) {
        const RungOptions *o = &p->options.rung[d->rung];

        if (in->limit_bytes != d->limit_bytes)
                return false;
        if (d->trigger == REASON_USED)
                return input_used_ratio(in) >= o->used_ratio;
        if (d->trigger == REASON_BYTES)
                return in->usage_bytes >= o->used_bytes;
        return (double)in->usage_bytes >= (double)d->usage_bytes * (1 - p->options.hysteresis_ratio);
}
