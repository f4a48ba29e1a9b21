/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/policy.h"
#include "unit/random.h"

/* One tick of a fresh policy: which threshold is crossed, and by how little. `for` is out of the way. */
static void test_thresholds(void **state _unused_) {
        static const struct {
                const char *name;
                RungOptions o;
                double percent;
                uint64_t eta_lo; /* 0 = not growing */
                unsigned proof;
                Reason want;
        } cases[] = {
                {"none set", {.enabled = true}, 100, MINUTE, 3, REASON_BELOW},
                {"ratio: just below", {.enabled = true, .used_ratio = 0.8}, 79.999, 0, 0, REASON_BELOW},
                {"ratio: reached", {.enabled = true, .used_ratio = 0.8}, 80, 0, 0, REASON_USED},
                {"ratio: above the limit", {.enabled = true, .used_ratio = 0.8}, 300, 0, 0, REASON_USED},
                {"bytes: just below", {.enabled = true, .used_bytes = 500 * MIB}, 49.999, 0, 0, REASON_BELOW},
                {"bytes: reached", {.enabled = true, .used_bytes = 500 * MIB}, 50, 0, 0, REASON_BYTES},
                {"time: a little far", {.enabled = true, .eta_usec = MINUTE}, 10, MINUTE + 1, 3, REASON_BELOW},
                {"time: reached", {.enabled = true, .eta_usec = MINUTE}, 10, MINUTE, 3, REASON_ETA},
                {"time: not growing", {.enabled = true, .eta_usec = MINUTE}, 10, 0, 0, REASON_BELOW},
                {"any: the first of three",
                 {.enabled = true, .used_ratio = 0.1, .used_bytes = 1, .eta_usec = MINUTE},
                 10,
                 MINUTE,
                 3,
                 REASON_USED},
                {"any: the third",
                 {.enabled = true, .used_ratio = 0.9, .used_bytes = 900 * MIB, .eta_usec = MINUTE},
                 10,
                 MINUTE,
                 3,
                 REASON_ETA},
                {"growth: just below", {.enabled = true, .growth_bytes_per_hour = 3601}, 10, MINUTE, 3, REASON_BELOW},
                {"growth: reached", {.enabled = true, .growth_bytes_per_hour = 3600}, 10, MINUTE, 3, REASON_GROWTH},
                {"growth: not growing", {.enabled = true, .growth_bytes_per_hour = 3600}, 10, 0, 0, REASON_BELOW},
                {"verdict: it", {.enabled = true, .verdicts = 1u << 2}, 10, 0, 0, REASON_VERDICT},
                {"verdict: another", {.enabled = true, .verdicts = 1u << 3}, 10, 0, 0, REASON_BELOW},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyOptions o = {.rung[RUNG_ALERT] = cases[i].o};
                PolicyInput in =
                        cases[i].eta_lo ? growing(T0, cases[i].percent, cases[i].eta_lo) : input(T0, cases[i].percent);
                const Decision *d;

                in.proof = cases[i].proof;
                in.verdict = 2;
                policy_init(&policy, &o);
                d = step(in, RUNG_ALERT);
                expect(cases[i].name, d, cases[i].want == REASON_BELOW ? VERB_NONE : VERB_ACT, cases[i].want);
                assert_int_equal(d->trigger, cases[i].want);
        }
}

/* The forecaster says how dear an action its evidence is good for. */
static void test_each_rung_needs_its_proof(void **state _unused_) {
        for (unsigned proof = 0; proof <= _RUNG_MAX; proof++)
                for (Rung r = 0; r < _RUNG_MAX; r++) {
                        PolicyInput in = growing(T0, 30, MINUTE);

                        fresh();
                        policy.options.rung[RUNG_ALERT].growth_bytes_per_hour = 1;
                        policy.options.rung[RUNG_RECLAIM].growth_bytes_per_hour = 1;
                        in.proof = proof;
                        step(in, r);
                        if (proof > r)
                                assert_int_equal(decisions[r].trigger, r == RUNG_ROTATE ? REASON_DEADLINE : REASON_ETA);
                        else {
                                expect("unproven", &decisions[r], VERB_SKIP, REASON_UNPROVEN);
                                assert_int_equal(decisions[r].trigger, REASON_BELOW);
                        }
                }
}

