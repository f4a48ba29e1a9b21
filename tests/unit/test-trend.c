/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/trend.h"

#include "trend/window.h"
#include "unit/random.h"
#include "unit/unit.h"

#define MIB        (1024.0 * 1024)
#define GIB        (1024 * MIB)
#define START_USEC (1000 * USEC_PER_SEC)

static Trend trend; /* 12 KiB: not on the stack */

static Trend *fresh(uint64_t window_usec) {
        TrendOptions o = TREND_OPTIONS_DEFAULT;

        if (window_usec > 0)
                o.window_usec = window_usec;
        trend_init(&trend, &o);
        return &trend;
}

/* Every figure of a fit keeps its promise, whatever went in. */
static void assert_sane(const TrendFit *f) {
        const double all[] = {f->level_bytes,          f->slope_bytes_per_s, f->slope_lo_bytes_per_s,
                              f->slope_hi_bytes_per_s, f->r2_ratio,          f->residual_bytes};

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                assert_true(isfinite(all[i]));
        assert_true(f->r2_ratio >= 0 && f->r2_ratio <= 1);
        assert_true(f->residual_bytes >= 0);
        assert_true(f->slope_lo_bytes_per_s <= f->slope_bytes_per_s);
        assert_true(f->slope_bytes_per_s <= f->slope_hi_bytes_per_s);
        assert_true(f->eta_lo_usec <= f->eta_usec && f->eta_usec <= f->eta_hi_usec);
        assert_true((unsigned)f->state < _TREND_STATE_MAX);
}

/* One push, one fit; returns the reset. */
static TrendReset feed(Trend *t, uint64_t usec, double bytes, uint64_t limit, TrendFit *ret) {
        TrendReset why = trend_push(t, usec, (uint64_t)bytes, limit);

        trend_fit(t, ret);
        assert_sane(ret);
        return why;
}

/* The line through what the window holds, anew and in long double. */
static void reference(const Trend *t, long double *ret_slope, long double *ret_mean, long double *ret_sxx) {
        TrendPoint open, all[TREND_RING + 1];
        long double w = 0, x = 0, y = 0, sxx = 0, sxy = 0;
        unsigned n = t->n;

        for (unsigned i = 0; i < n; i++)
                all[i] = *window_at(t, i);
        if (window_open_point(t, &open))
                all[n++] = open;
        for (unsigned i = 0; i < n; i++) {
                w += all[i].weight;
                x += (long double)all[i].weight * (long double)(all[i].time_usec - all[0].time_usec);
                y += (long double)all[i].weight * all[i].bytes;
        }
        for (unsigned i = 0; i < n; i++) {
                long double dx = ((long double)(all[i].time_usec - all[0].time_usec) - x / w) / USEC_PER_SEC;

                sxx += all[i].weight * dx * dx;
                sxy += all[i].weight * dx * (all[i].bytes - y / w);
        }
        *ret_slope = sxx > 0 ? sxy / sxx : 0;
        *ret_mean = y / w;
        *ret_sxx = sxx;
}

static void assert_near(const char *name, double got, double want, double tolerance) {
        if (!(fabs(got - want) <= tolerance))
                fail_msg("%s: %.17g, wanted %.17g +- %g", name, got, want, tolerance);
}

