/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/score.h"

#include "unit/random.h"
#include "unit/unit.h"

#define LIMIT 1000000000ULL
#define MINUTE USEC_PER_MINUTE

static Score score;

/* Memory grows by @rate bytes a second from a tenth of the limit; the forecaster says @rate x @wrong, +- @width. */
static ScoreFigures followed(double rate, double wrong, double width, double minutes) {
        ScoreFigures f;

        memset(&score, 0, sizeof(score));
        for (double t = 0; t < minutes * 60; t += 10) {
                double bytes = 0.1 * LIMIT + rate * t, eta = ((double)LIMIT - bytes) / (rate * wrong) * USEC_PER_SEC;
                ScoreInput in = {.now_usec = (uint64_t)(t * USEC_PER_SEC) + 1,
                                 .usage_bytes = (uint64_t)bytes,
                                 .limit_bytes = LIMIT,
                                 .known = true,
                                 .eta_usec = (uint64_t)eta,
                                 .eta_lo_usec = (uint64_t)(eta / (1 + width)),
                                 .eta_hi_usec = (uint64_t)(eta * (1 + width))};

                if (bytes >= (double)LIMIT)
                        break;
                score_push(&score, &in);
        }
        score_read(&score, &f);
        return f;
}

static void test_figures(void **state _unused_) {
        static const struct {
                const char *name;
                double wrong, width, error, covered;
        } cases[] = {
                {"exact", 1, 0.1, 0, 1},
                {"a tenth too fast, and it said so", 1.1, 0.2, 0.0909, 1},
                {"a tenth too fast, and sure of it", 1.1, 0.05, 0.0909, 0},
                {"half as fast", 0.5, 0.5, 1, 0},
                {"twice as fast", 2, 1.1, 0.5, 1},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ScoreFigures f = followed(100000, cases[i].wrong, cases[i].width, 150);

                if (f.n < 10 || fabs(f.error_ratio - cases[i].error) > 0.001 || f.covered_ratio != cases[i].covered ||
                    f.dropped_total != 0)
                        fail_msg("%s: n %u, error %.4f, covered %.2f", cases[i].name, f.n, f.error_ratio,
                                 f.covered_ratio);
        }
}

/* Nine of ten lie within an interval of 90 %. */
static void test_coverage_is_counted(void **state _unused_) {
        Random r = {7};
        ScoreFigures f;

        memset(&score, 0, sizeof(score));
        for (unsigned i = 0; i < 2000; i++) {
                double noise = 1 + 0.1 * random_normal(&r);
                ScoreInput in = {.now_usec = 1 + i * USEC_PER_HOUR,
                                 .limit_bytes = LIMIT,
                                 .known = true,
                                 .eta_usec = 4 * USEC_PER_HOUR,
                                 .eta_lo_usec = (uint64_t)(4 * USEC_PER_HOUR / 1.1645),
                                 .eta_hi_usec = (uint64_t)(4 * USEC_PER_HOUR / 0.8355)};

                in.usage_bytes = 0; /* foretold: a quarter in an hour */
                score_drop(&score);
                score_push(&score, &in);
                in.now_usec += USEC_PER_HOUR;
                in.usage_bytes = (uint64_t)(noise * LIMIT / 4);
                in.known = false;
                score_push(&score, &in);
        }
        score_read(&score, &f);
        assert_int_equal(f.checked_total, 2000);
        assert_in_range(f.covered_total, 1760, 1840);
        assert_int_equal(f.n, SCORE_CHECKED_MAX);
        assert_true(f.error_ratio > 0.04 && f.error_ratio < 0.1 && f.error_p90_ratio > f.error_ratio);
}

static void test_what_says_nothing_is_not_counted(void **state _unused_) {
        ScoreInput in = {.now_usec = 1,
                         .usage_bytes = LIMIT / 2,
                         .limit_bytes = LIMIT,
                         .known = true,
                         .eta_usec = 40 * MINUTE,
                         .eta_lo_usec = 30 * MINUTE,
                         .eta_hi_usec = USEC_INFINITY};
        const ScoreInput good = in;
        static const char *const names[] = {"limit", "drop", "late", "backwards"};

        for (unsigned k = 0; k < ELEMENTSOF(names); k++) {
                memset(&score, 0, sizeof(score));
                in = good;
                in.now_usec = USEC_PER_HOUR;
                score_push(&score, &in);
                assert_int_equal(score.n_pending, 1);
                in.known = false;
                in.now_usec += 11 * MINUTE;
                if (k == 0)
                        in.limit_bytes *= 2;
                if (k == 1)
                        score_drop(&score);
                if (k == 2)
                        in.now_usec += 20 * MINUTE;
                if (k == 3)
                        in.now_usec = MINUTE;
                score_push(&score, &in);
                if (score.checked_total != 0 || score.dropped_total != 1 || score.n_pending != 0)
                        fail_msg("%s", names[k]);
        }
        /* and what is no forecast is not kept */
        for (unsigned k = 0; k < 6; k++) {
                memset(&score, 0, sizeof(score));
                in = good;
                in.known = k != 0;
                in.limit_bytes = k == 1 ? 0 : k == 2 ? LIMIT / 2 : LIMIT;
                in.eta_usec = k == 3 ? 0 : k == 4 ? USEC_INFINITY : in.eta_usec;
                in.eta_lo_usec = k == 5 ? 41 * MINUTE : in.eta_lo_usec;
                score_push(&score, &in);
                if (score.n_pending != 0)
                        fail_msg("odd forecast %u was kept", k);
        }
        ScoreFigures f;
        score_read(&score, &f);
        assert_int_equal(f.n, 0);
}

static void test_memory_is_fixed(void **state _unused_) {
        ScoreInput in = {.usage_bytes = 1, .limit_bytes = LIMIT, .known = true, .eta_hi_usec = USEC_INFINITY};
        Random r = {3};

        memset(&score, 0, sizeof(score));
        for (unsigned i = 1; i < 100000; i++) { /* sanitizers watch */
                in.now_usec = random_bits(&r) >> (random_bits(&r) % 64);
                in.usage_bytes = random_bits(&r) >> (random_bits(&r) % 64);
                in.eta_usec = random_bits(&r) >> (random_bits(&r) % 64);
                in.eta_lo_usec = in.eta_usec / 2;
                score_push(&score, &in);
                assert_true(score.n_pending <= SCORE_PENDING_MAX && score.n <= SCORE_CHECKED_MAX);
        }
        assert_true(sizeof(Score) <= 2048);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_figures),
                cmocka_unit_test(test_coverage_is_counted),
                cmocka_unit_test(test_what_says_nothing_is_not_counted),
                cmocka_unit_test(test_memory_is_fixed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