static void test_unproven_is_no_news_of_a_rung_that_is_off(void **state _unused_) {
        PolicyInput in = growing(T0, 30, MINUTE);

        fresh();
        policy.options.rung[RUNG_ROTATE].enabled = false;
        in.proof = 0;
        expect("off", step(in, RUNG_ROTATE), VERB_NONE, REASON_BELOW);
}

static void test_growth_needs_no_limit(void **state _unused_) {
        PolicyInput in = growing(T0, 30, USEC_INFINITY);

        fresh();
        policy.options.rung[RUNG_ALERT].growth_bytes_per_hour = 100 * MIB;
        in.limit_bytes = 0;
        in.slope_lo_bytes_per_s = 100.0 * MIB / 3600;
        expect("fires", hold(in, 10 * SECOND, RUNG_ALERT), VERB_ACT, REASON_GROWTH);
        assert_true(fabs(decisions[RUNG_ALERT].threshold - 100.0 * MIB / 3600) < 1e-6);
        in.now_usec += MINUTE;
        in.slope_lo_bytes_per_s *= 0.96; /* within the hysteresis */
        expect("stays", hold(in, MINUTE, RUNG_ALERT), VERB_SKIP, REASON_PERSISTS);
        in.now_usec += 2 * MINUTE;
        in.slope_lo_bytes_per_s *= 0.9;
        expect("ends", hold(in, 10 * SECOND, RUNG_ALERT), VERB_RESOLVE, REASON_CLEARED);
}

static void test_decision_carries_its_evidence(void **state _unused_) {
        PolicyInput in = growing(T0, 50, 7 * MINUTE);
        const Decision *d;

        fresh();
        d = step(in, RUNG_ROTATE);
        assert_int_equal(d->time_usec, T0);
        assert_int_equal(d->usage_bytes, 500 * MIB);
        assert_int_equal(d->limit_bytes, LIMIT);
        assert_true(fabs(d->used_ratio - 0.5) < 1e-9);
        assert_int_equal(d->eta_lo_usec, 7 * MINUTE);
        assert_true(decisions[RUNG_ALERT].trigger == REASON_ETA && decisions[RUNG_ALERT].threshold == 1800);
        assert_true(decisions[RUNG_ALERT].needs_usec == 0 && d->needs_usec == 5 * MINUTE);
        assert_int_equal(d->eta_usec, 8 * MINUTE);
        in.trend_known = false;
        d = step(in, RUNG_ROTATE);
        assert_true(d->eta_lo_usec == USEC_INFINITY && d->eta_usec == USEC_INFINITY && d->slope_bytes_per_s == 0);
        in.limit_bytes = 0;
        assert_true(step(in, RUNG_ROTATE)->used_ratio == 0);
}

static void test_alert_life(void **state _unused_) {
        fresh();
        expect("quiet", step(input(T0, 50), RUNG_ALERT), VERB_NONE, REASON_BELOW);
        expect_wait("crossed", step(input(T0 + SECOND, 81), RUNG_ALERT), REASON_HOLD, 10 * SECOND);
        expect_wait("still", step(input(T0 + 5 * SECOND, 81), RUNG_ALERT), REASON_HOLD, 6 * SECOND);
        expect("a break", step(input(T0 + 6 * SECOND, 79), RUNG_ALERT), VERB_NONE, REASON_BELOW);
        expect_wait("from the start", step(input(T0 + 7 * SECOND, 81), RUNG_ALERT), REASON_HOLD, 10 * SECOND);
        expect("fires", step(input(T0 + 17 * SECOND, 81), RUNG_ALERT), VERB_ACT, REASON_USED);
        assert_true(policy.alert_firing);
        expect_wait("fires on", step(input(T0 + 18 * SECOND, 81), RUNG_ALERT), REASON_PERSISTS, USEC_PER_HOUR - SECOND);
        expect_wait("in the band", step(input(T0 + 19 * SECOND, 77), RUNG_ALERT), REASON_PERSISTS,
                    USEC_PER_HOUR - 2 * SECOND);
        assert_int_equal(decisions[RUNG_ALERT].trigger, REASON_USED);
        expect("below it", step(input(T0 + 30 * SECOND, 75), RUNG_ALERT), VERB_SKIP, REASON_PERSISTS);
        expect("not for long", step(input(T0 + 35 * SECOND, 77), RUNG_ALERT), VERB_SKIP, REASON_PERSISTS);
        expect("below again", step(input(T0 + 36 * SECOND, 75), RUNG_ALERT), VERB_SKIP, REASON_PERSISTS);
        expect("and long enough", step(input(T0 + 46 * SECOND, 75), RUNG_ALERT), VERB_RESOLVE, REASON_CLEARED);
        assert_int_equal(decisions[RUNG_ALERT].trigger, REASON_USED);
        expect("over", step(input(T0 + 47 * SECOND, 75), RUNG_ALERT), VERB_NONE, REASON_BELOW);
        expect_wait("once more", step(input(T0 + 48 * SECOND, 81), RUNG_ALERT), REASON_HOLD, 10 * SECOND);
}