static void test_a_line_is_found_exactly(void **state _unused_) {
        static const struct {
                const char *name;
                uint64_t step_usec, window_usec;
                double base, slope;
        } cases[] = {
                {"5 s", 5 * USEC_PER_SEC, 0, 500 * MIB, 65536},
                {"1 s: two samples a point", USEC_PER_SEC, 0, 500 * MIB, 65536},
                {"100 ms: a dozen samples a point", 100 * USEC_PER_MSEC, 0, 500 * MIB, 65536},
                {"30 s in 6 h", 30 * USEC_PER_SEC, 6 * USEC_PER_HOUR, 500 * MIB, 65536},
                {"5 s in 7 d: thousands a point", 5 * USEC_PER_SEC, 7 * USEC_PER_DAY, 500 * MIB, 65536},
                {"2 GiB/s", USEC_PER_SEC, 0, GIB, 2 * GIB},
                {"1 B/s on 2^62", 5 * USEC_PER_SEC, 0, 4611686018427387904.0, 0},
                {"falling", 5 * USEC_PER_SEC, 0, 60 * GIB, -65536},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Trend *t = fresh(cases[i].window_usec);
                uint64_t window = t->options.window_usec, at = 0;
                TrendFit f;

                for (; at <= 2 * window; at += cases[i].step_usec)
                        trend_push(t, START_USEC + at, (uint64_t)(cases[i].base + cases[i].slope * (double)at / 1e6),
                                   0);
                trend_fit(t, &f);
                assert_sane(&f);
                assert_near(cases[i].name, f.slope_bytes_per_s, cases[i].slope, fabs(cases[i].slope) * 1e-9 + 1e-6);
                assert_near(cases[i].name, f.level_bytes, (double)trend.last_bytes, fabs(f.level_bytes) * 1e-9 + 1);
                assert_true(f.span_usec >= window - 2 * t->bucket_width_usec - cases[i].step_usec);
                assert_true(f.span_usec <= window);
                assert_int_equal(t->last_reset, TREND_RESET_START);
        }
}

/* Sliding sums against a fresh fit in long double: random steps, gaps, bursts of samples, wandering levels. */
static void test_sliding_sums_do_not_drift(void **state _unused_) {
        for (uint64_t seed = 1; seed <= 40; seed++) {
                Random r = {seed};
                Trend *t = fresh((seed % 5 + 1) * 2 * USEC_PER_MINUTE);
                double level = random_unit(&r) * 64 * GIB, noise = random_unit(&r) * 0.02;
                uint64_t at = random_bits(&r) >> 8; /* up to two thousand years */

                for (int i = 0; i < 4000; i++) {
                        double step = seed % 3 ? 0.2 + 8 * random_unit(&r) : 2;
                        long double slope, mean, sxx;
                        TrendFit f;

                        if (random_unit(&r) < 0.01)
                                step += 60 * random_unit(&r);
                        at += (uint64_t)(step * USEC_PER_SEC);
                        level = fmax(level * (1 + noise * 0.1 * random_normal(&r)), MIB);
                        feed(t, at, level * (1 + noise * fabs(random_normal(&r))), 0, &f);
                        if (f.state == TREND_WAIT || i % 7)
                                continue;
                        reference(t, &slope, &mean, &sxx);
                        /* as far as levels and spread of this size can be told apart in a double */
                        assert_near("slope", f.slope_bytes_per_s, (double)slope,
                                    level * 1e-9 / (double)f.span_usec * 1e6);
                }
        }
}

static void test_drift_is_bounded_after_huge_values(void **state _unused_) {
        Trend *t = fresh(0);
        TrendFit f;

        for (unsigned i = 0; i < 4; i++)
                feed(t, START_USEC + i * 5 * USEC_PER_SEC, 9.2e18, 0, &f);
        for (unsigned i = 4; i < 400; i++)
                feed(t, START_USEC + i * 5 * USEC_PER_SEC, MIB + 1000.0 * i, 0, &f);
        assert_near("slope", f.slope_bytes_per_s, 200, 1e-6); /* the few huge ones have slid out and left nothing */
}

static void test_sums_are_built_afresh_now_and_then(void **state _unused_) {
        Trend *t = fresh(0);
        uint64_t origin = 0, moved = 0;

        for (unsigned i = 0; i < 3000; i++) {
                trend_push(t, START_USEC + i * 5 * USEC_PER_SEC, (uint64_t)(MIB + 100000.0 * i), 0);
                moved += t->origin_usec != origin;
                origin = t->origin_usec;
                assert_true(t->since_refit < TREND_RING);
        }
        assert_in_range(moved, 5, 8); /* once at the start, then every 512 removals */
}

