/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/machine.h"

#include "kube/machine-internal.h"

/* An eviction that neither removes nor is refused: the API is away. Not yet near the limit, so a minute may pass. */
#define TERMINATING_API_USEC (60 * USEC_PER_SEC)
#define HINT_MAX_USEC        (5 * USEC_PER_MINUTE)
/* A budget lets go within minutes (somebody else's restart) or not for hours. Out of its Services and drained, a pod
 * that has no replacement is capacity lost, which a restart in place brings back. */
#define BUDGET_MAX_USEC (2 * USEC_PER_MINUTE)
/* A livenessProbe by default: every 10 s, three times, then the grace. */
#define ALIVE_PROBE_USEC    (45 * USEC_PER_SEC)
#define YOUNG_DOUBLINGS_MAX 6u
#define YOUNG_BREAKER       5u
#define REFUSED_TRIES       3u

static uint64_t elapsed(const Look *l) {
        return l->now - l->m->since_usec;
}

/* ---- time left ---- */

static uint64_t drain_expected(const KubeFacts *f, const KubeOptions *o) {
        return f->drain_usec ? min_of(f->drain_usec, o->drain_usec) : o->drain_usec;
}

static uint64_t need_usec(KubeStrategy s, const KubeFacts *f, const KubeOptions *o, uint64_t drain_usec) {
        uint64_t need = add_usec(o->margin_usec, min_of(f->grace_usec, USEC_PER_MINUTE));

        if (s == KUBE_STRATEGY_SIGNAL)
                return need;
        need = add_usec(need, add_usec(o->propagate_usec, add_usec(UNREADY_BLIND_USEC, drain_usec)));
        if (s == KUBE_STRATEGY_IN_PLACE && f->alive_probe)
                need = add_usec(need, ALIVE_PROBE_USEC);
        if (s == KUBE_STRATEGY_DETACH)
                need = add_usec(need, add_usec(o->soak_usec, f->replace_usec ? f->replace_usec : USEC_PER_MINUTE));
        return need;
}

uint64_t kube_machine_need_usec(KubeStrategy s, const KubeFacts *f, const KubeOptions *o) {
        return need_usec(s, f, o, drain_expected(f, o));
}

uint64_t kube_machine_least_usec(KubeStrategy s, const KubeFacts *f, const KubeOptions *o) {
        return need_usec(s, f, o, min_of(drain_expected(f, o), f->eta_usec / 2));
}

static bool is_last_moment(const Look *l) {
        return l->f->eta_usec <= l->o->margin_usec && l->f->main_id && l->now >= l->m->signal_after_usec &&
               !l->f->one_shot;
}

static bool wants_last_moment(const Look *l) {
        return l->f->rotate && is_last_moment(l);
}

/* What remains after the replacement is not there in time: out of traffic, and then drain as far as it goes. */
static bool is_short(const Look *l) {
        uint64_t rest = add_usec(l->o->margin_usec, add_usec(l->o->propagate_usec, UNREADY_BLIND_USEC));

        return l->f->eta_usec <= add_usec(rest, min_of(drain_expected(l->f, l->o), l->f->eta_usec / 2));
}

static bool is_drain_short(const Look *l) {
        return l->f->eta_usec <= add_usec(l->o->margin_usec, l->o->margin_usec);
}

/* Nothing better than a restart in place has the time any more. */
static bool is_in_place_due(const Look *l) {
        return l->f->eta_usec <= kube_machine_need_usec(KUBE_STRATEGY_IN_PLACE, l->f, l->o);
}

static bool is_in_place_due_without_api(const Look *l) {
        return !l->f->api && is_in_place_due(l);
}

/* ---- what happened to the pod ---- */

static bool is_gone(const Look *l) {
        return l->f->pod_gone;
}

static bool is_deleting(const Look *l) {
        return l->f->pod_deleting;
}