static void test_alert_repeats(void **state _unused_) {
        PolicyOptions o = policy_options_default;

        fresh();
        expect("fires", hold(input(T0, 81), 10 * SECOND, RUNG_ALERT), VERB_ACT, REASON_USED);
        expect_wait("59 min", step(input(T0 + 59 * MINUTE, 81), RUNG_ALERT), REASON_PERSISTS, MINUTE + 10 * SECOND);
        expect("1 h", step(input(T0 + 60 * MINUTE + 10 * SECOND, 81), RUNG_ALERT), VERB_ACT, REASON_PERSISTS);
        expect("not twice", step(input(T0 + 61 * MINUTE, 81), RUNG_ALERT), VERB_SKIP, REASON_PERSISTS);
        o.rung[RUNG_ALERT].cooldown_usec = 0;
        policy_set_options(&policy, &o);
        expect_wait("never", step(input(T0 + USEC_PER_DAY, 81), RUNG_ALERT), REASON_PERSISTS, 0);
}

static void test_alert_by_forecast(void **state _unused_) {
        PolicyInput blind = input(T0 + 20 * SECOND, 50);

        fresh();
        blind.trend_known = false;
        expect("fires", hold(growing(T0, 50, 20 * MINUTE), 10 * SECOND, RUNG_ALERT), VERB_ACT, REASON_ETA);
        expect("blind: stays", hold(blind, 5 * MINUTE, RUNG_ALERT), VERB_SKIP, REASON_PERSISTS);
        expect("in the band", hold(growing(T0 + 6 * MINUTE, 50, 31 * MINUTE), MINUTE, RUNG_ALERT), VERB_SKIP,
               REASON_PERSISTS);
        expect("beyond it", hold(growing(T0 + 8 * MINUTE, 50, 32 * MINUTE), 10 * SECOND, RUNG_ALERT), VERB_RESOLVE,
               REASON_CLEARED);
}

static void test_alert_switched_off_while_firing(void **state _unused_) {
        PolicyOptions o = policy_options_default;

        fresh();
        hold(input(T0, 81), 10 * SECOND, RUNG_ALERT);
        o.rung[RUNG_ALERT].enabled = false;
        policy_set_options(&policy, &o);
        expect("resolved", step(input(T0 + 11 * SECOND, 81), RUNG_ALERT), VERB_RESOLVE, REASON_DISABLED);
        expect("skipped", step(input(T0 + 12 * SECOND, 81), RUNG_ALERT), VERB_SKIP, REASON_DISABLED);
}

static void test_startup_grace(void **state _unused_) {
        PolicyInput in = growing(T0, 99, 10 * SECOND);

        fresh();
        in.target_age_usec = 30 * SECOND;
        expect("alert by use", step(in, RUNG_ALERT), VERB_ACT, REASON_USED); /* urgent: at once */
        hold(in, 10 * SECOND, RUNG_ALERT);
        expect_wait("reclaim", &decisions[RUNG_RECLAIM], REASON_STARTUP_GRACE, 90 * SECOND);
        expect_wait("rotate, though the deadline is near", &decisions[RUNG_ROTATE], REASON_STARTUP_GRACE, 90 * SECOND);
        fresh();
        in = growing(T0, 50, 10 * SECOND);
        in.target_age_usec = 119 * SECOND;
        expect_wait("alert by forecast", step(in, RUNG_ALERT), REASON_STARTUP_GRACE, SECOND);
        in.target_age_usec += SECOND;
        in.now_usec += SECOND;
        expect("over, and urgent", step(in, RUNG_ALERT), VERB_ACT, REASON_ETA);
}