static void test_resets(void **state _unused_) {
        static const struct {
                const char *name;
                TrendReset want;
                int64_t step_usec; /* of the sample after 60 good ones, 5 s apart, limit 4 GiB */
                uint64_t limit;
                unsigned n; /* samples that are left */
        } cases[] = {
                {"in order", TREND_RESET_NONE, 5 * USEC_PER_SEC, 4096, 61},
                {"limit raised", TREND_RESET_LIMIT, 5 * USEC_PER_SEC, 8192, 1},
                {"limit gone", TREND_RESET_LIMIT, 5 * USEC_PER_SEC, 0, 1},
                {"same instant again: dropped", TREND_RESET_NONE, 0, 4096, 60},
                {"a little back: dropped", TREND_RESET_NONE, -3 * (int64_t)USEC_PER_SEC, 4096, 60},
                {"back beyond the window", TREND_RESET_CLOCK, -11 * (int64_t)USEC_PER_MINUTE, 4096, 1},
                {"forth beyond the window", TREND_RESET_CLOCK, 11 * USEC_PER_MINUTE, 4096, 1},
                {"a gap within the window", TREND_RESET_NONE, 4 * USEC_PER_MINUTE, 4096, 61},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Trend *t = fresh(0);
                uint64_t at = USEC_PER_DAY;
                TrendFit f;

                for (unsigned k = 0; k < 60; k++, at += 5 * USEC_PER_SEC)
                        feed(t, at, 500 * MIB, (uint64_t)(4 * GIB), &f);
                assert_int_equal(t->last_reset, TREND_RESET_START);
                at = (uint64_t)((int64_t)(at - 5 * USEC_PER_SEC) + cases[i].step_usec);
                if (feed(t, at, 500 * MIB, cases[i].limit * 1024 * 1024, &f) != cases[i].want || f.n != cases[i].n)
                        fail_msg("%s: n %u, last reset %s", cases[i].name, f.n, trend_reset_name(t->last_reset));
                if (cases[i].want != TREND_RESET_NONE)
                        assert_int_equal(t->last_reset_usec, at);
        }
}

static void test_resets_from_outside(void **state _unused_) {
        static const TrendReset why[] = {TREND_RESET_RESTART, TREND_RESET_RECLAIM};

        for (size_t i = 0; i < ELEMENTSOF(why); i++) {
                Trend *t = fresh(0);
                TrendFit f;

                for (unsigned k = 0; k < 60; k++)
                        feed(t, START_USEC + k * 5 * USEC_PER_SEC, 500 * MIB, 0, &f);
                trend_reset(t, START_USEC + 301 * USEC_PER_SEC, why[i]);
                trend_fit(t, &f);
                assert_int_equal(f.state, TREND_WAIT);
                assert_int_equal(f.n, 0);
                assert_int_equal(t->last_reset, why[i]);
                assert_int_equal(feed(t, START_USEC + 305 * USEC_PER_SEC, 100 * MIB, 0, &f), TREND_RESET_NONE);
                assert_int_equal(f.n, 1);
        }
}

/* What a series does, 5 s a sample, and which resets that makes. */
typedef struct Shape {
        const char *name;
        double (*bytes)(unsigned i, Random *r);
        unsigned n, steps, bends;
        TrendState state;
} Shape;

static double flat(unsigned i _unused_, Random *r) {
        return 500 * MIB + MIB * random_normal(r);
}

static double leak(unsigned i, Random *r) {
        return flat(i, r) + i * 0.5 * MIB;
}

static double steep_leak(unsigned i, Random *r) {
        return flat(i, r) + i * 500 * MIB;
}

static double fall(unsigned i, Random *r) {
        return 5 * GIB + flat(i, r) - i * 0.5 * MIB;
}

static double jump_up(unsigned i, Random *r) {
        return flat(i, r) + (i >= 60 ? 300 * MIB : 0);
}

static double jump_down(unsigned i, Random *r) {
        return flat(i, r) - (i >= 60 ? 300 * MIB : 0);
}

static double two_jumps(unsigned i, Random *r) {
        return flat(i, r) + (i >= 60 ? 300 * MIB : 0) + (i >= 90 ? 200 * MIB : 0);
}

static double spike(unsigned i, Random *r) {
        return flat(i, r) + (i == 60 || i == 61 || i == 90 ? 300 * MIB : 0);
}

static double sawtooth(unsigned i, Random *r) {
        return flat(i, r) + i % 12 * 30 * MIB;
}

static double batch(unsigned i, Random *r) {
        return flat(i, r) + (i / 10 % 2 ? 300 * MIB : 0);
}

