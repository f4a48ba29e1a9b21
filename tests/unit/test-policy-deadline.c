/* SPDX-License-Identifier: Apache-2.0
 *
 * What binds the ladder to time: what a rotation needs, maintenance windows, reclaims that do not last, the last
 * moment.
 */
#include <errno.h>

#include "unit/policy.h"

static void test_needs_are_the_longer_of_both(void **state _unused_) {
        static const uint64_t startups[] = {150, 130, 140, 9000, 135, 131, 132, 133, 134, 136, 137, 600};
        PolicyNeeds n;

        fresh();
        policy_needs(&policy, &n);
        assert_int_equal(n.total_usec, 5 * MINUTE);
        assert_int_equal(n.urgent_usec, 2 * MINUTE);
        policy_learn(&policy, NEED_DRAIN, 10 * SECOND); /* shorter: what is configured counts */
        policy_needs(&policy, &n);
        assert_int_equal(n.learned_usec[NEED_DRAIN], 10 * SECOND);
        assert_int_equal(n.total_usec, 5 * MINUTE);
        policy_learn(&policy, NEED_DRAIN, 50 * SECOND);
        policy_needs(&policy, &n);
        assert_int_equal(n.usec[NEED_DRAIN], 50 * SECOND);
        assert_int_equal(n.total_usec, 5 * MINUTE + 20 * SECOND);
        assert_int_equal(n.urgent_usec, 2 * MINUTE + 20 * SECOND);
        /* nine of ten of the last: the longest of eleven is an outlier, 2.5 h is no start-up at all */
        for (size_t i = 0; i < ELEMENTSOF(startups); i++)
                policy_learn(&policy, NEED_STARTUP, startups[i] * SECOND);
        policy_needs(&policy, &n);
        assert_int_equal(n.n_learned[NEED_STARTUP], 11);
        assert_int_equal(n.learned_usec[NEED_STARTUP], 150 * SECOND);
        for (unsigned i = 0; i < POLICY_LEARN_MAX; i++)
                policy_learn(&policy, NEED_STARTUP, SECOND);
        policy_needs(&policy, &n);
        assert_int_equal(n.learned_usec[NEED_STARTUP], SECOND);
}

static void test_a_rotation_teaches(void **state _unused_) {
        PolicyNeeds n;
        Decision d;

        fresh();
        /* the first attempt fails, the second ends the process after 40 s, another is there 3 min later */
        started(RUNG_ROTATE, T0);
        ended(RUNG_ROTATE, T0 + 30 * SECOND, OUTCOME_TIMEOUT, 0, 0);
        started(RUNG_ROTATE, T0 + 2 * MINUTE);
        policy_outcome(&policy, &(Outcome){.rung = RUNG_ROTATE,
                                           .result = OUTCOME_OK,
                                           .time_usec = T0 + 2 * MINUTE + 40 * SECOND,
                                           .duration_usec = 40 * SECOND});
        policy_target_changed(&policy, T0 + 3 * MINUTE, false, &d);
        policy_target_changed(&policy, T0 + 6 * MINUTE, true, &d);
        policy_needs(&policy, &n);
        assert_int_equal(n.learned_usec[NEED_DRAIN], 40 * SECOND);
        assert_int_equal(n.learned_usec[NEED_RETRIES], 2 * MINUTE);
        assert_int_equal(n.learned_usec[NEED_STARTUP], 3 * MINUTE);
        assert_int_equal(n.total_usec, 40 * SECOND + 3 * MINUTE + 2 * MINUTE + MINUTE);
        started(RUNG_ROTATE, T0 + 30 * MINUTE); /* one that does it at once has no retries, whatever its start took */
        policy_outcome(&policy, &(Outcome){.rung = RUNG_ROTATE,
                                           .result = OUTCOME_OK,
                                           .time_usec = T0 + 30 * MINUTE + 41 * SECOND,
                                           .duration_usec = 40 * SECOND});
        assert_int_equal(policy.learned[NEED_RETRIES].usec[1], 0);
        /* and the next deadline is that much earlier */
        step(growing(T0 + USEC_PER_HOUR, 50, 6 * MINUTE + 30 * SECOND), RUNG_ROTATE);
        assert_int_equal(decisions[RUNG_ROTATE].trigger, REASON_DEADLINE);
        assert_int_equal(decisions[RUNG_ROTATE].needs_usec, n.total_usec);
        assert_true(decisions[RUNG_ROTATE].threshold == (double)n.total_usec / SECOND);
        step(growing(T0 + USEC_PER_HOUR, 50, 6 * MINUTE + 41 * SECOND), RUNG_ROTATE);
        assert_int_equal(decisions[RUNG_ROTATE].trigger, REASON_BELOW);
}

