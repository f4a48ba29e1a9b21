/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold of every forecast, whatever the series: it does not depend on units, on the time origin or (much) on
 * the step; no figure is negative, infinite or outside its own interval; nonsense has a defined answer. Random series
 * and random events, each by its seed.
 */
#include "trend/trend.h"

#include <string.h>

#include "unit/random.h"
#include "unit/unit.h"

#define MIB    (1024.0 * 1024)
#define SERIES 40

static Trend one, other;

static void init(Trend *t) {
        static const TrendOptions o = TREND_OPTIONS_DEFAULT;

        trend_init(t, &o);
}

static void assert_sane(uint64_t seed, const TrendFit *f) {
        const double all[] = {
                f->level_bytes,    f->slope_bytes_per_s, f->slope_lo_bytes_per_s, f->slope_hi_bytes_per_s, f->r2_ratio,
                f->residual_bytes, f->odds_ratio};

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (!isfinite(all[i]))
                        fail_msg("seed %llu: figure %zu is %g", (unsigned long long)seed, i, all[i]);
        assert_true(f->eta_lo_usec <= f->eta_usec && f->eta_usec <= f->eta_hi_usec);
        assert_true(f->slope_lo_bytes_per_s <= f->slope_bytes_per_s && f->slope_bytes_per_s <= f->slope_hi_bytes_per_s);
        assert_true(f->odds_ratio >= 0 && f->odds_ratio <= 1 && f->r2_ratio >= 0 && f->r2_ratio <= 1);
        assert_true(f->residual_bytes >= 0);
        assert_true((unsigned)f->kind < _TREND_KIND_MAX && (unsigned)f->proof < _TREND_PROOF_MAX);
        assert_true(f->limit_bytes > 0 || (f->eta_usec == USEC_INFINITY && f->proof == TREND_PROOF_NONE));
}

/* A series by its seed: growth, noise, a sawtooth and a daily swing in random parts. Whole MiB times @scale. */
typedef struct Law {
        double base, slope, noise, tooth, tooth_s, swing, swing_s, limit;
} Law;

static Law law_of(uint64_t seed) {
        Random r = {seed};
        Law l = {.base = MIB * exp(4 + 4 * random_unit(&r)), .slope = MIB * exp(-6 + 6 * random_unit(&r))};

        l.noise = l.base * exp(-9 + 5 * random_unit(&r));
        l.tooth = random_unit(&r) < 0.4 ? l.base * random_unit(&r) : 0;
        l.tooth_s = exp(4 + 4 * random_unit(&r));
        l.swing = random_unit(&r) < 0.4 ? l.base * random_unit(&r) : 0;
        l.swing_s = exp(7 + 4 * random_unit(&r));
        if (random_unit(&r) < 0.4)
                l.slope = 0;
        l.limit = floor(l.base * (1.5 + 4 * random_unit(&r)));
        return l;
}

static double law_at(const Law *l, double s, uint64_t seed) {
        Random r = {seed * 7919 + (uint64_t)(s * 1000)};

        return floor(l->base + l->slope * s + fabs(l->noise * random_normal(&r)) + l->tooth * fmod(s / l->tooth_s, 1) +
                     l->swing * (1 - cos(2 * M_PI * s / l->swing_s)) / 2);
}

static void push(Trend *t, uint64_t usec, uint64_t bytes, uint64_t limit, TrendFit *ret) {
        TrendSample s = {.time_usec = usec, .bytes = bytes, .limit_bytes = limit};

        trend_push(t, &s);
        trend_fit(t, ret);
}

static void assert_same_time(uint64_t seed, uint64_t a, uint64_t b, double tolerance) {
        if (a == b)
                return;
        if (fabs((double)a - (double)b) > tolerance * (double)max_of(a, b) + 2)
                fail_msg("seed %llu: %llu and %llu us", (unsigned long long)seed, (unsigned long long)a,
                         (unsigned long long)b);
}

