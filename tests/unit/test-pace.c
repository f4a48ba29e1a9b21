/* SPDX-License-Identifier: Apache-2.0
 *
 * How soon the next look comes, on a simulated clock.
 */
#include "sample/pace.h"
#include "unit/unit.h"

#define MB 1000000.0
#define GB 1e9

typedef double (*LawFn)(double t_s);

typedef struct Run {
        unsigned looks, looks_in_growth;
        double first_s, shortest_s, longest_s, last_room_bytes; /* first_s: of the first look that sees growth */
        double burst_s;                                         /* when pace_burst() first said that 2 s are left */
} Run;

static const PaceOptions defaults = PACE_OPTIONS_DEFAULT;

static Run run(const PaceOptions *o, LawFn law, double limit, double from_s, double until_s, bool warned,
               uint64_t cost_usec) {
        Run r = {.shortest_s = INFINITY, .first_s = NAN, .burst_s = NAN, .last_room_bytes = limit};
        Pace p = {};

        for (double t = 0; t < until_s;) {
                double bytes = law(t), wait;
                PaceInput in = {.now_usec = (uint64_t)(t * USEC_PER_SEC) + 1,
                                .age_usec = USEC_PER_HOUR,
                                .usage_bytes = (uint64_t)bytes,
                                .limit_bytes = (uint64_t)limit,
                                .eta_lo_usec = USEC_INFINITY,
                                .cost_usec = cost_usec,
                                .warned = warned};

                if (limit > 0 && bytes >= limit)
                        break;
                wait = (double)pace_next(&p, o, &in) / USEC_PER_SEC;
                r.looks++;
                if (t > from_s) {
                        double room = limit - bytes, burst = pace_burst(&p);

                        r.looks_in_growth++;
                        r.first_s = isnan(r.first_s) ? t - from_s : r.first_s;
                        r.last_room_bytes = room;
                        if (isnan(r.burst_s) && burst > 0 && room <= 2 * burst)
                                r.burst_s = t;
                }
                if (t > from_s / 2) {
                        r.shortest_s = fmin(r.shortest_s, wait);
                        r.longest_s = fmax(r.longest_s, wait);
                }
                t += wait;
        }
        return r;
}

static double flat(double t _unused_) {
        return 1 * GB;
}

static double burst_500(double t) { /* from 1 GB at 600 s: 7 s to 4.5 GB */
        return 1 * GB + (t > 600 ? (t - 600) * 500 * MB : 0);
}

static double leak_20_min(double t) {
        return 1 * GB + (t > 600 ? (t - 600) * 3.5 * GB / 1200 : 0);
}

static double leak_a_day(double t) {
        return 1 * GB + t * 3.5 * GB / 86400;
}

static void test_rarely_while_nothing_moves(void **state _unused_) {
        PaceOptions o = defaults;
        Run r = run(&o, flat, 4.5 * GB, 0, 3600, true, 100);

        assert_true(r.longest_s == 30 && r.looks < 140); /* the kernel warns: it need not be met by looking */
        r = run(&o, flat, 4.5 * GB, 0, 3600, false, 100);
        assert_true(fabs(r.longest_s - 3.5 / 0.5 / 4) < 0.001);
        o.burst_bytes_per_s = 0;
        r = run(&o, flat, 4.5 * GB, 0, 3600, false, 100);
        assert_true(r.longest_s == 30);
        r = run(&o, flat, 0, 0, 3600, false, 100); /* no limit: nothing to be met */
        assert_true(r.longest_s == 30);
}

/* 500 MB/s toward 4.5 GB, after ten minutes of nothing. */
static void test_a_burst_is_met(void **state _unused_) {
        Run r = run(&defaults, burst_500, 4.5 * GB, 600, 700, false, 100);

        print_message("# burst: first look after %.2f s, %u looks, 2 s before told at %.2f s of 7, room at the last "
                      "%.0f MB\n",
                      r.first_s, r.looks_in_growth, r.burst_s - 600, r.last_room_bytes / MB);
        assert_true(r.first_s <= 1.76 && r.looks_in_growth >= 10 && r.shortest_s == 0.2);
        assert_true(r.burst_s - 600 <= 5.3); /* 1.7 s before the kill at the least */
        assert_true(r.last_room_bytes <= 0.2 * 500 * MB);
}

static void test_a_leak_is_followed(void **state _unused_) {
        PaceOptions o = defaults;
        Run r;

        o.burst_bytes_per_s = 0;
        r = run(&o, leak_20_min, 4.5 * GB, 600, 3600, false, 100);
        assert_true(r.looks_in_growth >= 60 && r.looks_in_growth <= 200);
        assert_true(r.last_room_bytes <= 0.01 * GB);
        r = run(&o, leak_a_day, 4.5 * GB, 0, 90000, false, 100);
        assert_true(r.looks <= 86400 / 30 + 200);
        assert_true(r.last_room_bytes <= 0.01 * GB);
}

static void test_the_forecast_shortens_it(void **state _unused_) {
        Pace p = {};
        PaceInput in = {.age_usec = USEC_PER_HOUR, .usage_bytes = 1000, .eta_lo_usec = USEC_PER_MINUTE};

        for (unsigned i = 1; i < 20; i++) {
                in.now_usec = i * USEC_PER_SEC;
                pace_next(&p, &defaults, &in);
        }
        in.now_usec++;
        assert_int_equal(pace_next(&p, &defaults, &in), USEC_PER_MINUTE / 50);
        in.eta_lo_usec = 0; /* it is there: never more often than allowed */
        in.now_usec++;
        assert_int_equal(pace_next(&p, &defaults, &in), defaults.min_usec);
}

