/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/policy.h"

static void test_reclaim_skips(void **state _unused_) {
        static const struct {
                const char *name;
                bool disabled, unsupported, busy, dry, blind;
                double percent;
                Verb verb;
                Reason want;
        } cases[] = {
                {"acts", .percent = 86, .verb = VERB_ACT, .want = REASON_USED},
                {"below", .percent = 84, .verb = VERB_NONE, .want = REASON_BELOW},
                {"no trend", .percent = 84, .blind = true, .verb = VERB_SKIP, .want = REASON_NO_TREND},
                {"no trend is needed", .percent = 86, .blind = true, .verb = VERB_ACT, .want = REASON_USED},
                {"disabled", .disabled = true, .percent = 86, .verb = VERB_SKIP, .want = REASON_DISABLED},
                {"disabled, below", .disabled = true, .percent = 84, .verb = VERB_NONE, .want = REASON_BELOW},
                {"unsupported", .unsupported = true, .percent = 86, .verb = VERB_SKIP, .want = REASON_UNSUPPORTED},
                {"busy", .busy = true, .percent = 86, .verb = VERB_SKIP, .want = REASON_BUSY},
                {"dry run", .dry = true, .percent = 86, .verb = VERB_SKIP, .want = REASON_DRY_RUN},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyOptions o = policy_options_default;
                PolicyInput in = input(T0, cases[i].percent);

                o.rung[RUNG_RECLAIM].enabled = !cases[i].disabled;
                o.dry_run = cases[i].dry;
                in.can_reclaim = !cases[i].unsupported;
                in.action_in_flight = cases[i].busy;
                in.trend_known = !cases[i].blind;
                policy_init(&policy, &o);
                expect(cases[i].name, hold(in, 10 * SECOND, RUNG_RECLAIM), cases[i].verb, cases[i].want);
                assert_int_equal(decisions[RUNG_RECLAIM].trigger, cases[i].percent > 85 ? REASON_USED : REASON_BELOW);
        }
}

static void test_reclaim_cooldown(void **state _unused_) {
        fresh();
        expect("acts", hold(input(T0, 86), 10 * SECOND, RUNG_RECLAIM), VERB_ACT, REASON_USED);
        expect("not started: says so again", step(input(T0 + 11 * SECOND, 86), RUNG_RECLAIM), VERB_ACT, REASON_USED);
        started(RUNG_RECLAIM, T0 + 11 * SECOND);
        expect_wait("rests", step(input(T0 + 12 * SECOND, 86), RUNG_RECLAIM), REASON_COOLDOWN, 10 * MINUTE - SECOND);
        ended(RUNG_RECLAIM, T0 + 71 * SECOND, OUTCOME_OK, 860 * MIB, 100 * MIB);
        expect_wait("from its end", step(input(T0 + 71 * SECOND, 86), RUNG_RECLAIM), REASON_COOLDOWN, 10 * MINUTE);
        expect("again", step(input(T0 + 671 * SECOND, 86), RUNG_RECLAIM), VERB_ACT, REASON_USED);
}

