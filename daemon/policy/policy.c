/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include "policy/internal.h"

/* How many times longer than it has been seen growth is believed to go on. The dearer the action, the less. */
static const unsigned belief[_RUNG_MAX] = {[RUNG_ALERT] = 4, [RUNG_RECLAIM] = 2, [RUNG_ROTATE] = 1};

static double used_ratio(const PolicyInput *in) {
        return in->limit_bytes > 0 ? (double)in->usage_bytes / (double)in->limit_bytes : 0;
}

static bool forecast_known(const PolicyInput *in) {
        return in->trend_known && in->limit_bytes > 0;
}

/* How long has growth been seen? The window's span, and longer while it slides; an emptied window starts anew. */
static void follow_growth(Policy *p, const PolicyInput *in) {
        if (!in->trend_known || !in->growing) {
                p->growing = false;
                return;
        }
        if (!p->growing || in->trend_span_usec < p->span_usec / 2)
                p->growing_since_usec = elapsed_usec(in->now_usec, in->trend_span_usec);
        p->growing = true;
        p->span_usec = in->trend_span_usec;
}

static uint64_t believed_usec(const Policy *p, const PolicyInput *in, Rung rung) {
        uint64_t seen = max_of(in->trend_span_usec, elapsed_usec(in->now_usec, p->growing_since_usec));

        return in->trend_span_usec == 0 ? USEC_INFINITY : multiply_usec(seen, belief[rung]);
}

/* The threshold that is crossed; each is loosened by @slack (0 for crossing, the hysteresis for staying). */
static Reason crossing(const Policy *p, const PolicyInput *in, Rung rung, double slack) {
        const RungOptions *o = &p->options.rung[rung];

        if (o->used_ratio > 0 && in->limit_bytes > 0 && used_ratio(in) >= o->used_ratio * (1 - slack))
                return REASON_USED_RATIO;
        if (o->used_bytes > 0 && (double)in->usage_bytes >= (double)o->used_bytes * (1 - slack))
                return REASON_USED_BYTES;
        if (o->time_to_limit_usec > 0 && forecast_known(in) && in->growing && in->eta_lo_usec != USEC_INFINITY
            && (double)in->eta_lo_usec <= (double)o->time_to_limit_usec * (1 + slack)
            && (slack > 0 || in->eta_lo_usec <= believed_usec(p, in, rung)))
                return REASON_TIME_TO_LIMIT;
        return REASON_BELOW;
}

static void decide(Decision *d, Verb verb, Reason reason, uint64_t wait_usec) {
        d->verb = verb;
        d->reason = reason;
        d->wait_usec = wait_usec;
}

/* Was the deadline passed behind which rotation is not polite any more? See the banner of policy.h. */
static bool deadline_near(const Policy *p, const PolicyInput *in) {
        const RungOptions *o = &p->options.rung[RUNG_ROTATE];
        double limit = (double)in->limit_bytes, usage = (double)in->usage_bytes;

        if (in->limit_bytes == 0)
                return false;
        if (o->used_ratio > 0 && used_ratio(in) >= (1 + o->used_ratio) / 2)
                return true;
        if (o->used_bytes > 0 && (double)o->used_bytes < limit && usage >= ((double)o->used_bytes + limit) / 2)
                return true;
        return forecast_known(in) && in->growing && in->eta_lo_usec <= o->time_to_limit_usec / 2
                && in->eta_lo_usec <= believed_usec(p, in, RUNG_ROTATE);
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
        if (o->enabled && o->time_to_limit_usec > 0 && in->limit_bytes > 0 && !in->trend_known)
                decide(d, VERB_SKIP, REASON_NO_TREND, 0);
        else
                decide(d, VERB_NONE, REASON_BELOW, 0);
}