static double knee_up(unsigned i, Random *r) {
        return flat(i, r) + (i >= 60 ? (i - 60) * 30 * MIB : 0);
}

static double knee_flat(unsigned i, Random *r) {
        return flat(i, r) + min_of(i, 60U) * 30 * MIB;
}

static const Shape shapes[] = {
        {"flat", flat, 200, 0, 0, TREND_FLAT},
        {"leak", leak, 200, 0, 0, TREND_GROWING},
        {"leak of 100 MB/s", steep_leak, 200, 0, 0, TREND_GROWING},
        {"falling", fall, 200, 0, 0, TREND_SHRINKING},
        {"jump up", jump_up, 120, 1, 0, TREND_FLAT},
        {"jump down", jump_down, 120, 1, 0, TREND_FLAT},
        {"two jumps", two_jumps, 160, 2, 0, TREND_FLAT},
        {"single spikes are no step", spike, 160, 0, 0, TREND_FLAT},
        {"sawtooth", sawtooth, 240, 0, 0, TREND_FLAT},
        {"batch jobs", batch, 240, 1, 0, TREND_FLAT},
        {"growth sets in", knee_up, 90, 0, 1, TREND_GROWING},
        {"growth ends", knee_flat, 110, 0, 1, TREND_FLAT},
};

static void test_steps_and_bends(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                for (uint64_t seed = 1; seed <= 20; seed++) {
                        Random r = {seed};
                        Trend *t = fresh(0);
                        unsigned count[_TREND_RESET_MAX] = {};
                        TrendFit f;

                        for (unsigned k = 0; k < shapes[i].n; k++)
                                count[feed(t, START_USEC + k * 5 * USEC_PER_SEC, shapes[i].bytes(k, &r), 0, &f)]++;
                        if (count[TREND_RESET_STEP] != shapes[i].steps || count[TREND_RESET_BEND] != shapes[i].bends ||
                            (f.state != shapes[i].state && seed == 1))
                                fail_msg("%s, seed %d: %u steps, %u bends, %s", shapes[i].name, (int)seed,
                                         count[TREND_RESET_STEP], count[TREND_RESET_BEND], trend_state_name(f.state));
                }
}

static void test_a_step_costs_no_old_points(void **state _unused_) {
        Trend *t = fresh(0);
        Random r = {7};
        TrendFit f;
        unsigned k = 0;

        while (feed(t, START_USEC + k * 5 * USEC_PER_SEC, jump_up(k, &r), 0, &f) != TREND_RESET_STEP) {
                /* the jump itself is never read as growth */
                assert_true(f.state == TREND_WAIT || fabs(f.slope_bytes_per_s) < MIB);
                assert_true(++k < 70);
        }
        assert_int_equal(k, 63); /* 60 to 63 confirmed it */
        assert_int_equal(f.n, 4);
        assert_int_equal(f.state, TREND_WAIT);
        assert_near("mean of the new level", t->sums.mean_y, 800 * MIB, 3 * MIB);
}

static void test_growth_that_sets_in_is_seen_at_once(void **state _unused_) {
        Trend *t = fresh(0);
        Random r = {7};
        TrendFit f;

        for (unsigned k = 0; k < 60; k++)
                feed(t, START_USEC + k * 5 * USEC_PER_SEC, knee_up(k, &r), (uint64_t)(4 * GIB), &f);
        assert_int_equal(f.state, TREND_FLAT);
        for (unsigned k = 60; k <= 65; k++)
                feed(t, START_USEC + k * 5 * USEC_PER_SEC, knee_up(k, &r), (uint64_t)(4 * GIB), &f);
        assert_int_equal(t->last_reset, TREND_RESET_BEND);
        assert_int_equal(f.state, TREND_GROWING);
        assert_near("slope", f.slope_bytes_per_s, 6 * MIB, 0.6 * MIB);
        assert_near("eta", (double)f.eta_usec / 1e6, (4096 - 500 - 150) / 6.0, 60);
}