static bool is_pending(const Look *l) {
        return l->f->reply == KUBE_REPLY_PENDING;
}

/* Known not to be detached: seen so, with no patch under way that could change it. */
static bool is_attached(const Look *l) {
        return l->f->pod_known && !l->f->detached && !is_pending(l);
}

static bool is_detached(const Look *l) {
        return l->f->detached;
}

/* Its label may be gone, whatever was seen: the patch was given. */
static bool may_be_detached(const Look *l) {
        return l->f->detached || (l->m->touched && !is_attached(l));
}

static bool is_restarted(const Look *l) {
        return l->f->main_id && l->m->main_id && l->f->main_id != l->m->main_id;
}

static bool is_restarted_detached(const Look *l) {
        return is_restarted(l) && may_be_detached(l);
}

static bool is_restarted_replaced(const Look *l) {
        return is_restarted_detached(l) && l->m->replaced;
}

/* TERMINATING: its memory is new and nobody took it off yet. With an eviction under way it goes all the same. */
static bool is_restarted_attached(const Look *l) {
        return is_restarted(l) && !may_be_detached(l) && !is_pending(l);
}

static bool is_calm(const Look *l) {
        return !l->f->rotate;
}

static bool is_calm_attached(const Look *l) {
        return is_calm(l) && !may_be_detached(l);
}

static bool is_calm_unreplaced(const Look *l) {
        return is_calm(l) && !l->f->replacement_ready_usec;
}

static bool is_deadline(const Look *l) {
        return l->m->deadline_usec && l->now >= l->m->deadline_usec;
}

/* ---- NORMAL ---- */

static bool is_cooling(const Look *l) {
        return l->f->rotate && l->now < l->m->cool_until_usec &&
               (!is_in_place_due(l) || l->m->reason == KUBE_REASON_NO_EFFECT);
}

static bool is_breaker(const Look *l) {
        return l->f->young >= YOUNG_BREAKER;
}

static uint64_t min_age(const Look *l) {
        unsigned doublings = min_of(l->f->young, YOUNG_DOUBLINGS_MAX);

        return l->o->min_pod_age_usec > USEC_INFINITY >> doublings ? USEC_INFINITY
                                                                   : l->o->min_pod_age_usec << doublings;
}

/* A young pod waits until only what is quick is in time: then its replacement, which would leak too, has lived longer.
 */
static bool is_too_young(const Look *l) {
        return l->f->rotate && l->f->pod_known && l->f->pod_age_usec < min_age(l) && !is_in_place_due(l);
}

static bool is_broken(const Look *l) {
        return l->f->rotate && is_breaker(l) && l->f->pod_age_usec < min_age(l) && !is_in_place_due(l);
}

static bool is_no_time(const Look *l) {
        return l->f->rotate && l->f->strategy == KUBE_STRATEGY_SIGNAL;
}

/* What cannot be rotated, or not any more, may still be given room: step by step, each once the last one was taken. */
static bool has_headroom_held(const Look *l) {
        return is_no_time(l) && l->f->headroom && (!l->m->resized || l->f->reply == KUBE_REPLY_OK) &&
               l->f->eta_usec <= kube_machine_need_usec(KUBE_STRATEGY_DETACH, l->f, l->o);
}

static bool is_armed(const Look *l) {
        return l->f->rotate;
}

/* ---- the ways forward ---- */

static bool has_slot(const Look *l) {
        return l->f->slot == KUBE_SLOT_HELD || l->f->slot == KUBE_SLOT_NOT_NEEDED;
}

static bool has_slot_and(const Look *l, KubeStrategy s) {
        return has_slot(l) && l->f->strategy == s;
}

static bool goes_detach(const Look *l) {
        return has_slot_and(l, KUBE_STRATEGY_DETACH);
}

static bool goes_signal(const Look *l) {
        return has_slot_and(l, KUBE_STRATEGY_SIGNAL);
}

