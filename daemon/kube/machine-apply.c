/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/machine-internal.h"

/* After an abort, doubled each time; and how often it doubles. */
#define COOL_USEC          (5 * USEC_PER_MINUTE)
#define COOL_DOUBLINGS_MAX 6u
#define RETRY_MIN_USEC     USEC_PER_SEC
#define RETRY_MAX_USEC     (10 * USEC_PER_SEC)
#define RETRY_MANY         20u /* so many were in vain: once a minute from then on */
/* What peers wait beyond what the states may take together. */
#define DEADLINE_SLACK_USEC (2 * USEC_PER_MINUTE)

static uint64_t backoff(unsigned tries, double jitter) {
        uint64_t most = RETRY_MIN_USEC << min_of(tries, 4u);

        most = tries > RETRY_MANY ? USEC_PER_MINUTE : min_of(most, RETRY_MAX_USEC);
        return most / 2 + (uint64_t)((double)(most / 2) * (jitter >= 0 && jitter <= 1 ? jitter : 1));
}

/* What all states may take together: peers count on it, so it is written on the pod. */
static uint64_t deadline_after(const KubeFacts *f, const KubeOptions *o) {
        uint64_t sum = add_usec(add_usec(o->replace_timeout_usec, o->replace_timeout_usec), o->soak_usec);

        sum = add_usec(sum, add_usec(o->propagate_usec, UNREADY_MAX_USEC));
        sum = add_usec(sum, add_usec(o->drain_usec, f->grace_usec));
        return add_usec(sum, add_usec(SURGING_MAX_USEC, DEADLINE_SLACK_USEC));
}

static void begin(KubeMachine *m, const Look *l) {
        unsigned failures = m->failures;
        uint64_t cool = m->cool_until_usec, signal_after = m->signal_after_usec;

        *m = (KubeMachine){.state = m->state,
                           .failures = failures,
                           .cool_until_usec = cool,
                           .signal_after_usec = signal_after,
                           .begun_usec = l->now,
                           .main_id = l->f->main_id,
                           .strategy = l->f->strategy};
}

/* Which ends are failures: the next rotation waits then, the longer the more there were. */
static bool is_failure(const Row *row) {
        switch (row->reason) {
        case KUBE_REASON_GROWTH_STOPPED:
        case KUBE_REASON_MAIN_RESTARTED:
        case KUBE_REASON_NO_TIME:
                return false;
        default:
                return true;
        }
}

static void end(KubeMachine *m, const Row *row, const Look *l) {
        bool quiet = m->state == KUBE_STATE_ABORTING &&
                     (m->reason == KUBE_REASON_GROWTH_STOPPED || m->reason == KUBE_REASON_MAIN_RESTARTED);

        if (is_failure(row) && !quiet) {
                m->cool_until_usec = add_usec(l->now, COOL_USEC << min_of(m->failures, COOL_DOUBLINGS_MAX));
                m->failures++;
        } else if (m->state == KUBE_STATE_SIGNALLED || m->state == KUBE_STATE_IN_PLACE) {
                m->failures = 0;
                m->cool_until_usec = 0;
        }
        m->deadline_usec = 0;
        m->touched = m->replaced = m->resized = m->restarted = false;
}

/* The strategy changes where a better one turned out not to work. */
static void choose(KubeMachine *m, const Row *row, const Look *l) {
        if (m->state == KUBE_STATE_LEASE_WAIT) {
                m->strategy = l->f->strategy;
                if (row->reason == KUBE_REASON_API_DOWN)
                        m->strategy = KUBE_STRATEGY_IN_PLACE;
        } else if (m->state == KUBE_STATE_SURGING && row->to == KUBE_STATE_UNREADY)
                m->strategy = row->evict_instead ? KUBE_STRATEGY_EVICT : KUBE_STRATEGY_IN_PLACE;
        else if (row->evict_instead) /* detached for good: a restart in place would not change that */
                m->strategy = KUBE_STRATEGY_EVICT;
        else if (row->to == KUBE_STATE_TERMINATING && row->command == KUBE_COMMAND_EVICT &&
                 m->strategy != KUBE_STRATEGY_DETACH)
                m->strategy = KUBE_STRATEGY_EVICT;
}

void machine_enter(KubeMachine *m, const Row *row, const Look *l) {
        if (m->state == KUBE_STATE_NORMAL && row->to != KUBE_STATE_DONE)
                begin(m, l);
        choose(m, row, l);
        /* waiting for a slot may take any time, and changes nothing */
        if (!m->deadline_usec && row->to != KUBE_STATE_LEASE_WAIT)
                m->deadline_usec = add_usec(l->now, deadline_after(l->f, l->o));
        if (row->to == KUBE_STATE_NORMAL)
                end(m, row, l);
        if (row->reason == KUBE_REASON_REPLACED)
                m->replaced = true;
        if (row->reason == KUBE_REASON_MAIN_RESTARTED && l->f->main_id) {
                m->main_id = l->f->main_id;
                m->restarted = row->to != KUBE_STATE_NORMAL;
        }
        if (row->command == KUBE_COMMAND_SIGNAL)
                m->signal_after_usec = add_usec(l->now, add_usec(SIGNALLED_EXTRA_USEC, l->f->grace_usec));
        m->state = row->to;
        m->reason = row->reason;
        m->since_usec = l->now;
        m->retry_usec = 0;
        m->tries = 0;
}

void machine_issue(KubeMachine *m, KubeCommand c, const Look *l) {
        if (c == KUBE_COMMAND_NONE)
                return;
        if (c == KUBE_COMMAND_DETACH)
                m->touched = true;
        if (c == KUBE_COMMAND_RESIZE) {
                m->resized = true;
                return;
        }
        m->retry_usec = add_usec(l->now, backoff(m->tries, l->f->jitter));
        m->tries++;
}