static void test_eta_and_state(void **state _unused_) {
        static const struct {
                const char *name;
                double base, slope, limit; /* bytes, bytes/s */
                TrendState state;
                double eta_s; /* INFINITY: never */
        } cases[] = {
                {"a minute away", 900 * MIB, MIB, 1259 * MIB, TREND_GROWING, 60},
                {"no limit", 900 * MIB, MIB, 0, TREND_GROWING, INFINITY},
                {"flat", 900 * MIB, 0, 1000 * MIB, TREND_FLAT, INFINITY},
                {"flat above the limit", 900 * MIB, 0, 800 * MIB, TREND_FLAT, 0},
                {"growing above the limit", 900 * MIB, MIB, 800 * MIB, TREND_GROWING, 0},
                {"falling above the limit", 9000 * MIB, -MIB, 800 * MIB, TREND_SHRINKING, 0},
                {"falling", 9000 * MIB, -MIB, 16000 * MIB, TREND_SHRINKING, INFINITY},
                {"31 days", 900 * MIB, 100, 900 * MIB + 100 * 299.0 + 100 * 31 * 86400.0, TREND_FLAT, INFINITY},
                {"29 days", 900 * MIB, 100, 900 * MIB + 100 * 299.0 + 100 * 29 * 86400.0, TREND_GROWING, 29 * 86400.0},
                {"doubles in 40 days, no limit", 400 * MIB, 121.3, 0, TREND_FLAT, INFINITY},
                {"limit of one byte", 900 * MIB, MIB, 1, TREND_GROWING, 0},
                {"limit 2^63", 900 * MIB, MIB, 9223372036854775808.0, TREND_FLAT, INFINITY},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Trend *t = fresh(0);
                TrendFit f;

                for (unsigned k = 0; k < 300; k++)
                        feed(t, START_USEC + k * USEC_PER_SEC, cases[i].base + cases[i].slope * k,
                             (uint64_t)cases[i].limit, &f);
                if (f.state != cases[i].state)
                        fail_msg("%s: %s", cases[i].name, trend_state_name(f.state));
                if (isinf(cases[i].eta_s))
                        assert_true(f.eta_usec == USEC_INFINITY && f.eta_hi_usec == USEC_INFINITY);
                else
                        assert_near(cases[i].name, (double)f.eta_usec / 1e6, cases[i].eta_s, cases[i].eta_s * 1e-4);
        }
}

/* The line is above the limit, but one sample fell below it: it may be met at once. */
static void test_a_line_above_the_limit_is_no_comfort(void **state _unused_) {
        Trend *t = fresh(0);
        Random r = {1};
        TrendFit f;

        for (unsigned k = 0; k < 60; k++)
                feed(t, START_USEC + k * 5 * USEC_PER_SEC, 500 * MIB + flat(k, &r), (uint64_t)(950 * MIB), &f);
        assert_int_equal(f.eta_usec, 0);
        feed(t, START_USEC + 300 * USEC_PER_SEC, 940 * MIB, (uint64_t)(950 * MIB), &f);
        assert_int_equal(f.state, TREND_FLAT);
        assert_true(f.eta_usec == USEC_INFINITY);
        assert_int_equal(f.eta_lo_usec, 0);
}

static void test_growth_that_breaks_off_is_in_doubt(void **state _unused_) {
        Trend *t = fresh(0);
        Random r = {1};
        TrendFit f;

        for (unsigned k = 0; k < 60; k++)
                feed(t, START_USEC + k * 5 * USEC_PER_SEC, leak(k, &r), (uint64_t)GIB, &f);
        assert_int_equal(f.state, TREND_GROWING);
        feed(t, START_USEC + 300 * USEC_PER_SEC, 400 * MIB, (uint64_t)GIB, &f);
        assert_int_equal(f.state, TREND_FLAT);
        feed(t, START_USEC + 305 * USEC_PER_SEC, leak(61, &r), (uint64_t)GIB, &f);
        assert_int_equal(f.state, TREND_GROWING);
}