static void test_units_do_not_matter(void **state _unused_) {
        for (uint64_t seed = 1; seed <= SERIES; seed++) {
                Law l = law_of(seed);
                TrendFit a, b;

                init(&one);
                init(&other);
                for (double s = 1; s < 8000; s += 10.007) {
                        double v = law_at(&l, s, seed);

                        push(&one, (uint64_t)(s * USEC_PER_SEC), (uint64_t)v, (uint64_t)l.limit, &a);
                        push(&other, (uint64_t)(s * USEC_PER_SEC), 32 * (uint64_t)v, 32 * (uint64_t)l.limit, &b);
                        assert_sane(seed, &a);
                        assert_int_equal(a.kind, b.kind);
                        assert_int_equal(a.proof, b.proof);
                        assert_same_time(seed, a.eta_usec, b.eta_usec, 1e-6);
                        assert_same_time(seed, a.eta_lo_usec, b.eta_lo_usec, 1e-6);
                        assert_same_time(seed, a.eta_hi_usec, b.eta_hi_usec, 1e-6);
                        assert_true(fabs(32 * a.slope_bytes_per_s - b.slope_bytes_per_s) <=
                                    1e-6 * fabs(b.slope_bytes_per_s));
                }
        }
}

static void test_time_origin_does_not_matter(void **state _unused_) {
        for (uint64_t seed = 1; seed <= SERIES; seed++) {
                Law l = law_of(seed);
                TrendFit a, b;

                init(&one);
                init(&other);
                for (double s = 1; s < 8000; s += 10.007) {
                        double v = law_at(&l, s, seed);

                        push(&one, (uint64_t)(s * USEC_PER_SEC), (uint64_t)v, (uint64_t)l.limit, &a);
                        push(&other, 1700000000 * USEC_PER_SEC + (uint64_t)(s * USEC_PER_SEC), (uint64_t)v,
                             (uint64_t)l.limit, &b);
                        assert_memory_equal(&a, &b, sizeof(a));
                }
        }
}

/* The same growth seen twice as often: as far as the line is known, the same answer. */
static void test_step_does_not_matter(void **state _unused_) {
        for (uint64_t seed = 1; seed <= SERIES; seed++) {
                Law l = law_of(seed);
                TrendFit a = {}, b = {};

                l.tooth = l.swing = 0;
                l.slope = fmax(l.slope, l.noise / 100);
                l.limit = floor(l.base + 12000 * l.slope + 10 * l.noise);
                init(&one);
                init(&other);
                for (double s = 5; s < 8000; s += 5) {
                        if (fmod(s, 10) == 0)
                                push(&one, (uint64_t)(s * USEC_PER_SEC), (uint64_t)law_at(&l, s, seed),
                                     (uint64_t)l.limit, &a);
                        push(&other, (uint64_t)(s * USEC_PER_SEC), (uint64_t)law_at(&l, s, seed), (uint64_t)l.limit,
                             &b);
                }
                assert_int_equal(a.state, TREND_GROWING);
                assert_int_equal(b.state, TREND_GROWING);
                assert_same_time(seed, a.eta_usec, b.eta_usec, 0.25);
                assert_true(fabs(a.slope_bytes_per_s - b.slope_bytes_per_s) <= 0.1 * l.slope);
        }
}

static void test_a_line_with_noise_gives_its_slope(void **state _unused_) {
        for (uint64_t seed = 1; seed <= SERIES; seed++) {
                Law l = law_of(seed);
                TrendFit f = {};
                double left;

                l.tooth = l.swing = 0;
                l.slope = fmax(l.slope, l.noise / 50);
                l.limit = floor(l.base + 6000 * l.slope + 5 * l.noise);
                init(&one);
                for (double s = 5; s < 4500; s += 5)
                        push(&one, (uint64_t)(s * USEC_PER_SEC), (uint64_t)law_at(&l, s, seed), (uint64_t)l.limit, &f);
                assert_sane(seed, &f);
                if (fabs(f.slope_bytes_per_s / l.slope - 1) > 0.05)
                        fail_msg("seed %llu: %g B/s, wanted %g", (unsigned long long)seed, f.slope_bytes_per_s,
                                 l.slope);
                left = (l.limit - l.base - 4500 * l.slope) / l.slope;
                if (fabs((double)f.eta_usec / USEC_PER_SEC / left - 1) > 0.25)
                        fail_msg("seed %llu: %g s, wanted %g", (unsigned long long)seed,
                                 (double)f.eta_usec / USEC_PER_SEC, left);
        }
}

