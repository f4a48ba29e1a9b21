/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/trend.h"

#include "trend/heap.h"
#include "unit/random.h"
#include "unit/unit.h"

#define MIB        (1024.0 * 1024)
#define GIB        (1024 * MIB)
#define START_USEC (1000 * USEC_PER_SEC)

static Trend trend; /* 37 KiB: not on the stack */

static Trend *fresh(void) {
        static const TrendOptions o = TREND_OPTIONS_DEFAULT;

        trend_init(&trend, &o);
        return &trend;
}

static void assert_sane(const TrendFit *f) {
        const double all[] = {f->level_bytes, f->slope_bytes_per_s, f->slope_lo_bytes_per_s, f->slope_hi_bytes_per_s,
                              f->r2_ratio,    f->residual_bytes,    f->odds_ratio,           f->confidence};

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (!isfinite(all[i]))
                        fail_msg("figure %zu of the fit is %g", i, all[i]);
        assert_true(f->r2_ratio >= 0 && f->r2_ratio <= 1);
        assert_true(f->odds_ratio >= 0 && f->odds_ratio <= 1);
        assert_true(f->residual_bytes >= 0);
        assert_true(f->slope_lo_bytes_per_s <= f->slope_bytes_per_s);
        assert_true(f->slope_bytes_per_s <= f->slope_hi_bytes_per_s);
        assert_true(f->eta_lo_usec <= f->eta_usec && f->eta_usec <= f->eta_hi_usec);
        assert_true((unsigned)f->state < _TREND_STATE_MAX);
        assert_true((unsigned)f->kind < _TREND_KIND_MAX);
        assert_true((unsigned)f->proof < _TREND_PROOF_MAX);
        assert_true(f->state != TREND_WAIT || f->proof == TREND_PROOF_NONE);
        assert_true(f->limit_bytes > 0 || f->eta_lo_usec == USEC_INFINITY);
}

static TrendReset feed(Trend *t, double seconds, double bytes, double limit, TrendFit *ret) {
        TrendSample s = {.time_usec = START_USEC + (uint64_t)(seconds * USEC_PER_SEC),
                         .bytes = (uint64_t)bytes,
                         .limit_bytes = (uint64_t)limit};
        TrendReset why = trend_push(t, &s);

        trend_fit(t, ret);
        assert_sane(ret);
        return why;
}

/* ---- laws of growth, each as it would be seen, and what must be said of it at its end ---- */

static double flat(double s, Random *r) {
        (void)s;
        return 500 * MIB + 64 * 1024 * random_normal(r);
}

static double leak(double s, Random *r) {
        return 500 * MIB + s * 100 * 1024 + 256 * 1024 * random_normal(r);
}

static double warm(double s, Random *r) {
        return 200 * MIB + 400 * MIB * (1 - exp(-s / 900)) + 256 * 1024 * random_normal(r);
}

static double garbage(double s, Random *r) {
        return 300 * MIB + 300 * MIB * fmod(s / 127, 1) + 256 * 1024 * random_normal(r);
}

static double garbage_leak(double s, Random *r) {
        return garbage(s, r) + s * 60 * 1024;
}

static double one_step(double s, Random *r) {
        return (s < 3000 ? 300 : 600) * MIB + 128 * 1024 * random_normal(r);
}

static double shrink(double s, Random *r) {
        return 900 * MIB - s * 50 * 1024 + 128 * 1024 * random_normal(r);
}

static const struct {
        const char *name;
        double (*law)(double s, Random *r);
        double limit, end_s;
        TrendKind kinds[2];
        TrendState state;
        bool is_leak;
} laws[] = {
        {"flat", flat, GIB, 7200, {TREND_KIND_FLAT, TREND_KIND_NOISE}, TREND_FLAT, false},
        {"leak", leak, GIB, 4800, {TREND_KIND_LEAK, TREND_KIND_LEAK}, TREND_GROWING, true},
        {"warm-up", warm, GIB, 7200, {TREND_KIND_PLATEAU, TREND_KIND_WARMUP}, TREND_FLAT, false},
        {"collector", garbage, GIB, 7200, {TREND_KIND_SAWTOOTH, TREND_KIND_NOISE}, TREND_FLAT, false},
        {"leak under a collector", garbage_leak, GIB, 6000, {TREND_KIND_LEAK, TREND_KIND_LEAK}, TREND_GROWING, true},
        {"step", one_step, GIB, 7200, {TREND_KIND_STEP, TREND_KIND_PLATEAU}, TREND_FLAT, false},
        {"shrinking", shrink, GIB, 7200, {_TREND_KIND_MAX, _TREND_KIND_MAX}, TREND_SHRINKING, false},
};