static void test_dry_run_has_the_same_rhythm(void **state _unused_) {
        PolicyOptions o = policy_options_default;
        unsigned would[_RUNG_MAX] = {};

        o.dry_run = true;
        policy_init(&policy, &o);
        for (uint64_t at = 0; at < USEC_PER_HOUR; at += SECOND) {
                step(input(T0 + at, 93), RUNG_ALERT);
                for (Rung r = 0; r < _RUNG_MAX; r++) {
                        assert_false(r != RUNG_ALERT && decisions[r].verb == VERB_ACT);
                        would[r] += decisions[r].reason == REASON_DRY_RUN;
                }
                if (at == 10 * SECOND)
                        expect("reclaim first", &decisions[RUNG_RECLAIM], VERB_SKIP, REASON_DRY_RUN);
                if (at == 20 * SECOND)
                        expect("then rotate", &decisions[RUNG_ROTATE], VERB_SKIP, REASON_DRY_RUN);
        }
        assert_int_equal(would[RUNG_RECLAIM], 6);
        assert_int_equal(would[RUNG_ROTATE], 2);
        assert_true(policy.alert_firing);
        assert_int_equal(policy.n_rotations, 0);
        policy_set_options(&policy, &o);
        expect("a reload changes nothing", step(input(T0 + USEC_PER_HOUR - SECOND, 93), RUNG_RECLAIM), VERB_SKIP,
               REASON_COOLDOWN);
        o.dry_run = false;
        policy_set_options(&policy, &o);
        expect("in earnest", step(input(T0 + USEC_PER_HOUR, 93), RUNG_RECLAIM), VERB_ACT, REASON_USED);
}

static void test_target_changes(void **state _unused_) {
        Decision d = {};

        fresh();
        assert_false(policy_target_changed(&policy, T0, false, &d));
        hold(input(T0, 86), 10 * SECOND, RUNG_ALERT);
        started(RUNG_RECLAIM, T0);
        for (unsigned k = 0; k < 2; k++)
                ended(RUNG_RECLAIM, T0 + 10 * SECOND, OUTCOME_PARTIAL, 1000 * MIB, 0);
        expect("fruitless", step(input(T0 + 11 * SECOND, 86), RUNG_RECLAIM), VERB_SKIP, REASON_FRUITLESS);
        assert_true(policy_target_changed(&policy, T0 + 12 * SECOND, false, &d));
        expect("alert", &d, VERB_RESOLVE, REASON_TARGET_GONE);
        assert_int_equal(d.trigger, REASON_USED);
        assert_int_equal(d.time_usec, T0 + 12 * SECOND);
        assert_true(d.eta_usec == USEC_INFINITY);
        assert_false(policy_target_changed(&policy, T0 + 13 * SECOND, true, &d));
        expect_wait("a new one starts anew", step(input(T0 + 14 * SECOND, 86), RUNG_RECLAIM), REASON_HOLD, 10 * SECOND);
        expect("and anew", hold(input(T0 + 14 * SECOND, 86), 10 * SECOND, RUNG_RECLAIM), VERB_ACT, REASON_USED);
}

static void test_reload_keeps_history(void **state _unused_) {
        PolicyOptions o = policy_options_default;

        fresh();
        hold(input(T0, 93), 10 * SECOND, RUNG_ALERT);
        rotation(T0 + 10 * SECOND, OUTCOME_OK);
        started(RUNG_RECLAIM, T0 + 10 * SECOND);
        o.rung[RUNG_RECLAIM].cooldown_usec = MINUTE;
        o.rung[RUNG_ALERT].used_ratio = 0.9;
        policy_set_options(&policy, &o);
        step(input(T0 + 11 * SECOND, 93), RUNG_ALERT);
        expect("alert", &decisions[RUNG_ALERT], VERB_SKIP, REASON_PERSISTS);
        expect_wait("reclaim", &decisions[RUNG_RECLAIM], REASON_COOLDOWN, 59 * SECOND);
        expect_wait("rotate", &decisions[RUNG_ROTATE], REASON_COOLDOWN, 30 * MINUTE - SECOND);
        assert_int_equal(policy.n_rotations, 1);
}

static void test_time_that_runs_backwards(void **state _unused_) {
        fresh();
        hold(input(T0, 93), 10 * SECOND, RUNG_ALERT);
        rotation(T0 + 10 * SECOND, OUTCOME_OK);
        started(RUNG_RECLAIM, T0 + 10 * SECOND);
        expect_wait("held anew", step(input(5, 93), RUNG_RECLAIM), REASON_HOLD, 10 * SECOND);
        hold(input(5, 93), 10 * SECOND, RUNG_ALERT);
        expect_wait("alert", &decisions[RUNG_ALERT], REASON_PERSISTS, USEC_PER_HOUR - 10 * SECOND);
        expect_wait("reclaim", &decisions[RUNG_RECLAIM], REASON_COOLDOWN, 10 * MINUTE - 10 * SECOND);
        expect_wait("rotate", &decisions[RUNG_ROTATE], REASON_COOLDOWN, 30 * MINUTE - 10 * SECOND);
        expect("and no longer", step(input(5 + 10 * MINUTE, 86), RUNG_RECLAIM), VERB_ACT, REASON_USED);
}