/* What a life before had, and a history that was fed before the first live sample, give the same as having seen it. */
static void test_history_is_as_good_as_having_been_there(void **state _unused_) {
        Law l = law_of(3);
        TrendFit a, b;

        init(&one);
        init(&other);
        for (double s = 5; s < 4000; s += 5)
                push(&one, (uint64_t)(s * USEC_PER_SEC), (uint64_t)law_at(&l, s, 3), (uint64_t)l.limit, &a);
        for (double s = 5; s < 2000; s += 5) /* stored */
                push(&other, (uint64_t)(s * USEC_PER_SEC), (uint64_t)law_at(&l, s, 3), (uint64_t)l.limit, &b);
        for (double s = 2000; s < 4000; s += 5) /* live */
                push(&other, (uint64_t)(s * USEC_PER_SEC), (uint64_t)law_at(&l, s, 3), (uint64_t)l.limit, &b);
        assert_memory_equal(&a, &b, sizeof(a));
}

static uint64_t odd_number(Random *r) {
        switch (random_bits(r) % 6) {
        case 0:
                return 0;
        case 1:
                return UINT64_MAX;
        case 2:
                return random_bits(r);
        case 3:
                return 1;
        default:
                return random_bits(r) >> (20 + random_bits(r) % 40);
        }
}

static void random_event(Trend *t, Random *r, uint64_t *at) {
        switch (random_bits(r) % 40) {
        case 0:
                trend_reset(t, *at, (TrendReset)(random_bits(r) % _TREND_RESET_MAX));
                return;
        case 1:
                trend_reclaimed(t, *at, odd_number(r) >> 8);
                return;
        case 2:
                trend_slept(t, *at, odd_number(r) >> 8);
                return;
        case 3:
                *at = odd_number(r);
                return;
        case 4:
                *at -= random_bits(r) % (1000 * USEC_PER_SEC);
                return;
        default:
                *at += random_bits(r) % (20 * USEC_PER_SEC);
        }
}

static void test_random_events(void **state _unused_) {
        for (uint64_t seed = 1; seed <= 200; seed++) {
                Random r = {seed};
                uint64_t at = odd_number(&r) >> 20, bytes = 1 << 28;

                init(&one);
                for (int i = 0; i < 1500; i++) {
                        TrendSample s = {.heap_known = random_bits(&r) % 8 == 0,
                                         .heap_bytes = odd_number(&r),
                                         .anon_known = random_bits(&r) % 2,
                                         .anon_bytes = odd_number(&r)};
                        TrendFit f;

                        random_event(&one, &r, &at);
                        bytes += random_bits(&r) % (1 << 20);
                        s.time_usec = at;
                        s.bytes = random_bits(&r) % 30 ? bytes : odd_number(&r);
                        s.limit_bytes = random_bits(&r) % 30 ? 2ULL << 30 : odd_number(&r);
                        assert_true((unsigned)trend_push(&one, &s) < _TREND_RESET_MAX);
                        trend_fit(&one, &f);
                        assert_sane(seed, &f);
                }
        }
}

/* Samples in one microsecond, none for a year, a limit of a byte, all at the limit: whatever comes is answered. */
static void test_extremes(void **state _unused_) {
        static const struct {
                const char *name;
                uint64_t first_usec, step_usec, bytes, more, limit;
        } cases[] = {
                {"a sample a microsecond", 1, 1, 1 << 20, 1, 1 << 30},
                {"a sample a year", 1, 365 * USEC_PER_DAY, 1 << 20, 1, 1 << 30},
                {"a limit of a byte", 1, USEC_PER_SEC, 1 << 20, 1, 1},
                {"no limit", 1, USEC_PER_SEC, 1 << 20, 4096, 0},
                {"nothing used", 1, USEC_PER_SEC, 0, 0, 1 << 30},
                {"all there is", 1, USEC_PER_SEC, UINT64_MAX - 1000, 1, UINT64_MAX},
                {"over the limit", 1, USEC_PER_SEC, 1 << 30, 1 << 20, 1 << 20},
                {"near the end of time", UINT64_MAX - 200 * USEC_PER_SEC, USEC_PER_SEC, 1 << 20, 4096, 1 << 30},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TrendFit f;

                init(&one);
                for (uint64_t k = 0; k < 150; k++) {
                        push(&one, cases[i].first_usec + k * cases[i].step_usec, cases[i].bytes + k * cases[i].more,
                             cases[i].limit, &f);
                        assert_sane(i, &f);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_units_do_not_matter),
                cmocka_unit_test(test_time_origin_does_not_matter),
                cmocka_unit_test(test_step_does_not_matter),
                cmocka_unit_test(test_a_line_with_noise_gives_its_slope),
                cmocka_unit_test(test_history_is_as_good_as_having_been_there),
                cmocka_unit_test(test_random_events),
                cmocka_unit_test(test_extremes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