static void test_reclaim_strikes(void **state _unused_) {
        static const struct {
                const char *name;
                OutcomeResult result;
                uint64_t before, released;
                bool strike;
        } cases[] = {
                {"well", OUTCOME_OK, 1000 * MIB, 100 * MIB, false},
                {"enough of both", OUTCOME_OK, 800 * MIB, 16 * MIB, false},
                {"too few bytes", OUTCOME_OK, 100 * MIB, 16 * MIB - 1, true},
                {"too small a share", OUTCOME_OK, 1000 * MIB, 19 * MIB, true},
                {"partial, but enough", OUTCOME_PARTIAL, 1000 * MIB, 50 * MIB, false},
                {"nothing", OUTCOME_PARTIAL, 1000 * MIB, 0, true},
                {"not measured, said ok", OUTCOME_OK, 0, 0, false},
                {"not measured, said partial", OUTCOME_PARTIAL, 0, 0, true},
                {"timeout", OUTCOME_TIMEOUT, 1000 * MIB, 100 * MIB, true},
                {"error", OUTCOME_ERROR, 0, 0, true},
                {"refused", OUTCOME_REFUSED, 0, 0, false},
                {"cancelled", OUTCOME_CANCELLED, 0, 0, false},
                {"skipped", OUTCOME_SKIPPED, 0, 0, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t now = T0;

                fresh();
                for (unsigned k = 0; k < 2; k++, now += 11 * MINUTE) {
                        expect(cases[i].name, hold(input(now, 86), 10 * SECOND, RUNG_RECLAIM), VERB_ACT, REASON_USED);
                        started(RUNG_RECLAIM, now + 10 * SECOND);
                        ended(RUNG_RECLAIM, now + 10 * SECOND, cases[i].result, cases[i].before, cases[i].released);
                        assert_int_equal(policy.fruitless, cases[i].strike ? k + 1 : 0);
                }
                hold(input(now, 86), 10 * SECOND, RUNG_RECLAIM);
                expect(cases[i].name, &decisions[RUNG_RECLAIM], cases[i].strike ? VERB_SKIP : VERB_ACT,
                       cases[i].strike ? REASON_FRUITLESS : REASON_USED);
        }
}

/* Little, but no less than a look beforehand held worth while: no strike, and rotate need not wait for another. */
static void test_as_foretold(void **state _unused_) {
        static const struct {
                const char *name;
                OutcomeResult result;
                uint64_t predicted, released;
                unsigned strikes;
        } cases[] = {
                {"little, as foretold", OUTCOME_OK, 12 * MIB, 12 * MIB, 0},
                {"but for what the call itself took", OUTCOME_OK, 12 * MIB, 12 * MIB - 80 * 1024, 0},
                {"more than foretold, and still little", OUTCOME_OK, 9 * MIB, 14 * MIB, 0},
                {"less than foretold", OUTCOME_OK, 12 * MIB, 10 * MIB, 2},
                {"nothing was foretold", OUTCOME_PARTIAL, 0, 0, 2},
                {"it timed out", OUTCOME_TIMEOUT, 12 * MIB, 12 * MIB, 2},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fresh();
                policy.fruitless = 1;
                policy_outcome(&policy, &(Outcome){.rung = RUNG_RECLAIM,
                                                   .time_usec = T0,
                                                   .before_bytes = 1000 * MIB,
                                                   .released_bytes = cases[i].released,
                                                   .predicted = true,
                                                   .predicted_bytes = cases[i].predicted,
                                                   .result = cases[i].result});
                if (policy.fruitless != cases[i].strikes || !policy.reclaim_poor)
                        fail_msg("%s: %u strikes, expected %u; poor: %d", cases[i].name, policy.fruitless,
                                 cases[i].strikes, policy.reclaim_poor);
        }
}

static void test_fruitless_is_not_for_ever(void **state _unused_) {
        fresh();
        for (unsigned k = 0; k < 2; k++)
                ended(RUNG_RECLAIM, T0, OUTCOME_PARTIAL, 1000 * MIB, 0);
        hold(input(T0 + MINUTE, 86), 10 * SECOND, RUNG_RECLAIM);
        expect_wait("rests for six cool-downs", &decisions[RUNG_RECLAIM], REASON_FRUITLESS, 58 * MINUTE + 50 * SECOND);
        expect("tries once more", step(input(T0 + 60 * MINUTE, 86), RUNG_RECLAIM), VERB_ACT, REASON_USED);
        ended(RUNG_RECLAIM, T0 + 60 * MINUTE, OUTCOME_OK, 1000 * MIB, 200 * MIB);
        assert_int_equal(policy.fruitless, 0);
}

static void test_rotate_skips(void **state _unused_) {
        static const struct {
                const char *name;
                bool disabled, unsupported, busy, dry, blind;
                double percent;
                Verb verb;
                Reason want;
        } cases[] = {
                {"acts", .percent = 93, .verb = VERB_ACT, .want = REASON_USED},
                {"below", .percent = 91, .verb = VERB_NONE, .want = REASON_BELOW},
                {"no trend", .percent = 91, .blind = true, .verb = VERB_SKIP, .want = REASON_NO_TREND},
                {"disabled", .disabled = true, .percent = 93, .verb = VERB_SKIP, .want = REASON_DISABLED},
                {"unsupported", .unsupported = true, .percent = 93, .verb = VERB_SKIP, .want = REASON_UNSUPPORTED},
                {"busy", .busy = true, .percent = 93, .verb = VERB_SKIP, .want = REASON_BUSY},
                {"busy, at the last moment", .busy = true, .percent = 99, .verb = VERB_SKIP, .want = REASON_BUSY},
                {"dry run", .dry = true, .percent = 93, .verb = VERB_SKIP, .want = REASON_DRY_RUN},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyOptions o = policy_options_default;
                PolicyInput in = input(T0, cases[i].percent);

                o.rung[RUNG_ROTATE].enabled = !cases[i].disabled;
                o.rung[RUNG_RECLAIM].enabled = false;
                o.dry_run = cases[i].dry;
                in.can_rotate = !cases[i].unsupported;
                in.action_in_flight = cases[i].busy;
                in.trend_known = !cases[i].blind;
                policy_init(&policy, &o);
                expect(cases[i].name, hold(in, 5 * SECOND, RUNG_ROTATE), cases[i].verb, cases[i].want);
        }
}

/* Rotate at 93 %, held long enough; what has become of reclaim decides. */
static void test_rotate_lets_reclaim_go_first(void **state _unused_) {
        enum { NEVER, GOOD, POOR, REFUSED, SKIPPED, STRIKES };
        static const struct {
                const char *name;
                int reclaim;       /* what it did ... */
                uint64_t ago_usec; /* ... so long ago */
                bool continuous;   /* use stayed above rotate's threshold since */
                bool disabled, unsupported, unreachable;
                Verb verb;
                Reason want;
                uint64_t wait_usec;
        } cases[] = {
                {"never tried", NEVER, .verb = VERB_SKIP, .want = REASON_EARLIER_RUNG},
                {"disabled", NEVER, .disabled = true, .verb = VERB_ACT, .want = REASON_USED},
                {"unsupported", NEVER, .unsupported = true, .verb = VERB_ACT, .want = REASON_USED},
                {"its threshold is higher", NEVER, .unreachable = true, .verb = VERB_ACT, .want = REASON_USED},
                {"settling", POOR, 4 * SECOND, .continuous = true, .verb = VERB_SKIP, .want = REASON_EARLIER_RUNG,
                 .wait_usec = 10 * MINUTE - 4 * SECOND},
                {"poor", POOR, 20 * SECOND, .verb = VERB_ACT, .want = REASON_USED},
                {"good, but not enough", GOOD, 20 * SECOND, .continuous = true, .verb = VERB_ACT, .want = REASON_USED},
                {"good, and use came back", GOOD, 2 * MINUTE, .verb = VERB_SKIP, .want = REASON_EARLIER_RUNG,
                 .wait_usec = 8 * MINUTE},
                {"good, its turn again", GOOD, 11 * MINUTE, .continuous = true, .verb = VERB_SKIP,
                 .want = REASON_EARLIER_RUNG},
                {"refused", REFUSED, 20 * SECOND, .verb = VERB_ACT, .want = REASON_USED},
                {"skipped: nothing to settle", SKIPPED, 4 * SECOND, .continuous = true, .verb = VERB_ACT,
                 .want = REASON_USED},
                {"fruitless", STRIKES, 20 * MINUTE, .verb = VERB_ACT, .want = REASON_USED},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyOptions o = policy_options_default;
                PolicyInput in = input(T0, 93);
                uint64_t done = T0 - cases[i].ago_usec;

                o.rung[RUNG_RECLAIM].enabled = !cases[i].disabled;
                if (cases[i].unreachable)
                        o.rung[RUNG_RECLAIM].used_ratio = 0.95;
                in.can_reclaim = !cases[i].unsupported;
                policy_init(&policy, &o);
                in.now_usec = cases[i].continuous ? done - 20 * SECOND : T0 - 12 * SECOND;
                if (!cases[i].continuous && cases[i].reclaim != NEVER)
                        hold(input(done, 80), 0, RUNG_ROTATE);
                if (cases[i].reclaim != NEVER)
                        policy_outcome(&policy,
                                       &(Outcome){.rung = RUNG_RECLAIM,
                                                  .time_usec = done,
                                                  .before_bytes = 930 * MIB,
                                                  .result = cases[i].reclaim == REFUSED   ? OUTCOME_REFUSED
                                                            : cases[i].reclaim == SKIPPED ? OUTCOME_SKIPPED
                                                                                          : OUTCOME_OK,
                                                  .released_bytes = cases[i].reclaim == GOOD ? 100 * MIB : 0});
                policy.fruitless = cases[i].reclaim == STRIKES ? 2 : policy.fruitless;
                if (cases[i].reclaim != NEVER)
                        policy.rung[RUNG_RECLAIM].rest_usec = 10 * MINUTE;
                /* crossing begins here and holds until T0; heal_clock() would move `done` if ticks came before it */
                policy.rung[RUNG_ROTATE] = (PolicyRungState){.crossed = true, .crossed_since_usec = in.now_usec};
                policy.rung[RUNG_RECLAIM].crossed = true;
                policy.rung[RUNG_RECLAIM].crossed_since_usec = in.now_usec;
                in.now_usec = T0;
                expect(cases[i].name, step(in, RUNG_ROTATE), cases[i].verb, cases[i].want);
                if (decisions[RUNG_ROTATE].wait_usec != cases[i].wait_usec)
                        fail_msg("%s: wait %.0f s", cases[i].name, (double)decisions[RUNG_ROTATE].wait_usec / SECOND);
        }
}

static void test_a_near_deadline_ends_politeness(void **state _unused_) {
        static const struct {
                const char *name;
                double percent;
                uint64_t eta_lo, used_bytes, eta; /* eta_lo 0: not growing; eta 0: by what a rotation needs */
                unsigned proof;
                bool acts; /* in its first tick, with reclaim untried */
        } cases[] = {
                {"95.9 %", 95.9, 0, 0, 0, 0, false},
                {"96 %: half of the rest", 96, 0, 0, 0, 0, true},
                {"121 s left", 93, 121 * SECOND, 0, 0, 3, false},
                {"120 s left: drain and retries", 93, 120 * SECOND, 0, 0, 3, true},
                {"120 s left, at 20 %", 20, 120 * SECOND, 0, 0, 3, true},
                {"120 s left, not proved enough", 20, 120 * SECOND, 0, 0, 2, false},
                {"a set eta: more than half of it", 20, 31 * SECOND, 0, MINUTE, 3, false},
                {"a set eta: half of it", 20, 30 * SECOND, 0, MINUTE, 3, true},
                {"bytes: below half of the rest", 89, 0, 800 * MIB, 0, 0, false},
                {"bytes: half of the rest", 90, 0, 800 * MIB, 0, 0, true},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyOptions o = policy_options_default;
                PolicyInput in =
                        cases[i].eta_lo ? growing(T0, cases[i].percent, cases[i].eta_lo) : input(T0, cases[i].percent);

                if (cases[i].used_bytes > 0) {
                        o.rung[RUNG_ROTATE].used_bytes = cases[i].used_bytes;
                        o.rung[RUNG_ROTATE].used_ratio = 0;
                }
                if (cases[i].eta > 0)
                        o.rung[RUNG_ROTATE].eta_usec = cases[i].eta;
                in.proof = cases[i].proof;
                policy_init(&policy, &o);
                if ((step(in, RUNG_ROTATE)->verb == VERB_ACT) != cases[i].acts)
                        fail_msg("%s: %s (%s)", cases[i].name, verb_name(decisions[RUNG_ROTATE].verb),
                                 reason_name(decisions[RUNG_ROTATE].reason));
        }
}

static void test_rotate_goes_before_reclaim(void **state _unused_) {
        fresh();
        hold(input(T0, 86), 30 * SECOND, RUNG_RECLAIM); /* reclaim would act, and is not started */
        expect("rotate", step(input(T0 + 31 * SECOND, 97), RUNG_ROTATE), VERB_ACT, REASON_USED);
        expect("reclaim", &decisions[RUNG_RECLAIM], VERB_SKIP, REASON_BUSY);
}

static void test_rotate_cooldown_and_breaker(void **state _unused_) {
        uint64_t now = T0;

        fresh();
        for (unsigned k = 0; k < 3; k++, now += USEC_PER_HOUR) {
                expect("acts", step(input(now, 97), RUNG_ROTATE), VERB_ACT, REASON_USED);
                rotation(now, OUTCOME_OK);
                if (k < 2)
                        expect_wait("rests", step(input(now + MINUTE, 97), RUNG_ROTATE), REASON_COOLDOWN, 29 * MINUTE);
                policy_target_changed(&policy, now, true, &(Decision){0}); /* neither is forgotten with the process */
        }
        expect_wait("breaker", step(input(now, 97), RUNG_ROTATE), REASON_BREAKER, 21 * USEC_PER_HOUR);
        expect_wait("to the end", step(input(T0 + USEC_PER_DAY - 1, 97), RUNG_ROTATE), REASON_BREAKER, 1);
        expect("the first has left", step(input(T0 + USEC_PER_DAY, 97), RUNG_ROTATE), VERB_ACT, REASON_USED);
        rotation(T0 + USEC_PER_DAY, OUTCOME_OK);
        expect_wait("the second has not", step(input(T0 + USEC_PER_DAY + 59 * MINUTE, 97), RUNG_ROTATE), REASON_BREAKER,
                    MINUTE);
}

static void test_breaker_settings(void **state _unused_) {
        PolicyOptions o = policy_options_default;

        o.rung[RUNG_ROTATE].cooldown_usec = 0;
        o.rotate_max = 0;
        policy_init(&policy, &o);
        for (unsigned k = 0; k < 200; k++) {
                expect("no breaker", step(input(T0 + k * SECOND, 97), RUNG_ROTATE), VERB_ACT, REASON_USED);
                rotation(T0 + k * SECOND, OUTCOME_OK);
        }
        o.rotate_max = 1000; /* more than is remembered: the ring's size counts */
        policy_set_options(&policy, &o);
        expect("full ring", step(input(T0 + 200 * SECOND, 97), RUNG_ROTATE), VERB_SKIP, REASON_BREAKER);
        o.rotate_max = 3;
        policy_set_options(&policy, &o);
        expect_wait("lowered", step(input(T0 + 200 * SECOND, 97), RUNG_ROTATE), REASON_BREAKER,
                    USEC_PER_DAY - 3 * SECOND);
}

static void test_a_rotation_that_fails_is_tried_again(void **state _unused_) {
        static const uint64_t rest[] = {30 * SECOND, 2 * MINUTE, 8 * MINUTE, 30 * MINUTE, 30 * MINUTE};
        uint64_t now = T0;

        fresh();
        for (size_t k = 0; k < ELEMENTSOF(rest); k++) {
                expect("acts", step(input(now, 97), RUNG_ROTATE), VERB_ACT, REASON_USED);
                rotation(now, OUTCOME_REFUSED); /* which the breaker does not count */
                expect_wait("rests", step(input(now, 97), RUNG_ROTATE), REASON_COOLDOWN, rest[k]);
                now += rest[k];
        }
        for (unsigned k = 0; k < 3; k++, now += 30 * MINUTE)
                rotation(now, OUTCOME_ERROR);
        expect("errors count", step(input(now, 97), RUNG_ROTATE), VERB_SKIP, REASON_BREAKER);
        rotation(now, OUTCOME_OK);
        assert_int_equal(policy.rotate_failures, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reclaim_skips),
                cmocka_unit_test(test_reclaim_cooldown),
                cmocka_unit_test(test_reclaim_strikes),
                cmocka_unit_test(test_as_foretold),
                cmocka_unit_test(test_fruitless_is_not_for_ever),
                cmocka_unit_test(test_rotate_skips),
                cmocka_unit_test(test_rotate_lets_reclaim_go_first),
                cmocka_unit_test(test_a_near_deadline_ends_politeness),
                cmocka_unit_test(test_rotate_goes_before_reclaim),
                cmocka_unit_test(test_rotate_cooldown_and_breaker),
                cmocka_unit_test(test_breaker_settings),
                cmocka_unit_test(test_a_rotation_that_fails_is_tried_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