static void test_laws_are_told_apart(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(laws); i++) {
                Trend *t = fresh();
                Random r = {i + 1};
                bool alarmed = false;
                TrendFit f;

                for (double s = 0; s < laws[i].end_s; s += 5) {
                        feed(t, s, laws[i].law(s, &r), laws[i].limit, &f);
                        alarmed |= f.proof >= TREND_PROOF_RECLAIM;
                }
                if (alarmed != laws[i].is_leak)
                        fail_msg("%s: alarmed %d", laws[i].name, alarmed);
                if (laws[i].kinds[0] != _TREND_KIND_MAX && f.kind != laws[i].kinds[0] && f.kind != laws[i].kinds[1])
                        fail_msg("%s: is called %s", laws[i].name, trend_kind_name(f.kind));
                if (laws[i].state == TREND_SHRINKING || laws[i].is_leak)
                        assert_int_equal(f.state, laws[i].state);
        }
}

static void test_a_leak_is_timed(void **state _unused_) {
        Trend *t = fresh();
        Random r = {7};
        TrendFit f;

        for (double s = 0; s <= 4000; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        /* 524 MiB to go at 100 KiB/s from 500 MiB: 5365 s in all */
        assert_true(fabs(f.slope_bytes_per_s - 102400) < 1024);
        assert_true(fabs((double)f.eta_usec / USEC_PER_SEC - 1365) < 100);
        assert_true(f.eta_lo_usec < 1365 * USEC_PER_SEC && f.eta_hi_usec > 1365 * USEC_PER_SEC);
        assert_int_equal(f.proof, TREND_PROOF_ROTATE);
        assert_true(f.odds_ratio > 0.9);
}

/* ---- the first minutes of a life, in which whole lives of what the odds were learned from were not over ---- */

static double fills_up(double s) { /* a cache, half of what is left each 12 s */
        return 25 * MIB + 60 * MIB * (1 - exp2(-s / 12));
}

static double collected(double s) { /* is loaded, and from then on makes garbage that comes back each 20 s */
        return s < 20 ? 26 * MIB + s * MIB : 42 * MIB + 4 * MIB * fmax(fmod(s, 20) - 6, 0) / 14;
}

static double grows(double s) {
        return 25 * MIB + 0.6 * MIB * s;
}

static double grows_collected(double s) { /* the garbage of a cycle is as much as the floor gains in it */
        return 30 * MIB + 0.5 * MIB * s + 6 * MIB * fmod(s / 12, 1);
}

static void test_a_first_minute_proves_no_end(void **state _unused_) {
        static const struct {
                const char *name;
                double (*law)(double s);
                double limit, proven_by_s; /* 0 = never */
        } rows[] = {
                {"fills up", fills_up, 115 * MIB, 0},
                {"collected", collected, 54 * MIB, 0},
                {"grows", grows, 100 * MIB, 90},
                {"grows, collected", grows_collected, 100 * MIB, 100},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Trend *t = fresh();
                double proven_s = 0;
                TrendFit f;

                for (double s = 0; s < 200 && proven_s == 0 && rows[i].law(s) < rows[i].limit; s += 0.5) {
                        feed(t, s, floor(rows[i].law(s) / 4096) * 4096, rows[i].limit, &f);
                        if (f.proof >= (rows[i].proven_by_s > 0 ? TREND_PROOF_ROTATE : TREND_PROOF_ALERT))
                                proven_s = s;
                }
                if (rows[i].proven_by_s > 0 ? proven_s == 0 || proven_s > rows[i].proven_by_s : proven_s > 0)
                        fail_msg("%s: proven at %.1f s, at %s", rows[i].name, proven_s, trend_proof_name(f.proof));
                print_message("# %s: proven at %.1f s\n", rows[i].name, proven_s);
        }
}

/* Something is loaded within three looks: while it is in the windows lines lead past the limit within seconds. */
static void test_a_jump_proves_nothing(void **state _unused_) {
        static const double jump[] = {179e6, 340e6, 364e6};
        Trend *t = fresh();
        TrendFit f;

        for (unsigned i = 0; i < 600; i++) {
                feed(t, 0.21 * i, i < 250 ? 27e6 : jump[min_of(i - 250, 2u)], 419e6, &f);
                if (f.proof == TREND_PROOF_ROTATE)
                        fail_msg("proven %u looks after the jump", i - 250);
        }
}

static void test_been_there(void **state _unused_) {
        TrendCycles c = {};

        assert_false(cycles_been_there(&c, 3, 10, 1, 100)); /* nothing was */
        cycles_push(&c, 0, 10);
        cycles_push(&c, 1, 50);
        cycles_push(&c, 2, 30);
        assert_true(cycles_been_there(&c, 3, 40, 10, 100));
        assert_true(cycles_been_there(&c, 3, 51, 10, 100)); /* hardly higher */
        assert_false(cycles_been_there(&c, 3, 53, 10, 100)); /* higher than ever */
        assert_false(cycles_been_there(&c, 3, 40, 20, 100)); /* what came down was no more */
        assert_false(cycles_been_there(&c, 3, 40, 10, 69)); /* less room above than it came down */
        assert_true(cycles_been_there(&c, 3, 40, 10, 70));
        assert_false(cycles_been_there(&c, 3.1, 40, 10, 100)); /* so long ago */
        cycles_lower(&c, 20);
        assert_true(cycles_been_there(&c, 3, 31, 10, 100));
        assert_false(cycles_been_there(&c, 3, 40, 10, 100));
        cycles_push(&c, 2.5, 28);
        assert_true(cycles_been_there(&c, 7, 28, 10, 100)); /* met again */
        cycles_push(&c, 3, 33);
        assert_false(cycles_been_there(&c, 3, 33, 1, 100)); /* the new high, from which nothing came down yet */
}

static void test_wait(void **state _unused_) {
        Trend *t = fresh();
        TrendFit f;

        trend_fit(t, &f);
        assert_sane(&f);
        assert_int_equal(f.state, TREND_WAIT);
        assert_int_equal(feed(t, 0, MIB, GIB, &f), TREND_RESET_START);
        for (double s = 5; s < 30; s += 5)
                feed(t, s, MIB, GIB, &f);
        assert_int_equal(f.kind, TREND_KIND_WAIT);
        assert_int_equal(f.n, 6);
        for (double s = 30; s < 60; s += 5)
                feed(t, s, MIB, GIB, &f);
        assert_int_equal(f.state, TREND_FLAT);
        assert_int_equal(f.kind, TREND_KIND_FLAT);
}

/* A watch tells of a start before it has a sample: that sets no clock. */
static void test_a_reset_before_the_first_sample(void **state _unused_) {
        Trend *t = fresh();
        Random r = {3};
        TrendFit f;

        trend_reset(t, 5, TREND_RESET_RESTART);
        assert_int_equal(feed(t, 0, leak(0, &r), GIB, &f), TREND_RESET_NONE);
        for (double s = 5; s <= 100; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        assert_int_equal(f.state, TREND_GROWING);
        assert_int_equal(f.n, 21);
}

static void test_no_limit_no_proof(void **state _unused_) {
        Trend *t = fresh();
        Random r = {3};
        TrendFit f;

        for (double s = 0; s <= 4800; s += 5)
                feed(t, s, leak(s, &r), 0, &f);
        assert_int_equal(f.state, TREND_GROWING);
        assert_int_equal(f.proof, TREND_PROOF_NONE);
        assert_true(f.eta_usec == USEC_INFINITY && f.eta_lo_usec == USEC_INFINITY && f.eta_hi_usec == USEC_INFINITY);
        assert_true(fabs(f.slope_bytes_per_s - 102400) < 1024);
}

static void test_at_the_limit(void **state _unused_) {
        Trend *t = fresh();
        TrendFit f;

        feed(t, 0, GIB, GIB, &f);
        assert_true(f.eta_usec == 0 && f.eta_hi_usec == 0);
}

/* ---- events ---- */

static void test_a_restart_is_a_new_life(void **state _unused_) {
        Trend *t = fresh();
        Random r = {5};
        TrendFit f;

        for (double s = 0; s <= 4800; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        assert_true(f.proof >= TREND_PROOF_RECLAIM);
        trend_reset(t, START_USEC + 4803 * USEC_PER_SEC, TREND_RESET_RESTART);
        trend_fit(t, &f);
        assert_sane(&f);
        assert_int_equal(f.proof, TREND_PROOF_NONE);
        assert_int_equal(f.n, 0);
        feed(t, 4805, 500 * MIB, GIB, &f);
        assert_int_equal(f.state, TREND_WAIT);
        assert_int_equal(f.n, 1);
}

static void test_a_new_life_is_noticed(void **state _unused_) {
        Trend *t = fresh();
        Random r = {5};
        TrendFit f;

        for (double s = 0; s <= 600; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        assert_int_equal(feed(t, 605, 100 * MIB, GIB, &f), TREND_RESET_STEP);
        assert_int_equal(f.n, 1);
        assert_int_equal(feed(t, 610, 100 * MIB, GIB, &f), TREND_RESET_NONE);
        assert_int_equal(feed(t, 615, 300 * MIB, GIB, &f), TREND_RESET_STEP); /* that was the program being loaded */
        assert_int_equal(f.n, 1);
}

/* A trim takes 200 MiB away: the growth before it counts on, and nothing is proven against the room it made. */
static void test_a_reclaim_lowers_the_past(void **state _unused_) {
        Trend *t = fresh();
        Random r = {9};
        TrendFit before, f;

        for (double s = 0; s <= 4000; s += 5)
                feed(t, s, leak(s, &r), GIB, &before);
        trend_reclaimed(t, START_USEC + 4002 * USEC_PER_SEC, (uint64_t)(200 * MIB));
        trend_fit(t, &f);
        assert_sane(&f);
        assert_int_equal(f.proof, TREND_PROOF_NONE);
        assert_true(fabs(before.slope_bytes_per_s - f.slope_bytes_per_s) < 2048);
        for (double s = 4005; s <= 4100; s += 5)
                assert_int_equal(feed(t, s, leak(s, &r) - 200 * MIB, GIB, &f), TREND_RESET_NONE);
        assert_true(fabs(f.slope_bytes_per_s - 102400) < 2048);
        assert_true(fabs((double)f.eta_usec / USEC_PER_SEC - (1265 + 2048)) < 200);
        assert_true(f.span_usec > 1000 * USEC_PER_SEC);
}

static void test_a_new_limit_keeps_the_past(void **state _unused_) {
        Trend *t = fresh();
        Random r = {9};
        TrendFit f;

        for (double s = 0; s <= 4000; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        assert_int_equal(f.proof, TREND_PROOF_ROTATE);
        assert_int_equal(feed(t, 4005, leak(4005, &r), 2 * GIB, &f), TREND_RESET_LIMIT);
        assert_int_equal(f.limit_bytes, (uint64_t)(2 * GIB));
        assert_true(f.proof < TREND_PROOF_ROTATE);
        assert_true(fabs((double)f.eta_usec / USEC_PER_SEC - (1360 + 10486)) < 1500);
}

static void test_clocks(void **state _unused_) {
        Trend *t = fresh();
        Random r = {9};
        TrendFit f;

        for (double s = 0; s <= 1200; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        assert_int_equal(feed(t, 1200, 0, GIB, &f), TREND_RESET_NONE); /* the same time again: dropped */
        assert_int_equal(feed(t, 700, 0, GIB, &f), TREND_RESET_NONE);  /* a late sample */
        assert_int_equal(f.n, 241);
        assert_int_equal(feed(t, 100, 500 * MIB, GIB, &f), TREND_RESET_CLOCK); /* another clock */
        assert_int_equal(f.n, 1);
}

/* Eight hours of sleep in the middle of a leak: as if they had not been. */
static void test_sleep_is_left_out(void **state _unused_) {
        Trend *t = fresh();
        Random r = {11};
        TrendFit f;

        for (double s = 0; s <= 2000; s += 5)
                feed(t, s, leak(s, &r), GIB, &f);
        trend_slept(t, START_USEC + 30805 * USEC_PER_SEC, 28800 * USEC_PER_SEC);
        for (double s = 2005; s <= 4000; s += 5)
                feed(t, s + 28800, leak(s, &r), GIB, &f);
        assert_true(fabs(f.slope_bytes_per_s - 102400) < 1024);
        assert_true(fabs((double)f.eta_usec / USEC_PER_SEC - 1365) < 100);
}

/* ---- the second channel ---- */

static TrendFit with_channels(double heap_ratio, double anon_ratio) {
        Trend *t = fresh();
        Random r = {13};
        TrendFit f = {};

        for (double s = 0; s <= 4500; s += 5) {
                double bytes = leak(s, &r), grown = s * 100 * 1024;
                TrendSample in = {.time_usec = START_USEC + (uint64_t)(s * USEC_PER_SEC),
                                  .bytes = (uint64_t)bytes,
                                  .limit_bytes = (uint64_t)GIB,
                                  .heap_known = heap_ratio >= 0 && (int)s % 300 == 0,
                                  .heap_bytes = (uint64_t)(400 * MIB + heap_ratio * grown),
                                  .anon_known = anon_ratio >= 0,
                                  .anon_bytes = (uint64_t)(400 * MIB + anon_ratio * grown)};

                trend_push(t, &in);
                trend_fit(t, &f);
                assert_sane(&f);
        }
        return f;
}

static void test_heap_tells_leak_from_fragmentation(void **state _unused_) {
        TrendFit alone = with_channels(-1, -1), in_use = with_channels(1, -1), kept = with_channels(0.05, -1);

        assert_int_equal(alone.kind, TREND_KIND_LEAK);
        assert_int_equal(in_use.kind, TREND_KIND_LEAK);
        assert_true(in_use.odds_ratio > alone.odds_ratio);
        assert_int_equal(kept.kind, TREND_KIND_FRAG);
        assert_true(kept.odds_ratio < alone.odds_ratio);
        assert_true(kept.proof >= TREND_PROOF_ALERT); /* it meets the limit all the same */
}

static void test_files_are_no_leak(void **state _unused_) {
        TrendFit alone = with_channels(-1, -1), anon = with_channels(-1, 1), files = with_channels(-1, 0);

        assert_true(anon.odds_ratio >= alone.odds_ratio);
        assert_true(files.odds_ratio < alone.odds_ratio);
}

static void test_heap_looks(void **state _unused_) {
        TrendHeap h = {};

        assert_int_equal(heap_says(&h, 0, 100), HEAP_SILENT);
        for (int i = 0; i <= 100; i++)
                heap_push(&h, i * 10, 100 + i, 1000 + i);
        assert_true(h.n <= HEAP_LOOKS);
        assert_true(h.look[0].time_s == 0 && h.look[h.n - 1].time_s == 1000); /* the ends stay */
        assert_int_equal(heap_says(&h, 0, 1000), HEAP_IN_USE);
        assert_int_equal(heap_says(&h, 0, 5000), HEAP_SILENT); /* too old */
        assert_int_equal(heap_says(&h, 999, 1000), HEAP_SILENT); /* no pair */
        heap_clear(&h);
        for (int i = 0; i <= 5; i++)
                heap_push(&h, i * 10, 100, 1000 + 100 * i);
        assert_int_equal(heap_says(&h, 0, 50), HEAP_KEPT);
}

static void test_names(void **state _unused_) {
        for (TrendKind k = 0; k < _TREND_KIND_MAX; k++)
                assert_string_not_equal(trend_kind_name(k), "invalid");
        for (TrendProof p = 0; p < _TREND_PROOF_MAX; p++)
                assert_string_not_equal(trend_proof_name(p), "invalid");
        for (TrendReset r = 0; r < _TREND_RESET_MAX; r++)
                assert_string_not_equal(trend_reset_name(r), "invalid");
        assert_string_equal(trend_kind_name(_TREND_KIND_MAX), "invalid");
        assert_string_equal(trend_state_name(TREND_GROWING), "growing");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_laws_are_told_apart),
                cmocka_unit_test(test_a_leak_is_timed),
                cmocka_unit_test(test_a_first_minute_proves_no_end),
                cmocka_unit_test(test_a_jump_proves_nothing),
                cmocka_unit_test(test_been_there),
                cmocka_unit_test(test_wait),
                cmocka_unit_test(test_a_reset_before_the_first_sample),
                cmocka_unit_test(test_no_limit_no_proof),
                cmocka_unit_test(test_at_the_limit),
                cmocka_unit_test(test_a_restart_is_a_new_life),
                cmocka_unit_test(test_a_new_life_is_noticed),
                cmocka_unit_test(test_a_reclaim_lowers_the_past),
                cmocka_unit_test(test_a_new_limit_keeps_the_past),
                cmocka_unit_test(test_clocks),
                cmocka_unit_test(test_sleep_is_left_out),
                cmocka_unit_test(test_heap_tells_leak_from_fragmentation),
                cmocka_unit_test(test_files_are_no_leak),
                cmocka_unit_test(test_heap_looks),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