static void test_waits_for_points_and_span(void **state _unused_) {
        Trend *t = fresh(0);
        TrendFit f;

        trend_fit(t, &f);
        assert_int_equal(f.state, TREND_WAIT);
        assert_int_equal(f.n, 0);
        for (unsigned k = 0; k < 7; k++) { /* 7 points, 60 s */
                feed(t, START_USEC + k * 10 * USEC_PER_SEC, 500 * MIB, 0, &f);
                assert_int_equal(f.state, TREND_WAIT);
                assert_int_equal(f.n, k + 1);
        }
        feed(t, START_USEC + 70 * USEC_PER_SEC, 500 * MIB, 0, &f);
        assert_int_equal(f.state, TREND_FLAT);
        t = fresh(0);
        for (unsigned k = 0; k < 15; k++) { /* many points, but 28 s */
                feed(t, START_USEC + k * 2 * USEC_PER_SEC, 500 * MIB, 0, &f);
                assert_int_equal(f.state, TREND_WAIT);
        }
        feed(t, START_USEC + 30 * USEC_PER_SEC, 500 * MIB, 0, &f);
        assert_int_equal(f.state, TREND_FLAT);
}

static void test_extremes_stay_sane(void **state _unused_) {
        Trend *t = fresh(0);
        Random r = {3};
        uint64_t at = 1;
        TrendFit f;

        for (unsigned i = 0; i < 1000000; i++) /* a million equal samples, a microsecond apart */
                trend_push(t, at++, 1u << 30, 1u << 31);
        trend_fit(t, &f);
        assert_sane(&f);
        assert_int_equal(f.state, TREND_WAIT);
        for (unsigned i = 0; i < 2000; i++)
                feed(t, at += random_bits(&r) >> (random_bits(&r) % 64),
                     (double)(random_bits(&r) >> (random_bits(&r) % 64)), random_bits(&r) % 4 ? INT64_MAX : 1, &f);
        t = fresh(0);
        at = 1;
        for (unsigned i = 0; i < 5000; i++)
                feed(t, at += 1 + random_bits(&r) % (60 * USEC_PER_SEC),
                     (double)(random_bits(&r) >> (random_bits(&r) % 64)), INT64_MAX, &f);
        for (unsigned i = 0; i < 50; i++) /* the end of time */
                feed(t, UINT64_MAX - 51 * USEC_PER_SEC + i * USEC_PER_SEC, 0x1p63, UINT64_MAX, &f);
        assert_int_equal(f.state, TREND_FLAT);
}

static void test_options_are_made_usable(void **state _unused_) {
        static const TrendOptions odd[] = {
                {0},
                {.window_usec = UINT64_MAX, .min_span_usec = UINT64_MAX, .min_samples = UINT32_MAX, .confidence = 1e9},
                {.window_usec = 1, .min_span_usec = 1, .min_samples = 1, .confidence = -1},
                {.window_usec = USEC_PER_HOUR, .confidence = NAN},
        };

        for (size_t i = 0; i < ELEMENTSOF(odd); i++) {
                TrendFit f;

                trend_init(&trend, &odd[i]);
                assert_true(trend.options.confidence >= 0.5 && trend.options.confidence <= 0.99);
                assert_true(trend.options.min_samples <= TREND_RING);
                assert_true(trend.options.min_span_usec <= trend.options.window_usec);
                for (unsigned k = 0; k < 3000; k++)
                        feed(&trend, START_USEC + k * USEC_PER_SEC / 4, 500 * MIB + k, 0, &f);
        }
}

/* A gap says little: the line before and after it is what the points say, not what the hole would. */
static void test_dense_samples_do_not_outvote(void **state _unused_) {
        Trend *t = fresh(0);
        TrendFit f;
        uint64_t at = START_USEC;

        /* 200 s flat at one sample in 10 s, then 60 s flat at ten a second: both flat, 10 MiB apart over the whole */
        for (unsigned k = 0; k < 20; k++)
                feed(t, at += 10 * USEC_PER_SEC, 500 * MIB, 0, &f);
        for (unsigned k = 0; k < 600; k++)
                feed(t, at += USEC_PER_SEC / 10, 502 * MIB, 0, &f);
        assert_near("mean, by time", t->sums.mean_y / MIB, (200 * 500.0 + 60 * 502.0) / 260, 0.1);
        feed(t, at += 300 * USEC_PER_SEC, 502 * MIB, 0, &f);
        feed(t, at += USEC_PER_SEC, 502 * MIB, 0, &f);
        feed(t, at += USEC_PER_SEC, 502 * MIB, 0, &f);
        for (unsigned i = 0; i < t->n; i++)
                assert_true(window_at(t, i)->weight <= 11);
}