static bool is_slot_lost(const Look *l) {
        return l->f->slot == KUBE_SLOT_LOST && !is_pending(l);
}

static bool has_headroom(const Look *l) {
        return l->f->headroom && !l->m->resized && !is_pending(l) &&
               l->f->eta_usec <= kube_machine_need_usec(l->m->strategy, l->f, l->o);
}

static bool is_refused(const Look *l) {
        return l->f->reply == KUBE_REPLY_REFUSED;
}

static bool is_refused_evictable(const Look *l) {
        return is_refused(l) && l->f->evict_instead;
}

static bool is_surging_late(const Look *l) {
        return elapsed(l) >= SURGING_MAX_USEC && !is_pending(l);
}

static bool is_calm_idle(const Look *l) {
        return is_calm(l) && !is_pending(l);
}

static bool is_retry(const Look *l) {
        return !is_pending(l) && l->now >= l->m->retry_usec;
}

static bool is_replaced(const Look *l) {
        return l->f->replacement_ready_usec && l->now >= add_usec(l->f->replacement_ready_usec, l->o->soak_usec);
}

static bool is_replacement_failed(const Look *l) {
        return l->f->replacement_failed && !l->f->replacement_ready_usec && !l->f->rolled;
}

/* Of a rollout the label would lead back to a ReplicaSet that goes: then wait on, up to the deadline. */
static bool is_replacement_late(const Look *l) {
        return elapsed(l) >= l->o->replace_timeout_usec && !l->f->replacement_ready_usec && !l->f->rolled;
}

static bool is_rolled_late(const Look *l) {
        return l->f->rolled && elapsed(l) >= add_usec(l->o->replace_timeout_usec, l->o->replace_timeout_usec);
}

static bool is_unwanted(const Look *l) {
        return l->f->unwanted;
}

static bool is_out_of_traffic(const Look *l) {
        uint64_t off = l->f->endpoint_off_usec;

        if (l->f->endpoint_known)
                return off && l->now >= add_usec(max_of(off, l->m->since_usec), l->o->propagate_usec);
        return elapsed(l) >= add_usec(UNREADY_BLIND_USEC, l->o->propagate_usec);
}

static bool is_unready_late(const Look *l) {
        return elapsed(l) >= add_usec(UNREADY_MAX_USEC, l->o->propagate_usec);
}

static bool is_drained(const Look *l) {
        return l->f->drain_done;
}

static bool is_drain_over(const Look *l) {
        return elapsed(l) >= l->o->drain_usec || is_drain_short(l);
}

static bool is_in_place(const Look *l) {
        return l->m->strategy == KUBE_STRATEGY_IN_PLACE;
}

static bool is_drain_end(const Look *l) {
        return is_drained(l) || is_drain_over(l);
}

static bool drained_probe(const Look *l) {
        return is_drain_end(l) && is_in_place(l) && l->f->alive_probe;
}

static bool drained_in_place(const Look *l) {
        return is_drain_end(l) && is_in_place(l);
}

static bool drained_hint(const Look *l) {
        return is_drain_end(l) && l->m->strategy == KUBE_STRATEGY_HINT;
}

/* ---- TERMINATING ---- */

static bool may_delete(const Look *l) {
        return l->o->evict_past_budget && l->f->may_delete && l->f->api;
}

/* No more is to be had by asking. */
static bool is_stuck(const Look *l) {
        if (is_pending(l))
                return false;
        if (l->m->strategy == KUBE_STRATEGY_HINT && elapsed(l) >= HINT_MAX_USEC)
                return true;
        if (is_refused(l) && l->m->tries >= REFUSED_TRIES)
                return true;
        if ((is_deadline(l) && l->m->tries >= REFUSED_TRIES) || (l->f->reply == KUBE_REPLY_BUDGET && is_drain_short(l)))
                return true;
        if (l->f->reply == KUBE_REPLY_BUDGET && elapsed(l) >= BUDGET_MAX_USEC && !may_be_detached(l) && !may_delete(l))
                return true;
        return !l->f->api && elapsed(l) >= TERMINATING_API_USEC;
}