static void test_windows_are_read(void **state _unused_) {
        static const struct {
                const char *text, *again; /* NULL: refused */
        } cases[] = {
                {"mon-fri 01:00-05:00", "mon-fri 01:00-05:00"},
                {"sun 00:00-24:00", "sun 00:00-24:00"},
                {"daily 22:00-06:00", "daily 22:00-06:00"},
                {"mon-sun 00:00-01:00", "daily 00:00-01:00"},
                {"fri-mon 00:00-01:00", "mon,fri-sun 00:00-01:00"},
                {"mon,wed,thu,sun  12:30-12:31", "mon,wed-thu,sun 12:30-12:31"},
                {"", NULL},
                {"mon", NULL},
                {"mon ", NULL},
                {"01:00-02:00", NULL},
                {"Mon 01:00-02:00", NULL},
                {"mon- 01:00-02:00", NULL},
                {"mon, 01:00-02:00", NULL},
                {"monday 01:00-02:00", NULL},
                {"mon 1:00-02:00", NULL},
                {"mon 01:60-02:00", NULL},
                {"mon 24:01-02:00", NULL},
                {"mon 25:00-02:00", NULL},
                {"mon 24:00-02:00", NULL},
                {"mon 01:00-00:00", NULL},
                {"mon 01:00-02:00 ", NULL},
                {"mon 01:00-02:0", NULL},
                {"mon 01:00", NULL},
                {"mon 01:00-01:00", NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyWindow w = {.days = 0x55};
                const char *why = NULL;
                int r = policy_window_parse(cases[i].text, &w, &why);
                char buf[48];

                if ((r == 0) != (cases[i].again != NULL))
                        fail_msg("'%s': %d", cases[i].text, r);
                if (r == 0)
                        assert_string_equal(policy_window_format(&w, buf, sizeof(buf)), cases[i].again);
                else {
                        assert_int_equal(r, -EINVAL);
                        assert_true(w.days == 0x55 && why);
                }
        }
}

static PolicyWindows windows(const char *a, const char *b) {
        const char *const text[] = {a, b}, *why;
        PolicyWindows w = {};

        for (size_t i = 0; i < ELEMENTSOF(text); i++)
                if (text[i])
                        assert_int_equal(policy_window_parse(text[i], &w.window[w.n++], &why), 0);
        return w;
}

/* Every minute of a week: the wait leads to the first open one, as counting does. */
static void test_windows_wait(void **state _unused_) {
        static const struct {
                const char *allow[2], *forbid[2];
                unsigned open; /* minutes a week */
        } cases[] = {
                {{0}, {0}, 10080},
                {{"mon-fri 01:00-05:00"}, {0}, 1200},
                {{"sun 22:00-06:00"}, {0}, 480}, /* into Monday: round the week's end */
                {{"daily 00:00-24:00"}, {"wed 12:00-13:00"}, 10020},
                {{"mon 01:00-05:00", "mon 04:00-06:00"}, {"mon 02:00-03:00"}, 240},
                {{0}, {"sat,sun 00:00-24:00"}, 7200},
                {{"tue 01:00-02:00"}, {"tue 00:00-24:00"}, 0},
                {{0}, {"daily 12:00-11:59"}, 7},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyWindows allow = windows(cases[i].allow[0], cases[i].allow[1]);
                PolicyWindows forbid = windows(cases[i].forbid[0], cases[i].forbid[1]);
                unsigned open = 0, wait = MINUTES_PER_WEEK;

                for (unsigned at = 2 * MINUTES_PER_WEEK; at-- > 0;) {
                        unsigned got = policy_windows_wait(&allow, &forbid, at % MINUTES_PER_WEEK);

                        open += got == 0;
                        wait = got == 0 ? 0 : wait + 1;
                        if (at < MINUTES_PER_WEEK && got != min_of(wait, MINUTES_PER_WEEK))
                                fail_msg("case %zu, minute %u: wait %u, wanted %u", i, at, got, wait);
                }
                assert_int_equal(open, 2 * cases[i].open);
        }
}

static void test_windows_defer_what_is_not_urgent(void **state _unused_) {
        PolicyInput in = input(T0, 93);

        fresh();
        policy.options.allow = windows("mon 01:00-05:00", NULL);
        in.week_minute = 30;
        expect("alert never waits", hold(in, 10 * SECOND, RUNG_ALERT), VERB_ACT, REASON_USED);
        expect_wait("reclaim", &decisions[RUNG_RECLAIM], REASON_WINDOW, 30 * MINUTE);
        expect_wait("rotate", &decisions[RUNG_ROTATE], REASON_WINDOW, 30 * MINUTE);
        in.now_usec += 11 * SECOND;
        in.week_minute = 60;
        expect("it opens", step(in, RUNG_RECLAIM), VERB_ACT, REASON_USED); /* held while it waited */
        in.week_minute = 300;
        expect_wait("it closes", step(in, RUNG_RECLAIM), REASON_WINDOW, (MINUTES_PER_WEEK - 240) * MINUTE);
        in.week_minute = -1;
        expect("whoever does not know the time does not wait", step(in, RUNG_RECLAIM), VERB_ACT, REASON_USED);
        in = input(T0 + USEC_PER_HOUR, 96);
        in.week_minute = 30;
        expect("urgent", step(in, RUNG_ROTATE), VERB_ACT, REASON_USED);
        in = input(T0 + USEC_PER_HOUR, 96);
        in.week_minute = 30;
        in.can_rotate = false;
        expect("urgent, and only a reclaim is there", hold(in, 10 * SECOND, RUNG_RECLAIM), VERB_ACT, REASON_USED);
}

/* One reclaim of 100 MiB at @at, whose bytes are back after @back; the wait that follows at its end. */
static void reclaimed(uint64_t at, uint64_t back) {
        started(RUNG_RECLAIM, at);
        ended(RUNG_RECLAIM, at, OUTCOME_OK, 900 * MIB, 100 * MIB);
        for (uint64_t t = 0; t <= back; t += SECOND) {
                PolicyInput in = input(at + t, 86);

                in.rss_bytes = t < back ? 889 * MIB : 890 * MIB;
                step(in, RUNG_RECLAIM);
        }
}

static void test_what_does_not_last_is_done_less_often(void **state _unused_) {
        uint64_t now = T0;

        fresh();
        reclaimed(now, 6 * MINUTE); /* longer than half a cool-down */
        expect_wait("it lasted", &decisions[RUNG_RECLAIM], REASON_COOLDOWN, 4 * MINUTE);
        for (unsigned k = 1; k <= 5; k++) {
                uint64_t rest = 10 * MINUTE << min_of(k, 3u);

                now += 2 * USEC_PER_HOUR;
                reclaimed(now, 4 * MINUTE);
                expect_wait("back in 4 min", &decisions[RUNG_RECLAIM], REASON_COOLDOWN, rest - 4 * MINUTE);
                expect_wait("the longer part", step(input(now + 10 * MINUTE, 86), RUNG_RECLAIM), REASON_REGROWN,
                            rest - 10 * MINUTE);
                expect("then again", step(input(now + rest, 86), RUNG_RECLAIM), VERB_ACT, REASON_USED);
        }
        now += 2 * USEC_PER_HOUR;
        reclaimed(now, 6 * MINUTE);
        assert_int_equal(policy.regrown, 0);
        expect_wait("one that lasts ends it", &decisions[RUNG_RECLAIM], REASON_COOLDOWN, 4 * MINUTE);
}

static void test_regrowth_does_not_stand_before_the_last_chance(void **state _unused_) {
        PolicyInput in;

        fresh();
        reclaimed(T0, MINUTE);
        in = input(T0 + 11 * MINUTE, 96);
        in.can_rotate = false;
        expect("urgent", step(in, RUNG_RECLAIM), VERB_ACT, REASON_USED);
        in = input(T0 + 11 * MINUTE, 93);
        expect("rotate does not wait for it", hold(in, 5 * SECOND, RUNG_ROTATE), VERB_ACT, REASON_USED);
        expect("reclaim", &decisions[RUNG_RECLAIM], VERB_SKIP, REASON_REGROWN);
}

static void test_regrowth_can_be_set(void **state _unused_) {
        fresh();
        policy.options.reclaim_lasts_usec = USEC_PER_HOUR;
        reclaimed(T0, 6 * MINUTE);
        assert_int_equal(policy.regrown, 1);
        policy_target_changed(&policy, T0 + 7 * MINUTE, true, &(Decision){0});
        assert_int_equal(policy.regrown, 0);
}

static void test_little_gain_moves_the_ladder_on(void **state _unused_) {
        PolicyInput in = input(T0, 93);

        fresh();
        in.predicted = true;
        in.predicted_bytes = 8 * MIB - 1;
        in.worth_bytes = 8 * MIB;
        expect("rotate", hold(in, 10 * SECOND, RUNG_ROTATE), VERB_ACT, REASON_USED);
        expect("reclaim", &decisions[RUNG_RECLAIM], VERB_SKIP, REASON_LITTLE_GAIN);
        fresh();
        in.predicted_bytes = 8 * MIB;
        expect("worth it", hold(in, 10 * SECOND, RUNG_RECLAIM), VERB_ACT, REASON_USED);
        fresh();
        in.predicted = false; /* not known is not little */
        in.predicted_bytes = 0;
        expect("not known", hold(in, 10 * SECOND, RUNG_RECLAIM), VERB_ACT, REASON_USED);
}

static void test_holds(void **state _unused_) {
        static const struct {
                const char *name;
                Reason trigger;
                double then, now; /* percent */
                uint64_t limit;
                bool holds;
        } cases[] = {
                {"used: still", REASON_USED, 93, 92, LIMIT, true},
                {"used: below", REASON_USED, 93, 91.9, LIMIT, false},
                {"bytes: still", REASON_BYTES, 93, 90, LIMIT, true},
                {"bytes: below", REASON_BYTES, 93, 89.9, LIMIT, false},
                {"deadline: a little lower", REASON_DEADLINE, 50, 48, LIMIT, true},
                {"deadline: it fell", REASON_DEADLINE, 50, 47, LIMIT, false},
                {"the limit was raised", REASON_DEADLINE, 50, 50, 2 * LIMIT, false},
                {"the limit went", REASON_USED, 93, 93, 0, false},
        };

        fresh();
        policy.options.rung[RUNG_ROTATE].used_bytes = 900 * MIB;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyInput in = input(T0, cases[i].now);
                Decision d = {.rung = RUNG_ROTATE,
                              .verb = VERB_ACT,
                              .trigger = cases[i].trigger,
                              .usage_bytes = input(T0, cases[i].then).usage_bytes,
                              .limit_bytes = LIMIT};

                in.limit_bytes = cases[i].limit;
                if (policy_holds(&policy, &in, &d) != cases[i].holds)
                        fail_msg("%s", cases[i].name);
        }
}