/* The interval keeps its promise, also when a residual resembles the one before. 500 seeded series each. */
static void test_intervals_cover(void **state _unused_) {
        static const struct {
                const char *name;
                double rho; /* lag-1 correlation of the noise */
                unsigned n;
                double slope;
                unsigned lo, hi; /* per mille */
        } cases[] = {
                {"white, 120", 0, 120, 0.1 * MIB, 850, 970},  {"white, 20", 0, 20, 0.1 * MIB, 850, 970},
                {"white, flat", 0, 120, 0, 850, 970},         {"AR(1) 0.3", 0.3, 120, 0.1 * MIB, 850, 970},
                {"AR(1) 0.5", 0.5, 120, 0.1 * MIB, 850, 970}, {"AR(1) 0.8", 0.8, 120, 0.1 * MIB, 850, 970},
                {"AR(1) 0.9", 0.9, 120, 0.1 * MIB, 850, 970}, /* a window of six independent points */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned slope_in = 0, eta_in = 0, grew = 0;
                double rho = cases[i].rho;

                for (uint64_t seed = 1; seed <= 500; seed++) {
                        Random r = {seed * 1000 + i};
                        Trend *t = fresh(0);
                        double e = random_normal(&r), truth;
                        TrendFit f;

                        for (unsigned k = 0; k < cases[i].n; k++) {
                                double line = 500 * MIB + cases[i].slope * 5 * k;

                                e = k ? rho * e + sqrt(1 - rho * rho) * random_normal(&r) : e;
                                feed(t, START_USEC + k * 5 * USEC_PER_SEC, line + 3 * MIB * e, (uint64_t)GIB, &f);
                        }
                        slope_in +=
                                f.slope_lo_bytes_per_s <= cases[i].slope && cases[i].slope <= f.slope_hi_bytes_per_s;
                        if (f.state != TREND_GROWING || cases[i].slope <= 0)
                                continue;
                        grew++;
                        truth = (GIB - 500 * MIB) / cases[i].slope - 5.0 * (cases[i].n - 1);
                        eta_in += (double)f.eta_lo_usec / 1e6 <= truth &&
                                  (f.eta_hi_usec == USEC_INFINITY || truth <= (double)f.eta_hi_usec / 1e6);
                }
                print_message("# %s: slope %u of 500, eta %u of %u\n", cases[i].name, slope_in, eta_in, grew);
                assert_in_range(slope_in * 2, cases[i].lo, cases[i].hi);
                assert_true(grew == 0 || eta_in * 1000 >= grew * 850);
        }
}

static void test_names(void **state _unused_) {
        for (int r = 0; r < _TREND_RESET_MAX; r++)
                assert_string_not_equal(trend_reset_name(r), "invalid");
        for (int s = 0; s < _TREND_STATE_MAX; s++)
                assert_string_not_equal(trend_state_name(s), "invalid");
        assert_string_equal(trend_reset_name(_TREND_RESET_MAX), "invalid");
        assert_string_equal(trend_state_name((TrendState)-1), "invalid");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_line_is_found_exactly),
                cmocka_unit_test(test_sliding_sums_do_not_drift),
                cmocka_unit_test(test_drift_is_bounded_after_huge_values),
                cmocka_unit_test(test_sums_are_built_afresh_now_and_then),
                cmocka_unit_test(test_resets),
                cmocka_unit_test(test_resets_from_outside),
                cmocka_unit_test(test_steps_and_bends),
                cmocka_unit_test(test_a_step_costs_no_old_points),
                cmocka_unit_test(test_growth_that_sets_in_is_seen_at_once),
                cmocka_unit_test(test_eta_and_state),
                cmocka_unit_test(test_a_line_above_the_limit_is_no_comfort),
                cmocka_unit_test(test_growth_that_breaks_off_is_in_doubt),
                cmocka_unit_test(test_waits_for_points_and_span),
                cmocka_unit_test(test_extremes_stay_sane),
                cmocka_unit_test(test_options_are_made_usable),
                cmocka_unit_test(test_dense_samples_do_not_outvote),
                cmocka_unit_test(test_intervals_cover),
                cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