/* Whatever comes in: no arithmetic trap (sanitizers watch), one action at most, a wait where the reason has one. */
static void test_any_input(void **state _unused_) {
        for (uint64_t seed = 1; seed <= 50; seed++) {
                Random r = {seed};
                bool busy = false;

                fresh();
                policy.options.dry_run = seed % 5 == 0;
                policy.options.rung[RUNG_ROTATE].hold_usec = seed % 7 ? 5 * SECOND : UINT64_MAX;
                policy.options.rung[RUNG_RECLAIM].cooldown_usec = seed % 3 ? MINUTE : UINT64_MAX;
                for (int i = 0; i < 2000; i++) {
                        PolicyInput in = {0};
                        uint64_t *const fields[] = {&in.now_usec,    &in.target_age_usec, &in.usage_bytes,
                                                    &in.limit_bytes, &in.rss_bytes,       &in.eta_usec,
                                                    &in.eta_lo_usec, &in.eta_hi_usec};

                        for (size_t k = 0; k < ELEMENTSOF(fields); k++)
                                *fields[k] = random_bits(&r) >> (random_bits(&r) % 65 % 64);
                        in.trend_known = random_bits(&r) % 4;
                        in.growing = random_bits(&r) % 2;
                        in.proof = random_bits(&r) % 5;
                        in.verdict = (unsigned)random_bits(&r) >> (random_bits(&r) % 32);
                        in.burst_bytes_per_s = (double)random_bits(&r);
                        in.week_minute = (int)(random_bits(&r) % MINUTES_PER_WEEK) - (random_bits(&r) % 8 == 0);
                        in.predicted = random_bits(&r) % 4 == 0;
                        in.worth_bytes = random_bits(&r);
                        in.can_reclaim = in.can_rotate = random_bits(&r) % 8;
                        in.action_in_flight = busy;
                        step(in, RUNG_ALERT);
                        for (Rung k = RUNG_RECLAIM; k <= RUNG_ROTATE; k++) {
                                if (decisions[k].verb != VERB_ACT)
                                        continue;
                                assert_false(busy);
                                started(k, in.now_usec);
                                ended(k, random_bits(&r), random_bits(&r) % _OUTCOME_MAX, random_bits(&r), 0);
                        }
                        busy = random_bits(&r) % 3 == 0;
                        if (random_bits(&r) % 64 == 0)
                                policy_target_changed(&policy, random_bits(&r), true, &(Decision){0});
                }
        }
}

static void test_names(void **state _unused_) {
        for (int r = 0; r < _REASON_MAX; r++) {
                assert_string_not_equal(reason_name(r), "invalid");
                assert_string_not_equal(reason_text(r), "invalid");
        }
        assert_string_equal(reason_name(_REASON_MAX), "invalid");
        assert_string_equal(verb_name(_VERB_MAX), "invalid");
        assert_string_equal(rung_name(_RUNG_MAX), "invalid");
        assert_string_equal(outcome_name(_OUTCOME_MAX), "invalid");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_thresholds),
                cmocka_unit_test(test_each_rung_needs_its_proof),
                cmocka_unit_test(test_unproven_is_no_news_of_a_rung_that_is_off),
                cmocka_unit_test(test_growth_needs_no_limit),
                cmocka_unit_test(test_decision_carries_its_evidence),
                cmocka_unit_test(test_alert_life),
                cmocka_unit_test(test_alert_repeats),
                cmocka_unit_test(test_alert_by_forecast),
                cmocka_unit_test(test_alert_switched_off_while_firing),
                cmocka_unit_test(test_startup_grace),
                cmocka_unit_test(test_dry_run_has_the_same_rhythm),
                cmocka_unit_test(test_target_changes),
                cmocka_unit_test(test_reload_keeps_history),
                cmocka_unit_test(test_time_that_runs_backwards),
                cmocka_unit_test(test_any_input),
                cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