static void test_the_last_moment(void **state _unused_) {
        static const struct {
                const char *name;
                double percent, bytes_per_s;
                uint64_t age;
                bool acts;
        } cases[] = {
                {"2 s left", 60, 200.0 * MIB, USEC_PER_DAY, true},
                {"a little more", 59.9, 200.0 * MIB, USEC_PER_DAY, false},
                {"less than half is used", 49, 2000.0 * MIB, USEC_PER_DAY, false},
                {"it starts up", 60, 200.0 * MIB, MINUTE, false},
                {"it stopped", 60, 0, USEC_PER_DAY, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyInput in = input(T0, cases[i].percent);

                in.burst_bytes_per_s = cases[i].bytes_per_s;
                in.target_age_usec = cases[i].age;
                in.trend_known = false;
                fresh();
                policy.options.allow = windows("mon 01:00-02:00", NULL);
                in.week_minute = 600;
                step(in, RUNG_ALERT);
                for (Rung r = RUNG_ALERT; r <= RUNG_ROTATE; r += RUNG_ROTATE)
                        if ((decisions[r].verb == VERB_ACT) != cases[i].acts ||
                            (cases[i].acts && decisions[r].reason != REASON_BURST))
                                fail_msg("%s: %s %s", cases[i].name, verb_name(decisions[r].verb),
                                         reason_name(decisions[r].reason));
        }
        fresh();
        policy.options.last_moment_usec = 0;
        PolicyInput in = input(T0, 60);
        in.burst_bytes_per_s = 1e12;
        expect("switched off", step(in, RUNG_ROTATE), VERB_NONE, REASON_BELOW);
}

/* What a rotation counts on: a forecast that a look may still turn over is none. */
static void test_time_left(void **state _unused_) {
        static const struct {
                const char *name;
                unsigned proof;
                double percent, bytes_per_s;
                uint64_t eta_lo_usec, left_usec;
        } cases[] = {
                {"proved", 3, 60, 0, 7 * MINUTE, 7 * MINUTE},
                {"a second, after a step", 2, 87, 0, USEC_PER_SEC, USEC_INFINITY},
                {"a burst", 0, 60, 200.0 * MIB, 7 * MINUTE, 2 * USEC_PER_SEC},
                {"a burst that has time", 0, 60, 100.0 * MIB, 7 * MINUTE, USEC_INFINITY},
                {"a burst, less than what is proved", 3, 60, 200.0 * MIB, MINUTE, 2 * USEC_PER_SEC},
                {"a burst, more than what is proved", 3, 60, 200.0 * MIB, USEC_PER_SEC, USEC_PER_SEC},
                {"past the limit", 0, 101, 200.0 * MIB, USEC_INFINITY, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PolicyInput in = input(T0, cases[i].percent);

                in.trend_known = true;
                in.proof = cases[i].proof;
                in.eta_lo_usec = cases[i].eta_lo_usec;
                in.burst_bytes_per_s = cases[i].bytes_per_s;
                fresh();
                if (policy_time_left(&policy, &in) != cases[i].left_usec)
                        fail_msg("%s: %lu", cases[i].name, (unsigned long)policy_time_left(&policy, &in));
        }
}

static void test_need_names(void **state _unused_) {
        for (PolicyNeed n = 0; n < _NEED_MAX; n++)
                assert_string_not_equal(need_name(n), "invalid");
        assert_string_equal(need_name(_NEED_MAX), "invalid");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_needs_are_the_longer_of_both),
                cmocka_unit_test(test_a_rotation_teaches),
                cmocka_unit_test(test_windows_are_read),
                cmocka_unit_test(test_windows_wait),
                cmocka_unit_test(test_windows_defer_what_is_not_urgent),
                cmocka_unit_test(test_what_does_not_last_is_done_less_often),
                cmocka_unit_test(test_regrowth_does_not_stand_before_the_last_chance),
                cmocka_unit_test(test_regrowth_can_be_set),
                cmocka_unit_test(test_little_gain_moves_the_ladder_on),
                cmocka_unit_test(test_holds),
                cmocka_unit_test(test_the_last_moment),
                cmocka_unit_test(test_need_names),
                cmocka_unit_test(test_time_left),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
