/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs that test the policy share: one policy, a settled target as input, a step that checks what holds
 * for every step, and expectations that name the case that failed. Each program includes it once.
 */
#pragma once

#include "policy/policy.h"
#include "unit/unit.h"

#define MIB    (1024ULL * 1024)
#define LIMIT  (1000 * MIB)
#define SECOND USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE
#define T0     (100 * USEC_PER_HOUR) /* when a case's clock starts; the target is old by then */

static Policy policy;
static Decision decisions[_RUNG_MAX];

static inline void fresh(void) {
        policy_init(&policy, &policy_options_default);
}

/* A settled target at @percent of its limit, with a trend that is not growing. */
static inline PolicyInput input(uint64_t now, double percent) {
        return (PolicyInput){
                .now_usec = now,
                .target_age_usec = USEC_PER_DAY,
                .usage_bytes = (uint64_t)(percent / 100 * (double)LIMIT),
                .limit_bytes = LIMIT,
                .trend_known = true,
                .week_minute = -1,
                .eta_usec = USEC_INFINITY,
                .eta_lo_usec = USEC_INFINITY,
                .eta_hi_usec = USEC_INFINITY,
                .can_reclaim = true,
                .can_rotate = true,
        };
}

static inline PolicyInput growing(uint64_t now, double percent, uint64_t eta_lo) {
        PolicyInput in = input(now, percent);

        in.growing = true;
        in.proof = _RUNG_MAX; /* of all rungs */
        in.slope_bytes_per_s = in.slope_lo_bytes_per_s = 1;
        in.eta_lo_usec = eta_lo;
        in.eta_usec = in.eta_hi_usec = eta_lo + MINUTE;
        return in;
}

static inline const Decision *step(PolicyInput in, Rung rung) {
        policy_step(&policy, &in, decisions);
        for (Rung r = 0; r < _RUNG_MAX; r++) {
                assert_int_equal(decisions[r].rung, r);
                assert_true((unsigned)decisions[r].verb < _VERB_MAX && (unsigned)decisions[r].reason < _REASON_MAX);
        }
        assert_false(decisions[RUNG_RECLAIM].verb == VERB_ACT && decisions[RUNG_ROTATE].verb == VERB_ACT);
        return &decisions[rung];
}

static inline void expect(const char *name, const Decision *d, Verb verb, Reason reason) {
        if (d->verb != verb || d->reason != reason)
                fail_msg("%s: %s %s (%s), wanted %s (%s)", name, rung_name(d->rung), verb_name(d->verb),
                         reason_name(d->reason), verb_name(verb), reason_name(reason));
}

static inline void expect_wait(const char *name, const Decision *d, Reason reason, uint64_t wait) {
        expect(name, d, VERB_SKIP, reason);
        if (d->wait_usec != wait)
                fail_msg("%s: wait %.6f s, wanted %.6f s", name, (double)d->wait_usec / SECOND, (double)wait / SECOND);
}

/* Hold a state for @usec from @from, a tick a second; the last tick's decision. */
static inline const Decision *hold(PolicyInput in, uint64_t usec, Rung rung) {
        const Decision *d = step(in, rung);

        for (uint64_t end = in.now_usec + usec; in.now_usec < end;) {
                in.now_usec += SECOND;
                d = step(in, rung);
        }
        return d;
}

static inline void started(Rung rung, uint64_t now) {
        policy_started(&policy, &(Decision){.rung = rung, .verb = VERB_ACT, .time_usec = now});
}

static inline void ended(Rung rung, uint64_t now, OutcomeResult result, uint64_t before, uint64_t released) {
        policy_outcome(&policy, &(Outcome){.rung = rung,
                                           .result = result,
                                           .time_usec = now,
                                           .before_bytes = before,
                                           .after_bytes = before - released,
                                           .released_bytes = released});
}

static inline void rotation(uint64_t now, OutcomeResult result) {
        started(RUNG_ROTATE, now);
        ended(RUNG_ROTATE, now, result, 0, 0);
}