static bool is_stuck_deletable(const Look *l) {
        return is_stuck(l) && may_delete(l) && (l->f->reply == KUBE_REPLY_BUDGET || is_refused(l) || is_retry(l));
}

/* The main container is restarted once a rotation: what that did not free, doing it again will not. */
static bool is_stuck_probe(const Look *l) {
        return is_stuck(l) && !may_delete(l) && !l->m->restarted && l->f->alive_probe && !is_drain_short(l);
}

static bool is_stuck_once(const Look *l) {
        return is_stuck(l) && !may_delete(l) && !l->m->restarted;
}

static bool is_stuck_restarted(const Look *l) {
        return is_stuck(l) && l->m->restarted && !may_be_detached(l);
}

static bool is_hint_retry(const Look *l) {
        return l->m->strategy == KUBE_STRATEGY_HINT && is_retry(l) && l->f->reply != KUBE_REPLY_OK;
}

static bool is_evict_retry(const Look *l) {
        return l->m->strategy != KUBE_STRATEGY_HINT && is_retry(l);
}

/* ---- the others ---- */

static bool is_probe_late(const Look *l) {
        return elapsed(l) >= add_usec(ALIVE_PROBE_USEC, l->f->grace_usec) && l->f->main_id;
}

static bool is_signal_late(const Look *l) {
        return elapsed(l) >= add_usec(SIGNALLED_EXTRA_USEC, l->f->grace_usec);
}

/* It ended and is not there again: the kubelet waits before it starts what keeps ending. */
static bool is_ended_late(const Look *l) {
        return is_signal_late(l) && !l->f->main_id && !may_be_detached(l);
}

static bool is_signal_late_detached(const Look *l) {
        return is_signal_late(l) && may_be_detached(l);
}

/* The right to patch is gone, or what the label was is not known any more: what is left is to go. */
static bool is_restore_refused(const Look *l) {
        return is_refused(l) && l->m->tries >= REFUSED_TRIES && l->f->detached && l->f->may_evict;
}

static bool is_unwanted_detached(const Look *l) {
        return l->f->unwanted && l->f->detached;
}

/* ---- the table ---- */