static uint64_t grace_left(const Policy *p, const PolicyInput *in) {
        return left_usec(in->target_age_usec, 0, p->options.startup_grace_usec);
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
        bool blind = p->alert_trigger == REASON_TIME_TO_LIMIT && !in->trend_known;
        bool stays = blind || crossing(p, in, RUNG_ALERT, p->options.hysteresis_ratio) != REASON_BELOW;
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
        if (d->trigger != REASON_BELOW)
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

static void step_alert(Policy *p, const PolicyInput *in, Decision *d) {
        PolicyRungState *s = &p->rung[RUNG_ALERT];

        if (p->alert_firing) {
                step_firing(p, in, d);
                return;
        }
        if (d->trigger == REASON_BELOW) {
                below(p, in, d);
                return;
        }
        if (!p->options.rung[RUNG_ALERT].enabled) {
                decide(d, VERB_SKIP, REASON_DISABLED, 0);
                return;
        }
        if (d->trigger == REASON_TIME_TO_LIMIT && grace_left(p, in) > 0) {
                decide(d, VERB_SKIP, REASON_STARTUP_GRACE, grace_left(p, in));
                return;
        }
        if (!held(p, in, d))
                return;
        p->alert_firing = true;
        p->alert_clear = false;
        p->alert_since_usec = s->last_action_usec = in->now_usec;
        p->alert_trigger = d->trigger;
        decide(d, VERB_ACT, d->trigger, 0);
}

/* What reclaim and rotate have in common. Return: true when nothing of that stands in the way. */
static bool may_act(Policy *p, const PolicyInput *in, bool supported, bool urgent, Decision *d) {
        bool ready;

        if (d->trigger == REASON_BELOW) {
                below(p, in, d);
                return false;
        }
        ready = held(p, in, d) || urgent; /* the hold runs on behind whatever else stands in the way */
        if (!p->options.rung[d->rung].enabled)
                decide(d, VERB_SKIP, REASON_DISABLED, 0);
        else if (!supported)
                decide(d, VERB_SKIP, REASON_UNSUPPORTED, 0);
        else if (grace_left(p, in) > 0)
                decide(d, VERB_SKIP, REASON_STARTUP_GRACE, grace_left(p, in));
        else
                return ready;
        return false;
}

static bool is_fruitless(const Policy *p) {
        return p->options.reclaim_strikes > 0 && p->fruitless >= p->options.reclaim_strikes;
}

static void step_reclaim(Policy *p, const PolicyInput *in, Decision *d) {
        uint64_t rest = multiply_usec(p->options.rung[RUNG_RECLAIM].cooldown_usec, RECLAIM_REST_COOLDOWNS);
        uint64_t cooldown = cooldown_left(p, in->now_usec, RUNG_RECLAIM);

        if (!may_act(p, in, in->can_reclaim, false, d))
                return;
        if (is_fruitless(p) && left_usec(in->now_usec, p->reclaim_done_usec, rest) > 0)
                decide(d, VERB_SKIP, REASON_FRUITLESS, left_usec(in->now_usec, p->reclaim_done_usec, rest));
        else if (cooldown > 0)
                decide(d, VERB_SKIP, REASON_COOLDOWN, cooldown);
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

static void step_rotate(Policy *p, const PolicyInput *in, const Decision *reclaim, Decision *d) {
        bool urgent = deadline_near(p, in);
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
        uint64_t *const times[] = {&p->alert_since_usec, &p->alert_clear_usec, &p->growing_since_usec,
                                   &p->reclaim_done_usec};

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

/* In the unit of the trigger, for whoever is told about it. */
static double threshold_of(const RungOptions *o, Reason trigger) {
        switch (trigger) {
        case REASON_USED_RATIO:
                return o->used_ratio;
        case REASON_USED_BYTES:
                return (double)o->used_bytes;
        case REASON_TIME_TO_LIMIT:
                return (double)o->time_to_limit_usec / USEC_PER_SEC;
        default:
                return 0;
        }
}

void policy_step(Policy *p, const PolicyInput *in, Decision ret[static _RUNG_MAX]) {
        heal_clock(p, in->now_usec);
        follow_growth(p, in);
        for (Rung r = 0; r < _RUNG_MAX; r++)
                ret[r] = (Decision){.rung = r,
                                    .trigger = crossing(p, in, r, 0),
                                    .time_usec = in->now_usec,
                                    .usage_bytes = in->usage_bytes,
                                    .limit_bytes = in->limit_bytes,
                                    .used_ratio = used_ratio(in),
                                    .slope_bytes_per_s = in->trend_known ? in->slope_bytes_per_s : 0,
                                    .eta_usec = forecast_known(in) ? in->eta_usec : USEC_INFINITY,
                                    .eta_lo_usec = forecast_known(in) ? in->eta_lo_usec : USEC_INFINITY,
                                    .eta_hi_usec = forecast_known(in) ? in->eta_hi_usec : USEC_INFINITY};
        step_alert(p, in, &ret[RUNG_ALERT]);
        step_reclaim(p, in, &ret[RUNG_RECLAIM]);
        step_rotate(p, in, &ret[RUNG_RECLAIM], &ret[RUNG_ROTATE]);
        if (ret[RUNG_ROTATE].verb == VERB_ACT && ret[RUNG_RECLAIM].verb == VERB_ACT)
                decide(&ret[RUNG_RECLAIM], VERB_SKIP, REASON_BUSY, 0);
        play_dry(p, in->now_usec, &ret[RUNG_RECLAIM]);
        play_dry(p, in->now_usec, &ret[RUNG_ROTATE]);
        for (Rung r = 0; r < _RUNG_MAX; r++)
                ret[r].threshold = threshold_of(&p->options.rung[r], ret[r].trigger);
}