static void test_the_young_are_looked_at(void **state _unused_) {
        Pace p = {.interval_usec = USEC_PER_MINUTE};
        PaceInput in = {.now_usec = 1, .age_usec = 4 * USEC_PER_MINUTE, .eta_lo_usec = USEC_INFINITY};

        assert_int_equal(pace_next(&p, &defaults, &in), 5 * USEC_PER_SEC);
        in.age_usec = 5 * USEC_PER_MINUTE;
        assert_int_equal(pace_next(&p, &defaults, &in), 7500 * USEC_PER_MSEC); /* and then rarer, little by little */
}

static void test_an_alarm(void **state _unused_) {
        Pace p = {.interval_usec = 30 * USEC_PER_SEC};
        PaceInput in = {.now_usec = 100 * USEC_PER_SEC, .age_usec = USEC_PER_HOUR, .eta_lo_usec = USEC_INFINITY};

        in.alarmed = true;
        assert_int_equal(pace_next(&p, &defaults, &in), defaults.min_usec);
        in.alarmed = false;
        in.now_usec += 9 * USEC_PER_SEC;
        assert_int_equal(pace_next(&p, &defaults, &in), defaults.min_usec);
        in.now_usec += USEC_PER_SEC;
        assert_int_equal(pace_next(&p, &defaults, &in), 300 * USEC_PER_MSEC);
}

static void test_the_budget_is_above_all(void **state _unused_) {
        PaceOptions o = defaults;
        Run r = run(&o, burst_500, 4.5 * GB, 600, 700, false, 2000); /* 2 ms a look at 0.2 %: one a second */

        assert_true(r.shortest_s > 0.99 && r.shortest_s < 1.01);
        o.budget_ratio = 0;
        r = run(&o, burst_500, 4.5 * GB, 600, 700, false, 2000);
        assert_true(r.shortest_s == 0.2);
        r = run(&defaults, flat, 4.5 * GB, 0, 3600, false, USEC_PER_SEC); /* but never rarer than the longest */
        assert_true(r.longest_s == 30);
}

static void test_a_fixed_interval(void **state _unused_) {
        PaceOptions o = defaults;
        Run r;

        o.fixed_usec = 3 * USEC_PER_SEC;
        r = run(&o, burst_500, 4.5 * GB, 600, 700, false, 100000);
        assert_true(r.shortest_s == 3 && r.longest_s == 3);
}

static void test_a_step_is_no_burst(void **state _unused_) {
        Pace p = {.last_bytes = 1,
                  .rate_bytes_per_s = {500 * MB, 300 * MB, 0}}; /* one jump, and a look in the middle */

        assert_true(pace_burst(&p) == 0);
        p.rate_bytes_per_s[2] = 100 * MB;
        assert_true(pace_burst(&p) == 100 * MB);
        p.rate_bytes_per_s[0] = 0;
        assert_true(pace_burst(&p) == 0);
}

/* A job that takes 400 MB within a second, lets go of them, and comes back: no news the second time, until it goes
 * beyond where it was. */
static void test_where_it_has_been_is_no_burst(void **state _unused_) {
        static const double level[] = {100, 200, 300, 400, 500, 500, 90, 100, 200, 300, 400, 500, 520, 540, 640};
        Pace p = {};
        PaceInput in = {.age_usec = USEC_PER_HOUR, .limit_bytes = (uint64_t)(800 * MB), .eta_lo_usec = USEC_INFINITY};

        for (unsigned i = 0; i < ELEMENTSOF(level); i++) {
                bool news = (i >= 3 && i < 5) || level[i] > 525;

                in.now_usec += 200 * USEC_PER_MSEC;
                in.usage_bytes = (uint64_t)(level[i] * MB);
                pace_next(&p, &defaults, &in);
                if ((pace_burst(&p) > 0) != news)
                        fail_msg("look %u, at %g MB: %g", i, level[i], pace_burst(&p));
        }
}

static void test_odd_clocks_and_figures(void **state _unused_) {
        Pace p = {};
        PaceInput in = {.now_usec = UINT64_MAX, .usage_bytes = UINT64_MAX, .limit_bytes = 1, .cost_usec = UINT64_MAX};

        for (unsigned i = 0; i < 100; i++) {
                uint64_t next = pace_next(&p, &defaults, &in);

                assert_in_range(next, defaults.min_usec, defaults.max_usec);
                in.now_usec = i % 3 ? in.now_usec / 2 : UINT64_MAX - i;
                in.usage_bytes = i % 2 ? 0 : UINT64_MAX;
                in.limit_bytes = i % 5 ? UINT64_MAX : 0;
                in.alarmed = i % 7 == 0;
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rarely_while_nothing_moves),
                cmocka_unit_test(test_a_burst_is_met),
                cmocka_unit_test(test_a_leak_is_followed),
                cmocka_unit_test(test_the_forecast_shortens_it),
                cmocka_unit_test(test_the_young_are_looked_at),
                cmocka_unit_test(test_an_alarm),
                cmocka_unit_test(test_the_budget_is_above_all),
                cmocka_unit_test(test_a_fixed_interval),
                cmocka_unit_test(test_a_step_is_no_burst),
                cmocka_unit_test(test_odd_clocks_and_figures),
                cmocka_unit_test(test_where_it_has_been_is_no_burst),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