#define S(x)      (1u << KUBE_STATE_##x)
#define BEFORE    (S(LEASE_WAIT) | S(SURGING) | S(WAIT_READY))
#define LEAVING   (S(UNREADY) | S(DRAINING))
#define RESTARTED (S(IN_PLACE) | S(SIGNALLED))
#define ACTIVE    (BEFORE | LEAVING | S(TERMINATING) | RESTARTED | S(ABORTING))
#define ROW(from, when, to, command, why)                                                                              \
        { (from), (when), KUBE_STATE_##to, KUBE_COMMAND_##command, KUBE_REASON_##why }
/* A rule that keeps the state, which is the only one it is for. */
#define STAY(state, when, command, why) ROW(S(state), when, state, command, why)

static const Row rows[] = {
        /* the pod is somebody else's business now */
        ROW(S(NORMAL) | ACTIVE, is_gone, DONE, NONE, GONE),
        ROW(S(TERMINATING), is_deleting, DONE, NONE, REMOVED),
        ROW(S(NORMAL) | ACTIVE, is_deleting, DONE, NONE, DELETED),

        /* main is another process: its memory is new. What was detached without need is taken back */
        ROW(S(LEASE_WAIT), is_restarted, NORMAL, NONE, MAIN_RESTARTED),
        ROW(S(SURGING) | S(WAIT_READY), is_restarted, ABORTING, RESTORE, MAIN_RESTARTED),
        ROW(LEAVING, is_restarted_attached, NORMAL, NONE, MAIN_RESTARTED),
        ROW(RESTARTED, is_restarted_replaced, TERMINATING, EVICT, MAIN_RESTARTED),
        ROW(RESTARTED, is_restarted_detached, ABORTING, RESTORE, MAIN_RESTARTED),
        ROW(RESTARTED, is_restarted, NORMAL, NONE, MAIN_RESTARTED),
        ROW(S(TERMINATING), is_restarted_attached, NORMAL, NONE, MAIN_RESTARTED),

        /* whatever was planned: SIGTERM is better than the kernel's SIGKILL */
        ROW(S(NORMAL), wants_last_moment, SIGNALLED, SIGNAL, LAST_MOMENT),
        ROW(BEFORE | LEAVING | S(TERMINATING) | S(IN_PLACE) | S(ABORTING), is_last_moment, SIGNALLED, SIGNAL,
            LAST_MOMENT),

        /* waiting: armed before the pod could be read */
        ROW(S(NORMAL) | S(LEASE_WAIT), is_detached, ABORTING, RESTORE, ORPHAN),
        STAY(NORMAL, is_cooling, NONE, COOLDOWN),
        STAY(NORMAL, is_broken, NONE, BREAKER),
        STAY(NORMAL, is_too_young, NONE, TOO_YOUNG),
        STAY(NORMAL, has_headroom_held, RESIZE, HEADROOM),
        STAY(NORMAL, is_no_time, NONE, NO_TIME),
        ROW(S(NORMAL), is_armed, LEASE_WAIT, NONE, ARMED),

        ROW(S(LEASE_WAIT), is_calm, NORMAL, NONE, GROWTH_STOPPED),
        STAY(LEASE_WAIT, has_headroom, RESIZE, HEADROOM),
        ROW(S(LEASE_WAIT), goes_detach, SURGING, DETACH, SLOT),
        ROW(S(LEASE_WAIT), goes_signal, NORMAL, NONE, NO_TIME),
        ROW(S(LEASE_WAIT), has_slot, UNREADY, NONE, SLOT),
        ROW(S(LEASE_WAIT), is_in_place_due_without_api, UNREADY, NONE, API_DOWN),

        ROW(S(SURGING), is_detached, WAIT_READY, NONE, DETACHED),
        ROW(S(SURGING), is_slot_lost, ABORTING, RESTORE, SLOT_LOST),
        ROW(S(SURGING), is_calm_idle, ABORTING, RESTORE, GROWTH_STOPPED),
        {S(SURGING), is_refused_evictable, KUBE_STATE_UNREADY, KUBE_COMMAND_NONE, KUBE_REASON_REFUSED, true},
        ROW(S(SURGING), is_refused, UNREADY, NONE, REFUSED),
        ROW(S(SURGING), is_surging_late, UNREADY, NONE, API_DOWN),
        STAY(SURGING, is_retry, DETACH, RETRY),

        ROW(S(WAIT_READY), is_attached, NORMAL, NONE, REATTACHED),
        ROW(S(WAIT_READY), is_unwanted, UNREADY, NONE, UNWANTED),
        ROW(S(WAIT_READY), is_replaced, UNREADY, NONE, REPLACED),
        ROW(S(WAIT_READY), is_calm_unreplaced, ABORTING, RESTORE, GROWTH_STOPPED),
        ROW(S(WAIT_READY), is_slot_lost, ABORTING, RESTORE, SLOT_LOST),
        STAY(WAIT_READY, has_headroom, RESIZE, HEADROOM),
        ROW(S(WAIT_READY), is_short, UNREADY, NONE, TIME_IS_SHORT),
        ROW(S(WAIT_READY), is_replacement_failed, ABORTING, RESTORE, REPLACEMENT_FAILED),
        ROW(S(WAIT_READY), is_replacement_late, ABORTING, RESTORE, REPLACEMENT_LATE),
        ROW(S(WAIT_READY), is_rolled_late, UNREADY, NONE, REPLACEMENT_LATE),
        ROW(S(WAIT_READY), is_deadline, UNREADY, NONE, DEADLINE),

        ROW(LEAVING, is_calm_attached, NORMAL, NONE, GROWTH_STOPPED),
        ROW(S(UNREADY), is_out_of_traffic, DRAINING, NONE, OUT_OF_TRAFFIC),
        ROW(S(UNREADY), is_unready_late, DRAINING, NONE, OUT_OF_TRAFFIC),
        ROW(S(UNREADY), is_drain_short, DRAINING, NONE, TIME_IS_SHORT),
        ROW(S(DRAINING), drained_probe, IN_PLACE, NONE, DRAINED),
        ROW(S(DRAINING), drained_in_place, SIGNALLED, SIGNAL, DRAINED),
        ROW(S(DRAINING), drained_hint, TERMINATING, HINT, DRAINED),
        ROW(S(DRAINING), is_drained, TERMINATING, EVICT, DRAINED),
        ROW(S(DRAINING), is_drain_over, TERMINATING, EVICT, DRAIN_LATE),

        STAY(TERMINATING, is_stuck_deletable, DELETE, BUDGET),
        ROW(S(TERMINATING), is_stuck_probe, IN_PLACE, NONE, REFUSED),
        ROW(S(TERMINATING), is_stuck_once, SIGNALLED, SIGNAL, REFUSED),
        ROW(S(TERMINATING), is_stuck_restarted, NORMAL, NONE, REFUSED),
        STAY(TERMINATING, is_hint_retry, HINT, RETRY),
        STAY(TERMINATING, is_evict_retry, EVICT, RETRY),

        ROW(S(IN_PLACE), is_probe_late, SIGNALLED, SIGNAL, NO_EFFECT),
        ROW(S(SIGNALLED), is_signal_late_detached, ABORTING, RESTORE, NO_EFFECT),
        ROW(RESTARTED, is_ended_late, NORMAL, NONE, MAIN_RESTARTED),
        ROW(S(SIGNALLED), is_signal_late, NORMAL, NONE, NO_EFFECT),

        ROW(S(ABORTING), is_attached, NORMAL, NONE, REATTACHED),
        {S(ABORTING), is_restore_refused, KUBE_STATE_UNREADY, KUBE_COMMAND_NONE, KUBE_REASON_REFUSED, true},
        ROW(S(ABORTING), is_unwanted_detached, UNREADY, NONE, UNWANTED),
        STAY(ABORTING, is_retry, RESTORE, RETRY),
};

KubeStep kube_machine_step(KubeMachine *m, const KubeFacts *f, const KubeOptions *o, uint64_t now) {
        Look l = {m, f, o, max_of(now, m->since_usec)};
        KubeFacts fresh;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Row *row = &rows[i];
                KubeStep step = {.from = m->state, .command = row->command, .reason = row->reason};

                if (!(row->from & 1u << m->state) || !row->when(&l))
                        continue;
                if (row->to != m->state) {
                        /* a new state's command has had no reply */
                        fresh = *f;
                        fresh.reply = KUBE_REPLY_NONE;
                        l.f = &fresh;
                        machine_enter(m, row, &l);
                }
                step.changed = row->to != step.from || row->command != KUBE_COMMAND_NONE;
                machine_issue(m, row->command, &l);
                return step;
        }
        return (KubeStep){.from = m->state, .reason = KUBE_REASON_NONE};
}

static uint64_t later(uint64_t at, uint64_t now) {
        return at > now ? at : USEC_INFINITY;
}

/* Facts change by events; what only time changes is looked at once a second while a rotation is under way. */
uint64_t kube_machine_wake(const KubeMachine *m, const KubeOptions *o _unused_, uint64_t now) {
        if (!kube_state_is_rotating(m->state))
                return USEC_INFINITY;
        return min_of(add_usec(now, USEC_PER_SEC), later(m->retry_usec, now));
}
